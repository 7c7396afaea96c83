/**
 * Segment and gate descriptors as they lie in the GDT, LDT and IDT: read, taken apart, and the error codes that name them.
 *
 * Reading never changes anything. Whoever loads a descriptor asks first, and sets the accessed or busy bit only when nothing
 * else can fail any more (pending-writes.ts). SDM Vol. 3, 3.4.5 (segment descriptors), 3.5 (system descriptors), 5.8.3 (call
 * gates), 6.11 (IDT descriptors), 6.13 (error codes).
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Mode, Seg, Vector } from "../state-layout";

/** Error code bits. SDM Vol. 3, 6.13. */
export const ErrorBit = { EXT: 1, IDT: 2 } as const;

/** Types of system descriptors (S = 0). SDM Vol. 3, table 3-2. */
export const SystemType = {
  TSS16: 1,
  LDT: 2,
  TSS16_BUSY: 3,
  CALL_GATE16: 4,
  TASK_GATE: 5,
  INTERRUPT_GATE16: 6,
  TRAP_GATE16: 7,
  TSS32: 9,
  TSS32_BUSY: 11,
  CALL_GATE32: 12,
  INTERRUPT_GATE32: 14,
  TRAP_GATE32: 15,
} as const;

/** Bits of a segment register's attributes (the descriptor's second word). */
export const Attribute = {
  ACCESSED: 0x100,
  /** Data: writable. Code: readable. */
  RIGHT: 0x200,
  /** Data: expand-down. Code: conforming. */
  DIRECTION: 0x400,
  CODE: 0x800,
  SEGMENT: 0x1000,
  PRESENT: 0x8000,
  /** D or B. */
  BIG: 0x400000,
  GRANULARITY: 0x800000,
  /** What a segment register keeps. */
  ALL: 0xf0ff00,
} as const;

/** The type byte of a descriptor is its sixth: here live the accessed and the busy bit. */
export const TYPE_BYTE = 5;
/** Bit of the type byte of a TSS descriptor that says busy. */
export const BUSY = 2;

/** Eight bytes of a descriptor table, with the selector and the linear address they were found at. */
export class Descriptor {
  constructor(
    readonly selector: number,
    readonly address: number,
    readonly low: number,
    readonly high: number,
  ) {}

  get isPresent(): boolean {
    return (this.high & Attribute.PRESENT) !== 0;
  }
  get dpl(): number {
    return (this.high >>> 13) & 3;
  }
  /** Code or data, not a system descriptor. */
  get isSegment(): boolean {
    return (this.high & Attribute.SEGMENT) !== 0;
  }
  get isCode(): boolean {
    return (this.high & (Attribute.SEGMENT | Attribute.CODE)) === (Attribute.SEGMENT | Attribute.CODE);
  }
  get isData(): boolean {
    return (this.high & (Attribute.SEGMENT | Attribute.CODE)) === Attribute.SEGMENT;
  }
  get isConforming(): boolean {
    return this.isCode && (this.high & Attribute.DIRECTION) !== 0;
  }
  get isReadable(): boolean {
    return this.isData || (this.isCode && (this.high & Attribute.RIGHT) !== 0);
  }
  get isWritable(): boolean {
    return this.isData && (this.high & Attribute.RIGHT) !== 0;
  }
  /** SystemType of a system descriptor, or 0 for a code or data segment. */
  get systemType(): number {
    return this.isSegment ? 0 : (this.high >>> 8) & 0xf;
  }
  get isAvailableTss(): boolean {
    return this.systemType === SystemType.TSS32 || this.systemType === SystemType.TSS16;
  }
  get isBusyTss(): boolean {
    return this.systemType === SystemType.TSS32_BUSY || this.systemType === SystemType.TSS16_BUSY;
  }
  /** The type byte as it lies in memory. */
  get typeByte(): number {
    return (this.high >>> 8) & 0xff;
  }
  get base(): number {
    return ((this.high & 0xff000000) | ((this.high & 0xff) << 16) | (this.low >>> 16)) >>> 0;
  }
  /** Limit in bytes, granularity applied. */
  get limit(): number {
    const limit = (this.high & 0xf0000) | (this.low & 0xffff);
    return this.high & Attribute.GRANULARITY ? ((limit << 12) | 0xfff) >>> 0 : limit;
  }
  get attributes(): number {
    return this.high & Attribute.ALL;
  }
  /** Of a gate: the selector of the code segment or the TSS it leads to. */
  get gateSelector(): number {
    return this.low >>> 16;
  }
  /** Of a gate: its entry point; a 16-bit gate has only the lower half. */
  get gateOffset(): number {
    return this.isGate32 ? ((this.high & 0xffff0000) | (this.low & 0xffff)) >>> 0 : this.low & 0xffff;
  }
  /** Bit 3 of a gate's or TSS's type tells 32-bit from 16-bit. */
  get isGate32(): boolean {
    return (this.high & 0x800) !== 0;
  }
  /** Of a call gate: number of parameters to copy. */
  get parameterCount(): number {
    return this.high & 0x1f;
  }
}

