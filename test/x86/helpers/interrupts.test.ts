// Delivery through the IDT, double faults, INT n, IRET. SDM Vol. 3, chapter 6; Vol. 2, INT n and IRET.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { Delivery } from "../../../src/x86/cpu";
import { GuestFault } from "../../../src/x86/fault";
import {
  deliverException,
  deliverInterrupt,
  InterruptKind,
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
  DS0,
  DS1,
  DS3,
  FREE,
  GDT,
  IDT,
  STACK_TOP,
  SystemBuilder,
  TSS,
  TSS_SELECTOR,
  TSS2,
  TSS2_SELECTOR,
  Type,
} from "../../support/system-builder";

const { GP, NP, SS, TS, PF, DF, DE, BP, DB, UD } = Vector;
const HANDLER = 0x21000;
const INTERRUPT = 14;
const TRAP = 15;
const IDT_BIT = 2;
const EXT = 1;

/** All vectors through 32-bit interrupt gates to ring 0. */
function system(): SystemBuilder {
  const s = new SystemBuilder();
  for (let vector = 0; vector < 256; vector++) s.idtGate(vector, INTERRUPT, CS0, HANDLER + vector * 16);
  return s;
}

describe("x86/helpers/interrupts", () => {
  describe("a gate of the same ring (SDM Vol. 3, 6.12.1)", () => {
    it("pushes EFLAGS, CS, EIP and the error code, and enters at the gate's offset", () => {
      const s = system();
      s.cpu.eflags = Flag.IF | Flag.CF | Flag.TF | Flag.NT | 2;
      const top = s.cpu.reg(Reg.ESP);
      deliverInterrupt(s.cpu, GP, 0x1234, "exception", CODE);
      assert.equal(s.cpu.reg(Reg.ESP), top - 16);
      assert.deepEqual(s.readStack(4), [0x1234, CODE, CS0, Flag.IF | Flag.CF | Flag.TF | Flag.NT | Flag.RF | 2]);
      assert.equal(s.cpu.eip, HANDLER + GP * 16);
      assert.equal(s.cpu.eflags, Flag.CF | 2);
    });
    it("leaves IF alone through a trap gate", () => {
      const s = system().idtGate(0x40, TRAP, CS0, HANDLER);
      s.cpu.eflags = Flag.IF | Flag.TF | 2;
      deliverInterrupt(s.cpu, 0x40, undefined, "external", CODE);
      assert.equal(s.cpu.eflags, Flag.IF | 2);
    });
    it("pushes words and takes 16 bits of offset through a 16-bit gate", () => {
      const s = system().idtGate(0x40, 6, CS0, 0x12345678);
      deliverInterrupt(s.cpu, 0x40, 0xabcd, "exception", 0x33334444);
      const at = s.cpu.reg(Reg.ESP);
      assert.equal(at, STACK_TOP[0] - 0x100 - 8);
      assert.deepEqual([s.read16(at), s.read16(at + 2), s.read16(at + 4)], [0xabcd, 0x4444, CS0]);
      assert.equal(s.cpu.eip, 0x5678);
    });
    it("goes to conforming code at the CPL it finds", () => {
      const s = system()
        .segment(FREE, { type: Type.CONFORMING_RX })
        .idtGate(0x40, INTERRUPT, FREE, HANDLER)
        .enterRing(3);
      deliverInterrupt(s.cpu, 0x40, undefined, "external", CODE);
      assert.deepEqual([s.cpu.cpl, s.cpu.selector(Seg.CS)], [3, FREE | 3]);
      assert.equal(s.cpu.selector(Seg.SS), DS3);
    });
    it("sets RF in the image of faults only (Vol. 3, 17.3.1.1)", () => {
      for (const [vector, source, isSet] of [
        [PF, "exception", true],
        [UD, "exception", true],
        [DB, "exception", false],
        [DF, "exception", false],
        [0x40, "external", false],
        [0x0e, "external", false],
      ] as const) {
        const s = system();
        deliverInterrupt(s.cpu, vector, undefined, source, CODE);
        assert.equal((s.readStack(3)[2] & Flag.RF) !== 0, isSet, `vector ${vector}`);
      }
    });
  });

  describe("a gate to an inner ring (SDM Vol. 3, 6.12.1; Vol. 2, INTER-PRIVILEGE-LEVEL-INTERRUPT)", () => {
    it("takes SS:ESP of ring 0 from the TSS and pushes the old ones", () => {
      const s = system().enterRing(3);
      const esp = s.cpu.reg(Reg.ESP);
      s.cpu.eflags = Flag.IF | 2;
      deliverInterrupt(s.cpu, PF, 6, "exception", CODE);
      assert.equal(s.cpu.cpl, 0);
      assert.equal(s.cpu.reg(Reg.ESP), STACK_TOP[0] - 24);
      assert.deepEqual(s.readStack(6), [6, CODE, CS3, Flag.IF | Flag.RF | 2, esp, DS3]);
      assert.deepEqual([s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS)], [CS0, DS0]);
      assert.equal(s.cpu.selector(Seg.DS), DS3);
      assert.equal(s.cpu.word(L.TLB_CURRENT), s.cpu.tlb.set(false));
    });
    it("takes SS:ESP of ring 1 for a ring-1 segment, from ring 3 and not from ring 1", () => {
      const s = system().idtGate(0x80, TRAP, CS1, HANDLER, 3).enterRing(3);
      softwareInterrupt.run(s.cpu, 0x80, CODE + 2);
      assert.deepEqual([s.cpu.cpl, s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS)], [1, CS1, DS1]);
      assert.equal(s.cpu.reg(Reg.ESP), STACK_TOP[1] - 20);
      assert.equal(s.readStack(1)[0], CODE + 2);
      softwareInterrupt.run(s.cpu, 0x80, HANDLER + 2);
      assert.equal(s.cpu.reg(Reg.ESP), STACK_TOP[1] - 32);
    });
    it("from ring 1 to ring 0 uses ring 0's stack", () => {
      const s = system().enterRing(1);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
      assert.deepEqual([s.cpu.cpl, s.cpu.reg(Reg.ESP)], [0, STACK_TOP[0] - 20]);
      assert.equal(s.readStack(5)[4], DS1);
    });
    it("uses a 16-bit TSS's stacks", () => {
      const s = system().enterRing(3);
      s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, 0x2b, 0x8300, true);
      s.write16(TSS + 2, 0x7000);
      s.write16(TSS + 4, DS0);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
      assert.equal(s.cpu.reg(Reg.ESP), 0x7000 - 20);
    });
    it("raises #TS(TR | EXT) when the stack pointers lie beyond the TSS limit", () => {
      const s = system().enterRing(3);
      s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, 8, 0x8b00, true);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), TS, TSS_SELECTOR | EXT);
      s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, 9, 0x8b00, true);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
    });
    it("raises #TS for a bad SS in the TSS: null, outside, other RPL, other DPL, read-only", () => {
      const s = system().segment(FREE, { type: Type.DATA_RO }).enterRing(3);
      const withSs = (selector: number, error: number) => {
        s.write16(TSS + 8, selector);
        s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), TS, error | EXT);
      };
      withSs(0, 0);
      withSs(0x1f8, 0x1f8);
      withSs(DS0 | 1, DS0);
      withSs(DS1 & ~3, DS1 & ~3);
      withSs(FREE, FREE);
      s.idtGate(0x80, TRAP, CS0, HANDLER, 3);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x80, CODE), TS, FREE);
    });
    it("raises #SS(selector | EXT) for a stack that is not present or too small", () => {
      const s = system()
        .segment(FREE, { isPresent: false })
        .segment(FREE + 8, { limit: 0xfff })
        .enterRing(3);
      s.write16(TSS + 8, FREE);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), SS, FREE | EXT);
      s.write16(TSS + 8, FREE + 8);
      s.write32(TSS + 4, 19);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), SS, (FREE + 8) | EXT);
      s.write32(TSS + 4, 20);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
      assert.equal(s.cpu.reg(Reg.ESP), 0);
    });
    it("changes nothing when the second page of the frame is missing: #PF, then a double fault is not made of it", () => {
      const s = system().enablePaging().enterRing(3);
      s.write32(TSS + 4, 0x7008);
      s.page(0x6000, 0);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), PF, 2);
      assert.equal(s.cpu.cr2, 0x6ffc);
    });
    it("does not touch an accessed bit that is set, and sets those that are clear", () => {
      const s = system().enablePaging().page(GDT, 1).enterRing(3);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
      const t = system().clearAccessed(CS0).clearAccessed(DS0).enterRing(3);
      deliverInterrupt(t.cpu, 0x20, undefined, "external", CODE);
      assert.deepEqual([t.typeByte(CS0), t.typeByte(DS0)], [0x9b, 0x93]);
    });
    it("faults whole when an accessed bit cannot be written", () => {
      const s = system().clearAccessed(CS0).enablePaging().page(GDT, 1).enterRing(3);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), PF, 3);
    });
    it("reads IDT, GDT and TSS as supervisor", () => {
      const s = system().enablePaging().page(GDT, 3).page(IDT, 3).page(TSS, 3).page(0x7000, 3).enterRing(3);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
      assert.equal(s.cpu.cpl, 0);
    });
  });

  describe("gate checks and error codes (SDM Vol. 2, INT n, PROTECTED-MODE; Vol. 3, 6.13)", () => {
    it("INT n with a gate DPL below CPL is #GP(n * 8 + IDT); exceptions and external interrupts ignore DPL", () => {
      const s = system().enterRing(3);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x20, CODE + 2), GP, 0x20 * 8 + IDT_BIT);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
    });
    it("beyond the IDT limit is #GP(n * 8 + IDT + EXT)", () => {
      const s = system();
      s.cpu.setWord(L.IDTR_LIMIT, 0x20 * 8 + 6);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE), GP, 0x20 * 8 + IDT_BIT + EXT);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x20, CODE), GP, 0x20 * 8 + IDT_BIT);
      s.cpu.setWord(L.IDTR_LIMIT, 0x20 * 8 + 7);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE);
    });
    it("another type is #GP, a gate that is not present #NP, privilege before presence", () => {
      const s = system().idtGate(0x30, 12, CS0, HANDLER).idtGate(0x31, INTERRUPT, CS0, HANDLER, 0, false).enterRing(3);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x30, undefined, "external", CODE), GP, 0x30 * 8 + IDT_BIT + EXT);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x31, undefined, "external", CODE), NP, 0x31 * 8 + IDT_BIT + EXT);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x31, CODE), GP, 0x31 * 8 + IDT_BIT);
    });
    it("checks the code segment: null, outside, data, outer ring, not present, offset", () => {
      const s = system().segment(FREE, { type: Type.CODE_RX, isPresent: false });
      s.segment(FREE + 8, { type: Type.CODE_RX, limit: 0xfff });
      const to = (selector: number, vector: number, error: number, offset = HANDLER) => {
        s.idtGate(0x40, INTERRUPT, selector, offset);
        s.assertFault(() => deliverInterrupt(s.cpu, 0x40, undefined, "external", CODE), vector, error | EXT);
        s.assertFault(() => softwareInterrupt.run(s.cpu, 0x40, CODE), vector, error);
      };
      to(0, GP, 0);
      to(3, GP, 0);
      to(0x1f8, GP, 0x1f8);
      to(DS0, GP, DS0);
      to(CS3, GP, CS3 & ~3);
      to(FREE, NP, FREE);
      to(FREE + 8, GP, 0, 0x1000);
    });
    it("raises #SS(EXT) when the current stack is too small", () => {
      const s = system();
      s.cpu.setSegment(Seg.SS, DS0, 0, 0xfff, 0x409300, true);
      s.cpu.setReg(Reg.ESP, 11);
      s.cpu.updateMode();
      s.assertFault(() => deliverInterrupt(s.cpu, 0x40, undefined, "external", CODE), SS, EXT);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x40, CODE), SS, 0);
    });
    it("INT1 needs no privilege, INT 1 does", () => {
      const s = system().enterRing(3);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 1, CODE, InterruptKind.INT_N), GP, 8 + IDT_BIT);
      softwareInterrupt.run(s.cpu, 1, CODE + 1, InterruptKind.INT1);
      assert.equal(s.readStack(1)[0], CODE + 1);
    });
  });

  it("tells the observer after the delivery, and ends HLT and the interrupt shadow", () => {
    const s = system().enterRing(3);
    const seen: Delivery[] = [];
    s.cpu.onDelivery = (delivery) => seen.push(delivery);
    s.cpu.setWord(L.HALTED, 1);
    s.cpu.setWord(L.INTERRUPT_SHADOW, 1);
    deliverInterrupt(s.cpu, PF, 4, "exception", CODE);
    assert.deepEqual(seen, [
      { vector: PF, errorCode: 4, source: "exception", fromCpl: 3, fromCs: CS3, fromEip: CODE, toCpl: 0 },
    ]);
    assert.deepEqual([s.cpu.word(L.HALTED), s.cpu.word(L.INTERRUPT_SHADOW)], [0, 0]);
  });

  describe("double faults (SDM Vol. 3, table 6-5)", () => {
    const run = (prepare: (s: SystemBuilder) => void, fault: GuestFault) => {
      const s = system();
      prepare(s);
      const chain: GuestFault[] = [];
      const result = deliverException(s.cpu, fault, chain);
      return { s, result, vectors: chain.map((f) => f.vector) };
    };
    it("a fault during a benign exception is delivered in its place, with EXT", () => {
      const { s, vectors } = run((s) => s.idtGate(UD, INTERRUPT, CS0, HANDLER, 0, false), new GuestFault(UD));
      assert.deepEqual(vectors, [UD, NP]);
      assert.deepEqual(s.readStack(2), [UD * 8 + IDT_BIT + EXT, CODE]);
    });
    it("contributory during contributory is a double fault with error code 0", () => {
      for (const first of [DE, TS, NP, SS, GP]) {
        const { s, vectors } = run((s) => s.idtGate(first, INTERRUPT, DS0, HANDLER), new GuestFault(first, 0));
        assert.deepEqual(vectors, [first, GP, DF]);
        assert.deepEqual(s.readStack(2), [0, CODE]);
        assert.equal(s.cpu.eip, HANDLER + DF * 16);
      }
    });
    it("contributory or page fault during a page fault is a double fault", () => {
      const missingGate = run((s) => s.idtGate(PF, INTERRUPT, CS0, HANDLER, 0, false), new GuestFault(PF, 4));
      assert.deepEqual(missingGate.vectors, [PF, NP, DF]);
      const page = run((s) => {
        s.idtGate(DF, INTERRUPT, CS0, HANDLER).enablePaging().enterRing(3).page(0x7000, 0);
        s.idtGate(PF, INTERRUPT, CS0, HANDLER).idtGate(DF, 5, TSS2_SELECTOR, 0);
        buildTask(s);
      }, new GuestFault(PF, 4));
      assert.deepEqual(page.vectors, [PF, PF, DF]);
      assert.equal(page.s.cpu.selector(Seg.TR), TSS2_SELECTOR);
    });
    it("a page fault during a contributory exception is delivered after it, serially", () => {
      const { vectors, result } = run((s) => {
        s.enablePaging().idtGate(GP, INTERRUPT, FREE, HANDLER).clearAccessed(CS0);
        s.segment(FREE, { type: Type.CODE_RX }).clearAccessed(FREE).page(GDT, 1);
        s.idtGate(PF, INTERRUPT, CS1, HANDLER);
        s.enterRing(1);
      }, new GuestFault(GP, 0));
      assert.deepEqual([vectors, result], [[GP, PF], "delivered"]);
    });
    it("a fault while calling the double-fault handler shuts the processor down, state untouched (6.15, interrupt 8)", () => {
      const s = system();
      for (const vector of [GP, DF]) s.idtGate(vector, INTERRUPT, CS0, HANDLER, 0, false);
      const before = s.snapshot();
      const chain: GuestFault[] = [];
      assert.equal(deliverException(s.cpu, new GuestFault(GP, 0), chain), "shutdown");
      assert.deepEqual(
        chain.map((f) => f.vector),
        [GP, NP, DF, NP],
      );
      assert.ok(before.equals(s.snapshot()));
    });
    it("an empty IDT shuts down", () => {
      const s = new SystemBuilder();
      s.cpu.setWord(L.IDTR_LIMIT, 0);
      assert.equal(deliverException(s.cpu, new GuestFault(UD)), "shutdown");
    });
  });

  describe("IRET (SDM Vol. 2)", () => {
    it("returns to the same ring and takes the flags that CPL 0 may load", () => {
      const s = system();
      s.stackWords(HANDLER, CS0, 0xffff_ffff & ~Flag.VM & ~Flag.NT);
      const esp = s.cpu.reg(Reg.ESP);
      interruptReturn.run(s.cpu, 4, 0);
      assert.deepEqual([s.cpu.eip, s.cpu.reg(Reg.ESP)], [HANDLER, esp + 12]);
      assert.equal(s.cpu.eflags, 0x8d5 | 2 | Flag.TF | Flag.IF | Flag.DF | Flag.IOPL | Flag.AC | Flag.ID);
    });
    it("keeps IF and IOPL at ring 1 with IOPL 0, silently", () => {
      const s = system().enterRing(1);
      s.cpu.eflags = Flag.IF | 2;
      s.stackWords(HANDLER, CS1, Flag.IOPL | Flag.CF | 2);
      interruptReturn.run(s.cpu, 4, 0);
      assert.equal(s.cpu.eflags, Flag.IF | Flag.CF | 2);
    });
    it("loads IF but not IOPL at ring 3 with IOPL 3", () => {
      const s = system().enterRing(3);
      s.cpu.eflags = Flag.IF | Flag.IOPL | 2;
      s.stackWords(HANDLER, CS3, 2);
      interruptReturn.run(s.cpu, 4, 0);
      assert.equal(s.cpu.eflags, Flag.IOPL | 2);
    });
    it("returns from ring 0 to ring 1 and 3 with their stacks, undoing a delivery", () => {
      for (const ring of [1, 3]) {
        const s = system().enterRing(ring);
        s.cpu.eflags = Flag.IF | Flag.ZF | 2;
        const state = () => [
          s.cpu.cpl,
          s.cpu.reg(Reg.ESP),
          s.cpu.selector(Seg.CS),
          s.cpu.selector(Seg.SS),
          s.cpu.eflags,
        ];
        const before = state();
        deliverInterrupt(s.cpu, 0x20, undefined, "external", CODE + 4);
        interruptReturn.run(s.cpu, 4, 0);
        assert.deepEqual(state(), before);
        assert.equal(s.cpu.eip, CODE + 4);
      }
    });
    it("nulls data segments that the outer ring may not use, and keeps conforming code", () => {
      const s = system().segment(FREE, { type: Type.CONFORMING_RX });
      s.cpu.setSegment(Seg.DS, DS1, 0, 0xffffffff, 0xc0b300, true);
      s.cpu.setSegment(Seg.ES, DS3, 0, 0xffffffff, 0xc0f300, true);
      s.cpu.setSegment(Seg.FS, FREE, 0, 0xffffffff, 0xc09f00, true);
      s.stackWords(CODE, CS3, 2, 0xa800, DS3);
      interruptReturn.run(s.cpu, 4, 0);
      assert.deepEqual(
        [Seg.DS, Seg.ES, Seg.FS, Seg.GS].map((seg) => s.cpu.selector(seg)),
        [0, DS3, FREE, 0],
      );
      assert.equal(s.cpu.isSegmentUsable(Seg.GS), false);
      assert.equal(s.cpu.word(L.TLB_CURRENT), s.cpu.tlb.set(true));
    });
    it("checks the code segment in the manual's order", () => {
      const s = system().enterRing(1);
      s.segment(FREE, { type: Type.CODE_RX, dpl: 1, isPresent: false });
      s.segment(FREE + 8, { type: Type.CONFORMING_RX, dpl: 2 });
      s.segment(FREE + 16, { type: Type.CODE_RX, dpl: 1, limit: 0xfff });
      const to = (selector: number, vector: number, error: number, eip = CODE) => {
        s.stackWords(eip, selector, 2);
        s.assertFault(() => interruptReturn.run(s.cpu, 4, 0), vector, error);
      };
      to(0, GP, 0);
      to(0x1f9, GP, 0x1f8);
      to(DS1, GP, DS1 & ~3);
      to(CS0, GP, CS0);
      to(CS3 & ~3, GP, CS3 & ~3);
      to((CS1 & ~3) | 3, GP, CS1 & ~3);
      to((FREE + 8) | 1, GP, FREE + 8);
      to(FREE | 1, NP, FREE);
      to((FREE + 16) | 1, GP, 0, 0x1000);
    });
    it("checks the outer stack: #GP and #SS with its selector", () => {
      const s = system()
        .segment(FREE, { dpl: 3, isPresent: false })
        .segment(FREE + 8, { type: Type.DATA_RO, dpl: 3 });
      const to = (selector: number, vector: number, error: number) => {
        s.stackWords(CODE, CS3, 2, 0xa000, selector);
        s.assertFault(() => interruptReturn.run(s.cpu, 4, 0), vector, error);
      };
      to(0, GP, 0);
      to(0x1fb, GP, 0x1f8);
      to(DS1, GP, DS1 & ~3);
      to(DS0 | 3, GP, DS0);
      to((FREE + 8) | 3, GP, FREE + 8);
      to(FREE | 3, SS, FREE);
    });
    it("raises #SS(0) when the frame is not on the stack", () => {
      const s = system();
      s.cpu.setSegment(Seg.SS, DS0, 0, 0x7f0a, 0x409300, true);
      s.cpu.updateMode();
      s.stackWords(CODE, CS0, 2);
      s.assertFault(() => interruptReturn.run(s.cpu, 4, 0), SS, 0);
    });
    it("with a 16-bit stack segment keeps the upper half of ESP", () => {
      const s = system().segment(FREE, { dpl: 3, isBig: false });
      s.cpu.setReg(Reg.ESP, 0x17f00);
      s.stackWords(CODE, CS3, 2, 0xaaaa8888, FREE | 3);
      interruptReturn.run(s.cpu, 4, 0);
      assert.equal(s.cpu.reg(Reg.ESP), 0x18888);
    });
    it("pops words with a 16-bit operand size and leaves the upper half of EFLAGS", () => {
      const s = system();
      s.cpu.eflags = Flag.AC | 2;
      const at = s.cpu.reg(Reg.ESP);
      s.write16(at, 0x4321);
      s.write16(at + 2, CS0);
      s.write16(at + 4, Flag.CF);
      interruptReturn.run(s.cpu, 2, 0);
      assert.deepEqual([s.cpu.eip, s.cpu.eflags, s.cpu.reg(Reg.ESP)], [0x4321, Flag.AC | Flag.CF | 2, at + 6]);
    });
    it("ignores VM in the image unless CPL is 0", () => {
      const s = system().enterRing(1);
      s.stackWords(HANDLER, CS1, Flag.VM | 2);
      interruptReturn.run(s.cpu, 4, 0);
      assert.equal(s.cpu.eflags & Flag.VM, 0);
    });
  });

  describe("virtual-8086 mode (SDM Vol. 3, 20.2, 20.3)", () => {
    it("is entered by IRET from ring 0 with a nine-word frame", () => {
      const s = system();
      s.stackWords(0x100, 0x2000, Flag.VM | Flag.IF | 2, 0xffe, 0x2100, 0x2200, 0x2300, 0x2400, 0x2500);
      interruptReturn.run(s.cpu, 4, 0);
      assert.equal(s.cpu.cpl, 3);
      assert.equal(s.cpu.word(L.MODE) & (L.Mode.VM86 | L.Mode.PROTECTED), L.Mode.VM86);
      assert.deepEqual(
        [Seg.CS, Seg.SS, Seg.ES, Seg.DS, Seg.FS, Seg.GS].map((seg) => s.cpu.segmentBase(seg)),
        [0x20000, 0x21000, 0x22000, 0x23000, 0x24000, 0x25000],
      );
      assert.equal(s.cpu.reg(Reg.ESP), 0xffe);
    });
    it("is left by an interrupt: the data segments are pushed and nulled", () => {
      const s = system().enterVirtual8086(0);
      deliverInterrupt(s.cpu, 0x20, undefined, "external", 0x102);
      assert.equal(s.cpu.cpl, 0);
      assert.deepEqual(s.readStack(9), [
        0x102,
        0x2000,
        Flag.VM | Flag.IF | 2,
        0x1000,
        0x2000,
        0x2000,
        0x2000,
        0x2000,
        0x2000,
      ]);
      assert.deepEqual(
        [Seg.ES, Seg.DS].map((seg) => s.cpu.isSegmentUsable(seg)),
        [false, false],
      );
      assert.equal(s.cpu.word(L.MODE) & L.Mode.PROTECTED, L.Mode.PROTECTED);
      interruptReturn.run(s.cpu, 4, 0);
      assert.deepEqual([s.cpu.eip, s.cpu.segmentBase(Seg.DS), s.cpu.word(L.MODE) & L.Mode.VM86], [0x102, 0x20000, 16]);
    });
    it("refuses gates to rings other than 0 with #GP(selector)", () => {
      const s = system().idtGate(0x20, INTERRUPT, CS1, HANDLER).enterVirtual8086(3);
      s.assertFault(() => deliverInterrupt(s.cpu, 0x20, undefined, "external", 0), GP, (CS1 & ~3) | EXT);
    });
    it("INT n and IRET need IOPL 3: #GP(0); INT3 does not", () => {
      const s = system().idtGate(BP, INTERRUPT, CS0, HANDLER, 3).enterVirtual8086(2);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x21, 2), GP, 0);
      s.assertFault(() => interruptReturn.run(s.cpu, 2, 0), GP, 0);
      softwareInterrupt.run(s.cpu, BP, 0x101, InterruptKind.BREAKPOINT);
      assert.equal(s.cpu.cpl, 0);
    });
  });

  describe("real mode (SDM Vol. 3, 20.1.4)", () => {
    it("uses the vector table, pushes three words, and IRET undoes it", () => {
      const s = new SystemBuilder().enterReal();
      s.cpu.setWord(L.IDTR_BASE, 0);
      s.cpu.setWord(L.IDTR_LIMIT, 0x3ff);
      s.write32(0x21 * 4, 0x30000456);
      s.cpu.eflags = Flag.IF | Flag.TF | Flag.CF | 2;
      softwareInterrupt.run(s.cpu, 0x21, 0x102);
      assert.deepEqual([s.cpu.segmentBase(Seg.CS), s.cpu.eip, s.cpu.reg(Reg.ESP)], [0x30000, 0x456, 0xffa]);
      assert.deepEqual([s.read16(0x20ffa), s.read16(0x20ffc), s.read16(0x20ffe)], [0x102, 0x2000, 0x303]);
      assert.equal(s.cpu.eflags, Flag.CF | 2);
      interruptReturn.run(s.cpu, 2, 0);
      assert.deepEqual([s.cpu.eip, s.cpu.eflags], [0x102, Flag.IF | Flag.TF | Flag.CF | 2]);
    });
    it("raises #GP beyond the table's limit", () => {
      const s = new SystemBuilder().enterReal();
      s.cpu.setWord(L.IDTR_LIMIT, 0x21 * 4 + 2);
      s.assertFault(() => softwareInterrupt.run(s.cpu, 0x21, 0), GP, 0);
    });
  });

  it("a CR3 load under a live stack: the frame comes from the new space (Vol. 3, 4.10)", () => {
    const s = system().enablePaging();
    // A second directory in which the stack page 0x7000 is another physical page.
    const [directory, table] = [0x12000, 0x13000];
    s.write32(directory, table | 7);
    for (let i = 0; i < 256; i++) s.write32(table + i * 4, (i === 7 ? 0x40000 : i << 12) | 7);
    s.cpu.setReg(Reg.ESP, 0x7f00);
    s.stackWords(0xbad, 0xbad, 0xbad);
    s.write32(0x40f00, HANDLER);
    s.write32(0x40f04, CS1);
    s.write32(0x40f08, Flag.IF | 2);
    s.write32(0x40f0c, 0x8f00);
    s.write32(0x40f10, DS1);
    s.cpu.setWord(L.CR3, directory);
    s.cpu.tlb.flushAll();
    interruptReturn.run(s.cpu, 4, 0);
    assert.deepEqual([s.cpu.eip, s.cpu.cpl, s.cpu.reg(Reg.ESP)], [HANDLER, 1, 0x8f00]);
  });
});

/** A ring-0 task in TSS2 whose stack is elsewhere. */
function buildTask(s: SystemBuilder): void {
  s.write32(TSS2 + 0x1c, s.cpu.cr3);
  s.write32(TSS2 + 0x20, HANDLER);
  s.write32(TSS2 + 0x24, 2);
  s.write32(TSS2 + 0x38, 0x9000);
  for (let i = 0; i < 6; i++) s.write32(TSS2 + 0x48 + i * 4, i === 1 ? CS0 : DS0);
}
