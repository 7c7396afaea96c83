/**
 * How a guest gets interrupts and traps. The guest's idea of IF is a word in shared memory, so a virtual interrupt is a stack frame
 * that the host builds and a new EIP. Traps go to the guest in one of two ways: directly, where the guest installed a trap gate and
 * the host has no interest in the vector, or reflected: exit to the host, which builds the frame.
 *
 * Interrupt gates are never direct: the processor would clear the real IF.
 */
import {
  GUEST_CS,
  GUEST_PL,
  hasErrorCode,
  IDT_ENTRIES,
  LGUEST_CS,
  LGUEST_TRAP_ENTRY,
  PAGE_SIZE,
  Regs,
  State,
} from "../switcher/layout";
import { getUser32, type LguestModule, lgwrite32, putUser32 } from "./core";
import { Errno } from "./errno";
import { FIRST_EXTERNAL_VECTOR, LGUEST_IRQS, X86_EFLAGS_IF } from "./generation";
import { Changed, type Vcpu } from "./guest";
import { DEFAULT_IDT_ENTRIES, type HostKernel } from "./host-kernel";
import { writeTimestamp } from "./hypercalls";
import { killText } from "./kill";
import { guestPa, pinPage } from "./page-tables";

export const SYSCALL_VECTOR = 0x80;
/** Gate types, bits 8-11 of the high word. */
const INTERRUPT_GATE = 0xe;
const TRAP_GATE = 0xf;
const PRESENT = 0x8000;
const DPL_BITS = 0x6000;
/** TF, NT, RF, VM: what a processor clears on entry to a handler. */
const CLEARED_ON_ENTRY = 0x100 | 0x4000 | 0x10000 | 0x20000;

// -- fields of a gate -------------------------------------------------------------------------------------------------------
export function idtAddress(low: number, high: number): number {
  return ((low & 0xffff) | (high & 0xffff0000)) >>> 0;
}
export function idtType(high: number): number {
  return (high >>> 8) & 0xf;
}
export function idtPresent(high: number): boolean {
  return (high & PRESENT) !== 0;
}

// -- delivering --------------------------------------------------------------------------------------------------------------

/** Stack on which a frame is built. Real hosts walk the guest's tables once, for the top; corrected ones for every word. */
class GuestStack {
  private physical: number;

  constructor(
    private readonly cpu: Vcpu,
    private linear: number,
  ) {
    this.physical = guestPa(cpu, linear);
  }
  get top(): number {
    return this.linear;
  }
  /** push_guest_stack: 4 bytes down, then written at the guest-physical address. */
  push(value: number): void {
    this.linear = (this.linear - 4) >>> 0;
    this.physical = this.cpu.guest.module.generation.pushesPhysically
      ? (this.physical - 4) >>> 0
      : guestPa(this.cpu, this.linear);
    lgwrite32(this.cpu.guest, this.physical, value);
  }
}

/** Makes the guest run its handler: the frame that the processor would have made. */
export function setGuestInterrupt(cpu: Vcpu, low: number, high: number, hasError: boolean): void {
  const { guest } = cpu;
  const { generation } = guest.module;
  const fromUser = (cpu.reg(Regs.ss) & 3) !== GUEST_PL;
  const ss = fromUser ? cpu.ss1 : cpu.reg(Regs.ss);
  const stack = new GuestStack(cpu, fromUser ? cpu.esp1 : cpu.reg(Regs.esp));
  if (fromUser) {
    stack.push(cpu.reg(Regs.ss));
    stack.push(cpu.reg(Regs.esp));
  }
  let eflags = cpu.reg(Regs.eflags);
  const irqEnabled = readData(cpu, generation.data.irqEnabled);
  if (irqEnabled !== null && (irqEnabled & X86_EFLAGS_IF) === 0) eflags &= ~X86_EFLAGS_IF;
  stack.push(eflags);
  stack.push(cpu.reg(Regs.cs));
  stack.push(cpu.reg(Regs.eip));
  if (hasError) stack.push(cpu.reg(Regs.errcode));
  cpu.setReg(Regs.ss, ss);
  cpu.setReg(Regs.esp, stack.top);
  cpu.setReg(Regs.cs, GUEST_CS);
  cpu.setReg(Regs.eip, idtAddress(low, high));
  if (!generation.keepsTrapFlag) cpu.setReg(Regs.eflags, cpu.reg(Regs.eflags) & ~CLEARED_ON_ENTRY);
  if (idtType(high) === INTERRUPT_GATE && !writeData(cpu, generation.data.irqEnabled, 0))
    guest.kill(killText.disablingInterrupts());
}

