/**
 * Address translation without PAE: two levels, 4 KiB and 4 MiB pages, accessed and dirty bits, CR0.WP. SDM Vol. 3, 4.3, 4.6, 4.7.
 *
 * translate() answers from the TLB's physical part when it can, else walks the tables, sets A and D, and fills the TLB, so
 * that generated code finds the page next time. It does not throw: memory access from generated code checks FAULT_PENDING instead.
 */
import type { Cpu } from "../cpu";
import * as L from "../state-layout";
import { Cr0, Cr4, Vector } from "../state-layout";

export const enum Access {
  READ = 0,
  WRITE = 1,
  EXECUTE = 2,
}

/** Bits whose setting changes no translation: the walk itself sets them. */
const WALK_BITS = 0x60;

/** Whether a present entry's change from one value to another makes what was cached from it wrong. */
export function mattersToTlb(before: number, after: number): boolean {
  if (!(before & Pte.P)) return false;
  return ((before ^ after) & ~WALK_BITS) !== 0 || (before & ~after & WALK_BITS) !== 0;
}

/** Page-table entry bits. SDM Vol. 3, 4.3. */
export const Pte = { P: 1, RW: 2, US: 4, PWT: 8, PCD: 0x10, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const;
/** #PF error code bits. SDM Vol. 3, 4.7. */
export const PageFaultError = { PRESENT: 1, WRITE: 2, USER: 4, RESERVED: 8 } as const;

/**
 * Physical address for a linear one, or -1 after recording a page fault (FAULT_*, CR2).
 * Sets A and D bits and fills the TLB as a side effect of success.
 */
export function translate(cpu: Cpu, linear: number, access: Access, isUser: boolean): number {
  linear >>>= 0;
  const cached = cpu.tlb.lookup(linear, access === Access.WRITE, isUser);
  if (cached >= 0) return cached + (linear & 0xfff);
  if (!(cpu.u32[L.CR0 >> 2] & Cr0.PG)) {
    cpu.tlb.fill(linear, linear & ~0xfff, isUser, true);
    return linear;
  }
  const isWrite = access === Access.WRITE;
  const pdeAddress = ((cpu.u32[L.CR3 >> 2] & ~0xfff) + ((linear >>> 22) << 2)) >>> 0;
  const pde = cpu.readPhysical(pdeAddress, 4);
  if (!(pde & Pte.P)) return pageFault(cpu, linear, 0, isWrite, isUser);
  const wp = (cpu.u32[L.CR0 >> 2] & Cr0.WP) !== 0;
  if (pde & Pte.PS && cpu.u32[L.CR4 >> 2] & Cr4.PSE) {
    if (pde & 0x3fe000)
      return pageFault(cpu, linear, PageFaultError.PRESENT | PageFaultError.RESERVED, isWrite, isUser);
    if (!isAllowed(pde, isWrite, isUser, wp)) return pageFault(cpu, linear, PageFaultError.PRESENT, isWrite, isUser);
    const updated = pde | Pte.A | (isWrite ? Pte.D : 0);
    if (updated !== pde) cpu.writePhysical(pdeAddress, 4, updated);
    const page = ((pde & 0xffc00000) | (linear & 0x3ff000)) >>> 0;
    cpu.tlb.fill(linear, page, isUser, canWrite(updated, isUser, wp), true);
    cpu.tlb.noteTables(pdeAddress & ~0xfff, linear >>> 22, -1);
    return page + (linear & 0xfff);
  }
  const pteAddress = ((pde & ~0xfff) + (((linear >>> 12) & 0x3ff) << 2)) >>> 0;
  const pte = cpu.readPhysical(pteAddress, 4);
  if (!(pte & Pte.P)) return pageFault(cpu, linear, 0, isWrite, isUser);
  const both = pde & pte & (Pte.RW | Pte.US);
  if (!isAllowed(both, isWrite, isUser, wp)) return pageFault(cpu, linear, PageFaultError.PRESENT, isWrite, isUser);
  if (!(pde & Pte.A)) cpu.writePhysical(pdeAddress, 4, pde | Pte.A);
  const updated = pte | Pte.A | (isWrite ? Pte.D : 0);
  if (updated !== pte) cpu.writePhysical(pteAddress, 4, updated);
  const page = (pte & ~0xfff) >>> 0;
  cpu.tlb.fill(linear, page, isUser, canWrite(both | (updated & Pte.D), isUser, wp));
  cpu.tlb.noteTables(pdeAddress & ~0xfff, linear >>> 22, pteAddress & ~0xfff);
  return page + (linear & 0xfff);
}

function isAllowed(rights: number, isWrite: boolean, isUser: boolean, wp: boolean): boolean {
  if (isUser && !(rights & Pte.US)) return false;
  return !isWrite || (rights & Pte.RW) !== 0 || (!isUser && !wp);
}

/** A page may sit writable in the TLB only once its D bit is set. */
function canWrite(rights: number, isUser: boolean, wp: boolean): boolean {
  return (rights & Pte.D) !== 0 && ((rights & Pte.RW) !== 0 || (!isUser && !wp));
}

function pageFault(cpu: Cpu, linear: number, code: number, isWrite: boolean, isUser: boolean): -1 {
  cpu.u32[L.CR2 >> 2] = linear;
  cpu.u32[L.FAULT_PENDING >> 2] = 1;
  cpu.u32[L.FAULT_VECTOR >> 2] = Vector.PF;
  cpu.u32[L.FAULT_ERROR >> 2] = code | (isWrite ? PageFaultError.WRITE : 0) | (isUser ? PageFaultError.USER : 0);
  return -1;
}
