/**
 * Loading segment registers and reaching memory through them: every check of SDM Vol. 3, 5.2 to 5.6, and the instructions that
 * load or ask about descriptors (MOV, POP and LxS to a segment register, LLDT, LTR, LGDT, LIDT, LAR, LSL, VERR, VERW; Vol. 2).
 *
 * The order is the same everywhere: find the descriptor, check type and privilege, check presence, set the accessed bit if it is
 * clear (the only memory write, and only then: a descriptor table may be read-only), then change the register.
 * Next: far-transfer.ts and interrupts.ts, which load CS and SS by their own rules.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Seg, Vector } from "../state-layout";
import {
  Attribute,
  BUSY,
  checkPrivileged,
  checkProtectedMode,
  type Descriptor,
  isInsideLimit,
  isNull,
  isProtected,
  isVirtual8086,
  readDescriptor,
  requireDescriptor,
  SystemType,
  selectorFault,
} from "./descriptors";
import { helper } from "./helper";
import { PendingWrites } from "./pending-writes";

const REAL_MODE_LIMIT = 0xffff;
const ATTRIBUTES_DATA = 0x9300;
const ATTRIBUTES_CODE = 0x9b00;
const DPL3 = 0x6000;

/**
 * Linear address of an access of `size` bytes at `offset` in a segment, after all checks of the segment itself (not paging).
 * A 16-bit address is wrapped by the caller.
 * @throws GuestFault #GP(0), or #SS(0) when the segment is SS
 */
export function linearForAccess(cpu: Cpu, seg: number, offset: number, size: number, isWrite: boolean): number {
  offset >>>= 0;
  if (!isAccessible(cpu, seg, offset, size, isWrite)) throw new GuestFault(seg === Seg.SS ? Vector.SS : Vector.GP, 0);
  return (cpu.segmentBase(seg) + offset) >>> 0;
}

/** Whether linearForAccess would succeed. */
export function isAccessible(cpu: Cpu, seg: number, offset: number, size: number, isWrite: boolean): boolean {
  const attributes = cpu.segmentAttributes(seg);
  if (!cpu.isSegmentUsable(seg) || (isProtected(cpu) && !isTypeAllowed(attributes, isWrite))) return false;
  return isInsideLimit(attributes, cpu.segmentLimit(seg), offset, size);
}

/** Reads need data or readable code, writes need writable data. SDM Vol. 3, 5.4. */
function isTypeAllowed(attributes: number, isWrite: boolean): boolean {
  const isCode = (attributes & Attribute.CODE) !== 0;
  const right = (attributes & Attribute.RIGHT) !== 0;
  return isWrite ? !isCode && right : !isCode || right;
}

/** Puts a descriptor into a segment register. Call cpu.updateMode() after the last of a group. */
export function fillSegment(cpu: Cpu, seg: number, selector: number, descriptor: Descriptor): void {
  const accessed = descriptor.isSegment ? Attribute.ACCESSED : 0;
  cpu.setSegment(seg, selector & 0xffff, descriptor.base, descriptor.limit, descriptor.attributes | accessed, true);
}

/** Makes a segment register null: any access through it faults. */
export function fillNull(cpu: Cpu, seg: number, selector: number): void {
  cpu.setSegment(seg, selector & 0xffff, 0, 0, 0, false);
}

/** A segment register in real mode: only the base follows the selector; limit and D/B stay. SDM Vol. 3, 20.1.1. */
export function fillReal(cpu: Cpu, seg: number, selector: number): void {
  const limit = cpu.isSegmentUsable(seg) ? cpu.segmentLimit(seg) : REAL_MODE_LIMIT;
  const kept = cpu.segmentAttributes(seg) & (Attribute.BIG | Attribute.GRANULARITY);
  const type = seg === Seg.CS ? ATTRIBUTES_CODE : ATTRIBUTES_DATA;
  cpu.setSegment(seg, selector & 0xffff, (selector & 0xffff) << 4, limit, kept | type, true);
}

/** A segment register in virtual-8086 mode. SDM Vol. 3, 20.2.1. */
export function fillVirtual8086(cpu: Cpu, seg: number, selector: number): void {
  const type = seg === Seg.CS ? ATTRIBUTES_CODE : ATTRIBUTES_DATA;
  cpu.setSegment(seg, selector & 0xffff, (selector & 0xffff) << 4, REAL_MODE_LIMIT, type | DPL3, true);
}

/**
 * Descriptor for SS at privilege `cpl`, all but its presence checked.
 * @throws GuestFault `vector`(selector): #GP from a program, #TS from a TSS
 */
