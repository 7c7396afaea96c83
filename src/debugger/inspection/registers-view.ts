/*
 * The Registers view's rows: every register with its named bits, what it points at, the hidden part of segment
 * registers with the table entry it came from, and a sentence where belief and truth differ.
 */
import { hex } from "../../base";
import type { VirtualMachineInterface } from "../../lguest";
import { Seg } from "../../x86";
import type { RegisterCell, RegisterGroupId, Registers } from "../registers";
import type { CodeLocation, Symbols } from "../symbols";
import type { World } from "../traps";
import { type Descriptor, decodeDescriptor, descriptorOfHidden, descriptorText } from "./descriptors";
import { type BitField, fieldsOf } from "./flag-fields";

export interface SegmentState {
  selector: number;
  hidden: Descriptor;
  table?: Descriptor;
  why?: string;
}

export interface RegisterRow {
  name: string;
  value: number;
  wide?: string;
  bits: number;
  editable: boolean;
  fields?: BitField[];
  location?: CodeLocation;
  segment?: SegmentState;
  meaning?: string;
}

export interface RegistersState {
  instructionCount: number;
  world: World;
  ring: 0 | 1 | 2 | 3;
  groups: { id: RegisterGroupId; rows: RegisterRow[] }[];
}

const GROUPS: readonly RegisterGroupId[] = [
  "general",
  "flags",
  "segments",
  "believes",
  "control",
  "system",
  "debug",
  "msr",
];
const SEGMENTS: Readonly<Record<string, number>> = {
  cs: Seg.CS,
  ss: Seg.SS,
  ds: Seg.DS,
  es: Seg.ES,
  fs: Seg.FS,
  gs: Seg.GS,
};
/** Words of the guest keep the spelling of the guest's source; registers are written as in the manual. */
const GUESTS_WORDS = new Set([
  "irq_enabled",
  "irq_pending",
  "blocked_interrupts",
  "pending_interrupts",
  "guest_cr2",
  "guest_cr3",
  "kernel_address",
  "lguest_data",
]);

export function registersState(vm: VirtualMachineInterface, registers: Registers, symbols: Symbols): RegistersState {
  const cells = registers.all();
  const meanings = meaningsOf(vm);
  const groups = GROUPS.map((id) => ({
    id,
    rows: cells.filter((cell) => cell.group === id).map((cell) => row(cell, vm, symbols, meanings[cell.name])),
  }));
  return {
    instructionCount: vm.instructionCount,
    world: vm.world,
    ring: registers.ring,
    groups: groups.filter((group) => group.rows.length > 0),
  };
}

/** A row's name: as the manual writes it, but for the guest's own words. */
export function rowName(cell: RegisterCell): string {
  return GUESTS_WORDS.has(cell.name) || cell.group === "believes" ? cell.name : cell.name.toUpperCase();
}

function row(
  cell: RegisterCell,
  vm: VirtualMachineInterface,
  symbols: Symbols,
  meaning: string | undefined,
): RegisterRow {
  const value = cell.get();
  const number = Number(BigInt.asUintN(32, value));
  const isWide = cell.bits > 32;
  const fields = fieldsOf(cell.name, number);
  const segment = cell.name in SEGMENTS ? segmentState(vm, cell.name, number) : undefined;
  const place = symbols.locate(number);
  const pointsSomewhere = cell.group === "general" || cell.isAddress;
  return {
    name: rowName(cell),
    value: number,
    ...(isWide ? { wide: value.toString(16).toUpperCase() } : {}),
    bits: cell.bits,
    editable: cell.set !== undefined && vm.world !== "switcher",
    ...(fields === undefined ? {} : { fields }),
    ...(cell.name === "eip" || (pointsSomewhere && place.symbol !== undefined) ? { location: place } : {}),
    ...(segment === undefined ? {} : { segment }),
    ...(meaning ? { meaning } : {}),
  };
}

/** A segment register with its hidden part, and the table entry where that differs. */
export function segmentState(vm: VirtualMachineInterface, name: string, selector: number): SegmentState {
  const entry = selector & 4 ? undefined : vm.gdt().entries[selector >>> 3];
  const table = entry && decodeDescriptor(entry.cpu.low, entry.cpu.high);
  const isLive = vm.world !== "host";
  const index = SEGMENTS[name];
  const { cpu } = vm.machine;
  const isUsable = cpu.isSegmentUsable(index);
  if (!isLive || !isUsable) {
    const nothing = decodeDescriptor(0, 0);
    return { selector, hidden: (isLive ? undefined : table) ?? nothing };
  }
  const hidden = descriptorOfHidden(cpu.segmentBase(index), cpu.segmentLimit(index), cpu.segmentAttributes(index));
  if (table === undefined || isSame(hidden, table)) return { selector, hidden };
  return {
    selector,
    hidden,
    table,
    why: `The entry was changed after ${name.toUpperCase()} was loaded; it now says ${descriptorText(table)}.`,
  };
}

function isSame(a: Descriptor, b: Descriptor): boolean {
  return a.base === b.base && a.limit === b.limit && ((a.high ^ b.high) & 0xf0fe00) === 0;
}

function meaningsOf(vm: VirtualMachineInterface): Readonly<Record<string, string | undefined>> {
  const state = vm.state();
  const { cpu } = vm.machine;
  const names = (bitmap: number): string => {
    if (bitmap === -1 || bitmap === 0xffffffff) return "all";
    const set = state.interrupts.filter(({ irq }) => bitmap & (1 << irq));
    return set.map(({ irq, name }) => (name === "" || name === "unused" ? `IRQ ${irq}` : name)).join(", ") || "none";
  };
  const isOn = (state.irqEnabled & 0x200) !== 0;
  return {
    irq_enabled: state.isInitialised
      ? `Interrupts are ${isOn ? "on" : "off"} for the guest${isOn ? "" : ", while the real IF is on"}.`
      : "The guest has no lguest_data yet.",
    irq_pending: state.irqPending ? "An interrupt waited while the guest had them off." : undefined,
    blocked_interrupts: `Masked: ${names(state.blockedInterrupts)}.`,
    pending_interrupts: `Waiting: ${names(state.pendingInterrupts)}.`,
    guest_cr2: "Address of the last page fault that was passed to the guest.",
    guest_cr3: state.isLinear
      ? "The guest has no page tables yet."
      : "Guest-physical address of the guest's page directory.",
    slot: `Shadow slot in use, of ${state.slots.length}.`,
    esp1: `Stack for entries from ring 3, ${state.stack.pages} ${state.stack.pages === 1 ? "page" : "pages"} pinned.`,
    ts: state.ts ? "FPU use traps with #NM." : "FPU use is free.",
    kernel_address: "Linear addresses from here on belong to the kernel in every page table.",
    cr2: state.isInitialised && state.guestCr2 !== cpu.cr2 ? `The guest was told ${hex(state.guestCr2)}.` : undefined,
    cr3: cr3Meaning(state, cpu.cr3),
    cr4: cpu.cr4 === 0 ? "none set" : undefined,
    tr: "The host's TSS for this guest; a guest has none of its own.",
  };
}

function cr3Meaning(state: ReturnType<VirtualMachineInterface["state"]>, cr3: number): string {
  const slot = state.slots.find(({ shadowTable }) => shadowTable !== null && shadowTable === (cr3 & ~0xfff) >>> 0);
  return slot === undefined ? "The host's own page tables." : `Shadow slot ${slot.slot}.`;
}
