/**
 * Task switches by JMP, CALL, INT and IRET, through a TSS descriptor or a task gate. SDM Vol. 3, chapter 7.
 *
 * A switch has two halves (7.3). First everything that concerns the old task is checked: TSS types, limits, and that all of both
 * TSSs that will be touched is mapped; a fault there belongs to the old task and nothing has changed. Then the old state is
 * saved and the new one loaded; from there on we are the new task, so a bad segment in its TSS faults with the new task's
 * CS:EIP. That is the one place where a helper throws after the processor has changed; engines deliver at cpu.eip as always.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Flag, Seg, Vector } from "../state-layout";
import {
  Attribute,
  BUSY,
  type Descriptor,
  isNull,
  readDescriptor,
  requireDescriptor,
  SystemType,
  selectorFault,
} from "./descriptors";
import { PendingWrites } from "./pending-writes";
import {
  checkDataSegment,
  checkPresent,
  checkStackSegment,
  fillNull,
  fillSegment,
  fillTask,
  fillVirtual8086,
  requireGlobalDescriptor,
} from "./segmentation";

/** Offsets inside a TSS: Vol. 3, 7.2.1 (32-bit) and 7.6 (16-bit). `segments` lists ES, CS, SS, DS(, FS, GS) in that order. */
interface TssLayout {
  /** Width of EIP, EFLAGS and general registers. */
  readonly width: number;
  readonly eip: number;
  readonly eflags: number;
  readonly registers: number;
  readonly segments: number;
  readonly segmentStride: number;
  readonly segmentCount: number;
  readonly ldt: number;
  /** The smallest limit that is valid. */
  readonly minimumLimit: number;
}
const TSS32: TssLayout = {
  width: 4,
  eip: 0x20,
  eflags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentStride: 4,
  segmentCount: 6,
  ldt: 0x60,
  minimumLimit: 0x67,
};
const TSS16: TssLayout = {
  width: 2,
  eip: 0x0e,
  eflags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentStride: 2,
  segmentCount: 4,
  ldt: 0x2a,
  minimumLimit: 0x2b,
};
const LINK = 0;
/** Only in a 32-bit TSS. */
const CR3 = 0x1c;
const TRAP = 0x64;
/** DR6.BT: a task switch to a TSS with the trap bit. Vol. 3, 17.2.3. */
const DR6_BT = 0x8000;

export type SwitchKind = "jump" | "call" | "interrupt" | "return";

/** What a new TSS says. */
interface TaskImage {
  readonly eip: number;
  readonly eflags: number;
  readonly registers: readonly number[];
  readonly segments: readonly number[];
  readonly ldt: number;
  readonly cr3: number | undefined;
  readonly trap: boolean;
}

/**
 * The TSS that a present task gate leads to. SDM Vol. 2, JMP, CALL, INT n: TASK-GATE.
 * @throws GuestFault #GP, #NP
 */
export function readTaskOfGate(cpu: Cpu, gate: Descriptor, ext = 0): Descriptor {
  const tss = requireGlobalDescriptor(cpu, gate.gateSelector, Vector.GP, ext);
  if (!tss.isAvailableTss) throw selectorFault(Vector.GP, tss.selector, ext);
  checkPresent(tss, Vector.NP, ext);
  return tss;
}

/**
 * The TSS that the current one's link names: it must be busy. SDM Vol. 2, IRET: TASK-RETURN.
 * @throws GuestFault #TS, #NP
 */
export function readReturnTask(cpu: Cpu): Descriptor {
  const link = cpu.readLinear(cpu.segmentBase(Seg.TR), 2, false);
  const tss = requireGlobalDescriptor(cpu, link, Vector.TS);
  if (!tss.isBusyTss) throw selectorFault(Vector.TS, link);
  checkPresent(tss, Vector.NP);
  return tss;
}

/**
 * Switches to the task of `tss`, whose type and presence the caller has checked.
 * @param nextEip saved as the old task's EIP
 * @param isFault the old EFLAGS image has RF set (a fault through a task gate)
 * @returns true when the new task's trap bit asks for a debug exception: call raiseTaskTrap() when all else is done
 * @throws GuestFault in the old task's context before anything changed, or in the new task's
 */
