/**
 * The pages that host and Switcher share, field by field. They lie at the top of the linear address space, at the same addresses in
 * the host's page tables and in every shadow table; that is what lets the code survive its own change of CR3.
 *
 *     SWITCHER_ADDRESS           Switcher code, S pages                                  read-only in the guest
 *     + S*4096 + n*8192          CPU n: spare stack, and at its end struct lguest_regs   the guest's own register page
 *     + S*4096 + n*8192 + 4096   CPU n: struct lguest_ro_state                           read-only in the guest
 */

/** Top 4 MiB: what the last entry of a page directory covers. */
export const SWITCHER_ADDRESS = 0xffc00000;
/** Bytes at the top of linear memory that the guest must leave alone. */
export const RESERVED_MEMORY = 0x400000;
/** S: pages of Switcher code. */
export const SWITCHER_PAGES = 1;

export const PAGE_SIZE = 0x1000;

/** struct lguest_regs: byte offsets. The order is the order of the pushes on the way out, read upward. */
export const Regs = {
  eax: 0x00,
  ebx: 0x04,
  ecx: 0x08,
  edx: 0x0c,
  esi: 0x10,
  edi: 0x14,
  ebp: 0x18,
  gs: 0x1c,
  fs: 0x20,
  ds: 0x24,
  es: 0x28,
  trapnum: 0x2c,
  errcode: 0x30,
  eip: 0x34,
  cs: 0x38,
  eflags: 0x3c,
  esp: 0x40,
  ss: 0x44,
} as const;
export const REGS_SIZE = 72;
/** Offset of struct lguest_regs in its page: the last 72 bytes. */
export const REGS_OFFSET = PAGE_SIZE - REGS_SIZE;

/** struct lguest_pages: the state page follows the stack page. */
export const PAGES_SIZE = 2 * PAGE_SIZE;
export const STATE_OFFSET = PAGE_SIZE;

/** struct lguest_ro_state: byte offsets from the state page. */
export const State = {
  hostCr3: 0x000,
  /** Limit (16 bits) and base, as LIDT and LGDT take them. */
  hostIdtDescriptor: 0x004,
  hostGdtDescriptor: 0x00a,
  hostStack: 0x010,
  guestIdtDescriptor: 0x014,
  guestGdtDescriptor: 0x01a,
  guestTss: 0x020,
  guestIdt: 0x088,
  guestGdt: 0x888,
} as const;
export const STATE_SIZE = 0x988;

/** A 32-bit TSS: the members in use. SDM Vol. 3, 7.2.1. */
export const Tss = { sp0: 0x04, ss0: 0x08, sp1: 0x0c, ss1: 0x10, ioBitmapBase: 0x66 } as const;
export const TSS_SIZE = 104;

export const IDT_ENTRIES = 256;
export const GDT_ENTRIES = 32;

/** GDT indexes, the same in the host's and the guest's table. */
export const Gdt = {
  TLS_FIRST: 6,
  TLS_LAST: 8,
  LGUEST_CS: 10,
  LGUEST_DS: 11,
  KERNEL_CS: 12,
  KERNEL_DS: 13,
  USER_CS: 14,
  USER_DS: 15,
  TSS: 16,
  LDT: 17,
  DOUBLE_FAULT_TSS: 31,
} as const;
/** Selectors of the host's ring 0. */
export const LGUEST_CS = Gdt.LGUEST_CS * 8;
export const LGUEST_DS = Gdt.LGUEST_DS * 8;
export const HOST_CS = Gdt.KERNEL_CS * 8;
export const HOST_DS = Gdt.KERNEL_DS * 8;
export const TSS_SELECTOR = Gdt.TSS * 8;
/** Selectors of the guest's kernel: the same entries with RPL 1. */
export const GUEST_PL = 1;
export const GUEST_CS = HOST_CS | GUEST_PL;
export const GUEST_DS = HOST_DS | GUEST_PL;

/** Byte 5 of a TSS descriptor holds its type; this bit of it says "busy". */
export const TSS_BUSY_BYTE = Gdt.TSS * 8 + 5;
export const TSS_BUSY_BIT = 2;

/** Vector of a hypercall; and what the trap number says before a trap has happened. */
export const LGUEST_TRAP_ENTRY = 0x1f;
export const NO_TRAP = 256;

/** Linear address of struct lguest_pages of CPU `cpu` (SEED-03). */
export function lguestPages(cpu: number): number {
  return SWITCHER_ADDRESS + SWITCHER_PAGES * PAGE_SIZE + cpu * PAGES_SIZE;
}

/** Vectors for which the processor pushes an error code. */
export function hasErrorCode(vector: number): boolean {
  return vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
}
