/**
 * MUL IMUL DIV IDIV. SDM Vol. 1, 5.1.2. The wide operand is AX, DX:AX or EDX:EAX.
 * Division finds out whether the quotient fits (#DE if not) before it writes anything.
 */
import type { Emitter, Size, Value } from "../emitter/emitter";
import { setFlagsWithCarryOverflow } from "../emitter/flags";
import { type Instruction, imm, imm8, reg, rm } from "../emitter/operands";
import { Flag, Reg, Vector } from "../state-layout";
import { insn } from "./row";

const MULTIPLY = { undefinedFlags: Flag.SF | Flag.ZF | Flag.AF | Flag.PF };
const DIVIDE = { undefinedFlags: Flag.CF | Flag.OF | Flag.SF | Flag.ZF | Flag.AF | Flag.PF };
const AH = 4;

export const multiplyDivide = [
  insn("MUL", "F6 /4", [rm.b], mul, MULTIPLY),
  insn("MUL", "F7 /4", [rm.v], mul, MULTIPLY),
  insn("IMUL", "F6 /5", [rm.b], imulWide, MULTIPLY),
  insn("IMUL", "F7 /5", [rm.v], imulWide, MULTIPLY),
  insn("IMUL", "0F AF /r", [reg.v, rm.v], imulTwo, MULTIPLY),
  insn("IMUL", "69 /r iv", [reg.v, rm.v, imm.v], imulThree, MULTIPLY),
  insn("IMUL", "6B /r ib", [reg.v, rm.v, imm8.sx], imulThree, MULTIPLY),
  insn("DIV", "F6 /6", [rm.b], div, DIVIDE),
  insn("DIV", "F7 /6", [rm.v], div, DIVIDE),
  insn("IDIV", "F6 /7", [rm.b], idiv, DIVIDE),
  insn("IDIV", "F7 /7", [rm.v], idiv, DIVIDE),
];

/** Writes the double-width result of a multiplication, or quotient and remainder of a division. */
function writeWide(e: Emitter, low: Value, high: Value, size: Size): void {
  e.writeRegister(Reg.EAX, size, low);
  e.writeRegister(size === 1 ? AH : Reg.EDX, size, high);
}

/** SDM Vol. 2 MUL. CF = OF = the upper half is not zero. */
function mul(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const a = e.readRegister(Reg.EAX, size);
  const b = e.read(i.op1);
  const low = e.mul(a, b);
  const high = size === 4 ? e.mulHighUnsigned(a, b) : e.shr(low, e.const(size * 8));
  writeWide(e, low, high, size);
  const isWide = e.ne(high, e.const(0));
  setFlagsWithCarryOverflow(e, low, isWide, isWide, size);
}

/** Signed product of two operand-sized values: low and high halves, and 1 if the low half alone does not tell it. */
function signedProduct(e: Emitter, a: Value, b: Value, size: Size): { low: Value; high: Value; isWide: Value } {
  if (size === 4) {
    const low = e.mul(a, b);
    const high = e.mulHighSigned(a, b);
    return { low, high, isWide: e.ne(high, e.sar(low, e.const(31))) };
  }
  const low = e.mul(e.signExtend(a, size), e.signExtend(b, size));
  return { low, high: e.shr(low, e.const(size * 8)), isWide: e.ne(low, e.signExtend(low, size)) };
}

/** SDM Vol. 2 IMUL, one operand. */
function imulWide(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const { low, high, isWide } = signedProduct(e, e.readRegister(Reg.EAX, size), e.read(i.op1), size);
  writeWide(e, low, high, size);
  setFlagsWithCarryOverflow(e, low, isWide, isWide, size);
}

function imul(e: Emitter, i: Instruction, a: Value, b: Value): void {
  const { low, isWide } = signedProduct(e, a, b, i.operandSize);
  e.write(i.op1, low);
  setFlagsWithCarryOverflow(e, low, isWide, isWide, i.operandSize);
}
/** SDM Vol. 2 IMUL, two operands. */
function imulTwo(e: Emitter, i: Instruction): void {
  imul(e, i, e.read(i.op1), e.read(i.op2));
}
/** SDM Vol. 2 IMUL, three operands. */
function imulThree(e: Emitter, i: Instruction): void {
  imul(e, i, e.read(i.op2), e.read(i.op3));
}

/** The dividend as two halves: for 1- and 2-byte operands all of it is in `low`. */
function dividend(e: Emitter, size: Size): { low: Value; high: Value } {
  if (size === 1) return { low: e.readRegister(Reg.EAX, 2), high: e.readRegister(AH, 1) };
  const high = e.readRegister(Reg.EDX, size);
  const low = e.readRegister(Reg.EAX, size);
  return { low: size === 2 ? e.or(low, e.shl(high, e.const(16))) : low, high };
}

/** SDM Vol. 2 DIV. The quotient fits exactly when the upper half is below the divisor, which covers 0. Flags stay. */
function div(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const divisor = e.read(i.op1);
  const { low, high } = dividend(e, size);
  e.when(e.isZero(e.ltUnsigned(high, divisor)), () => e.fault(Vector.DE));
  const top = size === 4 ? high : e.const(0);
  const quotient = e.divideWideUnsigned(top, low, divisor);
  writeWide(e, quotient, e.remainderWideUnsigned(top, low, divisor), size);
}

/** SDM Vol. 2 IDIV. */
function idiv(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const divisor = e.signExtend(e.read(i.op1), size);
  const halves = dividend(e, size);
  const low = e.signExtend(halves.low, size === 1 ? 2 : 4);
  const high = size === 4 ? halves.high : e.sar(low, e.const(31));
  e.when(e.isZero(divisor), () => e.fault(Vector.DE));
  if (size === 4) {
    const isLeast = e.and(e.eq(high, e.const(0x80000000)), e.isZero(low));
    e.when(e.and(isLeast, e.eq(divisor, e.const(-1))), () => e.fault(Vector.DE));
  }
  const quotient = e.divideWideSigned(high, low, divisor);
  const fits =
    size === 4
      ? e.eq(e.divideWideSignedHigh(high, low, divisor), e.sar(quotient, e.const(31)))
      : e.eq(e.signExtend(quotient, size), quotient);
  e.when(e.isZero(fits), () => e.fault(Vector.DE));
  writeWide(e, quotient, e.remainderWideSigned(high, low, divisor), size);
}
