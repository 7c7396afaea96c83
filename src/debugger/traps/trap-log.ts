/*
 * The trap log: every transition between guest and host, always on. A ring of typed arrays, a column for each field, so
 * that an entry costs a few stores and a million entries fit in some sixty megabytes; the ring starts small and grows.
 * Strings are numbered once and never stored per entry; symbols are looked up when somebody reads.
 *
 *     sequence n (from 1)  ->  slot (n - 1) % capacity           registers: only of the newest 65 536 entries
 *
 * Next: trap-filter.ts (which entries), trap-queries.ts (pages of them).
 */
import type { GuestEvent, GuestRegisters } from "../../lguest";
import { HYPERCALL_VECTOR, KINDS, OUTCOMES, SYSCALL_VECTOR, type TrapKind } from "./trap-kinds";

const FIRST_CAPACITY = 1 << 14;
const REGISTER_ENTRIES = 1 << 16;
const MAX_STRINGS = 60_000;
/** Registers that are kept for the latest entries. */
export const REGISTER_NAMES = [
  "eax",
  "ebx",
  "ecx",
  "edx",
  "esi",
  "edi",
  "ebp",
  "esp",
  "eip",
  "eflags",
  "cs",
  "ss",
  "ds",
  "es",
  "fs",
  "gs",
] as const satisfies readonly (keyof GuestRegisters)[];
const NO_COST = 0xffffffff;
const NO_OUTCOME = 255;

/** Bits of the flags column. */
const HAS_ERROR = 1;
const HAS_CR2 = 2;
const IS_HYPERCALL = 4;
const IS_ASYNC = 8;
const FROM_USER = 16;

interface Columns {
  readonly instruction: Float64Array;
  readonly eip: Uint32Array;
  readonly cr2: Uint32Array;
  readonly error: Uint32Array;
  readonly cost: Uint32Array;
  readonly args: Uint32Array;
  readonly hypercall: Uint32Array;
  readonly vector: Uint16Array;
  readonly name: Uint16Array;
  readonly detail: Uint16Array;
  readonly call: Uint16Array;
  readonly kind: Uint8Array;
  readonly outcome: Uint8Array;
  readonly cpl: Uint8Array;
  readonly flags: Uint8Array;
  readonly argCount: Uint8Array;
}

/** One entry, unpacked. */
export interface TrapEntry {
  readonly n: number;
  readonly instructionCount: number;
  readonly world: "user" | "guest";
  readonly kind: TrapKind;
  readonly vector: number;
  readonly name: string;
  readonly error?: number;
  readonly cpl: 0 | 1 | 2 | 3;
  readonly eip: number;
  readonly cr2?: number;
  readonly hypercall?: { number: number; name: string; args: number[]; async: boolean };
  readonly outcome: (typeof OUTCOMES)[number] | null;
  readonly detail: string;
  readonly cost: number | null;
}

export class TrapLog {
  private columns = allocate(FIRST_CAPACITY);
  private capacity = FIRST_CAPACITY;
  private last = 0;
  private dropped = 0;
  private readonly strings: string[] = [""];
  private readonly stringIds = new Map<string, number>([["", 0]]);
  private readonly open = new Map<GuestEvent, number>();
  private readonly registerRing = new Uint32Array(REGISTER_ENTRIES * REGISTER_NAMES.length);
  private readonly registerOwner = new Float64Array(REGISTER_ENTRIES);
  /** How often each vector fired since the start, direct ones included. */
  readonly vectorCounts = new Float64Array(257);

  /** @param limit entries kept at most, a power of two. */
  constructor(private readonly limit = 1 << 20) {
    if (limit < this.capacity) {
      this.capacity = limit;
      this.columns = allocate(limit);
    }
  }

  get lastSequence(): number {
    return this.last;
  }
  /** 0 when the log is empty. */
  get firstSequence(): number {
    return this.total === 0 ? 0 : this.dropped + 1;
  }
  get total(): number {
    return this.last - this.dropped;
  }
  get droppedCount(): number {
    return this.dropped;
  }

