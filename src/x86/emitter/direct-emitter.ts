/**
 * Does at once what an instruction says: values are plain JavaScript numbers (32 bits, as signed integers).
 *
 * The slow reference that the other engines are compared with: nothing is cached but the address of the memory operand, which
 * is computed once, because an instruction may overwrite the registers that it is made of (XADD [EAX], EAX). Faults are thrown.
 */
import type { Cpu } from "../cpu";
import type { Decoded, DecodedOperand } from "../decoder";
import { GuestFault } from "../fault";
import type { Helper } from "../helpers/helper";
import { linearForAccess } from "../helpers/segmentation";
import * as L from "../state-layout";
import { Mode, Reg, Seg, Vector } from "../state-layout";
import type { Emitter, Size, Value } from "./emitter";
import type { Operand } from "./operands";

/** A type with every Value replaced by number. */
type Plain<T> = T extends Value ? number : T extends unknown[] ? { [K in keyof T]: Plain<T[K]> } : T;
/** The Emitter interface over numbers: what DirectEmitter is, checked method by method. */
type PlainEmitter = {
  [K in keyof Emitter]: Emitter[K] extends (...args: infer A) => infer R
    ? (...args: Plain<A> extends unknown[] ? Plain<A> : never) => Plain<R>
    : never;
};

/** Calls a helper for the engine; gives its result. */
export type HelperCall = (helper: Helper, args: readonly number[]) => number;

const TWO_32 = 1n << 32n;

export class DirectEmitter implements PlainEmitter {
  /** Where execution goes on; meaningless when `hasTransferred`. */
  target = 0;
  /** A helper has set EIP. */
  hasTransferred = false;
  /** The same instruction is to run again. */
  hasRestarted = false;
  private decoded!: Decoded;
  private next = 0;
  private isStack32 = true;
  private address = 0;
  private hasAddress = false;
  private updateLinear = 0;

  constructor(
    private readonly cpu: Cpu,
    private readonly callHelper: HelperCall,
  ) {}

  /** The same object, as rows see it. */
  get emitter(): Emitter {
    return this as unknown as Emitter;
  }

  /** Runs one decoded instruction that starts at cpu.eip. @throws GuestFault; then nothing has changed. */
  execute(decoded: Decoded): void {
    this.decoded = decoded;
    this.next = (this.cpu.eip + decoded.length) >>> 0;
    this.target = this.next;
    this.hasTransferred = false;
    this.hasRestarted = false;
    this.hasAddress = false;
    this.isStack32 = (this.cpu.word(L.MODE) & Mode.STACK32) !== 0;
    decoded.row.semantics(this.emitter, decoded);
  }

