/*
 * Named bits of EFLAGS, CR0, CR4 and page-table entries, with what each value means, highest bit first. One table per
 * register; views, hover texts and `info registers` all read these.
 *
 * SDM Vol. 1, 3.4.3 (EFLAGS); Vol. 3, 2.5 (control registers), 4.3 (page-table entries).
 */

export interface BitField {
  name: string;
  bit: number;
  width: number;
  value: number;
  meaning?: string;
}

interface FieldRow {
  readonly name: string;
  readonly bit: number;
  readonly width?: number;
  /** Meaning of 0 and of 1. */
  readonly zero?: string;
  readonly one?: string;
}

const EFLAGS: readonly FieldRow[] = [
  { name: "ID", bit: 21, zero: "", one: "CPUID can be toggled" },
  { name: "VIP", bit: 20, zero: "", one: "a virtual interrupt waits" },
  { name: "VIF", bit: 19, zero: "", one: "virtual interrupt flag" },
  { name: "AC", bit: 18, zero: "", one: "alignment is checked at ring 3" },
  { name: "VM", bit: 17, zero: "", one: "virtual-8086 mode" },
  { name: "RF", bit: 16, zero: "", one: "the next instruction ignores code breakpoints" },
  { name: "NT", bit: 14, zero: "", one: "IRET returns to the previous task" },
  { name: "IOPL", bit: 12, width: 2 },
  { name: "OF", bit: 11, zero: "no signed overflow", one: "signed overflow" },
  { name: "DF", bit: 10, zero: "strings go up", one: "strings go down" },
  { name: "IF", bit: 9, zero: "hardware interrupts are off", one: "hardware interrupts are on" },
  { name: "TF", bit: 8, zero: "", one: "trap after each instruction" },
  { name: "SF", bit: 7, zero: "positive", one: "negative" },
  { name: "ZF", bit: 6, zero: "not zero", one: "zero" },
  { name: "AF", bit: 4, zero: "no carry from bit 3", one: "carry from bit 3" },
  { name: "PF", bit: 2, zero: "odd parity", one: "even parity" },
  { name: "CF", bit: 0, zero: "no carry", one: "carry" },
];

const CR0: readonly FieldRow[] = [
  { name: "PG", bit: 31, zero: "paging is off", one: "paging is on" },
  { name: "CD", bit: 30, zero: "caches are on", one: "caches are off" },
  { name: "NW", bit: 29, zero: "", one: "not write-through" },
  { name: "AM", bit: 18, zero: "", one: "alignment checks can be enabled" },
  { name: "WP", bit: 16, zero: "supervisor may write read-only pages", one: "read-only pages bind the supervisor too" },
  { name: "NE", bit: 5, zero: "", one: "x87 errors raise #MF" },
  { name: "ET", bit: 4 },
  { name: "TS", bit: 3, zero: "FPU use is free", one: "FPU use raises #NM" },
  { name: "EM", bit: 2, zero: "", one: "there is no FPU" },
  { name: "MP", bit: 1, zero: "", one: "WAIT raises #NM with TS" },
  { name: "PE", bit: 0, zero: "real mode", one: "protected mode" },
];

const CR4: readonly FieldRow[] = [
  { name: "OSXMMEXCPT", bit: 10, zero: "", one: "SIMD errors raise #XM" },
  { name: "OSFXSR", bit: 9, zero: "", one: "SSE is enabled" },
  { name: "PCE", bit: 8, zero: "", one: "RDPMC at any ring" },
  { name: "PGE", bit: 7, zero: "no global pages", one: "global pages survive a CR3 load" },
  { name: "MCE", bit: 6, zero: "", one: "machine checks are enabled" },
  { name: "PAE", bit: 5, zero: "32-bit page-table entries", one: "64-bit page-table entries" },
  { name: "PSE", bit: 4, zero: "4 KiB pages only", one: "4 MiB pages are possible" },
  { name: "DE", bit: 3, zero: "", one: "I/O breakpoints" },
  { name: "TSD", bit: 2, zero: "RDTSC at any ring", one: "RDTSC at ring 0 only" },
  { name: "PVI", bit: 1, zero: "", one: "virtual interrupts in protected mode" },
  { name: "VME", bit: 0, zero: "", one: "virtual-8086 extensions" },
];

const TABLES: Readonly<Record<string, readonly FieldRow[]>> = { EFLAGS, CR0, CR4 };

/** The named bits of a register; undefined when it has none. */
export function fieldsOf(register: string, value: number): BitField[] | undefined {
  return TABLES[register.toUpperCase()]?.map((row) => {
    const width = row.width ?? 1;
    const field = (value >>> row.bit) & ((1 << width) - 1);
    const meaning = row.name === "IOPL" ? `I/O at rings 0 to ${field}` : field ? row.one : row.zero;
    return { name: row.name, bit: row.bit, width, value: field, ...(meaning ? { meaning } : {}) };
  });
}

/** Bits that have a name. The others are reserved. */
export function definedBits(register: string): number {
  const rows = TABLES[register.toUpperCase()] ?? [];
  return rows.reduce((mask, row) => mask | (((1 << (row.width ?? 1)) - 1) << row.bit), 0) >>> 0;
}

export interface PageFlags {
  present: boolean;
  writable: boolean;
  user: boolean;
  accessed: boolean;
  dirty: boolean;
  global: boolean;
  large: boolean;
}

export function pageFlags(entry: number): PageFlags {
  return {
    present: (entry & 1) !== 0,
    writable: (entry & 2) !== 0,
    user: (entry & 4) !== 0,
    accessed: (entry & 0x20) !== 0,
    dirty: (entry & 0x40) !== 0,
    global: (entry & 0x100) !== 0,
    large: (entry & 0x80) !== 0,
  };
}