  /** Enters an event; outcome and cost follow by update(). Gives its sequence number. */
  append(event: GuestEvent): number {
    if (this.total === this.capacity) {
      if (this.capacity < this.limit) this.grow();
      else this.dropped++;
    }
    const n = ++this.last;
    const slot = this.slot(n);
    const c = this.columns;
    const call = event.hypercall;
    c.instruction[slot] = event.instructionCount;
    c.eip[slot] = event.eip;
    c.cr2[slot] = event.cr2 ?? 0;
    c.error[slot] = event.errorCode ?? 0;
    c.vector[slot] = event.vector;
    c.name[slot] = this.intern(event.name);
    c.kind[slot] = KINDS.indexOf(kindOf(event));
    c.cpl[slot] = event.cpl;
    c.hypercall[slot] = call?.number ?? 0;
    c.call[slot] = call === undefined ? 0 : this.intern(call.name);
    const argCount = call === undefined ? 0 : Math.min(call.args.length, 4);
    c.argCount[slot] = argCount;
    for (let i = 0; i < argCount; i++) c.args[slot * 4 + i] = call!.args[i];
    c.flags[slot] =
      (event.errorCode !== undefined ? HAS_ERROR : 0) |
      (event.cr2 !== undefined ? HAS_CR2 : 0) |
      (call !== undefined ? IS_HYPERCALL | (call.async ? IS_ASYNC : 0) : 0) |
      (event.world === "user" ? FROM_USER : 0);
    this.keepRegisters(n, event.registers);
    if (event.vector <= 256 && event.kind !== "async" && event.kind !== "kill") this.vectorCounts[event.vector]++;
    this.write(slot, event);
    this.open.set(event, n);
    return n;
  }

  /** The event knows more now. With `isFinished` nothing more will come. */
  update(event: GuestEvent, isFinished: boolean): void {
    const n = this.open.get(event);
    if (n === undefined) return;
    if (n > this.dropped) this.write(this.slot(n), event);
    if (isFinished) this.open.delete(event);
  }

  /** Sequence number of an event that is not finished; 0 when it is not here. */
  sequenceOf(event: GuestEvent): number {
    return this.open.get(event) ?? 0;
  }

  /** Everything about an entry; undefined when it is not kept (any more). */
  entry(n: number): TrapEntry | undefined {
    if (!(n > this.dropped && n <= this.last)) return undefined;
    const slot = this.slot(n);
    const c = this.columns;
    const flags = c.flags[slot];
    const outcome = c.outcome[slot];
    return {
      n,
      instructionCount: c.instruction[slot],
      world: flags & FROM_USER ? "user" : "guest",
      kind: KINDS[c.kind[slot]],
      vector: c.vector[slot],
      name: this.strings[c.name[slot]],
      ...(flags & HAS_ERROR ? { error: c.error[slot] } : {}),
      cpl: c.cpl[slot] as 0 | 1 | 2 | 3,
      eip: c.eip[slot],
      ...(flags & HAS_CR2 ? { cr2: c.cr2[slot] } : {}),
      ...(flags & IS_HYPERCALL
        ? {
            hypercall: {
              number: c.hypercall[slot],
              name: this.strings[c.call[slot]],
              args: [...c.args.subarray(slot * 4, slot * 4 + c.argCount[slot])],
              async: (flags & IS_ASYNC) !== 0,
            },
          }
        : {}),
      outcome: outcome === NO_OUTCOME ? null : OUTCOMES[outcome],
      detail: this.strings[c.detail[slot]],
      cost: c.cost[slot] === NO_COST ? null : c.cost[slot],
    };
  }

  /** Guest registers at an entry; undefined when they are not kept. */
  registersOf(n: number): { name: string; value: number }[] | undefined {
    const index = n % REGISTER_ENTRIES;
    if (this.registerOwner[index] !== n) return undefined;
    const at = index * REGISTER_NAMES.length;
    return REGISTER_NAMES.map((name, i) => ({ name, value: this.registerRing[at + i] }));
  }

