/**
 * EFLAGS out of the two lazy words and back, in plain numbers. The emitters' side of the same encoding is emitter/flags.ts;
 * the encoding itself is described in state-layout.ts. SDM Vol. 1, 3.4.3.
 */
import { Flag } from "./state-layout";

/** PF: set when the byte has an even number of one bits. */
export function hasEvenParity(byte: number): boolean {
  byte ^= byte >>> 4;
  return ((0x9669 >>> (byte & 15)) & 1) === 1;
}

/** The whole EFLAGS value. */
export function eflagsFromLazy(result: number, carries: number, system: number): number {
  let flags = system;
  if (carries & 0x80000000) flags |= Flag.CF;
  if (hasEvenParity((result ^ (carries >>> 8)) & 0xff)) flags |= Flag.PF;
  if (carries & 8) flags |= Flag.AF;
  if (result === 0) flags |= Flag.ZF;
  if (((result >>> 31) ^ carries) & 1) flags |= Flag.SF;
  if ((carries ^ (carries << 1)) & 0x80000000) flags |= Flag.OF;
  return flags >>> 0;
}

/** The lazy words that say the same as the arithmetic flags of `eflags`. */
export function lazyFromEflags(eflags: number): { result: number; carries: number } {
  const result = eflags & Flag.ZF ? 0 : 1;
  let carries = 0;
  if (eflags & Flag.CF) carries |= 0x80000000;
  if (((eflags & Flag.CF) !== 0) !== ((eflags & Flag.OF) !== 0)) carries |= 0x40000000;
  if (eflags & Flag.AF) carries |= 8;
  if (eflags & Flag.SF) carries |= 1;
  // result's low byte is 0 (even) or 1 (odd); PF_DELTA flips it where PF says otherwise.
  if (((eflags & Flag.PF) !== 0) !== (result === 0)) carries |= 1 << 8;
  return { result, carries: carries >>> 0 };
}
