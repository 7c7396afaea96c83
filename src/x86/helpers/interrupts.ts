/**
 * Through the IDT and back: delivery of exceptions and interrupts, double faults, INT n and IRET. SDM Vol. 3, chapter 6;
 * Vol. 2, INT n and IRET, whose pseudo-code this follows line by line.
 *
 * A delivery is all or nothing: it reads and checks everything, plans its pushes (pending-writes.ts), and then changes the
 * processor in one go. A fault on the way leaves the interrupted state untouched and is delivered in its place
 * (deliverException). The only exception is a task gate, after whose switch faults belong to the new task.
 */
import type { Cpu, Delivery } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Flag, Seg, Vector } from "../state-layout";
import {
  type Descriptor,
  ErrorBit,
  isNull,
  isProtected,
  isVirtual8086,
  readDescriptorAt,
  requireDescriptor,
  SystemType,
  selectorFault,
} from "./descriptors";
import { helper } from "./helper";
import { PendingWrites } from "./pending-writes";
import { checkPresent, fillNull, fillReal, fillVirtual8086 } from "./segmentation";
import { StackFrame } from "./stack-frame";
import { raiseTaskTrap, readReturnTask, readTaskOfGate, switchTask } from "./task-switch";
import {
  checkEip,
  enterCode,
  enterInnerStack,
  enterOuter,
  mergeFlags,
  readInnerStack,
  readOuterStack,
  readReturnCode,
  setStackPointer,
} from "./transfer";

type Source = Delivery["source"];

/** Exceptions that are faults: their EFLAGS image has RF set. SDM Vol. 3, 17.3.1.1. */
const FAULTS: ReadonlySet<number> = new Set([
  Vector.DE,
  Vector.BR,
  Vector.UD,
  Vector.NM,
  Vector.TS,
  Vector.NP,
  Vector.SS,
  Vector.GP,
  Vector.PF,
  Vector.MF,
  Vector.AC,
  Vector.XM,
]);

/** SDM Vol. 3, table 6-4. */
const CONTRIBUTORY: ReadonlySet<number> = new Set([Vector.DE, Vector.TS, Vector.NP, Vector.SS, Vector.GP]);

/** What was interrupted, for the frame and the observer. */
interface Event {
  readonly vector: number;
  readonly errorCode: number | undefined;
  readonly source: Source;
  readonly returnEip: number;
  /** ErrorBit.EXT in the error codes of faults on the way, unless the program asked for the interrupt. */
  readonly ext: number;
}

/**
 * Delivers one exception or interrupt through the IDT.
 * @param errorCode what to push, or undefined for vectors that have none
 * @param returnEip the EIP to push: this instruction for faults, the next one for traps and interrupts
 * @throws GuestFault when the delivery itself faults; then nothing has changed (except by a task gate)
 */
export function deliverInterrupt(
  cpu: Cpu,
  vector: number,
  errorCode: number | undefined,
  source: Source,
  returnEip: number,
): void {
  const event: Event = { vector, errorCode, source, returnEip, ext: source === "software" ? 0 : ErrorBit.EXT };
  const fromCpl = cpu.cpl;
  const fromCs = cpu.selector(Seg.CS);
  const fromEip = cpu.eip;
  const isTaskTrap = cpu.cr0 & L.Cr0.PE ? deliverProtected(cpu, event) : deliverReal(cpu, event);
  cpu.setWord(L.INTERRUPT_SHADOW, 0);
  cpu.setWord(L.HALTED, 0);
  cpu.onDelivery?.({ vector, errorCode, source, fromCpl, fromCs, fromEip, toCpl: cpu.cpl });
  if (isTaskTrap) raiseTaskTrap(cpu);
}

/** Real mode: the interrupt vector table. No error codes. SDM Vol. 3, 20.1.4. */
function deliverReal(cpu: Cpu, event: Event): boolean {
  const entry = event.vector * 4;
  if (entry + 3 > cpu.word(L.IDTR_LIMIT)) throw new GuestFault(Vector.GP, 0);
  const at = (cpu.word(L.IDTR_BASE) + entry) >>> 0;
  const offset = cpu.readLinear(at, 2, false);
  const selector = cpu.readLinear((at + 2) >>> 0, 2, false);
  const stack = StackFrame.current(cpu);
  const writes = new PendingWrites(cpu);
  stack.checkPush(3, 2);
  checkEip(offset, cpu.segmentLimit(Seg.CS));
  stack.push(writes, cpu.eflags & 0xffff, 2);
  stack.push(writes, cpu.selector(Seg.CS), 2);
  stack.push(writes, event.returnEip & 0xffff, 2);
  writes.commit();
  setStackPointer(cpu, stack.pointer);
  cpu.systemFlags &= ~(Flag.IF | Flag.TF | Flag.AC | Flag.RF);
  fillReal(cpu, Seg.CS, selector);
  cpu.eip = offset;
  cpu.updateMode();
  return false;
}

