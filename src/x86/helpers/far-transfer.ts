/**
 * Far JMP, CALL and RET: directly to code segments, through call gates with or without a change of ring, to other tasks, and in
 * real and virtual-8086 mode. SDM Vol. 2, JMP, CALL, RET; Vol. 3, 5.8.
 *
 * All checks come first, in the manual's order; pushes are planned (pending-writes.ts) and the processor changes only when nothing
 * can fail any more.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import { Reg, Seg, Vector } from "../state-layout";
import {
  type Descriptor,
  isNull,
  isProtected,
  isVirtual8086,
  requireDescriptor,
  SystemType,
  selectorFault,
} from "./descriptors";
import { helper } from "./helper";
import { PendingWrites } from "./pending-writes";
import { checkPresent, fillReal, fillVirtual8086 } from "./segmentation";
import { StackFrame } from "./stack-frame";
import { raiseTaskTrap, readTaskOfGate, type SwitchKind, switchTask } from "./task-switch";
import {
  checkEip,
  enterCode,
  enterInnerStack,
  enterOuter,
  readInnerStack,
  readOuterStack,
  readReturnCode,
  setStackPointer,
} from "./transfer";

/** JMP far: (selector, offset, operandSize, nextEip). nextEip is saved when this switches tasks. */
export const farJump = helper("farJump", "transfer", (cpu, selector, offset, size, nextEip) => {
  const eip = wrapEip(offset, size);
  if (!isProtected(cpu)) {
    checkEip(eip, cpu.segmentLimit(Seg.CS));
    enterUnprotected(cpu, selector, eip);
    return;
  }
  const target = readTarget(cpu, selector);
  if (target.isCode) {
    checkDirectCode(cpu, target, selector);
    checkEip(eip, target.limit);
    jumpTo(cpu, target, eip);
    return;
  }
  switch (target.systemType) {
    case SystemType.CALL_GATE16:
    case SystemType.CALL_GATE32: {
      const code = readGateCode(cpu, target, selector);
      if (code.isConforming ? code.dpl > cpu.cpl : code.dpl !== cpu.cpl) throw selectorFault(Vector.GP, code.selector);
      checkPresent(code, Vector.NP);
      checkEip(target.gateOffset, code.limit);
      jumpTo(cpu, code, target.gateOffset);
      return;
    }
    default:
      transferToTask(cpu, target, selector, "jump", nextEip >>> 0);
  }
});

/** CALL far: (selector, offset, operandSize, nextEip). nextEip is the return address. */
export const farCall = helper("farCall", "transfer", (cpu, selector, offset, size, nextEip) => {
  const eip = wrapEip(offset, size);
  const returnEip = nextEip >>> 0;
  if (!isProtected(cpu)) {
    const writes = new PendingWrites(cpu);
    const stack = StackFrame.current(cpu);
    stack.checkPush(2, size);
    checkEip(eip, cpu.segmentLimit(Seg.CS));
    pushReturn(cpu, stack, writes, returnEip, size);
    writes.commit();
    setStackPointer(cpu, stack.pointer);
    enterUnprotected(cpu, selector, eip);
    return;
  }
  const target = readTarget(cpu, selector);
  if (target.isCode) {
    checkDirectCode(cpu, target, selector);
    callSameLevel(cpu, target, eip, returnEip, size);
    return;
  }
  switch (target.systemType) {
    case SystemType.CALL_GATE16:
    case SystemType.CALL_GATE32:
      callGate(cpu, target, selector, returnEip);
      return;
    default:
      transferToTask(cpu, target, selector, "call", returnEip);
  }
});

/** RET far: (operandSize, bytesToRelease). SDM Vol. 2, RET. */
export const farReturn = helper("farReturn", "transfer", (cpu, size, bytesToRelease) => {
  const stack = StackFrame.current(cpu);
  stack.checkPop(2, size);
  const eip = stack.peek(0, size);
  const selector = stack.peek(size, size) & 0xffff;
  if (!isProtected(cpu)) {
    checkEip(eip, cpu.segmentLimit(Seg.CS));
    stack.release(2 * size + bytesToRelease);
    setStackPointer(cpu, stack.pointer);
    enterUnprotected(cpu, selector, eip);
    return;
  }
  const level = selector & 3;
  const outerAt = 2 * size + bytesToRelease;
  // Silicon reads the outer stack pointer before it looks at CS (vectors: decode, "ca").
  if (level !== cpu.cpl) stack.peek(outerAt + size, size);
  const code = readReturnCode(cpu, selector);
  const writes = new PendingWrites(cpu);
  if (level === cpu.cpl) {
    checkEip(eip, code.limit);
    writes.addAccessed(code);
    writes.commit();
    stack.release(2 * size + bytesToRelease);
    setStackPointer(cpu, stack.pointer);
    enterCode(cpu, code, level, eip);
    cpu.updateMode();
    return;
  }
  const pointer = stack.peek(outerAt, size);
  const outer = readOuterStack(cpu, stack.peek(outerAt + size, size) & 0xffff, level);
  checkEip(eip, code.limit);
  enterOuter(cpu, writes, code, eip, outer, pointer);
  const released = StackFrame.current(cpu);
  released.release(bytesToRelease);
  setStackPointer(cpu, released.pointer);
});

function wrapEip(offset: number, size: number): number {
  return size === 2 ? offset & 0xffff : offset >>> 0;
}

