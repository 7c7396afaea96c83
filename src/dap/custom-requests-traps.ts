/*
 * Bodies of the custom requests about what happens between the guest and the host: ring1/trapLog, trapDetails,
 * trapLines, hypervisor. The log is a bounded ring that can hold a million entries, so a view asks for pages, counts
 * and a histogram, never for everything.
 *
 * Conventions and the list of all requests: custom-requests.ts.
 */

import type { BitField, CodeLocation, World } from "./custom-requests-common";
import type { ShadowSlot } from "./custom-requests-tables";

// ------------------------------------------------------------------------------------------------------------ trap log

/** The coarse kind of a trap-log entry; the view has one colour and word for each. */
export type TrapKind =
  | "hypercall"
  | "asyncHypercall"
  | "pageFault"
  | "exception"
  | "syscall"
  | "interrupt"
  | "hostInterrupt"
  | "kill";

/** What came of it, as in the command line's `--trap-log`. */
export type TrapOutcome =
  | "demand-paged"
  | "reflected"
  | "direct"
  | "emulated"
  | "rewritten"
  | "hypercall"
  | "interrupt"
  | "ignored"
  | "killed";

/**
 * One condition on entries. Terms with the same `key` are alternatives, different keys must all hold, and a term with
 * `not` must not hold. `text` terms are no alternatives: each must hold. Texts compare without case.
 */
export type TrapFilterTerm = { not?: boolean } & (
  | { key: "text" /** Part of name, hypercall name, symbol, path or detail. */; text: string }
  | { key: "vector"; from: number; to: number }
  | { key: "hypercall" /** Part of the name, or `*` for all. */; name?: string; number?: number }
  | { key: "event" /** `TrapRow.name`, all of it: `#PF`, `SET_PTE`. */; name: string }
  | { key: "world"; world: World }
  | { key: "outcome"; outcome: TrapOutcome }
  | { key: "kind"; kind: TrapKind }
  | { key: "symbol" /** Part of the symbol. */; symbol: string }
  | { key: "address" /** EIP or CR2 in this range, both ends included. */; from: number; to: number }
  | { key: "instruction"; from: number; to: number }
  | { key: "sequence"; from: number; to: number }
);

/**
 * `ring1/trapLog`. Rows that match the filter are numbered by ordinals: the first row that matched when the filter was
 * first used has some ordinal, each later one the next. While the filter stays the same an ordinal always means the
 * same row, also when old rows leave the ring, so a view can page and follow without jumping. Without a filter, ordinal
 * = sequence number.
 */
export interface TrapLogArguments {
  filter?: TrapFilterTerm[];
  /** Ordinal of the first row wanted; clipped to what is kept. Absent: no rows, only the figures. */
  start?: number;
  /** Number of rows wanted, at most 2000. Negative: the last -count rows. */
  count?: number;
  /** Asks for the activity histogram with this many buckets (at most 1000). */
  buckets?: number;
  /** Asks for `counts` (they cost a pass over the log the first time a filter is used). */
  withCounts?: boolean;
}

export interface TrapLogResponse {
  /** In order; may be fewer than asked. */
  rows: TrapRow[];
  /** Ordinal of `rows[0]`. */
  start: number;
  /** Ordinal of the oldest matching row that is kept. */
  firstOrdinal: number;
  /** Number of matching rows that are kept: ordinals firstOrdinal .. firstOrdinal + matching - 1. */
  matching: number;
  /** Entries kept, and sequence numbers of the oldest and the newest of them (0 when there is none). */
  total: number;
  firstSequence: number;
  lastSequence: number;
  /** Entries that have left the ring. */
  dropped: number;
  counts?: TrapCount[];
  histogram?: TrapHistogram;
}

/** How many matching rows there are of one event ("#PF", "SET_PTE"). Sorted by count, highest first. */
export interface TrapCount {
  kind: TrapKind;
  /** As `TrapRow.name`. */
  name: string;
  vector?: number;
  hypercall?: number;
  count: number;
}

/** Matching rows over the instruction count. */
export interface TrapHistogram {
  fromInstruction: number;
  toInstruction: number;
  /** For each kind that occurs, a count for each bucket. */
  counts: Partial<Record<TrapKind, number[]>>;
}