/** Finds and checks the gate. Returns whether the new task has its trap bit set. */
function deliverProtected(cpu: Cpu, event: Event): boolean {
  const gateError = (event.vector << 3) | ErrorBit.IDT | event.ext;
  if (event.vector * 8 + 7 > cpu.word(L.IDTR_LIMIT)) throw new GuestFault(Vector.GP, gateError);
  const gate = readDescriptorAt(cpu, 0, (cpu.word(L.IDTR_BASE) + event.vector * 8) >>> 0);
  if (!GATE_TYPES.has(gate.systemType)) throw new GuestFault(Vector.GP, gateError);
  if (event.source === "software" && gate.dpl < cpu.cpl) throw new GuestFault(Vector.GP, gateError);
  if (!gate.isPresent) throw new GuestFault(Vector.NP, gateError);
  if (gate.systemType === SystemType.TASK_GATE) return deliverToTask(cpu, event, gate);
  deliverToCode(cpu, event, gate);
  return false;
}

const GATE_TYPES: ReadonlySet<number> = new Set([
  SystemType.TASK_GATE,
  SystemType.INTERRUPT_GATE16,
  SystemType.TRAP_GATE16,
  SystemType.INTERRUPT_GATE32,
  SystemType.TRAP_GATE32,
]);

/** SDM Vol. 2, INT n, TASK-GATE. */
function deliverToTask(cpu: Cpu, event: Event, gate: Descriptor): boolean {
  const tss = readTaskOfGate(cpu, gate, event.ext);
  const isTaskTrap = switchTask(cpu, tss, "interrupt", event.returnEip, event.ext, FAULTS.has(event.vector));
  if (event.errorCode !== undefined) {
    const stack = StackFrame.current(cpu, event.ext);
    const writes = new PendingWrites(cpu);
    stack.push(writes, event.errorCode, tss.isGate32 ? 4 : 2);
    writes.commit();
    setStackPointer(cpu, stack.pointer);
  }
  checkEip(cpu.eip, cpu.segmentLimit(Seg.CS), event.ext);
  return isTaskTrap;
}

/** SDM Vol. 2, INT n, TRAP-OR-INTERRUPT-GATE. */
function deliverToCode(cpu: Cpu, event: Event, gate: Descriptor): void {
  const ext = event.ext;
  if (isNull(gate.gateSelector)) throw new GuestFault(Vector.GP, ext);
  const code = requireDescriptor(cpu, gate.gateSelector, Vector.GP, ext);
  if (!code.isCode || code.dpl > cpu.cpl) throw selectorFault(Vector.GP, code.selector, ext);
  checkPresent(code, Vector.NP, ext);
  const isInner = !code.isConforming && code.dpl < cpu.cpl;
  if (isVirtual8086(cpu) && (!isInner || code.dpl !== 0)) throw selectorFault(Vector.GP, code.selector, ext);

  const size = gate.isGate32 ? 4 : 2;
  const errorWords = event.errorCode === undefined ? 0 : 1;
  const image = cpu.eflags | (event.source === "exception" && FAULTS.has(event.vector) ? Flag.RF : 0);
  const writes = new PendingWrites(cpu);
  if (isInner) {
    const level = code.dpl;
    const inner = readInnerStack(cpu, level, ext);
    const stack = StackFrame.of(
      cpu,
      inner.descriptor,
      inner.pointer,
      level,
      (inner.descriptor.selector & 0xfffc) | ext,
    );
    const fromVirtual = isVirtual8086(cpu);
    stack.checkPush((fromVirtual ? 9 : 5) + errorWords, size);
    checkEip(gate.gateOffset, code.limit, ext);
    if (fromVirtual) for (const seg of [Seg.GS, Seg.FS, Seg.DS, Seg.ES]) stack.push(writes, cpu.selector(seg), size);
    stack.push(writes, cpu.selector(Seg.SS), size);
    stack.push(writes, cpu.reg(L.Reg.ESP), size);
    pushReturn(cpu, stack, writes, image, event, size);
    writes.addAccessed(code);
    writes.addAccessed(inner.descriptor);
    writes.commit();
    if (fromVirtual) for (const seg of [Seg.GS, Seg.FS, Seg.DS, Seg.ES]) fillNull(cpu, seg, 0);
    enterInnerStack(cpu, inner.descriptor, stack);
    enterCode(cpu, code, level, gate.gateOffset);
  } else {
    const stack = StackFrame.current(cpu, ext);
    stack.checkPush(3 + errorWords, size);
    checkEip(gate.gateOffset, code.limit, ext);
    pushReturn(cpu, stack, writes, image, event, size);
    writes.addAccessed(code);
    writes.commit();
    setStackPointer(cpu, stack.pointer);
    enterCode(cpu, code, cpu.cpl, gate.gateOffset);
  }
  const isInterruptGate = !(gate.systemType & 1);
  cpu.systemFlags &= ~(Flag.TF | Flag.NT | Flag.VM | Flag.RF | (isInterruptGate ? Flag.IF : 0));
  cpu.updateMode();
}

