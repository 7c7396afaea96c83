/**
 * The module itself: it puts the Switcher at the top of the host's address space, prepares every CPU for it, and takes all of that
 * back. Also here: access to a guest's memory with its checks. The main loop is run-guest.ts.
 *
 * Order of loading: not under another hypervisor; Switcher; page tables for it; system call vector; the device; the CPUs.
 */
import { StateLayout as L, Pte } from "../../x86";
import { PAGE_SIZE, PAGES_SIZE, SWITCHER_ADDRESS, SWITCHER_PAGES } from "../switcher/layout";
import { Errno } from "./errno";
import type { Generation } from "./generation";
import type { Guest, Vcpu } from "./guest";
import { HOST_SWITCHER_TABLE, type HostKernel, SWITCHER_LINK } from "./host-kernel";
import { freeInterrupts, initInterrupts } from "./interrupts-and-traps";
import { killText } from "./kill";
import { freePagetables, initPagetables } from "./page-tables";
import type { Random } from "./random";
import { archHostFini, archHostInit } from "./x86-core";

/** Vector of the host's timer interrupt. */
export const HOST_TIMER_VECTOR = 48;
/** First linear address of the host's fixed mappings, which must not be reached. */
const HOST_FIXADDR_START = 0xfffa0000;

export interface ModuleOptions {
  readonly generation: Generation;
  readonly random: Random;
  /** The module parameter syscall_vector. Default 0x80. */
  readonly syscallVector?: number;
  /** The host is itself paravirtual. */
  readonly isHostParavirtual?: boolean;
  /** What the guest is told of the TSC where the host trusts it. */
  readonly tscKhz: number;
  /** Wall clock: nanoseconds since 1970 as whole seconds and the rest. */
  readonly wallClock: () => { readonly seconds: number; readonly nanoseconds: number };
  /** Instructions for a time. */
  readonly instructionsFor: (nanoseconds: number) => number;
  /** Vectors of the host that are taken already. */
  readonly usedVectors?: ReadonlySet<number>;
}

export class LguestModule {
  readonly generation: Generation;
  readonly syscallVector: number;
  /** Host-physical pages of the Switcher's area, in order; empty while it is not mapped. */
  switcherPages: number[] = [];
  /** Host-physical: each CPU's page table of the Switcher's area, for shadow tables. */
  switcherPtePages: number[] = [];
  /** Which virtual CPU ran last on each CPU. */
  lastCpu: (Vcpu | null)[];
  /** The host used global pages before the module came. */
  cpuHadPge = false;
  /** Vectors reserved in the host. */
  readonly usedVectors: Set<number>;
  /** The processor is between the host's entry code and its gate. */
  isProcessorRunning = false;
  /** The device node exists. */
  isDeviceRegistered = false;
  /** Lines for the host's log. */
  readonly log: string[] = [];

  constructor(
    readonly kernel: HostKernel,
    readonly options: ModuleOptions,
  ) {
    this.generation = options.generation;
    this.syscallVector = options.syscallVector ?? 0x80;
    this.lastCpu = Array.from({ length: kernel.cpuCount }, () => null);
    this.usedVectors = new Set(options.usedVectors ?? []);
  }

  /** Loads the module. 0, or a negative error code with everything undone. */
  init(): number {
    if (this.options.isHostParavirtual) {
      this.log.push("lguest is afraid of being a guest");
      return Errno.EPERM;
    }
    const steps: readonly { readonly start: () => number; readonly undo: () => void }[] = [
      { start: () => mapSwitcher(this), undo: () => unmapSwitcher(this) },
      { start: () => initPagetables(this), undo: () => freePagetables(this) },
      { start: () => initInterrupts(this), undo: () => freeInterrupts(this) },
      { start: () => registerDevice(this), undo: () => removeDevice(this) },
      { start: () => archHostInit(this), undo: () => archHostFini(this) },
    ];
    for (const [i, step] of steps.entries()) {
      const result = step.start();
      if (result === 0) continue;
      for (const done of steps.slice(0, i).reverse()) done.undo();
      return result;
    }
    return 0;
  }
  /** Something is due for a virtual CPU: if the processor is in the guest, it must come out. */
  kick(_cpu: Vcpu): void {
    if (this.isProcessorRunning) this.kernel.machine.interrupts.raise(HOST_TIMER_VECTOR);
  }
  /** The host may give the processor to others: with several CPUs the guest goes on on the next one. */
  reschedule(): void {
    this.kernel.currentCpu = (this.kernel.currentCpu + 1) % this.kernel.cpuCount;
  }
  /** Unloads it: the reverse, the CPUs last. */
  fini(): void {
    removeDevice(this);
    freeInterrupts(this);
    freePagetables(this);
    unmapSwitcher(this);
    archHostFini(this);
  }
}

function registerDevice(module: LguestModule): number {
  module.isDeviceRegistered = true;
  return 0;
}
function removeDevice(module: LguestModule): void {
  module.isDeviceRegistered = false;
}

