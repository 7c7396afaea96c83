/**
 * Which pages of the launcher's memory are held by shadow PTEs, and how often: a real host must not give away a page that a guest's tables
 * still point to. Here memory never moves, so this is a ledger; it shows leaks and what a guest has touched.
 */
export class PageReferences {
  private readonly counts: Uint32Array;
  private readonly written: Uint8Array;

  /** @param pages number of pages of the launcher's memory. */
  constructor(pages: number) {
    this.counts = new Uint32Array(pages);
    this.written = new Uint8Array(pages);
  }

  take(pfn: number, isWrite: boolean): void {
    this.counts[pfn]++;
    if (isWrite) this.written[pfn] = 1;
  }
  /** References of PTEs that were never taken (not present ones, see installsAbsentPtes) do not count below 0. */
  drop(pfn: number): void {
    if (this.counts[pfn] > 0) this.counts[pfn]--;
  }
  countOf(pfn: number): number {
    return this.counts[pfn] ?? 0;
  }
  /** It was asked for with the intent to write. */
  wasWritten(pfn: number): boolean {
    return this.written[pfn] === 1;
  }
  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}
