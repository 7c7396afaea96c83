/**
 * Pages of the host's memory: get_zeroed_page and free_page. Freed pages are used again in the order last freed, first used, so a run
 * depends on nothing but its inputs. When none is left the caller gets 0 and has to cope, as in a real kernel.
 */
import { type Cpu, StateLayout as L } from "../../x86";
import { PAGE_SIZE } from "../switcher/layout";

export class PageAllocator {
  private readonly freed: number[] = [];
  private next: number;
  private used = 0;

  /** @param first,end physical range, page-aligned. */
  constructor(
    private readonly cpu: Cpu,
    first: number,
    private readonly end: number,
  ) {
    this.next = first;
  }

  /** Physical address of a zeroed page, or 0 when memory is full. */
  allocate(): number {
    const page = this.freed.pop() ?? (this.next + PAGE_SIZE <= this.end ? this.next : 0);
    if (page === 0) return 0;
    if (page === this.next) this.next += PAGE_SIZE;
    else this.cpu.u32.fill(0, (L.RAM_BASE + page) >> 2, (L.RAM_BASE + page + PAGE_SIZE) >> 2);
    this.used++;
    return page;
  }
  free(page: number): void {
    this.freed.push(page);
    this.used--;
  }
  /** Pages handed out. */
  get inUse(): number {
    return this.used;
  }
}