/** The interrupt to inject next, LGUEST_IRQS if none, and whether there are more. */
export function interruptPending(cpu: Vcpu): { readonly irq: number; readonly more: boolean } {
  const { data, keepsIrqPending } = cpu.guest.module.generation;
  const blocked = readData(cpu, data.blockedInterrupts);
  const candidates = blocked === null ? 0 : cpu.irqsPending & ~blocked;
  if (candidates === 0) return { irq: LGUEST_IRQS, more: keepsIrqPending };
  const irq = 31 - Math.clz32(candidates & -candidates);
  // Real hosts ask "is the next one's number not zero", which holds also when there is no next one.
  return { irq, more: keepsIrqPending || (candidates & (candidates - 1)) !== 0 };
}

/** Why an interrupt cannot be injected now; null: it can. */
export type InterruptObstacle = "noirq" | "disabled" | "no gate";
export function interruptObstacle(cpu: Vcpu, irq: number): InterruptObstacle | null {
  const { guest } = cpu;
  const eip = cpu.reg(Regs.eip);
  if (eip >= guest.noirqStart && eip < guest.noirqEnd) return "noirq";
  if (!cpu.halted && !areInterruptsEnabled(cpu)) return "disabled";
  return idtPresent(cpu.idt[2 * (FIRST_EXTERNAL_VECTOR + irq) + 1]) ? null : "no gate";
}

/** try_deliver_interrupt: at most one interrupt. */
export function tryDeliverInterrupt(cpu: Vcpu, irq: number, more: boolean): void {
  const { guest } = cpu;
  const { data, wakesWithoutGate } = guest.module.generation;
  const obstacle = interruptObstacle(cpu, irq);
  if (obstacle === "noirq") return;
  if (obstacle === "no gate" && !wakesWithoutGate) return;
  if (cpu.halted) {
    if (!writeData(cpu, data.irqEnabled, X86_EFLAGS_IF)) guest.kill(killText.reenablingInterrupts());
    cpu.halted = false;
  } else if (obstacle === "disabled") {
    // The guest will ask for it when it enables interrupts.
    writeData(cpu, data.irqPending, X86_EFLAGS_IF);
    return;
  }
  if (obstacle === null) {
    const vector = FIRST_EXTERNAL_VECTOR + irq;
    cpu.irqsPending &= ~(1 << irq);
    setGuestInterrupt(cpu, cpu.idt[2 * vector], cpu.idt[2 * vector + 1], false);
  }
  writeTimestamp(cpu);
  if (!more) writeData(cpu, data.irqPending, 0);
}

/** set_interrupt: an interrupt of the guest is due. The guest is made to leave, or woken. */
export function setInterrupt(cpu: Vcpu, irq: number): void {
  cpu.irqsPending |= 1 << irq;
  cpu.guest.module.kick(cpu);
}

/** deliver_trap: false if the guest has no handler. */
export function deliverTrap(cpu: Vcpu, vector: number): boolean {
  if (vector >= IDT_ENTRIES || !idtPresent(cpu.idt[2 * vector + 1])) return false;
  setGuestInterrupt(cpu, cpu.idt[2 * vector], cpu.idt[2 * vector + 1], hasErrorCode(vector));
  return true;
}

