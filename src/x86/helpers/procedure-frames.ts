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

/**
 * ENTER: (operandSize, bytes to allocate, nesting level 0-31). The new top of the stack must be writable, though
 * nothing is written there.
 */
export const enterFrame = helper("enterFrame", "continue", (cpu, size, bytes, level) => {
  const isWide = (cpu.word(L.MODE) & Mode.STACK32) !== 0;
  const frame = StackFrame.current(cpu);
  const writes = new PendingWrites(cpu);
  frame.push(writes, cpu.reg(Reg.EBP), size);
  const framePointer = frame.pointer;
  for (let depth = 1; depth < level; depth++) {
    const outer = cpu.reg(Reg.EBP) - depth * size;
    frame.push(writes, frame.peek(outer - frame.pointer, size), size);
  }
  if (level > 0) frame.push(writes, framePointer, size);
  frame.release(-bytes);
  frame.checkPop(1, size);
  const top = isWide ? frame.pointer : frame.pointer & 0xffff;
  cpu.probeWriteLinear((cpu.segmentBase(Seg.SS) + top) >>> 0, size);
  writes.commit();
  setLow(cpu, Reg.EBP, framePointer, isWide ? size : 2);
  cpu.setReg(Reg.ESP, frame.pointer);
});
