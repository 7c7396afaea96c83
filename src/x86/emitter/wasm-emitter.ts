/**
 * Turns an instruction's meaning into WebAssembly. Every operation on values becomes a few opcodes whose result goes to a fresh local;
 * V8's compiler sees through that. Constants are folded while emitting.
 *
 * This class knows arithmetic, flags, state and memory access with the TLB test inline. How operands are found and how one instruction goes
 * on to the next is left to a subclass: the interpreter's HandlerEmitter reads them from a decoded record, a JIT would know them.
 */
import { type ByteWriter, EMPTY_BLOCK, type ModuleWriter, Op } from "../../wasm";
import type { Helper } from "../helpers/helper";
import * as L from "../state-layout";
import type { Emitter, Size, Value } from "./emitter";
import type { Operand } from "./operands";

/** A value: a local, or (local < 0) a constant. */
export class WasmValue {
  constructor(
    readonly local: number,
    readonly constant: number,
  ) {}
}

/** Block type of a block that leaves one i32. */
const I32_BLOCK = 0x7f;
const PAGE_MASK = ~0xfff;

export abstract class WasmEmitter implements Emitter {
  protected readonly w: ByteWriter;
  protected localCount: number;
  /** Nesting depth of when(). */
  protected depth = 0;
  /** The current path has left the instruction (jump, fault, restart, transfer). */
  protected hasLeft = false;

  /** @param parameters locals already taken by the function's parameters. */
  constructor(
    protected readonly module: ModuleWriter,
    private readonly parameters: number,
  ) {
    this.w = module.code;
    this.localCount = parameters;
  }

  /** i32 locals used beside the parameters. */
  get locals(): number {
    return this.localCount - this.parameters;
  }

  // -- raw emission -------------------------------------------------------------------------------------------------------
  protected push(value: Value): void {
    const v = value as unknown as WasmValue;
    if (v.local >= 0) {
      this.w.byte(Op.local_get);
      this.w.unsigned(v.local);
    } else this.pushConst(v.constant);
  }
  protected pushConst(value: number): void {
    this.w.byte(Op.i32_const);
    this.w.signed(value);
  }
  protected pushLocal(local: number): void {
    this.w.byte(Op.local_get);
    this.w.unsigned(local);
  }
  /** Pops the stack's top into a new local. */
  protected pop(): Value {
    const local = this.localCount++;
    this.w.byte(Op.local_set);
    this.w.unsigned(local);
    return new WasmValue(local, 0) as unknown as Value;
  }
  /** As pop(), but leaves the value on the stack too. */
  protected tee(): Value {
    const local = this.localCount++;
    this.w.byte(Op.local_tee);
    this.w.unsigned(local);
    return new WasmValue(local, 0) as unknown as Value;
  }
  protected op(opcode: number): void {
    this.w.byte(opcode);
  }
  /** A load or store opcode; alignment hint 0 (guest addresses are arbitrary). */
  protected memory(opcode: number, offset: number): void {
    this.w.byte(opcode);
    this.w.byte(0);
    this.w.unsigned(offset);
  }
  protected pushState(offset: number): void {
    this.pushConst(offset);
    this.memory(Op.i32_load, 0);
  }
  /** Stores a value to a state word. */
  protected storeState(offset: number, value: Value): void {
    this.pushConst(offset);
    this.push(value);
    this.memory(Op.i32_store, 0);
  }
  protected isConst(value: Value): boolean {
    return (value as unknown as WasmValue).local < 0;
  }
  protected constOf(value: Value): number {
    return (value as unknown as WasmValue).constant;
  }

