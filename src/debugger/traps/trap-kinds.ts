/*
 * The words of the trap log: coarse kinds, outcomes, worlds, exception names, and what error codes and hypercall
 * arguments mean. Codes are small integers in the log's typed arrays; here is what they stand for.
 *
 * SDM Vol. 3, table 6-1 (vectors) and 4.7, 6.13 (error codes); lguest's hypercalls by their own names.
 */
import { hex } from "../../base";

export const KINDS = [
  "hypercall",
  "asyncHypercall",
  "pageFault",
  "exception",
  "syscall",
  "interrupt",
  "hostInterrupt",
  "kill",
] as const;
export type TrapKind = (typeof KINDS)[number];

export const OUTCOMES = [
  "demand-paged",
  "reflected",
  "direct",
  "emulated",
  "rewritten",
  "hypercall",
  "interrupt",
  "ignored",
  "killed",
] as const;
export type TrapOutcome = (typeof OUTCOMES)[number];

export type World = "user" | "guest" | "switcher" | "host";

export const HYPERCALL_VECTOR = 31;
export const SYSCALL_VECTOR = 0x80;

/** Mnemonics of exceptions. SDM Vol. 3, table 6-1. */
export const EXCEPTIONS: Readonly<Record<number, { readonly name: string; readonly title: string }>> = {
  0: { name: "#DE", title: "divide error" },
  1: { name: "#DB", title: "debug exception" },
  2: { name: "NMI", title: "non-maskable interrupt" },
  3: { name: "#BP", title: "breakpoint (INT 3)" },
  4: { name: "#OF", title: "overflow" },
  5: { name: "#BR", title: "BOUND range exceeded" },
  6: { name: "#UD", title: "invalid opcode" },
  7: { name: "#NM", title: "device not available" },
  8: { name: "#DF", title: "double fault" },
  10: { name: "#TS", title: "invalid TSS" },
  11: { name: "#NP", title: "segment not present" },
  12: { name: "#SS", title: "stack fault" },
  13: { name: "#GP", title: "general protection" },
  14: { name: "#PF", title: "page fault" },
  16: { name: "#MF", title: "x87 floating-point error" },
  17: { name: "#AC", title: "alignment check" },
  18: { name: "#MC", title: "machine check" },
  19: { name: "#XM", title: "SIMD floating-point exception" },
};

/** Vectors whose delivery pushes an error code. SDM Vol. 3, 6.13. */
export const WITH_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);

export type ArgumentFormat =
  | "hex"
  | "decimal"
  | "linear"
  | "guestPhysical"
  | "nanoseconds"
  | "pages"
  | "selector"
  | "flags";

interface Parameter {
  readonly name: string;
  readonly format: ArgumentFormat;
  /** What a value means, where that can be said. */
  readonly meaning?: (value: number) => string | undefined;
}

const pageEntry = (value: number): string | undefined =>
  value & 1
    ? `frame ${hex(value & ~0xfff)}, ${value & 2 ? "writable" : "read-only"}, ${value & 4 ? "user" : "kernel"}`
    : value === 0
      ? "not mapped"
      : "not present";
const gateType = (value: number): string | undefined =>
  value & 0x8000
    ? `${((value >>> 8) & 0xf) === 0xf ? "trap gate" : "interrupt gate"}, DPL ${(value >>> 13) & 3}`
    : "not present";

/** Hypercalls of lguest, by number: name and arguments. */
export const HYPERCALLS: Readonly<
  Record<number, { readonly name: string; readonly parameters: readonly Parameter[] }>