/** @throws GuestFault #GP */
function readTarget(cpu: Cpu, selector: number): Descriptor {
  if (isNull(selector)) throw new GuestFault(Vector.GP, 0);
  return requireDescriptor(cpu, selector & 0xffff, Vector.GP);
}

/** A code segment named by the instruction itself. SDM Vol. 3, 5.8.1. */
function checkDirectCode(cpu: Cpu, code: Descriptor, selector: number): void {
  const isAllowed = code.isConforming ? code.dpl <= cpu.cpl : (selector & 3) <= cpu.cpl && code.dpl === cpu.cpl;
  if (!isAllowed) throw selectorFault(Vector.GP, selector);
  checkPresent(code, Vector.NP);
}

/** The gate may be used, and leads to a code segment of this ring or an inner one (or a conforming one). Its presence is not checked yet. */
function readGateCode(cpu: Cpu, gate: Descriptor, selector: number): Descriptor {
  checkGateAccess(cpu, gate, selector);
  checkPresent(gate, Vector.NP);
  if (isNull(gate.gateSelector)) throw new GuestFault(Vector.GP, 0);
  const code = requireDescriptor(cpu, gate.gateSelector, Vector.GP);
  if (!code.isCode || code.dpl > cpu.cpl) throw selectorFault(Vector.GP, code.selector);
  return code;
}

/** @throws GuestFault #GP(selector) when CPL or RPL is above the DPL of a gate or a TSS */
function checkGateAccess(cpu: Cpu, gate: Descriptor, selector: number): void {
  if (gate.dpl < cpu.cpl || gate.dpl < (selector & 3)) throw selectorFault(Vector.GP, selector);
}

function jumpTo(cpu: Cpu, code: Descriptor, eip: number): void {
  const writes = new PendingWrites(cpu);
  writes.addAccessed(code);
  writes.commit();
  enterCode(cpu, code, cpu.cpl, eip);
  cpu.updateMode();
}

function pushReturn(cpu: Cpu, stack: StackFrame, writes: PendingWrites, returnEip: number, size: number): void {
  stack.push(writes, cpu.selector(Seg.CS), size);
  stack.push(writes, returnEip, size);
}

function callSameLevel(cpu: Cpu, code: Descriptor, eip: number, returnEip: number, size: number): void {
  const writes = new PendingWrites(cpu);
  const stack = StackFrame.current(cpu);
  stack.checkPush(2, size);
  checkEip(eip, code.limit);
  pushReturn(cpu, stack, writes, returnEip, size);
  writes.addAccessed(code);
  writes.commit();
  setStackPointer(cpu, stack.pointer);
  enterCode(cpu, code, cpu.cpl, eip);
  cpu.updateMode();
}

/** SDM Vol. 2, CALL: CALL-GATE. */
function callGate(cpu: Cpu, gate: Descriptor, selector: number, returnEip: number): void {
  const code = readGateCode(cpu, gate, selector);
  checkPresent(code, Vector.NP);
  const size = gate.isGate32 ? 4 : 2;
  if (code.isConforming || code.dpl === cpu.cpl) {
    callSameLevel(cpu, code, gate.gateOffset, returnEip, size);
    return;
  }
  const level = code.dpl;
  const inner = readInnerStack(cpu, level, 0);
  const count = gate.parameterCount;
  const stack = StackFrame.of(cpu, inner.descriptor, inner.pointer, level, inner.descriptor.selector & 0xfffc);
  stack.checkPush(4 + count, size);
  checkEip(gate.gateOffset, code.limit);
  const old = StackFrame.current(cpu);
  const writes = new PendingWrites(cpu);
  stack.push(writes, cpu.selector(Seg.SS), size);
  stack.push(writes, cpu.reg(Reg.ESP), size);
  for (let i = count - 1; i >= 0; i--) stack.push(writes, old.peek(i * size, size), size);
  pushReturn(cpu, stack, writes, returnEip, size);
  writes.addAccessed(code);
  writes.addAccessed(inner.descriptor);
  writes.commit();
  enterInnerStack(cpu, inner.descriptor, stack);
  enterCode(cpu, code, level, gate.gateOffset);
  cpu.updateMode();
}

/** A task gate or a TSS descriptor, or something that cannot be jumped to. SDM Vol. 2, JMP: TASK-GATE, TASK-STATE-SEGMENT. */
function transferToTask(cpu: Cpu, target: Descriptor, selector: number, kind: SwitchKind, nextEip: number): void {
  let tss = target;
  if (target.systemType === SystemType.TASK_GATE) {
    checkGateAccess(cpu, target, selector);
    checkPresent(target, Vector.NP);
    tss = readTaskOfGate(cpu, target);
  } else {
    if (!target.isAvailableTss && !target.isBusyTss) throw selectorFault(Vector.GP, selector);
    checkGateAccess(cpu, target, selector);
    if (selector & 4 || target.isBusyTss) throw selectorFault(Vector.GP, selector);
    checkPresent(target, Vector.NP);
  }
  const isTaskTrap = switchTask(cpu, tss, kind, nextEip, 0);
  checkEip(cpu.eip, cpu.segmentLimit(Seg.CS));
  if (isTaskTrap) raiseTaskTrap(cpu);
}

/** CS:EIP in real and virtual-8086 mode. */
function enterUnprotected(cpu: Cpu, selector: number, eip: number): void {
  if (isVirtual8086(cpu)) fillVirtual8086(cpu, Seg.CS, selector);
  else fillReal(cpu, Seg.CS, selector);
  cpu.eip = eip;
  cpu.updateMode();
}
