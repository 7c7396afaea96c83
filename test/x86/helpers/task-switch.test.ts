// Task switches by JMP, CALL, INT and IRET. SDM Vol. 3, chapter 7.
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "mocha";
import { GuestFault } from "../../../src/x86/fault";
import {
  deliverException,
  deliverInterrupt,
  farCall,
  farJump,
  interruptReturn,
  softwareInterrupt,
} from "../../../src/x86/helpers";
import * as L from "../../../src/x86/state-layout";
import { Flag, Reg, Seg, Vector } from "../../../src/x86/state-layout";
import {
  CODE,
  CS0,
  CS1,
  CS3,
  catchFault,
  DS0,
  DS1,
  DS3,
  FREE,
  LDT_SELECTOR,
  SystemBuilder,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
  Type,
} from "../../support/system-builder";

const { GP, NP, SS, TS, PF, DB } = Vector;
const ENTRY = 0x25000;
const NEXT = CODE + 7;
const AVAILABLE = 0x89;
const BUSY = 0x8b;

/** Offsets in a 32-bit TSS. */
const At = {
  LINK: 0,
  CR3: 0x1c,
  EIP: 0x20,
  EFLAGS: 0x24,
  EAX: 0x28,
  ESP: 0x38,
  ES: 0x48,
  CS: 0x4c,
  SS: 0x50,
  DS: 0x54,
  FS: 0x58,
  GS: 0x5c,
  LDT: 0x60,
  TRAP: 0x64,
};

