// The accelerator for repeated string instructions: it must be invisible. SDM Vol. 2, REP.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { bulkString, StringKind } from "../../../src/x86/helpers";
import * as L from "../../../src/x86/state-layout";
import { Flag, Reg, Seg } from "../../../src/x86/state-layout";
import { DS0, FREE, SystemBuilder } from "../../support/system-builder";

const RAM = 0x40000;

interface Setup {
  kind: number;
  size: number;
  addressSize?: number;
  ecx: number;
  esi?: number;
  edi?: number;
  eax?: number;
  isBackward?: boolean;
}

function seat(s: SystemBuilder, setup: Setup): void {
  s.cpu.setReg(Reg.ECX, setup.ecx);
  s.cpu.setReg(Reg.ESI, setup.esi ?? 0);
  s.cpu.setReg(Reg.EDI, setup.edi ?? 0);
  s.cpu.setReg(Reg.EAX, setup.eax ?? 0);
  s.cpu.eflags = setup.isBackward ? Flag.DF | 2 : 2;
}

function run(s: SystemBuilder, setup: Setup): number {
  seat(s, setup);
  return Number(bulkString.run(s.cpu, setup.kind, setup.size, setup.addressSize ?? 4, Seg.DS));
}

/** What the manual says `iterations` iterations do, one element at a time. Flat segments. */
function model(s: SystemBuilder, setup: Setup, iterations: number): void {
  const { cpu } = s;
  const { kind, size } = setup;
  const mask = setup.addressSize === 2 ? 0xffff : 0xffffffff;
  const step = setup.isBackward ? -size : size;
  const move = (register: number, by: number) => {
    const value = cpu.reg(register);
    cpu.setReg(register, (value & ~mask) | ((value + by) & mask));
  };
  for (let i = 0; i < iterations; i++) {
    const from = (cpu.reg(Reg.ESI) & mask) >>> 0;
    const to = (cpu.reg(Reg.EDI) & mask) >>> 0;
    if (kind === StringKind.MOVS) cpu.writeLinear(to, size, cpu.readLinear(from, size));
    if (kind === StringKind.STOS) cpu.writeLinear(to, size, cpu.reg(Reg.EAX));
    if (kind === StringKind.LODS) {
      const bits = size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
      cpu.setReg(Reg.EAX, (cpu.reg(Reg.EAX) & ~bits) | cpu.readLinear(from, size));
    }
    move(Reg.ECX, -1);
    if (kind !== StringKind.STOS && kind < StringKind.SCAS_WHILE_EQUAL) move(Reg.ESI, step);
    if (kind !== StringKind.LODS) move(Reg.EDI, step);
  }
}

/** Fills memory with bytes that repeat rarely. */
function scatter(s: SystemBuilder): void {
  let x = 12345;
  for (let i = 0; i < 0x8000; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    s.cpu.u8[L.RAM_BASE + RAM + i] = x >>> 16;
  }
}

function memory(s: SystemBuilder): Buffer {
  return Buffer.from(s.cpu.memory.buffer, L.RAM_BASE + RAM - 0x1000, 0xa000);
}
function registers(s: SystemBuilder): number[] {
  return Array.from({ length: 8 }, (_, i) => s.cpu.reg(i));
}

