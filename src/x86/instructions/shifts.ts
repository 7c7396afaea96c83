/**
 * Shifts and rotations. The count is taken modulo 32; a count of 0 changes no flag. SDM Vol. 1, 5.1.5.
 *
 * OF means something only for a count of 1, AF never (shifts only), CF not when SHL or SHR move everything out twice. Narrow rotations are done on
 * a word that repeats the operand, so that the 32-bit rotation does it; RCL and RCR rotate 9, 17 or 33 bits, CF being the top one.
 */
import type { Emitter, Semantics, Size, Value } from "../emitter/emitter";
import { carryFlag, setCarryOverflow, setFlagsWithCarryOverflow } from "../emitter/flags";
import { cl, constant, type Instruction, imm8, reg, rm } from "../emitter/operands";
import { Flag } from "../state-layout";
import { insn, type Row } from "./row";

const SHIFT_UNDEFINED = { undefinedFlags: Flag.AF | Flag.OF | Flag.CF };
const ROTATE_UNDEFINED = { undefinedFlags: Flag.OF };

/** The six forms of group 2. SDM Vol. 2, appendix A, table A-6. */
function group2(mnemonic: string, n: number, meaning: Semantics, options: { undefinedFlags: number }): Row[] {
  return [
    insn(mnemonic, `C0 /${n} ib`, [rm.b, imm8.b], meaning, options),
    insn(mnemonic, `C1 /${n} ib`, [rm.v, imm8.b], meaning, options),
    insn(mnemonic, `D0 /${n}`, [rm.b, constant(1)], meaning, options),
    insn(mnemonic, `D1 /${n}`, [rm.v, constant(1)], meaning, options),
    insn(mnemonic, `D2 /${n}`, [rm.b, cl], meaning, options),
    insn(mnemonic, `D3 /${n}`, [rm.v, cl], meaning, options),
  ];
}

export const shifts = [
  ...group2("ROL", 0, rol, ROTATE_UNDEFINED),
  ...group2("ROR", 1, ror, ROTATE_UNDEFINED),
  ...group2("RCL", 2, rcl, ROTATE_UNDEFINED),
  ...group2("RCR", 3, rcr, ROTATE_UNDEFINED),
  ...group2("SHL", 4, shl, SHIFT_UNDEFINED),
  ...group2("SHR", 5, shr, SHIFT_UNDEFINED),
  // /6 is not in the manual's table and works like /4.
  ...group2("SAL", 6, shl, SHIFT_UNDEFINED),
  ...group2("SAR", 7, sar, SHIFT_UNDEFINED),
  insn("SHLD", "0F A4 /r ib", [rm.v, reg.v, imm8.b], shld, SHIFT_UNDEFINED),
  insn("SHLD", "0F A5 /r", [rm.v, reg.v, cl], shld, SHIFT_UNDEFINED),
  insn("SHRD", "0F AC /r ib", [rm.v, reg.v, imm8.b], shrd, SHIFT_UNDEFINED),
  insn("SHRD", "0F AD /r", [rm.v, reg.v, cl], shrd, SHIFT_UNDEFINED),
];

/** Bit `position` (a value) of a, as 0 or 1. */
function bitAt(e: Emitter, a: Value, position: Value): Value {
  return e.and(e.shr(a, position), e.const(1));
}

/** The sign bit of an operand-sized value. */
function topBit(e: Emitter, a: Value, size: Size): Value {
  return bitAt(e, a, e.const(size * 8 - 1));
}

/** SDM Vol. 2 SAL/SHL. */
function shl(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op2), e.const(31));
  const a = e.readForUpdate(i.op1);
  const result = e.shl(a, count);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry =
      size === 4 ? bitAt(e, a, e.sub(e.const(32), count)) : e.and(e.shr(result, e.const(size * 8)), e.const(1));
    setFlagsWithCarryOverflow(e, result, carry, e.xor(carry, topBit(e, result, size)), size);
  });
}

/** SDM Vol. 2 SHR. */
function shr(e: Emitter, i: Instruction): void {
  const count = e.and(e.read(i.op2), e.const(31));
  const a = e.readForUpdate(i.op1);
  const result = e.shr(a, count);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = bitAt(e, a, e.sub(count, e.const(1)));
    setFlagsWithCarryOverflow(e, result, carry, topBit(e, a, i.op1.size), i.op1.size);
  });
}

/** SDM Vol. 2 SAR. */
function sar(e: Emitter, i: Instruction): void {
  const count = e.and(e.read(i.op2), e.const(31));
  const a = e.signExtend(e.readForUpdate(i.op1), i.op1.size);
  const result = e.sar(a, count);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = e.and(e.sar(a, e.sub(count, e.const(1))), e.const(1));
    setFlagsWithCarryOverflow(e, result, carry, e.const(0), i.op1.size);
  });
}

/** The operand repeated until it fills 32 bits. */
function repeated(e: Emitter, a: Value, size: Size): Value {
  if (size === 4) return a;
  return e.mul(a, e.const(size === 1 ? 0x01010101 : 0x00010001));
}

