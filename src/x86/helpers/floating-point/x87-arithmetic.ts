/**
 * x87 instructions that compute: arithmetic, comparisons, rounding, remainders, and the transcendental ones. SDM Vol. 1, 8.3.5-8.3.10;
 * tables 4-7 (NaN) and 8-10 (masked responses). Values are 80-bit words as bigint; soft-float.ts does the numbers.
 */
import type { Cpu } from "../../cpu";
import { Flag } from "../../state-layout";
import {
  add,
  bitLength,
  compare,
  divide,
  EXTENDED,
  FloatEnvironment,
  FloatFlag,
  fromInteger,
  invalid,
  isNan,
  Kind,
  multiply,
  negated,
  pack,
  packSpecial,
  Rounding,
  roundPack,
  special,
  squareRoot,
  toInteger,
  type Unpacked,
  unpack,
} from "./soft-float";
import {
  ALL_EXCEPTIONS,
  environment,
  INDEFINITE_80,
  isEmpty,
  pop,
  push,
  raise,
  readStack,
  Status,
  setConditions,
  setTop,
  stackFault,
  top,
  writeStack,
} from "./x87-state";

export type Operation = (env: FloatEnvironment, a: Unpacked, b: Unpacked) => bigint;

/** By the manual's stem; a is the destination. */
export const Arithmetic = {
  ADD: (env: FloatEnvironment, a: Unpacked, b: Unpacked) => add(env, a, b, EXTENDED),
  MUL: (env: FloatEnvironment, a: Unpacked, b: Unpacked) => multiply(env, a, b, EXTENDED),
  SUB: (env: FloatEnvironment, a: Unpacked, b: Unpacked) => add(env, a, negated(b), EXTENDED),
  SUBR: (env: FloatEnvironment, a: Unpacked, b: Unpacked) => add(env, b, negated(a), EXTENDED),
  DIV: (env: FloatEnvironment, a: Unpacked, b: Unpacked) => divide(env, a, b, EXTENDED),
  DIVR: (env: FloatEnvironment, a: Unpacked, b: Unpacked) => divide(env, b, a, EXTENDED),
} as const satisfies Record<string, Operation>;

/** NaN to answer with: quiet before signaling, then the larger significand, then the positive one. SDM Vol. 1, table 4-7. */
function chooseNan(a: Unpacked, b: Unpacked): Unpacked {
  if (!isNan(a)) return b;
  if (!isNan(b)) return a;
  if (a.kind !== b.kind) return a.kind === Kind.QUIET_NAN ? a : b;
  if (a.mantissa !== b.mantissa) return a.mantissa > b.mantissa ? a : b;
  return a.isNegative ? b : a;
}

/** Exceptions that keep a denormal operand from being reported. */
const MORE_URGENT = FloatFlag.IE | FloatFlag.ZE;

/** Does an operation with all the rules about odd operands around it. */
export function compute(env: FloatEnvironment, a: Unpacked, b: Unpacked, operation: Operation): bigint {
  if (a.kind === Kind.UNSUPPORTED || b.kind === Kind.UNSUPPORTED) return invalid(env, EXTENDED);
  if (isNan(a) || isNan(b)) {
    if (a.kind === Kind.SIGNALING_NAN || b.kind === Kind.SIGNALING_NAN) env.raise(FloatFlag.IE);
    return packSpecial(chooseNan(a, b), EXTENDED);
  }
  const isDenormal = a.isDenormal || b.isDenormal;
  // An unmasked denormal stops the operation before it can find anything else.
  if (isDenormal && !(env.masks & FloatFlag.DE)) {
    const trial = new FloatEnvironment(env.rounding, ALL_EXCEPTIONS);
    operation(trial, a, b);
    env.raise(trial.flags & MORE_URGENT || FloatFlag.DE);
    return INDEFINITE_80;
  }
  const before = env.flags;
  const result = operation(env, a, b);
  if (isDenormal && !(env.flags & ~before & MORE_URGENT)) env.raise(FloatFlag.DE);
  return result;
}

export function stackValue(cpu: Cpu, i: number): Unpacked {
  return unpack(readStack(cpu, i), EXTENDED);
}

/** ST(i) := ST(i) op b, then pops; `b` undefined: an empty register. */
export function arithmetic(
  cpu: Cpu,
  i: number,
  b: Unpacked | undefined,
  operation: Operation,
  pops = false,
  env = environment(cpu),
): void {
  if (b === undefined || isEmpty(cpu, i)) {
    if (stackFault(cpu, false)) return;
    writeStack(cpu, i, INDEFINITE_80);
  } else {
    const result = compute(env, stackValue(cpu, i), b, operation);
    if (finish(cpu, env)) return;
    writeStack(cpu, i, result);
  }
  if (pops) pop(cpu);
}

