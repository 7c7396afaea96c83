/**
 * PUSH POP PUSHA POPA ENTER LEAVE: the stack segment, addressed by ESP or SP as its descriptor says. SDM Vol. 1, 6.2.
 * The stack pointer moves last, when nothing can fault any more. Segment registers are in segments.ts, flags in flags.ts.
 */
import type { Emitter, Value } from "../emitter/emitter";
import { type Instruction, imm, imm8, reg, rm } from "../emitter/operands";
import { enterFrame, pushAll } from "../helpers/procedure-frames";
import { Reg } from "../state-layout";
import { insn } from "./row";

export const stack = [
  insn("PUSH", "50+r", [reg.v], push),
  insn("PUSH", "68 iv", [imm.v], push),
  insn("PUSH", "6A ib", [imm8.sx], push),
  insn("PUSH", "FF /6", [rm.v], push),
  insn("POP", "58+r", [reg.v], pop),
  insn("POP", "8F /0", [rm.v], pop, { addressAfterPop: true }),
  insn("PUSHA", "60", [], pusha),
  insn("POPA", "61", [], popa, { commitsEarly: "registers popped before the fault keep their values, as on silicon" }),
  insn("ENTER", "C8 iw ib", [imm.w, imm8.b], enter),
  insn("LEAVE", "C9", [], leave),
];

/** Pushes a value of operand size. */
export function pushValue(e: Emitter, i: Instruction, value: Value): void {
  const top = e.sub(e.stackPointer(), e.const(i.operandSize));
  e.storeStack(top, value, i.operandSize);
  e.setStackPointer(top);
}

/** Releases `bytes` of stack above the present top. */
export function popBytes(e: Emitter, bytes: number): void {
  e.setStackPointer(e.add(e.stackPointer(), e.const(bytes)));
}

/** SDM Vol. 2 PUSH. The operand is read before ESP moves, so PUSH ESP stores the old ESP. */
function push(e: Emitter, i: Instruction): void {
  pushValue(e, i, e.read(i.op1));
}

/** SDM Vol. 2 POP. ESP moves before a register is written, so POP ESP keeps what was popped. */
function pop(e: Emitter, i: Instruction): void {
  const value = e.loadStack(e.stackPointer(), i.operandSize);
  if (i.op1.kind === "memory") {
    e.write(i.op1, value);
    popBytes(e, i.operandSize);
  } else {
    popBytes(e, i.operandSize);
    e.write(i.op1, value);
  }
}

/** SDM Vol. 2 PUSHA/PUSHAD. */
function pusha(e: Emitter, i: Instruction): void {
  e.call(pushAll, e.const(i.operandSize));
}

/**
 * SDM Vol. 2 POPA/POPAD. The image of ESP is read and dropped. Each register is written as it is popped, and keeps that when a
 * later pop faults: the manual's pseudo-code read literally, and what silicon does (vectors: stack, "popa across an edge").
 */
function popa(e: Emitter, i: Instruction): void {
  const size = i.operandSize;
  const top = e.stackPointer();
  for (let register = Reg.EDI as number; register >= Reg.EAX; register--) {
    const value = e.loadStack(e.add(top, e.const((Reg.EDI - register) * size)), size);
    if (register !== Reg.ESP) e.writeRegister(register, size, value);
  }
  popBytes(e, 8 * size);
}

/** SDM Vol. 2 ENTER. */
function enter(e: Emitter, i: Instruction): void {
  e.call(enterFrame, e.const(i.operandSize), e.read(i.op1), e.and(e.read(i.op2), e.const(31)));
}

/** SDM Vol. 2 LEAVE. */
function leave(e: Emitter, i: Instruction): void {
  const frame = e.readRegister(Reg.EBP, 4);
  const value = e.loadStack(frame, i.operandSize);
  e.setStackPointer(e.add(frame, e.const(i.operandSize)));
  e.writeRegister(Reg.EBP, i.operandSize, value);
}
