/**
 * Segment registers and what asks about descriptors: MOV PUSH POP of segment registers, LDS LES LSS LFS LGS, LLDT LTR SLDT STR, VERR VERW LAR LSL ARPL.
 * SDM Vol. 1, 5.1.10; Vol. 3, chapter 3 and 5.10. The loads and look-ups are helpers (helpers/segmentation.ts).
 */
import type { Emitter, Value } from "../emitter/emitter";
import { setZeroFlag } from "../emitter/flags";
import { type Instruction, mem, type Operand, reg, rm, segmentRegister, sreg } from "../emitter/operands";
import {
  isLarValid,
  isLslValid,
  larValue,
  loadLdt,
  loadSegment,
  loadSegmentOfPointer,
  loadTask,
  lslValue,
  requirePrivilege,
  requireProtectedMode,
  verifyRead,
  verifyWrite,
} from "../helpers/segmentation";
import { Seg } from "../state-layout";
import { readFarPointer } from "./far-transfers";
import { insn, type Row } from "./row";
import { popBytes, pushValue } from "./stack";

/** MOV to CS does not exist. */
const LOADABLE = [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS];

function pushPopRows(seg: number, push: string, pop: string | undefined): Row[] {
  const operands = [segmentRegister(seg)];
  const rows = [insn("PUSH", push, operands, pushSegment)];
  return pop === undefined ? rows : [...rows, insn("POP", pop, operands, popSegment)];
}

export const segments = [
  insn("MOV", "8C /r", [rm.v, sreg], storeSegment),
  ...LOADABLE.map((seg) => insn("MOV", `8E /${seg}`, [segmentRegister(seg), rm.w], movToSegment)),
  ...pushPopRows(Seg.ES, "06", "07"),
  ...pushPopRows(Seg.CS, "0E", undefined),
  ...pushPopRows(Seg.SS, "16", "17"),
  ...pushPopRows(Seg.DS, "1E", "1F"),
  ...pushPopRows(Seg.FS, "0F A0", "0F A1"),
  ...pushPopRows(Seg.GS, "0F A8", "0F A9"),
  insn("LES", "C4 /r", [reg.v, mem.p], loadPointer(Seg.ES)),
  insn("LDS", "C5 /r", [reg.v, mem.p], loadPointer(Seg.DS)),
  insn("LSS", "0F B2 /r", [reg.v, mem.p], loadPointer(Seg.SS)),
  insn("LFS", "0F B4 /r", [reg.v, mem.p], loadPointer(Seg.FS)),
  insn("LGS", "0F B5 /r", [reg.v, mem.p], loadPointer(Seg.GS)),
  insn("SLDT", "0F 00 /0", [rm.v, segmentRegister(Seg.LDTR)], storeSystemSegment),
  insn("STR", "0F 00 /1", [rm.v, segmentRegister(Seg.TR)], storeSystemSegment),
  insn("LLDT", "0F 00 /2", [rm.w], lldt),
  insn("LTR", "0F 00 /3", [rm.w], ltr),
  insn("VERR", "0F 00 /4", [rm.w], verr),
  insn("VERW", "0F 00 /5", [rm.w], verw),
  insn("LAR", "0F 02 /r", [reg.v, rm.w], lar),
  insn("LSL", "0F 03 /r", [reg.v, rm.w], lsl),
  insn("ARPL", "63 /r", [rm.w, reg.w], arpl),
];

/** Stores 16 bits to memory, but the whole operand (zero-extended) to a register. SDM Vol. 2, MOV, SLDT, STR, SMSW. */
export function writeShort(e: Emitter, destination: Operand, value: Value): void {
  if (destination.kind === "memory") e.store(destination, e.effectiveAddress(destination), value, 2);
  else e.write(destination, value);
}

/** SDM Vol. 2 MOV from a segment register. */
function storeSegment(e: Emitter, i: Instruction): void {
  writeShort(e, i.op1, e.read(i.op2));
}

/** SDM Vol. 2 MOV to a segment register. */
function movToSegment(e: Emitter, i: Instruction): void {
  e.call(loadSegment, e.number(i.op1), e.read(i.op2));
}

/** SDM Vol. 2 PUSH, segment register: zero-extended. */
function pushSegment(e: Emitter, i: Instruction): void {
  pushValue(e, i, e.read(i.op1));
}

/** SDM Vol. 2 POP, segment register. */
function popSegment(e: Emitter, i: Instruction): void {
  const selector = e.zeroExtend(e.loadStack(e.stackPointer(), i.operandSize), 2);
  e.call(loadSegment, e.number(i.op1), selector);
  popBytes(e, i.operandSize);
}

/** SDM Vol. 2 LDS/LES/LFS/LGS/LSS. */
function loadPointer(seg: number) {
  return (e: Emitter, i: Instruction): void => {
    const [offset, selector] = readFarPointer(e, i, i.op2);
    e.call(loadSegmentOfPointer, e.const(seg), selector);
    e.write(i.op1, offset);
  };
}

/** SDM Vol. 2 SLDT, STR. */
function storeSystemSegment(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  writeShort(e, i.op1, e.read(i.op2));
}

/** SDM Vol. 2 LLDT. */
function lldt(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  e.call(requirePrivilege);
  e.call(loadLdt, e.read(i.op1));
}
/** SDM Vol. 2 LTR. */
function ltr(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  e.call(requirePrivilege);
  e.call(loadTask, e.read(i.op1));
}

/** SDM Vol. 2 VERR/VERW. */
function verr(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  setZeroFlag(e, e.call(verifyRead, e.read(i.op1)));
}
function verw(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  setZeroFlag(e, e.call(verifyWrite, e.read(i.op1)));
}

/** SDM Vol. 2 LAR. */
function lar(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  const selector = e.read(i.op2);
  const isValid = e.call(isLarValid, selector);
  e.when(isValid, () => e.write(i.op1, e.call(larValue, selector)));
  setZeroFlag(e, isValid);
}
/** SDM Vol. 2 LSL. */
function lsl(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  const selector = e.read(i.op2);
  const isValid = e.call(isLslValid, selector);
  e.when(isValid, () => e.write(i.op1, e.call(lslValue, selector)));
  setZeroFlag(e, isValid);
}

/** SDM Vol. 2 ARPL. Memory is written only when the selector changes (vectors: decode, "63"). */
function arpl(e: Emitter, i: Instruction): void {
  e.call(requireProtectedMode);
  const source = e.and(e.read(i.op2), e.const(3));
  const destination = e.read(i.op1);
  const isLower = e.ltUnsigned(e.and(destination, e.const(3)), source);
  e.when(isLower, () => e.write(i.op1, e.or(e.and(destination, e.const(0xfffc)), source)));
  setZeroFlag(e, isLower);
}