export function switchTask(
  cpu: Cpu,
  tss: Descriptor,
  kind: SwitchKind,
  nextEip: number,
  ext: number,
  isFault = false,
): boolean {
  const layout = tss.isGate32 ? TSS32 : TSS16;
  if (tss.limit < layout.minimumLimit) throw selectorFault(Vector.TS, tss.selector, ext);
  const oldSelector = cpu.selector(Seg.TR);
  const oldLayout = cpu.segmentAttributes(Seg.TR) & Attribute.CODE ? TSS32 : TSS16;
  if (cpu.segmentLimit(Seg.TR) < oldLayout.minimumLimit) throw selectorFault(Vector.TS, oldSelector, ext);
  const nests = kind === "call" || kind === "interrupt";

  const image = readTask(cpu, tss.base, layout);
  const writes = new PendingWrites(cpu);
  let savedFlags = cpu.eflags;
  if (isFault) savedFlags |= Flag.RF;
  if (kind === "return") savedFlags &= ~Flag.NT;
  planSave(cpu, writes, oldLayout, nextEip, savedFlags);
  if (!nests) planNotBusy(cpu, writes, oldSelector);
  if (nests) writes.add((tss.base + LINK) >>> 0, 2, oldSelector, false);
  if (kind !== "return") writes.addType(tss, tss.typeByte | BUSY);

  writes.commit();
  fillTask(cpu, tss.selector, tss);
  cpu.setWord(L.CR0, cpu.cr0 | L.Cr0.TS);
  cpu.setWord(L.DEBUG_REGISTERS + 7 * 4, cpu.word(L.DEBUG_REGISTERS + 7 * 4) & ~LOCAL_BREAKPOINTS);
  if (image.cr3 !== undefined && cpu.cr0 & L.Cr0.PG) {
    cpu.setWord(L.CR3, image.cr3);
    cpu.tlb.loadRoot();
  }
  loadTaskState(cpu, image, layout, nests ? Flag.NT : 0);
  loadTaskSegments(cpu, image, ext);
  return image.trap;
}

/** DR7.L0-L3 and LE are cleared by a task switch. Vol. 3, 17.2.4. */
const LOCAL_BREAKPOINTS = 0x155;

/** The debug exception of a TSS with the trap bit: a trap before the new task's first instruction. Vol. 3, 17.3.1.5. */
export function raiseTaskTrap(cpu: Cpu): never {
  const dr6 = L.DEBUG_REGISTERS + 6 * 4;
  cpu.setWord(dr6, cpu.word(dr6) | DR6_BT);
  throw new GuestFault(Vector.DB);
}

function readTask(cpu: Cpu, base: number, layout: TssLayout): TaskImage {
  const read = (offset: number, size: number) => cpu.readLinear((base + offset) >>> 0, size, false);
  const isWide = layout === TSS32;
  const registers = Array.from({ length: 8 }, (_, i) => {
    const value = read(layout.registers + i * layout.width, layout.width);
    return isWide ? value : (value | 0xffff0000) >>> 0;
  });
  const segments = Array.from({ length: 6 }, (_, i) =>
    i < layout.segmentCount ? read(layout.segments + i * layout.segmentStride, 2) : 0,
  );
  return {
    eip: read(layout.eip, layout.width),
    eflags: read(layout.eflags, layout.width),
    registers,
    segments,
    ldt: read(layout.ldt, 2),
    cr3: isWide ? read(CR3, 4) : undefined,
    trap: isWide && (read(TRAP, 2) & 1) !== 0,
  };
}