> = {
  0: { name: "FLUSH_ASYNC", parameters: [] },
  1: { name: "LGUEST_INIT", parameters: [{ name: "lguest_data", format: "guestPhysical" }] },
  2: {
    name: "SHUTDOWN",
    parameters: [
      { name: "message", format: "guestPhysical" },
      { name: "why", format: "decimal", meaning: (v) => (v === 1 ? "power off" : v === 2 ? "restart" : undefined) },
    ],
  },
  4: { name: "NEW_PGTABLE", parameters: [{ name: "directory", format: "guestPhysical" }] },
  5: {
    name: "FLUSH_TLB",
    parameters: [{ name: "all", format: "decimal", meaning: (v) => (v ? "everything" : "the user part only") }],
  },
  6: {
    name: "LOAD_IDT_ENTRY",
    parameters: [
      { name: "vector", format: "decimal", meaning: (v) => EXCEPTIONS[v]?.name },
      { name: "low", format: "hex" },
      { name: "high", format: "hex", meaning: gateType },
    ],
  },
  7: {
    name: "SET_STACK",
    parameters: [
      { name: "ss", format: "selector" },
      { name: "esp", format: "linear" },
      { name: "pages", format: "pages" },
    ],
  },
  8: {
    name: "TS",
    parameters: [{ name: "set", format: "decimal", meaning: (v) => (v ? "FPU use traps" : "FPU use is free") }],
  },
  9: {
    name: "SET_CLOCKEVENT",
    parameters: [{ name: "delta", format: "nanoseconds", meaning: (v) => (v ? undefined : "timer off") }],
  },
  10: { name: "HALT", parameters: [] },
  13: {
    name: "SET_PMD",
    parameters: [
      { name: "pmd", format: "guestPhysical" },
      { name: "index", format: "decimal" },
    ],
  },
  14: {
    name: "SET_PTE",
    parameters: [
      { name: "directory", format: "guestPhysical" },
      { name: "address", format: "linear" },
      { name: "entry", format: "flags", meaning: pageEntry },
    ],
  },
  15: {
    name: "SET_PGD",
    parameters: [
      { name: "directory", format: "guestPhysical" },
      { name: "index", format: "decimal" },
    ],
  },
  16: {
    name: "LOAD_TLS",
    parameters: [
      { name: "descriptors", format: "guestPhysical" },
      { name: "cpu", format: "decimal" },
    ],
  },
  17: { name: "NOTIFY", parameters: [{ name: "address", format: "guestPhysical" }] },
  18: {
    name: "LOAD_GDT_ENTRY",
    parameters: [
      { name: "index", format: "decimal" },
      { name: "low", format: "hex" },
      { name: "high", format: "hex" },
    ],
  },
  19: { name: "SEND_INTERRUPTS", parameters: [] },
};

/** A hypercall's number by name, with or without `LHCALL_`. */
export function hypercallNumber(name: string): number | undefined {
  const plain = name.toUpperCase().replace(/^LHCALL_/, "");
  for (const [number, call] of Object.entries(HYPERCALLS)) {
    if (call.name === plain || (plain === "INIT" && call.name === "LGUEST_INIT")) return Number(number);
  }
  return undefined;
}

/** A vector by number, `#PF`, `PF`, or `int 0x80`; undefined when it is none. */
export function vectorNumber(text: string): number | undefined {
  const plain = text.trim().toUpperCase();
  for (const [vector, { name }] of Object.entries(EXCEPTIONS)) {
    if (name === plain || name.slice(1) === plain || name === `#${plain}`) return Number(vector);
  }
  const number = /^(?:INT\s*)?(0X[\dA-F]+|\d+)$/.exec(plain);
  if (number === null) return undefined;
  const value = Number(number[1]);
  return value <= 255 ? value : undefined;
}

/** An error code in words. */
export function errorCodeText(vector: number, error: number): string {
  if (vector === 14) {
    const access = error & 0x10 ? "execution" : error & 2 ? "write" : "read";
    return `${access} by ${error & 4 ? "user" : "kernel"}, ${error & 8 ? "reserved bit set" : error & 1 ? "page protected" : "page not present"}`;
  }
  if (error === 0) return "no selector involved";
  const table = error & 2 ? "IDT" : error & 4 ? "LDT" : "GDT";
  return `${table} entry ${error >>> 3}${error & 1 ? ", external event" : ""}`;
}

/** The bits of an error code. */
export function errorCodeBits(
  vector: number,
  error: number,
): { name: string; bit: number; width: number; value: number; meaning?: string }[] {
  const field = (name: string, bit: number, width: number, zero: string, one: string) => {
    const value = (error >>> bit) & ((1 << width) - 1);
    return { name, bit, width, value, meaning: value ? one : zero };
  };
  if (vector === 14) {
    return [
      field("I", 4, 1, "not an instruction fetch", "an instruction fetch"),
      field("RSVD", 3, 1, "no reserved bit", "a reserved bit was set"),
      field("US", 2, 1, "supervisor (rings 0 to 2)", "user (ring 3)"),
      field("WR", 1, 1, "a read", "a write"),
      field("P", 0, 1, "the page is not present", "the page is there, its rights forbid it"),
    ];
  }
  const index = error >>> 3;
  return [
    { name: "index", bit: 3, width: 13, value: index, meaning: `entry ${index}` },
    field("TI", 2, 1, "GDT", "LDT"),
    field("IDT", 1, 1, "a segment selector", "a vector of the IDT"),
    field("EXT", 0, 1, "by the instruction itself", "by an external event"),
  ];
}
