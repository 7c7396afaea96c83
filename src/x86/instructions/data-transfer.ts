/**
 * MOV and its kin: values move between registers and memory, flags do not. SDM Vol. 1, 5.1.1.
 * PUSH, POP and stack frames are in stack.ts; segment registers in segments.ts; control registers in system.ts.
 */
import type { Emitter } from "../emitter/emitter";
import { condition } from "../emitter/flags";
import { acc, fixedRegister, type Instruction, imm, mem, moffs, reg, rm } from "../emitter/operands";
import { Reg } from "../state-layout";
import { addressPlus } from "./addressing";
import { conditionRows, hexByte } from "./conditions";
import { insn } from "./row";

export const dataTransfer = [
  insn("MOV", "88 /r", [rm.b, reg.b], mov),
  insn("MOV", "89 /r", [rm.v, reg.v], mov),
  insn("MOV", "8A /r", [reg.b, rm.b], mov),
  insn("MOV", "8B /r", [reg.v, rm.v], mov),
  insn("MOV", "A0", [acc.b, moffs.b], mov),
  insn("MOV", "A1", [acc.v, moffs.v], mov),
  insn("MOV", "A2", [moffs.b, acc.b], mov),
  insn("MOV", "A3", [moffs.v, acc.v], mov),
  insn("MOV", "B0+r ib", [reg.b, imm.b], mov),
  insn("MOV", "B8+r iv", [reg.v, imm.v], mov),
  insn("MOV", "C6 /0 ib", [rm.b, imm.b], mov),
  insn("MOV", "C7 /0 iv", [rm.v, imm.v], mov),
  insn("MOVZX", "0F B6 /r", [reg.v, rm.b], mov),
  insn("MOVZX", "0F B7 /r", [reg.v, rm.w], mov),
  insn("MOVSX", "0F BE /r", [reg.v, rm.b], movsx),
  insn("MOVSX", "0F BF /r", [reg.v, rm.w], movsx),
  insn("MOVNTI", "NP 0F C3 /r", [mem.d, reg.d], mov),
  ...conditionRows("CMOV", (code) => `0F ${hexByte(0x40 + code)} /r`, [reg.v, rm.v], cmov),
  ...conditionRows("SET", (code) => `0F ${hexByte(0x90 + code)} /r`, [rm.b], setcc),
  insn("XCHG", "86 /r", [rm.b, reg.b], xchg, { lockable: true }),
  insn("XCHG", "87 /r", [rm.v, reg.v], xchg, { lockable: true }),
  // 90 would be XCHG EAX, EAX; it is NOP.
  ...[1, 2, 3, 4, 5, 6, 7].map((r) => insn("XCHG", hexByte(0x90 + r), [fixedRegister(r), acc.v], xchg)),
  insn("BSWAP", "0F C8+r", [reg.v], bswap),
  insn("LEA", "8D /r", [reg.v, mem.any], lea),
  insn("XLAT", "D7", [], xlat),
  insn("CBW", "98", [], cbw, { onlyOperandSize: 2 }),
  insn("CWDE", "98", [], cwde, { onlyOperandSize: 4 }),
  insn("CWD", "99", [], cwd, { onlyOperandSize: 2 }),
  insn("CDQ", "99", [], cdq, { onlyOperandSize: 4 }),
];

/** SDM Vol. 2 MOV, MOVZX: what is read is zero-extended already. */
function mov(e: Emitter, i: Instruction): void {
  e.write(i.op1, e.read(i.op2));
}

/** SDM Vol. 2 MOVSX. */
function movsx(e: Emitter, i: Instruction): void {
  e.write(i.op1, e.signExtend(e.read(i.op2), i.op2.size));
}

/** SDM Vol. 2 CMOVcc. The source is read, and may fault, whatever the condition. */
function cmov(code: number) {
  return (e: Emitter, i: Instruction): void => {
    const value = e.read(i.op2);
    e.write(i.op1, e.select(condition(e, code), value, e.read(i.op1)));
  };
}

/** SDM Vol. 2 SETcc. */
function setcc(code: number) {
  return (e: Emitter, i: Instruction): void => {
    e.write(i.op1, e.select(condition(e, code), e.const(1), e.const(0)));
  };
}

/** SDM Vol. 2 XCHG. */
function xchg(e: Emitter, i: Instruction): void {
  const first = e.readForUpdate(i.op1);
  const second = e.read(i.op2);
  e.write(i.op2, first);
  e.update(i.op1, second);
}

/** SDM Vol. 2 BSWAP. With a 16-bit operand the result is undefined there; processors give 0. */
function bswap(e: Emitter, i: Instruction): void {
  if (i.operandSize === 2) {
    e.write(i.op1, e.const(0));
    return;
  }
  const value = e.read(i.op1);
  const even = e.and(e.rotl(value, e.const(8)), e.const(0x00ff00ff));
  const odd = e.and(e.rotr(value, e.const(8)), e.const(0xff00ff00));
  e.write(i.op1, e.or(even, odd));
}

/** SDM Vol. 2 LEA. */
function lea(e: Emitter, i: Instruction): void {
  e.write(i.op1, e.effectiveAddress(i.op2));
}

/** SDM Vol. 2 XLAT. */
function xlat(e: Emitter, i: Instruction): void {
  const offset = addressPlus(e, i, e.readRegister(Reg.EBX, 4), e.readRegister(Reg.EAX, 1));
  e.writeRegister(Reg.EAX, 1, e.load(i.dataSegment, offset, 1));
}

/** SDM Vol. 2 CBW/CWDE. */
function cbw(e: Emitter): void {
  e.writeRegister(Reg.EAX, 2, e.signExtend(e.readRegister(Reg.EAX, 1), 1));
}
function cwde(e: Emitter): void {
  e.writeRegister(Reg.EAX, 4, e.signExtend(e.readRegister(Reg.EAX, 2), 2));
}

/** SDM Vol. 2 CWD/CDQ. */
function cwd(e: Emitter): void {
  e.writeRegister(Reg.EDX, 2, e.sar(e.signExtend(e.readRegister(Reg.EAX, 2), 2), e.const(31)));
}
function cdq(e: Emitter): void {
  e.writeRegister(Reg.EDX, 4, e.sar(e.readRegister(Reg.EAX, 4), e.const(31)));
}
