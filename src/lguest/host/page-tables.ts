/**
 * Shadow page tables: the processor never sees the guest's own tables. It uses tables that the host fills one page at a time, when the
 * guest touches it (demandPage); the guest tells what it changed, and the host drops or updates what it had made of that.
 *
 *   1. reading the guest's entries, finding the shadow's       2. demandPage: a fault fills the shadow or is the guest's
 *   3. what the guest announces (SET_PTE, SET_PGD, FLUSH_TLB)  4. the four slots, NEW_PGTABLE       5. the guest's first tables
 *
 * Nothing here flushes the TLB: every entry into the guest loads CR3. The Switcher's part of a shadow is switcher-mapping.ts.
 */
import { PageFaultError, Pte } from "../../x86";
import { PAGE_SIZE, RESERVED_MEMORY, SWITCHER_ADDRESS } from "../switcher/layout";
import { canCopy, getUser32, lgread32, lgwrite32, putUser32 } from "./core";
import { Errno } from "./errno";
import { type Guest, SHADOW_SLOTS, type ShadowSlot, type Vcpu } from "./guest";
import { PAGE_OFFSET } from "./host-kernel";
import { pinStackPages } from "./interrupts-and-traps";
import { killText } from "./kill";

export { freePagetables, initPagetables, mapSwitcherInGuest, populateSwitcherPtePage } from "./switcher-mapping";

/** Top-level entry that covers the Switcher. */
export const SWITCHER_PGD_INDEX = SWITCHER_ADDRESS >>> 22;
/** All flags that a guest's top-level entry may have. */
const TABLE_FLAGS = Pte.P | Pte.RW | Pte.US | Pte.A | Pte.D;
const TABLE_ENTRIES = 1024;
const FLAGS_MASK = 0xfff;

export const pgdIndex = (linear: number): number => linear >>> 22;
const pteIndex = (linear: number): number => (linear >>> 12) & (TABLE_ENTRIES - 1);
const pfnOf = (entry: number): number => entry >>> 12;
const pageOf = (entry: number): number => (entry & ~FLAGS_MASK) >>> 0;

// -- 1. entries ----------------------------------------------------------------------------------------------------------------

/** Guest-physical address of the guest's top-level entry for `linear`. */
export function gpgdAddress(cpu: Vcpu, linear: number): number {
  return (pageOf(cpu.guest.pgdirs[cpu.cpuPgd].gpgdir) + pgdIndex(linear) * 4) >>> 0;
}
/** Guest-physical address of the guest's PTE, from its top-level entry. */
export function gpteAddress(gpgd: number, linear: number): number {
  return (pageOf(gpgd) + pteIndex(linear) * 4) >>> 0;
}
/** Host-physical address of the shadow's top-level entry. The Switcher's entry is nobody's to change. */
export function spgdAddress(cpu: Vcpu, slot: number, linear: number): number {
  let index = pgdIndex(linear);
  if (index >= SWITCHER_PGD_INDEX) {
    cpu.guest.kill(killText.switcherPages());
    index = 0;
  }
  return cpu.guest.pgdirs[slot].pgdir + index * 4;
}
/** Host-physical address of the shadow's PTE, from the shadow's top-level entry. */
export function spteAddress(spgd: number, linear: number): number {
  return pageOf(spgd) + pteIndex(linear) * 4;
}

/** get_pfn: the host page behind a page of the guest, with one reference more; null if the launcher has none there. */
export function getPfn(guest: Guest, guestPfn: number, isWrite: boolean): number | null {
  if (!canCopy(guest, guestPfn * PAGE_SIZE, PAGE_SIZE)) return null;
  guest.pageReferences.take(guestPfn, isWrite);
  return guest.memBase / PAGE_SIZE + guestPfn;
}
/** A guest's PTE as the shadow has it: the host's page, and the flags without G. */
export function gpteToSpte(guest: Guest, gpte: number, isWrite: boolean): number {
  const pfn = getPfn(guest, pfnOf(gpte), isWrite);
  if (pfn === null) {
    guest.kill(killText.failedToGetPage(pfnOf(gpte)));
    return 0;
  }
  return ((pfn * PAGE_SIZE) | (gpte & FLAGS_MASK & ~Pte.G)) >>> 0;
}
/** A shadow PTE is not used any more. */
export function releasePte(guest: Guest, spte: number): void {
  if (spte & Pte.P) guest.pageReferences.drop(pfnOf(spte) - guest.memBase / PAGE_SIZE);
}

