/**
 * An accelerator for repeated string instructions: does many iterations at once where nothing can happen between them, and leaves
 * everything else (faults, devices, watched pages, the last iteration with its flags) to the instruction's own text.
 *
 * It works page by page: the segment admits the whole piece, both pages are plain RAM that nobody watches, then one
 * typed-array operation stands for hundreds of iterations. Calling it or not never changes what a program sees.
 * SDM Vol. 2, REP, MOVS, STOS, LODS, CMPS, SCAS.
 */
import type { Cpu } from "../cpu";
import { Access, translate } from "../mmu/paging";
import * as L from "../state-layout";
import { Flag, Reg, Seg } from "../state-layout";
import { helper } from "./helper";
import { isAccessible } from "./segmentation";

/** Which instruction, and for comparisons which prefix. */
export const StringKind = {
  MOVS: 0,
  STOS: 1,
  LODS: 2,
  CMPS_WHILE_EQUAL: 3,
  CMPS_WHILE_NOT_EQUAL: 4,
  SCAS_WHILE_EQUAL: 5,
  SCAS_WHILE_NOT_EQUAL: 6,
} as const;

/** Up to this many iterations the text alone is as fast, so rows need not call. */
export const BULK_WORTH_IT = 24;
/** A power of two. Wherever what is left is a multiple of this, the instruction retires and begins again: time passes, and others may look. */
export const ELEMENTS_PER_INSTRUCTION = 0x10000;

/**
 * (kind, elementSize, addressSize, sourceSegment): does some whole iterations, updates ECX, ESI and EDI (and EAX for LODS), and gives
 * their number. At least the last iteration is left, for comparisons also the one that ends the loop. Does nothing when TF is set.
 */
export const bulkString = helper("bulkString", "continue", (cpu, kind, size, addressSize, sourceSegment) => {
  const mask = addressSize === 2 ? 0xffff : 0xffffffff;
  const count = (cpu.reg(Reg.ECX) & mask) >>> 0;
  if (count <= BULK_WORTH_IT || cpu.systemFlags & Flag.TF) return 0;
  if (cpu.word(L.TLB_CURRENT) === L.TLB_CHECKED) return 0;
  const readsSource = kind !== StringKind.STOS && kind < StringKind.SCAS_WHILE_EQUAL;
  const usesDestination = kind !== StringKind.LODS;
  const writes = kind <= StringKind.STOS;
  const isComparison = kind >= StringKind.CMPS_WHILE_EQUAL;
  const isBackward = (cpu.systemFlags & Flag.DF) !== 0;
  const step = isBackward ? -size : size;
  const isUser = cpu.cpl === 3;
  const most = (count - 1) & (ELEMENTS_PER_INSTRUCTION - 1);
  let source = (cpu.reg(Reg.ESI) & mask) >>> 0;
  let destination = (cpu.reg(Reg.EDI) & mask) >>> 0;
  let done = 0;
  while (done < most) {
    let piece = most - done;
    if (readsSource) piece = pieceInPage(cpu, sourceSegment, source, size, isBackward, mask, piece);
    if (usesDestination) piece = pieceInPage(cpu, Seg.ES, destination, size, isBackward, mask, piece);
    // The element before a page's end is left to the text, so that a fault on the next page finds this one's flags.
    if (isComparison) piece--;
    if (piece <= 0) break;
    const from = readsSource ? place(cpu, sourceSegment, source, size, piece, isBackward, false, isUser) : 0;
    if (from < 0) break;
    const to = usesDestination ? place(cpu, Seg.ES, destination, size, piece, isBackward, writes, isUser) : 0;
    if (to < 0) break;
    const finished = perform(cpu, kind, size, from, to, piece, isBackward);
    done += finished;
    source = ((source + step * finished) & mask) >>> 0;
    destination = ((destination + step * finished) & mask) >>> 0;
    if (finished < piece || isComparison) break;
  }
  if (done === 0) return 0;
  setIndex(cpu, Reg.ECX, count - done, mask);
  if (readsSource) setIndex(cpu, Reg.ESI, source, mask);
  if (usesDestination) setIndex(cpu, Reg.EDI, destination, mask);
  return done;
});