export function checkStackSegment(cpu: Cpu, selector: number, cpl: number, vector: number, ext = 0): Descriptor {
  if (isNull(selector)) throw new GuestFault(vector, ext);
  const descriptor = requireDescriptor(cpu, selector, vector, ext);
  if ((selector & 3) !== cpl || !descriptor.isWritable || descriptor.dpl !== cpl)
    throw selectorFault(vector, selector, ext);
  return descriptor;
}

/** @throws GuestFault `vector`(selector) when a segment is marked not present */
export function checkPresent(descriptor: Descriptor, vector: number, ext = 0): void {
  if (!descriptor.isPresent) throw selectorFault(vector, descriptor.selector, ext);
}

/**
 * Descriptor for DS, ES, FS or GS, all but its presence checked.
 * @throws GuestFault `vector`(selector)
 */
export function checkDataSegment(cpu: Cpu, selector: number, cpl: number, vector: number, ext = 0): Descriptor {
  const descriptor = requireDescriptor(cpu, selector, vector, ext);
  if (!descriptor.isReadable) throw selectorFault(vector, selector, ext);
  if (!descriptor.isConforming && (descriptor.dpl < (selector & 3) || descriptor.dpl < cpl))
    throw selectorFault(vector, selector, ext);
  return descriptor;
}

/** Loads one of ES, SS, DS, FS, GS in the present mode. SDM Vol. 2, MOV, "Loading a segment register while in protected mode". */
export function loadSegmentRegister(cpu: Cpu, seg: number, selector: number): void {
  selector &= 0xffff;
  if (isVirtual8086(cpu)) fillVirtual8086(cpu, seg, selector);
  else if (!isProtected(cpu)) fillReal(cpu, seg, selector);
  else if (seg !== Seg.SS && isNull(selector)) fillNull(cpu, seg, selector);
  else {
    const isStack = seg === Seg.SS;
    const descriptor = isStack
      ? checkStackSegment(cpu, selector, cpu.cpl, Vector.GP)
      : checkDataSegment(cpu, selector, cpu.cpl, Vector.GP);
    checkPresent(descriptor, isStack ? Vector.SS : Vector.NP);
    const writes = new PendingWrites(cpu);
    writes.addAccessed(descriptor);
    writes.commit();
    fillSegment(cpu, seg, selector, descriptor);
  }
  if (seg <= Seg.DS) cpu.updateMode();
}

/** MOV and POP to a segment register. After SS, interrupts wait for one instruction. SDM Vol. 3, 6.8.3. */
export const loadSegment = helper("loadSegment", "refetch", (cpu, seg, selector) => {
  loadSegmentRegister(cpu, seg, selector);
  if (seg === Seg.SS) cpu.setWord(L.INTERRUPT_SHADOW, L.Shadow.STACK);
});

/** LDS, LES, LFS, LGS, LSS: as loadSegment, but LSS sets ESP with SS and needs no interrupt shadow. */
export const loadSegmentOfPointer = helper("loadSegmentOfPointer", "refetch", (cpu, seg, selector) =>
  loadSegmentRegister(cpu, seg, selector),
);

/** LLDT. SDM Vol. 2. */
export const loadLdt = helper("loadLdt", "refetch", (cpu, selector) => {
  checkProtectedMode(cpu);
  checkPrivileged(cpu);
  if (isNull(selector)) fillNull(cpu, Seg.LDTR, selector);
  else {
    const descriptor = requireGlobalDescriptor(cpu, selector, Vector.GP);
    if (descriptor.systemType !== SystemType.LDT) throw selectorFault(Vector.GP, selector);
    checkPresent(descriptor, Vector.NP);
    fillSegment(cpu, Seg.LDTR, selector, descriptor);
  }
});

/** LTR: the TSS must be available and becomes busy. SDM Vol. 2. */
export const loadTask = helper("loadTask", "refetch", (cpu, selector) => {
  checkProtectedMode(cpu);
  checkPrivileged(cpu);
  if (isNull(selector)) throw new GuestFault(Vector.GP, 0);
  const descriptor = requireGlobalDescriptor(cpu, selector, Vector.GP);
  if (!descriptor.isAvailableTss) throw selectorFault(Vector.GP, selector);
  checkPresent(descriptor, Vector.NP);
  const writes = new PendingWrites(cpu);
  writes.addType(descriptor, descriptor.typeByte | BUSY);
  writes.commit();
  fillTask(cpu, selector, descriptor);
});

/** TR after a load: its hidden part says busy. */
export function fillTask(cpu: Cpu, selector: number, descriptor: Descriptor): void {
  const attributes = descriptor.attributes | (BUSY << 8);
  cpu.setSegment(Seg.TR, selector & 0xffff, descriptor.base, descriptor.limit, attributes, true);
}

/** A descriptor that must be in the GDT (an LDT or a TSS). @throws GuestFault `vector`(selector) */
export function requireGlobalDescriptor(cpu: Cpu, selector: number, vector: number, ext = 0): Descriptor {
  if (selector & 4) throw selectorFault(vector, selector, ext);
  return requireDescriptor(cpu, selector & 0xffff, vector, ext);
}