  // -- columns, for filters and histograms: no check, `n` must be kept
  // --------------------------------------------------------
  instructionAt(n: number): number {
    return this.columns.instruction[this.slot(n)];
  }
  eipAt(n: number): number {
    return this.columns.eip[this.slot(n)];
  }
  cr2At(n: number): number | undefined {
    const slot = this.slot(n);
    return this.columns.flags[slot] & HAS_CR2 ? this.columns.cr2[slot] : undefined;
  }
  vectorAt(n: number): number {
    return this.columns.vector[this.slot(n)];
  }
  /** Index into KINDS. */
  kindAt(n: number): number {
    return this.columns.kind[this.slot(n)];
  }
  /** Index into OUTCOMES, or 255. */
  outcomeAt(n: number): number {
    return this.columns.outcome[this.slot(n)];
  }
  isUserAt(n: number): boolean {
    return (this.columns.flags[this.slot(n)] & FROM_USER) !== 0;
  }
  /** Number of the string of its name, hypercall name and detail. */
  nameIdAt(n: number): number {
    return this.columns.name[this.slot(n)];
  }
  callIdAt(n: number): number {
    return this.columns.call[this.slot(n)];
  }
  detailIdAt(n: number): number {
    return this.columns.detail[this.slot(n)];
  }
  /** Hypercall number, or undefined. */
  hypercallAt(n: number): number | undefined {
    const slot = this.slot(n);
    return this.columns.flags[slot] & IS_HYPERCALL ? this.columns.hypercall[slot] : undefined;
  }
  string(id: number): string {
    return this.strings[id];
  }

  private slot(n: number): number {
    return (n - 1) % this.capacity;
  }

  private write(slot: number, event: GuestEvent): void {
    const c = this.columns;
    c.outcome[slot] = event.outcome == null ? NO_OUTCOME : OUTCOMES.indexOf(event.outcome);
    c.detail[slot] = this.intern(event.kind === "kill" && event.detail === "" ? (event.reason ?? "") : event.detail);
    c.cost[slot] = event.cost === null ? NO_COST : Math.min(event.cost, NO_COST - 1);
  }

  private intern(text: string): number {
    const known = this.stringIds.get(text);
    if (known !== undefined) return known;
    // A guest could make ever new texts; beyond this many they are left out.
    if (this.strings.length >= MAX_STRINGS) return 0;
    const id = this.strings.push(text) - 1;
    this.stringIds.set(text, id);
    return id;
  }

  private keepRegisters(n: number, registers: GuestRegisters): void {
    const index = n % REGISTER_ENTRIES;
    const at = index * REGISTER_NAMES.length;
    for (let i = 0; i < REGISTER_NAMES.length; i++) this.registerRing[at + i] = registers[REGISTER_NAMES[i]];
    this.registerOwner[index] = n;
  }

  /** Doubles the ring. Before the first drop slots are in order, so columns are copied as they are. */
  private grow(): void {
    const next = allocate(this.capacity * 2);
    for (const key of Object.keys(next) as (keyof Columns)[]) {
      (next[key] as { set(from: ArrayLike<number>): void }).set(this.columns[key]);
    }
    this.columns = next;
    this.capacity *= 2;
  }
}

/** The coarse kind of an event. */
export function kindOf(event: Pick<GuestEvent, "kind" | "vector">): TrapKind {
  switch (event.kind) {
    case "async":
      return "asyncHypercall";
    case "interrupt":
      return "interrupt";
    case "kill":
      return "kill";
    default:
      if (event.kind === "trap" && event.vector === HYPERCALL_VECTOR) return "hypercall";
      if (event.vector === 14) return "pageFault";
      if (event.vector === SYSCALL_VECTOR || (event.kind === "direct" && event.vector >= 32)) return "syscall";
      return event.vector >= 32 && event.vector < 256 ? "hostInterrupt" : "exception";
  }
}

function allocate(capacity: number): Columns {
  return {
    instruction: new Float64Array(capacity),
    eip: new Uint32Array(capacity),
    cr2: new Uint32Array(capacity),
    error: new Uint32Array(capacity),
    cost: new Uint32Array(capacity),
    args: new Uint32Array(capacity * 4),
    hypercall: new Uint32Array(capacity),
    vector: new Uint16Array(capacity),
    name: new Uint16Array(capacity),
    detail: new Uint16Array(capacity),
    call: new Uint16Array(capacity),
    kind: new Uint8Array(capacity),
    outcome: new Uint8Array(capacity),
    cpl: new Uint8Array(capacity),
    flags: new Uint8Array(capacity),
    argCount: new Uint8Array(capacity),
  };
}
