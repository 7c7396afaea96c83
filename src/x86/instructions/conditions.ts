/**
 * The sixteen conditions of Jcc, SETcc and CMOVcc: mnemonic suffixes in encoding order, and rows for a family of them.
 * What each means is emitter/flags.ts condition(). SDM Vol. 2, appendix B.1.4.7.
 */
import type { Semantics } from "../emitter/emitter";
import type { OperandSpec } from "../emitter/operands";
import { insn, type Row } from "./row";

export const CONDITIONS = ["O", "NO", "B", "AE", "E", "NE", "BE", "A", "S", "NS", "P", "NP", "L", "GE", "LE", "G"];

/** One row per condition; `encoding` turns the condition's number into an encoding. */
export function conditionRows(
  stem: string,
  encoding: (code: number) => string,
  operands: readonly OperandSpec[],
  meaning: (code: number) => Semantics,
): Row[] {
  return CONDITIONS.map((name, code) => insn(stem + name, encoding(code), operands, meaning(code)));
}

/** An opcode byte in the notation of rows. */
export function hexByte(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, "0");
}
