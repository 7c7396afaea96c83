/**
 * What all far transfers share: entering a code segment, finding the stack of an inner ring, returning to an outer one.
 *
 * far-transfer.ts (JMP, CALL, RET), interrupts.ts (gates, IRET) and task-switch.ts put these together. Everything named
 * check* or read* changes nothing; enter* and set* cannot fail. SDM Vol. 3, 5.8 (privilege levels in control transfers).
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Reg, Seg, Vector } from "../state-layout";
import { Attribute, type Descriptor, isNull, requireDescriptor, selectorFault } from "./descriptors";
import type { PendingWrites } from "./pending-writes";
import { checkPresent, checkStackSegment, fillNull, fillSegment } from "./segmentation";
import type { StackFrame } from "./stack-frame";

/** EFLAGS bits that IRET and POPF always load; wider and more privileged forms load more. SDM Vol. 2, IRET, POPF. */
const FLAGS_ALWAYS = L.ARITHMETIC_FLAGS | L.Flag.TF | L.Flag.DF | L.Flag.NT;
const FLAGS_WIDE = L.Flag.AC | L.Flag.ID;

/**
 * EFLAGS after IRET or POPF of an image, with the rules of the present CPL and IOPL.
 * RF is not kept: it holds off instruction breakpoints for one instruction, after which it is 0 again. VIF and VIP are reserved
 * without virtual-8086 mode extensions.
 */
export function mergeFlags(cpu: Cpu, image: number, size: number): number {
  let loaded = FLAGS_ALWAYS;
  if (size === 4) loaded |= FLAGS_WIDE;
  if (cpu.cpl <= cpu.iopl) loaded |= L.Flag.IF;
  if (cpu.cpl === 0) loaded |= L.Flag.IOPL;
  return ((image & loaded) | (cpu.eflags & ~loaded & ~L.Flag.RF)) >>> 0;
}

/** @throws GuestFault #GP(ext) when `eip` is outside the code segment */
export function checkEip(eip: number, limit: number, ext = 0): void {
  if (eip > limit) throw new GuestFault(Vector.GP, ext);
}

/** CS at privilege `cpl`. Call cpu.updateMode() afterwards. */
export function enterCode(cpu: Cpu, descriptor: Descriptor, cpl: number, eip: number): void {
  fillSegment(cpu, Seg.CS, (descriptor.selector & 0xfffc) | cpl, descriptor);
  cpu.cpl = cpl;
  cpu.eip = eip;
}

/** The stack that the TSS holds for a level. */
export interface InnerStack {
  readonly descriptor: Descriptor;
  readonly pointer: number;
}

/**
 * Stack for privilege level `level` out of the current TSS. SDM Vol. 3, 5.8.5.
 * @throws GuestFault #TS, #SS
 */
export function readInnerStack(cpu: Cpu, level: number, ext: number): InnerStack {
  const isTss32 = (cpu.segmentAttributes(Seg.TR) & Attribute.CODE) !== 0;
  const offset = isTss32 ? level * 8 + 4 : level * 4 + 2;
  if (offset + (isTss32 ? 5 : 3) > cpu.segmentLimit(Seg.TR)) throw selectorFault(Vector.TS, cpu.selector(Seg.TR), ext);
  const at = (cpu.segmentBase(Seg.TR) + offset) >>> 0;
  const pointer = cpu.readLinear(at, isTss32 ? 4 : 2, false);
  const selector = cpu.readLinear((at + (isTss32 ? 4 : 2)) >>> 0, 2, false);
  const descriptor = checkStackSegment(cpu, selector, level, Vector.TS, ext);
  checkPresent(descriptor, Vector.SS, ext);
  return { descriptor, pointer };
}

/**
 * The code segment that a far RET or IRET names. SDM Vol. 2, RET and IRET.
 * @throws GuestFault #GP, #NP
 */
export function readReturnCode(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(Vector.GP, 0);
  const descriptor = requireDescriptor(cpu, selector, Vector.GP);
  const rpl = selector & 3;
  if (!descriptor.isCode || rpl < cpu.cpl) throw selectorFault(Vector.GP, selector);
  if (descriptor.isConforming ? descriptor.dpl > rpl : descriptor.dpl !== rpl) throw selectorFault(Vector.GP, selector);
  checkPresent(descriptor, Vector.NP);
  return descriptor;
}

/**
 * The stack segment of the outer ring that a far RET or IRET returns to.
 * @throws GuestFault #GP, #SS
 */
export function readOuterStack(cpu: Cpu, selector: number, level: number): Descriptor {
  const descriptor = checkStackSegment(cpu, selector, level, Vector.GP);
  checkPresent(descriptor, Vector.SS);
  return descriptor;
}

/** Completes a return to an outer ring: code, stack, and no data segment left that the ring may not use. */
export function enterOuter(
  cpu: Cpu,
  writes: PendingWrites,
  code: Descriptor,
  eip: number,
  stack: Descriptor,
  pointer: number,
): void {
  writes.addAccessed(code);
  writes.addAccessed(stack);
  writes.commit();
  const level = code.selector & 3;
  enterCode(cpu, code, level, eip);
  fillSegment(cpu, Seg.SS, stack.selector, stack);
  setStackPointer(cpu, pointer);
  for (const seg of [Seg.ES, Seg.FS, Seg.GS, Seg.DS]) {
    const attributes = cpu.segmentAttributes(seg);
    const isConforming = (attributes & Attribute.CODE) !== 0 && (attributes & Attribute.DIRECTION) !== 0;
    if (cpu.isSegmentUsable(seg) && !isConforming && ((attributes >>> 13) & 3) < level) fillNull(cpu, seg, 0);
  }
  cpu.updateMode();
}

/** ESP, or only SP where SS is a 16-bit segment: the upper half stays, which the manual does not say and all processors do. */
export function setStackPointer(cpu: Cpu, pointer: number): void {
  const isBig = (cpu.segmentAttributes(Seg.SS) & Attribute.BIG) !== 0;
  cpu.setReg(Reg.ESP, isBig ? pointer : (cpu.reg(Reg.ESP) & 0xffff0000) | (pointer & 0xffff));
}

/** Switches to an inner ring's stack after the frame was pushed on it. */
export function enterInnerStack(cpu: Cpu, stack: Descriptor, frame: StackFrame): void {
  fillSegment(cpu, Seg.SS, stack.selector, stack);
  cpu.setReg(Reg.ESP, frame.pointer);
}
