/**
 * A row: how one instruction form is encoded (the manual's notation) and which function says what it means.
 * All tables, handlers and facts are derived from rows; nothing is written twice. SDM Vol. 2, chapters 3-5 and appendix A.
 */
import type { Semantics } from "../emitter/emitter";
import type { OperandSpec } from "../emitter/operands";

export interface RowOptions {
  /** Bits of EFLAGS that the manual leaves undefined after this form (tests mask them). */
  readonly undefinedFlags?: number;
  /** LOCK is allowed when the destination is memory. */
  readonly lockable?: boolean;
  /** "rep": F2/F3 are repeat prefixes here. Mandatory prefixes are written in the encoding ("F3 0F 10 /r"). */
  readonly prefixes?: "rep";
  /** Only for this operand size (2: needs a 16-bit operand size, 4: 32-bit), where one encoding has two names (CBW/CWDE). */
  readonly onlyOperandSize?: 2 | 4;
  /** The memory operand's address is computed with ESP already incremented (SDM Vol. 2, POP). */
  readonly addressAfterPop?: boolean;
  /** An operand of the form may keep the architectural write before a fault, with the reason (fault-before-commit test). */
  readonly commitsEarly?: string;
}

export interface Row extends RowOptions {
  readonly mnemonic: string;
  /** E.g. "50+r", "FF /6", "0F B6 /r", "6A ib" (the immediate's letters are for the reader; operands say the same and are checked). */
  readonly encoding: string;
  readonly operands: readonly OperandSpec[];
  readonly semantics: Semantics;
}

/** Makes a row. */
export function insn(
  mnemonic: string,
  encoding: string,
  operands: readonly OperandSpec[],
  semantics: Semantics,
  options: RowOptions = {},
): Row {
  return { mnemonic, encoding, operands, semantics, ...options };
}
