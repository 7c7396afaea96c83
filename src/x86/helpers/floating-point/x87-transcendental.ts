/**
 * F2XM1 FYL2X FYL2XP1 FPTAN FPATAN FSIN FCOS FSINCOS. SDM Vol. 1, 8.3.7-8.3.10; Vol. 2 per instruction (tables of special cases).
 *
 * Computed in fixed point with far more bits than the result has, then rounded once (precision control does not count): the same on every host, and nearer to
 * the truth than the processor's own. A fixed-point number is a bigint worth value / 2^bits.
 */
import type { Cpu } from "../../cpu";
import {
  bitLength,
  EXTENDED,
  type FloatEnvironment,
  FloatFlag,
  fromInteger,
  invalid,
  Kind,
  pack,
  packSpecial,
  roundPack,
  special,
  type Unpacked,
} from "./soft-float";
import { arithmetic, compute, finish, stackValue, unary, valueOrEmpty } from "./x87-arithmetic";
import {
  environment,
  INDEFINITE_80,
  isEmpty,
  Status,
  setConditions,
  setTop,
  stackFault,
  top,
  writeStack,
} from "./x87-state";

/** Guard bits for a result of 64. */
const BITS = 192;
/** An argument below 2^-SMALL is as good as the first term of the series: the next one is beyond the guard bits. */
const SMALL = 70;
/** Arguments of the trigonometric functions must be below 2^63. */
const LARGEST_EXPONENT = 63;

function magnitudeOf(a: Unpacked): number {
  return a.exponent + bitLength(a.mantissa);
}
/** Bits that keep relative precision for a small argument. */
function bitsFor(a: Unpacked): number {
  return BITS + Math.max(0, -magnitudeOf(a));
}
function isSmall(a: Unpacked): boolean {
  return magnitudeOf(a) < -SMALL;
}
/** a, or the next number towards zero when `isBelow`, as an inexact result. */
function nearly(env: FloatEnvironment, a: Unpacked, isBelow: boolean): bigint {
  const wide = a.mantissa << BigInt(BITS);
  return roundPack(env, a.isNegative, isBelow ? wide - 1n : wide, a.exponent - BITS, true, EXTENDED);
}
function toFixed(a: Unpacked, bits: number): bigint {
  const by = a.exponent + bits;
  const value = by >= 0 ? a.mantissa << BigInt(by) : a.mantissa >> BigInt(-by);
  return a.isNegative ? -value : value;
}
function fixedResult(env: FloatEnvironment, value: bigint, bits: number): bigint {
  if (value === 0n) return roundPack(env, false, 1n, -bits, true, EXTENDED);
  return roundPack(env, value < 0n, value < 0n ? -value : value, -bits, true, EXTENDED);
}
function times(a: bigint, b: bigint, bits: number): bigint {
  return (a * b) >> BigInt(bits);
}

/** Sum of terms until they vanish; each follows from the one before. */
function series(first: bigint, next: (term: bigint, n: bigint) => bigint): bigint {
  let sum = 0n;
  for (let term = first, n = 1n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = next(term, n);
  }
  return sum;
}
function sine(x: bigint, bits: number): bigint {
  const square = times(x, x, bits);
  return series(x, (term, n) => -times(term, square, bits) / (2n * n * (2n * n + 1n)));
}
function cosine(x: bigint, bits: number): bigint {
  const square = times(x, x, bits);
  return series(1n << BigInt(bits), (term, n) => -times(term, square, bits) / ((2n * n - 1n) * (2n * n)));
}
/** Odd powers over odd numbers: inverse tangent (alternating) and inverse hyperbolic tangent. */
function oddSeries(x: bigint, bits: number, isAlternating: boolean): bigint {
  const square = times(x, x, bits) * (isAlternating ? -1n : 1n);
  let sum = 0n;
  let power = x;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = times(power, square, bits);
  }
  return sum;
}
function root(value: bigint): bigint {
  if (value === 0n) return 0n;
  let guess = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}
/** Inverse tangent of 0 <= x <= 1; each halving of the angle makes the series shorter. */
function arcTangent(x: bigint, bits: number): bigint {
  const one = 1n << BigInt(bits);
  let t = x;
  for (let k = 0; k < 3; k++) t = (t << BigInt(bits)) / (one + root((one << BigInt(bits)) + t * t));
  return oddSeries(t, bits, true) << 3n;
}
/** ln((1+r)/(1-r)) = 2 artanh r. */
function logarithmOfRatio(r: bigint, bits: number): bigint {
  return 2n * oddSeries(r, bits, false);
}

