/**
 * x87 operands in memory: the formats and what loading and storing them does. SDM Vol. 1, 4.2.2, 4.4.2, 4.9 and 8.3.3.
 * A store checks the place before anything else, so nothing has changed when it faults.
 */
import type { Cpu } from "../../cpu";
import { linearForAccess } from "../segmentation";
import {
  DOUBLE,
  EXTENDED,
  FloatEnvironment,
  FloatFlag,
  type Format,
  fromInteger,
  INDEFINITE,
  Kind,
  pack,
  packSpecial,
  Rounding,
  SINGLE,
  toInteger,
  type Unpacked,
  unpack,
} from "./soft-float";
import {
  ALL_EXCEPTIONS,
  environment,
  isEmpty,
  pop,
  push,
  raise,
  readStack,
  Status,
  setConditions,
  stackFault,
} from "./x87-state";

/** Reads `bytes` bytes as a little-endian integer. @throws GuestFault */
export function readBytes(cpu: Cpu, seg: number, offset: number, bytes: number): bigint {
  const linear = linearForAccess(cpu, seg, offset, bytes, false);
  let value = 0n;
  for (let at = 0; at < bytes; at += 4) {
    const size = Math.min(4, bytes - at);
    value |= BigInt(cpu.readLinear((linear + at) >>> 0, size) >>> 0) << BigInt(at * 8);
  }
  return value;
}

/** A place in memory that can be written for sure. */
export class Destination {
  private readonly linear: number;

  /** @throws GuestFault */
  constructor(
    private readonly cpu: Cpu,
    seg: number,
    offset: number,
    private readonly bytes: number,
  ) {
    this.linear = linearForAccess(cpu, seg, offset, bytes, true);
    for (let at = 0; at < bytes; at += 32) cpu.probeWriteLinear((this.linear + at) >>> 0, Math.min(32, bytes - at));
  }
  write(value: bigint): void {
    for (let at = 0; at < this.bytes; at += 4) {
      const size = Math.min(4, this.bytes - at);
      const word = Number((value >> BigInt(at * 8)) & 0xffffffffn);
      this.cpu.writeLinear((this.linear + at) >>> 0, size, word);
    }
  }
}

export type RealFormat = "single" | "double";
const REAL: Record<RealFormat, { readonly format: Format; readonly bytes: number }> = {
  single: { format: SINGLE, bytes: 4 },
  double: { format: DOUBLE, bytes: 8 },
};

export function readReal(cpu: Cpu, seg: number, offset: number, type: RealFormat): Unpacked {
  const { format, bytes } = REAL[type];
  return unpack(readBytes(cpu, seg, offset, bytes), format);
}
export function readSigned(cpu: Cpu, seg: number, offset: number, bytes: number): bigint {
  return BigInt.asIntN(bytes * 8, readBytes(cpu, seg, offset, bytes));
}

function exactExtended(value: Unpacked): bigint {
  return pack(new FloatEnvironment(Rounding.NEAREST, ALL_EXCEPTIONS), value, EXTENDED);
}

/** FLD m32, m64. */
export function loadReal(cpu: Cpu, seg: number, offset: number, type: RealFormat): void {
  const value = readReal(cpu, seg, offset, type);
  if (!isEmpty(cpu, 7)) {
    push(cpu, 0n);
    return;
  }
  const flags = value.kind === Kind.SIGNALING_NAN ? FloatFlag.IE : value.isDenormal ? FloatFlag.DE : 0;
  if (raise(cpu, flags)) return;
  push(cpu, exactExtended(value));
}
/** FLD m80: the bits as they are. */
export function loadExtended(cpu: Cpu, seg: number, offset: number): void {
  push(cpu, readBytes(cpu, seg, offset, 10));
}
/** FILD. */
export function loadInteger(cpu: Cpu, seg: number, offset: number, bytes: number): void {
  push(cpu, exactExtended(fromInteger(readSigned(cpu, seg, offset, bytes))));
}

const BCD_DIGITS = 18;
/** FBLD: 18 decimal digits and a sign. */
export function loadDecimal(cpu: Cpu, seg: number, offset: number): void {
  const bits = readBytes(cpu, seg, offset, 10);
  let value = 0n;
  for (let digit = BCD_DIGITS - 1; digit >= 0; digit--) value = value * 10n + ((bits >> BigInt(digit * 4)) & 15n);
  const sign = bits >> 79n !== 0n ? 1n << 79n : 0n;
  push(cpu, exactExtended(fromInteger(value)) | sign);
}

