/**
 * The decoded record: one instruction, ready to run. Records of a block lie one after the other in the arena, so the next instruction is
 * at `record + RECORD_SIZE`; a block ends with an instruction that always leaves it or with a LOOKUP or LINK pseudo-record.
 *
 * A record's first word is its handler's number in the function table. Breakpoints and invalidation just change that word.
 */
export const RECORD_SIZE = 48;

export const RecordField = {
  /** Index in the function table. */
  HANDLER: 0,
  /** EIP of this instruction and of the next in line. */
  EIP: 4,
  NEXT_EIP: 8,
  /** Operands: wasm address of a register; value of an immediate; target EIP; number of a segment, control or debug register. */
  SLOT3: 12,
  SLOT1: 16,
  SLOT2: 20,
  /** Memory operand: wasm addresses of base and index registers (ZERO_SLOT when none), displacement. */
  BASE: 24,
  INDEX: 28,
  DISPLACEMENT: 32,
  /** Bytes: index shift, segment number, instruction length. */
  SCALE: 36,
  SEGMENT: 37,
  LENGTH: 38,
  /** Branches: record of the target once known (same code page only), else 0. LINK records: where to go on. */
  LINK: 40,
  /** Selector of an immediate far pointer. */
  EXTRA: 44,
} as const;

/** Handlers that are not instructions: fixed places at the start of the function table. */
export const PseudoHandler = {
  /** Find the record for this EIP again: block ends, and every record of an invalidated page. */
  LOOKUP: 0,
  /** Go on at LINK. */
  LINK: 1,
  /** Leave with the exit code in SLOT1; nothing retires. */
  EXIT: 2,
  COUNT: 3,
} as const;

/** Why generated code returned. */
export const Exit = {
  /** The budget is used up; CURRENT_RECORD is the next instruction. */
  BUDGET: 0,
  /** No record for the EIP in state; BUDGET is current. */
  MISS: 1,
  /** FAULT_PENDING at CURRENT_RECORD. */
  FAULT: 2,
  /** EXIT_REQUEST or INTERRUPT_SHADOW was seen after an instruction; EIP and BUDGET are current. */
  REQUEST: 3,
  /** As REQUEST, after one iteration of a repeated instruction: CURRENT_RECORD runs again, nothing retired. */
  RESTART: 4,
  /** EXIT record: an instruction that crosses into the next page: decode it afresh. */
  UNCACHED: 5,
  /** EXIT record: breakpoint. */
  BREAKPOINT: 6,
  /** EXIT record: undefined opcode, #UD. */
  UNDEFINED: 7,
  /** EXIT record: instruction too long or beyond the code segment's limit, #GP(0). */
  PROTECTION: 8,
} as const;