/** Constants by the number of bits they were asked for with. */
const constants = new Map<string, bigint>();
function constant(name: string, bits: number, make: (bits: number) => bigint): bigint {
  const key = `${name}${bits}`;
  let value = constants.get(key);
  if (value === undefined) {
    // A few bits more, so that the last ones are right.
    value = make(bits + 16) >> 16n;
    if (constants.size > 64) constants.clear();
    constants.set(key, value);
  }
  return value;
}
/** Machin: pi = 16 artan(1/5) - 4 artan(1/239). */
function pi(bits: number): bigint {
  return constant("pi", bits, (n) => {
    const inverse = (by: bigint) => oddSeries((1n << BigInt(n)) / by, n, true);
    return 16n * inverse(5n) - 4n * inverse(239n);
  });
}
function ln2(bits: number): bigint {
  return constant("ln2", bits, (n) => logarithmOfRatio((1n << BigInt(n)) / 3n, n));
}

// -- exponential and logarithm --------------------------------------------------------------------------------------------------
/** F2XM1: 2^x - 1 for -1 <= x <= 1. */
export function twoToXMinus1(cpu: Cpu): void {
  unary(
    cpu,
    (env, a) => {
      if (a.kind === Kind.ZERO) return packSpecial(a, EXTENDED);
      if (a.kind === Kind.INFINITY)
        return a.isNegative ? pack(env, fromInteger(-1n), EXTENDED) : packSpecial(a, EXTENDED);
      // Outside of -1..1 the result is undefined; processors leave the argument.
      if (magnitudeOf(a) > 1) return pack(env, a, EXTENDED);
      if (isSmall(a))
        return nearly(env, { ...a, mantissa: a.mantissa * ln2(BITS), exponent: a.exponent - BITS }, a.isNegative);
      const bits = bitsFor(a);
      const y = times(toFixed(a, bits), ln2(bits), bits);
      return fixedResult(
        env,
        series(y, (term, n) => times(term, y, bits) / (n + 1n)),
        bits,
      );
    },
    environment(cpu, true),
  );
}

/** log2 of a positive number as a fixed-point number. */
function binaryLogarithm(a: Unpacked, bits: number): bigint {
  // a = m * 2^e with 3/4 <= m < 3/2: near 1 the exponent is 0 and nothing cancels.
  let e = magnitudeOf(a) - 1;
  const length = bitLength(a.mantissa);
  if (a.mantissa << 1n >= 3n << BigInt(length - 1)) e++;
  const m = toFixed({ ...a, isNegative: false, exponent: a.exponent - e }, bits);
  const one = 1n << BigInt(bits);
  const r = ((m - one) << BigInt(bits)) / (m + one);
  return (BigInt(e) << BigInt(bits)) + (logarithmOfRatio(r, bits) << BigInt(bits)) / ln2(bits);
}

/** log2(1 + x) as a fixed-point number. */
function logarithmOfOnePlus(x: Unpacked, bits: number): bigint {
  if (magnitudeOf(x) < -1) {
    const fixed = toFixed(x, bits);
    const r = (fixed << BigInt(bits)) / (fixed + (2n << BigInt(bits)));
    return (logarithmOfRatio(r, bits) << BigInt(bits)) / ln2(bits);
  }
  // Away from 0 nothing cancels, and far away the 1 does not count.
  if (magnitudeOf(x) > BITS) return binaryLogarithm(x, bits);
  const exponent = Math.min(x.exponent, 0);
  const mantissa = x.mantissa << BigInt(x.exponent - exponent);
  const one = 1n << BigInt(-exponent);
  const sum = x.isNegative ? one - mantissa : one + mantissa;
  return binaryLogarithm({ ...x, isNegative: false, mantissa: sum, exponent }, bits);
}

/** y * log, where the logarithm is infinite or zero or y is not a plain number. `log`: sign of the logarithm, 0 for zero. */
function specialProduct(env: FloatEnvironment, y: Unpacked, logSign: number, isInfinite: boolean): bigint {
  const isNegative = y.isNegative !== logSign < 0;
  const isNothing = (isInfinite && y.kind === Kind.ZERO) || (logSign === 0 && y.kind === Kind.INFINITY);
  if (isNothing) return invalid(env, EXTENDED);
  const isResultInfinite = isInfinite || y.kind === Kind.INFINITY;
  return packSpecial(special(isResultInfinite ? Kind.INFINITY : Kind.ZERO, isNegative), EXTENDED);
}