/** Writes a result that was computed before, then pops; nothing of it when an exception is unmasked. */
function store(cpu: Cpu, destination: Destination, bits: bigint, env: FloatEnvironment, pops: boolean): void {
  setConditions(cpu, env.hasRoundedUp && env.flags & FloatFlag.PE ? Status.C1 : 0, Status.C1);
  const blocking = FloatFlag.IE | FloatFlag.OE | FloatFlag.UE;
  const isBlocked = (env.flags & blocking & ~env.masks) !== 0;
  if (raise(cpu, isBlocked ? env.flags & ~FloatFlag.PE : env.flags, blocking)) return;
  destination.write(bits);
  if (pops) pop(cpu);
}
/** An empty ST(0): the indefinite of the format, if that is masked. */
function storeEmpty(cpu: Cpu, destination: Destination, indefinite: bigint, pops: boolean): void {
  if (stackFault(cpu, false)) return;
  destination.write(indefinite);
  if (pops) pop(cpu);
}

/** FST, FSTP m32, m64. */
export function storeReal(cpu: Cpu, seg: number, offset: number, type: RealFormat, pops: boolean): void {
  const { format, bytes } = REAL[type];
  const destination = new Destination(cpu, seg, offset, bytes);
  const indefinite = packSpecial(INDEFINITE, format);
  if (isEmpty(cpu, 0)) {
    storeEmpty(cpu, destination, indefinite, pops);
    return;
  }
  const control = environment(cpu);
  // Precision control does not count here, and no result with a scaled exponent is stored.
  const env = new FloatEnvironment(control.rounding, control.masks);
  const value = unpack(readStack(cpu, 0), EXTENDED);
  let bits: bigint;
  if (value.kind === Kind.UNSUPPORTED) {
    env.raise(FloatFlag.IE);
    bits = indefinite;
  } else {
    if (value.kind === Kind.SIGNALING_NAN) env.raise(FloatFlag.IE);
    bits = pack(env, value, format);
  }
  store(cpu, destination, bits, env, pops);
}
/** FSTP m80. */
export function storeExtended(cpu: Cpu, seg: number, offset: number): void {
  const destination = new Destination(cpu, seg, offset, 10);
  if (isEmpty(cpu, 0)) storeEmpty(cpu, destination, packSpecial(INDEFINITE, EXTENDED), true);
  else {
    setConditions(cpu, 0, Status.C1);
    destination.write(readStack(cpu, 0));
    pop(cpu);
  }
}
/** FIST, FISTP, FISTTP. */
export function storeInteger(
  cpu: Cpu,
  seg: number,
  offset: number,
  bytes: number,
  pops: boolean,
  truncates: boolean,
): void {
  const destination = new Destination(cpu, seg, offset, bytes);
  const indefinite = 1n << BigInt(bytes * 8 - 1);
  if (isEmpty(cpu, 0)) {
    storeEmpty(cpu, destination, indefinite, pops);
    return;
  }
  const control = environment(cpu);
  const env = new FloatEnvironment(truncates ? Rounding.ZERO : control.rounding, control.masks);
  const value = toInteger(env, unpack(readStack(cpu, 0), EXTENDED), bytes * 8);
  if (value === undefined) env.raise(FloatFlag.IE);
  store(cpu, destination, value === undefined ? indefinite : BigInt.asUintN(bytes * 8, value), env, pops);
}

const BCD_LIMIT = 10n ** BigInt(BCD_DIGITS);
const BCD_INDEFINITE = 0xffffc000000000000000n;
/** FBSTP. */
export function storeDecimal(cpu: Cpu, seg: number, offset: number): void {
  const destination = new Destination(cpu, seg, offset, 10);
  if (isEmpty(cpu, 0)) {
    storeEmpty(cpu, destination, BCD_INDEFINITE, true);
    return;
  }
  const control = environment(cpu);
  const env = new FloatEnvironment(control.rounding, control.masks);
  const source = unpack(readStack(cpu, 0), EXTENDED);
  let rest = toInteger(env, source, 64);
  let bits = source.isNegative ? 1n << 79n : 0n;
  if (rest !== undefined && rest < 0n) rest = -rest;
  if (rest === undefined || rest >= BCD_LIMIT) {
    env.flags = FloatFlag.IE;
    bits = BCD_INDEFINITE;
  } else
    for (let digit = 0; digit < BCD_DIGITS; digit++) {
      bits |= (rest % 10n) << BigInt(digit * 4);
      rest /= 10n;
    }
  store(cpu, destination, bits, env, true);
}