function pushReturn(
  cpu: Cpu,
  stack: StackFrame,
  writes: PendingWrites,
  image: number,
  event: Event,
  size: number,
): void {
  stack.push(writes, image, size);
  stack.push(writes, cpu.selector(Seg.CS), size);
  stack.push(writes, event.returnEip, size);
  if (event.errorCode !== undefined) stack.push(writes, event.errorCode, size);
}

/**
 * Delivers a fault, and whatever goes wrong while doing so, by the double-fault rules (SDM Vol. 3, table 6-5). The EIP to return to
 * is cpu.eip: an engine that delivers a trap has moved it already.
 * @param chain receives every exception on the way, in order, for whoever explains a shutdown
 * @returns "shutdown" when the double fault could not be delivered either (Vol. 3, 6.15, interrupt 8)
 */
export function deliverException(cpu: Cpu, fault: GuestFault, chain: GuestFault[] = []): "delivered" | "shutdown" {
  let current = fault;
  for (;;) {
    chain.push(current);
    try {
      deliverInterrupt(cpu, current.vector, current.errorCode, "exception", cpu.eip);
      return "delivered";
    } catch (second) {
      if (!(second instanceof GuestFault)) throw second;
      const isSerious = CONTRIBUTORY.has(second.vector) || second.vector === Vector.PF;
      if (current.vector === Vector.DF && isSerious) {
        chain.push(second);
        return "shutdown";
      }
      if (isDoubleFault(current.vector, second.vector)) {
        chain.push(second);
        current = new GuestFault(Vector.DF, 0);
      } else current = second;
    }
  }
}

/** SDM Vol. 3, table 6-5. */
function isDoubleFault(first: number, second: number): boolean {
  if (first === Vector.PF) return second === Vector.PF || CONTRIBUTORY.has(second);
  return CONTRIBUTORY.has(first) && CONTRIBUTORY.has(second);
}

/** Which instruction asks: it decides about privilege. */
export const InterruptKind = {
  /** INT n: the gate's DPL, and IOPL in virtual-8086 mode. */
  INT_N: 0,
  /** INT3 and INTO: the gate's DPL only. */
  BREAKPOINT: 1,
  /** INT1: a hardware exception in all but name, no checks. */
  INT1: 2,
} as const;

/**
 * INT n, INT3, INTO, INT1: (vector, nextEip, kind). SDM Vol. 2, INT n.
 * Without `kind`, vectors 3 and 4 are taken for INT3 and INTO.
 */
export const softwareInterrupt = helper("softwareInterrupt", "transfer", (cpu, vector, nextEip, kind) => {
  const what = kind ?? (vector === Vector.BP || vector === Vector.OF ? InterruptKind.BREAKPOINT : InterruptKind.INT_N);
  if (what === InterruptKind.INT_N && isVirtual8086(cpu) && cpu.iopl < 3) throw new GuestFault(Vector.GP, 0);
  const source = what === InterruptKind.INT1 ? "exception" : "software";
  deliverInterrupt(cpu, vector & 0xff, undefined, source, nextEip >>> 0);
});

