/**
 * What views and debuggers read: both sides of each table with the reason for each difference, and the hypervisor's state. Nothing
 * here changes anything.
 */
import type { Machine } from "../machine";
import { Pte } from "../x86";
import type {
  GdtRowState,
  HypervisorState,
  IdtRowState,
  RingSlotState,
  TableState,
  TableWords,
  WalkEntry,
  WalkResult,
} from "./api";
import { pagesPhysical } from "./host/core";
import { vectorName } from "./host/events";
import { FIRST_EXTERNAL_VECTOR, LGUEST_IRQS } from "./host/generation";
import { Changed, type Guest } from "./host/guest";
import {
  fetchRingArguments,
  hypercallArguments,
  hypercallName,
  LHCALL_RING_SIZE,
  RING_FREE,
  ringEntry,
} from "./host/hypercalls";
import {
  couldBeSyscall,
  directTrap,
  idtPresent,
  idtType,
  interruptObstacle,
  interruptPending,
  isIgnoredVector,
  readData,
} from "./host/interrupts-and-traps";
import type { GuestRunner } from "./host/run-guest";
import { ignoredGdt } from "./host/segments";
import { GDT_ROLES } from "./host/x86-core";
import type { Launcher } from "./launcher/launcher";
import {
  GDT_ENTRIES,
  IDT_ENTRIES,
  LGUEST_TRAP_ENTRY,
  lguestPages,
  STATE_OFFSET,
  State,
  SWITCHER_ADDRESS,
} from "./switcher/layout";

export interface Inspected {
  readonly machine: Machine;
  readonly guest: Guest;
  readonly launcher: Launcher;
  readonly runner: GuestRunner;
}

/** CPU whose tables are shown: the one used last, or the one that comes next. */
function shownCpu(guest: Guest): number {
  const { lastPages } = guest.cpu;
  return lastPages === null
    ? guest.module.kernel.currentCpu
    : (lastPages - lguestPages(0)) / (lguestPages(1) - lguestPages(0));
}
function wordsAt(guest: Guest, physical: number): TableWords {
  const { kernel } = guest.module;
  return { low: kernel.read32(physical), high: kernel.read32(physical + 4) };
}
function isSame(a: TableWords, b: TableWords): boolean {
  return a.low === b.low && a.high === b.high;
}

export function inspectGdt({ guest }: Inspected): TableState<GdtRowState> {
  const cpuNumber = shownCpu(guest);
  const { state } = pagesPhysical(guest.module, cpuNumber);
  const entries = Array.from({ length: GDT_ENTRIES }, (_, index) =>
    gdtRow(guest, index, wordsAt(guest, state + State.guestGdt + index * 8)),
  );
  return { base: lguestPages(cpuNumber) + STATE_OFFSET + State.guestGdt, limit: GDT_ENTRIES * 8 - 1, entries };
}
function gdtRow(guest: Guest, index: number, cpu: TableWords): GdtRowState {
  const { gdt, writtenGdt } = guest.cpu;
  const stored = { low: gdt[2 * index], high: gdt[2 * index + 1] };
  // What the host made at boot counts as given: the guest runs with it.
  const written = writtenGdt.get(index) ?? (stored.low === 0 && stored.high === 0 ? null : stored);
  const row = { index, guest: written, cpu, ...(GDT_ROLES[index] ? { role: GDT_ROLES[index] } : {}) };
  if (ignoredGdt(index))
    return {
      ...row,
      state: "hostOnly",
      why:
        written === null
          ? "the host's own entry"
          : "the host's own entry: the guest's value is kept aside and never used",
    };
  if (!isSame(stored, cpu))
    return { ...row, state: "pending", why: "changed since the guest last ran: copied before it runs again" };
  if (written === null || isSame(written, cpu)) return { ...row, state: "same" };
  const why: string[] = [];
  if ((written.high & 0x6000) === 0) why.push("DPL raised from 0 to 1: a guest has no ring 0");
  if ((written.high & 0x100) === 0) why.push("accessed bit set beforehand: the table is read-only for the guest");
  return { ...row, state: "fixed", why: why.join("; ") };
}

const WHY_HOST: Readonly<Record<number, string>> = {
  6: "the host looks first: VMCALL raises it",
  7: "the host looks first: it restores the FPU's state",
  13: "the host looks first: it emulates port input and output",
  14: "the host looks first: it fills the shadow page tables",
};