export interface TrapRow {
  /** Sequence number, from 1. */
  n: number;
  /** Ordinal in the filtered log. */
  ordinal: number;
  /** Instructions retired before it. */
  instructionCount: number;
  world: World;
  kind: TrapKind;
  vector: number;
  /** `#PF`, `int 0x80`, `SET_PTE`, `IRQ 0`. */
  name: string;
  /** Error code, when the vector has one. */
  error?: number;
  cpl: 0 | 1 | 2 | 3;
  /** Where the guest was. */
  at: CodeLocation;
  /** Linear address of a page fault. */
  cr2?: number;
  hypercall?: { number: number; name: string; args: number[]; async: boolean };
  outcome: TrapOutcome | null;
  /** Short addition that the log keeps, for example "write: 4" for a system call; may be empty. */
  detail?: string;
  /** Instructions until the guest ran again; null while it has not. */
  cost: number | null;
}

/** `ring1/trapDetails`: everything about one entry. */
export interface TrapDetailsArguments {
  n: number;
}

export interface TrapDetailsResponse {
  row: TrapRow;
  /** Hypercall arguments with names and units, or the parts of a fault. */
  arguments: TrapArgument[];
  /** Error code, taken apart. */
  errorBits?: BitField[];
  /** Guest registers at that moment; empty when the entry is too old to have them. */
  registers: { name: string; value: number }[];
  /** What the host did, and why. */
  why: string;
  /** Table entries concerned, for links. */
  gdtIndex?: number;
  idtVector?: number;
  /** Linear address whose translation matters. */
  linear?: number;
  /** The entry that this one led to, or came from (a reflected fault after a failed demand page). */
  related?: { n: number; why: string }[];
}

export interface TrapArgument {
  name: string;
  value: number;
  /** How a view should write it. */
  format: "hex" | "decimal" | "linear" | "guestPhysical" | "nanoseconds" | "pages" | "selector" | "flags";
  /** For `linear`. */
  location?: CodeLocation;
  meaning?: string;
}

/** `ring1/trapLines`: which source lines trapped since a sequence number, for editor decorations. */
export interface TrapLinesArguments {
  sinceSequence: number;
}

export interface TrapLinesResponse {
  lines: { path: string; line: number; events: { name: string; count: number }[] }[];
}

// ---------------------------------------------------------------------------------------------------------- hypervisor

/** `ring1/hypervisor`: what the host is about to do. */
export interface HypervisorResponse {
  abi: "2.6.32" | "3.x";
  quirks: "faithful" | "fixed";
  /** LGUEST_INIT was seen. */
  initialised: boolean;
  /** Guest-physical address of lguest_data; null before LGUEST_INIT. */
  lguestData: number | null;
  kernelAddress: number | null;
  /** Addresses where no interrupt is injected; null when the range is empty. */
  noirq: { start: number; end: number } | null;
  halted: boolean;
  /** Raw words of lguest_data. */
  irqEnabled: number;
  irqPending: number;
  interrupts: { irq: number; name: string; pending: boolean; blocked: boolean; vector: number }[];
  /** Why the next pending interrupt is not delivered now; absent when none waits. */
  waitsBecause?: string;
  timer: { armed: boolean /** Instruction count when it fires. */; dueInstruction?: number; dueInNanoseconds?: number };
  /** Next ring slot the host looks at, and the 64 slots. */
  ring: { next: number; slots: RingSlot[] };
  slots: ShadowSlot[];
  /** Parts that are copied before the next entry. */
  changed: { idt: boolean; gdt: boolean; tls: boolean };
  /** Kernel stack for entries from ring 3. */
  stack: { ss1: number; esp1: number; pages: number };
  ts: boolean;
  /** The emulated physical CPU, and the one whose pages the guest used last. */
  cpu: number;
  lastCpu: number | null;
  cpuCount: number;
  devices: DeviceState[];
  lastExit: { n: number; vector: number; name: string; why: string } | null;
  /** Kill text, when the guest is dead. */
  dead?: string;
}

export interface RingSlot {
  index: number;
  /** The status byte is not 0xFF. */
  pending: boolean;
  number: number;
  name: string;
  args: number[];
}

export interface DeviceState {
  /** "console", "block /path", "rng". */
  name: string;
  /** Virtio device type. */
  type: number;
  /** Descriptor's guest-physical address. */
  guestPhysical: number;
  status: number;
  statusBits: BitField[];
  features: number;
  ackedFeatures: number;
  queues: { index: number; irq: number; guestPhysical: number; size: number; available: number; used: number }[];
}
