/**
 * The language in which instructions say what they mean.
 *
 * A row's function (instructions/*.ts) is run against an Emitter. Which one decides what comes out: DirectEmitter does it now,
 * WasmEmitter writes a WebAssembly function (interpreter handler or JIT block), RecordingEmitter lists facts. So the function must not
 * look at guest values: `if` asks about the encoding, `e.when` about a value. Values are 32-bit words; narrower quantities are
 * zero-extended unless said otherwise. Order matters: everything that can fault comes before the first architectural write.
 *
 * Next: operands.ts (what `i` is), flags.ts, ../instructions/data-transfer.ts for examples.
 */
import type { Helper } from "../helpers/helper";
import type { Instruction, Operand } from "./operands";

declare const valueBrand: unique symbol;
/** A guest value. Opaque: never test, compare or print it. */
export interface Value {
  readonly [valueBrand]: true;
}

/** Width in bytes. */
export type Size = 1 | 2 | 4;

export interface Emitter {
  // -- arithmetic on 32-bit words (wraps) ------------------------------------------------------------------------------
  const(value: number): Value;
  add(a: Value, b: Value): Value;
  sub(a: Value, b: Value): Value;
  mul(a: Value, b: Value): Value;
  /** Upper 32 bits of the 64-bit product. */
  mulHighUnsigned(a: Value, b: Value): Value;
  mulHighSigned(a: Value, b: Value): Value;
  /**
   * Division of the 64-bit dividend high:low by a 32-bit divisor; the result's low 32 bits. Raise #DE first where the divisor is 0 or
   * (signed) the dividend is -2^63 and the divisor -1: these have no result.
   */
  divideWideUnsigned(high: Value, low: Value, divisor: Value): Value;
  remainderWideUnsigned(high: Value, low: Value, divisor: Value): Value;
  divideWideSigned(high: Value, low: Value, divisor: Value): Value;
  /** Upper 32 bits of the signed 64-bit quotient: to see whether it fits. */
  divideWideSignedHigh(high: Value, low: Value, divisor: Value): Value;
  remainderWideSigned(high: Value, low: Value, divisor: Value): Value;
  and(a: Value, b: Value): Value;
  or(a: Value, b: Value): Value;
  xor(a: Value, b: Value): Value;
  not(a: Value): Value;
  neg(a: Value): Value;
  /** Shifts and rotations use the low five bits of the count, as WebAssembly and the 32-bit forms of x86 do. */
  shl(a: Value, count: Value): Value;
  shr(a: Value, count: Value): Value;
  sar(a: Value, count: Value): Value;
  rotl(a: Value, count: Value): Value;
  rotr(a: Value, count: Value): Value;
  /** Leading, trailing zeros; 32 for 0. */
  clz(a: Value): Value;
  ctz(a: Value): Value;
  /** Comparisons give 0 or 1. */
  eq(a: Value, b: Value): Value;
  ne(a: Value, b: Value): Value;
  ltUnsigned(a: Value, b: Value): Value;
  ltSigned(a: Value, b: Value): Value;
  isZero(a: Value): Value;
  /** condition != 0 ? a : b. Both are computed. */
  select(condition: Value, a: Value, b: Value): Value;
  /** The low `size` bytes, sign- or zero-extended to 32 bits. */
  signExtend(a: Value, size: Size): Value;
  zeroExtend(a: Value, size: Size): Value;

  // -- operands and registers ---------------------------------------------------------------------------------------------
  /** Value of an operand, zero-extended. A memory operand is loaded (may fault); a relative operand gives its target EIP; a segment register its selector. */
  read(operand: Operand): Value;
  /** Stores the low bytes. A 16-bit or 8-bit register keeps its other bits. A memory operand may fault. Not for segment, control or debug registers (helpers do those). */
  write(operand: Operand, value: Value): void;
  /** Read with the intent to write back: faults now if the write would. Follow with exactly one update() on every path. */
  readForUpdate(operand: Operand): Value;
  update(operand: Operand, value: Value): void;
  /** Offset of a memory operand inside its segment (LEA), wrapped to the address size. */
  effectiveAddress(operand: Operand): Value;
  /** Encoding number (0-7) of the register, segment, control or debug register that the operand names; segment index for a memory operand's segment. */
  number(operand: Operand): Value;
  /** General register `index` (encoding number, known now). For 1: AL CL DL BL AH CH DH BH. */
  readRegister(index: number, size: Size): Value;
  writeRegister(index: number, size: Size, value: Value): void;

  // -- memory -----------------------------------------------------------------------------------------------------------------
  /** Segment is a Seg number, or an operand whose segment (with override) counts. Limit, type and paging are checked; may fault. */
  load(segment: number | Operand, offset: Value, size: Size): Value;
  store(segment: number | Operand, offset: Value, value: Value, size: Size): void;
  /** Faults as a store of `bytes` bytes would (1..64), changes nothing. */
  probeWrite(segment: number | Operand, offset: Value, bytes: number): void;
  /** ESP, or SP zero-extended when the stack segment is 16-bit. */
  stackPointer(): Value;
  /** Sets ESP, or only SP when the stack segment is 16-bit. */
  setStackPointer(value: Value): void;
  /** Like load/store on SS, with the offset wrapped to the stack's width. */
  loadStack(offset: Value, size: Size): Value;
  storeStack(offset: Value, value: Value, size: Size): void;

  // -- flags -----------------------------------------------------------------------------------------------------------------
  /** The two lazy words (state-layout.ts); only flags.ts uses these four. */
  flagsResult(): Value;
  flagsCarries(): Value;
  setFlagsResult(value: Value): void;
  setFlagsCarries(value: Value): void;
  /** EFLAGS bits that are not arithmetic. */
  systemFlags(): Value;
  setSystemFlags(value: Value): void;

  // -- control ---------------------------------------------------------------------------------------------------------------
  /** Runs one of two builders depending on a guest value. Values made inside must not be used outside. */
  when(condition: Value, then: () => void, otherwise?: () => void): void;
  /** EIP of the next instruction. */
  nextEip(): Value;
  /** EIP of this instruction. */
  currentEip(): Value;
  /** Near transfer: EIP := target (already wrapped to the operand size); checks the CS limit first: #GP(0). Last effect on its path: the rest is bookkeeping that cannot fault. */
  jump(target: Value): void;
  /** Faults as `jump(target)` would, changes nothing (for CALL: check, push, then jump). */
  checkJumpTarget(target: Value): void;
  /** Executes this same instruction again (REP): nothing is retired. */
  restart(): void;
  /** Raises an exception. The instruction has had no effect. */
  fault(vector: number, errorCode?: number): void;
  /** Calls a TypeScript helper that both engines share. Arguments and result are 32-bit words. */
  call(helper: Helper, ...args: Value[]): Value;
}

/** One row's meaning. */
export type Semantics = (e: Emitter, i: Instruction) => void;