function areInterruptsEnabled(cpu: Vcpu): boolean {
  const { data, testsWholeIrqEnabled } = cpu.guest.module.generation;
  const enabled = readData(cpu, data.irqEnabled) ?? 0;
  return testsWholeIrqEnabled ? enabled !== 0 : (enabled & X86_EFLAGS_IF) !== 0;
}
/** A word of lguest_data; null before LGUEST_INIT or where it cannot be read. */
export function readData(cpu: Vcpu, offset: number): number | null {
  const { lguestData } = cpu.guest;
  return lguestData === null ? null : getUser32(cpu.guest, lguestData + offset);
}
/** False where it cannot be written; before LGUEST_INIT there is nothing to write and nothing wrong. */
export function writeData(cpu: Vcpu, offset: number, value: number): boolean {
  const { lguestData } = cpu.guest;
  return lguestData === null || putUser32(cpu.guest, lguestData + offset, value);
}

// -- system call vector -----------------------------------------------------------------------------------------------------

/** Vectors above 31 that a guest may take directly. */
export function couldBeSyscall(module: LguestModule, vector: number): boolean {
  return vector === SYSCALL_VECTOR || vector === module.syscallVector;
}
/** check_syscall_vector: what the guest published must be one of those. */
export function checkSyscallVector(cpu: Vcpu): boolean {
  const vector = readData(cpu, cpu.guest.module.generation.data.syscallVec);
  return vector !== null && couldBeSyscall(cpu.guest.module, vector);
}
/** Reserves a vector of the host if the module parameter says another one than 0x80. */
export function initInterrupts(module: LguestModule): number {
  const vector = module.syscallVector;
  if (vector === SYSCALL_VECTOR) return 0;
  if (module.usedVectors.has(vector)) {
    module.log.push(`lguest: unable to reserve system call vector ${vector}`);
    return Errno.EBUSY;
  }
  module.usedVectors.add(vector);
  return 0;
}
export function freeInterrupts(module: LguestModule): void {
  if (module.syscallVector !== SYSCALL_VECTOR) module.usedVectors.delete(module.syscallVector);
}

// -- the guest's stack ---------------------------------------------------------------------------------------------------------

/** The kernel stack must be in the shadow before the processor pushes to it for a direct trap. */
export function pinStackPages(cpu: Vcpu): void {
  for (let i = 0; i < cpu.guest.stackPages; i++) {
    pinPage(cpu, (cpu.esp1 - 1 - i * PAGE_SIZE) >>> 0);
    // A real host goes on for as many pages as the guest said; nobody can tell the difference any more.
    if (cpu.guest.dead !== null) return;
  }
}
/** SET_STACK. */
export function guestSetStack(cpu: Vcpu, segment: number, esp: number, pages: number): void {
  if ((segment & 3) !== GUEST_PL) cpu.guest.kill(killText.badStackSegment(segment));
  if (pages > 2) cpu.guest.kill(killText.badStackPages(pages));
  cpu.ss1 = segment & 0xffff;
  cpu.esp1 = esp;
  cpu.guest.stackPages = pages;
  pinStackPages(cpu);
}

// -- the guest's IDT -----------------------------------------------------------------------------------------------------------

/** Vectors the processor must never hand to the guest itself: 6 VMCALL, 7 TS, 13 I/O, 14 shadow paging, 31 hypercalls, interrupts. */
export function directTrap(module: LguestModule, vector: number): boolean {
  if (vector >= FIRST_EXTERNAL_VECTOR && !couldBeSyscall(module, vector)) return false;
  return vector !== 14 && vector !== 13 && vector !== 7 && vector !== 6 && vector !== LGUEST_TRAP_ENTRY;
}

/** Vectors of LOAD_IDT_ENTRY that are ignored: NMI and double fault are the host's, 15 is reserved, 31 is ours. */
export function isIgnoredVector(vector: number): boolean {
  return vector === 2 || vector === 8 || vector === 15 || vector === LGUEST_TRAP_ENTRY;
}