function setIndex(cpu: Cpu, register: number, value: number, mask: number): void {
  cpu.setReg(register, (cpu.reg(register) & ~mask) | (value & mask));
}

/** How many of `piece` elements from `index` on lie in one page and before the index wraps. 0: the first one crosses. */
function pieceInPage(
  cpu: Cpu,
  seg: number,
  index: number,
  size: number,
  isBackward: boolean,
  mask: number,
  piece: number,
): number {
  const inPage = (cpu.segmentBase(seg) + index) & 0xfff;
  if (inPage + size > 0x1000 || index + size > (mask >>> 0) + 1) return 0;
  const room = isBackward ? Math.floor(Math.min(inPage, index) / size) + 1 : Math.floor((0x1000 - inPage) / size);
  const beforeWrap = isBackward ? room : Math.floor(((mask >>> 0) + 1 - index) / size);
  return Math.min(piece, room, beforeWrap);
}

/** wasm address of the lowest byte of a piece, or -1 where the text must look after it. */
function place(
  cpu: Cpu,
  seg: number,
  index: number,
  size: number,
  piece: number,
  isBackward: boolean,
  isWrite: boolean,
  isUser: boolean,
): number {
  const bytes = piece * size;
  const lowest = isBackward ? index + size - bytes : index;
  if (!isAccessible(cpu, seg, lowest, bytes, isWrite)) return -1;
  const linear = (cpu.segmentBase(seg) + lowest) >>> 0;
  const physical = tryTranslate(cpu, linear, isWrite, isUser);
  if (physical < 0) return -1;
  const page = (physical & ~0xfff) >>> 0;
  if (page + 0x1000 > cpu.ramSize) return -1;
  if (!(isWrite ? cpu.code.mayWriteFast(page) : cpu.code.mayReadFast(page))) return -1;
  return L.RAM_BASE + physical;
}

/** Translates; a page fault leaves no trace, not even CR2. */
function tryTranslate(cpu: Cpu, linear: number, isWrite: boolean, isUser: boolean): number {
  const cr2 = cpu.cr2;
  const physical = translate(cpu, linear, isWrite ? Access.WRITE : Access.READ, isUser);
  if (physical < 0) {
    cpu.cr2 = cr2;
    cpu.setWord(L.FAULT_PENDING, 0);
  }
  return physical;
}

/** Does `piece` iterations on plain memory; comparisons may end early. Gives the number of iterations done. */
function perform(
  cpu: Cpu,
  kind: number,
  size: number,
  from: number,
  to: number,
  piece: number,
  isBackward: boolean,
): number {
  switch (kind) {
    case StringKind.MOVS:
      move(cpu, size, from, to, piece, isBackward);
      return piece;
    case StringKind.STOS:
      fill(cpu, size, to, piece);
      return piece;
    case StringKind.LODS:
      loadLast(cpu, size, isBackward ? from : from + (piece - 1) * size);
      return piece;
    case StringKind.CMPS_WHILE_EQUAL:
      if (!isBackward) return Math.floor(equalBytes(cpu, from, to, piece * size) / size);
      return compareEach(cpu, size, from, to, piece, isBackward, true);
    case StringKind.CMPS_WHILE_NOT_EQUAL:
      return compareEach(cpu, size, from, to, piece, isBackward, false);
    default:
      return scan(cpu, size, to, piece, isBackward, kind === StringKind.SCAS_WHILE_EQUAL);
  }
}

/** MOVS. Where the pieces overlap so that later reads see earlier writes, the result is what the element loop gives. */
function move(cpu: Cpu, size: number, from: number, to: number, piece: number, isBackward: boolean): void {
  const bytes = piece * size;
  const distance = isBackward ? from - to : to - from;
  if (distance <= 0 || distance >= bytes) cpu.u8.copyWithin(to, from, from + bytes);
  else if (!isBackward && distance >= size) repeat(cpu.u8, from, distance, distance + bytes);
  else moveEach(cpu, size, from, to, piece, isBackward);
}

