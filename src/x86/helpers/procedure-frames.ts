/**
 * PUSHA and ENTER: instructions that store several words on the stack, and must store none if one of them faults.
 * SDM Vol. 2, PUSHA and ENTER; Vol. 1, 6.5 (what a nested frame looks like).
 */
import type { Cpu } from "../cpu";
import * as L from "../state-layout";
import { Mode, Reg, Seg } from "../state-layout";
import { helper } from "./helper";
import { PendingWrites } from "./pending-writes";
import { StackFrame } from "./stack-frame";

/** The low `size` bytes of a register. */
function setLow(cpu: Cpu, register: number, value: number, size: number): void {
  cpu.setReg(register, size === 4 ? value : (cpu.reg(register) & 0xffff0000) | (value & 0xffff));
}

/** PUSHA: (operandSize). All eight registers, ESP as it was before. */
export const pushAll = helper("pushAll", "continue", (cpu, size) => {
  const frame = StackFrame.current(cpu);
  const writes = new PendingWrites(cpu);
  for (let register = Reg.EAX as number; register <= Reg.EDI; register++) frame.push(writes, cpu.reg(register), size);
  writes.commit();
  cpu.setReg(Reg.ESP, frame.pointer);
});

/** EBP, the frame pointers of the enclosing procedures and our own, on a copy of the stack pointer; stored only when asked. */
function pushFrames(cpu: Cpu, size: number, level: number, isReal: boolean): StackFrame {
  const frame = StackFrame.current(cpu);
  const push = (value: number) => {
    const writes = new PendingWrites(cpu);
    frame.push(writes, value, size);
    if (isReal) writes.commit();
  };
  push(cpu.reg(Reg.EBP));
  const framePointer = frame.pointer;
  for (let depth = 1; depth < level; depth++) push(frame.peek(cpu.reg(Reg.EBP) - depth * size - frame.pointer, size));
  if (level > 0) push(framePointer);
  return frame;
}

/**
 * ENTER: (operandSize, bytes to allocate, nesting level 0-31). Frame pointers may be copied from what ENTER itself has just
 * stored, so the pushes happen one by one; a rehearsal before them finds every fault. The new top of the stack must be
 * writable, though nothing is written there.
 */
export const enterFrame = helper("enterFrame", "continue", (cpu, size, bytes, level) => {
  const frame = pushFrames(cpu, size, level, false);
  frame.release(-bytes);
  frame.checkPop(1, size);
  const isWide = (cpu.word(L.MODE) & Mode.STACK32) !== 0;
  const top = isWide ? frame.pointer : frame.pointer & 0xffff;
  cpu.probeWriteLinear((cpu.segmentBase(Seg.SS) + top) >>> 0, size);
  pushFrames(cpu, size, level, true);
  const esp = cpu.reg(Reg.ESP);
  // With a 16-bit stack and 32-bit operands EBP gets the upper half of ESP (vectors: seg16, enter/leave).
  const framePointer = isWide ? esp - size : (esp & 0xffff0000) | ((esp - size) & 0xffff);
  setLow(cpu, Reg.EBP, framePointer, size);
  cpu.setReg(Reg.ESP, frame.pointer);
});
