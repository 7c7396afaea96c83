/**
 * IEEE 754 arithmetic in integers, for every width that the processor has: single, double, and 80-bit extended.
 *
 * A number is taken apart into sign, exponent and an integer mantissa (bigint); an operation makes an exact result, or an exact
 * one with a "sticky" remainder; one rounding step puts it into a format and says which exceptions happened. So results and
 * flags are bit for bit those of the processor on every host. SDM Vol. 1, 4.8 (formats, rounding) and 4.9 (exceptions).
 */

/** Exception flags, at the same places in the x87 status word and in MXCSR. */
export const FloatFlag = { IE: 1, DE: 2, ZE: 4, OE: 8, UE: 0x10, PE: 0x20 } as const;

/** Rounding control, as in the x87 control word and MXCSR. */
export const Rounding = { NEAREST: 0, DOWN: 1, UP: 2, ZERO: 3 } as const;

export interface Format {
  /** Bits of the significand with the integer bit. */
  readonly precision: number;
  readonly exponentBits: number;
  /** The integer bit is stored (80-bit format). */
  readonly isExplicit: boolean;
  /** Exponent of the smallest normal number. */
  readonly least: number;
  /** Exponent of the largest number. */
  readonly most: number;
}

function format(precision: number, exponentBits: number, isExplicit: boolean): Format {
  const bias = 2 ** (exponentBits - 1) - 1;
  return { precision, exponentBits, isExplicit, least: 1 - bias, most: bias };
}
export const SINGLE = format(24, 8, false);
export const DOUBLE = format(53, 11, false);
export const EXTENDED = format(64, 15, true);

export const Kind = { ZERO: 0, NUMBER: 1, INFINITY: 2, QUIET_NAN: 3, SIGNALING_NAN: 4, UNSUPPORTED: 5 } as const;

/** A value taken apart: mantissa * 2^exponent. For NaN the mantissa is the fraction as in the 80-bit format (63 bits). */
export interface Unpacked {
  readonly kind: number;
  readonly isNegative: boolean;
  readonly exponent: number;
  readonly mantissa: bigint;
  readonly isDenormal: boolean;
}

/** How to round, and what has happened. */
export class FloatEnvironment {
  flags = 0;
  /** The last rounding went away from zero: C1 of the x87. */
  hasRoundedUp = false;

  constructor(
    readonly rounding: number,
    /** FloatFlag bits that are masked. */
    readonly masks: number,
    /** Mantissa bits of results: less than the format's under x87 precision control. */
    readonly precision = 64,
    readonly isFlushToZero = false,
    readonly isDenormalsAreZero = false,
    /** An unmasked overflow or underflow delivers a result with a scaled exponent (x87). */
    readonly scalesExponent = false,
  ) {}

  raise(flag: number): void {
    this.flags |= flag;
  }
}

/** Bits needed for a positive integer. */
export function bitLength(value: bigint): number {
  const digits = value.toString(16);
  return digits.length * 4 - (Math.clz32(parseInt(digits[0], 16)) - 28);
}

const FRACTION_BITS_OF_NAN = 63;

export function unpack(bits: bigint, f: Format): Unpacked {
  const stored = f.isExplicit ? f.precision : f.precision - 1;
  const field = bits & ((1n << BigInt(stored)) - 1n);
  const exponentField = Number((bits >> BigInt(stored)) & ((1n << BigInt(f.exponentBits)) - 1n));
  const isNegative = bits >> BigInt(stored + f.exponentBits) !== 0n;
  const fractionBits = f.precision - 1;
  const fraction = field & ((1n << BigInt(fractionBits)) - 1n);
  const hasInteger = f.isExplicit ? field >> BigInt(fractionBits) !== 0n : exponentField !== 0;
  const exponent = Math.max(exponentField, 1) - 1 + f.least - fractionBits;
  if (exponentField === 2 ** f.exponentBits - 1) {
    if (f.isExplicit && !hasInteger) return special(Kind.UNSUPPORTED, isNegative);
    if (fraction === 0n) return special(Kind.INFINITY, isNegative);
    const isQuiet = fraction >> BigInt(fractionBits - 1) !== 0n;
    const payload = fraction << BigInt(FRACTION_BITS_OF_NAN - fractionBits);
    return special(isQuiet ? Kind.QUIET_NAN : Kind.SIGNALING_NAN, isNegative, payload);
  }
  if (f.isExplicit && exponentField !== 0 && !hasInteger) return special(Kind.UNSUPPORTED, isNegative);
  const mantissa = hasInteger ? fraction | (1n << BigInt(fractionBits)) : fraction;
  if (mantissa === 0n) return special(Kind.ZERO, isNegative);
  return { kind: Kind.NUMBER, isNegative, exponent, mantissa, isDenormal: exponentField === 0 };
}

