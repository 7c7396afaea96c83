/**
 * The machine that vectors assume, built once: a few user pages, GDT and LDT, and an IDT whose every gate leads to a HLT.
 *
 * A vector ends in a real delivery: INT3 fillers stand around its code, and whatever comes first, its frame on the ring-0 stack
 * tells EIP, EFLAGS and ESP as they were, and the handler's address tells the vector. So every engine is judged through the
 * same door, without hooks. Linear layout besides the vector's pages:
 *
 *     C0000000  GDT, LDT, TSS, IDT     C0001000  handlers (one HLT each)     C0002000-C0003000  ring-0 stack
 */
import { Cpu } from "../cpu";
import { createEngine } from "../create-engine";
import type { Engine, EngineName } from "../engine";
import * as L from "../state-layout";
import { Cr0, Cr4, Reg, Seg, Vector as Trap } from "../state-layout";
import {
  CODE_ENTRY,
  type FloatState,
  initialFloat,
  initialSelectors,
  type Outcome,
  PAGES,
  READ_ONLY_PAGE,
  type Vector,
} from "./vector";

const PAGE = 0x1000;
/** Physical layout: page directory, its five tables, the system pages, then the vector's pages in the order of PAGES. */
const DIRECTORY = 0;
const TABLES = PAGE;
const SYSTEM = 0x8000;
const USER = 0x10000;
const RAM_SIZE = 0x20000;

const SYSTEM_LINEAR = 0xc0000000;
const GDT = SYSTEM_LINEAR;
const LDT = SYSTEM_LINEAR + 0x100;
const TSS = SYSTEM_LINEAR + 0x200;
const IDT = SYSTEM_LINEAR + 0x300;
const HANDLERS = SYSTEM_LINEAR + PAGE;
const STACK_TOP = SYSTEM_LINEAR + 3 * PAGE;

const Selector = { KERNEL_CODE: 0x08, KERNEL_DATA: 0x10, TSS: 0x30, LDT: 0x38 } as const;
const GDT_LIMIT = 0x7f;
const TSS_LIMIT = 0x67;
const HLT = 0xf4;
/** No vector needs more. */
const BUDGET = 1_000_000;

/** PTE bits: accessed and dirty are set beforehand, so that nothing but the vector writes memory. */
const PTE_USER_WRITABLE = 0x67;
const PTE_USER_READ_ONLY = 0x65;
const PTE_SYSTEM = 0x63;

interface Segment {
  readonly base: number;
  readonly limit: number;
  /** As in SegmentField.ATTRIBUTES. */
  readonly attributes: number;
}

/** FORMAT.md's LDT: base, limit, type byte, G, D/B. */
const LDT_ENTRIES: readonly (readonly [number, number, number, number, number])[] = [
  [0x20202000, 0x8ff, 0xf3, 0, 1],
  [0x20202000, 0xfff, 0xf1, 0, 1],
  [0x20202000, 0x3ff, 0xf7, 0, 1],
  [0x20202000, 0x3ff, 0xf7, 0, 0],
  [0x10008000, 0x2fff, 0xf9, 0, 1],
  [0x10008000, 0x2fff, 0xfb, 0, 1],
  [0x10008000, 0x2fff, 0x7f, 0, 1],
  [0x20202000, 0xfff, 0x73, 0, 1],
  [0x20202010, 0, 0xf3, 1, 1],
  [0x30303000, 0x1fff, 0xf3, 0, 0],
  [0x10008000, 0x2fff, 0xfb, 0, 0],
  [0x10008000, 0x2fff, 0x7b, 0, 1],
  [0x30303000, 0x1fff, 0xf3, 0, 1],
  [0, 0, 0, 0, 0],
  [0, 0xfffff, 0xf3, 1, 1],
  [0x20202010, 0xfff, 0xf1, 0, 1],
];

/** A processor with its engine in the machine of FORMAT.md; runs vectors one after the other. */
export class VectorMachine {
  readonly engine: Engine;
  private readonly cpu: Cpu;
  private readonly segments = new Map<number, Segment>();
  /** Physical address of each of the vector's pages. */
  private readonly pages = new Map<number, number>();
  private readonly userSize: number;
  /** The vector's pages before its own content, with its content, and as silicon left them. */
  private readonly pristine: Uint8Array;
  private readonly user: Uint8Array;
  private readonly expected: Uint8Array;
  private readonly userWords: Uint32Array;
  private readonly expectedWords: Uint32Array;

