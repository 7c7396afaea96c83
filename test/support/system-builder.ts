/**
 * A processor in protected mode with descriptor tables, a TSS and stacks for four rings, to test privileged behaviour on.
 *
 * One megabyte, paging off until enablePaging() maps it one to one. Everything has a fixed place (the constants below), so that a
 * test can poke a table and say what it expects in numbers.
 */
import assert from "node:assert/strict";
import { Cpu } from "../../src/x86/cpu";
import { GuestFault } from "../../src/x86/fault";
import * as L from "../../src/x86/state-layout";
import { Reg, Seg } from "../../src/x86/state-layout";

const RAM_SIZE = 0x100000;
export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS = 0x3000;
export const LDT = 0x3400;
/** A second task. */
export const TSS2 = 0x3800;
export const PAGE_DIRECTORY = 0x10000;
export const PAGE_TABLE = 0x11000;
export const CODE = 0x20000;

/** Top of each ring's stack; 4 KiB each, below it. */
export const STACK_TOP = [0x8000, 0x9000, 0xa000, 0xb000] as const;

/** Selectors of the flat segments by ring, with their RPL. */
export const CS0 = 0x08;
export const DS0 = 0x10;
export const CS1 = 0x19;
export const DS1 = 0x21;
export const CS2 = 0x2a;
export const DS2 = 0x32;
export const CS3 = 0x3b;
export const DS3 = 0x43;
export const TSS_SELECTOR = 0x48;
export const LDT_SELECTOR = 0x50;
export const TSS2_SELECTOR = 0x58;
/** First GDT selector that tests may use; the GDT has 32 entries. */
export const FREE = 0x60;
export const GDT_LIMIT = 0xff;

/** Type nibbles of code and data segments. */
export const Type = {
  DATA_RO: 0x1,
  DATA_RW: 0x3,
  DATA_DOWN_RW: 0x7,
  CODE_X: 0x9,
  CODE_RX: 0xb,
  CONFORMING_X: 0xd,
  CONFORMING_RX: 0xf,
} as const;

export interface SegmentOptions {
  base?: number;
  /** In bytes; granularity is chosen. */
  limit?: number;
  type?: number;
  dpl?: number;
  isPresent?: boolean;
  /** D or B: default true. */
  isBig?: boolean;
  /** 1: code or data (default), 0: system. */
  isSystem?: boolean;
}

