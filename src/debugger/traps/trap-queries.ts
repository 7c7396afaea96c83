/*
 * Pages of the trap log. A view scrolls through a million rows and follows while the guest runs, so an answer must take
 * milliseconds: for each filter in use the sequence numbers of its matches are kept and only new entries are looked at.
 * Ordinals number the matches; they stay the same while old ones leave the ring.
 */
import { compileFilter, type PlaceNames, type TrapFilterTerm, type TrapPredicate } from "./trap-filter";
import { KINDS, type TrapKind } from "./trap-kinds";
import type { TrapEntry, TrapLog } from "./trap-log";

export interface TrapQuery {
  filter?: readonly TrapFilterTerm[];
  start?: number;
  count?: number;
  buckets?: number;
  withCounts?: boolean;
}

export interface TrapCount {
  kind: TrapKind;
  name: string;
  vector?: number;
  hypercall?: number;
  count: number;
}

export interface TrapHistogram {
  fromInstruction: number;
  toInstruction: number;
  counts: Partial<Record<TrapKind, number[]>>;
}

export interface TrapPage {
  entries: { ordinal: number; entry: TrapEntry }[];
  start: number;
  firstOrdinal: number;
  matching: number;
  counts?: TrapCount[];
  histogram?: TrapHistogram;
}

const MAX_ROWS = 2000;
const MAX_BUCKETS = 1000;
/** Filters whose matches are kept. */
const KEPT_FILTERS = 4;

/** The matches of one filter: a queue of sequence numbers. `first` is the ordinal of the oldest. */
class Matches {
  private items = new Float64Array(1024);
  private head = 0;
  private tail = 0;
  private scanned: number;
  first: number;

  constructor(
    private readonly log: TrapLog,
    private readonly accepts: TrapPredicate,
  ) {
    this.scanned = log.droppedCount;
    this.first = 1;
  }

  get count(): number {
    return this.tail - this.head;
  }
  at(index: number): number {
    return this.items[this.head + index];
  }

  update(): void {
    const oldest = this.log.droppedCount;
    while (this.head < this.tail && this.items[this.head] <= oldest) {
      this.head++;
      this.first++;
    }
    const { lastSequence } = this.log;
    for (let n = Math.max(this.scanned, oldest) + 1; n <= lastSequence; n++) if (this.accepts(n)) this.push(n);
    this.scanned = lastSequence;
  }

  private push(n: number): void {
    if (this.tail === this.items.length) {
      const live = this.items.subarray(this.head, this.tail);
      const next = live.length * 2 > this.items.length ? new Float64Array(this.items.length * 2) : this.items;
      next.set(live.slice());
      this.items = next;
      this.tail -= this.head;
      this.head = 0;
    }
    this.items[this.tail++] = n;
  }
}

/** Without a filter: ordinal and sequence number are the same. */
class Everything {
  constructor(private readonly log: TrapLog) {}
  get first(): number {
    return this.log.droppedCount + 1;
  }
  get count(): number {
    return this.log.total;
  }
  at(index: number): number {
    return this.log.droppedCount + 1 + index;
  }
  update(): void {}
}

export class TrapQueries {
  private readonly kept = new Map<string, Matches>();
  private readonly everything: Everything;

  constructor(
    private readonly log: TrapLog,
    private readonly places: PlaceNames,
  ) {
    this.everything = new Everything(log);
  }

  /** Answers a query. Entries may be fewer than asked for, never more than 2000. */
  query(query: TrapQuery): TrapPage {
    const matches = this.matchesOf(query.filter ?? []);
    matches.update();
    const first = matches.first;
    const { start, count } = pageOf(query, first, matches.count);
    const entries: TrapPage["entries"] = [];
    for (let i = 0; i < count; i++) {
      const entry = this.log.entry(matches.at(start - first + i));
      if (entry !== undefined) entries.push({ ordinal: start + i, entry });
    }
    const page: TrapPage = { entries, start, firstOrdinal: first, matching: matches.count };
    if (query.withCounts) page.counts = this.countsOf(matches);
    if (query.buckets !== undefined && query.buckets > 0) page.histogram = this.histogramOf(matches, query.buckets);
    return page;
  }

  private matchesOf(terms: readonly TrapFilterTerm[]): Matches | Everything {
    if (terms.length === 0) return this.everything;
    const key = JSON.stringify(terms);
    let matches = this.kept.get(key);
    this.kept.delete(key);
    matches ??= new Matches(this.log, compileFilter(terms, this.log, this.places));
    this.kept.set(key, matches);
    if (this.kept.size > KEPT_FILTERS) this.kept.delete(this.kept.keys().next().value!);
    return matches;
  }

  private countsOf(matches: Matches | Everything): TrapCount[] {
    const { log } = this;
    const found = new Map<number, TrapCount>();
    for (let i = 0; i < matches.count; i++) {
      const n = matches.at(i);
      const kind = log.kindAt(n);
      const hypercall = log.hypercallAt(n);
      const nameId = hypercall === undefined ? log.nameIdAt(n) : log.callIdAt(n);
      const key = kind * 0x10000 + nameId;
      const known = found.get(key);
      if (known !== undefined) known.count++;
      else {
        const what = hypercall === undefined ? { vector: log.vectorAt(n) } : { hypercall };
        found.set(key, { kind: KINDS[kind], name: log.string(nameId), ...what, count: 1 });
      }
    }
    return [...found.values()].sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
  }

  private histogramOf(matches: Matches | Everything, wanted: number): TrapHistogram | undefined {
    if (matches.count === 0) return undefined;
    const { log } = this;
    const buckets = Math.min(Math.floor(wanted), MAX_BUCKETS);
    const fromInstruction = log.instructionAt(matches.at(0));
    const toInstruction = log.instructionAt(matches.at(matches.count - 1));
    const width = (toInstruction - fromInstruction + 1) / buckets;
    const columns: (number[] | undefined)[] = [];
    for (let i = 0; i < matches.count; i++) {
      const n = matches.at(i);
      const kind = log.kindAt(n);
      columns[kind] ??= new Array<number>(buckets).fill(0);
      columns[kind]![
        Math.min(buckets - 1, Math.max(0, Math.floor((log.instructionAt(n) - fromInstruction) / width)))
      ]++;
    }
    const counts: TrapHistogram["counts"] = {};
    columns.forEach((column, kind) => {
      if (column !== undefined) counts[KINDS[kind]] = column;
    });
    return { fromInstruction, toInstruction, counts };
  }
}

/** The part of `first .. first + matching - 1` that is asked for. */
function pageOf(query: TrapQuery, first: number, matching: number): { start: number; count: number } {
  const wanted = Math.trunc(query.count ?? 0);
  const end = first + matching;
  if (wanted < 0) {
    const start = Math.max(first, end - Math.min(-wanted, MAX_ROWS));
    return { start, count: end - start };
  }
  if (query.start === undefined) return { start: first, count: 0 };
  const start = Math.min(Math.max(Math.trunc(query.start), first), end);
  return { start, count: Math.max(0, Math.min(wanted, MAX_ROWS, end - start)) };
}
