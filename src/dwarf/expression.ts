// DWARF expressions: a small stack machine whose result is a place, a register, a value, or pieces of these.
//
// Values on the stack are 32-bit integers unless an operation gives them a base type (gcc does so for 64-bit and floating
// values). What cannot be known - a register that was not saved, memory that cannot be read - ends the evaluation with a
// reason, not an exception. Loops are possible, so the number of steps is bounded.
// DWARF 5, sections 2.5 and 2.6; GNU operations as in the GCC wiki, "DWARF extensions".

import { FormatError } from "../base";
import { Op, registerName } from "./constants";
import { DwarfError } from "./errors";
import { type FrameContext, type Location, optimizedOut, type Piece, unavailable } from "./location";
import { DwarfReader } from "./reader";
import { convertTyped, GENERIC, operate, reinterpretTyped, type TypedValue, type ValueType } from "./typed-values";

/** What an expression asks about the unit it is in and about the frame's surroundings. */
export interface ExpressionScope {
  readonly addressSize: number;
  readonly offsetSize: 4 | 8;
  readonly version: number;
  /** Base type at a unit-relative offset. */
  baseType(offset: number): ValueType | undefined;
  indexedAddress(index: number): number;
  /** The expression of another entry, for DW_OP_call. `isInfo`: the offset is in .debug_info, not in the unit. */
  subExpression(offset: number, isInfo: boolean): Uint8Array | undefined;
  frameBase(): number | Refused;
  cfa(): number | Refused;
  entryValue(expression: Uint8Array): number | Refused;
}

/** A reason in place of a number. */
export interface Refused {
  readonly reason: string;
}

const MAX_STEPS = 20_000;
const MAX_STACK = 1024;
const MAX_CALLS = 16;
const MAX_PIECES = 256;

/** Ends an evaluation with a reason; never leaves this file. */
class Stop extends Error {
  constructor(readonly reason: string) {
    super(reason);
  }
}

/** Evaluates a location expression. Never throws about data: what is wrong becomes an unavailable location. */
export function evaluateLocation(expression: Uint8Array, scope: ExpressionScope, frame: FrameContext): Location {
  if (expression.length === 0) return optimizedOut("optimized out");
  return guarded(() => new Evaluation(scope, frame).location(expression));
}

/** Evaluates an expression whose result is a number (a frame base, a rule of the call frame information). */
export function evaluateNumber(
  expression: Uint8Array,
  scope: ExpressionScope,
  frame: FrameContext,
  initial: readonly number[] = [],
): number | Refused {
  const result = guarded(() => new Evaluation(scope, frame, initial).location(expression));
  switch (result.kind) {
    case "memory":
      return result.address;
    case "register":
      return (
        frame.register(result.register) ?? { reason: `${registerName(result.register)} is not known in this frame` }
      );
    case "value":
      return Number(littleEndian(result.bytes.subarray(0, 4)));
    case "unavailable":
      return { reason: result.reason };
    default:
      return { reason: "the expression gives no number" };
  }
}

function guarded(run: () => Location): Location {
  try {
    return run();
  } catch (error) {
    if (error instanceof Stop) return unavailable(error.reason);
    if (error instanceof FormatError) return unavailable(`its location is malformed (${error.message})`);
    throw error;
  }
}

/** The unsigned number in some bytes. */
export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}