export function special(kind: number, isNegative: boolean, mantissa = 0n): Unpacked {
  return { kind, isNegative, exponent: 0, mantissa, isDenormal: false };
}

/** The default NaN: what a masked invalid operation gives. SDM Vol. 1, 4.8.3.7. */
export const INDEFINITE = special(Kind.QUIET_NAN, true, 1n << BigInt(FRACTION_BITS_OF_NAN - 1));

export function isNan(value: Unpacked): boolean {
  return value.kind === Kind.QUIET_NAN || value.kind === Kind.SIGNALING_NAN;
}

function assemble(isNegative: boolean, exponentField: number, significand: bigint, f: Format): bigint {
  const stored = f.isExplicit ? f.precision : f.precision - 1;
  const sign = isNegative ? 1n << BigInt(stored + f.exponentBits) : 0n;
  const low = f.isExplicit ? significand : significand & ((1n << BigInt(stored)) - 1n);
  return sign | (BigInt(exponentField) << BigInt(stored)) | low;
}

/** Packs zero, infinity and NaN (made quiet). */
export function packSpecial(value: Unpacked, f: Format): bigint {
  if (value.kind === Kind.ZERO) return assemble(value.isNegative, 0, 0n, f);
  const integer = 1n << BigInt(f.precision - 1);
  const top = 2 ** f.exponentBits - 1;
  if (value.kind === Kind.INFINITY) return assemble(value.isNegative, top, integer, f);
  const fraction = value.mantissa >> BigInt(FRACTION_BITS_OF_NAN - (f.precision - 1));
  return assemble(value.isNegative, top, integer | (integer >> 1n) | fraction, f);
}

interface Rounded {
  readonly value: bigint;
  readonly isInexact: boolean;
  readonly isUp: boolean;
}

/** mantissa / 2^shift to an integer; `sticky`: something non-zero lies below. A negative shift is exact. */
function roundShift(mantissa: bigint, shift: number, sticky: boolean, rounding: number, isNegative: boolean): Rounded {
  if (shift <= 0 && !sticky) return { value: mantissa << BigInt(-shift), isInexact: false, isUp: false };
  // Two more bits make room for the remainder's position.
  const wide = shift < 1 ? mantissa << BigInt(1 - shift) : mantissa;
  const by = BigInt(Math.max(shift, 1));
  const floor = wide >> by;
  const rest = wide - (floor << by);
  if (rest === 0n && !sticky) return { value: floor, isInexact: false, isUp: false };
  const half = 1n << (by - 1n);
  let isUp: boolean;
  if (rounding === Rounding.NEAREST) isUp = rest > half || (rest === half && (sticky || (floor & 1n) === 1n));
  else isUp = rounding === (isNegative ? Rounding.DOWN : Rounding.UP);
  return { value: isUp ? floor + 1n : floor, isInexact: true, isUp };
}

/** Exponent that scaled results are moved by. SDM Vol. 1, 8.5.4, 8.5.5. */
const SCALE = 24576;

/** Rounds mantissa * 2^exponent (mantissa > 0) into a format and raises OE, UE, PE. */
export function roundPack(
  env: FloatEnvironment,
  isNegative: boolean,
  mantissa: bigint,
  exponent: number,
  sticky: boolean,
  f: Format,
): bigint {
  const precision = Math.min(env.precision, f.precision);
  const lengthOf = bitLength(mantissa);
  const magnitude = exponent + lengthOf - 1;
  let shift = lengthOf - precision;
  let rounded = roundShift(mantissa, shift, sticky, env.rounding, isNegative);
  let place = exponent + shift;
  let isCarried = bitLength(rounded.value) > precision;
  const isTiny = magnitude + (isCarried ? 1 : 0) < f.least;
  if (isTiny) {
    if (!(env.masks & FloatFlag.UE)) {
      env.raise(FloatFlag.UE);
      if (env.scalesExponent) return finish(env, isNegative, rounded, place + SCALE, f);
    } else if (env.isFlushToZero) {
      env.raise(FloatFlag.UE | FloatFlag.PE);
      return assemble(isNegative, 0, 0n, f);
    }
    place = f.least - precision + 1;
    shift = place - exponent;
    rounded = roundShift(mantissa, shift, sticky, env.rounding, isNegative);
    if (rounded.isInexact) env.raise(FloatFlag.UE);
    isCarried = false;
  }
  if (magnitude + (isCarried ? 1 : 0) > f.most) {
    env.raise(FloatFlag.OE);
    if (!(env.masks & FloatFlag.OE) && env.scalesExponent) return finish(env, isNegative, rounded, place - SCALE, f);
    env.raise(FloatFlag.PE);
    const goesToInfinity =
      env.rounding === Rounding.NEAREST || env.rounding === (isNegative ? Rounding.DOWN : Rounding.UP);
    env.hasRoundedUp = goesToInfinity;
    if (goesToInfinity) return packSpecial(special(Kind.INFINITY, isNegative), f);
    const ones = ((1n << BigInt(precision)) - 1n) << BigInt(f.precision - precision);
    return assemble(isNegative, 2 ** f.exponentBits - 2, ones, f);
  }
  return finish(env, isNegative, rounded, place, f);
}

