/*
 * Bodies of the custom requests about tables and registers: ring1/registers, gdt, idt, pageTables, translate.
 * Everything the guest defines is there twice, as the guest wrote it and as the CPU sees it, with the reason for each
 * difference.
 *
 * Conventions and the list of all requests: custom-requests.ts. Intel SDM Vol. 3, chapters 2 to 6.
 */

import type { BitField, CodeLocation, World } from "./custom-requests-common";

// ----------------------------------------------------------------------------------------------------------- registers

/** `ring1/registers`. Valid while stopped; while running it answers with the state between two slices. */
export interface RegistersResponse {
  instructionCount: number;
  world: World;
  /** Current privilege level. */
  ring: 0 | 1 | 2 | 3;
  groups: RegisterGroup[];
}

/**
 * Groups come in this order; those that the machine does not have are left out. `believes` holds what the guest
 * believes beside what is: virtual IF, CR2, CR3, TS, kernel stack.
 */
export type RegisterGroupId =
  | "general"
  | "flags"
  | "segments"
  | "believes"
  | "control"
  | "system"
  | "debug"
  | "msr"
  | "fpu"
  | "mmx"
  | "sse";

export interface RegisterGroup {
  id: RegisterGroupId;
  rows: RegisterRow[];
}

export interface RegisterRow {
  /** Unique in the answer, and the name that `ring1/setRegister` takes: `EAX`, `CS`, `CR3`, `irq_enabled`, `esp1`. */
  name: string;
  /** The value; for registers wider than 32 bits the low 32 bits, with `wide` holding all of it. */
  value: number;
  /** All bits as hexadecimal digits without prefix, for registers wider than 32 bits. */
  wide?: string;
  /** Width in bits. */
  bits: number;
  editable: boolean;
  /** Named bits, highest first (EFLAGS, CR0, CR4). */
  fields?: BitField[];
  /** Present for EIP and for every value that points at a symbol. */
  location?: CodeLocation;
  /** Present for segment registers. */
  segment?: SegmentState;
  /** One sentence: what the value means ("interrupts are off for the guest"), or how belief and truth differ. */
  meaning?: string;
}

/** A segment register's hidden part, and the table entry it was loaded from. */
export interface SegmentState {
  selector: number;
  hidden: Descriptor;
  /** What the table holds now, when that is not what was loaded. */
  table?: Descriptor;
  /** Why the two differ, for example "the entry was changed after CS was loaded". */
  why?: string;
}

/** `ring1/setRegister`. A refused value fails the request with the reason (reserved bit, selector beyond the limit). */
export interface SetRegisterArguments {
  /** A `RegisterRow.name`. */
  name: string;
  /** An expression as in `evaluate`: `0x1000`, `eax + 4`, `kernel_main`. */
  value: string;
  /** Sets only this field of the register (`IF` of `EFLAGS`). */
  field?: string;
  /** Checks the value and answers with what would be written, without writing. */
  validateOnly?: boolean;
}

export interface SetRegisterResponse {
  /** The register's value afterwards (or what it would be). */
  value: number;
}

// --------------------------------------------------------------------------------------------------------- descriptors

export type DescriptorKind =
  | "null"
  | "code"
  | "data"
  | "ldt"
  | "tss16"
  | "tss32"
  | "callGate16"
  | "callGate32"
  | "taskGate"
  | "reserved";

/** One 8-byte GDT entry, decoded. */
export interface Descriptor {
  /** The two words as they lie in memory. */
  low: number;
  high: number;
  kind: DescriptorKind;
  base: number;
  /** Last valid offset in bytes, granularity applied. */
  limit: number;
  dpl: 0 | 1 | 2 | 3;
  present: boolean;
  /** D/B bit: 32-bit code, or a 32-bit stack. */
  is32Bit: boolean;
  /** G bit: the limit counts pages. */
  isPageGranular: boolean;
  /** Code: may be read. Data: always true. */
  isReadable: boolean;
  /** Data: may be written. Code: always false. */
  isWritable: boolean;
  /** Code: conforming. */
  isConforming: boolean;
  /** Data: expand-down. */
  isExpandDown: boolean;
  /** Accessed (code, data) or busy (TSS). */
  isAccessed: boolean;
}