export class SystemBuilder {
  /** @param cpu a processor of 1 MiB to use again; everything in it is lost */
  constructor(readonly cpu = new Cpu(RAM_SIZE)) {
    cpu.reset();
    cpu.u8.fill(0, L.RAM_BASE, L.RAM_BASE + RAM_SIZE);
    for (let ring = 0; ring < 4; ring++) {
      this.segment(ring * 0x10 + 0x08, { type: Type.CODE_RX, dpl: ring });
      this.segment(ring * 0x10 + 0x10, { type: Type.DATA_RW, dpl: ring });
    }
    this.segment(TSS_SELECTOR, { base: TSS, limit: 0x67, type: 11, isSystem: true, isBig: false });
    this.segment(LDT_SELECTOR, { base: LDT, limit: 0x7f, type: 2, isSystem: true, isBig: false });
    this.segment(TSS2_SELECTOR, { base: TSS2, limit: 0x67, type: 9, isSystem: true, isBig: false });
    for (let ring = 0; ring < 3; ring++) {
      this.write32(TSS + 4 + ring * 8, STACK_TOP[ring]);
      this.write32(TSS + 8 + ring * 8, ring * 0x10 + 0x10 + ring);
    }
    this.write16(TSS + 0x66, 0x68);
    cpu.setWord(L.CR0, 0x11);
    cpu.setWord(L.GDTR_BASE, GDT);
    cpu.setWord(L.GDTR_LIMIT, GDT_LIMIT);
    cpu.setWord(L.IDTR_BASE, IDT);
    cpu.setWord(L.IDTR_LIMIT, 0x7ff);
    cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, 0x67, 0x8b00, true);
    cpu.setSegment(Seg.LDTR, LDT_SELECTOR, LDT, 0x7f, 0x8200, true);
    this.enterRing(0);
  }

  /** Seats flat segments, stack and EIP of a ring. */
  enterRing(ring: number): this {
    const { cpu } = this;
    const dpl = ring << 13;
    const data = ring * 0x10 + 0x10 + ring;
    cpu.setSegment(Seg.CS, ring * 0x10 + 8 + ring, 0, 0xffffffff, 0xc09b00 | dpl, true);
    for (const seg of [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS])
      cpu.setSegment(seg, data, 0, 0xffffffff, 0xc09300 | dpl, true);
    cpu.setReg(Reg.ESP, STACK_TOP[ring] - 0x100);
    cpu.eip = CODE;
    cpu.cpl = ring;
    cpu.updateMode();
    return this;
  }

  /** Seats virtual-8086 mode, every segment at `base`. */
  enterVirtual8086(iopl: number, selector = 0x2000): this {
    const { cpu } = this;
    cpu.eflags = L.Flag.VM | (iopl << 12) | L.Flag.IF | 2;
    cpu.cpl = 3;
    for (let seg = 0; seg < 6; seg++) cpu.setSegment(seg, selector, selector << 4, 0xffff, 0xf300, true);
    cpu.setReg(Reg.ESP, 0x1000);
    cpu.eip = 0x100;
    cpu.updateMode();
    return this;
  }

  /** Seats real mode, segments at 0. */
  enterReal(): this {
    const { cpu } = this;
    cpu.setWord(L.CR0, 0x10);
    for (let seg = 0; seg < 6; seg++)
      cpu.setSegment(seg, 0x2000, 0x20000, 0xffff, seg === Seg.CS ? 0x9b00 : 0x9300, true);
    cpu.cpl = 0;
    cpu.setReg(Reg.ESP, 0x1000);
    cpu.eip = 0x100;
    cpu.updateMode();
    return this;
  }

  /** Writes a segment or system descriptor into the GDT or LDT (selector bit 2). */
  segment(selector: number, options: SegmentOptions = {}): this {
    const { base = 0, limit = 0xffffffff, type = Type.DATA_RW, dpl = 0, isPresent = true } = options;
    const isFine = limit > 0xfffff;
    const scaled = isFine ? limit >>> 12 : limit;
    const flags = (isFine ? 0x800000 : 0) | (options.isBig === false ? 0 : 0x400000);
    const kind = (type << 8) | (options.isSystem ? 0 : 0x1000) | (dpl << 13) | (isPresent ? 0x8000 : 0);
    const low = (scaled & 0xffff) | (base << 16);
    const high = (base & 0xff000000) | flags | (scaled & 0xf0000) | kind | ((base >>> 16) & 0xff);
    return this.descriptor(selector, low, high);
  }

  /** Writes a gate into the GDT or LDT. Types: 4 and 12 call, 5 task. */
  gate(
    selector: number,
    type: number,
    target: number,
    offset: number,
    dpl = 0,
    parameters = 0,
    isPresent = true,
  ): this {
    return this.descriptor(selector, ...gateWords(type, target, offset, dpl, parameters, isPresent));
  }

  /** Writes a gate into the IDT. Types: 5 task, 6 and 14 interrupt, 7 and 15 trap. */
  idtGate(vector: number, type: number, target: number, offset: number, dpl = 0, isPresent = true): this {
    const [low, high] = gateWords(type, target, offset, dpl, 0, isPresent);
    this.write32(IDT + vector * 8, low);
    this.write32(IDT + vector * 8 + 4, high);
    return this;
  }

  descriptor(selector: number, low: number, high: number): this {
    const at = this.descriptorAddress(selector);
    this.write32(at, low);
    this.write32(at + 4, high);
    return this;
  }
  descriptorAddress(selector: number): number {
    return (selector & 4 ? LDT : GDT) + (selector & ~7);
  }
  /** The type byte of a descriptor in its table. */
  typeByte(selector: number): number {
    return this.read8(this.descriptorAddress(selector) + 5);
  }
  clearAccessed(selector: number): this {
    const at = this.descriptorAddress(selector) + 5;
    this.cpu.writePhysical(at, 1, this.read8(at) & ~1);
    return this;
  }

  /** Maps the megabyte one to one, all pages writable and for users. */
  enablePaging(): this {
    this.write32(PAGE_DIRECTORY, PAGE_TABLE | 7);
    for (let i = 0; i < 256; i++) this.write32(PAGE_TABLE + i * 4, (i << 12) | 7);
    this.cpu.setWord(L.CR3, PAGE_DIRECTORY);
    this.cpu.setWord(L.CR0, this.cpu.cr0 | 0x80010000);
    this.cpu.tlb.flushAll();
    return this;
  }
  /** Changes the flags of a mapped page: 1 present, 2 writable, 4 user. */
  page(linear: number, flags: number): this {
    this.write32(PAGE_TABLE + (linear >>> 12) * 4, (linear & ~0xfff) | flags);
    this.cpu.tlb.flushAll();
    return this;
  }

  read8(physical: number): number {
    return this.cpu.readPhysical(physical, 1);
  }
  read16(physical: number): number {
    return this.cpu.readPhysical(physical, 2);
  }
  read32(physical: number): number {
    return this.cpu.readPhysical(physical, 4);
  }
  write16(physical: number, value: number): void {
    this.cpu.writePhysical(physical, 2, value);
  }
  write32(physical: number, value: number): void {
    this.cpu.writePhysical(physical, 4, value);
  }
  /** Puts words at the top of the current stack, the first one on top. */
  stackWords(...values: number[]): this {
    const at = this.cpu.segmentBase(Seg.SS) + this.cpu.reg(Reg.ESP);
    values.forEach((value, i) => {
      this.write32(at + i * 4, value);
    });
    return this;
  }
  /** `count` 32-bit words from the top of the current stack. */
  readStack(count: number): number[] {
    const at = this.cpu.segmentBase(Seg.SS) + this.cpu.reg(Reg.ESP);
    return Array.from({ length: count }, (_, i) => this.read32(at + i * 4));
  }

  /** Everything that must not change when a fault is thrown: all architectural state, and RAM but for page tables. */
  snapshot(): Buffer {
    const { memory } = this.cpu;
    const state = Buffer.from(memory.buffer, 0x100, L.CR2 - 0x100);
    const afterCr2 = Buffer.from(memory.buffer, L.CR3, L.MODE - L.CR3);
    const below = Buffer.from(memory.buffer, L.RAM_BASE, PAGE_DIRECTORY);
    const above = Buffer.from(memory.buffer, L.RAM_BASE + PAGE_TABLE + 0x1000, 0x20000);
    return Buffer.concat([state, afterCr2, below, above]);
  }

  /** Asserts that `run` throws exactly this fault and leaves no trace. */
  assertFault(run: () => unknown, vector: number, errorCode: number | undefined): void {
    const before = this.snapshot();
    const fault = catchFault(run);
    assert.deepEqual({ vector: fault.vector, errorCode: fault.errorCode }, { vector, errorCode });
    assert.ok(before.equals(this.snapshot()), "state or memory changed before the fault");
  }
}

function gateWords(
  type: number,
  target: number,
  offset: number,
  dpl: number,
  parameters: number,
  isPresent: boolean,
): [number, number] {
  const high = (offset & 0xffff0000) | (isPresent ? 0x8000 : 0) | (dpl << 13) | (type << 8) | parameters;
  return [(target << 16) | (offset & 0xffff), high];
}

/** The GuestFault that `run` throws. */
export function catchFault(run: () => unknown): GuestFault {
  try {
    run();
  } catch (fault) {
    if (fault instanceof GuestFault) return fault;
    throw fault;
  }
  throw new assert.AssertionError({ message: "no fault was thrown" });
}