/** Assembles a rounded significand whose lowest bit is worth 2^place. */
function finish(env: FloatEnvironment, isNegative: boolean, rounded: Rounded, place: number, f: Format): bigint {
  if (rounded.isInexact) env.raise(FloatFlag.PE);
  env.hasRoundedUp = rounded.isUp;
  if (rounded.value === 0n) return assemble(isNegative, 0, 0n, f);
  const lengthOf = bitLength(rounded.value);
  const magnitude = place + lengthOf - 1;
  const lowest = Math.max(magnitude, f.least) - f.precision + 1;
  const significand = rounded.value << BigInt(Math.max(0, place - lowest));
  const aligned = place < lowest ? rounded.value >> BigInt(lowest - place) : significand;
  const exponentField = magnitude < f.least ? 0 : magnitude - f.least + 1;
  return assemble(isNegative, exponentField, aligned, f);
}

/** Packs any value: numbers are rounded. */
export function pack(env: FloatEnvironment, value: Unpacked, f: Format): bigint {
  if (value.kind !== Kind.NUMBER) return packSpecial(value, f);
  return roundPack(env, value.isNegative, value.mantissa, value.exponent, false, f);
}

// -- operations on values that are numbers, zero or infinity; NaN is the caller's (x87 and SSE choose differently) -------------

/** a + b. */
export function add(env: FloatEnvironment, a: Unpacked, b: Unpacked, f: Format): bigint {
  if (a.kind === Kind.INFINITY || b.kind === Kind.INFINITY) {
    if (a.kind === b.kind && a.isNegative !== b.isNegative) return invalid(env, f);
    return packSpecial(a.kind === Kind.INFINITY ? a : b, f);
  }
  if (a.kind === Kind.ZERO && b.kind === Kind.ZERO)
    return packSpecial(
      special(Kind.ZERO, a.isNegative === b.isNegative ? a.isNegative : env.rounding === Rounding.DOWN),
      f,
    );
  if (a.kind === Kind.ZERO) return pack(env, b, f);
  if (b.kind === Kind.ZERO) return pack(env, a, f);
  const [high, low] = top(a) >= top(b) ? [a, b] : [b, a];
  const { mantissa: wide, exponent } = widened(high, 140);
  let small: bigint;
  let sticky = false;
  const distance = low.exponent - exponent;
  if (distance >= 0) small = low.mantissa << BigInt(distance);
  else {
    small = low.mantissa >> BigInt(-distance);
    sticky = small << BigInt(-distance) !== low.mantissa;
  }
  let sum = (high.isNegative ? -wide : wide) + (low.isNegative ? -small : small);
  // What was cut off has the sign of the smaller number: subtracting it borrows from the last place.
  if (sticky && low.isNegative !== high.isNegative) sum += high.isNegative ? 1n : -1n;
  if (sum === 0n && !sticky) return packSpecial(special(Kind.ZERO, env.rounding === Rounding.DOWN), f);
  return roundPack(env, sum < 0n, sum < 0n ? -sum : sum, exponent, sticky, f);
}

function top(value: Unpacked): number {
  return value.exponent + bitLength(value.mantissa);
}
/** The same number with at least `bits` bits of mantissa. */
function widened(value: Unpacked, bits: number): { mantissa: bigint; exponent: number } {
  const by = Math.max(0, bits - bitLength(value.mantissa));
  return { mantissa: value.mantissa << BigInt(by), exponent: value.exponent - by };
}

/** Invalid operation: the default NaN. */
export function invalid(env: FloatEnvironment, f: Format): bigint {
  env.raise(FloatFlag.IE);
  return packSpecial(INDEFINITE, f);
}