  // -- arithmetic ---------------------------------------------------------------------------------------------------------
  const(value: number): Value {
    return new WasmValue(-1, value | 0) as unknown as Value;
  }
  private binary(opcode: number, a: Value, b: Value, fold: (a: number, b: number) => number): Value {
    if (this.isConst(a) && this.isConst(b)) return this.const(fold(this.constOf(a), this.constOf(b)));
    this.push(a);
    this.push(b);
    this.op(opcode);
    return this.pop();
  }
  /** a where b is the operation's neutral constant, else undefined. */
  private neutral(a: Value, b: Value, neutral: number): Value | undefined {
    return this.isConst(b) && this.constOf(b) === neutral ? a : undefined;
  }
  add(a: Value, b: Value): Value {
    return this.neutral(a, b, 0) ?? this.binary(Op.i32_add, a, b, (x, y) => x + y);
  }
  sub(a: Value, b: Value): Value {
    return this.neutral(a, b, 0) ?? this.binary(Op.i32_sub, a, b, (x, y) => x - y);
  }
  mul(a: Value, b: Value): Value {
    return this.binary(Op.i32_mul, a, b, Math.imul);
  }
  and(a: Value, b: Value): Value {
    return this.neutral(a, b, -1) ?? this.binary(Op.i32_and, a, b, (x, y) => x & y);
  }
  or(a: Value, b: Value): Value {
    return this.neutral(a, b, 0) ?? this.binary(Op.i32_or, a, b, (x, y) => x | y);
  }
  xor(a: Value, b: Value): Value {
    return this.neutral(a, b, 0) ?? this.binary(Op.i32_xor, a, b, (x, y) => x ^ y);
  }
  not(a: Value): Value {
    return this.xor(a, this.const(-1));
  }
  neg(a: Value): Value {
    return this.sub(this.const(0), a);
  }
  shl(a: Value, count: Value): Value {
    return this.neutral(a, count, 0) ?? this.binary(Op.i32_shl, a, count, (x, y) => x << y);
  }
  shr(a: Value, count: Value): Value {
    return this.neutral(a, count, 0) ?? this.binary(Op.i32_shr_u, a, count, (x, y) => x >>> y);
  }
  sar(a: Value, count: Value): Value {
    return this.neutral(a, count, 0) ?? this.binary(Op.i32_shr_s, a, count, (x, y) => x >> y);
  }
  rotl(a: Value, count: Value): Value {
    return this.binary(Op.i32_rotl, a, count, (x, y) => (x << y) | (x >>> ((32 - (y & 31)) % 32)));
  }
  rotr(a: Value, count: Value): Value {
    return this.binary(Op.i32_rotr, a, count, (x, y) => (x >>> y) | (x << ((32 - (y & 31)) % 32)));
  }
  private unary(opcode: number, a: Value): Value {
    this.push(a);
    this.op(opcode);
    return this.pop();
  }
  clz(a: Value): Value {
    return this.unary(Op.i32_clz, a);
  }
  ctz(a: Value): Value {
    return this.unary(Op.i32_ctz, a);
  }
  eq(a: Value, b: Value): Value {
    return this.binary(Op.i32_eq, a, b, (x, y) => (x === y ? 1 : 0));
  }
  ne(a: Value, b: Value): Value {
    return this.binary(Op.i32_ne, a, b, (x, y) => (x !== y ? 1 : 0));
  }
  ltUnsigned(a: Value, b: Value): Value {
    return this.binary(Op.i32_lt_u, a, b, (x, y) => (x >>> 0 < y >>> 0 ? 1 : 0));
  }
  ltSigned(a: Value, b: Value): Value {
    return this.binary(Op.i32_lt_s, a, b, (x, y) => (x < y ? 1 : 0));
  }
  isZero(a: Value): Value {
    if (this.isConst(a)) return this.const(this.constOf(a) === 0 ? 1 : 0);
    return this.unary(Op.i32_eqz, a);
  }
  select(condition: Value, a: Value, b: Value): Value {
    if (this.isConst(condition)) return this.constOf(condition) !== 0 ? a : b;
    this.push(a);
    this.push(b);
    this.push(condition);
    this.op(Op.select);
    return this.pop();
  }
  signExtend(a: Value, size: Size): Value {
    if (size === 4) return a;
    if (this.isConst(a)) return this.const((this.constOf(a) << (32 - size * 8)) >> (32 - size * 8));
    return this.unary(size === 1 ? Op.i32_extend8_s : Op.i32_extend16_s, a);
  }
  zeroExtend(a: Value, size: Size): Value {
    return size === 4 ? a : this.and(a, this.const(size === 1 ? 0xff : 0xffff));
  }
  private wideProduct(a: Value, b: Value, extend: number): Value {
    this.push(a);
    this.op(extend);
    this.push(b);
    this.op(extend);
    this.op(Op.i64_mul);
    return this.upperHalf();
  }
  private upperHalf(): Value {
    this.op(Op.i64_const);
    this.w.signed(32);
    this.op(Op.i64_shr_u);
    this.op(Op.i32_wrap_i64);
    return this.pop();
  }
  mulHighUnsigned(a: Value, b: Value): Value {
    return this.wideProduct(a, b, Op.i64_extend_i32_u);
  }
  mulHighSigned(a: Value, b: Value): Value {
    return this.wideProduct(a, b, Op.i64_extend_i32_s);
  }
  private pushWideQuotient(opcode: number, high: Value, low: Value, divisor: Value, extend: number): void {
    this.push(high);
    this.op(Op.i64_extend_i32_u);
    this.op(Op.i64_const);
    this.w.signed(32);
    this.op(Op.i64_shl);
    this.push(low);
    this.op(Op.i64_extend_i32_u);
    this.op(Op.i64_or);
    this.push(divisor);
    this.op(extend);
    this.op(opcode);
  }
  private wideDivision(opcode: number, high: Value, low: Value, divisor: Value, extend: number): Value {
    this.pushWideQuotient(opcode, high, low, divisor, extend);
    this.op(Op.i32_wrap_i64);
    return this.pop();
  }
  divideWideUnsigned(high: Value, low: Value, divisor: Value): Value {
    return this.wideDivision(Op.i64_div_u, high, low, divisor, Op.i64_extend_i32_u);
  }
  remainderWideUnsigned(high: Value, low: Value, divisor: Value): Value {
    return this.wideDivision(Op.i64_rem_u, high, low, divisor, Op.i64_extend_i32_u);
  }
  divideWideSigned(high: Value, low: Value, divisor: Value): Value {
    return this.wideDivision(Op.i64_div_s, high, low, divisor, Op.i64_extend_i32_s);
  }
  remainderWideSigned(high: Value, low: Value, divisor: Value): Value {
    return this.wideDivision(Op.i64_rem_s, high, low, divisor, Op.i64_extend_i32_s);
  }
  divideWideSignedHigh(high: Value, low: Value, divisor: Value): Value {
    this.pushWideQuotient(Op.i64_div_s, high, low, divisor, Op.i64_extend_i32_s);
    return this.upperHalf();
  }

