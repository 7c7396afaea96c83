/**
 * The processor as TypeScript sees it: typed access to the state in the shared memory, memory access through segments and
 * paging for helpers, and the few wires that leave the chip (ports, slow memory, interrupt acknowledge, observers).
 *
 * The fields themselves live in WebAssembly.Memory (state-layout.ts), so generated code and this class see the same thing.
 * Next: mmu/paging.ts (translation), helpers/ (privileged behaviour), engine.ts (who runs it).
 */

import { GuestFault } from "./fault";
import { eflagsFromLazy, lazyFromEflags } from "./flags-state";
import { CodeWatch } from "./mmu/code-watch";
import { Access, mattersToTlb, translate } from "./mmu/paging";
import { Tlb } from "./mmu/tlb";
import * as L from "./state-layout";
import { Flag, Mode, Seg, Vector } from "./state-layout";

/** What lies behind physical addresses that are not RAM. Sizes 1, 2, 4. */
export interface SlowMemory {
  read(physical: number, size: number): number;
  write(physical: number, size: number, value: number): void;
}

/** The I/O port space. */
export interface Ports {
  read(port: number, size: number): number;
  write(port: number, size: number, value: number): void;
}

/** One delivery through the IDT, as an observer is told before the handler's first instruction. */
export interface Delivery {
  readonly vector: number;
  readonly errorCode: number | undefined;
  readonly source: "exception" | "software" | "external";
  /** State at the interrupted instruction. */
  readonly fromCpl: number;
  readonly fromCs: number;
  readonly fromEip: number;
  /** State after delivery. */
  readonly toCpl: number;
}

const openBus: SlowMemory = {
  read: (_, size) => (size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff),
  write: () => {},
};
const noPorts: Ports = { read: (_, size) => (size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff), write: () => {} };

/** SegmentField.FAST for a descriptor's attributes: expand-up data (read, write as its type says) and readable code. */
function fastAccess(attributes: number): number {
  const type = (attributes >>> 8) & 0x1f;
  if (!(type & 0x10)) return 0;
  if (type & 8) return type & 2 ? 1 : 0;
  if (type & 4) return 0;
  return type & 2 ? 3 : 1;
}

export class Cpu {
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly view: DataView;
  readonly ramSize: number;
  readonly tlb: Tlb;
  /** Which physical pages hold decoded code or are watched; tells engines when such bytes change. */
  readonly code: CodeWatch;

  slowMemory: SlowMemory = openBus;
  ports: Ports = noPorts;
  /** Level of the INTR pin and the acknowledge cycle that yields the vector. */
  interruptLine = false;
  acknowledgeInterrupt: () => number = () => 0xff;
  /** Observers; null costs nothing. */
  onDelivery: ((delivery: Delivery) => void) | null = null;
  /** Retired instructions when the current run began; see instructionCount(). */
  retiredBefore = 0;
  /** True while an engine keeps BUDGET current only at helper calls. */
  inRun = false;

  /** @param ramSize bytes of RAM, a multiple of 64 KiB. */
  constructor(ramSize: number) {
    this.ramSize = ramSize;
    const pages = (L.RAM_BASE + ramSize + 0xffff) >>> 16;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.memory.buffer;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.view = new DataView(buffer);
    this.code = new CodeWatch(this);
    this.tlb = new Tlb(this);
    this.reset();
  }

  /** Power-up state: real mode, all segments 64 KiB. SDM Vol. 3, table 9-1, but EIP 0xFFF0 in F000 as on hardware. */
  reset(): void {
    this.u32.fill(0, 0x100 >> 2, L.STATE_END >> 2);
    this.u32[L.EFLAGS_SYSTEM >> 2] = 2;
    this.u32[L.FLAGS_RESULT >> 2] = 1;
    this.u32[L.FLAGS_CARRIES >> 2] = 1 << 8;
    this.u32[L.CR0 >> 2] = 0x60000010;
    for (let seg = 0; seg < 8; seg++)
      this.setSegment(
        seg,
        0,
        0,
        0xffff,
        seg === Seg.CS ? 0x9b00 : seg < 6 ? 0x9300 : seg === Seg.LDTR ? 0x8200 : 0x8b00,
        true,
      );
    this.setSegment(Seg.CS, 0xf000, 0xffff0000, 0xffff, 0x9b00, true);
    this.u32[L.EIP >> 2] = 0xfff0;
    this.u32[L.GDTR_LIMIT >> 2] = 0xffff;
    this.u32[L.IDTR_LIMIT >> 2] = 0xffff;
    this.u32[(L.DEBUG_REGISTERS >> 2) + 6] = 0xffff0ff0;
    this.u32[(L.DEBUG_REGISTERS >> 2) + 7] = 0x400;
    this.u32[L.FPU_CONTROL >> 2] = 0x37f;
    this.u32[L.MXCSR >> 2] = 0x1f80;
    this.retiredBefore = 0;
    this.tlb.flushAll();
    this.selectTlbSet();
    this.updateMode();
  }

