// Segment loads, accesses through segments, LDTR, TR, LAR, LSL, VERR, VERW. SDM Vol. 3, chapters 3 and 5.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import {
  isLarValid,
  isLslValid,
  larValue,
  linearForAccess,
  loadDescriptorTable,
  loadLdt,
  loadSegment,
  loadSegmentOfPointer,
  loadTask,
  lslValue,
  verifyRead,
  verifyWrite,
} from "../../../src/x86/helpers";
import * as L from "../../../src/x86/state-layout";
import { Seg, Vector } from "../../../src/x86/state-layout";
import {
  CS0,
  CS3,
  catchFault,
  DS0,
  DS1,
  DS3,
  FREE,
  GDT,
  LDT_SELECTOR,
  SystemBuilder,
  TSS_SELECTOR,
  TSS2_SELECTOR,
  Type,
} from "../../support/system-builder";

const { GP, NP, SS, UD, PF } = Vector;

describe("x86/helpers/segmentation", () => {
  describe("loading DS, ES, FS, GS (SDM Vol. 2 MOV)", () => {
    it("takes base, limit and attributes from the descriptor and keeps the selector's RPL", () => {
      const s = new SystemBuilder().segment(FREE, { base: 0x12345678, limit: 0xabc, type: Type.DATA_RO, dpl: 3 });
      s.enterRing(3);
      loadSegment.run(s.cpu, Seg.FS, FREE | 3);
      assert.equal(s.cpu.selector(Seg.FS), FREE | 3);
      assert.equal(s.cpu.segmentBase(Seg.FS), 0x12345678);
      assert.equal(s.cpu.segmentLimit(Seg.FS), 0xabc);
      assert.equal(s.cpu.segmentAttributes(Seg.FS), 0x40f100);
    });
    it("scales the limit by 4 KiB where G is set", () => {
      const s = new SystemBuilder().segment(FREE, { limit: 0x123fff });
      loadSegment.run(s.cpu, Seg.GS, FREE);
      assert.equal(s.cpu.segmentLimit(Seg.GS), 0x123fff);
    });
    it("accepts a null selector with any RPL, and the next access faults", () => {
      const s = new SystemBuilder();
      loadSegment.run(s.cpu, Seg.ES, 3);
      assert.equal(s.cpu.selector(Seg.ES), 3);
      s.assertFault(() => linearForAccess(s.cpu, Seg.ES, 0, 1, false), GP, 0);
    });
    it("raises #GP(selector) beyond the table's limit, by its last byte", () => {
      const s = new SystemBuilder();
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, 0x103), GP, 0x100);
      s.cpu.setWord(L.GDTR_LIMIT, DS0 + 6);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, DS0), GP, DS0);
      s.cpu.setWord(L.GDTR_LIMIT, DS0 + 7);
      loadSegment.run(s.cpu, Seg.DS, DS0);
    });
    it("raises #GP(selector | TI) without an LDT, and for an entry beyond it", () => {
      const s = new SystemBuilder();
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, 0x87), GP, 0x84);
      loadLdt.run(s.cpu, 0);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, 0x0c), GP, 0x0c);
    });
    it("finds a descriptor in the LDT", () => {
      const s = new SystemBuilder().segment(0x0c, { base: 0x5000, limit: 0xff });
      loadSegment.run(s.cpu, Seg.DS, 0x0c);
      assert.equal(s.cpu.segmentBase(Seg.DS), 0x5000);
    });
    it("refuses execute-only code and system descriptors with #GP(selector)", () => {
      const s = new SystemBuilder().segment(FREE, { type: Type.CODE_X });
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, FREE), GP, FREE);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, TSS_SELECTOR), GP, TSS_SELECTOR);
    });
    it("refuses a DPL below CPL or RPL with #GP(selector), except conforming code", () => {
      const s = new SystemBuilder().segment(FREE, { type: Type.CONFORMING_RX, dpl: 0 });
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, DS0 | 3), GP, DS0);
      s.enterRing(3);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, DS0), GP, DS0);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, DS1), GP, DS1 & ~3);
      loadSegment.run(s.cpu, Seg.DS, FREE | 3);
      assert.equal(s.cpu.selector(Seg.DS), FREE | 3);
    });
    it("raises #NP(selector) for a segment that is not present, after the type and privilege checks", () => {
      const s = new SystemBuilder().segment(FREE, { isPresent: false, dpl: 3 });
      s.segment(FREE + 8, { isPresent: false, type: Type.CODE_X, dpl: 3 });
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, FREE), NP, FREE);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, FREE + 8), GP, FREE + 8);
    });
  });

  describe("loading SS (SDM Vol. 2 MOV)", () => {
    it("refuses null with #GP(0)", () => {
      const s = new SystemBuilder();
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, 0), GP, 0);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, 3), GP, 0);
    });
    it("refuses another RPL or DPL, read-only data and code with #GP(selector)", () => {
      const s = new SystemBuilder().segment(FREE, { type: Type.DATA_RO, dpl: 3 });
      s.enterRing(3);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, DS3 & ~3), GP, DS3 & ~3);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, DS0 | 3), GP, DS0);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, FREE | 3), GP, FREE);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, CS3), GP, CS3 & ~3);
    });
    it("raises #SS(selector) when not present", () => {
      const s = new SystemBuilder().segment(FREE, { isPresent: false });
      s.assertFault(() => loadSegment.run(s.cpu, Seg.SS, FREE), SS, FREE);
    });
    it("holds interrupts off for one instruction after MOV and POP, not after LSS (Vol. 3, 6.8.3)", () => {
      const s = new SystemBuilder();
      loadSegmentOfPointer.run(s.cpu, Seg.SS, DS0);
      assert.equal(s.cpu.word(L.INTERRUPT_SHADOW), 0);
      loadSegment.run(s.cpu, Seg.DS, DS0);
      assert.equal(s.cpu.word(L.INTERRUPT_SHADOW), 0);
      loadSegment.run(s.cpu, Seg.SS, DS0);
      assert.equal(s.cpu.word(L.INTERRUPT_SHADOW), L.Shadow.STACK);
    });
    it("follows B: a 16-bit stack changes the mode", () => {
      const s = new SystemBuilder().segment(FREE, { isBig: false });
      loadSegment.run(s.cpu, Seg.SS, FREE);
      assert.equal(s.cpu.word(L.MODE) & L.Mode.STACK32, 0);
    });
  });

  describe("the accessed bit (SDM Vol. 3, 3.4.5.1)", () => {
    it("is set in the table when it was clear", () => {
      const s = new SystemBuilder().clearAccessed(DS0);
      loadSegment.run(s.cpu, Seg.DS, DS0);
      assert.equal(s.typeByte(DS0), 0x93);
      assert.equal(s.cpu.segmentAttributes(Seg.DS) & 0x100, 0x100);
    });
    it("is not written when it was set: a read-only GDT is fine then", () => {
      const s = new SystemBuilder().enablePaging().page(GDT, 1);
      loadSegment.run(s.cpu, Seg.DS, DS0);
    });
    it("faults with #PF on a read-only GDT when it must be written, also for ring 0 (CR0.WP)", () => {
      const s = new SystemBuilder().clearAccessed(DS0).enablePaging().page(GDT, 1);
      s.assertFault(() => loadSegment.run(s.cpu, Seg.DS, DS0), PF, 3);
      assert.equal(s.cpu.cr2, GDT + DS0 + 5);
    });
    it("is a supervisor's access: ring 3 loads from a supervisor-only GDT", () => {
      const s = new SystemBuilder().clearAccessed(DS3).enablePaging().page(GDT, 3).enterRing(3);
      loadSegment.run(s.cpu, Seg.DS, DS3);
      assert.equal(s.typeByte(DS3), 0xf3);
    });
  });

  describe("real and virtual-8086 mode (SDM Vol. 3, 20.1.1, 20.2.1)", () => {
    it("multiplies the selector by 16 and asks nothing", () => {
      for (const s of [new SystemBuilder().enterReal(), new SystemBuilder().enterVirtual8086(0)]) {
        loadSegment.run(s.cpu, Seg.DS, 0x1234);
        assert.equal(s.cpu.segmentBase(Seg.DS), 0x12340);
        assert.equal(s.cpu.segmentLimit(Seg.DS), 0xffff);
      }
    });
    it("keeps a large limit in real mode", () => {
      const s = new SystemBuilder().enterReal();
      s.cpu.setSegment(Seg.DS, 0, 0, 0xffffffff, 0xc09300, true);
      loadSegment.run(s.cpu, Seg.DS, 0x10);
      assert.equal(linearForAccess(s.cpu, Seg.DS, 0x80000, 4, true), 0x80100);
    });
  });

  describe("access through a segment (SDM Vol. 3, 5.3, 5.4)", () => {
    const load = (options: Parameters<SystemBuilder["segment"]>[1]) => {
      const s = new SystemBuilder().segment(FREE, options);
      loadSegment.run(s.cpu, Seg.ES, FREE);
      return s;
    };
    it("checks the last byte against the limit", () => {
      const s = load({ base: 0x100, limit: 0x1003 });
      assert.equal(linearForAccess(s.cpu, Seg.ES, 0x1000, 4, true), 0x1100);
      s.assertFault(() => linearForAccess(s.cpu, Seg.ES, 0x1001, 4, true), GP, 0);
      s.assertFault(() => linearForAccess(s.cpu, Seg.ES, 0xffffffff, 2, false), GP, 0);
    });
    it("turns the limit round for expand-down, with B as the upper bound", () => {
      const wide = load({ limit: 0xfff, type: Type.DATA_DOWN_RW });
      wide.assertFault(() => linearForAccess(wide.cpu, Seg.ES, 0xfff, 1, false), GP, 0);
      assert.equal(linearForAccess(wide.cpu, Seg.ES, 0x1000, 1, false), 0x1000);
      assert.equal(linearForAccess(wide.cpu, Seg.ES, 0xfffffffc, 4, false), 0xfffffffc);
      wide.assertFault(() => linearForAccess(wide.cpu, Seg.ES, 0xfffffffd, 4, false), GP, 0);
      const narrow = load({ limit: 0xfff, type: Type.DATA_DOWN_RW, isBig: false });
      assert.equal(linearForAccess(narrow.cpu, Seg.ES, 0xfffc, 4, false), 0xfffc);
      narrow.assertFault(() => linearForAccess(narrow.cpu, Seg.ES, 0xfffd, 4, false), GP, 0);
    });
    it("forbids writing to read-only data and to code, and reading execute-only code", () => {
      const readOnly = load({ type: Type.DATA_RO });
      readOnly.assertFault(() => linearForAccess(readOnly.cpu, Seg.ES, 0, 1, true), GP, 0);
      assert.equal(linearForAccess(readOnly.cpu, Seg.ES, 0, 1, false), 0);
      const code = load({ type: Type.CODE_RX });
      code.assertFault(() => linearForAccess(code.cpu, Seg.ES, 0, 1, true), GP, 0);
      code.cpu.setSegment(Seg.CS, CS0, 0, 0xffffffff, 0xc09900, true);
      code.assertFault(() => linearForAccess(code.cpu, Seg.CS, 0, 1, false), GP, 0);
    });
    it("raises #SS(0) for the stack segment", () => {
      const s = new SystemBuilder().segment(FREE, { limit: 0xff });
      loadSegment.run(s.cpu, Seg.SS, FREE);
      s.assertFault(() => linearForAccess(s.cpu, Seg.SS, 0x100, 1, false), SS, 0);
    });
    it("wraps the linear address at 4 GiB", () => {
      const s = load({ base: 0xfffff000 });
      assert.equal(linearForAccess(s.cpu, Seg.ES, 0x2000, 4, true), 0x1000);
    });
  });

  describe("LTR (SDM Vol. 2)", () => {
    it("marks the TSS busy in the table and in TR", () => {
      const s = new SystemBuilder();
      loadTask.run(s.cpu, TSS2_SELECTOR);
      assert.equal(s.typeByte(TSS2_SELECTOR), 0x8b);
      assert.equal(s.cpu.selector(Seg.TR), TSS2_SELECTOR);
      assert.equal(s.cpu.segmentAttributes(Seg.TR), 0x8b00);
    });
    it("refuses a busy TSS with #GP(selector): a second LTR needs the busy bit cleared", () => {
      const s = new SystemBuilder();
      loadTask.run(s.cpu, TSS2_SELECTOR);
      s.assertFault(() => loadTask.run(s.cpu, TSS2_SELECTOR), GP, TSS2_SELECTOR);
      s.cpu.writePhysical(GDT + TSS2_SELECTOR + 5, 1, 0x89);
      loadTask.run(s.cpu, TSS2_SELECTOR);
    });
    it("checks mode, privilege, null, TI, type, presence in that order", () => {
      const s = new SystemBuilder().segment(FREE, { type: 9, isSystem: true, isPresent: false });
      s.assertFault(() => loadTask.run(s.cpu, 0), GP, 0);
      s.assertFault(() => loadTask.run(s.cpu, 0x0c), GP, 0x0c);
      s.assertFault(() => loadTask.run(s.cpu, DS0), GP, DS0);
      s.assertFault(() => loadTask.run(s.cpu, FREE), NP, FREE);
      s.enterRing(1);
      s.assertFault(() => loadTask.run(s.cpu, TSS2_SELECTOR), GP, 0);
      s.enterVirtual8086(3);
      s.assertFault(() => loadTask.run(s.cpu, TSS2_SELECTOR), UD, undefined);
    });
    it("raises #PF when the GDT is read-only", () => {
      const s = new SystemBuilder().enablePaging().page(GDT, 1);
      s.assertFault(() => loadTask.run(s.cpu, TSS2_SELECTOR), PF, 3);
    });
  });

  describe("LLDT, LGDT, LIDT (SDM Vol. 2)", () => {
    it("LLDT takes null and makes every LDT selector invalid", () => {
      const s = new SystemBuilder();
      loadLdt.run(s.cpu, 0);
      assert.equal(catchFault(() => loadSegment.run(s.cpu, Seg.DS, 4)).errorCode, 4);
    });
    it("LLDT checks type and presence", () => {
      const s = new SystemBuilder().segment(FREE, { type: 2, isSystem: true, isPresent: false });
      s.assertFault(() => loadLdt.run(s.cpu, TSS2_SELECTOR), GP, TSS2_SELECTOR);
      s.assertFault(() => loadLdt.run(s.cpu, FREE), NP, FREE);
      loadLdt.run(s.cpu, LDT_SELECTOR);
    });
    it("LGDT and LIDT need CPL 0", () => {
      const s = new SystemBuilder().enterRing(1);
      s.assertFault(() => loadDescriptorTable.run(s.cpu, 0, 0x5000, 0xff), GP, 0);
      s.enterRing(0);
      loadDescriptorTable.run(s.cpu, 1, 0x5000, 0xff);
      assert.deepEqual([s.cpu.word(L.IDTR_BASE), s.cpu.word(L.IDTR_LIMIT)], [0x5000, 0xff]);
    });
  });

  describe("LAR, LSL, VERR, VERW (SDM Vol. 2)", () => {
    it("answer 0 for null, for entries beyond the table and for too little privilege, without a fault", () => {
      const s = new SystemBuilder().enterRing(3);
      for (const selector of [0, 3, 0x1f8, DS0, DS0 | 3])
        for (const ask of [isLarValid, isLslValid, verifyRead, verifyWrite])
          assert.equal(ask.run(s.cpu, selector), 0, `${ask.name} ${selector}`);
    });
    it("LAR gives the access rights, LSL the limit in bytes", () => {
      const s = new SystemBuilder();
      assert.equal(isLarValid.run(s.cpu, DS3), 1);
      assert.equal(larValue.run(s.cpu, DS3), 0xcff300);
      assert.equal(lslValue.run(s.cpu, DS3), 0xffffffff);
      assert.equal(lslValue.run(s.cpu, TSS_SELECTOR), 0x67);
    });
    it("LAR knows call and task gates, LSL does not, neither knows interrupt gates", () => {
      const s = new SystemBuilder()
        .gate(FREE, 12, CS0, 0)
        .gate(FREE + 8, 5, TSS_SELECTOR, 0)
        .gate(FREE + 16, 14, CS0, 0);
      const ask = (selector: number) => [isLarValid.run(s.cpu, selector), isLslValid.run(s.cpu, selector)];
      assert.deepEqual(ask(FREE), [1, 0]);
      assert.deepEqual(ask(FREE + 8), [1, 0]);
      assert.deepEqual(ask(FREE + 16), [0, 0]);
      assert.deepEqual(ask(TSS_SELECTOR), [1, 1]);
    });
    it("VERR wants readable, VERW writable; conforming code ignores privilege", () => {
      const s = new SystemBuilder()
        .segment(FREE, { type: Type.CONFORMING_RX })
        .segment(FREE + 8, { type: Type.CODE_X, dpl: 3 });
      s.enterRing(3);
      const ask = (selector: number) => [verifyRead.run(s.cpu, selector), verifyWrite.run(s.cpu, selector)];
      assert.deepEqual(ask(DS3), [1, 1]);
      assert.deepEqual(ask(CS3), [1, 0]);
      assert.deepEqual(ask(FREE), [1, 0]);
      assert.deepEqual(ask(FREE + 8), [0, 0]);
    });
    it("are #UD outside protected mode", () => {
      const s = new SystemBuilder().enterReal();
      for (const ask of [isLarValid, isLslValid, verifyRead, verifyWrite])
        s.assertFault(() => ask.run(s.cpu, DS0), UD, undefined);
    });
  });
});