  constructor(engine: EngineName) {
    this.cpu = new Cpu(RAM_SIZE);
    this.engine = createEngine(engine, this.cpu);
    this.userSize = PAGES.reduce((sum, [, count]) => sum + count * PAGE, 0);
    this.user = this.cpu.u8.subarray(L.RAM_BASE + USER, L.RAM_BASE + USER + this.userSize);
    this.buildTables();
    this.buildPages();
    this.pristine = this.user.slice();
    this.expected = this.user.slice();
    this.userWords = new Uint32Array(this.user.buffer, this.user.byteOffset, this.userSize / 4);
    this.expectedWords = new Uint32Array(this.expected.buffer);
  }

  /**
   * Runs a vector to its end.
   * @returns what came out, and the differences in memory (text); or the reason why nothing came out
   */
  run(vector: Vector): { readonly outcome: Outcome; readonly memory: string[] } | { readonly failure: string } {
    this.load(vector);
    let exit = this.engine.run(BUDGET);
    // HLT asks for an exit first.
    if (exit.kind === "requested") exit = this.engine.run(1);
    if (exit.kind === "unimplemented") return { failure: `not implemented: ${exit.feature}` };
    if (exit.kind === "shutdown") return { failure: exit.reason };
    if (exit.kind !== "halted") return { failure: `did not end within ${BUDGET} instructions` };
    return { outcome: this.outcome(vector), memory: this.compareMemory(vector) };
  }

  // -- state in ---------------------------------------------------------------------------------------------------------------
  private load(vector: Vector): void {
    const { cpu } = this;
    this.user.set(this.pristine);
    for (const [address, hex] of vector.i.m ?? []) this.put(this.user, address, hex, false);
    const eip = vector.i.ip ?? CODE_ENTRY;
    this.put(this.user, vector.i.lin ?? eip, vector.b, false);
    this.engine.flushCode();
    for (const offset of [L.HALTED, L.EXIT_REQUEST, L.INTERRUPT_SHADOW, L.FAULT_PENDING, L.CR2]) cpu.setWord(offset, 0);
    for (let register = 0; register < 8; register++) cpu.setReg(register, vector.i.r[register]);
    cpu.eflags = vector.i.f;
    cpu.eip = eip;
    cpu.cpl = 3;
    for (const [seg, selector] of initialSelectors(vector).entries()) {
      const segment = this.segments.get(selector);
      if (segment && (seg === Seg.CS || isLoadable(segment.attributes)))
        cpu.setSegment(seg, selector, segment.base, segment.limit, segment.attributes, true);
      // What cannot be loaded was set to null on silicon.
      else cpu.setSegment(seg, 0, 0, 0, 0, false);
    }
    cpu.updateMode();
    const float = initialFloat(vector);
    if (float) this.loadFloat(float);
  }

  private loadFloat(float: FloatState): void {
    const { cpu } = this;
    cpu.setWord(L.FPU_CONTROL, float.cw);
    cpu.setWord(L.FPU_STATUS, float.sw);
    cpu.setWord(L.FPU_TAGS, float.tw);
    cpu.setWord(L.MXCSR, float.mx);
    for (let k = 0; k < 8; k++) {
      putHex(cpu.u8, this.stackRegister(float.sw, k), float.st[k]);
      putHex(cpu.u8, L.XMM_REGISTERS + k * 16, float.xmm[k]);
    }
  }
  /** Offset of ST(k): distance from TOP, bits 11-13 of the status word. */
  private stackRegister(status: number, k: number): number {
    return L.FPU_REGISTERS + (((status >>> 11) + k) & 7) * 16;
  }

  /** Puts bytes into an image of the vector's pages; those elsewhere, and for input the read-only page, are dropped. */
  private put(image: Uint8Array, address: number, hex: string, mayBeReadOnly: boolean): void {
    for (let k = 0; k < hex.length; k += 2) {
      const at = (address + k / 2) >>> 0;
      const offset = this.offsetOf(at);
      if (offset < 0 || (!mayBeReadOnly && (at & ~0xfff) >>> 0 === READ_ONLY_PAGE)) continue;
      image[offset] = hexByte(hex, k);
    }
  }
  /** Offset of a linear address in the image of the vector's pages, or -1. */
  private offsetOf(linear: number): number {
    const page = this.pages.get(linear >>> 12);
    return page === undefined ? -1 : page - USER + (linear & 0xfff);
  }

