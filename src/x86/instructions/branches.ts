/**
 * Near transfers of control: Jcc JMP CALL RET LOOPcc JCXZ, and NOP. SDM Vol. 1, 5.1.7. Far ones are in far-transfers.ts.
 * A target outside CS's limit faults at the branch, before anything has changed.
 */
import type { Emitter, Value } from "../emitter/emitter";
import { condition, zeroFlag } from "../emitter/flags";
import { type Instruction, imm, rel, rm } from "../emitter/operands";
import { Reg } from "../state-layout";
import { conditionRows, hexByte } from "./conditions";
import { insn } from "./row";
import { popBytes, pushValue } from "./stack";

export const branches = [
  ...conditionRows("J", (code) => `${hexByte(0x70 + code)} cb`, [rel.b], jcc),
  ...conditionRows("J", (code) => `0F ${hexByte(0x80 + code)} cv`, [rel.v], jcc),
  insn("JMP", "EB cb", [rel.b], jmp),
  insn("JMP", "E9 cv", [rel.v], jmp),
  insn("JMP", "FF /4", [rm.v], jmp),
  insn("CALL", "E8 cv", [rel.v], call),
  insn("CALL", "FF /2", [rm.v], call),
  insn("RET", "C3", [], ret),
  insn("RET", "C2 iw", [imm.w], retRelease),
  insn("LOOPNE", "E0 cb", [rel.b], loop(whileNotZero)),
  insn("LOOPE", "E1 cb", [rel.b], loop(whileZero)),
  // A repeat prefix decides about ZF instead of the opcode, as it does for CMPS: silicon's choice (vectors: decode, "e0", "e1").
  ...["E0", "E1"].flatMap((opcode) => [
    insn("LOOPNE", `F2 ${opcode} cb`, [rel.b], loop(whileNotZero)),
    insn("LOOPE", `F3 ${opcode} cb`, [rel.b], loop(whileZero)),
  ]),
  insn("LOOP", "E2 cb", [rel.b], loop(always)),
  insn("JCXZ", "E3 cb", [rel.b], jcxz),
  insn("NOP", "90", [], nop),
  insn("PAUSE", "F3 90", [], nop),
  // Reserved for hints: processors do nothing for all of 18-1F. SDM Vol. 2, appendix A, table A-3.
  ...[0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f].map((opcode) => insn("NOP", `0F ${hexByte(opcode)} /r`, [rm.v], nop)),
  insn("PREFETCH", "0F 18 /r", [rm.b], nop),
];

/** SDM Vol. 2 Jcc. */
function jcc(code: number) {
  return (e: Emitter, i: Instruction): void => {
    e.when(condition(e, code), () => e.jump(e.read(i.op1)));
  };
}

/** SDM Vol. 2 JMP, near. */
function jmp(e: Emitter, i: Instruction): void {
  e.jump(e.read(i.op1));
}

/** SDM Vol. 2 CALL, near. The target is read before ESP moves. */
function call(e: Emitter, i: Instruction): void {
  const target = e.read(i.op1);
  e.checkJumpTarget(target);
  pushValue(e, i, e.nextEip());
  e.jump(target);
}

/** SDM Vol. 2 RET, near. */
function ret(e: Emitter, i: Instruction): void {
  const target = e.loadStack(e.stackPointer(), i.operandSize);
  e.checkJumpTarget(target);
  popBytes(e, i.operandSize);
  e.jump(target);
}
function retRelease(e: Emitter, i: Instruction): void {
  const target = e.loadStack(e.stackPointer(), i.operandSize);
  e.checkJumpTarget(target);
  e.setStackPointer(e.add(e.stackPointer(), e.add(e.read(i.op1), e.const(i.operandSize))));
  e.jump(target);
}

function always(e: Emitter): Value {
  return e.const(1);
}
function whileZero(e: Emitter): Value {
  return zeroFlag(e);
}
function whileNotZero(e: Emitter): Value {
  return e.isZero(zeroFlag(e));
}

/** SDM Vol. 2 LOOP/LOOPcc. The count is CX or ECX by the address size; it counts down whether or not the jump is taken. */
function loop(holds: (e: Emitter) => Value) {
  return (e: Emitter, i: Instruction): void => {
    const count = e.sub(e.readRegister(Reg.ECX, i.addressSize), e.const(1));
    const goesOn = e.and(e.ne(e.zeroExtend(count, i.addressSize), e.const(0)), holds(e));
    const target = e.read(i.op1);
    e.when(
      goesOn,
      () => {
        e.checkJumpTarget(target);
        e.writeRegister(Reg.ECX, i.addressSize, count);
        e.jump(target);
      },
      () => e.writeRegister(Reg.ECX, i.addressSize, count),
    );
  };
}

/** SDM Vol. 2 Jcc: JCXZ and JECXZ, by the address size. */
function jcxz(e: Emitter, i: Instruction): void {
  e.when(e.isZero(e.readRegister(Reg.ECX, i.addressSize)), () => e.jump(e.read(i.op1)));
}

/** SDM Vol. 2 NOP. A memory operand is not accessed. */
function nop(): void {}
