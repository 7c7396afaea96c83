/**
 * MOVS CMPS SCAS LODS STOS INS OUTS, alone and repeated. SDM Vol. 1, 5.1.8 and 7.3.9.3; Vol. 2, REP.
 *
 * The text is one iteration; a repeated one ends with restart(), so each iteration is a point where interrupts and single-step
 * traps may come, and a fault leaves the registers as after the last complete iteration. Where nothing can come between, the
 * helper bulkString does many iterations at once. A long repetition retires now and then on its way, or one instruction over all of a
 * 4 GiB address space could keep limits, timers and people waiting for minutes.
 */
import type { Emitter, Semantics, Size, Value } from "../emitter/emitter";
import { setFlagsFromSub, zeroFlag } from "../emitter/flags";
import type { Instruction } from "../emitter/operands";
import {
  BULK_WORTH_IT,
  bulkString,
  checkPort,
  ELEMENTS_PER_INSTRUCTION,
  readPort,
  StringKind,
  writePort,
} from "../helpers";
import { Flag, Reg, Seg } from "../state-layout";
import { insn, type Row } from "./row";

type Iteration = (e: Emitter, i: Instruction, size: Size) => void;

/** The byte form and the form of operand size. */
function stringRows(mnemonic: string, opcodes: [string, string], meaning: (isByte: boolean) => Semantics): Row[] {
  const options = {
    prefixes: "rep" as const,
    commitsEarly: "a repeated string instruction keeps the iterations that it has completed (SDM Vol. 1, 7.3.9.3)",
  };
  return opcodes.map((opcode, k) => insn(mnemonic, opcode, [], meaning(k === 0), options));
}

export const strings = [
  ...stringRows("INS", ["6C", "6D"], repeated(ins, { check: checkOwnPort })),
  ...stringRows("OUTS", ["6E", "6F"], repeated(outs, { check: checkOwnPort })),
  ...stringRows("MOVS", ["A4", "A5"], repeated(movs, { bulk: StringKind.MOVS })),
  ...stringRows(
    "CMPS",
    ["A6", "A7"],
    repeatedCompare(cmps, StringKind.CMPS_WHILE_EQUAL, StringKind.CMPS_WHILE_NOT_EQUAL),
  ),
  ...stringRows("STOS", ["AA", "AB"], repeated(stos, { bulk: StringKind.STOS })),
  ...stringRows("LODS", ["AC", "AD"], repeated(lods, { bulk: StringKind.LODS })),
  ...stringRows(
    "SCAS",
    ["AE", "AF"],
    repeatedCompare(scas, StringKind.SCAS_WHILE_EQUAL, StringKind.SCAS_WHILE_NOT_EQUAL),
  ),
];

/** REP: until the count is 0. `check` is done even when it is 0 to begin with. */
function repeated(once: Iteration, options: { check?: Iteration; bulk?: number } = {}): (isByte: boolean) => Semantics {
  return (isByte) => (e, i) => {
    const size = isByte ? 1 : i.operandSize;
    options.check?.(e, i, size);
    if (i.repeat === "none") {
      once(e, i, size);
      return;
    }
    e.when(e.readRegister(Reg.ECX, i.addressSize), () => {
      if (options.bulk !== undefined) hurry(e, i, size, options.bulk);
      iterate(e, i, size, once, () => e.const(1));
    });
  };
}

/** REPE and REPNE: until the count is 0 or ZF says otherwise. */
function repeatedCompare(once: Iteration, whileEqual: number, whileNotEqual: number): (isByte: boolean) => Semantics {
  return (isByte) => (e, i) => {
    const size = isByte ? 1 : i.operandSize;
    if (i.repeat === "none") {
      once(e, i, size);
      return;
    }
    const goesOn = () => (i.repeat === "rep" ? zeroFlag(e) : e.isZero(zeroFlag(e)));
    e.when(e.readRegister(Reg.ECX, i.addressSize), () => {
      hurry(e, i, size, i.repeat === "rep" ? whileEqual : whileNotEqual);
      iterate(e, i, size, once, goesOn);
    });
  };
}

/** Iterations that need not be done one by one; the last one always remains. A few are faster without the call. */
function hurry(e: Emitter, i: Instruction, size: Size, kind: number): void {
  e.when(e.ltUnsigned(e.const(BULK_WORTH_IT), e.readRegister(Reg.ECX, i.addressSize)), () => {
    e.call(bulkString, e.const(kind), e.const(size), e.const(i.addressSize), e.number(i.dataSegment));
  });
}

