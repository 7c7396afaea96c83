// Repeated string instructions: counts, directions, retirement. SDM Vol. 2, REP.
import assert from "node:assert/strict";
import { describe } from "mocha";
import { Flag } from "../../../src/x86";
import { CODE, instructionTest } from "../../support/instruction-test";

describe("string instructions", () => {
  instructionTest("REP MOVSB of many bytes retires as one instruction", {
    code: "f3 a4",
    before: { ecx: 100, esi: 0x4000, edi: 0x5000, memory: { 16384: Array.from({ length: 100 }, (_, k) => k) } },
    after: { ecx: 0, esi: 0x4064, edi: 0x5064, memory: { 20480: Array.from({ length: 100 }, (_, k) => k) } },
    check: (cpu) => assert.equal(cpu.instructionCount(), 1),
  });
  instructionTest("REP STOSD downward with DF set", {
    code: "f3 ab",
    before: { eax: 0x04030201, ecx: 2, edi: 0x5004, eflags: 2 | Flag.DF },
    after: { ecx: 0, edi: 0x4ffc, memory: { 20480: [1, 2, 3, 4, 1, 2, 3, 4] } },
  });
  instructionTest("REP with a count of 0 touches nothing", {
    code: "f3 a4",
    before: { esi: 0xfffffff0, edi: 0xfffffff0 },
    after: {},
  });
  instructionTest("REPNE SCASB stops behind the byte that is equal", {
    code: "f2 ae",
    before: { eax: 3, ecx: 10, edi: 0x5000, memory: { 20480: [1, 2, 3, 4] } },
    after: { ecx: 7, edi: 0x5003, eflags: 2 | Flag.ZF | Flag.PF },
  });
  instructionTest("a 16-bit address size counts CX and leaves the rest of ECX", {
    code: "67 f3 aa",
    before: { eax: 7, ecx: 0x50002, edi: 0x50600 },
    after: { ecx: 0x50000, edi: 0x50602, memory: { 1536: [7, 7] } },
  });
  instructionTest("LOOP counts ECX down and jumps until it is 0", {
    code: "e2 fe",
    before: { ecx: 3 },
    count: 3,
    after: { ecx: 0, eip: CODE + 2 },
  });
});
