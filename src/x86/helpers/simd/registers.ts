/**
 * Packed operands: MMX and XMM registers and memory, as places in the processor's state. A memory operand is first read into
 * PACKED_SCRATCH, so an operation sees two places whatever its form. SDM Vol. 1, 9.2.1 (MMX registers lie in the x87's), 11.4.
 */
import type { Cpu } from "../../cpu";
import { GuestFault } from "../../fault";
import * as L from "../../state-layout";
import { Vector } from "../../state-layout";
import { type Helper, helper } from "../helper";
import { linearForAccess } from "../segmentation";
import { Lanes, type PackedOperation } from "./lanes";

/** True for the place of an MMX register. */
export function isMmx(place: number): boolean {
  return place < L.XMM_REGISTERS;
}

/** Any MMX instruction makes all x87 registers look used, with R0 on top. SDM Vol. 1, 9.6.2. */
export function enterMmx(cpu: Cpu): void {
  cpu.setWord(L.FPU_STATUS, cpu.word(L.FPU_STATUS) & ~0x3800);
  cpu.setWord(L.FPU_TAGS, 0xff);
}

/** A written MMX register has an exponent field of ones. */
function markMmxWritten(cpu: Cpu, place: number): void {
  cpu.u16[(place + 8) >> 1] = 0xffff;
}

/** (segment, offset, bytes, isAligned): memory to PACKED_SCRATCH, zero-extended. @throws GuestFault #GP(0) when not aligned */
export const readPacked = helper("readPacked", "continue", (cpu, seg, offset, bytes, isAligned) => {
  const linear = packedAddress(cpu, seg, offset, bytes, isAligned, false);
  const words = [0, 0, 0, 0];
  for (let at = 0; at < bytes; at += 4) words[at / 4] = cpu.readLinear((linear + at) >>> 0, Math.min(4, bytes - at));
  for (const [k, word] of words.entries()) cpu.setWord(L.PACKED_SCRATCH + k * 4, word);
});

/** (segment, offset, bytes, isAligned, place): a register's low bytes to memory. */
export const writePacked = helper("writePacked", "continue", (cpu, seg, offset, bytes, isAligned, place) => {
  const linear = packedAddress(cpu, seg, offset, bytes, isAligned, true);
  cpu.probeWriteLinear(linear, bytes);
  if (isMmx(place)) enterMmx(cpu);
  for (let at = 0; at < bytes; at += 4)
    cpu.writeLinear((linear + at) >>> 0, Math.min(4, bytes - at), cpu.word(place + at));
});

function packedAddress(
  cpu: Cpu,
  seg: number,
  offset: number,
  bytes: number,
  isAligned: number,
  isWrite: boolean,
): number {
  const linear = linearForAccess(cpu, seg, offset >>> 0, bytes, isWrite);
  if (isAligned && linear & 15) throw new GuestFault(Vector.GP, 0);
  return linear;
}

const destination = new Lanes();
const source = new Lanes();

export function loadLanes(cpu: Cpu, place: number, lanes: Lanes): Lanes {
  lanes.u8.set(cpu.u8.subarray(place, place + 16));
  return lanes;
}
function storeLanes(cpu: Cpu, place: number, lanes: Lanes): void {
  if (isMmx(place)) {
    cpu.u8.set(lanes.u8.subarray(0, 8), place);
    markMmxWritten(cpu, place);
  } else cpu.u8.set(lanes.u8, place);
}

/** An operation on two places: (destination, source, immediate). It may throw before it has changed anything. */
export function packedHelper(
  name: string,
  operation: (cpu: Cpu, d: Lanes, s: Lanes, bytes: number, immediate: number) => void,
): Helper {
  return helper(name, "continue", (cpu, to, from, immediate) => {
    loadLanes(cpu, to, destination);
    loadLanes(cpu, from, source);
    // Also when the operation then raises #XM (vectors: sseunm, "cvttps2pi").
    if (isMmx(to) || isMmx(from)) enterMmx(cpu);
    operation(cpu, destination, source, isMmx(to) ? 8 : 16, immediate);
    storeLanes(cpu, to, destination);
  });
}
/** An integer operation. */
export function integerHelper(name: string, operation: PackedOperation): Helper {
  return packedHelper(name, (_cpu, d, s, bytes, immediate) => operation(d, s, bytes, immediate));
}
/** The same with a count in the immediate instead of a source. */
export function shiftHelper(name: string, operation: PackedOperation): Helper {
  return packedHelper(name, (_cpu, d, s, bytes, immediate) => {
    s.u64[0] = BigInt(immediate);
    operation(d, s, bytes, immediate);
  });
}
/** Something that gives a number: (source, argument). */
export function extractHelper(name: string, extract: (cpu: Cpu, s: Lanes, bytes: number, argument: number) => number) {
  return helper(name, "continue", (cpu, from, argument) => {
    const result = extract(cpu, loadLanes(cpu, from, source), isMmx(from) ? 8 : 16, argument);
    if (isMmx(from)) enterMmx(cpu);
    return result;
  });
}

/** A number out of two registers: (source, destination). */
export function pairHelper(name: string, take: (cpu: Cpu, d: Lanes, s: Lanes) => number): Helper {
  return helper(name, "continue", (cpu, from, to) =>
    take(cpu, loadLanes(cpu, to, destination), loadLanes(cpu, from, source)),
  );
}

/** (segment, offset, destination, mask): bytes of the destination whose mask byte has its top bit set. SDM Vol. 2, MASKMOVQ. */
export const maskedMove = helper("maskedMove", "continue", (cpu, seg, offset, from, mask) => {
  const bytes = isMmx(from) ? 8 : 16;
  const places = Array.from({ length: bytes }, (_, k) => k).filter((k) => cpu.u8[mask + k] & 0x80);
  const linear = places.map((k) => linearForAccess(cpu, seg, (offset + k) >>> 0, 1, true));
  for (const address of linear) cpu.probeWriteLinear(address, 1);
  if (isMmx(from)) enterMmx(cpu);
  for (const [n, k] of places.entries()) cpu.writeLinear(linear[n], 1, cpu.u8[from + k]);
});

/** Bits of MXCSR that exist. */
export const MXCSR_MASK = 0xffff;
/** LDMXCSR: (value). */
export const loadMxcsr = helper("loadMxcsr", "continue", (cpu, value) => {
  if (value & ~MXCSR_MASK) throw new GuestFault(Vector.GP, 0);
  cpu.setWord(L.MXCSR, value);
});
/** STMXCSR. */
export const storeMxcsr = helper("storeMxcsr", "continue", (cpu) => cpu.word(L.MXCSR));
/** EMMS. */
export const emptyMmx = helper("emptyMmx", "continue", (cpu) => {
  cpu.setWord(L.FPU_STATUS, cpu.word(L.FPU_STATUS) & ~0x3800);
  cpu.setWord(L.FPU_TAGS, 0);
});