  // -- state out --------------------------------------------------------------------------------------------------------------
  private outcome(vector: Vector): Outcome {
    const { cpu } = this;
    const trap = cpu.eip - 1 - HANDLERS;
    const frame = cpu.reg(Reg.ESP);
    const hasError = STACK_TOP - frame === 24;
    const word = (index: number) => cpu.readLinear(frame + (index + (hasError ? 1 : 0)) * 4, 4, false);
    const cs = word(1) & 0xffff;
    const registers = Array.from({ length: 8 }, (_, register) => cpu.reg(register));
    registers[Reg.ESP] = word(3);
    const selectors = Array.from({ length: 6 }, (_, seg) => cpu.selector(seg));
    selectors[Seg.CS] = cs;
    selectors[Seg.SS] = word(4) & 0xffff;
    // An INT3 ends the code, unless it is what the vector is about.
    const isEnd = trap === Trap.BP && vector.o.t !== Trap.BP;
    return {
      trap: isEnd ? undefined : trap,
      error: hasError ? cpu.readLinear(frame, 4, false) : 0,
      cr2: cpu.cr2,
      eip: isEnd ? word(0) - 1 : word(0),
      eflags: word(2),
      registers,
      selectors,
      float: vector.i.x && this.floatState(),
    };
  }
  private floatState(): FloatState {
    const { cpu } = this;
    const sw = cpu.word(L.FPU_STATUS);
    const eight = Array.from({ length: 8 }, (_, k) => k);
    return {
      cw: cpu.word(L.FPU_CONTROL),
      sw,
      tw: cpu.word(L.FPU_TAGS),
      mx: cpu.word(L.MXCSR),
      st: eight.map((k) => hexText(cpu.u8, this.stackRegister(sw, k), 10)),
      xmm: eight.map((k) => hexText(cpu.u8, L.XMM_REGISTERS + k * 16, 16)),
    };
  }

  /** Differences between the vector's pages and what silicon left there. */
  private compareMemory(vector: Vector): string[] {
    const { user, expected } = this;
    expected.set(this.pristine);
    for (const [address, hex] of vector.i.m ?? []) this.put(expected, address, hex, false);
    this.put(expected, vector.i.lin ?? vector.i.ip ?? CODE_ENTRY, vector.b, false);
    for (const [address, hex] of vector.o.m ?? []) this.put(expected, address, hex, true);
    for (const [address, length] of vector.mu ?? [])
      for (let k = 0; k < length; k++) {
        const offset = this.offsetOf((address + k) >>> 0);
        if (offset >= 0) expected[offset] = user[offset];
      }
    const differences: string[] = [];
    const [got, want] = [this.userWords, this.expectedWords];
    for (let word = 0; word < got.length && differences.length < 4; word++)
      if (got[word] !== want[word]) this.describeWord(word * 4, differences);
    return differences;
  }
  /** Adds a line for each byte of a word that differs. */
  private describeWord(offset: number, differences: string[]): void {
    for (const [page, physical] of this.pages) {
      const start = physical - USER;
      if (offset < start || offset >= start + PAGE) continue;
      for (let at = offset; at < offset + 4; at++)
        if (this.user[at] !== this.expected[at]) {
          const linear = (page * PAGE + at - start).toString(16);
          differences.push(`memory ${linear}: ${byteText(this.expected[at])}, got ${byteText(this.user[at])}`);
        }
    }
  }

  // -- building ---------------------------------------------------------------------------------------------------------------
  private buildPages(): void {
    const { cpu } = this;
    const tables = new Map<number, number>();
    const map = (linear: number, physical: number, bits: number) => {
      const slot = linear >>> 22;
      let table = tables.get(slot);
      if (table === undefined) {
        table = TABLES + tables.size * PAGE;
        tables.set(slot, table);
        cpu.writePhysical(DIRECTORY + slot * 4, 4, table | PTE_USER_WRITABLE);
      }
      cpu.writePhysical(table + ((linear >>> 12) & 0x3ff) * 4, 4, physical | bits);
    };
    for (let k = 0; k < 3; k++) map(SYSTEM_LINEAR + k * PAGE, SYSTEM + k * PAGE, PTE_SYSTEM);
    let physical = USER;
    for (const [linear, count, fill] of PAGES)
      for (let k = 0; k < count; k++, physical += PAGE) {
        const page = linear + k * PAGE;
        map(page, physical, page === READ_ONLY_PAGE ? PTE_USER_READ_ONLY : PTE_USER_WRITABLE);
        this.pages.set(page >>> 12, physical);
        for (let at = 0; at < PAGE; at++) this.user[physical - USER + at] = fill === "address" ? at : fill;
      }
    cpu.setWord(L.CR0, Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.PG);
    cpu.setWord(L.CR4, Cr4.OSFXSR | Cr4.OSXMMEXCPT);
    cpu.setWord(L.CR3, DIRECTORY);
    cpu.tlb.flushAll();
  }

