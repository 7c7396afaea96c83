/**
 * What an engine promises beside executing instructions: exact budgets, breakpoints, code that changes, page borders. Each case runs on every engine.
 */
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { StateLayout } from "../../../src/x86";
import { architecturalState, CODE, ENGINES, flatEngine, poke } from "../../support/flat-cpu";

const INC_EAX = 0x40;
const INC_ECX = 0x41;
const JMP_SELF = [0xeb, 0xfe];
const u32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

for (const name of ENGINES) {
  describe(`the ${name} engine`, () => {
    it("retires exactly its budget, wherever that ends", () => {
      const engine = flatEngine(name, [INC_EAX, INC_EAX, INC_EAX, 0xeb, 0xfb]);
      for (const [budget, eax, eip] of [
        [1, 1, CODE + 1],
        [2, 3, CODE + 3],
        [1, 3, CODE],
        [7, 9, CODE + 3],
      ]) {
        assert.deepEqual(engine.run(budget), { kind: "budget" });
        assert.deepEqual([engine.cpu.reg(0), engine.cpu.eip], [eax, eip]);
      }
      assert.equal(engine.cpu.instructionCount(), 11);
    });

    it("stops before a breakpoint and passes it when told to", () => {
      const engine = flatEngine(name, [INC_EAX, INC_EAX, INC_ECX, 0xeb, 0xfb]);
      engine.setBreakpoints(new Set([CODE + 2]));
      assert.deepEqual(engine.run(100), { kind: "breakpoint" });
      assert.deepEqual([engine.cpu.reg(0), engine.cpu.reg(1), engine.cpu.eip], [2, 0, CODE + 2]);
      assert.deepEqual(engine.run(100, { ignoreBreakpoint: true }), { kind: "breakpoint" });
      assert.deepEqual([engine.cpu.reg(0), engine.cpu.reg(1), engine.cpu.instructionCount()], [4, 1, 6]);
      engine.setBreakpoints(new Set());
      assert.deepEqual(engine.run(10), { kind: "budget" });
    });

    it("has a breakpoint in code that is already decoded and running", () => {
      const engine = flatEngine(name, [INC_EAX, INC_ECX, 0xeb, 0xfc]);
      engine.run(1000);
      engine.setBreakpoints(new Set([CODE + 1]));
      assert.deepEqual(engine.run(1000), { kind: "breakpoint" });
      assert.equal(engine.cpu.eip, CODE + 1);
    });

    it("executes the new bytes when the next instruction in line is overwritten", () => {
      // mov byte [CODE+7], 0x41 ; inc eax -> becomes inc ecx
      const engine = flatEngine(name, [0xc6, 0x05, ...u32(CODE + 7), INC_ECX, INC_EAX, ...JMP_SELF]);
      engine.run(3);
      assert.deepEqual([engine.cpu.reg(0), engine.cpu.reg(1)], [0, 1]);
    });

    it("executes the new bytes when a loop patches itself each time round", () => {
      // xor byte [patch], 1 (40 <-> 41) ; patch: inc eax|ecx ; dec ebx ; jnz start
      const code = [0x80, 0x35, ...u32(CODE + 7), 1, INC_EAX, 0x4b, 0x75, 0xf5, ...JMP_SELF];
      const engine = flatEngine(name, code);
      engine.cpu.setReg(3, 10);
      engine.run(40);
      assert.deepEqual([engine.cpu.reg(0), engine.cpu.reg(1)], [5, 5]);
    });

    it("executes an instruction that crosses a page, and sees either half change", () => {
      const start = CODE + 0xffe;
      const engine = flatEngine(name, [0xe9, ...u32(0xffe - 5)]);
      poke(engine.cpu, start, [0xb8, 0x11, 0x22, 0x33, 0x44, 0xe9, ...u32(-10)]);
      engine.run(3);
      assert.equal(engine.cpu.reg(0), 0x44332211);
      poke(engine.cpu, start + 3, [0x99]);
      engine.run(2);
      assert.equal(engine.cpu.reg(0), 0x44992211);
      poke(engine.cpu, start + 1, [0x88]);
      engine.run(2);
      assert.equal(engine.cpu.reg(0), 0x44992288);
    });

    it("runs on from one page into the next", () => {
      const engine = flatEngine(name, []);
      poke(engine.cpu, CODE, new Array(0x1800).fill(INC_EAX));
      assert.deepEqual(engine.run(0x1800), { kind: "budget" });
      assert.deepEqual([engine.cpu.reg(0), engine.cpu.eip], [0x1800, CODE + 0x1800]);
    });

    it("counts a repeated string instruction once, however long", () => {
      // mov ecx, 5000 ; mov edi, 0x20000 ; mov al, 7 ; rep stosb
      const engine = flatEngine(name, [0xb9, ...u32(5000), 0xbf, ...u32(0x20000), 0xb0, 7, 0xf3, 0xaa, ...JMP_SELF]);
      engine.run(4);
      assert.deepEqual([engine.cpu.reg(1), engine.cpu.reg(7), engine.cpu.eip], [0, 0x20000 + 5000, CODE + 14]);
      assert.equal(engine.cpu.u8[StateLayout.RAM_BASE + 0x20000 + 4999], 7);
      assert.equal(engine.cpu.u8[StateLayout.RAM_BASE + 0x20000 + 5000], 0);
    });

    it("keeps its budget when a repeated string instruction goes over all of the address space", () => {
      // mov ecx, -1 ; rep lodsb ; inc ebx
      const engine = flatEngine(name, [0xb9, ...u32(0xffffffff), 0xf3, 0xac, 0x43]);
      assert.deepEqual(engine.run(3), { kind: "budget" });
      assert.deepEqual([engine.cpu.reg(1), engine.cpu.reg(6), engine.cpu.eip], [0xfffe0000, 0x1ffff, CODE + 5]);
      assert.equal(engine.cpu.instructionCount(), 3);
      // The rest is done as if nothing had been: the last instruction, and the one behind it.
      engine.cpu.setReg(1, 0x10001);
      engine.run(2);
      assert.deepEqual([engine.cpu.reg(1), engine.cpu.reg(3), engine.cpu.eip], [0, 0, CODE + 7]);
    });

    it("finds ones where there is no memory, in the upper half of the address space too", () => {
      for (const address of [0x200000, 0x80000000, 0xfffff000]) {
        // mov eax, address ; jmp eax: FF FF is undefined, and without an IDT that ends in a shutdown at the same place
        const engine = flatEngine(name, [0xb8, ...u32(address), 0xff, 0xe0]);
        engine.run(2);
        const told: number[] = [];
        engine.interceptDelivery = ({ vector }) => {
          told.push(vector);
          return true;
        };
        assert.equal(engine.run(1).kind, "delivery");
        assert.deepEqual([told, engine.cpu.eip], [[6], address]);
      }
    });

    it("reports a third fault in a row as shutdown", () => {
      const engine = flatEngine(name, [0x0f, 0x0b]);
      const exit = engine.run(10);
      assert.equal(exit.kind, "shutdown");
    });

    it("reports HLT and stays there", () => {
      const engine = flatEngine(name, [0xf4, INC_EAX]);
      assert.deepEqual(engine.run(10), { kind: "halted" });
      assert.deepEqual(engine.run(10), { kind: "halted" });
      assert.deepEqual([engine.cpu.reg(0), engine.cpu.eip], [0, CODE + 1]);
    });

    it("leaves after the instruction that touched a watchpoint", () => {
      // mov eax, [0x30000] ; inc ecx ; mov [0x30000], ecx ; inc ecx
      const engine = flatEngine(name, [
        0xa1,
        ...u32(0x30000),
        INC_ECX,
        0x89,
        0x0d,
        ...u32(0x30000),
        INC_ECX,
        ...JMP_SELF,
      ]);
      engine.cpu.code.setWatchpoints([{ physical: 0x30002, length: 1, onRead: false, onWrite: true }]);
      const seen: boolean[] = [];
      engine.cpu.code.onWatch = (_watch, _physical, _size, isWrite) => {
        seen.push(isWrite);
        engine.cpu.requestExit();
      };
      assert.deepEqual(engine.run(100), { kind: "requested" });
      assert.deepEqual([engine.cpu.reg(1), engine.cpu.eip, engine.cpu.instructionCount()], [1, CODE + 12, 3]);
      assert.deepEqual(seen, [true]);
      engine.cpu.code.setWatchpoints([{ physical: 0x30000, length: 4, onRead: true, onWrite: false }]);
      engine.cpu.eip = CODE;
      assert.deepEqual(engine.run(100), { kind: "requested" });
      assert.equal(engine.cpu.eip, CODE + 5);
    });

    it("checks alignment at ring 3 with CR0.AM and EFLAGS.AC, and there only (Vol. 3, 6.15, interrupt 17)", () => {
      // mov eax, [0x30002] ; mov ax, [0x30002] ; mov [0x30001], ax
      const code = [0xa1, ...u32(0x30002), 0x66, 0xa1, ...u32(0x30002), 0x66, 0xa3, ...u32(0x30001)];
      const faultAt = (ring: number, cr0: number, eflags: number): number => {
        const engine = flatEngine(name, code);
        const { cpu } = engine;
        cpu.setWord(StateLayout.CR0, cr0);
        cpu.eflags = eflags;
        cpu.cpl = ring;
        engine.interceptDelivery = () => true;
        const exit = engine.run(3);
        if (exit.kind === "budget") return 0;
        assert.deepEqual(exit, { kind: "delivery", pending: { vector: 17, errorCode: 0, source: "exception" } });
        return cpu.eip;
      };
      assert.equal(faultAt(3, 0x40011, 0x40002), CODE);
      assert.equal(faultAt(3, 0x11, 0x40002), 0);
      assert.equal(faultAt(3, 0x40011, 2), 0);
      assert.equal(faultAt(0, 0x40011, 0x40002), 0);
      const engine = flatEngine(name, code.slice(5));
      engine.cpu.setWord(StateLayout.CR0, 0x40011);
      engine.cpu.cpl = 3;
      engine.cpu.eflags = 0x40002;
      engine.interceptDelivery = () => true;
      assert.equal(engine.run(3).kind, "delivery");
      assert.equal(engine.cpu.eip, CODE + 6, "the aligned load passes, the unaligned store faults");
    });

    it("asks before a delivery and goes on with it afterwards", () => {
      const engine = flatEngine(name, [INC_EAX, 0x0f, 0x0b]);
      const asked: number[] = [];
      engine.interceptDelivery = (pending) => {
        asked.push(pending.vector);
        return pending.vector === 6;
      };
      assert.deepEqual(engine.run(10), {
        kind: "delivery",
        pending: { vector: 6, errorCode: undefined, source: "exception" },
      });
      assert.deepEqual([engine.cpu.eip, engine.cpu.instructionCount()], [CODE + 1, 1]);
      assert.equal(engine.run(10).kind, "shutdown");
      assert.deepEqual(asked, [6]);
    });
  });
}

describe("engines side by side", () => {
  it("agree after each single instruction of a busy loop with stack, flags and memory", () => {
    // mov ecx, 50 ; again: add eax, ecx ; push eax ; adc edx, [esp] ; pop ebx ; rol ebx, 3 ; imul edi, ebx ; sbb [0x8000], edi ; loop again
    const code = [
      ...[0xb9, ...u32(50)],
      ...[
        0x01,
        0xc8,
        0x50,
        0x13,
        0x14,
        0x24,
        0x5b,
        0xc1,
        0xc3,
        3,
        0x0f,
        0xaf,
        0xfb,
        0x19,
        0x3d,
        ...u32(0x8000),
        0xe2,
        0xea,
      ],
      ...JMP_SELF,
    ];
    const [direct, interpreter] = ENGINES.map((name) => flatEngine(name, code));
    for (const engine of [direct, interpreter]) engine.cpu.setReg(7, 0x12345);
    for (let i = 0; i < 405; i++) {
      direct.run(1);
      interpreter.run(1);
      assert.deepEqual(
        architecturalState(interpreter.cpu),
        architecturalState(direct.cpu),
        `after ${i + 1} instructions`,
      );
    }
    assert.equal(direct.cpu.reg(1), 0);
  });
});
