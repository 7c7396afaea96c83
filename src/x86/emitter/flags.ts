/**
 * The arithmetic flags, kept as two words until somebody asks (encoding in state-layout.ts).
 *
 * FLAGS_CARRIES of an addition is the vector of carries out of each bit: CF is the top one, OF the difference of the top two, AF the
 * one out of bit 3. Subtraction uses borrows the same way. Narrow results are moved up so that the top bits line up, and AF stays at bit 3.
 * Everything here is branch-free, and a JIT drops what nobody reads. SDM Vol. 1, 3.4.3.1; Vol. 2 per instruction.
 */
import { Flag } from "../state-layout";
import type { Emitter, Size, Value } from "./emitter";

/** CF and the carry into the sign bit. */
const TOP = 0xc0000000;
const AF_BIT = 8;

/** Moves an 8- or 16-bit carry vector into place and keeps only the bits that mean something. */
function normalize(e: Emitter, carries: Value, size: Size): Value {
  if (size === 4) return e.and(carries, e.const(TOP | AF_BIT));
  const top = e.and(e.shl(carries, e.const(32 - size * 8)), e.const(TOP));
  return e.or(top, e.and(carries, e.const(AF_BIT)));
}

function set(e: Emitter, result: Value, carries: Value, size: Size): void {
  e.setFlagsResult(e.signExtend(result, size));
  e.setFlagsCarries(carries);
}

/** Flags of a + b (+ carry in): `result` is the sum. Operands zero-extended. */
export function setFlagsFromAdd(e: Emitter, a: Value, b: Value, result: Value, size: Size): void {
  const carries = e.or(e.and(a, b), e.and(e.or(a, b), e.not(result)));
  set(e, result, normalize(e, carries, size), size);
}

/** Flags of a - b (- borrow in). */
export function setFlagsFromSub(e: Emitter, a: Value, b: Value, result: Value, size: Size): void {
  const borrows = e.or(e.and(e.not(a), b), e.and(e.or(e.not(a), b), result));
  set(e, result, normalize(e, borrows, size), size);
}

/** Flags of AND, OR, XOR, TEST: CF = OF = 0, AF undefined (0 here). */
export function setFlagsFromLogic(e: Emitter, result: Value, size: Size): void {
  set(e, result, e.const(0), size);
}

/** INC: as an addition of 1, but CF stays. */
export function setFlagsFromInc(e: Emitter, a: Value, result: Value, size: Size): void {
  keepCarry(e, () => setFlagsFromAdd(e, a, e.const(1), result, size));
}
/** DEC: as a subtraction of 1, but CF stays. */
export function setFlagsFromDec(e: Emitter, a: Value, result: Value, size: Size): void {
  keepCarry(e, () => setFlagsFromSub(e, a, e.const(1), result, size));
}
function keepCarry(e: Emitter, setOthers: () => void): void {
  const carry = e.and(e.flagsCarries(), e.const(0x80000000));
  setOthers();
  // OF is bit 31 xor bit 30: when bit 31 is replaced, bit 30 flips with it.
  const carries = e.flagsCarries();
  const change = e.and(e.xor(carries, carry), e.const(0x80000000));
  e.setFlagsCarries(e.xor(e.xor(carries, change), e.shr(change, e.const(1))));
}

/** Result flags (SF ZF PF) from `result`, with CF and OF given as 0/1 values and AF clear: shifts, MUL. */
export function setFlagsWithCarryOverflow(e: Emitter, result: Value, carry: Value, overflow: Value, size: Size): void {
  const top = e.or(e.shl(carry, e.const(31)), e.shl(e.xor(carry, overflow), e.const(30)));
  set(e, result, top, size);
}

/** Only CF and OF change (rotates). Values 0/1. */
export function setCarryOverflow(e: Emitter, carry: Value, overflow: Value): void {
  const rest = e.and(e.flagsCarries(), e.const(~TOP));
  e.setFlagsCarries(e.or(rest, e.or(e.shl(carry, e.const(31)), e.shl(e.xor(carry, overflow), e.const(30)))));
}

/** Only CF changes (STC, CLC, CMC, BT): OF stays. Value 0/1. */
export function setCarry(e: Emitter, carry: Value): void {
  setCarryOverflow(e, carry, overflowFlag(e));
}