/** S pages of code and two for each possible CPU. */
export function totalSwitcherPages(cpuCount: number): number {
  return SWITCHER_PAGES + 2 * cpuCount;
}

/** Maps zeroed pages at SWITCHER_ADDRESS in the host and copies the Switcher there. */
export function mapSwitcher(module: LguestModule, fixedMappings = HOST_FIXADDR_START): number {
  const { kernel } = module;
  const total = totalSwitcherPages(kernel.cpuCount);
  if (SWITCHER_ADDRESS + total * PAGE_SIZE > fixedMappings) {
    module.log.push("lguest: mapping switcher would thwack fixmap");
    return Errno.ENOMEM;
  }
  for (let i = 0; i < total; i++) {
    const page = kernel.pages.allocate();
    if (page === 0) {
      unmapSwitcher(module);
      return Errno.ENOMEM;
    }
    module.switcherPages.push(page);
    kernel.write32(HOST_SWITCHER_TABLE + i * 4, page | Pte.P | Pte.RW | Pte.A | Pte.D);
  }
  const { cpu } = kernel.machine;
  const blob = kernel.switcher.code.bytes;
  for (let i = 0; i < SWITCHER_PAGES; i++) {
    const from = L.RAM_BASE + SWITCHER_LINK + i * PAGE_SIZE;
    cpu.u8.copyWithin(
      L.RAM_BASE + module.switcherPages[i],
      from,
      from + Math.min(PAGE_SIZE, blob.length - i * PAGE_SIZE),
    );
  }
  module.log.push(`lguest: mapped switcher at ${SWITCHER_ADDRESS.toString(16)}`);
  return 0;
}

export function unmapSwitcher(module: LguestModule): void {
  const { kernel } = module;
  module.switcherPages.forEach((page, i) => {
    kernel.write32(HOST_SWITCHER_TABLE + i * 4, 0);
    kernel.pages.free(page);
  });
  module.switcherPages = [];
  kernel.machine.cpu.tlb.flushAll();
}

/** Host-physical address of the stack page and of the state page of a CPU's struct lguest_pages. */
export function pagesPhysical(module: LguestModule, cpu: number): { readonly stack: number; readonly state: number } {
  const first = SWITCHER_PAGES + (cpu * PAGES_SIZE) / PAGE_SIZE;
  return { stack: module.switcherPages[first], state: module.switcherPages[first + 1] };
}

// -- guest memory ---------------------------------------------------------------------------------------------------------

/** Whether guest-physical [address, address + length) may be touched. The comparison is with the last page, so the very end is refused. */
export function lguestAddressOk(guest: Guest, address: number, length: number): boolean {
  const end = address + length;
  if (end > 0xffffffff) return false;
  if (guest.module.generation.refusesLastByte) return Math.floor(end / PAGE_SIZE) < guest.pfnLimit;
  return end <= guest.pfnLimit * PAGE_SIZE;
}

/** Copy from the launcher's memory, as a kernel copies from user space: false where nothing is mapped. No other check. */
export function canCopy(guest: Guest, address: number, length: number): boolean {
  return address >= 0 && address + length <= guest.mappedBytes;
}
/** A word of the launcher's memory, or null. */
export function getUser32(guest: Guest, address: number): number | null {
  return canCopy(guest, address, 4) ? guest.module.kernel.read32(guest.memBase + address) : null;
}
/** False where it could not be written. */
export function putUser32(guest: Guest, address: number, value: number): boolean {
  if (!canCopy(guest, address, 4)) return false;
  guest.module.kernel.write32(guest.memBase + address, value);
  return true;
}

/** Reads `length` bytes; a bad address gives zeros and kills. */
export function lgread(guest: Guest, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (!lguestAddressOk(guest, address, length) || !canCopy(guest, address, length)) {
    guest.kill(killText.badReadAddress(address, length));
    return bytes;
  }
  const at = L.RAM_BASE + guest.memBase + address;
  bytes.set(guest.module.kernel.machine.cpu.u8.subarray(at, at + length));
  return bytes;
}
export function lgread32(guest: Guest, address: number): number {
  if (!lguestAddressOk(guest, address, 4) || !canCopy(guest, address, 4)) {
    guest.kill(killText.badReadAddress(address, 4));
    return 0;
  }
  return guest.module.kernel.read32(guest.memBase + address);
}
/** Writes; a bad address kills. */
export function lgwrite(guest: Guest, address: number, bytes: ArrayLike<number>): void {
  if (!lguestAddressOk(guest, address, bytes.length) || !canCopy(guest, address, bytes.length)) {
    guest.kill(killText.badWriteAddress(address, bytes.length));
    return;
  }
  const { cpu } = guest.module.kernel.machine;
  for (let i = 0; i < bytes.length; i++) cpu.writePhysical(guest.memBase + address + i, 1, bytes[i]);
}
export function lgwrite32(guest: Guest, address: number, value: number): void {
  if (!lguestAddressOk(guest, address, 4) || !canCopy(guest, address, 4)) {
    guest.kill(killText.badWriteAddress(address, 4));
    return;
  }
  guest.module.kernel.write32(guest.memBase + address, value);
}