/** LOAD_IDT_ENTRY. */
export function loadGuestIdtEntry(cpu: Vcpu, vector: number, low: number, high: number): void {
  if (isIgnoredVector(vector)) return;
  cpu.changed |= Changed.IDT;
  if (vector >>> 0 >= IDT_ENTRIES) {
    cpu.guest.kill(killText.settingIdtEntry(vector));
    return;
  }
  cpu.writtenIdt.set(vector, { low, high });
  setTrap(cpu, vector, low, high);
}
/** Stores a gate; the guest's selector is not asked for. */
function setTrap(cpu: Vcpu, vector: number, low: number, high: number): void {
  if (!idtPresent(high)) {
    cpu.idt[2 * vector] = 0;
    cpu.idt[2 * vector + 1] = 0;
    return;
  }
  const type = idtType(high);
  if (type !== INTERRUPT_GATE && type !== TRAP_GATE) cpu.guest.kill(killText.badIdtType(type));
  cpu.idt[2 * vector] = (GUEST_CS << 16) | (low & 0xffff);
  cpu.idt[2 * vector + 1] = high & 0xffffef00;
}

/** A gate to the Switcher's stub: interrupt gate, and the guest may use INT n as far as `dpl` says. */
export function defaultIdtEntry(
  kernel: HostKernel,
  vector: number,
  base: { readonly high: number } | null,
): { low: number; high: number } {
  const handler = kernel.read32(DEFAULT_IDT_ENTRIES + 4 * vector);
  let flags = 0x8e00;
  if (vector === LGUEST_TRAP_ENTRY) flags |= GUEST_PL << 13;
  else if (base) flags |= base.high & DPL_BITS;
  return { low: ((LGUEST_CS << 16) | (handler & 0xffff)) >>> 0, high: ((handler & 0xffff0000) | flags) >>> 0 };
}
/** What every CPU's guest IDT has from the start. */
export function setupDefaultIdtEntries(kernel: HostKernel, state: number): void {
  for (let vector = 0; vector < IDT_ENTRIES; vector++)
    putGate(kernel, state, vector, defaultIdtEntry(kernel, vector, null));
}
/** Brings a CPU's IDT up to date. */
export function copyTraps(cpu: Vcpu, state: number): void {
  const { module } = cpu.guest;
  for (let vector = 0; vector < IDT_ENTRIES; vector++) {
    if (!directTrap(module, vector)) continue;
    const [low, high] = [cpu.idt[2 * vector], cpu.idt[2 * vector + 1]];
    if (idtType(high) === TRAP_GATE) putGate(module.kernel, state, vector, { low, high });
    else putGate(module.kernel, state, vector, defaultIdtEntry(module.kernel, vector, { high }));
  }
}
function putGate(kernel: HostKernel, state: number, vector: number, gate: { low: number; high: number }): void {
  kernel.writeDescriptor(state + State.guestIdt + vector * 8, gate.low, gate.high);
}

// -- the guest's timer ------------------------------------------------------------------------------------------------------------

/** SET_CLOCKEVENT: one shot, `delta` nanoseconds from now; 0 stops it. */
export function guestSetClockevent(cpu: Vcpu, delta: number): void {
  const { events, now } = cpu.guest.module.kernel.machine;
  if (cpu.timer !== null) {
    events.cancel(cpu.timer);
    cpu.timer = null;
  }
  if (delta === 0) return;
  const at = now + Math.max(1, cpu.guest.module.options.instructionsFor(delta));
  cpu.timer = events.schedule(at, "guest timer", () => clockdevFn(cpu));
}
/** The timer fires: interrupt 0, and it does not start again. */
export function clockdevFn(cpu: Vcpu): void {
  cpu.timer = null;
  setInterrupt(cpu, 0);
}
/** A new guest's timer is off. */
export function initClockdev(cpu: Vcpu): void {
  guestSetClockevent(cpu, 0);
}
