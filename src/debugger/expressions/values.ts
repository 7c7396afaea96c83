/*
 * What an expression is worth: a node of the debug information's value tree (type, storage, text, children), to which
 * registers and the hypervisor's words are added as cells, since DWARF knows only eight registers.
 *
 * Integers are bigints while computed with, cut to their type's width after each step as C does. ISO C, 6.3.1.
 */
import {
  BaseType,
  PointerType,
  Storage,
  sizeOf,
  stripped,
  type Type,
  typeName,
  ValueNode,
  type ValueOptions,
  type ValueSource,
} from "../../dwarf";
import { UserError } from "../errors";

/** A named thing outside memory and DWARF's registers: a control register, a word of the hypervisor's state. */
export interface Cell {
  readonly name: string;
  get(): bigint;
  /**
   * @throws UserError for a value that it cannot take. Absent: it cannot be changed, for the reason `readOnly` gives.
   */
  set?(value: bigint): void;
  readonly readOnly?: string;
}

export interface Value {
  readonly node: ValueNode;
  readonly cell?: Cell;
  /** Registers and addresses are read in hexadecimal. */
  readonly isHex?: boolean;
}

export const INT = new BaseType("int", 4, "signed", true);
export const UNSIGNED = new BaseType("unsigned int", 4, "unsigned", false);
export const LONG_LONG = new BaseType("long long int", 8, "signed", true);
export const UNSIGNED_LONG_LONG = new BaseType("long long unsigned int", 8, "unsigned", false);
export const CHAR = new BaseType("char", 1, "char", true);
export const UNSIGNED_CHAR = new BaseType("unsigned char", 1, "char", false);
export const SHORT = new BaseType("short int", 2, "signed", true);
export const UNSIGNED_SHORT = new BaseType("short unsigned int", 2, "unsigned", false);
export const LONG = new BaseType("long int", 4, "signed", true);
export const UNSIGNED_LONG = new BaseType("long unsigned int", 4, "unsigned", false);
export const BOOL = new BaseType("_Bool", 1, "boolean", false);
export const FLOAT = new BaseType("float", 4, "float", true);
export const DOUBLE = new BaseType("double", 8, "float", true);

export function pointerTo(type: Type): PointerType {
  return new PointerType(4, "pointer", () => type);
}

/** Pointers, and what decays to one. */
export function isPointer(type: Type): boolean {
  const { kind } = stripped(type);
  return kind === "pointer" || kind === "array" || kind === "function";
}
export function isFloat(type: Type): boolean {
  const t = stripped(type);
  return t.kind === "base" && t.encoding === "float";
}
export function isSigned(type: Type): boolean {
  const t = stripped(type);
  return (t.kind === "base" || t.kind === "enum") && t.isSigned;
}

/** Makes values; knows where memory is read and how addresses are named. */
export class ValueFactory {
  constructor(
    readonly source: ValueSource,
    readonly options: ValueOptions = {},
  ) {}

  /** A computed integer of a type. */
  integer(value: bigint, type: Type, isHex = false): Value {
    return this.constant(littleEndian(value, sizeOf(type) ?? 4), type, isHex);
  }
  /** A computed floating-point number. */
  float(value: number, type: Type): Value {
    const bytes = new Uint8Array(sizeOf(type) ?? 8);
    const view = new DataView(bytes.buffer);
    if (bytes.length === 4) view.setFloat32(0, value, true);
    else view.setFloat64(0, value, true);
    return this.constant(bytes, type);
  }
  constant(bytes: Uint8Array, type: Type, isHex = false): Value {
    return { node: this.node(type, new Storage({ kind: "value", bytes }, this.source), isHex), isHex };
  }
  memory(type: Type, address: number, expression?: string): Value {
    const storage = new Storage({ kind: "memory", address: address >>> 0 }, this.source);
    return { node: new ValueNode(expression ?? "", type, storage, this.options, expression) };
  }
  cell(cell: Cell, type: Type, isHex = true): Value {
    try {
      return { ...this.integer(cell.get(), type, isHex), cell };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const location = { kind: "unavailable" as const, isOptimizedOut: false, reason: error.message };
      return { node: this.node(type, new Storage(location, this.source), isHex), cell, isHex };
    }
  }
  private node(type: Type, storage: Storage, isHex: boolean): ValueNode {
    return new ValueNode("", type, storage, isHex ? { ...this.options, isHex } : this.options);
  }
}

/** An integer, pointer or enum as a number; arrays and functions decay to their address. @throws UserError. */
export function integerOf(value: Value): bigint {
  const { node } = value;
  const type = stripped(node.type);
  if (type.kind === "array" || type.kind === "function" || type.kind === "void") return BigInt(addressOf(value));
  if (isFloat(type)) return BigInt(Math.trunc(floatOf(value)) || 0);
  if (value.cell !== undefined) return wrap(value.cell.get(), type);
  const number = node.number;
  if (!number.ok) throw new UserError(sentence(number.reason));
  return number.value;
}

export function floatOf(value: Value): number {
  if (!isFloat(value.node.type)) return Number(integerOf(value));
  const size = sizeOf(value.node.type) ?? 8;
  const bytes = value.node.storage.read(size);
  if (!bytes.ok) throw new UserError(sentence(bytes.reason));
  const view = new DataView(bytes.value.buffer, bytes.value.byteOffset, size);
  return size === 4 ? view.getFloat32(0, true) : size === 8 ? view.getFloat64(0, true) : Number(value.node.text);
}

/** The address of an lvalue. @throws UserError when it has none. */
export function addressOf(value: Value): number {
  if (value.cell !== undefined) throw new UserError(`${value.cell.name} has no address.`);
  const { address, storage } = value.node;
  // The tree spells a bit-field's type with its width.
  if (/ : \d+$/.test(value.node.typeName)) throw new UserError("A bit-field has no address.");
  if (address !== undefined) return address;
  if (storage.location.kind === "unavailable") throw new UserError(sentence(storage.location.reason));
  throw new UserError("Only something in memory has an address.");
}

/** Cuts a number to an integer type. */
export function wrap(value: bigint, type: Type): bigint {
  const t = stripped(type);
  if (t.kind === "base" && t.encoding === "boolean") return value === 0n ? 0n : 1n;
  const bits = (sizeOf(t) ?? 4) * 8;
  return isSigned(t) ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

export function littleEndian(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** A reason of the debug information's reader as a sentence of its own. */
export function sentence(reason: string): string {
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

export function typeText(type: Type): string {
  return typeName(type);
}