/** Continues the first `period` bytes at `start` until there are `total`. */
function repeat(u8: Uint8Array, start: number, period: number, total: number): void {
  for (let have = period; have < total; have *= 2)
    u8.copyWithin(start + have, start, start + Math.min(have, total - have));
}

function moveEach(cpu: Cpu, size: number, from: number, to: number, piece: number, isBackward: boolean): void {
  for (let k = 0; k < piece; k++) {
    const at = (isBackward ? piece - 1 - k : k) * size;
    writeElement(cpu, to + at, size, readElement(cpu, from + at, size));
  }
}

/** STOS. */
function fill(cpu: Cpu, size: number, to: number, piece: number): void {
  const value = cpu.reg(Reg.EAX);
  const low = value & 0xff;
  const bytes = piece * size;
  if (size === 1 || value === Math.imul(low, 0x01010101) >>> 0 || (size === 2 && (value & 0xffff) === low * 0x101))
    cpu.u8.fill(low, to, to + bytes);
  else if (size === 4 && (to & 3) === 0) cpu.u32.fill(value, to >>> 2, (to + bytes) >>> 2);
  else {
    writeElement(cpu, to, size, value);
    repeat(cpu.u8, to, size, bytes);
  }
}

/** LODS: only the last element stays. */
function loadLast(cpu: Cpu, size: number, at: number): void {
  const mask = size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
  cpu.setReg(Reg.EAX, (cpu.reg(Reg.EAX) & ~mask) | readElement(cpu, at, size));
}

/** Number of equal bytes from the start. */
function equalBytes(cpu: Cpu, a: number, b: number, length: number): number {
  const { u8, i32 } = cpu;
  let i = 0;
  if (((a | b) & 3) === 0) {
    const words = length >>> 2;
    let w = 0;
    while (w < words && i32[(a >>> 2) + w] === i32[(b >>> 2) + w]) w++;
    i = w << 2;
  }
  while (i < length && u8[a + i] === u8[b + i]) i++;
  return i;
}

/** CMPS, one by one: iterations until the condition to go on fails. */
function compareEach(
  cpu: Cpu,
  size: number,
  from: number,
  to: number,
  piece: number,
  isBackward: boolean,
  whileEqual: boolean,
): number {
  for (let k = 0; k < piece; k++) {
    const at = (isBackward ? piece - 1 - k : k) * size;
    if ((readElement(cpu, from + at, size) === readElement(cpu, to + at, size)) !== whileEqual) return k;
  }
  return piece;
}

/** SCAS: iterations until the condition to go on fails. */
function scan(cpu: Cpu, size: number, to: number, piece: number, isBackward: boolean, whileEqual: boolean): number {
  const mask = size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
  const wanted = (cpu.reg(Reg.EAX) & mask) >>> 0;
  if (size === 1 && !isBackward && !whileEqual) {
    const found = cpu.u8.subarray(to, to + piece).indexOf(wanted);
    return found < 0 ? piece : found;
  }
  for (let k = 0; k < piece; k++) {
    const at = (isBackward ? piece - 1 - k : k) * size;
    if ((readElement(cpu, to + at, size) === wanted) !== whileEqual) return k;
  }
  return piece;
}

function readElement(cpu: Cpu, at: number, size: number): number {
  return size === 4 ? cpu.view.getUint32(at, true) : size === 2 ? cpu.view.getUint16(at, true) : cpu.u8[at];
}
function writeElement(cpu: Cpu, at: number, size: number, value: number): void {
  if (size === 4) cpu.view.setUint32(at, value, true);
  else if (size === 2) cpu.view.setUint16(at, value, true);
  else cpu.u8[at] = value;
}