  // -- registers ------------------------------------------------------------------------------------------------------------
  /** General register by encoding number, unsigned. */
  reg(index: number): number {
    return this.u32[(L.REGISTERS >> 2) + index];
  }
  setReg(index: number, value: number): void {
    this.u32[(L.REGISTERS >> 2) + index] = value;
  }
  get eip(): number {
    return this.u32[L.EIP >> 2];
  }
  set eip(value: number) {
    this.u32[L.EIP >> 2] = value;
  }
  get cpl(): number {
    return this.u32[L.CPL >> 2];
  }
  /** Changes privilege: also selects the TLB set. */
  set cpl(value: number) {
    this.u32[L.CPL >> 2] = value;
    this.selectTlbSet();
  }
  /** Points accesses to the TLB set of the present directory and privilege; call when CPL, EFLAGS.AC or CR0.AM changed. */
  selectTlbSet(): void {
    const isUser = this.u32[L.CPL >> 2] === 3;
    this.u32[L.TLB_CURRENT >> 2] = isUser && this.checksAlignment() ? L.TLB_CHECKED : this.tlb.set(isUser);
  }
  /** #AC for unaligned accesses at CPL 3. SDM Vol. 3, 6.15, interrupt 17. */
  private checksAlignment(): boolean {
    return (this.u32[L.EFLAGS_SYSTEM >> 2] & Flag.AC) !== 0 && (this.u32[L.CR0 >> 2] & L.Cr0.AM) !== 0;
  }
  get cr0(): number {
    return this.u32[L.CR0 >> 2];
  }
  get cr2(): number {
    return this.u32[L.CR2 >> 2];
  }
  set cr2(value: number) {
    this.u32[L.CR2 >> 2] = value;
  }
  get cr3(): number {
    return this.u32[L.CR3 >> 2];
  }
  get cr4(): number {
    return this.u32[L.CR4 >> 2];
  }
  /** The whole EFLAGS register. Setting it does not check privilege; it updates the mode (VM). */
  get eflags(): number {
    return eflagsFromLazy(
      this.u32[L.FLAGS_RESULT >> 2],
      this.u32[L.FLAGS_CARRIES >> 2],
      this.u32[L.EFLAGS_SYSTEM >> 2],
    );
  }
  set eflags(value: number) {
    const lazy = lazyFromEflags(value);
    this.u32[L.FLAGS_RESULT >> 2] = lazy.result;
    this.u32[L.FLAGS_CARRIES >> 2] = lazy.carries;
    const before = this.u32[L.EFLAGS_SYSTEM >> 2];
    this.u32[L.EFLAGS_SYSTEM >> 2] = (value & ~L.ARITHMETIC_FLAGS & 0x3f7fd7) | 2;
    if ((before ^ value) & Flag.VM) this.updateMode();
    if ((before ^ value) & Flag.AC) this.selectTlbSet();
  }
  /** EFLAGS without the arithmetic flags: cheap. */
  get systemFlags(): number {
    return this.u32[L.EFLAGS_SYSTEM >> 2];
  }
  set systemFlags(value: number) {
    const before = this.u32[L.EFLAGS_SYSTEM >> 2];
    this.u32[L.EFLAGS_SYSTEM >> 2] = value;
    if ((before ^ value) & Flag.AC) this.selectTlbSet();
  }
  get iopl(): number {
    return (this.u32[L.EFLAGS_SYSTEM >> 2] >>> 12) & 3;
  }
  /** Any 32-bit state word by its offset in state-layout.ts. */
  word(offset: number): number {
    return this.u32[offset >> 2];
  }
  setWord(offset: number, value: number): void {
    this.u32[offset >> 2] = value;
  }

