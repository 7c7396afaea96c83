/**
 * MOV, PUSH, POP and their kin: values move, flags do not. SDM Vol. 1, 5.1.1.
 */
import type { Emitter } from "../emitter/emitter";
import type { Instruction } from "../emitter/operands";
import { imm, imm8, reg, rm } from "../emitter/operands";
import { insn } from "./row";

export const dataTransfer = [
  insn("MOV", "88 /r", [rm.b, reg.b], mov),
  insn("MOV", "89 /r", [rm.v, reg.v], mov),
  insn("MOV", "8A /r", [reg.b, rm.b], mov),
  insn("MOV", "8B /r", [reg.v, rm.v], mov),
  insn("MOV", "B0+r ib", [reg.b, imm.b], mov),
  insn("MOV", "B8+r iv", [reg.v, imm.v], mov),
  insn("PUSH", "50+r", [reg.v], push),
  insn("PUSH", "FF /6", [rm.v], push),
  insn("PUSH", "6A ib", [imm8.sx], push),
];

/** SDM Vol. 2 MOV. */
function mov(e: Emitter, i: Instruction): void {
  e.write(i.op1, e.read(i.op2));
}

/** SDM Vol. 2 PUSH. The operand is read before ESP moves, so PUSH ESP stores the old ESP. */
function push(e: Emitter, i: Instruction): void {
  const value = e.read(i.op1);
  const top = e.sub(e.stackPointer(), e.const(i.operandSize));
  e.storeStack(top, value, i.operandSize);
  e.setStackPointer(top);
}