/** SDM Vol. 2 ROL. */
function rol(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op2), e.const(31));
  const result = e.rotl(repeated(e, e.readForUpdate(i.op1), size), count);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = e.and(result, e.const(1));
    setCarryOverflow(e, carry, e.xor(carry, topBit(e, result, size)));
  });
}

/** SDM Vol. 2 ROR. */
function ror(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op2), e.const(31));
  const result = e.rotr(repeated(e, e.readForUpdate(i.op1), size), count);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = topBit(e, result, size);
    setCarryOverflow(e, carry, e.xor(carry, bitAt(e, result, e.const(size * 8 - 2))));
  });
}

/** A count of 0-31 modulo 9 (bytes) or 17 (words): how far RCL and RCR really go. SDM Vol. 2, RCL/RCR. */
function modulo9Or17(e: Emitter, count: Value, size: 1 | 2): Value {
  // 57/512 is a little more than 1/9, and near enough up to 31.
  if (size === 1) return e.sub(count, e.mul(e.shr(e.mul(count, e.const(57)), e.const(9)), e.const(9)));
  return e.select(e.ltUnsigned(count, e.const(17)), count, e.sub(count, e.const(17)));
}

/** Rotates 8 or 16 bits and CF above them left by `distance` (0 to size*8): gives the size*8+1 bits. */
function rotateWithCarry(e: Emitter, a: Value, distance: Value, size: 1 | 2): Value {
  const bits = size * 8;
  const wide = e.or(a, e.shl(carryFlag(e), e.const(bits)));
  const rotated = e.or(e.shl(wide, distance), e.shr(wide, e.sub(e.const(bits + 1), distance)));
  return e.and(rotated, e.const(2 ** (bits + 1) - 1));
}

/** SDM Vol. 2 RCL. */
function rcl(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op2), e.const(31));
  const a = e.readForUpdate(i.op1);
  if (size === 4) {
    const fromTop = e.shr(e.shr(a, e.sub(e.const(32), count)), e.const(1));
    const fromCarry = e.shl(carryFlag(e), e.sub(count, e.const(1)));
    const result = e.select(count, e.or(e.shl(a, count), e.or(fromCarry, fromTop)), a);
    e.update(i.op1, result);
    e.when(count, () => {
      const carry = bitAt(e, a, e.sub(e.const(32), count));
      setCarryOverflow(e, carry, e.xor(carry, topBit(e, result, size)));
    });
    return;
  }
  const result = rotateWithCarry(e, a, modulo9Or17(e, count, size), size);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = e.shr(result, e.const(size * 8));
    setCarryOverflow(e, carry, e.xor(carry, topBit(e, result, size)));
  });
}

/** SDM Vol. 2 RCR. */
function rcr(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op2), e.const(31));
  const a = e.readForUpdate(i.op1);
  if (size === 4) {
    const fromBottom = e.shl(e.shl(a, e.sub(e.const(32), count)), e.const(1));
    const fromCarry = e.shl(carryFlag(e), e.sub(e.const(32), count));
    const result = e.select(count, e.or(e.shr(a, count), e.or(fromCarry, fromBottom)), a);
    e.update(i.op1, result);
    e.when(count, () => {
      const carry = bitAt(e, a, e.sub(count, e.const(1)));
      setCarryOverflow(e, carry, e.xor(topBit(e, result, size), bitAt(e, result, e.const(30))));
    });
    return;
  }
  const bits = size * 8;
  const result = rotateWithCarry(e, a, e.sub(e.const(bits + 1), modulo9Or17(e, count, size)), size);
  e.update(i.op1, result);
  e.when(count, () => {
    const overflow = e.xor(topBit(e, result, size), bitAt(e, result, e.const(bits - 2)));
    setCarryOverflow(e, e.shr(result, e.const(bits)), overflow);
  });
}

/** SDM Vol. 2 SHLD. 16-bit operands with a count above 16 are undefined; the rotation of 32 bits is what many processors do. */
function shld(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op3), e.const(31));
  const b = e.read(i.op2);
  const a = e.readForUpdate(i.op1);
  const upper = size === 4 ? a : e.or(e.shl(a, e.const(16)), b);
  const shifted =
    size === 4 ? e.or(e.shl(a, count), e.shr(b, e.sub(e.const(32), count))) : e.shr(e.rotl(upper, count), e.const(16));
  const result = e.select(count, shifted, a);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = bitAt(e, upper, e.sub(e.const(32), count));
    setFlagsWithCarryOverflow(e, result, carry, topBit(e, e.xor(a, result), size), size);
  });
}

/** SDM Vol. 2 SHRD. */
function shrd(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const count = e.and(e.read(i.op3), e.const(31));
  const b = e.read(i.op2);
  const a = e.readForUpdate(i.op1);
  const lower = size === 4 ? a : e.or(e.shl(b, e.const(16)), a);
  const shifted =
    size === 4 ? e.or(e.shr(a, count), e.shl(b, e.sub(e.const(32), count))) : e.zeroExtend(e.rotr(lower, count), 2);
  const result = e.select(count, shifted, a);
  e.update(i.op1, result);
  e.when(count, () => {
    const carry = bitAt(e, lower, e.sub(count, e.const(1)));
    setFlagsWithCarryOverflow(e, result, carry, topBit(e, e.xor(a, result), size), size);
  });
}