/** `ring1/gdt`. */
export interface GdtResponse {
  /** Linear base and limit in bytes of the GDT that the CPU uses while the guest runs. */
  base: number;
  limit: number;
  entries: GdtRow[];
}

export interface GdtRow {
  index: number;
  /** `index * 8`. */
  selector: number;
  /** What lguest uses the entry for: "kernel code", "TLS 1", "TSS"; absent when it is free. */
  role?: string;
  /** As the guest gave it; null when it never did. */
  guest: Descriptor | null;
  /** As the CPU has it. */
  cpu: Descriptor;
  /** `hostOnly`: the guest's value is kept aside and never used. `fixed`: DPL raised or accessed set. */
  state: "same" | "fixed" | "hostOnly" | "pending";
  /** Why guest and CPU differ. Absent when they do not. */
  why?: string;
  /** Segment registers that hold this selector now. */
  usedBy?: string[];
}

export type GateKind = "interrupt16" | "interrupt32" | "trap16" | "trap32" | "task" | "invalid";

/** One 8-byte IDT entry, decoded. */
export interface Gate {
  low: number;
  high: number;
  kind: GateKind;
  selector: number;
  /** Where the handler is, with its symbol. */
  target: CodeLocation;
  dpl: 0 | 1 | 2 | 3;
  present: boolean;
}

/**
 * What happens when the vector fires in the guest: `direct` the CPU enters the guest's handler without the host;
 * `reflected` the host is entered and delivers it; `host` the host handles it and may reflect it (6, 7, 13, 14);
 * `hypercall` vector 31; `interrupt` a virtual interrupt that the host injects; `swallowed` the guest never learns of
 * it; `kills` no handler, the guest dies; `refused` INT n faults with #GP because of the gate's DPL.
 */
export type TrapDelivery =
  | "direct"
  | "reflected"
  | "host"
  | "hypercall"
  | "interrupt"
  | "swallowed"
  | "kills"
  | "refused";

/** `ring1/idt`: always 256 entries; folding equal neighbours is the view's. */
export interface IdtResponse {
  base: number;
  limit: number;
  entries: IdtRow[];
}

export interface IdtRow {
  vector: number;
  /** `#PF`, `IRQ 1 (console)`, `hypercall`; absent when the vector has no name. */
  name?: string;
  /** As the guest gave it; null when it never did, or when it was ignored. */
  guest: Gate | null;
  /** As the CPU has it. */
  cpu: Gate;
  delivery: TrapDelivery;
  /** One sentence: why it is delivered like that, and why guest and CPU differ. */
  why: string;
  /** Times this vector fired since the start, direct ones included. */
  count: number;
  /** A break on this vector is set. */
  breaks: boolean;
}

// --------------------------------------------------------------------------------------------------------- page tables

/** Flag bits of a page-table entry, as the manual numbers them, are kept in `entry`; these are the ones views name. */
export interface PageFlags {
  present: boolean;
  writable: boolean;
  user: boolean;
  accessed: boolean;
  dirty: boolean;
  global: boolean;
  /** PS bit: a 4 MiB page (only in a directory entry). */
  large: boolean;
}

/** `ring1/pageTables` without `directory`: the tables and their top level. */
export interface PageTablesArguments {
  /** Shadow slot 0..3; the one in use when absent. */
  slot?: number;
  /** Opens these directory entries (first and last index, as a `PageRegion` gave them). Absent: the top level. */
  directory?: { first: number; last: number };
}

export interface PageTablesResponse {
  slots: ShadowSlot[];
  /** The slot this answer is about. */
  slot: number;
  /** First address that the guest declared as kernel; null before LGUEST_INIT. */
  kernelAddress: number | null;
  /** First address that belongs to the Switcher. */
  switcherAddress: number;
  /** The guest has no table yet: the host maps linear = guest-physical (3.x before the first NEW_PGTABLE). */
  isLinear: boolean;
  /** Top level. Covers 4 GiB without gaps: holes are regions too. Empty when `directory` was asked for. */
  regions: PageRegion[];
  /** Pages of the asked directory entries, merged, without gaps. Empty for the top level. */
  ranges: PageRange[];
}

