/**
 * The Switcher's part of every shadow table. Each CPU has one page table for the top 4 MiB, prepared when the module is loaded: the code,
 * this CPU's two pages, nothing of other CPUs. Before each entry it is hung into the shadow in use, and the guest's own register
 * page takes the place of the host's stack page.
 */
import { Pte } from "../../x86";
import { lguestPages, PAGE_SIZE, SWITCHER_ADDRESS, SWITCHER_PAGES } from "../switcher/layout";
import { type LguestModule, pagesPhysical } from "./core";
import { Errno } from "./errno";
import type { Vcpu } from "./guest";

/** Linux's _PAGE_KERNEL: the host uses global pages where it can, and the bit means nothing while CR4.PGE is off. */
const KERNEL_FLAGS = Pte.P | Pte.RW | Pte.A | Pte.D | Pte.G;
const READ_ONLY = Pte.P | Pte.A;
const STACK_FLAGS = Pte.P | Pte.RW | Pte.A;

/** init_pagetables: one table for each CPU. */
export function initPagetables(module: LguestModule): number {
  for (let cpu = 0; cpu < module.kernel.cpuCount; cpu++) {
    const page = module.kernel.pages.allocate();
    if (page === 0) {
      freePagetables(module);
      return Errno.ENOMEM;
    }
    module.switcherPtePages.push(page);
    populateSwitcherPtePage(module, cpu);
  }
  return 0;
}
/** free_pagetables. */
export function freePagetables(module: LguestModule): void {
  for (const page of module.switcherPtePages) module.kernel.pages.free(page);
  module.switcherPtePages = [];
}

export function populateSwitcherPtePage(module: LguestModule, cpu: number): void {
  const { kernel } = module;
  const table = module.switcherPtePages[cpu];
  for (let i = 0; i < SWITCHER_PAGES; i++) kernel.write32(table + i * 4, module.switcherPages[i] | READ_ONLY);
  const pages = pagesPhysical(module, cpu);
  const first = SWITCHER_PAGES + 2 * cpu;
  kernel.write32(table + first * 4, pages.stack | STACK_FLAGS);
  kernel.write32(table + (first + 1) * 4, pages.state | READ_ONLY);
}

/** map_switcher_in_guest. */
export function mapSwitcherInGuest(cpu: Vcpu, hostCpu: number): void {
  const { kernel, switcherPtePages } = cpu.guest.module;
  const table = switcherPtePages[hostCpu];
  kernel.write32(cpu.guest.pgdirs[cpu.cpuPgd].pgdir + (SWITCHER_ADDRESS >>> 22) * 4, table | KERNEL_FLAGS);
  const index = (lguestPages(hostCpu) / PAGE_SIZE) % 1024;
  kernel.write32(table + index * 4, cpu.regsPage | KERNEL_FLAGS);
}