/** Status after an operation; true when an unmasked exception forbids the result. */
export function finish(cpu: Cpu, env: FloatEnvironment): boolean {
  setConditions(cpu, env.hasRoundedUp && env.flags & FloatFlag.PE ? Status.C1 : 0, Status.C1);
  const ofOperands = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE;
  const isBlocked = (env.flags & ofOperands & ~env.masks) !== 0;
  return raise(cpu, isBlocked ? env.flags & ofOperands : env.flags);
}

/** ST(i), or undefined when empty. */
export function valueOrEmpty(cpu: Cpu, i: number): Unpacked | undefined {
  return isEmpty(cpu, i) ? undefined : stackValue(cpu, i);
}

/** Condition bits for an order; undefined is unordered. SDM Vol. 1, table 8-7. */
function conditionBits(order: number | undefined): number {
  if (order === undefined) return Status.C3 | Status.C2 | Status.C0;
  return order < 0 ? Status.C0 : order === 0 ? Status.C3 : 0;
}

/** Order of ST(0) and b. True in `isBlocked` when an exception is unmasked. */
function order(cpu: Cpu, b: Unpacked | undefined, isQuiet: boolean): { bits: number; isBlocked: boolean } {
  const a = valueOrEmpty(cpu, 0);
  if (a === undefined || b === undefined) {
    const isBlocked = stackFault(cpu, false);
    return { bits: conditionBits(undefined), isBlocked };
  }
  let flags = 0;
  let result: number | undefined;
  if (a.kind === Kind.UNSUPPORTED || b.kind === Kind.UNSUPPORTED) flags = FloatFlag.IE;
  else if (isNan(a) || isNan(b)) {
    if (!isQuiet || a.kind === Kind.SIGNALING_NAN || b.kind === Kind.SIGNALING_NAN) flags = FloatFlag.IE;
  } else {
    if (a.isDenormal || b.isDenormal) flags = FloatFlag.DE;
    result = compare(a, b);
  }
  return { bits: conditionBits(result), isBlocked: raise(cpu, flags) };
}

/** FCOM, FUCOM, FICOM, FTST and their popping forms. */
export function compareStack(cpu: Cpu, b: Unpacked | undefined, isQuiet: boolean, pops: number): void {
  const { bits, isBlocked } = order(cpu, b, isQuiet);
  setConditions(cpu, bits);
  if (isBlocked) return;
  for (let k = 0; k < pops; k++) pop(cpu);
}

/** FCOMI and kin: gives ZF PF CF as EFLAGS bits. */
export function compareToFlags(cpu: Cpu, i: number, isQuiet: boolean, pops: boolean): number {
  const { bits, isBlocked } = order(cpu, valueOrEmpty(cpu, i), isQuiet);
  if (pops && !isBlocked) pop(cpu);
  return (bits & Status.C3 ? Flag.ZF : 0) | (bits & Status.C2 ? Flag.PF : 0) | (bits & Status.C0 ? Flag.CF : 0);
}

/** ST(0) := f(ST(0)). */
export function unary(
  cpu: Cpu,
  operation: (env: FloatEnvironment, a: Unpacked) => bigint,
  env = environment(cpu),
): void {
  const zero = special(Kind.ZERO, false);
  arithmetic(cpu, 0, isEmpty(cpu, 0) ? undefined : zero, (inner, a) => operation(inner, a), false, env);
}

export function squareRootOf(cpu: Cpu): void {
  unary(cpu, (env, a) => squareRoot(env, a, EXTENDED));
}

/** FRNDINT. */
export function roundToInteger(cpu: Cpu): void {
  unary(cpu, (env, a) => {
    if (a.kind !== Kind.NUMBER || a.exponent >= 0) return exact(a);
    const value = toInteger(env, a, 66);
    if (value === undefined || value === 0n) return packSpecial(special(Kind.ZERO, a.isNegative), EXTENDED);
    return exact(fromInteger(value));
  });
}

function exact(a: Unpacked): bigint {
  return pack(new FloatEnvironment(Rounding.NEAREST, ALL_EXCEPTIONS), a, EXTENDED);
}