/** A number as bytes. */
export function toBytes(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

class Evaluation {
  private readonly stack: TypedValue[];
  private readonly pieces: Piece[] = [];
  /** A place named by the last operation, other than the address on the stack. */
  private named: Location | undefined;
  private steps = 0;

  constructor(
    private readonly scope: ExpressionScope,
    private readonly frame: FrameContext,
    initial: readonly number[] = [],
  ) {
    this.stack = initial.map((n) => ({ bits: BigInt(n), type: GENERIC }));
  }

  location(expression: Uint8Array): Location {
    this.run(expression, 0);
    return this.pieces.length > 0 ? { kind: "pieces", pieces: this.pieces } : this.place();
  }

  private place(): Location {
    if (this.named) return this.named;
    return this.stack.length > 0 ? { kind: "memory", address: this.popAddress() } : optimizedOut("optimized out");
  }

  private addPiece(bitSize: number, bitOffset: number): void {
    if (this.pieces.length >= MAX_PIECES) throw new Stop("its location has too many pieces");
    const isEmpty = !this.named && this.stack.length === 0;
    const location = isEmpty ? optimizedOut("this part is optimized out") : this.place();
    this.pieces.push({ location, bitSize, bitOffset });
    this.named = undefined;
  }

  private push(bits: bigint | number, type: ValueType = GENERIC): void {
    if (this.stack.length >= MAX_STACK) throw new Stop("its location expression overflows its stack");
    this.stack.push({ bits: BigInt.asUintN(type.size * 8, BigInt(bits)), type });
  }

  private pop(): TypedValue {
    const value = this.stack.pop();
    if (!value) throw new Stop("its location expression is malformed (the stack is empty)");
    return value;
  }

  private popAddress(): number {
    return Number(BigInt.asUintN(32, this.pop().bits));
  }

  private pick(depth: number): TypedValue {
    const value = this.stack[this.stack.length - 1 - depth];
    if (!value) throw new Stop("its location expression is malformed (the stack is too short)");
    return value;
  }

  private need(value: number | Refused | undefined, what: string): number {
    if (typeof value === "number") return value;
    throw new Stop(value?.reason ?? `${what} is not known in this frame`);
  }

  private register(number: number): number {
    return this.need(this.frame.register(number), registerName(number));
  }

  private read(address: number, size: number): bigint {
    if (size < 1 || size > 16) throw new Stop(`its location reads ${size} bytes at once, which is not supported`);
    const bytes = this.frame.readMemory(address, size);
    if (!bytes || bytes.length < size) throw new Stop(`memory at 0x${address.toString(16)} cannot be read`);
    return littleEndian(bytes);
  }

  private type(offset: number): ValueType {
    if (offset === 0) return GENERIC;
    const type = this.scope.baseType(offset);
    if (!type) throw new Stop("its location uses a type that cannot be read");
    return type;
  }

  private run(expression: Uint8Array, calls: number): void {
    const r = new DwarfReader(expression, 0, expression.length, "expression");
    while (!r.atEnd) {
      if (++this.steps > MAX_STEPS) throw new Stop("its location expression does not come to an end");
      this.step(r.u8(), r, calls);
    }
  }

  private step(op: Op, r: DwarfReader, calls: number): void {
    if (op >= Op.lit0 && op <= Op.lit31) {
      this.push(op - Op.lit0);
      return;
    }
    if (op >= Op.reg0 && op <= Op.reg31) {
      this.setNamed({ kind: "register", register: op - Op.reg0 });
      return;
    }
    if (op >= Op.breg0 && op <= Op.breg31) {
      this.push(this.register(op - Op.breg0) + r.sleb());
      return;
    }
    if (op >= Op.abs && op <= Op.xor && op !== Op.plus_uconst) {
      this.arithmetic(op);
      return;
    }
    if (op >= Op.eq && op <= Op.ne) {
      this.arithmetic(op);
      return;
    }
    switch (op) {
      case Op.addr:
        this.push(r.unsigned(this.scope.addressSize));
        return;
      case Op.const1u:
        this.push(r.u8());
        return;
      case Op.const1s:
        this.push(r.i8());
        return;
      case Op.const2u:
        this.push(r.u16());
        return;
      case Op.const2s:
        this.push(r.i16());
        return;
      case Op.const4u:
        this.push(r.u32());
        return;
      case Op.const4s:
        this.push(r.i32());
        return;
      case Op.const8u:
      case Op.const8s:
        this.push(r.u64Big());
        return;
      case Op.constu:
        this.push(r.ulebBig());
        return;
      case Op.consts:
        this.push(r.slebBig());
        return;
      case Op.addrx:
      case Op.constx:
      case Op.GNU_addr_index:
      case Op.GNU_const_index:
        this.push(this.scope.indexedAddress(r.uleb()));
        return;
      case Op.fbreg: {
        const base = this.need(this.scope.frameBase(), "the frame base");
        this.push(base + r.sleb());
        return;
      }
      case Op.bregx: {
        const register = r.uleb();
        this.push(this.register(register) + r.sleb());
        return;
      }
      case Op.regx:
        this.setNamed({ kind: "register", register: r.uleb() });
        return;
      case Op.plus_uconst: {
        const top = this.pop();
        this.push(top.bits + r.ulebBig(), top.type);
        return;
      }
      case Op.dup:
        this.pushValue(this.pick(0));
        return;
      case Op.over:
        this.pushValue(this.pick(1));
        return;
      case Op.pick:
        this.pushValue(this.pick(r.u8()));
        return;
      case Op.drop:
        this.pop();
        return;
      case Op.swap:
        this.rotate(2);
        return;
      case Op.rot:
        this.rotate(3);
        return;
      case Op.skip:
        this.jump(r);
        return;
      case Op.bra:
        if (this.pop().bits !== 0n) {
          this.jump(r);
          return;
        }
        r.skip(2);
        return;
      case Op.nop:
      case Op.GNU_uninit:
        return;
      default:
        this.memoryStep(op, r, calls);
        return;
    }
  }

  private memoryStep(op: Op, r: DwarfReader, calls: number): void {
    switch (op) {
      case Op.deref:
        this.push(this.read(this.popAddress(), this.scope.addressSize));
        return;
      case Op.deref_size:
        this.push(this.read(this.popAddress(), r.u8()));
        return;
      case Op.deref_type:
      case Op.GNU_deref_type: {
        const size = r.u8();
        const type = this.type(r.uleb());
        this.push(this.read(this.popAddress(), size), type);
        return;
      }
      case Op.regval_type:
      case Op.GNU_regval_type: {
        const value = this.register(r.uleb());
        this.pushValue(reinterpretTyped({ bits: BigInt(value), type: GENERIC }, this.type(r.uleb())));
        return;
      }
      case Op.const_type:
      case Op.GNU_const_type: {
        const type = this.type(r.uleb());
        this.push(littleEndian(r.view(r.u8())), type);
        return;
      }
      case Op.convert:
      case Op.GNU_convert:
        this.pushValue(convertTyped(this.pop(), this.type(r.uleb())));
        return;
      case Op.reinterpret:
      case Op.GNU_reinterpret:
        this.pushValue(reinterpretTyped(this.pop(), this.type(r.uleb())));
        return;
      case Op.call_frame_cfa:
        this.push(this.need(this.scope.cfa(), "the canonical frame address"));
        return;
      case Op.entry_value:
      case Op.GNU_entry_value:
        this.push(this.need(this.scope.entryValue(r.view(r.uleb())), "the value on entry"));
        return;
      case Op.call2:
        this.call(r.u16(), false, calls);
        return;
      case Op.call4:
        this.call(r.u32(), false, calls);
        return;
      case Op.call_ref:
        this.call(r.offsetOf(this.scope.offsetSize), true, calls);
        return;
      case Op.push_object_address:
        throw new Stop("its location depends on the object it is in, which is not supported");
      case Op.form_tls_address:
      case Op.GNU_push_tls_address:
        throw new Stop("it is a thread-local variable, which is not supported");
      case Op.GNU_parameter_ref:
        throw new Stop("it depends on a parameter that was optimized out");
      case Op.xderef:
      case Op.xderef_size:
      case Op.xderef_type:
        throw new Stop("it is in another address space, which is not supported");
      default:
        this.placeStep(op, r);
        return;
    }
  }

  private placeStep(op: Op, r: DwarfReader): void {
    switch (op) {
      case Op.stack_value: {
        const top = this.pop();
        this.setNamed({ kind: "value", bytes: toBytes(top.bits, top.type.size) });
        return;
      }
      case Op.implicit_value:
        this.setNamed({ kind: "value", bytes: r.view(r.uleb()) });
        return;
      case Op.implicit_pointer:
      case Op.GNU_implicit_pointer: {
        const { version, addressSize, offsetSize } = this.scope;
        const target = version < 3 ? r.unsigned(addressSize) : r.offsetOf(offsetSize);
        this.setNamed({ kind: "implicit-pointer", target, offset: r.sleb() });
        return;
      }
      case Op.piece:
        this.addPiece(r.uleb() * 8, 0);
        return;
      case Op.bit_piece: {
        const bitSize = r.uleb();
        this.addPiece(bitSize, r.uleb());
        return;
      }
      default:
        throw new Stop(`its location uses operation 0x${op.toString(16)}, which is not supported`);
    }
  }

  private setNamed(location: Location): void {
    this.named = location;
  }

  private pushValue(value: TypedValue): void {
    this.push(value.bits, value.type);
  }

  private rotate(count: number): void {
    const top = this.pick(0);
    this.pick(count - 1);
    this.stack.pop();
    this.stack.splice(this.stack.length - (count - 1), 0, top);
  }

  private jump(r: DwarfReader): void {
    const distance = r.i16();
    r.seek(r.offset + distance);
  }

  private call(offset: number, isInfo: boolean, calls: number): void {
    if (calls >= MAX_CALLS) throw new Stop("its location expression calls itself too deeply");
    const expression = this.scope.subExpression(offset, isInfo);
    if (expression) this.run(expression, calls + 1);
  }

  private arithmetic(op: Op): void {
    const isUnary = op === Op.abs || op === Op.neg || op === Op.not;
    const right = this.pop();
    const left = isUnary ? right : this.pop();
    const result = operate(op, left, right);
    if (typeof result === "string") throw new Stop(`its location ${result}`);
    this.pushValue(result);
  }
}

/** A scope for expressions outside of any unit (.eh_frame). */
export const PLAIN_SCOPE: ExpressionScope = {
  addressSize: 4,
  offsetSize: 4,
  version: 4,
  baseType: () => undefined,
  indexedAddress: () => {
    throw new DwarfError("an indexed address outside of a unit", "expression", 0);
  },
  subExpression: () => undefined,
  frameBase: () => ({ reason: "there is no frame base here" }),
  cfa: () => ({ reason: "the canonical frame address is not known here" }),
  entryValue: () => ({ reason: "the value on entry is not known here" }),
};