/** FYL2X: ST(1) * log2(ST(0)), popped. */
export function yLog2X(cpu: Cpu): void {
  arithmetic(
    cpu,
    1,
    valueOrEmpty(cpu, 0),
    (env, y, x) => {
      if (x.kind === Kind.ZERO) {
        if (y.kind === Kind.NUMBER) env.raise(FloatFlag.ZE);
        return specialProduct(env, y, -1, true);
      }
      if (x.isNegative) return invalid(env, EXTENDED);
      if (x.kind === Kind.INFINITY) return specialProduct(env, y, 1, true);
      const isPowerOf2 = (x.mantissa & (x.mantissa - 1n)) === 0n;
      const exponent = magnitudeOf(x) - 1;
      const sign = isPowerOf2 ? Math.sign(exponent) : exponent >= 0 ? 1 : -1;
      if (sign === 0 || y.kind !== Kind.NUMBER) return specialProduct(env, y, sign, false);
      const isNegative = y.isNegative !== sign < 0;
      if (isPowerOf2)
        return roundPack(env, isNegative, y.mantissa * BigInt(Math.abs(exponent)), y.exponent, false, EXTENDED);
      const log = binaryLogarithm(x, 2 * BITS);
      return roundPack(env, isNegative, y.mantissa * (log < 0n ? -log : log), y.exponent - 2 * BITS, true, EXTENDED);
    },
    true,
    environment(cpu, true),
  );
}

/** FYL2XP1: ST(1) * log2(ST(0) + 1), popped; exact for small ST(0). */
export function yLog2XPlus1(cpu: Cpu): void {
  arithmetic(
    cpu,
    1,
    valueOrEmpty(cpu, 0),
    (env, y, x) => {
      if (x.kind === Kind.INFINITY) return x.isNegative ? invalid(env, EXTENDED) : specialProduct(env, y, 1, true);
      if (x.kind === Kind.ZERO) {
        if (y.kind === Kind.INFINITY) return invalid(env, EXTENDED);
        return packSpecial(special(Kind.ZERO, x.isNegative !== y.isNegative), EXTENDED);
      }
      // At -1 and below there is no logarithm; what processors give there is undefined.
      if (x.isNegative && magnitudeOf(x) > 0) return invalid(env, EXTENDED);
      if (y.kind !== Kind.NUMBER) return specialProduct(env, y, x.isNegative ? -1 : 1, false);
      if (isSmall(x)) {
        const product = ((y.mantissa * x.mantissa) << BigInt(2 * BITS)) / ln2(BITS);
        return roundPack(env, x.isNegative !== y.isNegative, product, y.exponent + x.exponent - BITS, true, EXTENDED);
      }
      const bits = bitsFor(x) + BITS;
      const log = logarithmOfOnePlus(x, bits);
      const size = log < 0n ? -log : log;
      return roundPack(env, x.isNegative !== y.isNegative, y.mantissa * size, y.exponent - bits, true, EXTENDED);
    },
    true,
    environment(cpu, true),
  );
}

// -- trigonometry -----------------------------------------------------------------------------------------------------------------
/** Sine and cosine of a number below 2^63 in magnitude, as fixed-point numbers. */
function sineAndCosine(a: Unpacked): { sin: bigint; cos: bigint; bits: number } {
  const bits = bitsFor(a) + LARGEST_EXPONENT;
  const x = toFixed(a, bits);
  if (magnitudeOf(a) < 0) return { sin: sine(x, bits), cos: cosine(x, bits), bits };
  const quarter = pi(bits) / 2n;
  // Nearest multiple of pi/2, so that the rest is within pi/4.
  const shifted = x + quarter / 2n;
  const turns = shifted / quarter - (shifted < 0n ? 1n : 0n);
  const rest = x - turns * quarter;
  const [sin, cos] = [sine(rest, bits), cosine(rest, bits)];
  const rotated = [
    [sin, cos],
    [cos, -sin],
    [-sin, -cos],
    [-cos, sin],
  ][Number(turns & 3n)];
  return { sin: rotated[0], cos: rotated[1], bits };
}

/** C2 says that the argument was too large and nothing was done. */
function isOutOfRange(cpu: Cpu): boolean {
  const a = isEmpty(cpu, 0) ? undefined : stackValue(cpu, 0);
  const isLarge = a !== undefined && a.kind === Kind.NUMBER && magnitudeOf(a) > LARGEST_EXPONENT;
  setConditions(cpu, isLarge ? Status.C2 : 0, isLarge ? Status.C2 | Status.C1 : Status.C2);
  return isLarge;
}
type Trigonometric = (env: FloatEnvironment, a: Unpacked) => bigint;