/** FSCALE: ST(0) * 2^trunc(ST(1)). */
export function scale(cpu: Cpu): void {
  arithmetic(cpu, 0, valueOrEmpty(cpu, 1), (env, a, b) => {
    if (b.kind === Kind.INFINITY) {
      const isInvalid = b.isNegative ? a.kind === Kind.INFINITY : a.kind === Kind.ZERO;
      if (isInvalid) return invalid(env, EXTENDED);
      return packSpecial(special(b.isNegative ? Kind.ZERO : Kind.INFINITY, a.isNegative), EXTENDED);
    }
    if (a.kind !== Kind.NUMBER || b.kind === Kind.ZERO) return exact(a);
    const truncated = toInteger(new FloatEnvironment(Rounding.ZERO, ALL_EXCEPTIONS), b, 32);
    const by =
      truncated === undefined
        ? b.isNegative
          ? -0x10000
          : 0x10000
        : Math.max(-0x10000, Math.min(0x10000, Number(truncated)));
    return roundPack(env, a.isNegative, a.mantissa, a.exponent + by, false, EXTENDED);
  });
}

/** FXTRACT: exponent to ST(0), then pushes the significand. */
export function extract(cpu: Cpu): void {
  const isFull = !isEmpty(cpu, 7);
  if (isEmpty(cpu, 0) || isFull) {
    if (stackFault(cpu, isFull && !isEmpty(cpu, 0))) return;
    writeStack(cpu, 0, INDEFINITE_80);
    setTop(cpu, top(cpu) - 1);
    writeStack(cpu, 0, INDEFINITE_80);
    return;
  }
  const a = stackValue(cpu, 0);
  const env = environment(cpu);
  let significand: bigint;
  const exponent = compute(env, a, special(Kind.ZERO, false), (inner, value) => {
    if (value.kind === Kind.ZERO) {
      inner.raise(FloatFlag.ZE);
      return packSpecial(special(Kind.INFINITY, true), EXTENDED);
    }
    if (value.kind === Kind.INFINITY) return packSpecial(special(Kind.INFINITY, false), EXTENDED);
    return exact(fromInteger(BigInt(value.exponent + bitLength(value.mantissa) - 1)));
  });
  if (a.kind === Kind.NUMBER) significand = exact({ ...a, exponent: 1 - bitLength(a.mantissa) });
  else if (a.kind === Kind.ZERO || a.kind === Kind.INFINITY) significand = packSpecial(a, EXTENDED);
  else significand = exponent;
  if (finish(cpu, env)) return;
  writeStack(cpu, 0, exponent);
  push(cpu, significand);
}

const NO_QUOTIENT = -1n;
/** FPREM (truncating) and FPREM1 (to nearest): always the complete reduction, C2 = 0; low quotient bits in C0 C3 C1. */
export function remainder(cpu: Cpu, isNearest: boolean): void {
  let quotient = NO_QUOTIENT;
  arithmetic(cpu, 0, valueOrEmpty(cpu, 1), (env, a, b) => {
    if (a.kind === Kind.INFINITY || b.kind === Kind.ZERO) return invalid(env, EXTENDED);
    if (a.kind === Kind.ZERO || b.kind === Kind.INFINITY) {
      quotient = 0n;
      return exact(a);
    }
    const low = Math.min(a.exponent, b.exponent);
    const x = a.mantissa << BigInt(a.exponent - low);
    const y = b.mantissa << BigInt(b.exponent - low);
    quotient = x / y;
    let rest = x - quotient * y;
    let isNegative = a.isNegative;
    if (isNearest && (2n * rest > y || (2n * rest === y && quotient & 1n))) {
      quotient++;
      rest = y - rest;
      isNegative = !isNegative;
    }
    if (rest === 0n) return packSpecial(special(Kind.ZERO, a.isNegative), EXTENDED);
    return exact({ kind: Kind.NUMBER, isNegative, mantissa: rest, exponent: low, isDenormal: false });
  });
  // Without a quotient (stack fault, invalid operation, NaN) C0 and C3 stay.
  if (quotient === NO_QUOTIENT) {
    setConditions(cpu, 0, Status.C2);
    return;
  }
  const bits = (quotient & 4n ? Status.C0 : 0) | (quotient & 2n ? Status.C3 : 0) | (quotient & 1n ? Status.C1 : 0);
  setConditions(cpu, bits);
}

/** FXAM: what is in ST(0). SDM Vol. 2, FXAM. */
export function examine(cpu: Cpu): void {
  const value = stackValue(cpu, 0);
  const kinds: Record<number, number> = {
    [Kind.ZERO]: Status.C3,
    [Kind.NUMBER]: value.isDenormal ? Status.C3 | Status.C2 : Status.C2,
    [Kind.INFINITY]: Status.C2 | Status.C0,
    [Kind.QUIET_NAN]: Status.C0,
    [Kind.SIGNALING_NAN]: Status.C0,
    [Kind.UNSUPPORTED]: 0,
  };
  const isNegative = readStack(cpu, 0) >> 79n !== 0n;
  const kind = isEmpty(cpu, 0) ? Status.C3 | Status.C0 : kinds[value.kind];
  setConditions(cpu, kind | (isNegative ? Status.C1 : 0));
}
