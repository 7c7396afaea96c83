/**
 * Transfers that load CS or go through the IDT: far JMP, CALL and RET, INT, IRET, BOUND. SDM Vol. 1, 5.1.7; Vol. 3, 5.8 and chapter 6.
 * What happens there is in helpers/; the rows only fetch the far pointer.
 */
import type { Emitter, Value } from "../emitter/emitter";
import { overflowFlag } from "../emitter/flags";
import { far, type Instruction, imm, imm8, mem, reg } from "../emitter/operands";
import { farCall, farJump, farReturn } from "../helpers/far-transfer";
import { InterruptKind, interruptReturn, softwareInterrupt } from "../helpers/interrupts";
import { Vector } from "../state-layout";
import { addressPlus } from "./addressing";
import { insn } from "./row";

export const farTransfers = [
  insn("JMP", "EA cp", [far], jmpFar),
  insn("JMP", "FF /5", [mem.p], jmpFar),
  insn("CALL", "9A cp", [far], callFar),
  insn("CALL", "FF /3", [mem.p], callFar),
  insn("RETF", "CB", [], retf),
  insn("RETF", "CA iw", [imm.w], retfRelease),
  insn("INT1", "F1", [], int1),
  insn("INT3", "CC", [], int3),
  insn("INT", "CD ib", [imm8.b], int),
  insn("INTO", "CE", [], into),
  insn("IRET", "CF", [], iret),
  insn("BOUND", "62 /r", [reg.v, mem.v], bound),
];

/** A far pointer, immediate or in memory: offset first, then the selector. */
export function readFarPointer(
  e: Emitter,
  i: Instruction,
  which: Instruction["op1"],
): [offset: Value, selector: Value] {
  if (which.kind === "far") return [e.read(which), e.number(which)];
  const address = e.effectiveAddress(which);
  const offset = e.load(which, address, i.operandSize);
  return [offset, e.load(which, addressPlus(e, i, address, e.const(i.operandSize)), 2)];
}

/** SDM Vol. 2 JMP, far. */
function jmpFar(e: Emitter, i: Instruction): void {
  const [offset, selector] = readFarPointer(e, i, i.op1);
  e.call(farJump, selector, offset, e.const(i.operandSize), e.nextEip());
}

/** SDM Vol. 2 CALL, far. */
function callFar(e: Emitter, i: Instruction): void {
  const [offset, selector] = readFarPointer(e, i, i.op1);
  e.call(farCall, selector, offset, e.const(i.operandSize), e.nextEip());
}

/** SDM Vol. 2 RET, far. */
function retf(e: Emitter, i: Instruction): void {
  e.call(farReturn, e.const(i.operandSize), e.const(0));
}
function retfRelease(e: Emitter, i: Instruction): void {
  e.call(farReturn, e.const(i.operandSize), e.read(i.op1));
}

function interrupt(e: Emitter, vector: Value, kind: number): void {
  e.call(softwareInterrupt, vector, e.nextEip(), e.const(kind));
}

/** SDM Vol. 2 INT n/INTO/INT3/INT1. */
function int(e: Emitter, i: Instruction): void {
  interrupt(e, e.read(i.op1), InterruptKind.INT_N);
}
/** The manual calls it a trap; the recorded silicon saves the address of INT1 itself (vectors: mov, "int1"). */
function int1(e: Emitter): void {
  e.call(softwareInterrupt, e.const(Vector.DB), e.currentEip(), e.const(InterruptKind.INT1));
}
function int3(e: Emitter): void {
  interrupt(e, e.const(Vector.BP), InterruptKind.BREAKPOINT);
}
function into(e: Emitter): void {
  e.when(overflowFlag(e), () => interrupt(e, e.const(Vector.OF), InterruptKind.BREAKPOINT));
}

/** SDM Vol. 2 IRET/IRETD. */
function iret(e: Emitter, i: Instruction): void {
  e.call(interruptReturn, e.const(i.operandSize), e.nextEip());
}

/** SDM Vol. 2 BOUND. Signed; both bounds are inside. */
function bound(e: Emitter, i: Instruction): void {
  const size = i.operandSize;
  const address = e.effectiveAddress(i.op2);
  const lower = e.signExtend(e.load(i.op2, address, size), size);
  const upper = e.signExtend(e.load(i.op2, addressPlus(e, i, address, e.const(size)), size), size);
  const index = e.signExtend(e.read(i.op1), size);
  e.when(e.or(e.ltSigned(index, lower), e.ltSigned(upper, index)), () => e.fault(Vector.BR));
}
