// Far JMP, CALL and RET. SDM Vol. 2, JMP, CALL, RET; Vol. 3, 5.8.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { farCall, farJump, farReturn, type Helper } from "../../../src/x86/helpers";
import * as L from "../../../src/x86/state-layout";
import { Reg, Seg, Vector } from "../../../src/x86/state-layout";
import {
  CODE,
  CS0,
  CS1,
  CS3,
  DS0,
  DS1,
  DS2,
  DS3,
  FREE,
  GDT,
  STACK_TOP,
  SystemBuilder,
  TSS,
  TSS_SELECTOR,
  TSS2_SELECTOR,
  Type,
} from "../../support/system-builder";

const { GP, NP, SS, TS, PF } = Vector;
const TARGET = 0x24000;
const NEXT = CODE + 7;

const go =
  (s: SystemBuilder, how: Helper, selector: number, offset = TARGET, size = 4) =>
  () =>
    how.run(s.cpu, selector, offset, size, NEXT);

describe("x86/helpers/far-transfer", () => {
  for (const how of [farJump, farCall]) {
    describe(`${how.name} to a code segment (SDM Vol. 2; Vol. 3, 5.8.1)`, () => {
      it("keeps CPL as the selector's RPL and wraps a 16-bit offset", () => {
        const s = new SystemBuilder().enterRing(1);
        go(s, how, CS1 & ~3, 0x12345678, 2)();
        assert.deepEqual([s.cpu.selector(Seg.CS), s.cpu.eip, s.cpu.cpl], [CS1, 0x5678, 1]);
      });
      it("refuses null, entries beyond the table, data and odd system types", () => {
        const s = new SystemBuilder().gate(FREE, 14, CS0, TARGET);
        s.assertFault(go(s, how, 0), GP, 0);
        s.assertFault(go(s, how, 3), GP, 0);
        s.assertFault(go(s, how, 0x1f9), GP, 0x1f8);
        s.assertFault(go(s, how, DS0), GP, DS0);
        s.assertFault(go(s, how, FREE), GP, FREE);
        s.assertFault(go(s, how, 0x0c), GP, 0x0c);
      });
      it("nonconforming: DPL must be CPL and RPL not above it; conforming: DPL not above CPL", () => {
        const s = new SystemBuilder().segment(FREE, { type: Type.CONFORMING_RX, dpl: 1 }).enterRing(1);
        s.assertFault(go(s, how, CS0), GP, CS0);
        s.assertFault(go(s, how, CS3), GP, CS3 & ~3);
        s.assertFault(go(s, how, CS1 | 2), GP, CS1 & ~3);
        go(s, how, FREE | 3)();
        assert.equal(s.cpu.selector(Seg.CS), FREE | 1);
        s.enterRing(0);
        s.assertFault(go(s, how, FREE), GP, FREE);
      });
      it("raises #NP(selector), then #GP(0) beyond the new limit", () => {
        const s = new SystemBuilder().segment(FREE, { type: Type.CODE_RX, isPresent: false });
        s.segment(FREE + 8, { type: Type.CODE_RX, limit: TARGET - 1 });
        s.assertFault(go(s, how, FREE), NP, FREE);
        s.assertFault(go(s, how, FREE + 8), GP, 0);
        go(s, how, FREE + 8, TARGET - 1)();
      });
      it("sets the accessed bit only where it is clear", () => {
        const s = new SystemBuilder().enablePaging().page(GDT, 1);
        go(s, how, CS0)();
        s.page(GDT, 7).clearAccessed(CS0).page(GDT, 1);
        s.assertFault(go(s, how, CS0), PF, 3);
        s.page(GDT, 7);
        go(s, how, CS0)();
        assert.equal(s.typeByte(CS0), 0x9b);
      });
    });

    describe(`${how.name} through a call gate (SDM Vol. 3, 5.8.3, 5.8.4)`, () => {
      it("checks the gate: DPL against CPL and RPL, then presence", () => {
        const s = new SystemBuilder().gate(FREE, 12, CS1, TARGET, 1).gate(FREE + 8, 12, CS1, TARGET, 3, 0, false);
        s.enterRing(1);
        s.assertFault(go(s, how, FREE | 2), GP, FREE);
        s.assertFault(go(s, how, (FREE + 8) | 3), NP, FREE + 8);
        s.enterRing(3);
        s.assertFault(go(s, how, FREE | 1), GP, FREE);
      });
      it("checks the code segment: null, outside, data, outer ring, not present, offset beyond the limit", () => {
        const s = new SystemBuilder().segment(FREE + 8, { type: Type.CODE_RX, dpl: 1, isPresent: false }).enterRing(1);
        s.segment(FREE + 16, { type: Type.CODE_RX, dpl: 1, limit: 0xfff });
        const to = (selector: number, vector: number, error: number) => {
          s.gate(FREE, 12, selector, TARGET, 3);
          s.assertFault(go(s, how, FREE), vector, error);
        };
        to(0, GP, 0);
        to(0x1f8, GP, 0x1f8);
        to(DS1, GP, DS1 & ~3);
        to(CS3, GP, CS3 & ~3);
        to(FREE + 8, NP, FREE + 8);
        to(FREE + 16, GP, 0);
      });
      it("in the same ring takes the gate's offset, 16 bits of it from a 16-bit gate", () => {
        const s = new SystemBuilder()
          .gate(FREE, 12, CS1, 0x123456, 1)
          .gate(FREE + 8, 4, CS1, 0x123456, 1)
          .enterRing(1);
        go(s, how, FREE, 0xbad)();
        assert.equal(s.cpu.eip, 0x123456);
        go(s, how, FREE + 8, 0xbad)();
        assert.equal(s.cpu.eip, 0x3456);
      });
    });
  }

  describe("CALL (SDM Vol. 2)", () => {
    it("pushes CS and the next EIP by operand size", () => {
      const s = new SystemBuilder();
      const top = s.cpu.reg(Reg.ESP);
      go(s, farCall, CS0)();
      assert.deepEqual([s.cpu.reg(Reg.ESP), ...s.readStack(2)], [top - 8, NEXT, CS0]);
      go(s, farCall, CS0, TARGET, 2)();
      assert.equal(s.cpu.reg(Reg.ESP), top - 12);
      assert.equal(s.readStack(1)[0], (CS0 << 16) | (NEXT & 0xffff));
    });
    it("raises #SS(0) where the stack has no room, and changes nothing", () => {
      const s = new SystemBuilder();
      s.cpu.setSegment(Seg.SS, DS0, 0, 0xfff, 0x409300, true);
      s.cpu.updateMode();
      s.cpu.setReg(Reg.ESP, 7);
      s.assertFault(go(s, farCall, CS0), SS, 0);
    });
    it("is whole when the push faults: #PF before CS changes", () => {
      const s = new SystemBuilder().enablePaging().page(0x7000, 1);
      s.assertFault(go(s, farCall, CS0), PF, 3);
    });
    it("through a gate to an inner ring switches stacks and copies parameters in order (Vol. 3, 5.8.5)", () => {
      const s = new SystemBuilder().gate(FREE, 12, CS0, TARGET, 3, 3).enterRing(3);
      s.stackWords(11, 22, 33, 44);
      const esp = s.cpu.reg(Reg.ESP);
      go(s, farCall, FREE | 3)();
      assert.deepEqual([s.cpu.cpl, s.cpu.eip, s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS)], [0, TARGET, CS0, DS0]);
      assert.equal(s.cpu.reg(Reg.ESP), STACK_TOP[0] - 28);
      assert.deepEqual(s.readStack(7), [NEXT, CS3, 11, 22, 33, esp, DS3]);
      assert.equal(s.cpu.word(L.TLB_CURRENT), s.cpu.tlb.set(false));
    });
    it("through a 16-bit gate copies words", () => {
      const s = new SystemBuilder().gate(FREE, 4, CS0, 0x5678, 3, 2).enterRing(3);
      s.stackWords(0x22221111);
      go(s, farCall, FREE | 3)();
      const at = s.cpu.reg(Reg.ESP);
      assert.equal(at, STACK_TOP[0] - 12);
      assert.deepEqual(
        [0, 2, 4, 6, 10].map((d) => s.read16(at + d)),
        [NEXT & 0xffff, CS3, 0x1111, 0x2222, DS3],
      );
    });
    it("through a gate to conforming code stays in its ring", () => {
      const s = new SystemBuilder().segment(FREE + 8, { type: Type.CONFORMING_RX }).gate(FREE, 12, FREE + 8, TARGET, 3);
      s.enterRing(3);
      go(s, farCall, FREE | 3)();
      assert.deepEqual([s.cpu.cpl, s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS)], [3, (FREE + 8) | 3, DS3]);
    });
    it("finds bad inner stacks: #TS for the TSS limit and the segment, #SS for presence and room, without EXT", () => {
      const s = new SystemBuilder().gate(FREE, 12, CS0, TARGET, 3, 1).enterRing(3);
      s.segment(FREE + 8, { isPresent: false }).segment(FREE + 16, { limit: 0xff });
      s.write16(TSS + 8, 0);
      s.assertFault(go(s, farCall, FREE | 3), TS, 0);
      s.write16(TSS + 8, DS2);
      s.assertFault(go(s, farCall, FREE | 3), TS, DS2 & ~3);
      s.write16(TSS + 8, FREE + 8);
      s.assertFault(go(s, farCall, FREE | 3), SS, FREE + 8);
      s.write16(TSS + 8, FREE + 16);
      s.write32(TSS + 4, 19);
      s.assertFault(go(s, farCall, FREE | 3), SS, FREE + 16);
      s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, 8, 0x8b00, true);
      s.assertFault(go(s, farCall, FREE | 3), TS, TSS_SELECTOR);
    });
    it("reads parameters with the caller's privilege and limit", () => {
      const s = new SystemBuilder().gate(FREE, 12, CS0, TARGET, 3, 1).enablePaging().page(0xa000, 3).enterRing(3);
      s.assertFault(go(s, farCall, FREE | 3), PF, 5);
    });
    it("JMP does not go to an inner ring through a gate", () => {
      const s = new SystemBuilder().gate(FREE, 12, CS0, TARGET, 3).enterRing(3);
      s.assertFault(go(s, farJump, FREE | 3), GP, CS0);
    });
  });

  describe("to a TSS or a task gate: checks (SDM Vol. 2, JMP, TASK-STATE-SEGMENT, TASK-GATE)", () => {
    it("DPL of the TSS descriptor or the gate against CPL and RPL; the TSS behind a gate is not asked", () => {
      const s = new SystemBuilder().gate(FREE, 5, TSS2_SELECTOR, 0, 1).enterRing(1);
      s.assertFault(go(s, farJump, TSS2_SELECTOR), GP, TSS2_SELECTOR);
      s.assertFault(go(s, farJump, FREE | 2), GP, FREE);
    });
    it("a busy TSS is #GP(selector), a missing one #NP, a gate to something else #GP(its selector)", () => {
      const s = new SystemBuilder()
        .gate(FREE, 5, TSS_SELECTOR, 0)
        .gate(FREE + 8, 5, DS0, 0)
        .gate(FREE + 16, 5, 0x1c, 0);
      s.gate(FREE + 24, 5, TSS2_SELECTOR, 0, 0, 0, false);
      s.assertFault(go(s, farJump, TSS_SELECTOR), GP, TSS_SELECTOR);
      s.assertFault(go(s, farCall, FREE), GP, TSS_SELECTOR);
      s.assertFault(go(s, farCall, FREE + 8), GP, DS0);
      s.assertFault(go(s, farCall, FREE + 16), GP, 0x1c);
      s.assertFault(go(s, farCall, FREE + 24), NP, FREE + 24);
      s.segment(TSS2_SELECTOR, { type: 9, isSystem: true, isPresent: false });
      s.assertFault(go(s, farCall, TSS2_SELECTOR), NP, TSS2_SELECTOR);
    });
    it("a ring-1 kernel whose tables are read-only cannot leave by a task gate: the busy bit faults (lguest)", () => {
      const s = new SystemBuilder().gate(FREE, 5, TSS2_SELECTOR, 0, 1).enablePaging().page(GDT, 1).enterRing(1);
      s.assertFault(go(s, farCall, FREE | 1), PF, 3);
    });
  });

  describe("RET (SDM Vol. 2)", () => {
    it("pops EIP and CS and releases more bytes", () => {
      const s = new SystemBuilder();
      s.stackWords(TARGET, CS0);
      const esp = s.cpu.reg(Reg.ESP);
      farReturn.run(s.cpu, 4, 12);
      assert.deepEqual([s.cpu.eip, s.cpu.reg(Reg.ESP)], [TARGET, esp + 20]);
    });
    it("to an outer ring releases the bytes on both stacks and nulls inner data segments", () => {
      const s = new SystemBuilder();
      s.stackWords(TARGET, CS3, 1, 2, 0xa800, DS3);
      farReturn.run(s.cpu, 4, 8);
      assert.deepEqual([s.cpu.cpl, s.cpu.eip, s.cpu.reg(Reg.ESP), s.cpu.selector(Seg.SS)], [3, TARGET, 0xa808, DS3]);
      assert.deepEqual([s.cpu.selector(Seg.DS), s.cpu.isSegmentUsable(Seg.DS)], [0, false]);
    });
    it("undoes a call through a gate with parameters", () => {
      const s = new SystemBuilder().gate(FREE, 12, CS0, TARGET, 3, 2).enterRing(3);
      const esp = s.cpu.reg(Reg.ESP);
      go(s, farCall, FREE | 3)();
      farReturn.run(s.cpu, 4, 8);
      assert.deepEqual([s.cpu.cpl, s.cpu.eip, s.cpu.reg(Reg.ESP), s.cpu.selector(Seg.CS)], [3, NEXT, esp + 8, CS3]);
    });
    it("refuses an inner ring, other types and bad limits", () => {
      const s = new SystemBuilder().segment(FREE, { type: Type.CODE_RX, dpl: 1, limit: 0xfff }).enterRing(1);
      const to = (selector: number, vector: number, error: number) => {
        s.stackWords(TARGET, selector);
        s.assertFault(() => farReturn.run(s.cpu, 4, 0), vector, error);
      };
      to(0, GP, 0);
      to(CS0, GP, CS0);
      to(DS1, GP, DS1 & ~3);
      to(CS1 | 2, GP, CS1 & ~3);
      to(FREE | 1, GP, 0);
    });
    it("refuses outer stacks with #GP(selector) and #SS(selector)", () => {
      const s = new SystemBuilder().segment(FREE, { dpl: 3, isPresent: false });
      const to = (selector: number, vector: number, error: number) => {
        s.stackWords(TARGET, CS3, 0xa800, selector);
        s.assertFault(() => farReturn.run(s.cpu, 4, 0), vector, error);
      };
      to(0, GP, 0);
      to(DS0, GP, DS0);
      to(DS3 & ~3, GP, DS3 & ~3);
      to(FREE | 3, SS, FREE);
    });
  });

  describe("real and virtual-8086 mode (SDM Vol. 2, REAL-ADDRESS-MODE)", () => {
    for (const make of [() => new SystemBuilder().enterReal(), () => new SystemBuilder().enterVirtual8086(0)]) {
      it("jump, call and return by segment arithmetic", () => {
        const s = make();
        farCall.run(s.cpu, 0x3000, 0x20, 2, 0x105);
        assert.deepEqual([s.cpu.segmentBase(Seg.CS), s.cpu.eip, s.cpu.reg(Reg.ESP)], [0x30000, 0x20, 0xffc]);
        farReturn.run(s.cpu, 2, 2);
        assert.deepEqual([s.cpu.selector(Seg.CS), s.cpu.eip, s.cpu.reg(Reg.ESP)], [0x2000, 0x105, 0x1002]);
        farJump.run(s.cpu, 0x1234, 0x10, 2, 0);
        assert.equal(s.cpu.segmentBase(Seg.CS), 0x12340);
      });
      it("an EIP beyond the limit is #GP(0)", () => {
        const s = make();
        s.assertFault(() => farJump.run(s.cpu, 0x1234, 0x10000, 4, 0), GP, 0);
        s.assertFault(() => farCall.run(s.cpu, 0x1234, 0x10000, 4, 0), GP, 0);
      });
    }
  });
});