  // -- arithmetic -----------------------------------------------------------------------------------------------------------
  const(value: number): number {
    return value | 0;
  }
  add(a: number, b: number): number {
    return (a + b) | 0;
  }
  sub(a: number, b: number): number {
    return (a - b) | 0;
  }
  mul(a: number, b: number): number {
    return Math.imul(a, b);
  }
  mulHighUnsigned(a: number, b: number): number {
    return Number((BigInt(a >>> 0) * BigInt(b >>> 0)) >> 32n) | 0;
  }
  mulHighSigned(a: number, b: number): number {
    return Number((BigInt(a) * BigInt(b)) >> 32n) | 0;
  }
  divideWideUnsigned(high: number, low: number, divisor: number): number {
    return low32(unsigned64(high, low) / BigInt(divisor >>> 0));
  }
  remainderWideUnsigned(high: number, low: number, divisor: number): number {
    return low32(unsigned64(high, low) % BigInt(divisor >>> 0));
  }
  divideWideSigned(high: number, low: number, divisor: number): number {
    return low32(signed64(high, low) / BigInt(divisor));
  }
  divideWideSignedHigh(high: number, low: number, divisor: number): number {
    return low32((signed64(high, low) / BigInt(divisor)) >> 32n);
  }
  remainderWideSigned(high: number, low: number, divisor: number): number {
    return low32(signed64(high, low) % BigInt(divisor));
  }
  and(a: number, b: number): number {
    return a & b;
  }
  or(a: number, b: number): number {
    return a | b;
  }
  xor(a: number, b: number): number {
    return a ^ b;
  }
  not(a: number): number {
    return ~a;
  }
  neg(a: number): number {
    return -a | 0;
  }
  shl(a: number, count: number): number {
    return a << count;
  }
  shr(a: number, count: number): number {
    return (a >>> count) | 0;
  }
  sar(a: number, count: number): number {
    return a >> count;
  }
  rotl(a: number, count: number): number {
    // A shift by 32 is one by 0 here, and a | a is a.
    return (a << count) | (a >>> (32 - (count & 31)));
  }
  rotr(a: number, count: number): number {
    return this.rotl(a, 32 - (count & 31));
  }
  clz(a: number): number {
    return Math.clz32(a);
  }
  ctz(a: number): number {
    return a === 0 ? 32 : 31 - Math.clz32(a & -a);
  }
  eq(a: number, b: number): number {
    return a === b ? 1 : 0;
  }
  ne(a: number, b: number): number {
    return a !== b ? 1 : 0;
  }
  ltUnsigned(a: number, b: number): number {
    return a >>> 0 < b >>> 0 ? 1 : 0;
  }
  ltSigned(a: number, b: number): number {
    return a < b ? 1 : 0;
  }
  isZero(a: number): number {
    return a === 0 ? 1 : 0;
  }
  select(condition: number, a: number, b: number): number {
    return condition !== 0 ? a : b;
  }
  signExtend(a: number, size: Size): number {
    return size === 1 ? (a << 24) >> 24 : size === 2 ? (a << 16) >> 16 : a;
  }
  zeroExtend(a: number, size: Size): number {
    return size === 1 ? a & 0xff : size === 2 ? a & 0xffff : a;
  }

  // -- operands and registers ---------------------------------------------------------------------------------------------
  read(operand: Operand): number {
    const o = operand as DecodedOperand;
    switch (o.kind) {
      case "register":
        return this.readRegister(o.register, o.size);
      case "memory":
        return this.load(o, this.effectiveAddress(o), o.size);
      case "immediate":
      case "far":
        return o.value | 0;
      case "relative":
        return this.decoded.operandSize === 2 ? (this.next + o.value) & 0xffff : (this.next + o.value) | 0;
      case "segment":
        return this.cpu.selector(o.register);
      default:
        throw new Error(`${this.decoded.row.mnemonic}: a helper reads ${o.kind} registers`);
    }
  }
  write(operand: Operand, value: number): void {
    const o = operand as DecodedOperand;
    if (o.kind === "register") this.writeRegister(o.register, o.size, value);
    else if (o.kind === "memory") this.store(o, this.effectiveAddress(o), value, o.size);
    else throw new Error(`${this.decoded.row.mnemonic}: a ${o.kind} operand is not written directly`);
  }
  readForUpdate(operand: Operand): number {
    if (operand.kind !== "memory") return this.read(operand);
    const linear = this.linear(operand, this.effectiveAddress(operand), operand.size, true);
    this.cpu.probeWriteLinear(linear, operand.size);
    this.updateLinear = linear;
    return this.cpu.readLinear(linear, operand.size) | 0;
  }
  update(operand: Operand, value: number): void {
    if (operand.kind === "memory") this.cpu.writeLinear(this.updateLinear, operand.size, value);
    else this.write(operand, value);
  }
  effectiveAddress(_operand: Operand): number {
    if (!this.hasAddress) {
      const d = this.decoded;
      let sum = d.displacement;
      if (d.base >= 0) sum += this.cpu.reg(d.base);
      if (d.index >= 0) sum += this.cpu.reg(d.index) << d.scale;
      this.address = d.addressSize === 2 ? sum & 0xffff : sum | 0;
      this.hasAddress = true;
    }
    return this.address;
  }
  number(operand: Operand): number {
    const o = operand as DecodedOperand;
    return o.kind === "memory" ? this.decoded.segment : o.kind === "far" ? o.selector : o.register;
  }
  readRegister(index: number, size: Size): number {
    const { cpu } = this;
    if (size === 4) return cpu.i32[(L.REGISTERS >> 2) + index];
    if (size === 2) return cpu.u16[(L.REGISTERS >> 1) + index * 2];
    return cpu.u8[L.REGISTERS + (index & 3) * 4 + (index >> 2)];
  }
  writeRegister(index: number, size: Size, value: number): void {
    const { cpu } = this;
    if (size === 4) cpu.i32[(L.REGISTERS >> 2) + index] = value;
    else if (size === 2) cpu.u16[(L.REGISTERS >> 1) + index * 2] = value;
    else cpu.u8[L.REGISTERS + (index & 3) * 4 + (index >> 2)] = value;
  }

