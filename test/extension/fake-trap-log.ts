// A trap log of any length without an engine: each row is computed from its number, so a million rows cost nothing, and
// filters, counts and histogram are answered as the adapter must answer them.
import type {
  TrapCount,
  TrapDetailsResponse,
  TrapFilterTerm,
  TrapKind,
  TrapLogArguments,
  TrapLogResponse,
  TrapRow,
} from "../../src/dap";

const MAX_COUNT = 2000;

/** A number that looks random and is always the same for the same input. */
function scatter(value: number): number {
  let hash = Math.imul(value ^ 0x9e3779b9, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const EVENTS: readonly ((n: number, seed: number) => Partial<TrapRow>)[] = [
  (_n, seed) => ({
    kind: "hypercall",
    vector: 31,
    name: "SET_PTE",
    hypercall: {
      number: 14,
      name: "SET_PTE",
      args: [0x01276000, (0xc0100000 + (seed % 512) * 4096) >>> 0, 0x00104063],
      async: false,
    },
    outcome: "hypercall",
    at: { address: 0xc0106a2f, symbol: "lguest_set_pte", offset: 0x1f, path: "/k/arch/x86/lguest/pgtable.c", line: 88 },
    cost: 412,
  }),
  (_n, seed) => ({
    kind: "pageFault",
    vector: 14,
    name: "#PF",
    error: 2,
    cr2: (0xc0104000 + (seed % 4096)) >>> 0,
    outcome: seed % 3 === 0 ? "reflected" : "demand-paged",
    at: { address: 0xc0100123, symbol: "kernel_main", offset: 0x13, path: "/k/main.c", line: 57 },
    cost: 655,
  }),
  () => ({
    kind: "syscall",
    vector: 0x80,
    name: "int 0x80",
    detail: "4: write",
    world: "user",
    cpl: 3,
    outcome: "direct",
    at: { address: 0x00400824, symbol: "user_loop", offset: 0x24, path: "/k/user.c", line: 12 },
    cost: 0,
  }),
  () => ({
    kind: "asyncHypercall",
    vector: 31,
    name: "LOAD_TLS",
    hypercall: { number: 16, name: "LOAD_TLS", args: [0x0018a040, 0], async: true },
    outcome: "hypercall",
    at: { address: 0xc0107110, symbol: "lguest_load_tls", offset: 0x8, path: "/k/arch/x86/lguest/boot.c", line: 412 },
    cost: 96,
  }),
  () => ({
    kind: "interrupt",
    vector: 32,
    name: "IRQ 0",
    detail: "timer",
    outcome: "interrupt",
    at: { address: 0xc0101200, symbol: "idle", offset: 0x4, path: "/k/sched.c", line: 31 },
    cost: 220,
  }),
  () => ({
    kind: "exception",
    vector: 13,
    name: "#GP",
    error: 0,
    detail: "out 0x20, al",
    outcome: "emulated",
    at: { address: 0xc01002f1 },
    cost: 388,
  }),
];

/** Row `n` (from 1) of the fake log. */
export function fakeRow(n: number): TrapRow {
  const seed = scatter(n);
  const phase = Math.floor(n / 5000) % 4;
  const pick = [0, 0, 0, 1, 3, 3, 2, 4, phase, 1][seed % 10]!;
  const event = seed % 401 === 0 ? 5 : pick;
  return {
    n,
    ordinal: n,
    instructionCount: n * 401 + (seed % 97),
    world: "guest",
    cpl: 1,
    kind: "hypercall",
    vector: 31,
    name: "",
    at: { address: 0 },
    outcome: null,
    cost: null,
    ...EVENTS[event]!(n, seed),
  };
}

/** Whether a row meets a filter, as `TrapFilterTerm` says. */
export function matchesFilter(row: TrapRow, filter: readonly TrapFilterTerm[]): boolean {
  const alternatives = new Map<string, boolean>();
  for (const term of filter) {
    const holds = meets(row, term);
    if (term.not || term.key === "text") {
      if (holds === (term.not === true)) {
        return false;
      }
    } else {
      alternatives.set(term.key, alternatives.get(term.key) === true || holds);
    }
  }
  return [...alternatives.values()].every((holds) => holds);
}

function meets(row: TrapRow, term: TrapFilterTerm): boolean {
  const has = (text: string | undefined, part: string): boolean =>
    (text ?? "").toLowerCase().includes(part.toLowerCase());
  switch (term.key) {
    case "text":
      return [row.name, row.hypercall?.name, row.at.symbol, row.at.path, row.detail].some((text) =>
        has(text, term.text),
      );
    case "vector":
      return row.vector >= term.from && row.vector <= term.to;
    case "hypercall":
      return (
        row.hypercall !== undefined &&
        (term.number === undefined || row.hypercall.number === term.number) &&
        (term.name === undefined || term.name === "*" || has(row.hypercall.name, term.name))
      );
    case "event":
      return row.name.toLowerCase() === term.name.toLowerCase();
    case "world":
      return row.world === term.world;
    case "outcome":
      return row.outcome === term.outcome;
    case "kind":
      return row.kind === term.kind;
    case "symbol":
      return has(row.at.symbol, term.symbol);
    case "address":
      return [row.at.address, row.cr2].some((value) => value !== undefined && value >= term.from && value <= term.to);
    case "instruction":
      return row.instructionCount >= term.from && row.instructionCount <= term.to;
    case "sequence":
      return row.n >= term.from && row.n <= term.to;
  }
}

export class FakeTrapLog {
  private matches: { key: string; rows: number[]; upTo: number } = { key: "", rows: [], upTo: 0 };

  constructor(public length: number) {}

  /** Answers `ring1/trapLog`. */
  answer({ filter = [], start, count = 0, buckets, withCounts }: TrapLogArguments): TrapLogResponse {
    const numbers = this.matching(filter);
    const matching = numbers === undefined ? this.length : numbers.length;
    // Without a filter ordinals are sequence numbers, which begin with 1.
    const firstOrdinal = numbers === undefined ? 1 : 0;
    const wanted = Math.min(Math.abs(count), MAX_COUNT);
    const end = firstOrdinal + matching;
    const from = count < 0 ? Math.max(firstOrdinal, end - wanted) : Math.max(firstOrdinal, start ?? end);
    const rows: TrapRow[] = [];
    for (let ordinal = from; ordinal < Math.min(end, from + wanted); ordinal++) {
      rows.push({ ...fakeRow(numbers?.[ordinal] ?? ordinal), ordinal });
    }
    const figures = this.figures(numbers, buckets ?? 0, withCounts ?? false);
    return {
      rows,
      start: from,
      firstOrdinal,
      matching,
      total: this.length,
      firstSequence: this.length > 0 ? 1 : 0,
      lastSequence: this.length,
      dropped: 0,
      ...figures,
    };
  }

  /** Answers `ring1/trapDetails`. */
  details(n: number): TrapDetailsResponse {
    if (n < 1 || n > this.length) {
      throw new Error(`There is no entry ${n} in the trap log.`);
    }
    const row = fakeRow(n);
    const isFault = row.vector === 14;
    return {
      row,
      arguments:
        row.hypercall === undefined
          ? []
          : [
              { name: "top-level table", value: row.hypercall.args[0] ?? 0, format: "guestPhysical" },
              {
                name: "address",
                value: row.hypercall.args[1] ?? 0,
                format: "linear",
                location: { address: row.hypercall.args[1] ?? 0, symbol: "page_pool", offset: 0x40 },
              },
              {
                name: "entry",
                value: row.hypercall.args[2] ?? 0,
                format: "flags",
                meaning: "present, writable, accessed, dirty",
              },
            ],
      ...(isFault
        ? {
            errorBits: [
              { name: "P", bit: 0, width: 1, value: 0, meaning: "the page was not present" },
              { name: "W/R", bit: 1, width: 1, value: 1, meaning: "a write" },
              { name: "U/S", bit: 2, width: 1, value: 0, meaning: "from supervisor mode, which ring 1 is to paging" },
            ],
            linear: row.cr2 ?? 0,
            idtVector: 14,
          }
        : {}),
      registers: ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"].map((name, index) => ({
        name,
        value: scatter(n * 8 + index),
      })),
      why: isFault
        ? "The guest's table maps the page, the shadow did not yet: the host filled the shadow entry and set the dirty bit. The guest never saw this fault."
        : "The guest changed its own table first, then told the host, which updates the shadow entry.",
      related: [{ n: Math.max(1, n - 2), why: "the hypercall that cleared this page's shadow entry" }],
    };
  }

  /** Sequence numbers of matching rows; undefined without a filter. */
  private matching(filter: readonly TrapFilterTerm[]): number[] | undefined {
    if (filter.length === 0) {
      return undefined;
    }
    const key = JSON.stringify(filter);
    if (this.matches.key !== key) {
      this.matches = { key, rows: [], upTo: 0 };
    }
    for (let n = this.matches.upTo + 1; n <= this.length; n++) {
      if (matchesFilter(fakeRow(n), filter)) {
        this.matches.rows.push(n);
      }
    }
    this.matches.upTo = this.length;
    return this.matches.rows;
  }

  /** Counts and histogram of a sample of the rows, scaled up: a fake need not be exact. */
  private figures(numbers: number[] | undefined, buckets: number, withCounts: boolean) {
    const length = numbers?.length ?? this.length;
    if (length === 0 || (buckets === 0 && !withCounts)) {
      return {};
    }
    const step = Math.max(1, Math.floor(length / 20_000));
    const at = (index: number): TrapRow => fakeRow(numbers?.[index] ?? index + 1);
    const from = at(0).instructionCount;
    const to = at(length - 1).instructionCount + 1;
    const counts = new Map<string, TrapCount>();
    const histogram: Partial<Record<TrapKind, number[]>> = {};
    for (let index = 0; index < length; index += step) {
      const row = at(index);
      const known = counts.get(row.name);
      if (known === undefined) {
        const hypercall = row.hypercall === undefined ? {} : { hypercall: row.hypercall.number };
        counts.set(row.name, { kind: row.kind, name: row.name, vector: row.vector, ...hypercall, count: step });
      } else {
        known.count += step;
      }
      if (buckets > 0) {
        const bucket = Math.min(buckets - 1, Math.floor(((row.instructionCount - from) / (to - from)) * buckets));
        const list = (histogram[row.kind] ??= new Array<number>(buckets).fill(0));
        list[bucket]! += step;
      }
    }
    return {
      ...(withCounts ? { counts: [...counts.values()].sort((a, b) => b.count - a.count) } : {}),
      ...(buckets > 0 ? { histogram: { fromInstruction: from, toInstruction: to, counts: histogram } } : {}),
    };
  }
}