export function negated(value: Unpacked): Unpacked {
  return { ...value, isNegative: !value.isNegative };
}

export function multiply(env: FloatEnvironment, a: Unpacked, b: Unpacked, f: Format): bigint {
  const isNegative = a.isNegative !== b.isNegative;
  if (a.kind === Kind.INFINITY || b.kind === Kind.INFINITY) {
    if (a.kind === Kind.ZERO || b.kind === Kind.ZERO) return invalid(env, f);
    return packSpecial(special(Kind.INFINITY, isNegative), f);
  }
  if (a.kind === Kind.ZERO || b.kind === Kind.ZERO) return packSpecial(special(Kind.ZERO, isNegative), f);
  return roundPack(env, isNegative, a.mantissa * b.mantissa, a.exponent + b.exponent, false, f);
}

export function divide(env: FloatEnvironment, a: Unpacked, b: Unpacked, f: Format): bigint {
  const isNegative = a.isNegative !== b.isNegative;
  if (a.kind === b.kind && a.kind !== Kind.NUMBER) return invalid(env, f);
  if (a.kind === Kind.INFINITY) return packSpecial(special(Kind.INFINITY, isNegative), f);
  if (b.kind === Kind.INFINITY || a.kind === Kind.ZERO) return packSpecial(special(Kind.ZERO, isNegative), f);
  if (b.kind === Kind.ZERO) {
    env.raise(FloatFlag.ZE);
    return packSpecial(special(Kind.INFINITY, isNegative), f);
  }
  const { mantissa, exponent } = widened(a, 140 + bitLength(b.mantissa));
  const quotient = mantissa / b.mantissa;
  return roundPack(env, isNegative, quotient, exponent - b.exponent, quotient * b.mantissa !== mantissa, f);
}

export function squareRoot(env: FloatEnvironment, a: Unpacked, f: Format): bigint {
  if (a.kind === Kind.ZERO) return packSpecial(a, f);
  if (a.isNegative) return invalid(env, f);
  if (a.kind === Kind.INFINITY) return packSpecial(a, f);
  let { mantissa, exponent } = widened(a, 280);
  if (exponent & 1) {
    mantissa <<= 1n;
    exponent--;
  }
  const root = integerRoot(mantissa);
  return roundPack(env, false, root, exponent / 2, root * root !== mantissa, f);
}

/** Floor of the square root, by Newton's method from above. */
function integerRoot(value: bigint): bigint {
  let guess = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

/** -1, 0, 1 for a < b, a = b, a > b. Neither is NaN. */
export function compare(a: Unpacked, b: Unpacked): number {
  const signOf = (x: Unpacked) => (x.kind === Kind.ZERO ? 0 : x.isNegative ? -1 : 1);
  const [signA, signB] = [signOf(a), signOf(b)];
  if (signA !== signB || signA === 0) return Math.sign(signA - signB);
  if (a.kind === Kind.INFINITY || b.kind === Kind.INFINITY) {
    const magnitude = (a.kind === Kind.INFINITY ? 1 : 0) - (b.kind === Kind.INFINITY ? 1 : 0);
    return magnitude * signA;
  }
  const [topA, topB] = [top(a), top(b)];
  if (topA !== topB) return topA > topB ? signA : -signA;
  const common = Math.min(a.exponent, b.exponent);
  const x = a.mantissa << BigInt(a.exponent - common);
  const y = b.mantissa << BigInt(b.exponent - common);
  return x === y ? 0 : x > y ? signA : -signA;
}

/** To a signed integer by the environment's rounding; undefined when it does not fit (or is no number). PE when inexact. */
export function toInteger(env: FloatEnvironment, a: Unpacked, bits: number): bigint | undefined {
  if (a.kind === Kind.ZERO) return 0n;
  if (a.kind !== Kind.NUMBER || top(a) > bits + 1) return undefined;
  const rounded = roundShift(a.mantissa, -a.exponent, false, env.rounding, a.isNegative);
  const value = a.isNegative ? -rounded.value : rounded.value;
  if (BigInt.asIntN(bits, value) !== value) return undefined;
  if (rounded.isInexact) env.raise(FloatFlag.PE);
  env.hasRoundedUp = rounded.isUp;
  return value;
}

/** An integer as an exact value. */
export function fromInteger(value: bigint): Unpacked {
  if (value === 0n) return special(Kind.ZERO, false);
  const isNegative = value < 0n;
  return { kind: Kind.NUMBER, isNegative, exponent: 0, mantissa: isNegative ? -value : value, isDenormal: false };
}
