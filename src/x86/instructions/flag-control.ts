/**
 * Instructions about EFLAGS: CLC STC CMC CLD STD CLI STI LAHF SAHF PUSHF POPF. SDM Vol. 1, 5.1.11 and 3.4.3.
 * IF, IOPL and VM depend on privilege: helpers decide about them. How the arithmetic flags are kept: emitter/flags.ts.
 */
import type { Emitter } from "../emitter/emitter";
import { arithmeticFlags, carryFlag, overflowFlag, setArithmeticFlags, setCarry } from "../emitter/flags";
import type { Instruction } from "../emitter/operands";
import { clearInterrupts, popFlags, pushFlagsValue, setInterrupts } from "../helpers";
import { Flag } from "../state-layout";
import { insn } from "./row";
import { popBytes, pushValue } from "./stack";

const AH = 4;
/** What LAHF and SAHF move. */
const LOW_FLAGS = Flag.SF | Flag.ZF | Flag.AF | Flag.PF | Flag.CF;
/** Bit 1 of EFLAGS is always set. */
const ALWAYS_SET = 2;

export const flagControl = [
  insn("CMC", "F5", [], (e) => setCarry(e, e.isZero(carryFlag(e)))),
  insn("CLC", "F8", [], (e) => setCarry(e, e.const(0))),
  insn("STC", "F9", [], (e) => setCarry(e, e.const(1))),
  insn("CLI", "FA", [], (e) => e.call(clearInterrupts)),
  insn("STI", "FB", [], (e) => e.call(setInterrupts)),
  insn("CLD", "FC", [], (e) => e.setSystemFlags(e.and(e.systemFlags(), e.const(~Flag.DF)))),
  insn("STD", "FD", [], (e) => e.setSystemFlags(e.or(e.systemFlags(), e.const(Flag.DF)))),
  insn("PUSHF", "9C", [], pushf),
  insn("POPF", "9D", [], popf),
  insn("SAHF", "9E", [], sahf),
  insn("LAHF", "9F", [], lahf),
];

/** SDM Vol. 2 PUSHF/PUSHFD. */
function pushf(e: Emitter, i: Instruction): void {
  pushValue(e, i, e.call(pushFlagsValue));
}

/** SDM Vol. 2 POPF/POPFD. */
function popf(e: Emitter, i: Instruction): void {
  e.call(popFlags, e.loadStack(e.stackPointer(), i.operandSize), e.const(i.operandSize));
  popBytes(e, i.operandSize);
}

/** SDM Vol. 2 SAHF. */
function sahf(e: Emitter): void {
  const overflow = e.shl(overflowFlag(e), e.const(Math.log2(Flag.OF)));
  setArithmeticFlags(e, e.or(e.and(e.readRegister(AH, 1), e.const(LOW_FLAGS)), overflow));
}

/** SDM Vol. 2 LAHF. */
function lahf(e: Emitter): void {
  e.writeRegister(AH, 1, e.or(e.and(arithmeticFlags(e), e.const(LOW_FLAGS)), e.const(ALWAYS_SET)));
}