/** LGDT (isIdt 0) and LIDT (isIdt 1). A 16-bit operand size gives only 24 bits of base: the caller masks. SDM Vol. 2. */
export const loadDescriptorTable = helper("loadDescriptorTable", "refetch", (cpu, isIdt, base, limit) => {
  checkPrivileged(cpu);
  cpu.setWord(isIdt ? L.IDTR_BASE : L.GDTR_BASE, base);
  cpu.setWord(isIdt ? L.IDTR_LIMIT : L.GDTR_LIMIT, limit & 0xffff);
});

/** SGDT (isIdt 0) and SIDT (isIdt 1): the limit (part 0) or the base (part 1) to store. Not privileged. SDM Vol. 2. */
export const storeDescriptorTable = helper("storeDescriptorTable", "continue", (cpu, isIdt, part) => {
  if (part) return cpu.word(isIdt ? L.IDTR_BASE : L.GDTR_BASE);
  return cpu.word(isIdt ? L.IDTR_LIMIT : L.GDTR_LIMIT);
});

/** #GP(0) unless CPL is 0: for privileged instructions that read memory before their helper runs (LGDT, LLDT, LTR, LMSW). */
export const requirePrivilege = helper("requirePrivilege", "continue", (cpu) => checkPrivileged(cpu));

/** #UD in real and virtual-8086 mode: for instructions that read memory before their helper runs. */
export const requireProtectedMode = helper("requireProtectedMode", "continue", (cpu) => checkProtectedMode(cpu));

const bits = (...types: number[]) => types.reduce((set, type) => set | (1 << type), 0);
/** System descriptors that LAR and LSL know. SDM Vol. 2, tables 3-53 and 3-57 (LAR, LSL). */
const LAR_TYPES = bits(
  SystemType.TSS16,
  SystemType.LDT,
  SystemType.TSS16_BUSY,
  SystemType.CALL_GATE16,
  SystemType.TASK_GATE,
  SystemType.TSS32,
  SystemType.TSS32_BUSY,
  SystemType.CALL_GATE32,
);
const LSL_TYPES = bits(
  SystemType.TSS16,
  SystemType.LDT,
  SystemType.TSS16_BUSY,
  SystemType.TSS32,
  SystemType.TSS32_BUSY,
);

const LAR_MASK = 0xffff00;

/** The descriptor that LAR, LSL, VERR and VERW may look at, or null. */
function visibleDescriptor(cpu: Cpu, selector: number, systemTypes: number): Descriptor | null {
  checkProtectedMode(cpu);
  selector &= 0xffff;
  if (isNull(selector)) return null;
  const descriptor = readDescriptor(cpu, selector);
  if (descriptor === null) return null;
  if (!descriptor.isSegment && !(systemTypes & (1 << descriptor.systemType))) return null;
  const isOpen = descriptor.isConforming || (descriptor.dpl >= cpu.cpl && descriptor.dpl >= (selector & 3));
  return isOpen ? descriptor : null;
}

/** LAR: ZF. SDM Vol. 2. */
export const isLarValid = helper("isLarValid", "continue", (cpu, selector) =>
  visibleDescriptor(cpu, selector, LAR_TYPES) ? 1 : 0,
);
/**
 * LAR: the access rights; 0 where ZF is 0. The 16-bit form keeps the low half. Bits 16-19, undefined in the manual, are the
 * limit's on silicon (recorded vectors, group seg).
 */
export const larValue = helper("larValue", "continue", (cpu, selector) => {
  const descriptor = visibleDescriptor(cpu, selector, LAR_TYPES);
  return descriptor ? descriptor.high & LAR_MASK : 0;
});
/** LSL: ZF. SDM Vol. 2. */
export const isLslValid = helper("isLslValid", "continue", (cpu, selector) =>
  visibleDescriptor(cpu, selector, LSL_TYPES) ? 1 : 0,
);
/** LSL: the limit in bytes; 0 where ZF is 0. */
export const lslValue = helper("lslValue", "continue", (cpu, selector) => {
  const descriptor = visibleDescriptor(cpu, selector, LSL_TYPES);
  return descriptor ? descriptor.limit : 0;
});
/** VERR: ZF. SDM Vol. 2. */
export const verifyRead = helper("verifyRead", "continue", (cpu, selector) =>
  visibleDescriptor(cpu, selector, 0)?.isReadable ? 1 : 0,
);
/** VERW: ZF. SDM Vol. 2. */
export const verifyWrite = helper("verifyWrite", "continue", (cpu, selector) =>
  visibleDescriptor(cpu, selector, 0)?.isWritable ? 1 : 0,
);