export function checkGpte(guest: Guest, gpte: number): void {
  if (gpte & Pte.PS || pfnOf(gpte) >= guest.pfnLimit) guest.kill(killText.badPageTableEntry());
}
export function checkGpgd(guest: Guest, gpgd: number): void {
  if (gpgd & FLAGS_MASK & ~TABLE_FLAGS || pfnOf(gpgd) >= guest.pfnLimit) guest.kill(killText.badPageDirectoryEntry());
}

// -- 2. faults -----------------------------------------------------------------------------------------------------------------

/**
 * The guest faulted at `linear`. True: its own tables allow the access and the shadow now does too. False: the fault is the guest's.
 */
export function demandPage(cpu: Vcpu, linear: number, errorCode: number): boolean {
  const { guest } = cpu;
  const { kernel } = guest.module;
  const isWrite = (errorCode & PageFaultError.WRITE) !== 0;
  // Without tables of its own the guest sees its physical memory.
  const gpgd = cpu.linearPages ? TABLE_FLAGS : lgread32(guest, gpgdAddress(cpu, linear));
  if (!(gpgd & Pte.P)) return false;
  const spgdAt = spgdAddress(cpu, cpu.cpuPgd, linear);
  let spgd = kernel.read32(spgdAt);
  if (!(spgd & Pte.P)) {
    const table = kernel.pages.allocate();
    if (table === 0) {
      guest.kill(killText.outOfMemory());
      return false;
    }
    checkGpgd(guest, gpgd);
    spgd = (table | (gpgd & FLAGS_MASK)) >>> 0;
    kernel.write32(spgdAt, spgd);
  }
  const gpteAt = gpteAddress(gpgd, linear);
  let gpte = cpu.linearPages ? (pageOf(linear) | Pte.RW | Pte.P) >>> 0 : lgread32(guest, gpteAt);
  if (!(gpte & Pte.P)) return false;
  if (isWrite && !(gpte & Pte.RW)) return false;
  if (errorCode & PageFaultError.USER && !(gpte & Pte.US)) return false;
  checkGpte(guest, gpte);
  gpte = (gpte | Pte.A | (isWrite ? Pte.D : 0)) >>> 0;
  const spteAt = spteAddress(spgd, linear);
  releasePte(guest, kernel.read32(spteAt));
  // A page that is not dirty yet is read-only in the shadow, so that its first write comes here and D can be set.
  const isDirty = (gpte & Pte.D) !== 0;
  kernel.write32(spteAt, isDirty ? gpteToSpte(guest, gpte, true) : gpteToSpte(guest, gpte & ~Pte.RW, false));
  if (!cpu.linearPages) lgwrite32(guest, gpteAt, gpte);
  return true;
}

/** page_writable: the shadow maps the page and allows writing. */
export function pageWritable(cpu: Vcpu, linear: number): boolean {
  const { kernel } = cpu.guest.module;
  const spgd = kernel.read32(spgdAddress(cpu, cpu.cpuPgd, linear));
  if (!(spgd & Pte.P)) return false;
  const both = Pte.P | Pte.RW;
  return (kernel.read32(spteAddress(spgd, linear)) & both) === both;
}
/** pin_page: makes it so, or kills. */
export function pinPage(cpu: Vcpu, linear: number): void {
  if (!pageWritable(cpu, linear) && !demandPage(cpu, linear, PageFaultError.WRITE))
    cpu.guest.kill(killText.badStackPage(linear));
}

/** guest_pa: guest-physical address by the guest's own tables, whatever they allow. An address they do not map kills. */
export function guestPa(cpu: Vcpu, linear: number): number {
  if (cpu.linearPages) return linear;
  const { guest } = cpu;
  const gpgd = lgread32(guest, gpgdAddress(cpu, linear));
  if (!(gpgd & Pte.P)) {
    guest.kill(killText.badAddress(linear));
    return 0xffffffff;
  }
  const gpte = lgread32(guest, gpteAddress(gpgd, linear));
  if (!(gpte & Pte.P)) guest.kill(killText.badAddress(linear));
  return (pageOf(gpte) | (linear & FLAGS_MASK)) >>> 0;
}

// -- 3. announcements -----------------------------------------------------------------------------------------------------------