  // -- memory -----------------------------------------------------------------------------------------------------------------
  private linear(segment: number | Operand, offset: number, bytes: number, isWrite: boolean): number {
    const seg = typeof segment === "number" ? segment : this.decoded.segment;
    return linearForAccess(this.cpu, seg, offset >>> 0, bytes, isWrite);
  }
  load(segment: number | Operand, offset: number, size: Size): number {
    return this.cpu.readLinear(this.linear(segment, offset, size, false), size) | 0;
  }
  store(segment: number | Operand, offset: number, value: number, size: Size): void {
    this.cpu.writeLinear(this.linear(segment, offset, size, true), size, value);
  }
  probeWrite(segment: number | Operand, offset: number, bytes: number): void {
    this.cpu.probeWriteLinear(this.linear(segment, offset, bytes, true), bytes);
  }
  stackPointer(): number {
    return this.readRegister(Reg.ESP, this.isStack32 ? 4 : 2);
  }
  setStackPointer(value: number): void {
    this.writeRegister(Reg.ESP, this.isStack32 ? 4 : 2, value);
  }
  loadStack(offset: number, size: Size): number {
    return this.load(Seg.SS, this.wrapStack(offset), size);
  }
  storeStack(offset: number, value: number, size: Size): void {
    this.store(Seg.SS, this.wrapStack(offset), value, size);
  }
  private wrapStack(offset: number): number {
    return this.isStack32 ? offset : offset & 0xffff;
  }

  // -- flags ------------------------------------------------------------------------------------------------------------------
  flagsResult(): number {
    return this.cpu.i32[L.FLAGS_RESULT >> 2];
  }
  flagsCarries(): number {
    return this.cpu.i32[L.FLAGS_CARRIES >> 2];
  }
  setFlagsResult(value: number): void {
    this.cpu.i32[L.FLAGS_RESULT >> 2] = value;
  }
  setFlagsCarries(value: number): void {
    this.cpu.i32[L.FLAGS_CARRIES >> 2] = value;
  }
  systemFlags(): number {
    return this.cpu.systemFlags | 0;
  }
  setSystemFlags(value: number): void {
    this.cpu.systemFlags = value;
  }

  // -- control ----------------------------------------------------------------------------------------------------------------
  when(condition: number, then: () => void, otherwise?: () => void): void {
    if (condition !== 0) then();
    else otherwise?.();
  }
  nextEip(): number {
    return this.next | 0;
  }
  currentEip(): number {
    return this.cpu.eip | 0;
  }
  jump(target: number): void {
    this.checkJumpTarget(target);
    this.target = target >>> 0;
  }
  checkJumpTarget(target: number): void {
    if (target >>> 0 > this.cpu.segmentLimit(Seg.CS)) throw new GuestFault(Vector.GP, 0);
  }
  restart(): void {
    this.hasRestarted = true;
  }
  fault(vector: number, errorCode?: number): void {
    throw new GuestFault(vector, errorCode);
  }
  call(helper: Helper, ...args: number[]): number {
    const result = this.callHelper(helper, args) | 0;
    if (helper.effect === "transfer") this.hasTransferred = true;
    return result;
  }
}

function low32(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
function unsigned64(high: number, low: number): bigint {
  return BigInt(high >>> 0) * TWO_32 + BigInt(low >>> 0);
}
function signed64(high: number, low: number): bigint {
  return BigInt(high) * TWO_32 + BigInt(low >>> 0);
}
