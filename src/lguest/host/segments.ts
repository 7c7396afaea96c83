/**
 * The guest's GDT: stored as the guest gives it, fixed up so that it cannot hold ring 0, and copied into the GDT that the processor
 * uses when it has changed. Four entries are the host's alone: its own two segments, the TSS, and the double-fault TSS.
 *
 * Nothing else of a descriptor is judged: a bad one shows as a fault when the Switcher loads it, and that kills.
 */
import { GDT_ENTRIES, Gdt, State, TSS_SIZE } from "../switcher/layout";
import { lgread } from "./core";
import { Changed, type Vcpu } from "./guest";
import { FULL_EXEC_SEGMENT, FULL_SEGMENT, type HostKernel } from "./host-kernel";
import { killText } from "./kill";

const DPL_MASK = 0x6000;
const DPL_SHIFT = 13;
/** "Accessed" of a code or data descriptor: set beforehand, because the processor could not write it in a read-only table. */
const ACCESSED = 0x100;
const GUEST_DPL = 1 << DPL_SHIFT;

/** Entries that are never the guest's. */
export function ignoredGdt(index: number): boolean {
  return index === Gdt.LGUEST_CS || index === Gdt.LGUEST_DS || index === Gdt.TSS || index === Gdt.DOUBLE_FAULT_TSS;
}

/** Fixes up entries [start, end) of the guest's GDT. */
export function fixupGdtTable(cpu: Vcpu, start: number, end: number): void {
  for (let i = start; i < end; i++) {
    if (ignoredGdt(i)) continue;
    if ((cpu.gdt[2 * i + 1] & DPL_MASK) === 0) cpu.gdt[2 * i + 1] |= GUEST_DPL;
    cpu.gdt[2 * i + 1] |= ACCESSED;
  }
}

/** What every CPU's guest GDT has from the start. `tss` is the guest TSS's linear address, `state` the state page. */
export function setupDefaultGdtEntries(kernel: HostKernel, state: number, tss: number): void {
  const gdt = state + State.guestGdt;
  for (let i = 0; i < GDT_ENTRIES; i++) kernel.writeDescriptor(gdt + i * 8, 0, 0);
  kernel.writeDescriptor(gdt + Gdt.LGUEST_CS * 8, FULL_EXEC_SEGMENT.low, FULL_EXEC_SEGMENT.high);
  kernel.writeDescriptor(gdt + Gdt.LGUEST_DS * 8, FULL_SEGMENT.low, FULL_SEGMENT.high);
  kernel.writeDescriptor(
    gdt + Gdt.TSS * 8,
    ((tss << 16) | (TSS_SIZE - 1)) >>> 0,
    ((tss & 0xff000000) | 0x8900 | ((tss >>> 16) & 0xff)) >>> 0,
  );
}

/** The guest's GDT at boot: flat kernel segments. */
export function setupGuestGdt(cpu: Vcpu): void {
  cpu.gdt.fill(0);
  for (const [index, segment] of [
    [Gdt.KERNEL_CS, FULL_EXEC_SEGMENT],
    [Gdt.KERNEL_DS, FULL_SEGMENT],
  ] as const) {
    cpu.gdt[2 * index] = segment.low;
    cpu.gdt[2 * index + 1] = segment.high | GUEST_DPL;
  }
}

/** Copies the three TLS entries to a CPU's table. */
export function copyGdtTls(cpu: Vcpu, state: number): void {
  for (let i = Gdt.TLS_FIRST; i <= Gdt.TLS_LAST; i++) copyEntry(cpu, state, i);
}
/** Copies all entries but the host's. */
export function copyGdt(cpu: Vcpu, state: number): void {
  for (let i = 0; i < GDT_ENTRIES; i++) if (!ignoredGdt(i)) copyEntry(cpu, state, i);
}
function copyEntry(cpu: Vcpu, state: number, index: number): void {
  cpu.guest.module.kernel.writeDescriptor(
    state + State.guestGdt + index * 8,
    cpu.gdt[2 * index],
    cpu.gdt[2 * index + 1],
  );
}

/** LOAD_GDT_ENTRY. */
export function loadGuestGdtEntry(cpu: Vcpu, index: number, low: number, high: number): void {
  if (index >>> 0 >= GDT_ENTRIES) {
    cpu.guest.kill(killText.tooManyGdtEntries(index));
    return;
  }
  cpu.gdt[2 * index] = low;
  cpu.gdt[2 * index + 1] = high;
  cpu.writtenGdt.set(index, { low, high });
  fixupGdtTable(cpu, index, index + 1);
  cpu.changed |= Changed.GDT;
}

/** LOAD_TLS: three descriptors from guest memory. */
export function guestLoadTls(cpu: Vcpu, address: number): void {
  const count = Gdt.TLS_LAST - Gdt.TLS_FIRST + 1;
  const bytes = lgread(cpu.guest, address, count * 8);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    const [low, high] = [view.getUint32(i * 8, true), view.getUint32(i * 8 + 4, true)];
    cpu.gdt[2 * (Gdt.TLS_FIRST + i)] = low;
    cpu.gdt[2 * (Gdt.TLS_FIRST + i) + 1] = high;
    cpu.writtenGdt.set(Gdt.TLS_FIRST + i, { low, high });
  }
  fixupGdtTable(cpu, Gdt.TLS_FIRST, Gdt.TLS_LAST + 1);
  cpu.changed |= Changed.GDT_TLS;
}
