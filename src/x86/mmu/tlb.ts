/**
 * The translation cache that generated code reads: direct-mapped entries, layout in state-layout.ts.
 *
 * An entry's tags answer "may I read, may I write, is it plain RAM, does nobody watch" in one comparison; whatever needs care
 * (not RAM, code page, watchpoint, page table, not yet dirty) simply has no tag and takes the slow path.
 *
 * A processor's TLB forgets at each CR3 load; a hypervisor loads CR3 twice per world switch. So there are several contexts, one per recently
 * used page directory, each with a supervisor and a user set. An old context may be used again as it was, because its page tables
 * are watched (table-watch.ts): a write to one of them drops what it concerns at once. That is what a real TLB may do too: it need
 * not keep anything, and it must keep nothing past a CR3 load (SDM Vol. 3, 4.10.4). Global pages need no care of their own then.
 */
import type { Cpu } from "../cpu";
import * as L from "../state-layout";
import { TLB_INVALID } from "../state-layout";
import { TableWatch } from "./table-watch";

const ENTRY_WORDS = L.TLB_ENTRY_SIZE >> 2;
/** An invalid code tag of an entry that is still in a used list. */
const STALE_CODE = TLB_INVALID + 2;
/** Word +12 of an entry: physical page, with these flags in the low bits (all clear: entry empty). */
const HELD = 1;
const WRITABLE = 2;
const NO_PAGE = 0xffffffff;
const NO_ROOT = -1;

/** What is cached for one page directory. */
class Context {
  /** CR3 that it belongs to, or NO_ROOT. */
  root: number = NO_ROOT;
  lastUse = 0;
  /** Word indexes of entries in use, so that a flush costs what was used and not the size of the table. */
  readonly used = new Uint32Array(2 * L.TLB_ENTRIES);
  usedCount = 0;
  readonly usedCode = new Uint32Array(2 * L.CODE_TLB_ENTRIES);
  usedCodeCount = 0;
  /** Linear page number of each entry, also where the tags are off. */
  readonly pageTags = new Uint32Array((2 * L.TLB_SET_SIZE) >> 4);
  /** Page-table page by directory index, as far as it is being watched for this context; NO_PAGE: not. */
  readonly tables = new Uint32Array(1024).fill(NO_PAGE);
  isDirectoryWatched = false;
  mayHoldLarge = false;

  /** @param base wasm address of the supervisor set; the user set follows. */
  constructor(readonly base: number) {}
}

export class Tlb {
  readonly tables = new TableWatch();
  private readonly u32: Uint32Array;
  private readonly contexts: Context[] = [];
  private current: Context;
  private clock = 0;
  /** Code entries of the set for alignment checks, which has no data entries. */
  private readonly checkedCode: number[] = [];

  constructor(private readonly cpu: Cpu) {
    this.u32 = cpu.u32;
    for (let i = 0; i < L.TLB_CONTEXTS; i++) this.contexts.push(new Context(L.TLB_BASE + i * 2 * L.TLB_SET_SIZE));
    this.current = this.contexts[0];
    const sets = [L.TLB_CHECKED, ...this.contexts.flatMap(({ base }) => [base, base + L.TLB_SET_SIZE])];
    for (const set of sets) {
      for (let i = 0; i < L.TLB_ENTRIES; i++) this.clearEntry((set >> 2) + i * ENTRY_WORDS);
      for (let i = 0; i < L.CODE_TLB_ENTRIES; i++) this.u32[((set + L.CODE_TLB) >> 2) + i * 2] = TLB_INVALID;
    }
  }

  /** wasm address of the present context's supervisor or user set. */
  set(isUser: boolean): number {
    return isUser ? this.current.base + L.TLB_SET_SIZE : this.current.base;
  }

