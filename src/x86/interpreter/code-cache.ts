/**
 * Decoded code by page. A code page is what one linear page looks like in one mode (CS base and limit, operand size, stack size, flatness) when backed by one
 * physical page: a table with a record pointer per byte offset, and the records. Records hold absolute EIPs, so they cost nothing to report.
 *
 * A write to decoded bytes turns the records of the instructions concerned into LOOKUPs, so that generated code which is just running through
 * them notices at the next instruction. A page that has been patched often is dropped as a whole; its memory is used again only from
 * outside of generated code.
 */
import type { Cpu } from "../cpu";
import * as L from "../state-layout";
import { PseudoHandler, RECORD_SIZE, RecordField } from "./record";

const TABLE_BYTES = 4096 * 4;
/** Longest instruction, in bytes. */
const LONGEST = 15;
/** Dead records that a page may hold before it is dropped. */
const MOST_DEAD = 1024;
/** Records per chunk. */
const CHUNK_RECORDS = 64;
const CHUNK_BYTES = CHUNK_RECORDS * RECORD_SIZE;

export interface CodePage {
  readonly physical: number;
  readonly linear: number;
  readonly mode: number;
  readonly codeBase: number;
  readonly codeLimit: number;
  /** wasm address of the pointer table. */
  readonly table: number;
  readonly chunks: number[];
  /** Next free record and the end of its chunk (room for a pseudo-record is kept). */
  next: number;
  end: number;
  /** Records that a write has made useless. */
  dead: number;
}

export class CodeCache {
  private readonly pages = new Map<number, CodePage[]>();
  private brk: number = L.ARENA_BASE;
  private freeTables: number[] = [];
  private freeChunks: number[] = [];
  private dropped: CodePage[] = [];

  constructor(private readonly cpu: Cpu) {}

  /** The code page for the current mode, made if need be. Call only outside of generated code. */
  pageFor(physical: number, linear: number): CodePage {
    this.reclaim();
    const cpu = this.cpu;
    const mode = cpu.word(L.MODE);
    const base = cpu.segmentBase(L.Seg.CS);
    const limit = cpu.segmentLimit(L.Seg.CS);
    let list = this.pages.get(physical);
    if (list !== undefined) {
      for (const page of list)
        if (page.linear === linear && page.mode === mode && page.codeBase === base && page.codeLimit === limit)
          return page;
    } else {
      list = [];
      this.pages.set(physical, list);
    }
    if (this.room() < TABLE_BYTES + 2 * CHUNK_BYTES) {
      this.dropAll();
      return this.pageFor(physical, linear);
    }
    const table = this.freeTables.pop() ?? this.take(TABLE_BYTES);
    cpu.u32.fill(0, table >> 2, (table + TABLE_BYTES) >> 2);
    const page: CodePage = {
      physical,
      linear,
      mode,
      codeBase: base,
      codeLimit: limit,
      table,
      chunks: [],
      next: 0,
      end: 0,
      dead: 0,
    };
    this.addChunk(page);
    list.push(page);
    return page;
  }

  /**
   * A cleared record at the page's end, with room for one more after it in the same chunk. When a chunk is full the record before it gets a
   * LINK to the new chunk.
   * @param eip of the instruction that it is for
   */
  newRecord(page: CodePage, eip: number): number {
    if (page.next + 2 * RECORD_SIZE > page.end) {
      const link = page.next;
      this.addChunk(page);
      this.cpu.u32[(link + RecordField.HANDLER) >> 2] = PseudoHandler.LINK;
      this.cpu.u32[(link + RecordField.EIP) >> 2] = eip;
      this.cpu.u32[(link + RecordField.LINK) >> 2] = page.next;
    }
    const record = page.next;
    page.next += RECORD_SIZE;
    this.cpu.u32.fill(0, record >> 2, (record + RECORD_SIZE) >> 2);
    return record;
  }
  /** A page that belongs to no address, for records that are used once. */
  scratchPage(): CodePage {
    const page: CodePage = {
      physical: -1,
      linear: -1,
      mode: 0,
      codeBase: 0,
      codeLimit: 0,
      table: 0,
      chunks: [],
      next: 0,
      end: 0,
      dead: 0,
    };
    this.addChunk(page);
    return page;
  }
  /** True when the arena may be too full for a block; dropAll() and start again. */
  isNearlyFull(): boolean {
    return this.room() < 8 * CHUNK_BYTES && this.freeChunks.length < 8;
  }

  /** Bytes within one physical page have changed: forgets the instructions that have any of them. Safe while generated code runs. */
  invalidate(physical: number, size: number): void {
    const page = (physical & ~0xfff) >>> 0;
    const list = this.pages.get(page);
    if (list === undefined) return;
    const { u32, u8 } = this.cpu;
    const start = physical & 0xfff;
    const end = Math.min(start + size, 0x1000);
    for (const codePage of list) {
      const table = codePage.table >> 2;
      for (let offset = Math.max(0, start - LONGEST + 1); offset < end; offset++) {
        const record = u32[table + offset];
        // Exits (breakpoints, page ends, undefined opcodes) have no length; any byte near them may matter.
        if (record === 0 || offset + (u8[record + RecordField.LENGTH] || LONGEST) <= start) continue;
        u32[record >> 2] = PseudoHandler.LOOKUP;
        u32[table + offset] = 0;
        codePage.dead++;
      }
      if (codePage.dead > MOST_DEAD) {
        this.drop(page);
        return;
      }
    }
  }

  /** Forgets the decoded code of a physical page. Safe while generated code runs. */
  drop(physical: number): void {
    const list = this.pages.get(physical);
    this.cpu.code.unmarkCode(physical);
    if (list === undefined) return;
    this.pages.delete(physical);
    for (const page of list) {
      this.dropPage(page);
      this.cpu.tlb.forgetCode(page.table);
    }
  }
  dropAll(): void {
    for (const list of this.pages.values()) for (const page of list) this.dropPage(page);
    this.pages.clear();
    this.cpu.code.unmarkAll();
    this.cpu.tlb.flushCode();
    if (!this.cpu.inRun) this.reclaim();
  }

  private dropPage(page: CodePage): void {
    const u32 = this.cpu.u32;
    for (const chunk of page.chunks)
      for (let at = chunk; at < chunk + CHUNK_BYTES; at += RECORD_SIZE) u32[at >> 2] = PseudoHandler.LOOKUP;
    this.dropped.push(page);
  }
  private reclaim(): void {
    if (this.dropped.length === 0) return;
    for (const page of this.dropped) {
      this.freeTables.push(page.table);
      for (const chunk of page.chunks) this.freeChunks.push(chunk);
    }
    this.dropped = [];
  }
  private addChunk(page: CodePage): void {
    const chunk = this.freeChunks.pop() ?? this.take(CHUNK_BYTES);
    page.chunks.push(chunk);
    page.next = chunk;
    page.end = chunk + CHUNK_BYTES;
  }
  private room(): number {
    return L.ARENA_BASE + L.ARENA_SIZE - this.brk;
  }
  private take(bytes: number): number {
    const at = this.brk;
    this.brk += bytes;
    if (this.brk > L.ARENA_BASE + L.ARENA_SIZE) throw new Error("decoded code does not fit its arena");
    return at;
  }
}
