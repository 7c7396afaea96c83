/**
 * The translation cache that generated code reads: two sets (supervisor, user) of direct-mapped entries, layout in state-layout.ts.
 *
 * An entry's tags answer "may I read, may I write, is it plain RAM, does nobody watch" in one comparison; whatever needs care
 * (not RAM, code page, watchpoint, not yet dirty) simply has no tag and takes the slow path. Entries that are in use are
 * listed, so a flush (every CR3 load, two per world switch) costs what was used and not the size of the table.
 */
import type { Cpu } from "../cpu";
import * as L from "../state-layout";
import { TLB_INVALID } from "../state-layout";

const ENTRY_WORDS = L.TLB_ENTRY_SIZE >> 2;
/** An invalid code tag of an entry that is still in the used list. */
const STALE_CODE = TLB_INVALID + 2;
/** Word +12 of an entry: physical page, with these flags in the low bits (all clear: entry empty). */
const HELD = 1;
const WRITABLE = 2;
const GLOBAL = 4;

export class Tlb {
  private readonly u32: Uint32Array;
  /** Word indexes of entries in use. */
  private readonly used = new Uint32Array(2 * L.TLB_ENTRIES);
  private usedCount = 0;
  private readonly usedCode = new Uint32Array(2 * L.CODE_TLB_ENTRIES);
  private usedCodeCount = 0;

  constructor(private readonly cpu: Cpu) {
    this.u32 = cpu.u32;
    for (const set of [L.TLB_SUPERVISOR, L.TLB_USER]) {
      for (let i = 0; i < L.TLB_ENTRIES; i++) this.clearEntry((set >> 2) + i * ENTRY_WORDS);
      for (let i = 0; i < L.CODE_TLB_ENTRIES; i++) this.u32[((set + L.CODE_TLB) >> 2) + i * 2] = TLB_INVALID;
    }
  }

  /** Physical page of a cached translation that allows the access, or -1. */
  lookup(linear: number, isWrite: boolean, isUser: boolean): number {
    const at = this.entryOf(linear, isUser);
    const held = this.u32[at + 3];
    if (!(held & HELD) || (isWrite && !(held & WRITABLE))) return -1;
    return this.pageTags[(at - (L.TLB_SUPERVISOR >> 2)) >> 2] === linear >>> 12 ? (held & ~0xfff) >>> 0 : -1;
  }
  /** Linear page number of each entry, also where the tags are off (slow pages). */
  private readonly pageTags = new Uint32Array((L.TLB_USER + L.TLB_SET_SIZE - L.TLB_SUPERVISOR) >> 4);

  /** Some entry may be a piece of a 4 MiB page: INVLPG then drops the whole 4 MiB. SDM Vol. 3, 4.10.4.1. */
  private mayHoldLarge = false;

  /** Enters a translation. Writable means: RW allowed and D already set. */
  fill(linear: number, page: number, isUser: boolean, isWritable: boolean, isGlobal: boolean, isLarge = false): void {
    if (isLarge) this.mayHoldLarge = true;
    const at = this.entryOf(linear, isUser);
    const u32 = this.u32;
    if (!(u32[at + 3] & HELD)) this.used[this.usedCount++] = at;
    const tag = linear & ~0xfff;
    const isRam = (page >>> 0) + 0x1000 <= this.cpu.ramSize;
    this.pageTags[(at - (L.TLB_SUPERVISOR >> 2)) >> 2] = linear >>> 12;
    u32[at] = isRam && this.cpu.code.mayReadFast(page) ? tag : TLB_INVALID;
    u32[at + 1] = isRam && isWritable && this.cpu.code.mayWriteFast(page) ? tag : TLB_INVALID;
    u32[at + 2] = L.RAM_BASE + page - tag;
    u32[at + 3] = page | HELD | (isWritable ? WRITABLE : 0) | (isGlobal ? GLOBAL : 0);
  }