  // -- registers and flags ------------------------------------------------------------------------------------------------
  /** wasm address of a general register, as instructions number them. */
  protected addressOfRegister(index: number, size: Size): number {
    return size === 1 ? L.REGISTERS + (index & 3) * 4 + (index >> 2) : L.REGISTERS + index * 4;
  }
  protected loadOpcode(size: Size): number {
    return size === 4 ? Op.i32_load : size === 2 ? Op.i32_load16_u : Op.i32_load8_u;
  }
  protected storeOpcode(size: Size): number {
    return size === 4 ? Op.i32_store : size === 2 ? Op.i32_store16 : Op.i32_store8;
  }
  readRegister(index: number, size: Size): Value {
    this.pushConst(this.addressOfRegister(index, size));
    this.memory(this.loadOpcode(size), 0);
    return this.pop();
  }
  writeRegister(index: number, size: Size, value: Value): void {
    this.pushConst(this.addressOfRegister(index, size));
    this.push(value);
    this.memory(this.storeOpcode(size), 0);
  }
  private readState(offset: number): Value {
    this.pushState(offset);
    return this.pop();
  }
  flagsResult(): Value {
    return this.readState(L.FLAGS_RESULT);
  }
  flagsCarries(): Value {
    return this.readState(L.FLAGS_CARRIES);
  }
  setFlagsResult(value: Value): void {
    this.storeState(L.FLAGS_RESULT, value);
  }
  setFlagsCarries(value: Value): void {
    this.storeState(L.FLAGS_CARRIES, value);
  }
  systemFlags(): Value {
    return this.readState(L.EFLAGS_SYSTEM);
  }
  setSystemFlags(value: Value): void {
    this.storeState(L.EFLAGS_SYSTEM, value);
  }