/** Releases the table below a shadow's top-level entry, with its pages. */
export function releasePgd(guest: Guest, spgdAt: number): void {
  const { kernel } = guest.module;
  const spgd = kernel.read32(spgdAt);
  if (!(spgd & Pte.P)) return;
  const table = pageOf(spgd);
  for (let i = 0; i < TABLE_ENTRIES; i++) releasePte(guest, kernel.read32(table + i * 4));
  kernel.pages.free(table);
  kernel.write32(spgdAt, 0);
}
/** Everything below kernel_address of one slot. */
export function flushUserMappings(guest: Guest, slot: number): void {
  for (let i = 0; i < pgdIndex(guest.kernelAddress); i++) releasePgd(guest, guest.pgdirs[slot].pgdir + i * 4);
}
/** FLUSH_TLB(0). */
export function guestPagetableFlushUser(cpu: Vcpu): void {
  flushUserMappings(cpu.guest, cpu.cpuPgd);
}
/** All slots, everything but the Switcher. */
export function releaseAllPagetables(guest: Guest): void {
  for (const { pgdir } of guest.pgdirs) {
    if (pgdir === 0) continue;
    for (let i = 0; i < SWITCHER_PGD_INDEX; i++) releasePgd(guest, pgdir + i * 4);
  }
}
/** FLUSH_TLB(1), and whenever the host cannot know what is stale. */
export function guestPagetableClearAll(cpu: Vcpu): void {
  releaseAllPagetables(cpu.guest);
  pinStackPages(cpu);
}

/** One slot's part of SET_PTE. */
function doSetPte(cpu: Vcpu, slot: number, linear: number, gpte: number): void {
  const { guest } = cpu;
  const { kernel, generation } = guest.module;
  const spgd = kernel.read32(spgdAddress(cpu, slot, linear));
  if (!(spgd & Pte.P)) return;
  const spteAt = spteAddress(spgd, linear);
  releasePte(guest, kernel.read32(spteAt));
  const isInUse = (gpte & (Pte.A | Pte.D)) !== 0 && (generation.installsAbsentPtes || (gpte & Pte.P) !== 0);
  if (!isInUse) {
    kernel.write32(spteAt, 0);
    return;
  }
  checkGpte(guest, gpte);
  kernel.write32(spteAt, gpteToSpte(guest, gpte, (gpte & Pte.D) !== 0));
}
/** SET_PTE: kernel mappings are the same in all tables. */
export function guestSetPte(cpu: Vcpu, gpgdir: number, linear: number, gpte: number): void {
  const { pgdirs, kernelAddress } = cpu.guest;
  if (linear >= kernelAddress) {
    for (let slot = 0; slot < SHADOW_SLOTS; slot++) if (pgdirs[slot].pgdir !== 0) doSetPte(cpu, slot, linear, gpte);
    return;
  }
  const slot = findPgdir(cpu.guest, gpgdir);
  if (slot >= 0) doSetPte(cpu, slot, linear, gpte);
}
/** SET_PGD. */
export function guestSetPgd(guest: Guest, gpgdir: number, index: number): void {
  if (index >>> 0 >= SWITCHER_PGD_INDEX) return;
  const slot = findPgdir(guest, gpgdir);
  if (slot >= 0) releasePgd(guest, guest.pgdirs[slot].pgdir + index * 4);
}

// -- 4. slots --------------------------------------------------------------------------------------------------------------------

/** Slot that shadows this top-level table, or -1. */
export function findPgdir(guest: Guest, gpgdir: number): number {
  return guest.pgdirs.findIndex((slot) => slot.pgdir !== 0 && slot.gpgdir === gpgdir);
}
/** Makes a slot for a table that has none: a random one loses its place. `blank`: it has nothing of an earlier owner. */
export function newPgdir(cpu: Vcpu, gpgdir: number): { readonly slot: number; readonly blank: boolean } {
  const { guest } = cpu;
  const { kernel, options } = guest.module;
  let next = options.random.next() % SHADOW_SLOTS;
  let blank = false;
  if (guest.pgdirs[next].pgdir === 0) {
    const page = kernel.pages.allocate();
    if (page === 0) next = cpu.cpuPgd;
    else {
      guest.pgdirs[next].pgdir = page;
      blank = true;
    }
  }
  guest.pgdirs[next].gpgdir = gpgdir;
  flushUserMappings(guest, next);
  return { slot: next, blank };
}
/** NEW_PGTABLE. */
export function guestNewPagetable(cpu: Vcpu, gpgdir: number): void {
  const { guest } = cpu;
  let mustPin = false;
  if (cpu.linearPages) {
    // The identity view ends; nothing of it may stay.
    releaseAllPagetables(guest);
    cpu.linearPages = false;
    mustPin = true;
  }
  let slot = findPgdir(guest, gpgdir);
  if (slot < 0) {
    const made = newPgdir(cpu, gpgdir);
    slot = made.slot;
    mustPin ||= made.blank;
  }
  cpu.cpuPgd = slot;
  if (mustPin) pinStackPages(cpu);
}