  /** After a CR3 load. */
  loadRoot(): void {
    const root = this.u32[L.CR3 >> 2] & ~0xfff;
    this.forgetCheckedCode();
    let next = this.contexts.find((context) => context.root === root);
    if (next === undefined) {
      next = this.contexts.reduce((oldest, context) => (context.lastUse < oldest.lastUse ? context : oldest));
      this.flushContext(next);
      next.root = root;
    }
    next.lastUse = ++this.clock;
    this.current = next;
    this.cpu.selectTlbSet();
  }
  /** Forgets everything: after a change of CR0 or CR4, or when CR3 or RAM were changed behind the processor's back. */
  flushAll(): void {
    for (const context of this.contexts) {
      this.flushContext(context);
      context.root = NO_ROOT;
    }
    this.forgetCheckedCode();
    this.current.root = this.u32[L.CR3 >> 2] & ~0xfff;
  }

  /** wasm address of a linear one whose page has the tag for plain reading (or writing), or -1. */
  hostAddress(linear: number, isWrite: boolean, isUser: boolean): number {
    const at = this.entryOf(linear, isUser);
    if (this.u32[isWrite ? at + 1 : at] !== (linear & ~0xfff) >>> 0) return -1;
    return (linear + this.u32[at + 2]) >>> 0;
  }

  /** Physical page of a cached translation that allows the access, or -1. */
  lookup(linear: number, isWrite: boolean, isUser: boolean): number {
    const at = this.entryOf(linear, isUser);
    const held = this.u32[at + 3];
    if (!(held & HELD) || (isWrite && !(held & WRITABLE))) return -1;
    if (this.current.pageTags[this.tagIndex(this.current, at)] !== linear >>> 12) return -1;
    // A tag is missing: if nobody watches the page any more, the fast way is open again.
    if (this.u32[isWrite ? at + 1 : at] === TLB_INVALID)
      this.setTags(at, (held & ~0xfff) >>> 0, linear & ~0xfff, (held & WRITABLE) !== 0);
    return (held & ~0xfff) >>> 0;
  }

  /**
   * Enters a translation. Writable means: RW allowed and D already set.
   * @param isLarge part of a 4 MiB page
   */
  fill(linear: number, page: number, isUser: boolean, isWritable: boolean, isLarge = false): void {
    const { current, u32 } = this;
    if (isLarge) current.mayHoldLarge = true;
    const at = this.entryOf(linear, isUser);
    if (!(u32[at + 3] & HELD)) current.used[current.usedCount++] = at;
    const tag = linear & ~0xfff;
    current.pageTags[this.tagIndex(current, at)] = linear >>> 12;
    this.setTags(at, page, tag, isWritable);
    u32[at + 2] = L.RAM_BASE + page - tag;
    u32[at + 3] = page | HELD | (isWritable ? WRITABLE : 0);
  }