describe("x86/helpers/task-switch", () => {
  let s: SystemBuilder;
  const jump = (selector = TSS2_SELECTOR) => farJump.run(s.cpu, selector, 0xbad, 4, NEXT);
  const call = (selector = TSS2_SELECTOR) => farCall.run(s.cpu, selector, 0xbad, 4, NEXT);
  const set = (offset: number, value: number) => s.write32(TSS2 + offset, value);

  beforeEach(() => {
    s = new SystemBuilder();
    set(At.EIP, ENTRY);
    set(At.EFLAGS, Flag.IF | Flag.CF | 2);
    for (let i = 0; i < 8; i++) set(At.EAX + i * 4, 0x1000 + i);
    set(At.ESP, 0xb000);
    for (const offset of [At.ES, At.SS, At.DS, At.FS, At.GS]) set(offset, DS3);
    set(At.CS, CS3);
    s.cpu.setReg(Reg.EAX, 0xabcdef);
    s.cpu.eflags = Flag.ZF | 2;
  });

  describe("what is saved and loaded (7.3)", () => {
    it("JMP: registers, EFLAGS and EIP change places, TS is set, the busy bit moves", () => {
      const esp = s.cpu.reg(Reg.ESP);
      jump();
      assert.deepEqual([s.cpu.cpl, s.cpu.eip, s.cpu.eflags], [3, ENTRY, Flag.IF | Flag.CF | 2]);
      assert.deepEqual([s.cpu.reg(Reg.EAX), s.cpu.reg(Reg.ESP), s.cpu.reg(Reg.EDI)], [0x1000, 0xb000, 0x1007]);
      assert.deepEqual([s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS), s.cpu.selector(Seg.GS)], [CS3, DS3, DS3]);
      assert.equal(s.cpu.cr0 & L.Cr0.TS, L.Cr0.TS);
      assert.deepEqual([s.cpu.selector(Seg.TR), s.cpu.segmentBase(Seg.TR)], [TSS2_SELECTOR, TSS2]);
      assert.deepEqual([s.typeByte(TSS_SELECTOR), s.typeByte(TSS2_SELECTOR)], [AVAILABLE, BUSY]);
      assert.deepEqual(
        [At.EIP, At.EFLAGS, At.EAX, At.ESP, At.CS, At.DS].map((at) => s.read32(TSS + at)),
        [NEXT, Flag.ZF | 2, 0xabcdef, esp, CS0, DS0],
      );
    });
    it("CALL nests: link, NT, both busy; IRET goes back and clears NT in the saved flags", () => {
      call();
      assert.deepEqual([s.read16(TSS2 + At.LINK), s.cpu.eflags & Flag.NT], [TSS_SELECTOR, Flag.NT]);
      assert.deepEqual([s.typeByte(TSS_SELECTOR), s.typeByte(TSS2_SELECTOR)], [BUSY, BUSY]);
      interruptReturn.run(s.cpu, 4, 0x9999);
      assert.deepEqual([s.cpu.selector(Seg.TR), s.cpu.eip, s.cpu.cpl], [TSS_SELECTOR, NEXT, 0]);
      assert.equal(s.cpu.reg(Reg.EAX), 0xabcdef);
      assert.deepEqual([s.typeByte(TSS_SELECTOR), s.typeByte(TSS2_SELECTOR)], [BUSY, AVAILABLE]);
      assert.deepEqual([s.read32(TSS2 + At.EIP), s.read32(TSS2 + At.EFLAGS) & Flag.NT], [0x9999, 0]);
    });
    it("an interrupt through a task gate nests too, and the error code goes onto the new task's stack", () => {
      s.idtGate(GP, 5, TSS2_SELECTOR, 0);
      deliverInterrupt(s.cpu, GP, 0x1238, "exception", CODE);
      assert.deepEqual([s.cpu.reg(Reg.ESP), s.read32(0xaffc)], [0xaffc, 0x1238]);
      assert.deepEqual([s.read16(TSS2), s.cpu.eflags & Flag.NT], [TSS_SELECTOR, Flag.NT]);
      assert.equal(s.read32(TSS + At.EIP), CODE);
      assert.equal(s.read32(TSS + At.EFLAGS) & Flag.RF, Flag.RF);
    });
    it("INT n through a task gate saves the next EIP and checks the gate's DPL", () => {
      s.idtGate(0x80, 5, TSS2_SELECTOR, 0, 1).enterRing(3);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x80, NEXT), GP, 0x80 * 8 + 2);
      s.enterRing(1);
      softwareInterrupt.run(s.cpu, 0x80, NEXT);
      assert.equal(s.read32(TSS + At.EIP), NEXT);
    });
    it("loads CR3 only with paging on, and new translations count at once", () => {
      set(At.CR3, 0x12000);
      jump();
      assert.equal(s.cpu.cr3, 0);
      s = new SystemBuilder().enablePaging();
      s.write32(TSS2 + At.CR3, 0x12000);
      s.write32(0x12000, 0x13007);
      for (let i = 0; i < 256; i++) s.write32(0x13000 + i * 4, (i === 0x40 ? 0x41000 : i << 12) | 7);
      s.write32(0x41000, 0x600d);
      s.write32(TSS2 + At.CS, CS0);
      for (const at of [At.ES, At.SS, At.DS, At.FS, At.GS]) s.write32(TSS2 + at, DS0);
      assert.equal(s.cpu.readLinear(0x40000, 4), 0);
      jump();
      assert.deepEqual([s.cpu.cr3, s.cpu.readLinear(0x40000, 4)], [0x12000, 0x600d]);
    });
    it("loads the LDT before the segments that need it", () => {
      s.segment(0x0c, { base: 0x5000, limit: 0xff, dpl: 3 });
      set(At.LDT, LDT_SELECTOR);
      set(At.DS, 0x0f);
      jump();
      assert.deepEqual([s.cpu.selector(Seg.LDTR), s.cpu.segmentBase(Seg.DS)], [LDT_SELECTOR, 0x5000]);
    });
    it("a virtual-8086 task loads segments by arithmetic (20.2.5)", () => {
      set(At.EFLAGS, Flag.VM | 2);
      set(At.EIP, 0x100);
      set(At.CS, 0x2000);
      set(At.DS, 0x3000);
      jump();
      assert.deepEqual([s.cpu.cpl, s.cpu.segmentBase(Seg.CS), s.cpu.segmentBase(Seg.DS)], [3, 0x20000, 0x30000]);
      assert.equal(s.cpu.word(L.MODE) & L.Mode.VM86, L.Mode.VM86);
    });
    it("clears the local breakpoints of DR7 (17.2.4)", () => {
      s.cpu.setWord(L.DEBUG_REGISTERS + 28, 0x7ff);
      jump();
      assert.equal(s.cpu.word(L.DEBUG_REGISTERS + 28), 0x6aa);
    });
    it("a 16-bit TSS holds words; the upper halves of registers become ones, FS and GS null (7.6)", () => {
      s.segment(FREE, { base: TSS2, limit: 0x2b, type: 1, isSystem: true, isBig: false });
      s.write16(TSS2 + 0x0e, 0x4321);
      s.write16(TSS2 + 0x10, 2);
      s.write16(TSS2 + 0x12, 0x1234);
      for (const at of [0x22, 0x26, 0x28]) s.write16(TSS2 + at, DS0);
      s.write16(TSS2 + 0x24, CS0);
      s.write16(TSS2 + 0x2a, 0);
      jump(FREE);
      assert.deepEqual([s.cpu.eip, s.cpu.reg(Reg.EAX), s.cpu.selector(Seg.GS)], [0x4321, 0xffff1234, 0]);
      s.cpu.setReg(Reg.ECX, 0x77778888);
      jump();
      assert.deepEqual([s.read16(TSS2 + 0x14), s.typeByte(FREE)], [0x8888, 0x81]);
    });
  });

  describe("faults in the old task's context: nothing has changed (7.3, steps 1 to 7)", () => {
    it("a TSS shorter than 104 bytes is #TS(its selector)", () => {
      s.segment(TSS2_SELECTOR, { base: TSS2, limit: 0x66, type: 9, isSystem: true });
      s.assertFault(() => jump(), TS, TSS2_SELECTOR);
    });
    it("both TSSs must be mapped", () => {
      s.segment(TSS2_SELECTOR, { base: 0x30000, limit: 0x67, type: 9, isSystem: true });
      s.enablePaging().page(0x30000, 0);
      s.assertFault(() => jump(), PF, 0);
      s.page(0x30000, 7).page(TSS, 1);
      s.assertFault(() => jump(), PF, 3);
    });
    it("IRET with NT: the link must name a busy, present TSS in the GDT: #TS, #NP", () => {
      s.segment(FREE, { base: TSS2, limit: 0x67, type: 11, isSystem: true, isPresent: false });
      s.cpu.eflags = Flag.NT | 2;
      const back = (link: number, vector: number, error: number) => {
        s.write16(TSS, link);
        s.assertFault(() => interruptReturn.run(s.cpu, 4, 0), vector, error);
      };
      back(TSS2_SELECTOR, TS, TSS2_SELECTOR);
      back(0x1c, TS, 0x1c);
      back(0x1f8, TS, 0x1f8);
      back(DS0, TS, DS0);
      back(FREE, NP, FREE);
    });
  });

  describe("faults in the new task's context (table 7-1)", () => {
    const bad = (offset: number, selector: number, vector: number, error: number) => {
      const original = s.read32(TSS2 + offset);
      set(offset, selector);
      const fault = catchFault(() => jump());
      assert.deepEqual([fault.vector, fault.errorCode], [vector, error]);
      assert.equal(s.cpu.selector(Seg.TR), TSS2_SELECTOR, "the switch has happened");
      assert.equal(s.cpu.eip, ENTRY);
      set(offset, original);
    };
    /** A new system with a bad selector each time. */
    const cases: [string, number, number, number, number][] = [
      ["LDT that is none", At.LDT, DS0, TS, DS0],
      ["LDT in an LDT", At.LDT, 0x0c, TS, 0x0c],
      ["CS null", At.CS, 0, TS, 0],
      ["CS outside", At.CS, 0x1fb, TS, 0x1f8],
      ["CS data", At.CS, DS3, TS, DS3 & ~3],
      ["CS with another RPL", At.CS, CS1 | 2, TS, CS1 & ~3],
      ["CS not present", At.CS, FREE | 3, NP, FREE],
      ["SS null", At.SS, 0, TS, 0],
      ["SS with another DPL", At.SS, DS1, TS, DS1 & ~3],
      ["SS not present", At.SS, (FREE + 8) | 3, SS, FREE + 8],
      ["DS execute-only", At.DS, (FREE + 16) | 3, TS, FREE + 16],
      ["DS of an inner ring", At.DS, DS0, TS, DS0],
      ["ES not present", At.ES, (FREE + 8) | 3, NP, FREE + 8],
    ];
    for (const [what, offset, selector, vector, error] of cases)
      it(`${what}: vector ${vector}`, () => {
        s.segment(FREE, { type: Type.CODE_RX, dpl: 3, isPresent: false });
        s.segment(FREE + 8, { dpl: 3, isPresent: false });
        s.segment(FREE + 16, { type: Type.CODE_X, dpl: 3 });
        bad(offset, selector, vector, error);
      });
    it("carries EXT when an event outside the program switched", () => {
      s.idtGate(0x20, 5, TSS2_SELECTOR, 0);
      set(At.SS, DS1);
      const fault = catchFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE));
      assert.deepEqual([fault.vector, fault.errorCode], [TS, (DS1 & ~3) | 1]);
    });
    it("an EIP beyond the new limit is #GP(0)", () => {
      s.segment(FREE, { type: Type.CODE_RX, dpl: 3, limit: 0xfff });
      bad(At.CS, FREE | 3, GP, 0);
    });
    it("is delivered from the new task", () => {
      set(At.SS, DS1);
      set(4, 0x8000);
      set(8, DS0);
      const fault = catchFault(() => jump());
      s.idtGate(TS, 14, CS0, 0x27000);
      assert.equal(deliverException(s.cpu, fault), "delivered");
      assert.deepEqual([s.cpu.cpl, s.cpu.eip], [0, 0x27000]);
      assert.equal(s.readStack(2)[1], ENTRY);
    });
  });

  it("the trap bit raises #DB with DR6.BT when all else is done (17.3.1.5)", () => {
    set(At.TRAP, 1);
    const fault = catchFault(() => jump());
    assert.deepEqual([fault.vector, fault.errorCode, s.cpu.eip], [DB, undefined, ENTRY]);
    assert.equal(s.cpu.word(L.DEBUG_REGISTERS + 24) & 0x8000, 0x8000);
    assert.deepEqual([s.cpu.selector(Seg.DS), s.cpu.cpl], [DS3, 3]);
  });

  it("a double-fault task starts with a stack of its own even when the old one is gone (6.15, interrupt 8)", () => {
    s.idtGate(Vector.DF, 5, TSS2_SELECTOR, 0);
    set(At.CS, CS0);
    for (const at of [At.ES, At.SS, At.DS, At.FS, At.GS]) set(at, DS0);
    assert.equal(deliverException(s.cpu, new GuestFault(GP, 0)), "delivered");
    assert.deepEqual([s.cpu.selector(Seg.TR), s.cpu.eip, s.cpu.reg(Reg.ESP)], [TSS2_SELECTOR, ENTRY, 0xaffc]);
  });
});