// -- 5. a guest's beginning and end ---------------------------------------------------------------------------------------------------

/** Offsets in boot_params that the host reads: size of E820 entry 0, size of the initrd. */
const BOOT_E820_SIZE = 0x2d8;
const BOOT_RAMDISK_SIZE = 0x21c;

/** setup_pagetables: tables in guest memory that map all of it at 0 and at PAGE_OFFSET. Their address, or null if memory is not there. */
export function setupPagetables(guest: Guest, memory: number, initrdSize: number): number | null {
  const pages = Math.floor(memory / PAGE_SIZE);
  const tables = Math.ceil(pages / TABLE_ENTRIES);
  const directory = memory - initrdSize - PAGE_SIZE;
  const linear = directory - tables * PAGE_SIZE;
  let isGood = linear >= 0;
  const put = (address: number, value: number): void => {
    isGood = isGood && putUser32(guest, address, value);
  };
  const flags = Pte.P | Pte.RW | Pte.US;
  for (let i = 0; i < pages && isGood; i++) put(linear + i * 4, ((i * PAGE_SIZE) | flags) >>> 0);
  for (let k = 0; k < tables && isGood; k++) {
    put(directory + k * 4, (linear + k * PAGE_SIZE) | flags);
    put(directory + (pgdIndex(PAGE_OFFSET) + k) * 4, (linear + k * PAGE_SIZE) | flags);
  }
  return isGood ? directory : null;
}

/** init_guest_pagetable: slot 0, with the first tables or (3.x) without. 0 or a negative error code. */
export function initGuestPagetable(guest: Guest): number {
  const { kernel, generation } = guest.module;
  let gpgdir = 0;
  if (generation.hasInitialTables) {
    const memory = getUser32(guest, BOOT_E820_SIZE);
    const initrdSize = getUser32(guest, BOOT_RAMDISK_SIZE);
    const directory = memory === null || initrdSize === null ? null : setupPagetables(guest, memory, initrdSize);
    if (directory === null) return Errno.EFAULT;
    gpgdir = directory;
  }
  const page = kernel.pages.allocate();
  if (page === 0) return Errno.ENOMEM;
  const slot: ShadowSlot = guest.pgdirs[0];
  slot.gpgdir = gpgdir;
  slot.pgdir = page;
  guest.cpu.cpuPgd = 0;
  guest.cpu.linearPages = !generation.hasInitialTables;
  return 0;
}

/** page_table_guest_data_init: part of LGUEST_INIT. */
export function pageTableGuestDataInit(cpu: Vcpu): void {
  const { guest } = cpu;
  const { data } = guest.module.generation;
  const at = guest.lguestData as number;
  const kernelAddress = getUser32(guest, at + data.kernelAddress);
  const written =
    kernelAddress !== null &&
    putUser32(guest, at + data.reserveMem, RESERVED_MEMORY) &&
    (data.pgdir === null || putUser32(guest, at + data.pgdir, guest.pgdirs[cpu.cpuPgd].gpgdir));
  if (!written) guest.kill(killText.badGuestPage(guest.memBase + at));
  guest.kernelAddress = kernelAddress ?? 0;
  if (pgdIndex(guest.kernelAddress) >= SWITCHER_PGD_INDEX) guest.kill(killText.badKernelAddress(guest.kernelAddress));
}

/** free_guest_pagetable. */
export function freeGuestPagetable(guest: Guest): void {
  releaseAllPagetables(guest);
  for (const slot of guest.pgdirs) {
    if (slot.pgdir !== 0) guest.module.kernel.pages.free(slot.pgdir);
    slot.pgdir = 0;
    slot.gpgdir = 0;
  }
}
