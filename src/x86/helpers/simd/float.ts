/**
 * Packed and scalar floating point of SSE, SSE2 and SSE3, by the manual's mnemonic. SDM Vol. 1, 11.5 (exceptions, NaN); Vol. 2.
 *
 * Arithmetic is soft-float.ts under MXCSR. All lanes are computed first; if an exception that they raise is unmasked, #XM comes
 * before the destination changes. Where both operands are NaN, the destination's wins.
 */
import type { Cpu } from "../../cpu";
import { GuestFault } from "../../fault";
import * as L from "../../state-layout";
import { Vector } from "../../state-layout";
import {
  add,
  compare,
  DOUBLE,
  divide,
  FloatEnvironment,
  FloatFlag,
  type Format,
  fromInteger,
  isNan,
  Kind,
  multiply,
  negated,
  pack,
  packSpecial,
  Rounding,
  SINGLE,
  special,
  squareRoot,
  toInteger,
  type Unpacked,
  unpack,
} from "../floating-point/soft-float";
import type { Lanes } from "./lanes";

const ALL_FLAGS = 0x3f;

function environment(cpu: Cpu, rounding?: number): FloatEnvironment {
  const mxcsr = cpu.word(L.MXCSR);
  return new FloatEnvironment(
    rounding ?? (mxcsr >>> 13) & 3,
    (mxcsr >>> 7) & ALL_FLAGS,
    64,
    (mxcsr & 0x8000) !== 0,
    (mxcsr & 0x40) !== 0,
  );
}

/** Enters the flags into MXCSR. @throws GuestFault #XM for an unmasked one */
function settle(cpu: Cpu, env: FloatEnvironment): void {
  // With an unmasked exception of the operands, nothing is computed, so nothing can be found out about a result.
  const ofOperands = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE;
  const flags = env.flags & ofOperands & ~env.masks ? env.flags & ofOperands : env.flags;
  cpu.setWord(L.MXCSR, cpu.word(L.MXCSR) | flags);
  if (flags & ~env.masks) throw new GuestFault(Vector.XM);
}

function laneBits(lanes: Lanes, k: number, f: Format): bigint {
  return f === SINGLE ? BigInt(lanes.u32[k]) : lanes.u64[k];
}
function setLane(lanes: Lanes, k: number, f: Format, bits: bigint): void {
  if (f === SINGLE) lanes.u32[k] = Number(bits);
  else lanes.u64[k] = bits;
}

function operand(env: FloatEnvironment, bits: bigint, f: Format): Unpacked {
  const value = unpack(bits, f);
  return value.isDenormal && env.isDenormalsAreZero ? special(Kind.ZERO, value.isNegative) : value;
}
/** Flags about operands; gives the NaN to answer with, or undefined. */
function examine(env: FloatEnvironment, a: Unpacked, b: Unpacked): Unpacked | undefined {
  if (a.kind === Kind.SIGNALING_NAN || b.kind === Kind.SIGNALING_NAN) env.raise(FloatFlag.IE);
  return isNan(a) ? a : isNan(b) ? b : undefined;
}
/** Denormal operands count unless the operation turns out to be invalid or a division by zero. */
function noteDenormals(env: FloatEnvironment, before: number, ...values: Unpacked[]): void {
  const raised = env.flags & ~before;
  if (!(raised & (FloatFlag.IE | FloatFlag.ZE)) && values.some((value) => value.isDenormal)) env.raise(FloatFlag.DE);
}

type Binary = (env: FloatEnvironment, a: Unpacked, b: Unpacked, f: Format) => bigint;

