/*
 * The rows that the page holds of a log that may have a million: pages of 200 around what is in sight, fetched when
 * they come into sight, thrown away when far from it. An ordinal is a row's number in the filtered log (custom-
 * requests.ts); it never changes while the filter stays, so rows can be kept while the log grows and its oldest entries
 * leave.
 */

import type { CustomRequests, TrapFilterTerm, TrapLogArguments, TrapLogResponse, TrapRow } from "../../dap";

type Response = CustomRequests["ring1/trapLog"]["response"];
type Request = (args: TrapLogArguments) => Promise<Response>;

/** Rows of one page, and pages that are kept. */
const PAGE = 200;
const MAX_PAGES = 60;
const MAX_REQUESTS = 2;

/** The log's figures, as the last answer gave them. */
export type Figures = Pick<
  TrapLogResponse,
  "firstOrdinal" | "matching" | "total" | "firstSequence" | "lastSequence" | "dropped" | "counts" | "histogram"
>;

const NOTHING: Figures = { firstOrdinal: 0, matching: 0, total: 0, firstSequence: 0, lastSequence: 0, dropped: 0 };

export class RowStore {
  figures: Figures = NOTHING;
  private pages = new Map<number, (TrapRow | undefined)[]>();
  private filter: TrapFilterTerm[] = [];
  private generation = 0;
  private requests = 0;
  private wanted: { first: number; count: number } = { first: 0, count: 0 };
  /** Pages that were asked for, and what the log was then: a page is not asked for twice of the same log. */
  private readonly asked = new Map<number, string>();

  constructor(
    private readonly request: Request,
    private readonly onChange: () => void,
    private readonly onError: (error: Error) => void,
  ) {}

  /** Forgets everything and shows another filter, or another guest. */
  reset(filter: TrapFilterTerm[]): void {
    this.filter = filter;
    this.generation++;
    this.pages = new Map();
    this.figures = NOTHING;
    this.requests = 0;
    this.asked.clear();
  }

  /** Asks for the figures and, at the same time, for rows: the last `count`, or those from `first` on. */
  async poll(
    rows: { last: number } | { first: number; count: number },
    extra: Partial<TrapLogArguments> = {},
  ): Promise<void> {
    const range = "last" in rows ? { count: -rows.last } : { start: rows.first, count: rows.count };
    await this.ask({ ...range, ...extra });
  }

  /** The row, when it is here. */
  rowAt(ordinal: number): TrapRow | undefined {
    return this.pages.get(Math.floor(ordinal / PAGE))?.[ordinal % PAGE];
  }

  /** Says which rows are in sight; those that are missing, or not final, are fetched. */
  show(first: number, count: number): void {
    this.wanted = { first, count };
    this.fetchWanted();
  }

  /** Number of pages held: bounded, however long the log is. */
  get heldPages(): number {
    return this.pages.size;
  }

  private fetchWanted(): void {
    const { first, count } = this.wanted;
    const { firstOrdinal, matching } = this.figures;
    const start = Math.max(first, firstOrdinal);
    const end = Math.min(first + count, firstOrdinal + matching);
    for (let page = Math.floor(start / PAGE); page * PAGE < end && this.requests < MAX_REQUESTS; page++) {
      const from = Math.max(page * PAGE, firstOrdinal);
      const to = Math.min((page + 1) * PAGE, firstOrdinal + matching);
      const log = `${from}..${to}`;
      if (!this.hasAll(Math.max(from, start), Math.min(to, end)) && this.asked.get(page) !== log) {
        this.asked.set(page, log);
        void this.ask({ start: from, count: to - from });
      }
    }
  }

  private hasAll(from: number, to: number): boolean {
    for (let ordinal = from; ordinal < to; ordinal++) {
      if (this.rowAt(ordinal) === undefined) {
        return false;
      }
    }
    return true;
  }

  private async ask(args: TrapLogArguments): Promise<void> {
    const generation = this.generation;
    this.requests++;
    try {
      const filter = this.filter.length === 0 ? {} : { filter: this.filter };
      const response = await this.request({ ...args, ...filter });
      if (generation === this.generation) {
        this.requests--;
        this.take(response);
        this.onChange();
        this.fetchWanted();
      }
    } catch (error) {
      if (generation === this.generation) {
        this.requests--;
        this.onError(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  private take(response: Response): void {
    const { counts = this.figures.counts, histogram = this.figures.histogram } = response;
    const { firstOrdinal, matching, total, firstSequence, lastSequence, dropped } = response;
    this.figures = { firstOrdinal, matching, total, firstSequence, lastSequence, dropped, counts, histogram };
    for (const row of response.rows) {
      const index = Math.floor(row.ordinal / PAGE);
      let page = this.pages.get(index);
      if (page === undefined) {
        page = new Array<TrapRow | undefined>(PAGE);
        this.pages.set(index, page);
      }
      page[row.ordinal % PAGE] = row;
    }
    this.forgetFarPages();
  }

  private forgetFarPages(): void {
    if (this.pages.size <= MAX_PAGES) {
      return;
    }
    const middle = (this.wanted.first + this.wanted.count / 2) / PAGE;
    const byDistance = [...this.pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of byDistance.slice(0, this.pages.size - MAX_PAGES)) {
      this.pages.delete(page);
      this.asked.delete(page);
    }
  }
}