  // -- memory by linear address -------------------------------------------------------------------------------------------
  /** Leaves the TLB entry's address on the stack and returns it too. */
  private teeTlbEntry(linear: Value): Value {
    this.pushState(L.TLB_CURRENT);
    this.push(linear);
    this.pushConst(8);
    this.op(Op.i32_shr_u);
    this.pushConst((L.TLB_ENTRIES - 1) << 4);
    this.op(Op.i32_and);
    this.op(Op.i32_add);
    return this.tee();
  }
  /** Pushes whether the page of `linear`, and all `size` bytes in it, has the tag at `tagOffset`; returns the entry. */
  private pushTlbHit(linear: Value, size: number, tagOffset: number): Value {
    const entry = this.teeTlbEntry(linear);
    this.memory(Op.i32_load, tagOffset);
    this.push(linear);
    if (size > 1) {
      this.pushConst(size - 1);
      this.op(Op.i32_add);
    }
    this.pushConst(PAGE_MASK);
    this.op(Op.i32_and);
    this.op(Op.i32_eq);
    return entry;
  }
  private pushHostAddress(linear: Value, entry: Value): void {
    this.push(linear);
    this.push(entry);
    this.memory(Op.i32_load, 8);
    this.op(Op.i32_add);
  }
  protected loadLinear(linear: Value, size: Size): Value {
    const entry = this.pushTlbHit(linear, size, 0);
    this.op(Op.if);
    this.op(I32_BLOCK);
    this.pushHostAddress(linear, entry);
    this.memory(this.loadOpcode(size), 0);
    this.op(Op.else);
    this.saveState();
    this.push(linear);
    this.callImport(`slowLoad${size}`, 1, 1);
    this.reloadBudget();
    this.leaveOnFault();
    this.op(Op.end);
    return this.pop();
  }
  protected storeLinear(linear: Value, value: Value, size: Size): void {
    const entry = this.pushTlbHit(linear, size, 4);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.pushHostAddress(linear, entry);
    this.push(value);
    this.memory(this.storeOpcode(size), 0);
    this.op(Op.else);
    this.saveState();
    this.push(linear);
    this.push(value);
    this.callImport(`slowStore${size}`, 2, 0);
    this.reloadBudget();
    this.leaveOnFault();
    this.op(Op.end);
  }
  /** Checks write access and loads; returns value and host address (0: the slow way is needed for the store). */
  protected loadForUpdate(linear: Value, size: Size): { value: Value; host: Value } {
    const host = this.localCount++;
    const value = this.localCount++;
    const entry = this.pushTlbHit(linear, size, 4);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.pushHostAddress(linear, entry);
    this.w.byte(Op.local_tee);
    this.w.unsigned(host);
    this.memory(this.loadOpcode(size), 0);
    this.setLocal(value);
    this.op(Op.else);
    this.saveState();
    this.push(linear);
    this.callImport(`slowUpdate${size}`, 1, 1);
    this.setLocal(value);
    this.reloadBudget();
    this.leaveOnFault();
    this.pushConst(0);
    this.setLocal(host);
    this.op(Op.end);
    return { value: new WasmValue(value, 0) as unknown as Value, host: new WasmValue(host, 0) as unknown as Value };
  }
  protected storeAfterUpdate(linear: Value, host: Value, value: Value, size: Size): void {
    this.push(host);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.push(host);
    this.push(value);
    this.memory(this.storeOpcode(size), 0);
    this.op(Op.else);
    this.saveState();
    this.push(linear);
    this.push(value);
    this.callImport(`slowStore${size}`, 2, 0);
    this.reloadBudget();
    this.op(Op.end);
  }
  protected probeLinear(linear: Value, bytes: number): void {
    this.pushTlbHit(linear, bytes, 4);
    this.op(Op.i32_eqz);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.saveState();
    this.push(linear);
    this.pushConst(bytes);
    this.callImport("slowProbe", 2, 0);
    this.leaveOnFault();
    this.op(Op.end);
  }
  protected setLocal(local: number): void {
    this.w.byte(Op.local_set);
    this.w.unsigned(local);
  }
  protected callImport(name: string, params: number, results: number): void {
    this.op(Op.call);
    this.w.unsigned(this.module.importFunction(name, { params, results }));
  }
  protected leaveOnFault(): void {
    this.pushState(L.FAULT_PENDING);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.leaveWithFault();
    this.op(Op.end);
  }

  // -- control ------------------------------------------------------------------------------------------------------------
  when(condition: Value, then: () => void, otherwise?: () => void): void {
    if (this.isConst(condition)) {
      if (this.constOf(condition) !== 0) then();
      else otherwise?.();
      return;
    }
    this.push(condition);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.depth++;
    then();
    const thenLeft = this.hasLeft;
    this.hasLeft = false;
    if (otherwise) {
      this.op(Op.else);
      otherwise();
      this.hasLeft = this.hasLeft && thenLeft;
    }
    this.depth--;
    this.op(Op.end);
  }
  fault(vector: number, errorCode = 0): void {
    this.storeState(L.FAULT_VECTOR, this.const(vector));
    this.storeState(L.FAULT_ERROR, this.const(errorCode));
    this.storeState(L.FAULT_PENDING, this.const(1));
    this.leaveWithFault();
    this.hasLeft = true;
  }

  /** Makes what a TypeScript callee may ask for current: which instruction, how much budget. */
  protected abstract saveState(): void;
  /** A callee may have cut the budget short (Cpu.requestExit). */
  protected abstract reloadBudget(): void;
  /** Leaves generated code because FAULT_PENDING is set. */
  protected abstract leaveWithFault(): void;

  abstract read(operand: Operand): Value;
  abstract write(operand: Operand, value: Value): void;
  abstract readForUpdate(operand: Operand): Value;
  abstract update(operand: Operand, value: Value): void;
  abstract effectiveAddress(operand: Operand): Value;
  abstract number(operand: Operand): Value;
  abstract load(segment: number | Operand, offset: Value, size: Size): Value;
  abstract store(segment: number | Operand, offset: Value, value: Value, size: Size): void;
  abstract probeWrite(segment: number, offset: Value, bytes: number): void;
  abstract stackPointer(): Value;
  abstract setStackPointer(value: Value): void;
  abstract loadStack(offset: Value, size: Size): Value;
  abstract storeStack(offset: Value, value: Value, size: Size): void;
  abstract nextEip(): Value;
  abstract currentEip(): Value;
  abstract jump(target: Value): void;
  abstract checkJumpTarget(target: Value): void;
  abstract restart(): void;
  abstract call(helper: Helper, ...args: Value[]): Value;
}