  /** Enters a code page's record table for execution at the current privilege. */
  fillCode(linear: number, table: number, isUser: boolean): void {
    const at = this.codeEntryOf(linear, isUser);
    if (this.u32[at] === TLB_INVALID) this.usedCode[this.usedCodeCount++] = at;
    this.u32[at] = linear & ~0xfff;
    this.u32[at + 1] = table;
  }

  /** After a CR3 load. Global entries stay when CR4.PGE is set (keepGlobal). SDM Vol. 3, 4.10.4. */
  flush(keepGlobal: boolean): void {
    let kept = 0;
    for (let i = 0; i < this.usedCount; i++) {
      const at = this.used[i];
      if (keepGlobal && this.u32[at + 3] & GLOBAL) this.used[kept++] = at;
      else this.clearEntry(at);
    }
    this.usedCount = kept;
    if (kept === 0) this.mayHoldLarge = false;
    this.flushCode();
  }
  flushAll(): void {
    this.flush(false);
  }
  /** Forgets which code pages are mapped where: after a mode change. */
  flushCode(): void {
    for (let i = 0; i < this.usedCodeCount; i++) this.u32[this.usedCode[i]] = TLB_INVALID;
    this.usedCodeCount = 0;
  }
  /** A record table is no longer valid wherever it is mapped. */
  forgetCode(table: number): void {
    for (let i = 0; i < this.usedCodeCount; i++) {
      const at = this.usedCode[i];
      if (this.u32[at + 1] === table) this.u32[at] = STALE_CODE;
    }
  }
  /** INVLPG. */
  flushPage(linear: number): void {
    if (!this.mayHoldLarge) this.flushSmallPage(linear);
    else for (let i = 0; i < 1024; i++) this.flushSmallPage(((linear & 0xffc00000) | (i << 12)) >>> 0);
  }
  private flushSmallPage(linear: number): void {
    for (const isUser of [false, true]) {
      const at = this.entryOf(linear, isUser);
      // The entry stays in the used list; clearing twice is harmless, so mark it held but untagged.
      if (this.u32[at + 3] & HELD && this.pageTags[(at - (L.TLB_SUPERVISOR >> 2)) >> 2] === linear >>> 12) {
        this.u32[at] = TLB_INVALID;
        this.u32[at + 1] = TLB_INVALID;
        this.pageTags[(at - (L.TLB_SUPERVISOR >> 2)) >> 2] = 0xffffffff;
      }
      const code = this.codeEntryOf(linear, isUser);
      if (this.u32[code] === (linear & ~0xfff) >>> 0) this.u32[code] = STALE_CODE;
    }
  }
  /** A physical page became watched (code, watchpoint) or stopped being so: its entries lose or regain their tags. */
  rewatch(page: number): void {
    for (let i = 0; i < this.usedCount; i++) {
      const at = this.used[i];
      const held = this.u32[at + 3];
      if ((held & ~0xfff) >>> 0 !== page >>> 0) continue;
      const number = this.pageTags[(at - (L.TLB_SUPERVISOR >> 2)) >> 2];
      if (number === 0xffffffff) continue;
      const tag = number << 12;
      const isRam = (page >>> 0) + 0x1000 <= this.cpu.ramSize;
      this.u32[at] = isRam && this.cpu.code.mayReadFast(page) ? tag : TLB_INVALID;
      this.u32[at + 1] = isRam && held & WRITABLE && this.cpu.code.mayWriteFast(page) ? tag : TLB_INVALID;
    }
  }

  private entryOf(linear: number, isUser: boolean): number {
    return ((isUser ? L.TLB_USER : L.TLB_SUPERVISOR) >> 2) + ((linear >>> 12) & (L.TLB_ENTRIES - 1)) * ENTRY_WORDS;
  }
  private codeEntryOf(linear: number, isUser: boolean): number {
    return (
      (((isUser ? L.TLB_USER : L.TLB_SUPERVISOR) + L.CODE_TLB) >> 2) + ((linear >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * 2
    );
  }
  private clearEntry(at: number): void {
    this.u32[at] = TLB_INVALID;
    this.u32[at + 1] = TLB_INVALID;
    this.u32[at + 3] = 0;
  }
}