/** A null selector: index 0 of the GDT, whatever its RPL. */
export function isNull(selector: number): boolean {
  return (selector & 0xfffc) === 0;
}

/** A fault whose error code is a selector. `ext` is ErrorBit.EXT when the cause is external to the program. */
export function selectorFault(vector: number, selector: number, ext = 0): GuestFault {
  return new GuestFault(vector, (selector & 0xfffc) | ext);
}

/**
 * The descriptor that a selector names, or null when it lies outside its table (or there is no LDT).
 * The null selector is the caller's business.
 * @throws GuestFault #PF
 */
export function readDescriptor(cpu: Cpu, selector: number): Descriptor | null {
  const usesLdt = (selector & 4) !== 0;
  if (usesLdt && !cpu.isSegmentUsable(Seg.LDTR)) return null;
  const limit = usesLdt ? cpu.segmentLimit(Seg.LDTR) : cpu.word(L.GDTR_LIMIT);
  if ((selector | 7) > limit) return null;
  const base = usesLdt ? cpu.segmentBase(Seg.LDTR) : cpu.word(L.GDTR_BASE);
  return readDescriptorAt(cpu, selector, (base + (selector & 0xfff8)) >>> 0);
}

/** Eight bytes at a linear address, read with supervisor privilege. @throws GuestFault #PF */
export function readDescriptorAt(cpu: Cpu, selector: number, address: number): Descriptor {
  const low = cpu.readLinear(address, 4, false);
  const high = cpu.readLinear((address + 4) >>> 0, 4, false);
  return new Descriptor(selector & 0xffff, address, low, high);
}

/** The descriptor that a selector names. @throws GuestFault `vector`(selector) when it lies outside its table */
export function requireDescriptor(cpu: Cpu, selector: number, vector: number, ext = 0): Descriptor {
  const descriptor = readDescriptor(cpu, selector);
  if (descriptor === null) throw selectorFault(vector, selector, ext);
  return descriptor;
}

/**
 * True when `size` bytes at `offset` lie inside a segment. SDM Vol. 3, 5.3. A segment of 4 GiB has no end: addresses wrap,
 * as in the flat fast path.
 */
export function isInsideLimit(attributes: number, limit: number, offset: number, size: number): boolean {
  const last = offset + size - 1;
  const dataKind = Attribute.SEGMENT | Attribute.CODE | Attribute.DIRECTION;
  if ((attributes & dataKind) === (Attribute.SEGMENT | Attribute.DIRECTION))
    return offset > limit && last <= (attributes & Attribute.BIG ? 0xffffffff : 0xffff);
  return last <= limit || limit === 0xffffffff;
}

/** Protected mode and not virtual-8086 mode. */
export function isProtected(cpu: Cpu): boolean {
  return (cpu.word(L.MODE) & Mode.PROTECTED) !== 0;
}
export function isVirtual8086(cpu: Cpu): boolean {
  return (cpu.word(L.MODE) & Mode.VM86) !== 0;
}

/** @throws GuestFault #GP(0) unless CPL is 0 (in virtual-8086 mode it is 3). */
export function checkPrivileged(cpu: Cpu): void {
  if (cpu.cpl !== 0) throw new GuestFault(Vector.GP, 0);
}
/** @throws GuestFault #UD in real and virtual-8086 mode. */
export function checkProtectedMode(cpu: Cpu): void {
  if (!isProtected(cpu)) throw new GuestFault(Vector.UD);
}
