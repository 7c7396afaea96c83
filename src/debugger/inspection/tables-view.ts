/*
 * GDT, IDT and the hypervisor's state for the views: the machine says what is there and why, here it is decoded and
 * joined with what else is known: which segment registers use an entry, where handlers are, how often a vector fired,
 * what is broken on.
 */
import { NANOSECONDS_PER_INSTRUCTION, type VirtualMachineInterface } from "../../lguest";
import type { Registers } from "../registers";
import { SEGMENT_REGISTERS } from "../registers";
import type { CodeLocation, Symbols } from "../symbols";
import type { TrapLog } from "../traps";
import { type Descriptor, decodeDescriptor, decodeGate, type GateKind } from "./descriptors";
import type { BitField } from "./flag-fields";

export interface Gate {
  low: number;
  high: number;
  kind: GateKind;
  selector: number;
  target: CodeLocation;
  dpl: 0 | 1 | 2 | 3;
  present: boolean;
}

export interface GdtRow {
  index: number;
  selector: number;
  role?: string;
  guest: Descriptor | null;
  cpu: Descriptor;
  state: "same" | "fixed" | "hostOnly" | "pending";
  why?: string;
  usedBy?: string[];
}

export function gdtState(
  vm: VirtualMachineInterface,
  registers: Registers,
): { base: number; limit: number; entries: GdtRow[] } {
  const { base, limit, entries } = vm.gdt();
  const current = registers.current();
  return {
    base,
    limit,
    entries: entries.map((entry) => {
      const usedBy = SEGMENT_REGISTERS.filter((name) => current[name] >>> 3 === entry.index && entry.index !== 0);
      return {
        index: entry.index,
        selector: entry.index * 8,
        ...(entry.role ? { role: entry.role } : {}),
        guest: entry.guest === null ? null : decodeDescriptor(entry.guest.low, entry.guest.high),
        cpu: decodeDescriptor(entry.cpu.low, entry.cpu.high),
        state: entry.state,
        ...(entry.why ? { why: entry.why } : {}),
        ...(usedBy.length > 0 ? { usedBy: usedBy.map((name) => name.toUpperCase()) } : {}),
      };
    }),
  };
}

export function idtState(vm: VirtualMachineInterface, symbols: Symbols, log: TrapLog, broken: ReadonlySet<number>) {
  const { base, limit, entries } = vm.idt();
  const gate = ({ low, high }: { low: number; high: number }): Gate => {
    const { offset, ...fields } = decodeGate(low, high);
    return { ...fields, target: symbols.locate(offset) };
  };
  return {
    base,
    limit,
    entries: entries.map((entry) => ({
      vector: entry.index,
      ...(entry.name ? { name: entry.name } : {}),
      guest: entry.guest === null ? null : gate(entry.guest),
      cpu: gate(entry.cpu),
      delivery: entry.delivery,
      why: entry.why,
      count: log.vectorCounts[entry.index] ?? 0,
      breaks: broken.has(entry.index),
    })),
  };
}

const STATUS_BITS: readonly { name: string; bit: number; meaning: string }[] = [
  { name: "FAILED", bit: 7, meaning: "the driver has given up" },
  { name: "FEATURES_OK", bit: 3, meaning: "features are agreed" },
  { name: "DRIVER_OK", bit: 2, meaning: "the driver is ready" },
  { name: "DRIVER", bit: 1, meaning: "there is a driver for it" },
  { name: "ACKNOWLEDGE", bit: 0, meaning: "the guest has seen it" },
];

export function hypervisorState(vm: VirtualMachineInterface, log: TrapLog) {
  const state = vm.state();
  const now = vm.instructionCount;
  const due = state.timerDueAt;
  return {
    abi: state.abi,
    quirks: state.quirks,
    initialised: state.isInitialised,
    lguestData: state.lguestData,
    kernelAddress: state.kernelAddress,
    noirq: state.noirq === null ? null : { ...state.noirq },
    halted: state.isHalted,
    irqEnabled: state.irqEnabled,
    irqPending: state.irqPending,
    interrupts: state.interrupts.map((interrupt) => ({ ...interrupt })),
    ...(state.waitsBecause ? { waitsBecause: state.waitsBecause } : {}),
    timer:
      due === null
        ? { armed: false }
        : { armed: true, dueInstruction: due, dueInNanoseconds: Math.max(0, due - now) * NANOSECONDS_PER_INSTRUCTION },
    ring: { next: state.ring.next, slots: state.ring.slots.map((slot) => ({ ...slot, args: [...slot.args] })) },
    slots: state.slots.map((slot) => ({ ...slot })),
    changed: { ...state.changed },
    stack: { ...state.stack },
    ts: state.ts,
    cpu: state.cpu,
    lastCpu: state.lastCpu,
    cpuCount: state.cpuCount,
    devices: state.devices.map((device) => ({
      name: device.name,
      type: device.type,
      guestPhysical: device.guestPhysical,
      status: device.status,
      statusBits: STATUS_BITS.map(({ name, bit, meaning }): BitField => {
        const value = (device.status >>> bit) & 1;
        return { name, bit, width: 1, value, ...(value ? { meaning } : {}) };
      }),
      features: device.features,
      ackedFeatures: device.ackedFeatures,
      queues: device.queues.map(({ index, irq, guestPhysical, size, available, used }) => ({
        index,
        irq,
        guestPhysical,
        size,
        available,
        used,
      })),
    })),
    lastExit: lastExit(state, log),
    ...(state.dead === null ? {} : { dead: killText(state.dead) }),
  };
}

function lastExit(state: ReturnType<VirtualMachineInterface["state"]>, log: TrapLog) {
  const exit = state.lastExit;
  if (exit === null) return null;
  const newest = log.lastSequence;
  for (let n = newest; n > Math.max(log.droppedCount, newest - 64); n--) {
    const entry = log.entry(n);
    if (entry === undefined || entry.vector !== exit.vector || entry.eip !== exit.eip) continue;
    return { n, vector: exit.vector, name: exit.name, why: entry.detail || outcomeText(entry.outcome) };
  }
  return { n: 0, vector: exit.vector, name: exit.name, why: "" };
}

function outcomeText(outcome: string | null): string {
  return outcome ?? "the host has not acted yet";
}

function killText(dead: NonNullable<ReturnType<VirtualMachineInterface["state"]>["dead"]>): string {
  return dead.kind === "restart" ? dead.message : dead.text;
}