export function inspectIdt({ guest }: Inspected): TableState<IdtRowState> {
  const cpuNumber = shownCpu(guest);
  const { state } = pagesPhysical(guest.module, cpuNumber);
  const entries = Array.from({ length: IDT_ENTRIES }, (_, vector) =>
    idtRow(guest, vector, wordsAt(guest, state + State.guestIdt + vector * 8)),
  );
  return { base: lguestPages(cpuNumber) + STATE_OFFSET + State.guestIdt, limit: IDT_ENTRIES * 8 - 1, entries };
}
function idtRow(guest: Guest, index: number, cpu: TableWords): IdtRowState {
  const written = guest.cpu.writtenIdt.get(index) ?? null;
  const name = vectorName(index);
  return { index, guest: written, cpu, ...(name ? { name } : {}), ...deliveryOf(guest, index) };
}
function deliveryOf(guest: Guest, vector: number): Pick<IdtRowState, "delivery" | "why"> {
  const { module, cpu } = guest;
  const high = cpu.idt[2 * vector + 1];
  const hasHandler = idtPresent(high);
  if (vector === LGUEST_TRAP_ENTRY)
    return { delivery: "hypercall", why: "the host's: INT 0x1F at ring 1 is a hypercall" };
  if (vector === 2) return { delivery: "swallowed", why: "the host's: an NMI is dropped and the guest goes on" };
  if (isIgnoredVector(vector))
    return {
      delivery: "kills",
      why: vector === 8 ? "the host's: a double fault kills the guest" : "reserved: the guest cannot have a handler",
    };
  if (vector >= FIRST_EXTERNAL_VECTOR && !couldBeSyscall(module, vector)) {
    if (vector >= FIRST_EXTERNAL_VECTOR + LGUEST_IRQS)
      return {
        delivery: "refused",
        why: "INT n raises #GP: the gate has DPL 0, and no virtual interrupt uses this vector",
      };
    return hasHandler
      ? { delivery: "interrupt", why: "the host injects it when its interrupt is due; INT n raises #GP" }
      : { delivery: "interrupt", why: "no handler: its interrupt would stay pending" };
  }
  if (hasHandler && idtType(high) === 0xf && directTrap(module, vector))
    return { delivery: "direct", why: "a trap gate: the processor enters the guest's handler itself, without an exit" };
  if (couldBeSyscall(module, vector)) {
    if (!hasHandler) return { delivery: "refused", why: "no handler: INT 0x80 raises #GP" };
    return module.generation.swallowsSyscallGate
      ? {
          delivery: "swallowed",
          why: "an interrupt gate: the exit looks like an interrupt of the host, so the call is lost. Use a trap gate",
        }
      : {
          delivery: "reflected",
          why: "an interrupt gate: the processor would clear the real IF, so the host delivers it",
        };
  }
  const hostReason = WHY_HOST[vector];
  if (!hasHandler)
    return {
      delivery: "kills",
      why: `${hostReason ? `${hostReason}; ` : ""}the guest has no handler: unhandled trap ${vector}`,
    };
  if (hostReason) return { delivery: "host", why: `${hostReason}; otherwise it is reflected to the guest's handler` };
  return {
    delivery: "reflected",
    why: "an interrupt gate: the processor would clear the real IF, so the host delivers it",
  };
}