/** IRET: (operandSize, nextEip). nextEip is what a task return saves as the old task's EIP. SDM Vol. 2, IRET. */
export const interruptReturn = helper("interruptReturn", "transfer", (cpu, size, nextEip) => {
  if (isVirtual8086(cpu)) returnInVirtual8086(cpu, size);
  else if (!isProtected(cpu)) returnWithoutDescriptors(cpu, size, fillReal);
  else if (cpu.systemFlags & Flag.NT) returnToTask(cpu, nextEip >>> 0);
  else returnInProtected(cpu, size);
});

/** Real mode, and virtual-8086 mode with IOPL 3: no checks but the limit. */
function returnWithoutDescriptors(
  cpu: Cpu,
  size: number,
  fillCode: (cpu: Cpu, seg: number, selector: number) => void,
): void {
  const stack = StackFrame.current(cpu);
  stack.checkPop(3, size);
  const eip = stack.pop(size);
  const selector = stack.pop(size) & 0xffff;
  const image = stack.pop(size);
  checkEip(eip, cpu.segmentLimit(Seg.CS));
  setStackPointer(cpu, stack.pointer);
  cpu.eflags = mergeFlags(cpu, image, size);
  fillCode(cpu, Seg.CS, selector);
  cpu.eip = eip;
  cpu.updateMode();
}

function returnInVirtual8086(cpu: Cpu, size: number): void {
  if (cpu.iopl < 3) throw new GuestFault(Vector.GP, 0);
  returnWithoutDescriptors(cpu, size, fillVirtual8086);
}

/** IRET with NT: the task that was interrupted goes on. SDM Vol. 3, 7.4. */
function returnToTask(cpu: Cpu, nextEip: number): void {
  const isTaskTrap = switchTask(cpu, readReturnTask(cpu), "return", nextEip, 0);
  checkEip(cpu.eip, cpu.segmentLimit(Seg.CS));
  if (isTaskTrap) raiseTaskTrap(cpu);
}

function returnInProtected(cpu: Cpu, size: number): void {
  const stack = StackFrame.current(cpu);
  stack.checkPop(3, size);
  const eip = stack.peek(0, size);
  const selector = stack.peek(size, size) & 0xffff;
  const image = stack.peek(2 * size, size);
  if (size === 4 && image & Flag.VM && cpu.cpl === 0) {
    returnToVirtual8086(cpu, stack);
    return;
  }
  const code = readReturnCode(cpu, selector);
  const level = selector & 3;
  const writes = new PendingWrites(cpu);
  const flags = mergeFlags(cpu, image, size);
  if (level === cpu.cpl) {
    checkEip(eip, code.limit);
    writes.addAccessed(code);
    writes.commit();
    stack.release(3 * size);
    setStackPointer(cpu, stack.pointer);
    enterCode(cpu, code, level, eip);
    cpu.eflags = flags;
    cpu.updateMode();
    return;
  }
  stack.checkPop(5, size);
  const pointer = stack.peek(3 * size, size);
  const outer = readOuterStack(cpu, stack.peek(4 * size, size) & 0xffff, level);
  checkEip(eip, code.limit);
  enterOuter(cpu, writes, code, eip, outer, pointer);
  cpu.eflags = flags;
}

/** SDM Vol. 3, 20.2.5. The frame has nine words. */
function returnToVirtual8086(cpu: Cpu, stack: StackFrame): void {
  stack.checkPop(9, 4);
  const [eip, cs, image, esp, ss, es, ds, fs, gs] = Array.from({ length: 9 }, (_, i) => stack.peek(i * 4, 4));
  checkEip(eip, 0xffff);
  cpu.eflags = image & ~(Flag.RF | Flag.VIF | Flag.VIP);
  cpu.cpl = 3;
  const selectors = { [Seg.ES]: es, [Seg.CS]: cs, [Seg.SS]: ss, [Seg.DS]: ds, [Seg.FS]: fs, [Seg.GS]: gs };
  for (const [seg, selector] of Object.entries(selectors)) fillVirtual8086(cpu, Number(seg), selector);
  cpu.setReg(L.Reg.ESP, esp);
  cpu.eip = eip;
  cpu.updateMode();
}