function arithmetic(operation: Binary): Binary {
  return (env, a, b, f) => {
    const nan = examine(env, a, b);
    if (nan) return packSpecial(nan, f);
    const one = new FloatEnvironment(env.rounding, env.masks, 64, env.isFlushToZero, env.isDenormalsAreZero);
    const result = operation(one, a, b, f);
    noteDenormals(one, 0, a, b);
    env.raise(one.flags);
    return result;
  };
}
/** MIN and MAX: the second operand where there is a NaN or two zeros. */
function extreme(sign: number): Binary {
  return (env, a, b, f) => {
    if (isNan(a) || isNan(b)) {
      env.raise(FloatFlag.IE);
      return exactly(b, f);
    }
    if (a.isDenormal || b.isDenormal) env.raise(FloatFlag.DE);
    return exactly(compare(a, b) * sign > 0 ? a : b, f);
  };
}
/** Bits of a value that fits; a signaling NaN stays one. */
function exactly(value: Unpacked, f: Format): bigint {
  const bits = pack(new FloatEnvironment(Rounding.NEAREST, ALL_FLAGS), value, f);
  return value.kind === Kind.SIGNALING_NAN ? bits & ~(1n << BigInt(f.precision - 2)) : bits;
}

export const binaryOperations = {
  ADD: arithmetic(add),
  SUB: arithmetic((env, a, b, f) => add(env, a, negated(b), f)),
  MUL: arithmetic(multiply),
  DIV: arithmetic(divide),
  MIN: extreme(-1),
  MAX: extreme(1),
  SQRT: arithmetic((env, _a, b, f) => squareRoot(env, b, f)),
} satisfies Record<string, Binary>;

/** Lanes 0 to count-1 of d := d op s; SQRT looks at s only. */
export function binary(cpu: Cpu, d: Lanes, s: Lanes, count: number, f: Format, operation: Binary): void {
  const env = environment(cpu);
  const isUnary = operation === binaryOperations.SQRT;
  const results: bigint[] = [];
  for (let k = 0; k < count; k++) {
    const b = operand(env, laneBits(s, k, f), f);
    results.push(operation(env, isUnary ? b : operand(env, laneBits(d, k, f), f), b, f));
  }
  settle(cpu, env);
  for (const [k, bits] of results.entries()) setLane(d, k, f, bits);
}

/** ADDSUB, HADD and HSUB: pairs of lanes to add or subtract, given as [left, right, isSubtraction], from d then s. */
export function horizontal(
  cpu: Cpu,
  d: Lanes,
  f: Format,
  pairs: readonly (readonly [Lanes, number, Lanes, number, boolean])[],
): void {
  const env = environment(cpu);
  const results = pairs.map(([left, i, right, j, isSubtraction]) => {
    const a = operand(env, laneBits(left, i, f), f);
    const b = operand(env, laneBits(right, j, f), f);
    return (isSubtraction ? binaryOperations.SUB : binaryOperations.ADD)(env, a, b, f);
  });
  settle(cpu, env);
  for (const [k, bits] of results.entries()) setLane(d, k, f, bits);
}

/** CMPccPS and kin: predicate 0-7; all ones where it holds. SDM Vol. 2, CMPPS. */
export function compareLanes(cpu: Cpu, d: Lanes, s: Lanes, count: number, f: Format, predicate: number): void {
  const env = environment(cpu);
  const results: bigint[] = [];
  const ones = (1n << BigInt(f === SINGLE ? 32 : 64)) - 1n;
  for (let k = 0; k < count; k++) {
    const order = relation(
      env,
      operand(env, laneBits(d, k, f), f),
      operand(env, laneBits(s, k, f), f),
      (predicate & 3) % 3 !== 0,
    );
    const isUnordered = order === undefined;
    const holds = [order === 0, isUnordered ? false : order < 0, isUnordered ? false : order <= 0, isUnordered][
      predicate & 3
    ];
    results.push(holds !== (predicate & 4) > 0 ? ones : 0n);
  }
  settle(cpu, env);
  for (const [k, bits] of results.entries()) setLane(d, k, f, bits);
}