  private buildTables(): void {
    const { cpu } = this;
    const at = (linear: number) => SYSTEM + linear - SYSTEM_LINEAR;
    const descriptor = (
      selector: number,
      base: number,
      limit: number,
      type: number,
      granularity: number,
      big: number,
    ) => {
      const address = at(selector & 4 ? LDT : GDT) + (selector & ~7);
      // AVL is set in the LDT: FORMAT.md.
      const available = selector & 4 ? 1 : 0;
      const flags = (granularity << 23) | (big << 22) | (available << 20);
      const high = ((base & 0xff000000) | flags | (limit & 0xf0000) | (type << 8) | ((base >>> 16) & 0xff)) >>> 0;
      cpu.writePhysical(address, 4, ((base & 0xffff) << 16) | (limit & 0xffff));
      cpu.writePhysical(address + 4, 4, high);
      const bytes = granularity ? ((limit << 12) | 0xfff) >>> 0 : limit;
      this.segments.set(selector, { base, limit: bytes, attributes: high & 0xf0ff00 });
    };
    descriptor(Selector.KERNEL_CODE, 0, 0xfffff, 0x9b, 1, 1);
    descriptor(Selector.KERNEL_DATA, 0, 0xfffff, 0x93, 1, 1);
    descriptor(0x23, 0, 0xfffff, 0xfb, 1, 1);
    descriptor(0x2b, 0, 0xfffff, 0xf3, 1, 1);
    descriptor(Selector.TSS, TSS, TSS_LIMIT, 0x8b, 0, 0);
    descriptor(Selector.LDT, LDT, LDT_ENTRIES.length * 8 - 1, 0x82, 0, 0);
    for (const [i, [base, limit, type, granularity, big]] of LDT_ENTRIES.entries())
      if (type !== 0) descriptor(i * 8 + 7, base, limit, type, granularity, big);
    for (const [seg, selector] of [
      [Seg.TR, Selector.TSS],
      [Seg.LDTR, Selector.LDT],
    ]) {
      const { base, limit, attributes } = this.segments.get(selector) as Segment;
      cpu.setSegment(seg, selector, base, limit, attributes, true);
    }
    cpu.writePhysical(at(TSS) + 4, 4, STACK_TOP);
    cpu.writePhysical(at(TSS) + 8, 4, Selector.KERNEL_DATA);
    // An I/O bitmap outside the TSS forbids every port.
    cpu.writePhysical(at(TSS) + TSS_LIMIT - 1, 2, TSS_LIMIT + 1);
    for (let vector = 0; vector < 256; vector++) {
      const handler = HANDLERS + vector;
      const dpl = vector === Trap.BP || vector === Trap.OF ? 3 : 0;
      cpu.writePhysical(at(IDT) + vector * 8, 4, ((Selector.KERNEL_CODE << 16) | (handler & 0xffff)) >>> 0);
      cpu.writePhysical(at(IDT) + vector * 8 + 4, 4, ((handler & 0xffff0000) | 0x8e00 | (dpl << 13)) >>> 0);
      cpu.writePhysical(at(handler), 1, HLT);
    }
    cpu.setWord(L.GDTR_BASE, GDT);
    cpu.setWord(L.GDTR_LIMIT, GDT_LIMIT);
    cpu.setWord(L.IDTR_BASE, IDT);
    cpu.setWord(L.IDTR_LIMIT, 0x7ff);
  }
}

/** Present, and data or readable code. */
function isLoadable(attributes: number): boolean {
  const isExecuteOnly = (attributes & 0xa00) === 0x800;
  return (attributes & 0x8000) !== 0 && !isExecuteOnly;
}

function hexDigit(code: number): number {
  return code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57;
}
function hexByte(hex: string, at: number): number {
  return hexDigit(hex.charCodeAt(at)) * 16 + hexDigit(hex.charCodeAt(at + 1));
}
function putHex(memory: Uint8Array, at: number, hex: string): void {
  for (let k = 0; k < hex.length; k += 2) memory[at + k / 2] = hexByte(hex, k);
}
function byteText(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
function hexText(memory: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let k = 0; k < length; k++) text += byteText(memory[at + k]);
  return text;
}