  // -- segments -------------------------------------------------------------------------------------------------------------
  selector(seg: number): number {
    return this.u32[(L.SEGMENTS + seg * L.SEGMENT_STRIDE + L.SegmentField.SELECTOR) >> 2];
  }
  segmentBase(seg: number): number {
    return this.u32[(L.SEGMENTS + seg * L.SEGMENT_STRIDE + L.SegmentField.BASE) >> 2];
  }
  segmentLimit(seg: number): number {
    return this.u32[(L.SEGMENTS + seg * L.SEGMENT_STRIDE + L.SegmentField.LIMIT) >> 2];
  }
  segmentAttributes(seg: number): number {
    return this.u32[(L.SEGMENTS + seg * L.SEGMENT_STRIDE + L.SegmentField.ATTRIBUTES) >> 2];
  }
  isSegmentUsable(seg: number): boolean {
    return this.u32[(L.SEGMENTS + seg * L.SEGMENT_STRIDE + L.SegmentField.USABLE) >> 2] !== 0;
  }
  /** Sets a segment register with its hidden part. Call updateMode() after the last one of a group that includes CS, SS, DS or ES. */
  setSegment(seg: number, selector: number, base: number, limit: number, attributes: number, isUsable: boolean): void {
    const at = (L.SEGMENTS + seg * L.SEGMENT_STRIDE) >> 2;
    this.u32[at] = selector;
    this.u32[at + 1] = base;
    this.u32[at + 2] = limit;
    this.u32[at + 3] = attributes;
    this.u32[at + 4] = isUsable ? 1 : 0;
    this.u32[at + 5] = isUsable ? fastAccess(attributes) : 0;
  }

  /** Recomputes MODE from CR0.PE, EFLAGS.VM and the segments; code TLBs are flushed when it or CS's base or limit changed. */
  updateMode(): void {
    let mode = 0;
    const vm = (this.u32[L.EFLAGS_SYSTEM >> 2] & Flag.VM) !== 0;
    if (vm) mode |= Mode.VM86;
    else if (this.u32[L.CR0 >> 2] & L.Cr0.PE) mode |= Mode.PROTECTED;
    const cs = this.segmentAttributes(Seg.CS);
    if (cs & 0x400000) mode |= Mode.CODE32;
    if (this.segmentAttributes(Seg.SS) & 0x400000) mode |= Mode.STACK32;
    if (this.isFlat(Seg.CS) && this.isFlat(Seg.DS) && this.isFlat(Seg.ES) && this.isFlat(Seg.SS)) mode |= Mode.FLAT;
    if (
      mode !== this.u32[L.MODE >> 2] ||
      this.segmentBase(Seg.CS) !== this.codeBase ||
      this.segmentLimit(Seg.CS) !== this.codeLimit
    ) {
      this.u32[L.MODE >> 2] = mode;
      this.codeBase = this.segmentBase(Seg.CS);
      this.codeLimit = this.segmentLimit(Seg.CS);
      this.tlb.flushCode();
    }
  }
  private codeBase = -1;
  private codeLimit = -1;

  private isFlat(seg: number): boolean {
    const at = (L.SEGMENTS + seg * L.SEGMENT_STRIDE) >> 2;
    if (this.u32[at + 1] !== 0 || this.u32[at + 2] !== 0xffffffff || this.u32[at + 4] === 0) return false;
    const type = (this.u32[at + 3] >>> 8) & 0xf;
    // Code: readable, so that a CS override may read. Data: expand-up and writable.
    return seg === Seg.CS ? (type & 0xa) === 0xa : (type & 0xe) === 0x2;
  }

  // -- time -----------------------------------------------------------------------------------------------------------------
  /** Instructions retired since reset. Inside a helper, the current instruction is not yet counted. */
  instructionCount(): number {
    return this.inRun
      ? this.retiredBefore + (this.u32[L.BUDGET_START >> 2] - this.u32[L.BUDGET >> 2])
      : this.retiredBefore;
  }
  /** Ask the engine to leave its run at the next instruction boundary: the rest of its budget is taken away, without changing what has been counted. */
  requestExit(): void {
    this.endRunAfterInstruction(L.ExitRequest.OUTSIDE);
  }
  private endRunAfterInstruction(reason: number): void {
    this.u32[L.EXIT_REQUEST >> 2] |= reason;
    if (!this.inRun || this.u32[L.BUDGET >> 2] === 0) return;
    this.u32[L.BUDGET_START >> 2] -= this.u32[L.BUDGET >> 2] - 1;
    this.u32[L.BUDGET >> 2] = 1;
  }

  // -- physical memory ----------------------------------------------------------------------------------------------------
  /** Physical access of 1, 2 or 4 bytes, RAM or not. Unaligned is fine; must not cross the end of RAM half-way (then it is slow memory). */
  readPhysical(physical: number, size: number): number {
    physical >>>= 0;
    if (physical + size <= this.ramSize) {
      const at = L.RAM_BASE + physical;
      return size === 4 ? this.view.getUint32(at, true) : size === 2 ? this.view.getUint16(at, true) : this.u8[at];
    }
    return this.slowMemory.read(physical, size) >>> 0;
  }
  /** Physical write; decoded code at that place is dropped. */
  writePhysical(physical: number, size: number, value: number): void {
    physical >>>= 0;
    if (physical + size <= this.ramSize) {
      if (this.tlb.tables.isWatched(physical)) this.writeTable(physical, size, value);
      else this.writeRam(physical, size, value);
      this.code.written(physical, size);
    } else this.slowMemory.write(physical, size, value);
  }

