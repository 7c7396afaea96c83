/**
 * Which physical pages need care on access: pages with decoded code (a write must drop the records at once, so that the next
 * instruction sees the new bytes: SDM Vol. 3, 8.1.3 as an in-order processor does it) and pages with data watchpoints.
 *
 * Such pages never get a fast TLB tag, so the check costs nothing elsewhere. Code is tracked in 32-byte lines: data beside
 * code on the same page only pays the slow path, not a new decode.
 */
import type { Cpu } from "../cpu";

/** Told when bytes of decoded code change. */
export interface CodeOwner {
  /** `size` bytes at `physical` have changed and may be decoded code; within one page. */
  invalidateCode(physical: number, size: number): void;
}

/** A data watchpoint on physical memory, reported after the access. */
export interface Watchpoint {
  /** First physical byte and length. */
  readonly physical: number;
  readonly length: number;
  readonly onRead: boolean;
  readonly onWrite: boolean;
}

const LINE_SHIFT = 5;

export class CodeWatch {
  owner: CodeOwner | null = null;
  /** Called for each access that touches a watchpoint; the access has happened. */
  onWatch: ((watch: Watchpoint, physical: number, size: number, isWrite: boolean) => void) | null = null;
  /** 128 line bits per page, four words. */
  private readonly lines = new Map<number, Uint32Array>();
  private readonly watches = new Map<number, Watchpoint[]>();

  constructor(private readonly cpu: Cpu) {}

  /** True when reads of the physical page need no care. */
  mayReadFast(page: number): boolean {
    return this.watches.size === 0 || !this.watches.has(page >>> 12);
  }
  mayWriteFast(page: number): boolean {
    return !this.lines.has(page >>> 12) && (this.watches.size === 0 || !this.watches.has(page >>> 12));
  }

  /** `length` bytes at `physical` (within one page) have been decoded. */
  markCode(physical: number, length: number): void {
    const number = physical >>> 12;
    let bits = this.lines.get(number);
    if (bits === undefined) {
      bits = new Uint32Array(4);
      this.lines.set(number, bits);
      this.cpu.tlb.rewatch((physical & ~0xfff) >>> 0);
    }
    const last = ((physical & 0xfff) + length - 1) >>> LINE_SHIFT;
    for (let line = (physical & 0xfff) >>> LINE_SHIFT; line <= last; line++) bits[line >>> 5] |= 1 << (line & 31);
  }
  /** The page holds no decoded code any more. */
  unmarkCode(page: number): void {
    if (this.lines.delete(page >>> 12)) this.cpu.tlb.rewatch((page & ~0xfff) >>> 0);
  }
  /** Forget all code pages (the engine dropped all records). */
  unmarkAll(): void {
    const pages = [...this.lines.keys()];
    this.lines.clear();
    for (const number of pages) this.cpu.tlb.rewatch((number << 12) >>> 0);
  }

  /** RAM bytes changed by any path but a fast-tagged store. Does not cross a page. */
  written(physical: number, size: number): void {
    const bits = this.lines.get(physical >>> 12);
    if (bits !== undefined) {
      const first = (physical & 0xfff) >>> LINE_SHIFT;
      const last = Math.min(((physical & 0xfff) + size - 1) >>> LINE_SHIFT, 127);
      for (let line = first; line <= last; line++) {
        if (bits[line >>> 5] & (1 << (line & 31))) {
          this.owner?.invalidateCode(physical, size);
          break;
        }
      }
    }
    if (this.watches.size !== 0) this.report(physical, size, true);
  }
  /** RAM bytes were read by the slow path. */
  wasRead(physical: number, size: number): void {
    if (this.watches.size !== 0) this.report(physical, size, false);
  }

  setWatchpoints(watches: readonly Watchpoint[]): void {
    const before = [...this.watches.keys()];
    this.watches.clear();
    for (const watch of watches) {
      for (let page = watch.physical >>> 12; page <= (watch.physical + watch.length - 1) >>> 12; page++) {
        const list = this.watches.get(page);
        if (list) list.push(watch);
        else this.watches.set(page, [watch]);
      }
    }
    for (const number of new Set([...before, ...this.watches.keys()])) this.cpu.tlb.rewatch((number << 12) >>> 0);
  }

  private report(physical: number, size: number, isWrite: boolean): void {
    for (const watch of this.watches.get(physical >>> 12) ?? []) {
      if (
        (isWrite ? watch.onWrite : watch.onRead) &&
        physical < watch.physical + watch.length &&
        watch.physical < physical + size
      )
        this.onWatch?.(watch, physical, size, isWrite);
    }
  }
}