describe("x86/helpers/strings", () => {
  it("does what the element loop does: any kind, size, direction, overlap and page border (SDM Vol. 2, MOVS, STOS, LODS)", () => {
    const fast = new SystemBuilder();
    const slow = new SystemBuilder();
    let seed = 99;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 0x100000000) * below);
    };
    let total = 0;
    for (let round = 0; round < 150; round++) {
      scatter(fast);
      scatter(slow);
      const base = RAM + 0x2000 + random(0x2000);
      const setup: Setup = {
        kind: random(3),
        size: [1, 2, 4][random(3)],
        ecx: 9 + random(900),
        esi: base,
        edi: random(2) ? base + random(17) - 8 : base + random(0x2000) - 0x1000,
        eax: random(3) ? seed : 0x77777777,
        isBackward: random(2) === 1,
      };
      const done = run(fast, setup);
      seat(slow, setup);
      model(slow, setup, done);
      assert.ok(done < setup.ecx, "the last iteration is left");
      assert.deepEqual(registers(fast), registers(slow), JSON.stringify(setup));
      assert.ok(memory(fast).equals(memory(slow)), JSON.stringify(setup));
      total += done;
    }
    assert.ok(total > 20_000, `${total} iterations done at once`);
  });

  it("stops REPE CMPS before the difference and REPNE SCAS before the match, forward and backward", () => {
    for (const size of [1, 2, 4])
      for (const isBackward of [false, true]) {
        const s = new SystemBuilder();
        const start = isBackward ? RAM + 4000 * size : RAM;
        const at = isBackward ? start - 1500 * size : start + 1500 * size;
        const edi = start + 0x10000;
        s.cpu.writePhysical(at + 0x10000, size, 0x5a);
        const common = { size, ecx: 3000, esi: start, edi, isBackward, eax: 0x5a };
        for (const [kind, eax] of [
          [StringKind.CMPS_WHILE_EQUAL, 0x5a],
          [StringKind.SCAS_WHILE_NOT_EQUAL, 0x5a],
          [StringKind.SCAS_WHILE_EQUAL, 0],
        ]) {
          // Up to the difference or the last element of a page, whichever comes first.
          const done = runAll(s, { kind, ...common, eax });
          const next = start + done * (isBackward ? -size : size);
          const isPageEnd = (isBackward ? next : next + size) % 0x1000 === 0;
          assert.ok(done === 1500 || (done < 1500 && isPageEnd), `${done} iterations`);
          assert.deepEqual([s.cpu.reg(Reg.EDI), s.cpu.reg(Reg.ECX)], [(next + 0x10000) >>> 0, 3000 - done]);
        }
        assert.equal(runAll(s, { kind: StringKind.CMPS_WHILE_NOT_EQUAL, ...common }), 0);
      }
  });

  it("leaves the last iterations even when nothing ends the comparison", () => {
    const s = new SystemBuilder();
    assert.equal(run(s, { kind: StringKind.SCAS_WHILE_EQUAL, size: 1, ecx: 100, edi: RAM }), 98);
  });

  it("stops where the instruction is to retire on its way", () => {
    const s = new SystemBuilder();
    assert.equal(run(s, { kind: StringKind.STOS, size: 1, ecx: 0xffffffff, edi: 0x80000 }), 0xfffe);
    assert.equal(s.cpu.reg(Reg.ECX), 0xffff0001);
    assert.equal(run(s, { kind: StringKind.STOS, size: 1, ecx: 0x10001, edi: 0x80000 }), 0);
  });

  it("stops at a page that would fault, without touching CR2 or a pending fault", () => {
    const s = new SystemBuilder().enablePaging().page(RAM + 0x1000, 1);
    s.cpu.cr2 = 0x1234;
    assert.equal(run(s, { kind: StringKind.STOS, size: 4, ecx: 5000, edi: RAM + 0x800, eax: 0x01020304 }), 0x200);
    assert.deepEqual([s.cpu.cr2, s.cpu.word(L.FAULT_PENDING), s.cpu.reg(Reg.ECX)], [0x1234, 0, 5000 - 0x200]);
    assert.equal(s.read32(RAM + 0x1000), 0);
    s.enterRing(3);
    s.page(RAM, 3);
    assert.equal(run(s, { kind: StringKind.STOS, size: 4, ecx: 5000, edi: RAM }), 0);
  });

  it("sets accessed and dirty bits as the loop would", () => {
    const s = new SystemBuilder().enablePaging();
    run(s, { kind: StringKind.MOVS, size: 4, ecx: 100, esi: RAM, edi: RAM + 0x1000 });
    assert.equal(s.read32(0x11000 + (RAM >>> 12) * 4) & 0x60, 0x20);
    assert.equal(s.read32(0x11000 + ((RAM + 0x1000) >>> 12) * 4) & 0x60, 0x60);
  });

  it("leaves code pages, watched pages and what is not RAM to the text", () => {
    const s = new SystemBuilder();
    s.cpu.code.markCode(RAM + 0x1000, 4);
    assert.equal(run(s, { kind: StringKind.STOS, size: 1, ecx: 0x3000, edi: RAM }), 0x1000);
    assert.equal(run(s, { kind: StringKind.LODS, size: 1, ecx: 0x1800, esi: RAM }), 0x17ff);
    s.cpu.code.setWatchpoints([{ physical: RAM + 0x1800, length: 4, onRead: true, onWrite: false }]);
    assert.equal(run(s, { kind: StringKind.LODS, size: 1, ecx: 0x1800, esi: RAM }), 0x1000);
    assert.equal(run(s, { kind: StringKind.STOS, size: 1, ecx: 0x100, edi: 0x100000 }), 0);
  });

  it("does nothing while TF is set: each iteration traps (Vol. 3, 17.3.1.4)", () => {
    const s = new SystemBuilder();
    seat(s, { kind: StringKind.STOS, size: 1, ecx: 100, edi: RAM });
    s.cpu.eflags = Flag.TF | 2;
    assert.equal(bulkString.run(s.cpu, StringKind.STOS, 1, 4, Seg.DS), 0);
  });

  it("respects segment limits: the piece with the violation is left", () => {
    const s = new SystemBuilder().segment(FREE, { base: RAM, limit: 0x17ff });
    s.cpu.setSegment(Seg.ES, FREE, RAM, 0x17ff, 0x409300, true);
    assert.equal(run(s, { kind: StringKind.STOS, size: 1, ecx: 0x2000, edi: 0 }), 0x1000);
    s.cpu.setSegment(Seg.ES, DS0, 0, 0xffffffff, 0xc09100, true);
    assert.equal(run(s, { kind: StringKind.STOS, size: 1, ecx: 0x2000, edi: RAM }), 0);
  });

  it("with 16-bit addresses counts CX, stays below 64 KiB and keeps the upper halves", () => {
    const s = new SystemBuilder();
    const done = run(s, {
      kind: StringKind.STOS,
      size: 2,
      addressSize: 2,
      ecx: 0xabcd0800,
      edi: 0x1234fff0,
      eax: 0x5555,
    });
    assert.equal(done, 0x7ff);
    assert.equal(s.cpu.reg(Reg.ECX), 0xabcd0001);
    assert.equal(s.cpu.reg(Reg.EDI), 0x12340000 | ((0xfff0 + 0x7ff * 2) & 0xffff));
    assert.equal(s.read16(0xfffe), 0x5555);
    assert.equal(s.read16(0x10000), 0);
  });

  it("leaves an element that crosses a page to the text", () => {
    const s = new SystemBuilder();
    assert.equal(run(s, { kind: StringKind.STOS, size: 4, ecx: 5000, edi: RAM + 0xffe }), 0);
    assert.equal(run(s, { kind: StringKind.STOS, size: 4, ecx: 5000, edi: RAM + 2 }), 0x3ff);
  });
});

/** Bulk calls until one does nothing. */
function runAll(s: SystemBuilder, setup: Setup): number {
  seat(s, setup);
  let total = 0;
  for (;;) {
    const done = Number(bulkString.run(s.cpu, setup.kind, setup.size, 4, Seg.DS));
    total += done;
    if (done === 0) return total;
  }
}
