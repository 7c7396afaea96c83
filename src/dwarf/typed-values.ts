// Arithmetic of the expression stack.
//
// A value is a bit pattern and a type: the generic type is an address-sized integer
// without a sign of its own; typed values follow their base type, floating point included. DWARF 5, section 2.5.1.4.

import { Op } from "./constants";

export interface ValueType {
  readonly size: number;
  readonly encoding: "generic" | "signed" | "unsigned" | "float";
}

export interface TypedValue {
  readonly bits: bigint;
  readonly type: ValueType;
}

export const GENERIC: ValueType = { size: 4, encoding: "generic" };

function width(type: ValueType): number {
  return type.size * 8;
}

function signed(v: TypedValue): bigint {
  return BigInt.asIntN(width(v.type), v.bits);
}

function unsigned(v: TypedValue): bigint {
  return BigInt.asUintN(width(v.type), v.bits);
}

/** The number that float bits stand for; undefined for widths that JavaScript does not have (80 bits). */
function toFloat(v: TypedValue): number | undefined {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, v.bits), true);
  if (v.type.size === 4) return view.getFloat32(0, true);
  return v.type.size === 8 ? view.getFloat64(0, true) : undefined;
}

function fromFloat(value: number, type: ValueType): TypedValue | undefined {
  const view = new DataView(new ArrayBuffer(8));
  if (type.size === 4) view.setFloat32(0, value, true);
  else if (type.size === 8) view.setFloat64(0, value, true);
  else return undefined;
  return { bits: view.getBigUint64(0, true), type };
}

/** Computes; gives a phrase in place of a value where that is not possible. */
export function operate(op: Op, left: TypedValue, right: TypedValue): TypedValue | string {
  if (left.type.encoding === "float" || right.type.encoding === "float") return operateFloat(op, left, right);
  const { type } = left;
  const isUnsigned = type.encoding === "unsigned";
  const [a, b] = [signed(left), signed(right)];
  const [x, y] = isUnsigned ? [unsigned(left), unsigned(right)] : [a, b];
  const value = (bits: bigint): TypedValue => ({ bits: BigInt.asUintN(width(type), bits), type });
  const shift = unsigned(right) > 64n ? 64n : unsigned(right);
  switch (op) {
    case Op.abs:
      return value(a < 0n && !isUnsigned ? -a : a);
    case Op.neg:
      return value(-a);
    case Op.not:
      return value(~a);
    case Op.and:
      return value(a & b);
    case Op.or:
      return value(a | b);
    case Op.xor:
      return value(a ^ b);
    case Op.plus:
      return value(a + b);
    case Op.minus:
      return value(a - b);
    case Op.mul:
      return value(a * b);
    case Op.div:
      return y === 0n ? "divides by zero" : value(x / y);
    case Op.mod: {
      // Of the generic type the remainder is unsigned, while the quotient is signed.
      const [m, n] = type.encoding === "generic" ? [unsigned(left), unsigned(right)] : [x, y];
      return n === 0n ? "divides by zero" : value(m % n);
    }
    case Op.shl:
      return value(a << shift);
    case Op.shr:
      return value(unsigned(left) >> shift);
    case Op.shra:
      return value(a >> shift);
    default:
      return comparison(op, x, y) ?? "uses an unknown operation";
  }
}

/** A comparison's answer, 0 or 1 of the generic type; undefined when the operation is no comparison. */
function comparison<T extends bigint | number>(op: Op, a: T, b: T): TypedValue | undefined {
  const truth = (is: boolean): TypedValue => ({ bits: is ? 1n : 0n, type: GENERIC });
  switch (op) {
    case Op.eq:
      return truth(a === b);
    case Op.ne:
      return truth(a !== b);
    case Op.lt:
      return truth(a < b);
    case Op.le:
      return truth(a <= b);
    case Op.gt:
      return truth(a > b);
    case Op.ge:
      return truth(a >= b);
    default:
      return undefined;
  }
}

function operateFloat(op: Op, left: TypedValue, right: TypedValue): TypedValue | string {
  const [a, b] = [toFloat(left), toFloat(right)];
  const { type } = left;
  if (a === undefined || b === undefined) return "computes with a floating-point format that is not supported";
  const value = (n: number): TypedValue | string => fromFloat(n, type) ?? "computes with an unknown format";
  switch (op) {
    case Op.abs:
      return value(Math.abs(a));
    case Op.neg:
      return value(-a);
    case Op.plus:
      return value(a + b);
    case Op.minus:
      return value(a - b);
    case Op.mul:
      return value(a * b);
    case Op.div:
      return value(a / b);
    default:
      return comparison(op, a, b) ?? "uses an operation that floating-point values do not have";
  }
}

/** DW_OP_convert: the same number in another type. */
export function convertTyped(v: TypedValue, type: ValueType): TypedValue {
  if (v.type.encoding === "float") {
    const number = toFloat(v);
    if (number === undefined) return reinterpretTyped(v, type);
    if (type.encoding === "float") return fromFloat(number, type) ?? reinterpretTyped(v, type);
    const whole = Number.isFinite(number) ? BigInt(Math.trunc(number)) : 0n;
    return { bits: BigInt.asUintN(width(type), whole), type };
  }
  const number = v.type.encoding === "signed" ? signed(v) : unsigned(v);
  if (type.encoding === "float") return fromFloat(Number(number), type) ?? reinterpretTyped(v, type);
  return { bits: BigInt.asUintN(width(type), number), type };
}

/** DW_OP_reinterpret: the same bits in another type. */
export function reinterpretTyped(v: TypedValue, type: ValueType): TypedValue {
  return { bits: BigInt.asUintN(width(type), v.bits), type };
}
