/**
 * Decimal arithmetic: DAA DAS AAA AAS AAM AAD, and SALC. SDM Vol. 1, 5.1.3.
 * AF carries from the low digit, CF from the high one; whether a digit needs its correction is known as 0 or 1, so there is no branch.
 */
import type { Emitter, Value } from "../emitter/emitter";
import { adjustFlag, carryFlag, setFlagsFromLogic, setFlagsWithCarryAdjust } from "../emitter/flags";
import { type Instruction, imm8 } from "../emitter/operands";
import { Flag, Reg, Vector } from "../state-layout";
import { insn } from "./row";

const PACKED = { undefinedFlags: Flag.OF };
const UNPACKED = { undefinedFlags: Flag.OF | Flag.SF | Flag.ZF | Flag.PF };
const MULTIPLIED = { undefinedFlags: Flag.OF | Flag.AF | Flag.CF };
const AH = 4;

export const decimal = [
  insn("DAA", "27", [], daa, PACKED),
  insn("DAS", "2F", [], das, PACKED),
  insn("AAA", "37", [], aaa, UNPACKED),
  insn("AAS", "3F", [], aas, UNPACKED),
  insn("AAM", "D4 ib", [imm8.b], aam, MULTIPLIED),
  insn("AAD", "D5 ib", [imm8.b], aad, MULTIPLIED),
  insn("SALC", "D6", [], salc),
];

/** 1 when the low digit of AL is above 9 or AF is set. */
function needsLowAdjust(e: Emitter, al: Value): Value {
  return e.or(e.ltUnsigned(e.const(9), e.and(al, e.const(15))), adjustFlag(e));
}
/** 1 when AL is above 99h or CF is set. */
function needsHighAdjust(e: Emitter, al: Value): Value {
  return e.or(e.ltUnsigned(e.const(0x99), al), carryFlag(e));
}
/** 6, 60h, 66h or 0. */
function packedAdjustment(e: Emitter, low: Value, high: Value): Value {
  return e.add(e.mul(low, e.const(6)), e.mul(high, e.const(0x60)));
}

/** SDM Vol. 2 DAA. */
function daa(e: Emitter): void {
  const al = e.readRegister(Reg.EAX, 1);
  const low = needsLowAdjust(e, al);
  const high = needsHighAdjust(e, al);
  const result = e.zeroExtend(e.add(al, packedAdjustment(e, low, high)), 1);
  e.writeRegister(Reg.EAX, 1, result);
  setFlagsWithCarryAdjust(e, result, high, low, 1);
}

/** SDM Vol. 2 DAS. CF is also set when taking 6 borrows. */
function das(e: Emitter): void {
  const al = e.readRegister(Reg.EAX, 1);
  const low = needsLowAdjust(e, al);
  const high = needsHighAdjust(e, al);
  const borrow = e.and(low, e.ltUnsigned(al, e.const(6)));
  const result = e.zeroExtend(e.sub(al, packedAdjustment(e, low, high)), 1);
  e.writeRegister(Reg.EAX, 1, result);
  setFlagsWithCarryAdjust(e, result, e.or(high, borrow), low, 1);
}

/** AAA and AAS: AX changes by `change` when the low digit needs it, then AL keeps only that digit. */
function unpackedAdjust(e: Emitter, change: number): void {
  const ax = e.readRegister(Reg.EAX, 2);
  const adjust = needsLowAdjust(e, e.zeroExtend(ax, 1));
  const sum = e.add(ax, e.mul(adjust, e.const(change)));
  e.writeRegister(Reg.EAX, 2, e.and(sum, e.const(0xff0f)));
  setFlagsWithCarryAdjust(e, e.and(sum, e.const(15)), adjust, adjust, 1);
}

/** SDM Vol. 2 AAA. */
function aaa(e: Emitter): void {
  unpackedAdjust(e, 0x106);
}
/** SDM Vol. 2 AAS. */
function aas(e: Emitter): void {
  unpackedAdjust(e, -0x106);
}

/** SDM Vol. 2 AAM. */
function aam(e: Emitter, i: Instruction): void {
  const base = e.read(i.op1);
  e.when(e.isZero(base), () => e.fault(Vector.DE));
  const al = e.readRegister(Reg.EAX, 1);
  const quotient = e.divideWideUnsigned(e.const(0), al, base);
  const remainder = e.remainderWideUnsigned(e.const(0), al, base);
  e.writeRegister(AH, 1, quotient);
  e.writeRegister(Reg.EAX, 1, remainder);
  setFlagsFromLogic(e, remainder, 1);
}

/** SDM Vol. 2 AAD. */
function aad(e: Emitter, i: Instruction): void {
  const tens = e.mul(e.readRegister(AH, 1), e.read(i.op1));
  const result = e.zeroExtend(e.add(e.readRegister(Reg.EAX, 1), tens), 1);
  e.writeRegister(Reg.EAX, 2, result);
  setFlagsFromLogic(e, result, 1);
}

/** AL := CF ? FFh : 0. Not in Intel's manual before 2022; all processors have it. */
function salc(e: Emitter): void {
  e.writeRegister(Reg.EAX, 1, e.neg(carryFlag(e)));
}
