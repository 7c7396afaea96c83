/**
 * Which physical pages are page tables of a TLB context, so that a write to one can drop the translations made from it (tlb.ts). Such pages
 * never have a fast write tag: the watch costs nothing elsewhere.
 */
export interface TableUse {
  /** Number of the TLB context. */
  readonly context: number;
  /** Which directory entry leads to this page table; -1: the page is the directory itself. */
  readonly index: number;
}

const NONE: readonly TableUse[] = [];

export class TableWatch {
  /** By physical page number. */
  private readonly uses = new Map<number, TableUse[]>();

  /** @param page physical address of the page */
  isWatched(page: number): boolean {
    return this.uses.size !== 0 && this.uses.has(page >>> 12);
  }
  usesOf(page: number): readonly TableUse[] {
    return this.uses.get(page >>> 12) ?? NONE;
  }
  add(page: number, context: number, index: number): void {
    const list = this.uses.get(page >>> 12);
    if (list === undefined) this.uses.set(page >>> 12, [{ context, index }]);
    else list.push({ context, index });
  }
  removeContext(context: number): void {
    for (const [page, list] of this.uses) {
      const others = list.filter((use) => use.context !== context);
      if (others.length === 0) this.uses.delete(page);
      else if (others.length !== list.length) this.uses.set(page, others);
    }
  }
}
