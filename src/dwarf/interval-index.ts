// Ranges of addresses, each with a number to find again, looked up in O(log n). Ranges may nest or overlap: the answer
// is the innermost, that is, the one that starts last. `reach` holds the highest end of all ranges up to a position, so
// that the walk back from the nearest start knows when nobody further back can matter.

export class IntervalIndex {
  private readonly starts: Float64Array;
  private readonly ends: Float64Array;
  private readonly reach: Float64Array;
  private readonly payloads: Float64Array;

  constructor(intervals: readonly { readonly start: number; readonly end: number; readonly payload: number }[]) {
    const sorted = [...intervals].sort((a, b) => a.start - b.start || b.end - a.end);
    this.starts = Float64Array.from(sorted, (i) => i.start);
    this.ends = Float64Array.from(sorted, (i) => i.end);
    this.payloads = Float64Array.from(sorted, (i) => i.payload);
    let reach = 0;
    this.reach = Float64Array.from(sorted, (i) => (reach = Math.max(reach, i.end)));
  }

  get size(): number {
    return this.starts.length;
  }

  /** The payload of the innermost range around an address. */
  at(address: number): number | undefined {
    const position = this.positionAt(address);
    return position < 0 ? undefined : this.payloads[position];
  }

  /** The payloads of all ranges around an address, innermost first. */
  *allAt(address: number): IterableIterator<number> {
    for (let i = this.lastStart(address); i >= 0 && this.reach[i] > address; i--) {
      if (this.ends[i] > address) yield this.payloads[i];
    }
  }

  private positionAt(address: number): number {
    for (let i = this.lastStart(address); i >= 0 && this.reach[i] > address; i--) {
      if (this.ends[i] > address) return i;
    }
    return -1;
  }

  /** Position of the last range that starts at or before an address. */
  private lastStart(address: number): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