/** One iteration, the count, and again. */
function iterate(e: Emitter, i: Instruction, size: Size, once: Iteration, goesOn: () => Value): void {
  once(e, i, size);
  const count = e.zeroExtend(e.sub(e.readRegister(Reg.ECX, i.addressSize), e.const(1)), i.addressSize);
  e.writeRegister(Reg.ECX, i.addressSize, count);
  e.when(e.and(e.ne(count, e.const(0)), goesOn()), () => {
    const isLong = e.isZero(e.and(count, e.const(ELEMENTS_PER_INSTRUCTION - 1)));
    e.when(
      isLong,
      () => e.jump(e.currentEip()),
      () => e.restart(),
    );
  });
}

function sourceIndex(e: Emitter, i: Instruction): Value {
  return e.readRegister(Reg.ESI, i.addressSize);
}
function destinationIndex(e: Emitter, i: Instruction): Value {
  return e.readRegister(Reg.EDI, i.addressSize);
}
/** Moves an index register by one element: up, or down when DF is set. */
function advance(e: Emitter, i: Instruction, register: number, size: Size): void {
  const direction = e.and(e.systemFlags(), e.const(Flag.DF));
  const twice = e.shr(direction, e.const(Math.log2(Flag.DF) - Math.log2(size) - 1));
  const index = e.readRegister(register, i.addressSize);
  e.writeRegister(register, i.addressSize, e.add(index, e.sub(e.const(size), twice)));
}

/** SDM Vol. 2 MOVS. */
function movs(e: Emitter, i: Instruction, size: Size): void {
  const value = e.load(i.dataSegment, sourceIndex(e, i), size);
  e.store(Seg.ES, destinationIndex(e, i), value, size);
  advance(e, i, Reg.ESI, size);
  advance(e, i, Reg.EDI, size);
}

/** SDM Vol. 2 STOS. */
function stos(e: Emitter, i: Instruction, size: Size): void {
  e.store(Seg.ES, destinationIndex(e, i), e.readRegister(Reg.EAX, size), size);
  advance(e, i, Reg.EDI, size);
}

/** SDM Vol. 2 LODS. */
function lods(e: Emitter, i: Instruction, size: Size): void {
  e.writeRegister(Reg.EAX, size, e.load(i.dataSegment, sourceIndex(e, i), size));
  advance(e, i, Reg.ESI, size);
}

/** SDM Vol. 2 CMPS. Silicon reads ES:EDI first (vectors: decode, "a6"). */
function cmps(e: Emitter, i: Instruction, size: Size): void {
  const b = e.load(Seg.ES, destinationIndex(e, i), size);
  const a = e.load(i.dataSegment, sourceIndex(e, i), size);
  setFlagsFromSub(e, a, b, e.sub(a, b), size);
  advance(e, i, Reg.ESI, size);
  advance(e, i, Reg.EDI, size);
}

/** SDM Vol. 2 SCAS. */
function scas(e: Emitter, i: Instruction, size: Size): void {
  const a = e.readRegister(Reg.EAX, size);
  const b = e.load(Seg.ES, destinationIndex(e, i), size);
  setFlagsFromSub(e, a, b, e.sub(a, b), size);
  advance(e, i, Reg.EDI, size);
}

/** The port in DX must be allowed. */
function checkOwnPort(e: Emitter, _i: Instruction, size: Size): void {
  e.call(checkPort, e.readRegister(Reg.EDX, 2), e.const(size));
}

/** SDM Vol. 2 INS. The place is tried before the port is read: a device must not be asked twice. */
function ins(e: Emitter, i: Instruction, size: Size): void {
  const port = e.readRegister(Reg.EDX, 2);
  e.probeWrite(Seg.ES, destinationIndex(e, i), size);
  const value = e.call(readPort, port, e.const(size));
  e.store(Seg.ES, destinationIndex(e, i), value, size);
  advance(e, i, Reg.EDI, size);
}

/** SDM Vol. 2 OUTS. */
function outs(e: Emitter, i: Instruction, size: Size): void {
  const port = e.readRegister(Reg.EDX, 2);
  const value = e.load(i.dataSegment, sourceIndex(e, i), size);
  e.call(writePort, port, e.const(size), value);
  advance(e, i, Reg.ESI, size);
}