export interface ShadowSlot {
  slot: number;
  /** Guest-physical address of the guest's top-level table; null when the slot is free. */
  guestTable: number | null;
  /** Host-physical address of the shadow's top-level table; null when it was never filled. */
  shadowTable: number | null;
  inUse: boolean;
}

/** One or more neighbouring directory entries with the same meaning. */
export interface PageRegion {
  /** First and last linear address. */
  start: number;
  end: number;
  /** Directory indexes 0..1023. */
  first: number;
  last: number;
  kind: "mapped" | "hole" | "switcher";
  /** Set when `kind` is `mapped` and all entries share them: the directory entry's own flags. */
  guestFlags?: PageFlags;
  shadowFlags?: PageFlags;
  /** Raw words of the first entry; 0 when absent. */
  guestEntry: number;
  shadowEntry: number;
  /** Where the first page maps to, when the region maps to one contiguous piece. */
  guestPhysical?: number;
  /** Present pages in the guest's tables, and how many of them the shadow has filled. */
  guestPages: number;
  shadowPages: number;
  /** Pages in the shadow that the guest's tables do not explain (stale), and pages whose rights differ. */
  differences: number;
  /** For `switcher`, or when an entry is bad: one sentence. */
  why?: string;
}

/**
 * How a shadow range stands to the guest's: `same`; `readOnly` until first written, so that the dirty bit can be set;
 * `notFilled` first touch will trap; `stale` the shadow has what the guest's table no longer says; `switcher`; `hole`
 * neither side maps it; `differs` anything else, with `why`.
 */
export type ShadowState = "same" | "readOnly" | "notFilled" | "stale" | "switcher" | "hole" | "differs";

/** Neighbouring pages whose physical addresses are contiguous (or absent) and whose flags and state are equal. */
export interface PageRange {
  start: number;
  end: number;
  guest: PageMapping | null;
  shadow: PageMapping | null;
  state: ShadowState;
  why?: string;
}

export interface PageMapping {
  /** Physical address of the first page: guest-physical in `guest`, host-physical in `shadow`. */
  physical: number;
  flags: PageFlags;
  /** Raw word of the first page's entry. */
  entry: number;
}

/** `ring1/translate`. */
export interface TranslateArguments {
  /** Evaluated as in `evaluate`; the result is a linear address. */
  expression: string;
  /** Shadow slot; the one in use when absent. */
  slot?: number;
}

export interface TranslateResponse {
  linear: CodeLocation;
  slot: number;
  guestWalk: WalkStep[];
  shadowWalk: WalkStep[];
  /** Result of each walk; null when it ends early. */
  guestPhysical: number | null;
  hostPhysical: number | null;
  /** Six of them: read, write, execute from ring 1, then from ring 3. */
  accesses: AccessOutcome[];
  /** One sentence that sums it up. */
  why: string;
}

export interface WalkStep {
  level: "directory" | "table";
  index: number;
  /** Physical address of the entry: guest-physical in `guestWalk`, host-physical in `shadowWalk`. */
  entryAddress: number;
  /** The raw word; null when it cannot be read. */
  entry: number | null;
  flags: PageFlags | null;
  /** Where it points: a table or a page. */
  physical: number | null;
  /** Why the walk ends here, or what is special. */
  why?: string;
}

export interface AccessOutcome {
  ring: 1 | 3;
  access: "read" | "write" | "execute";
  /**
   * `allowed` at once; `demandPaged` traps once, the host fills the shadow, then it is allowed; `faults` the guest gets
   * a page fault; `kills` the guest dies.
   */
  result: "allowed" | "demandPaged" | "faults" | "kills";
  /** #PF error code when it traps. */
  errorCode?: number;
  why: string;
}