/** Plans the old task's state into its TSS: the dynamic fields only. */
function planSave(cpu: Cpu, writes: PendingWrites, layout: TssLayout, eip: number, eflags: number): void {
  const base = cpu.segmentBase(Seg.TR);
  const add = (offset: number, size: number, value: number) => writes.add((base + offset) >>> 0, size, value, false);
  add(layout.eip, layout.width, eip);
  add(layout.eflags, layout.width, eflags);
  for (let i = 0; i < 8; i++) add(layout.registers + i * layout.width, layout.width, cpu.reg(i));
  for (let i = 0; i < layout.segmentCount; i++) add(layout.segments + i * layout.segmentStride, 2, cpu.selector(i));
}

/** JMP and IRET leave the old task for good: its TSS is available again. */
function planNotBusy(cpu: Cpu, writes: PendingWrites, selector: number): void {
  if (isNull(selector)) return;
  const descriptor = readDescriptor(cpu, selector);
  if (descriptor !== null) writes.addType(descriptor, descriptor.typeByte & ~BUSY);
}

/** Registers, EFLAGS, EIP, selectors. The hidden parts of the segment registers are invalid until their descriptors are loaded. */
function loadTaskState(cpu: Cpu, image: TaskImage, layout: TssLayout, nested: number): void {
  for (let i = 0; i < 8; i++) cpu.setReg(i, image.registers[i]);
  for (let seg = 0; seg < 6; seg++) fillNull(cpu, seg, image.segments[seg]);
  fillNull(cpu, Seg.LDTR, image.ldt);
  const upper = layout === TSS32 ? 0 : cpu.eflags & 0xffff0000 & ~Flag.VM;
  cpu.eflags = ((image.eflags | upper) & ~(Flag.RF | Flag.VIF | Flag.VIP)) | nested;
  cpu.eip = image.eip;
  cpu.cpl = cpu.eflags & Flag.VM ? 3 : image.segments[Seg.CS] & 3;
  cpu.updateMode();
}

/** Table 7-1: the new task's own mistakes. */
function loadTaskSegments(cpu: Cpu, image: TaskImage, ext: number): void {
  loadTaskLdt(cpu, image.ldt, ext);
  if (cpu.systemFlags & Flag.VM) {
    for (let seg = 0; seg < 6; seg++) fillVirtual8086(cpu, seg, image.segments[seg]);
    cpu.updateMode();
    return;
  }
  const cpl = cpu.cpl;
  const load = (seg: number, descriptor: Descriptor) => {
    const writes = new PendingWrites(cpu);
    writes.addAccessed(descriptor);
    writes.commit();
    fillSegment(cpu, seg, image.segments[seg], descriptor);
    cpu.updateMode();
  };
  load(Seg.CS, readTaskCode(cpu, image.segments[Seg.CS], ext));
  const stack = checkStackSegment(cpu, image.segments[Seg.SS], cpl, Vector.TS, ext);
  checkPresent(stack, Vector.SS, ext);
  load(Seg.SS, stack);
  for (const seg of [Seg.DS, Seg.ES, Seg.FS, Seg.GS]) {
    const selector = image.segments[seg];
    if (isNull(selector)) continue;
    const descriptor = checkDataSegment(cpu, selector, cpl, Vector.TS, ext);
    checkPresent(descriptor, Vector.NP, ext);
    load(seg, descriptor);
  }
}

function loadTaskLdt(cpu: Cpu, selector: number, ext: number): void {
  if (isNull(selector)) return;
  const ldt = requireGlobalDescriptor(cpu, selector, Vector.TS, ext);
  if (ldt.systemType !== SystemType.LDT || !ldt.isPresent) throw selectorFault(Vector.TS, selector, ext);
  fillSegment(cpu, Seg.LDTR, selector, ldt);
}

function readTaskCode(cpu: Cpu, selector: number, ext: number): Descriptor {
  if (isNull(selector)) throw selectorFault(Vector.TS, selector, ext);
  const code = requireDescriptor(cpu, selector, Vector.TS, ext);
  const rpl = selector & 3;
  if (!code.isCode || (code.isConforming ? code.dpl > rpl : code.dpl !== rpl))
    throw selectorFault(Vector.TS, selector, ext);
  checkPresent(code, Vector.NP, ext);
  return code;
}
