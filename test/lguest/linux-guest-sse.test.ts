// What CPUID offers must work inside a guest: programs of a Linux guest ask CPUID and never the hypervisor. CR4 is the host's, and with its
// OSFXSR clear every SSE instruction is undefined, which a guest can neither see nor change (SDM Vol. 3, 2.5).
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { Asm } from "../../src/x86";
import { begin, ENGINES, finish, powerOff, reasonOf, runGuest, store } from "./guest-code";

const { eax, ptr } = Asm;
const CPUID_SSE2 = 1 << 26;
const [MOVUPS_LOAD, PADDD_SAME, MOVD_EAX, STMXCSR] = [
  [0x0f, 0x10, 0x05],
  [0x66, 0x0f, 0xfe, 0xc0],
  [0x66, 0x0f, 0x7e, 0xc0],
  [0x0f, 0xae, 0x1d],
];

for (const engine of ENGINES)
  describe(`SSE in a guest, ${engine} engine`, () => {
    it("runs where CPUID offers it", () => {
      const { exit, word } = runGuest(
        (a) => {
          begin(a);
          a.mov(eax, 1).bytes(0x0f, 0xa2).mov(ptr("features"), Asm.edx);
          a.bytes(...MOVUPS_LOAD).dword("operand");
          a.bytes(...PADDD_SAME).bytes(...MOVD_EAX);
          store(a, "sum");
          a.bytes(...STMXCSR).dword("mxcsr");
          powerOff(a);
          a.align(4).label("operand").dword(21, 0, 0, 0);
          a.label("features").dword(0).label("sum").dword(0).label("mxcsr").dword(0);
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.notEqual(word("features") & CPUID_SSE2, 0);
      assert.equal(word("sum"), 42);
      assert.equal(word("mxcsr"), 0x1f80);
    });
  });
