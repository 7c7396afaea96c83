/**
 * The x87 register stack and its status: ST(i) is physical register (TOP + i) modulo 8, a tag bit says that it is in use, and the
 * status word collects exceptions until somebody waits for them. SDM Vol. 1, 8.1 (environment), 8.4, 8.5 (exceptions).
 */
import type { Cpu } from "../../cpu";
import { GuestFault } from "../../fault";
import * as L from "../../state-layout";
import { Cr0, Vector } from "../../state-layout";
import { helper } from "../helper";
import { EXTENDED, FloatEnvironment, FloatFlag, INDEFINITE, packSpecial } from "./soft-float";

/** Bits of the status word. SDM Vol. 1, 8.1.3. */
export const Status = {
  SF: 0x40,
  ES: 0x80,
  C0: 0x100,
  C1: 0x200,
  C2: 0x400,
  TOP: 0x3800,
  C3: 0x4000,
  B: 0x8000,
} as const;
export const CONDITIONS = Status.C0 | Status.C1 | Status.C2 | Status.C3;
const TOP_SHIFT = 11;
export const ALL_EXCEPTIONS = 0x3f;
/** Reserved control bit that always reads as one. */
const CONTROL_ONE = 0x40;
const CONTROL_MASK = 0x1f7f;
export const INDEFINITE_80 = packSpecial(INDEFINITE, EXTENDED);

export function status(cpu: Cpu): number {
  return cpu.word(L.FPU_STATUS);
}
export function setStatus(cpu: Cpu, value: number): void {
  cpu.setWord(L.FPU_STATUS, value & 0xffff);
}
export function control(cpu: Cpu): number {
  return cpu.word(L.FPU_CONTROL);
}
/** Sets the control word; a pending exception may thereby become masked or unmasked. */
export function setControl(cpu: Cpu, value: number): void {
  cpu.setWord(L.FPU_CONTROL, (value & CONTROL_MASK) | CONTROL_ONE);
  summarize(cpu);
}
/** ES and B follow from flags and masks. */
export function summarize(cpu: Cpu): void {
  const isPending = (status(cpu) & ~control(cpu) & ALL_EXCEPTIONS) !== 0;
  const summary = Status.ES | Status.B;
  setStatus(cpu, isPending ? status(cpu) | summary : status(cpu) & ~summary);
}

export function top(cpu: Cpu): number {
  return (status(cpu) & Status.TOP) >>> TOP_SHIFT;
}
export function setTop(cpu: Cpu, value: number): void {
  setStatus(cpu, (status(cpu) & ~Status.TOP) | ((value & 7) << TOP_SHIFT));
}
/** Sets the condition bits named in `mask` to those in `bits`. */
export function setConditions(cpu: Cpu, bits: number, mask: number = CONDITIONS): void {
  setStatus(cpu, (status(cpu) & ~mask) | bits);
}

function placeOf(cpu: Cpu, i: number): number {
  return L.FPU_REGISTERS + ((top(cpu) + i) & 7) * 16;
}
function tagOf(cpu: Cpu, i: number): number {
  return 1 << ((top(cpu) + i) & 7);
}
export function isEmpty(cpu: Cpu, i: number): boolean {
  return (cpu.word(L.FPU_TAGS) & tagOf(cpu, i)) === 0;
}
export function setEmpty(cpu: Cpu, i: number): void {
  cpu.setWord(L.FPU_TAGS, cpu.word(L.FPU_TAGS) & ~tagOf(cpu, i));
}
/** The 80 bits of ST(i), empty or not. */
export function readStack(cpu: Cpu, i: number): bigint {
  const place = placeOf(cpu, i);
  return (BigInt(cpu.u16[(place + 8) >> 1]) << 64n) | cpu.view.getBigUint64(place, true);
}
/** Sets ST(i) and marks it used. */
export function writeStack(cpu: Cpu, i: number, bits: bigint): void {
  const place = placeOf(cpu, i);
  cpu.view.setBigUint64(place, bits & 0xffffffffffffffffn, true);
  cpu.u16[(place + 8) >> 1] = Number(bits >> 64n);
  cpu.setWord(L.FPU_TAGS, cpu.word(L.FPU_TAGS) | tagOf(cpu, i));
}
export function pop(cpu: Cpu): void {
  setEmpty(cpu, 0);
  setTop(cpu, top(cpu) + 1);
}

/** Rounding and masks as the control word says. */
export function environment(cpu: Cpu, isFullPrecision = false): FloatEnvironment {
  const word = control(cpu);
  const precision = isFullPrecision ? 64 : [24, 64, 53, 64][(word >>> 8) & 3];
  return new FloatEnvironment((word >>> 10) & 3, word & ALL_EXCEPTIONS, precision, false, false, true);
}
/** Enters exceptions into the status word; true when one of `blocking` is unmasked, so that no result may be written. */
export function raise(cpu: Cpu, flags: number, blocking = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE): boolean {
  setStatus(cpu, status(cpu) | flags);
  summarize(cpu);
  return (flags & blocking & ~control(cpu)) !== 0;
}
/** Stack fault: overflow (C1 = 1) or underflow (C1 = 0). True when it is unmasked. SDM Vol. 1, 8.5.1.1. */
export function stackFault(cpu: Cpu, isOverflow: boolean): boolean {
  setConditions(cpu, isOverflow ? Status.C1 : 0, Status.C1);
  return raise(cpu, FloatFlag.IE | Status.SF);
}
/** Pushes a value; on overflow the default NaN, unless that is unmasked. */
export function push(cpu: Cpu, bits: bigint): void {
  const isOverflow = !isEmpty(cpu, 7);
  if (isOverflow && stackFault(cpu, true)) return;
  if (!isOverflow) setConditions(cpu, 0, Status.C1);
  setTop(cpu, top(cpu) - 1);
  writeStack(cpu, 0, isOverflow ? INDEFINITE_80 : bits);
}

/** #MF for an exception that an earlier instruction left pending. SDM Vol. 1, 8.6; Vol. 3, 6.15 interrupt 16. */
export function checkPendingException(cpu: Cpu): void {
  if (status(cpu) & Status.ES && cpu.cr0 & Cr0.NE) throw new GuestFault(Vector.MF);
}
export const checkPending = helper("checkPending", "continue", checkPendingException);