  private writeRam(physical: number, size: number, value: number): void {
    const at = L.RAM_BASE + physical;
    if (size === 4) this.view.setUint32(at, value, true);
    else if (size === 2) this.view.setUint16(at, value, true);
    else this.u8[at] = value;
  }
  /** A write to a page that the TLB watches: what was made from the entries concerned is dropped. */
  private writeTable(physical: number, size: number, value: number): void {
    const first = (L.RAM_BASE + physical) >> 2;
    const last = (L.RAM_BASE + physical + size - 1) >> 2;
    const [before, beforeLast] = [this.u32[first], this.u32[last]];
    this.writeRam(physical, size, value);
    const word = (physical & 0xfff) >> 2;
    if (mattersToTlb(before, this.u32[first])) this.dropTranslations(physical, word);
    if (last !== first && mattersToTlb(beforeLast, this.u32[last]))
      this.dropTranslations(physical + 4, (word + 1) & 0x3ff);
  }
  /** The code that is running may have been mapped by that entry, so the engine finds its place anew after this instruction. */
  private dropTranslations(table: number, word: number): void {
    this.tlb.tableChanged(table, word);
    if (this.inRun) this.endRunAfterInstruction(L.ExitRequest.INSIDE);
  }

  // -- linear memory (paging applied) ---------------------------------------------------------------------------------------
  /**
   * Reads 1, 2 or 4 bytes at a linear address with the given privilege (true: user access). Crosses pages correctly.
   * @throws GuestFault #PF, with CR2 set.
   */
  readLinear(linear: number, size: number, isUser = this.cpl === 3): number {
    linear >>>= 0;
    if (isUser) this.checkAlignment(linear, size);
    if ((linear & 0xfff) + size <= 0x1000) {
      const host = this.tlb.hostAddress(linear, false, isUser);
      if (host >= 0)
        return size === 4
          ? this.view.getUint32(host, true)
          : size === 2
            ? this.view.getUint16(host, true)
            : this.u8[host];
      const physical = this.translateOrFault(linear, Access.READ, isUser);
      const value = this.readPhysical(physical, size);
      this.code.wasRead(physical, size);
      return value;
    }
    let value = 0;
    const first = 0x1000 - (linear & 0xfff);
    const low = this.translateOrFault(linear, Access.READ, isUser);
    const high = this.translateOrFault((linear + first) >>> 0, Access.READ, isUser);
    for (let i = 0; i < size; i++) value |= this.readPhysical(i < first ? low + i : high + i - first, 1) << (i * 8);
    this.code.wasRead(low, first);
    this.code.wasRead(high, size - first);
    return value >>> 0;
  }
  /** Writes 1, 2 or 4 bytes; both pages are checked before either is written. @throws GuestFault #PF. */
  writeLinear(linear: number, size: number, value: number, isUser = this.cpl === 3): void {
    linear >>>= 0;
    if (isUser) this.checkAlignment(linear, size);
    if ((linear & 0xfff) + size <= 0x1000) {
      this.writePhysical(this.translateOrFault(linear, Access.WRITE, isUser), size, value);
      return;
    }
    const first = 0x1000 - (linear & 0xfff);
    const low = this.translateOrFault(linear, Access.WRITE, isUser);
    const high = this.translateOrFault((linear + first) >>> 0, Access.WRITE, isUser);
    for (let i = 0; i < size; i++)
      this.writePhysical(i < first ? low + i : high + i - first, 1, (value >>> (i * 8)) & 0xff);
  }
  /** Checks that `size` bytes could be written. @throws GuestFault #PF. */
  probeWriteLinear(linear: number, size: number, isUser = this.cpl === 3): void {
    linear >>>= 0;
    this.translateOrFault(linear, Access.WRITE, isUser);
    const last = (linear + size - 1) >>> 0;
    if ((linear ^ last) >>> 12) this.translateOrFault((last & ~0xfff) >>> 0, Access.WRITE, isUser);
  }
  /** @throws GuestFault #AC when alignment is checked and a word or doubleword lies across its natural boundary. */
  private checkAlignment(linear: number, size: number): void {
    if (this.u32[L.TLB_CURRENT >> 2] === L.TLB_CHECKED && linear & (size - 1)) throw new GuestFault(Vector.AC, 0);
  }
  /** Physical address of a linear one. @throws GuestFault #PF. */
  translateOrFault(linear: number, access: Access, isUser: boolean): number {
    const physical = translate(this, linear, access, isUser);
    if (physical < 0) {
      this.u32[L.FAULT_PENDING >> 2] = 0;
      throw new GuestFault(Vector.PF, this.u32[L.FAULT_ERROR >> 2]);
    }
    return physical;
  }
}