export function inspectState({ guest, launcher, runner, machine }: Inspected): HypervisorState {
  const { cpu, module } = guest;
  const { generation } = module;
  const { data } = generation;
  const word = (offset: number): number => readData(cpu, offset) ?? 0;
  const blocked = word(data.blockedInterrupts);
  const interrupts = [];
  for (let irq = 0; irq < LGUEST_IRQS; irq++) {
    const owner = launcher.irqOwner(irq);
    const [pending, isBlocked] = [(cpu.irqsPending >>> irq) & 1, (blocked >>> irq) & 1];
    if (owner === undefined && !pending && !isBlocked) continue;
    interrupts.push({
      irq,
      name: owner ?? "unused",
      pending: pending === 1,
      blocked: isBlocked === 1,
      vector: FIRST_EXTERNAL_VECTOR + irq,
    });
  }
  const waitsBecause = whyWaiting(guest, blocked);
  return {
    abi: generation.abi,
    quirks: generation.quirks,
    memoryBytes: launcher.ramBytes,
    isInitialised: guest.lguestData !== null,
    lguestData: guest.lguestData,
    kernelAddress: guest.lguestData === null ? null : guest.kernelAddress,
    noirq: guest.noirqEnd > guest.noirqStart ? { start: guest.noirqStart, end: guest.noirqEnd } : null,
    isHalted: cpu.halted,
    irqEnabled: word(data.irqEnabled),
    irqPending: word(data.irqPending),
    blockedInterrupts: blocked,
    guestCr2: word(data.cr2),
    tscKhz: word(data.tscKhz),
    pendingInterrupts: cpu.irqsPending >>> 0,
    interrupts,
    ...(waitsBecause === undefined ? {} : { waitsBecause }),
    timerDueAt: cpu.timer?.at ?? null,
    ring: {
      next: cpu.nextHcall,
      slots:
        guest.lguestData === null
          ? []
          : Array.from({ length: LHCALL_RING_SIZE }, (_, index) => ringSlot(guest, machine, index)),
    },
    slots: guest.pgdirs.map(({ gpgdir, pgdir }, slot) => ({
      slot,
      guestTable: pgdir === 0 || (cpu.linearPages && slot === cpu.cpuPgd) ? null : gpgdir,
      shadowTable: pgdir === 0 ? null : pgdir,
      inUse: slot === cpu.cpuPgd,
    })),
    currentSlot: cpu.cpuPgd,
    isLinear: cpu.linearPages,
    changed: {
      idt: (cpu.changed & Changed.IDT) !== 0,
      gdt: (cpu.changed & Changed.GDT) !== 0,
      tls: (cpu.changed & (Changed.GDT_TLS | Changed.GDT)) !== 0,
    },
    stack: { ss1: cpu.ss1, esp1: cpu.esp1, pages: guest.stackPages },
    ts: cpu.ts !== 0,
    cpu: module.kernel.currentCpu,
    lastCpu: cpu.lastPages === null ? null : shownCpu(guest),
    cpuCount: module.kernel.cpuCount,
    devices: launcher.devices.map((device) => device.state()),
    lastExit: runner.lastExit,
    dead: guest.dead,
  };
}
function whyWaiting(guest: Guest, blocked: number): string | undefined {
  const { cpu } = guest;
  const { irq } = interruptPending(cpu);
  if (irq >= LGUEST_IRQS)
    return cpu.irqsPending !== 0
      ? `all pending interrupts are blocked (blocked_interrupts ${(blocked >>> 0).toString(16)})`
      : undefined;
  switch (interruptObstacle(cpu, irq)) {
    case "noirq":
      return "EIP is in the range where no interrupt may come";
    case "disabled":
      return "the guest has interrupts off (irq_enabled is 0)";
    case "no gate":
      return `the guest has no handler for vector ${FIRST_EXTERNAL_VECTOR + irq}`;
    case null:
      return "the guest runs: the host looks at its next exit";
  }
}
function ringSlot(guest: Guest, machine: Machine, index: number): RingSlotState {
  const args = fetchRingArguments(guest.cpu, index);
  const status = machine.cpu.readPhysical(guest.memBase + ringEntry(guest.cpu, index).status, 1);
  return {
    index,
    pending: status !== RING_FREE,
    number: args?.arg0 ?? 0,
    name: hypercallName(args?.arg0 ?? 0),
    args: args === null ? [] : hypercallArguments(args),
  };
}

/** Walks two-level tables at `directory` in physical memory; `read` gives null outside. */
function walk(directory: number, linear: number, read: (address: number) => number | null): WalkResult {
  const steps: WalkEntry[] = [];
  const step = (level: WalkEntry["level"], table: number, index: number): number | null => {
    const entryAddress = table + index * 4;
    const entry = read(entryAddress);
    steps.push({ level, index, entryAddress, entry });
    return entry !== null && entry & Pte.P ? (entry & 0xfffff000) >>> 0 : null;
  };
  const table = step("directory", directory, linear >>> 22);
  const page = table === null ? null : step("table", table, (linear >>> 12) & 0x3ff);
  return { steps, physical: page === null ? null : page + (linear & 0xfff) };
}

/** The guest's own tables; guest-physical addresses. */
export function guestWalk(guest: Guest, linear: number, slot: number): WalkResult {
  const { gpgdir } = guest.pgdirs[slot];
  if (guest.cpu.linearPages && slot === guest.cpu.cpuPgd)
    return { steps: [], physical: linear < guest.pfnLimit * 0x1000 ? linear : null };
  return walk((gpgdir & 0xfffff000) >>> 0, linear, (address) =>
    address + 4 <= guest.mappedBytes ? guest.module.kernel.read32(guest.memBase + address) : null,
  );
}
/** The shadow; host-physical addresses. */
export function shadowWalk(guest: Guest, linear: number, slot: number): WalkResult {
  const { pgdir } = guest.pgdirs[slot];
  return pgdir === 0
    ? { steps: [], physical: null }
    : walk(pgdir, linear, (address) => guest.module.kernel.read32(address));
}
/** The host's own tables: where the Switcher's area is when the host runs. */
export function hostWalk(guest: Guest, linear: number): WalkResult {
  const { kernel } = guest.module;
  return walk(kernel.pageDirectory, linear, (address) => kernel.read32(address));
}

/** Whether a linear address belongs to the Switcher. */
export function isSwitcherAddress(linear: number): boolean {
  return linear >= SWITCHER_ADDRESS;
}