/** -1, 0, 1, or undefined when unordered; a quiet NaN is invalid only for a signaling comparison. */
function relation(env: FloatEnvironment, a: Unpacked, b: Unpacked, isSignaling: boolean): number | undefined {
  if (isNan(a) || isNan(b)) {
    if (isSignaling) env.raise(FloatFlag.IE);
    else examine(env, a, b);
    return undefined;
  }
  if (a.isDenormal || b.isDenormal) env.raise(FloatFlag.DE);
  return compare(a, b);
}

/** COMISS and kin: EFLAGS bits ZF PF CF. SDM Vol. 2, COMISS. */
export function compareToFlags(cpu: Cpu, d: Lanes, s: Lanes, f: Format, isSignaling: boolean): number {
  const env = environment(cpu);
  const order = relation(env, operand(env, laneBits(d, 0, f), f), operand(env, laneBits(s, 0, f), f), isSignaling);
  settle(cpu, env);
  const { ZF, PF, CF } = L.Flag;
  return order === undefined ? ZF | PF | CF : order < 0 ? CF : order === 0 ? ZF : 0;
}

/** Float to float, `count` lanes; lanes beyond are the caller's. */
export function convertFloat(cpu: Cpu, d: Lanes, s: Lanes, count: number, from: Format, to: Format): void {
  const env = environment(cpu);
  const results: bigint[] = [];
  for (let k = 0; k < count; k++) {
    const value = operand(env, laneBits(s, k, from), from);
    if (value.kind === Kind.SIGNALING_NAN) env.raise(FloatFlag.IE);
    if (value.isDenormal) env.raise(FloatFlag.DE);
    results.push(pack(env, value, to));
  }
  settle(cpu, env);
  for (const [k, bits] of results.entries()) setLane(d, k, to, bits);
}

/** 32-bit integers to floats. */
export function convertFromIntegers(cpu: Cpu, d: Lanes, integers: readonly number[], to: Format): void {
  const env = environment(cpu);
  const results = integers.map((value) => pack(env, fromInteger(BigInt(value)), to));
  settle(cpu, env);
  for (const [k, bits] of results.entries()) setLane(d, k, to, bits);
}

/** What an integer conversion gives when the value does not fit. */
const INTEGER_INDEFINITE = -0x80000000;

/** Floats to 32-bit integers. */
export function convertToIntegers(cpu: Cpu, s: Lanes, count: number, from: Format, truncates: boolean): number[] {
  const env = environment(cpu, truncates ? Rounding.ZERO : undefined);
  const results: number[] = [];
  for (let k = 0; k < count; k++) {
    const value = toInteger(env, operand(env, laneBits(s, k, from), from), 32);
    if (value === undefined) env.raise(FloatFlag.IE);
    results.push(value === undefined ? INTEGER_INDEFINITE : Number(value));
  }
  settle(cpu, env);
  return results;
}

/** Half of the last place that an approximation has: 12 bits after the point. */
const APPROXIMATION_HALF = 0x400;

/** RCPPS and RSQRTPS: approximations without exceptions; denormals count as zero. SDM Vol. 2. */
export function approximate(d: Lanes, s: Lanes, count: number, isRoot: boolean): void {
  for (let k = 0; k < count; k++) {
    const isTiny = (s.u32[k] & 0x7f800000) === 0;
    const x = isTiny ? (s.u32[k] & 0x80000000 ? -0 : 0) : s.f32[k];
    if (Number.isNaN(x)) d.u32[k] = s.u32[k] | 0x400000;
    else if (isRoot && x < 0) d.u32[k] = 0xffc00000;
    else {
      d.f32[k] = isRoot ? (x === 0 ? 1 / x : 1 / Math.sqrt(x)) : 1 / x;
      if ((d.u32[k] & 0x7f800000) === 0) d.u32[k] &= 0x80000000;
      else d.u32[k] = (d.u32[k] + APPROXIMATION_HALF) & ~(2 * APPROXIMATION_HALF - 1);
    }
  }
}

export { DOUBLE, SINGLE };