/** Result flags from `result`, with CF and AF given as 0/1 values and OF clear: decimal adjustment. */
export function setFlagsWithCarryAdjust(e: Emitter, result: Value, carry: Value, adjust: Value, size: Size): void {
  const top = e.or(e.shl(carry, e.const(31)), e.shl(carry, e.const(30)));
  set(e, result, e.or(top, e.shl(adjust, e.const(3))), size);
}

/** Only ZF changes (CMPXCHG8B, LAR, ARPL). Value 0/1. */
export function setZeroFlag(e: Emitter, zero: Value): void {
  const others = e.and(arithmeticFlags(e), e.const(~Flag.ZF));
  setArithmeticFlags(e, e.or(others, e.shl(zero, e.const(Math.log2(Flag.ZF)))));
}

export function carryFlag(e: Emitter): Value {
  return e.shr(e.flagsCarries(), e.const(31));
}
export function overflowFlag(e: Emitter): Value {
  const c = e.flagsCarries();
  return e.shr(e.xor(c, e.shl(c, e.const(1))), e.const(31));
}
export function zeroFlag(e: Emitter): Value {
  return e.isZero(e.flagsResult());
}
export function signFlag(e: Emitter): Value {
  return e.and(e.xor(e.shr(e.flagsResult(), e.const(31)), e.flagsCarries()), e.const(1));
}
export function adjustFlag(e: Emitter): Value {
  return e.and(e.shr(e.flagsCarries(), e.const(3)), e.const(1));
}
export function parityFlag(e: Emitter): Value {
  const byte = e.and(e.xor(e.flagsResult(), e.shr(e.flagsCarries(), e.const(8))), e.const(0xff));
  const nibble = e.and(e.xor(byte, e.shr(byte, e.const(4))), e.const(15));
  return e.and(e.shr(e.const(0x9669), nibble), e.const(1));
}

/** Condition `code` (low four bits of Jcc, SETcc, CMOVcc; SDM Vol. 2, appendix B.1.4.7): non-zero when it holds. */
export function condition(e: Emitter, code: number): Value {
  const positive = positiveCondition(e, code >> 1);
  return code & 1 ? e.isZero(positive) : positive;
}
function positiveCondition(e: Emitter, which: number): Value {
  switch (which) {
    case 0:
      return overflowFlag(e);
    case 1:
      return carryFlag(e);
    case 2:
      return zeroFlag(e);
    case 3:
      return e.or(carryFlag(e), zeroFlag(e));
    case 4:
      return signFlag(e);
    case 5:
      return parityFlag(e);
    case 6:
      return lessThan(e);
    default:
      return e.or(lessThan(e), zeroFlag(e));
  }
}
/** SF != OF. */
function lessThan(e: Emitter): Value {
  const c = e.flagsCarries();
  const overflow = e.xor(c, e.shl(c, e.const(1)));
  return e.shr(e.xor(e.xor(overflow, e.flagsResult()), e.shl(c, e.const(31))), e.const(31));
}

/** All six arithmetic flags as EFLAGS bits. */
export function arithmeticFlags(e: Emitter): Value {
  const bit = (flag: Value, mask: number) => e.shl(flag, e.const(Math.log2(mask)));
  return [
    bit(parityFlag(e), Flag.PF),
    bit(adjustFlag(e), Flag.AF),
    bit(zeroFlag(e), Flag.ZF),
    bit(signFlag(e), Flag.SF),
    bit(overflowFlag(e), Flag.OF),
  ].reduce((all, one) => e.or(all, one), carryFlag(e));
}

/** Sets all six from EFLAGS bits (SAHF, POPF, IRET). */
export function setArithmeticFlags(e: Emitter, eflags: Value): void {
  const bit = (mask: number) => e.and(e.shr(eflags, e.const(Math.log2(mask))), e.const(1));
  const zero = bit(Flag.ZF);
  const carry = bit(Flag.CF);
  e.setFlagsResult(e.xor(zero, e.const(1)));
  const carries = [
    e.shl(carry, e.const(31)),
    e.shl(e.xor(carry, bit(Flag.OF)), e.const(30)),
    e.shl(bit(Flag.AF), e.const(3)),
    bit(Flag.SF),
    // The result's low byte is 0 when ZF, else 1: PF_DELTA is set where PF says otherwise.
    e.shl(e.xor(bit(Flag.PF), zero), e.const(8)),
  ].reduce((all, one) => e.or(all, one));
  e.setFlagsCarries(carries);
}
