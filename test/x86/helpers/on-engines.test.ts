// Privileged behaviour as both engines run it: what needs an instruction boundary to be seen.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { createEngine, type EngineName } from "../../../src/x86";
import { Flag, Reg, Seg, Vector } from "../../../src/x86/state-layout";
import { CODE, CS0, CS3, DS0, DS1, STACK_TOP, SystemBuilder, TSS2, TSS2_SELECTOR } from "../../support/system-builder";

const HANDLER = 0x21000;
const ENTRY = 0x25000;

/** All vectors to a HLT each, 16 bytes apart. */
function system(code: number[]): SystemBuilder {
  const s = new SystemBuilder();
  for (let vector = 0; vector < 256; vector++) {
    s.idtGate(vector, 14, CS0, HANDLER + vector * 16, 3);
    s.cpu.writePhysical(HANDLER + vector * 16, 1, 0xf4);
  }
  code.forEach((byte, i) => {
    s.cpu.writePhysical(CODE + i, 1, byte);
  });
  return s;
}

for (const name of ["direct", "interpreter"] as EngineName[]) {
  const runToHalt = (s: SystemBuilder) => {
    const exit = createEngine(name, s.cpu).run(100);
    assert.equal(exit.kind, "halted", JSON.stringify(exit));
    return { vector: (s.cpu.eip - 1 - HANDLER) / 16, eip: s.read32(s.cpu.reg(Reg.ESP)) };
  };

  describe(`x86/helpers on the ${name} engine`, () => {
    it("a fault in a new task's segments returns into that task, not to the JMP (SDM Vol. 3, 7.3)", () => {
      const s = system([0xea, 0, 0, 0, 0, TSS2_SELECTOR, 0]);
      s.write32(TSS2 + 0x20, ENTRY);
      s.write32(TSS2 + 0x24, 2);
      s.write32(TSS2 + 4, STACK_TOP[0]);
      s.write32(TSS2 + 8, DS0);
      s.write32(TSS2 + 0x4c, CS3);
      s.write32(TSS2 + 0x50, DS1);
      runToHalt(s);
      const esp = s.cpu.reg(Reg.ESP);
      assert.equal(s.cpu.eip, HANDLER + Vector.TS * 16 + 1);
      assert.deepEqual([s.read32(esp), s.read32(esp + 4), s.read32(esp + 8)], [DS1 & ~3, ENTRY, CS3]);
      assert.equal(s.cpu.selector(Seg.TR), TSS2_SELECTOR);
    });
    it("the trap bit of a new task traps before its first instruction (SDM Vol. 3, 17.3.1.5)", () => {
      const s = system([0xea, 0, 0, 0, 0, TSS2_SELECTOR, 0]);
      s.write32(TSS2 + 0x20, ENTRY);
      s.write32(TSS2 + 0x24, 2);
      s.write32(TSS2 + 0x38, 0x9000);
      s.write32(TSS2 + 0x64, 1);
      for (let i = 0; i < 6; i++) s.write32(TSS2 + 0x48 + i * 4, i === 1 ? CS0 : DS0);
      assert.deepEqual(runToHalt(s), { vector: Vector.DB, eip: ENTRY });
    });
    it("INT n under TF does not trap: it has cleared TF (SDM Vol. 3, 17.3.1.4)", () => {
      const s = system([0xcd, 0x80]);
      s.cpu.eflags = Flag.TF | 2;
      assert.deepEqual(runToHalt(s), { vector: 0x80, eip: CODE + 2 });
    });
    it("a fault under TF is delivered once, and the trap is not", () => {
      const s = system([0x0f, 0x0b]);
      s.cpu.eflags = Flag.TF | 2;
      assert.deepEqual(runToHalt(s), { vector: Vector.UD, eip: CODE });
    });
    it("POP SS holds off the trap until after the next instruction (SDM Vol. 3, 6.8.3)", () => {
      const s = system([0x17, 0x90, 0x90]);
      s.stackWords(DS0);
      s.cpu.eflags = Flag.TF | 2;
      assert.deepEqual(runToHalt(s), { vector: Vector.DB, eip: CODE + 2 });
    });
    it("an interrupt waits for one instruction after STI, and HLT ends by it with the next EIP pushed", () => {
      const s = system([0xfb, 0x90, 0xf4]);
      s.cpu.interruptLine = true;
      s.cpu.acknowledgeInterrupt = () => {
        s.cpu.interruptLine = false;
        return 0x20;
      };
      assert.deepEqual(runToHalt(s), { vector: 0x20, eip: CODE + 2 });
      const t = system([0xf4, 0x90]);
      t.cpu.eflags = Flag.IF | 2;
      const engine = createEngine(name, t.cpu);
      assert.equal(engine.run(10).kind, "halted");
      t.cpu.interruptLine = true;
      t.cpu.acknowledgeInterrupt = () => {
        t.cpu.interruptLine = false;
        return 0x21;
      };
      assert.equal(engine.run(10).kind, "halted");
      assert.equal(t.read32(t.cpu.reg(Reg.ESP)), CODE + 1);
    });
    it("a world switch: far call, CR3 load and IRET to ring 1, then a trap back to ring 0", () => {
      // mov eax,cr3; mov cr3,eax; iret
      const s = system([0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xcf]).enablePaging();
      s.stackWords(ENTRY, 0x19, Flag.IF | 2, STACK_TOP[1], 0x21);
      s.cpu.writePhysical(ENTRY, 2, 0x1fcd);
      runToHalt(s);
      const esp = s.cpu.reg(Reg.ESP);
      assert.equal(esp, STACK_TOP[0] - 20);
      assert.deepEqual(
        [0, 4, 12, 16].map((at) => s.read32(esp + at)),
        [ENTRY + 2, 0x19, STACK_TOP[1], 0x21],
      );
    });
  });
}