const sineOf: Trigonometric = (env, a) => {
  if (a.kind === Kind.INFINITY) return invalid(env, EXTENDED);
  if (a.kind === Kind.ZERO) return packSpecial(a, EXTENDED);
  if (isSmall(a)) return nearly(env, a, true);
  const { sin, bits } = sineAndCosine(a);
  return fixedResult(env, sin, bits);
};
const cosineOf: Trigonometric = (env, a) => {
  if (a.kind === Kind.INFINITY) return invalid(env, EXTENDED);
  if (a.kind === Kind.ZERO) return pack(env, fromInteger(1n), EXTENDED);
  if (isSmall(a)) return nearly(env, fromInteger(1n), true);
  const { cos, bits } = sineAndCosine(a);
  return fixedResult(env, cos, bits);
};
const tangentOf: Trigonometric = (env, a) => {
  if (a.kind === Kind.INFINITY) return invalid(env, EXTENDED);
  if (a.kind === Kind.ZERO) return packSpecial(a, EXTENDED);
  if (isSmall(a)) return nearly(env, a, false);
  const { sin, cos, bits } = sineAndCosine(a);
  return fixedResult(env, (sin << BigInt(bits)) / cos, bits);
};

export function sineOfStack(cpu: Cpu): void {
  if (!isOutOfRange(cpu)) unary(cpu, sineOf, environment(cpu, true));
}
export function cosineOfStack(cpu: Cpu): void {
  if (!isOutOfRange(cpu)) unary(cpu, cosineOf, environment(cpu, true));
}

/** ST(0) := first(ST(0)), then pushes second of the old ST(0) (1 for FPTAN). */
function twoResults(cpu: Cpu, first: Trigonometric, second: Trigonometric): void {
  const isUnderflow = isEmpty(cpu, 0);
  if (isUnderflow || !isEmpty(cpu, 7)) {
    setConditions(cpu, 0, Status.C2);
    if (stackFault(cpu, !isUnderflow)) return;
    writeStack(cpu, 0, INDEFINITE_80);
    setTop(cpu, top(cpu) - 1);
    writeStack(cpu, 0, INDEFINITE_80);
    return;
  }
  if (isOutOfRange(cpu)) return;
  const a = stackValue(cpu, 0);
  const zero = special(Kind.ZERO, false);
  const env = environment(cpu, true);
  const results = [first, second].map((f) => compute(env, a, zero, (inner, value) => f(inner, value)));
  if (finish(cpu, env)) return;
  writeStack(cpu, 0, results[0]);
  setTop(cpu, top(cpu) - 1);
  writeStack(cpu, 0, results[1]);
}
export function sineAndCosineOfStack(cpu: Cpu): void {
  twoResults(cpu, sineOf, cosineOf);
}
export function tangentOfStack(cpu: Cpu): void {
  // Where the tangent does not exist, both results are the NaN.
  const one: Trigonometric = (env, a) =>
    a.kind === Kind.INFINITY ? invalid(env, EXTENDED) : pack(env, fromInteger(1n), EXTENDED);
  twoResults(cpu, tangentOf, one);
}

/** FPATAN: the angle of the point (ST(0), ST(1)), popped. SDM Vol. 2, table 3-41 (FPATAN). */
export function arcTangentOfStack(cpu: Cpu): void {
  arithmetic(cpu, 1, valueOrEmpty(cpu, 0), angle, true, environment(cpu, true));
}
function angle(env: FloatEnvironment, y: Unpacked, x: Unpacked): bigint {
  const ofPi = (quarters: bigint) => {
    const value = (pi(BITS) * quarters) / 4n;
    return fixedResult(env, y.isNegative ? -value : value, BITS);
  };
  if (y.kind === Kind.INFINITY) return ofPi(x.kind !== Kind.INFINITY ? 2n : x.isNegative ? 3n : 1n);
  if (y.kind === Kind.ZERO || x.kind === Kind.INFINITY)
    return x.isNegative ? ofPi(4n) : packSpecial(special(Kind.ZERO, y.isNegative), EXTENDED);
  if (x.kind === Kind.ZERO) return ofPi(2n);
  const distance = magnitudeOf(y) - magnitudeOf(x);
  if (distance > SMALL) return ofPi(2n);
  if (distance < -SMALL) {
    if (x.isNegative) return ofPi(4n);
    const quotient = (y.mantissa << BigInt(2 * BITS)) / x.mantissa;
    return roundPack(env, y.isNegative, quotient, y.exponent - x.exponent - 2 * BITS, true, EXTENDED);
  }
  const bits = BITS + Math.abs(distance);
  const exponent = BigInt(Math.max(0, y.exponent - x.exponent));
  const lower = BigInt(Math.max(0, x.exponent - y.exponent));
  const [height, width] = [y.mantissa << exponent, x.mantissa << lower];
  const isSteep = height > width;
  const ratio = isSteep ? (width << BigInt(bits)) / height : (height << BigInt(bits)) / width;
  let result = arcTangent(ratio, bits);
  if (isSteep) result = pi(bits) / 2n - result;
  if (x.isNegative) result = pi(bits) - result;
  return fixedResult(env, y.isNegative ? -result : result, bits);
}