  /** Enters a code page's record table for execution at the current privilege. */
  fillCode(linear: number, table: number): void {
    const { current, u32 } = this;
    const set = u32[L.TLB_CURRENT >> 2];
    const at = ((set + L.CODE_TLB) >> 2) + ((linear >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * 2;
    if (u32[at] === TLB_INVALID) {
      if (set === L.TLB_CHECKED) this.checkedCode.push(at);
      else current.usedCode[current.usedCodeCount++] = at;
    }
    u32[at] = linear & ~0xfff;
    u32[at + 1] = table;
  }

  /** A walk for the present context used this directory entry and, unless -1, this page table. Their pages are watched from now on. */
  noteTables(directory: number, index: number, table: number): void {
    const { current } = this;
    if (!current.isDirectoryWatched) {
      current.isDirectoryWatched = true;
      this.watchTable(directory, -1);
    }
    if (table >= 0 && current.tables[index] !== table) {
      current.tables[index] = table;
      this.watchTable(table, index);
    }
  }
  private watchTable(page: number, index: number): void {
    const isNew = !this.tables.isWatched(page);
    this.tables.add(page, this.contexts.indexOf(this.current), index);
    if (isNew) this.rewatch(page);
  }

  /** An entry of a watched table that was present has changed. @param word its number in the page, 0-1023 */
  tableChanged(page: number, word: number): void {
    // Flushing removes uses from the list, hence the copy.
    for (const { context, index } of [...this.tables.usesOf(page)]) {
      if (index < 0) this.flushContext(this.contexts[context]);
      else this.dropPage(this.contexts[context], ((index << 22) | (word << 12)) >>> 0);
    }
  }

  /** Forgets which code pages are mapped where: after a mode change. */
  flushCode(): void {
    for (const context of this.contexts) this.flushContextCode(context);
    this.forgetCheckedCode();
  }
  /** A record table is no longer valid wherever it is mapped. */
  forgetCode(table: number): void {
    for (const { usedCode, usedCodeCount } of this.contexts)
      for (let i = 0; i < usedCodeCount; i++)
        if (this.u32[usedCode[i] + 1] === table) this.u32[usedCode[i]] = STALE_CODE;
    for (const at of this.checkedCode) if (this.u32[at + 1] === table) this.u32[at] = STALE_CODE;
  }
  /** INVLPG. */
  flushPage(linear: number): void {
    if (!this.current.mayHoldLarge) this.dropPage(this.current, linear);
    else for (let i = 0; i < 1024; i++) this.dropPage(this.current, ((linear & 0xffc00000) | (i << 12)) >>> 0);
    this.forgetCheckedCode();
  }
  /** A physical page became watched (code, watchpoint, table) or stopped being so: its entries lose or regain their tags. */
  rewatch(page: number): void {
    for (const context of this.contexts) {
      for (let i = 0; i < context.usedCount; i++) {
        const at = context.used[i];
        const held = this.u32[at + 3];
        if ((held & ~0xfff) >>> 0 !== page >>> 0) continue;
        const number = context.pageTags[this.tagIndex(context, at)];
        if (number !== NO_PAGE) this.setTags(at, page, number << 12, (held & WRITABLE) !== 0);
      }
    }
  }

  private setTags(at: number, page: number, tag: number, isWritable: boolean): void {
    const { code } = this.cpu;
    const isRam = (page >>> 0) + 0x1000 <= this.cpu.ramSize;
    this.u32[at] = isRam && code.mayReadFast(page) ? tag : TLB_INVALID;
    this.u32[at + 1] =
      isRam && isWritable && code.mayWriteFast(page) && !this.tables.isWatched(page) ? tag : TLB_INVALID;
  }
  private flushContext(context: Context): void {
    for (let i = 0; i < context.usedCount; i++) this.clearEntry(context.used[i]);
    context.usedCount = 0;
    context.mayHoldLarge = false;
    this.flushContextCode(context);
    if (context.isDirectoryWatched) {
      this.tables.removeContext(this.contexts.indexOf(context));
      context.isDirectoryWatched = false;
      context.tables.fill(NO_PAGE);
    }
  }
  private flushContextCode(context: Context): void {
    for (let i = 0; i < context.usedCodeCount; i++) this.u32[context.usedCode[i]] = TLB_INVALID;
    context.usedCodeCount = 0;
  }
  private forgetCheckedCode(): void {
    for (const at of this.checkedCode) this.u32[at] = TLB_INVALID;
    this.checkedCode.length = 0;
  }
  private dropPage(context: Context, linear: number): void {
    for (let set = context.base; set <= context.base + L.TLB_SET_SIZE; set += L.TLB_SET_SIZE) {
      const at = (set >> 2) + ((linear >>> 12) & (L.TLB_ENTRIES - 1)) * ENTRY_WORDS;
      const tag = this.tagIndex(context, at);
      // The entry stays in the used list: held, but for no page.
      if (this.u32[at + 3] & HELD && context.pageTags[tag] === linear >>> 12) {
        this.u32[at] = TLB_INVALID;
        this.u32[at + 1] = TLB_INVALID;
        context.pageTags[tag] = NO_PAGE;
      }
      const code = ((set + L.CODE_TLB) >> 2) + ((linear >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * 2;
      if (this.u32[code] === (linear & ~0xfff) >>> 0) this.u32[code] = STALE_CODE;
    }
  }

  private entryOf(linear: number, isUser: boolean): number {
    return (this.set(isUser) >> 2) + ((linear >>> 12) & (L.TLB_ENTRIES - 1)) * ENTRY_WORDS;
  }
  private tagIndex(context: Context, at: number): number {
    return (at - (context.base >> 2)) >> 2;
  }
  private clearEntry(at: number): void {
    this.u32[at] = TLB_INVALID;
    this.u32[at + 1] = TLB_INVALID;
    this.u32[at + 3] = 0;
  }
}
