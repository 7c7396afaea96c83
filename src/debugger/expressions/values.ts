/*
 * What an expression is worth: a C type together with where it lives (memory, a register) or, for a result, its bytes.
 * Reading is late: a structure in memory costs nothing until one of its members is asked for.
 *
 * Integers are bigints while computed with, cut to their type's width after each step as C does. ISO C, 6.3.1.
 */
import { BaseType, type Member, PointerType, sizeOf, stripped, type Type, typeName } from "../../dwarf";
import { notAnLvalue, optimizedOut, UserError, unreadable } from "../errors";

export type Space = "linear" | "gpa" | "hpa";

/** Memory as expressions see it. Both give up with a UserError. */
export interface ValueMemory {
  /** Exactly `length` bytes. */
  read(space: Space, address: number, length: number): Uint8Array;
  write(space: Space, address: number, bytes: Uint8Array): void;
}

/** A named thing that is not in memory: a register, a field of the hypervisor's state. */
export interface Cell {
  readonly name: string;
  get(): bigint;
  /** Absent: it cannot be changed, for the reason `readOnly` gives. */
  set?(value: bigint): void;
  readonly readOnly?: string;
}

export type Place =
  | { readonly kind: "memory"; readonly space: Space; readonly address: number }
  | { readonly kind: "cell"; readonly cell: Cell }
  /** Computed; it has bytes and no home. */
  | { readonly kind: "none"; readonly bytes: Uint8Array }
  /** The compiler kept no place for it. */
  | { readonly kind: "absent"; readonly reason: string };

export interface Value {
  readonly type: Type;
  readonly place: Place;
  /** For a bit-field: lowest bit counted from the place's first byte, and width. */
  readonly bits?: { readonly offset: number; readonly size: number };
  /** How a person wants to see it: registers and addresses in hexadecimal. */
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

/** A scalar's kind behind typedefs and qualifiers. */
export function isPointer(type: Type): boolean {
  const kind = stripped(type).kind;
  return kind === "pointer" || kind === "array" || kind === "function";
}
export function isAggregate(type: Type): boolean {
  const kind = stripped(type).kind;
  return kind === "struct" || kind === "array";
}
export function isFloat(type: Type): boolean {
  const t = stripped(type);
  return t.kind === "base" && t.encoding === "float";
}
export function isSigned(type: Type): boolean {
  const t = stripped(type);
  return (t.kind === "base" || t.kind === "enum") && t.isSigned;
}

/** A computed integer of a type. */
export function integer(value: bigint, type: Type, isHex = false): Value {
  const size = sizeOf(type) ?? 4;
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { type, place: { kind: "none", bytes }, isHex };
}

/** A computed floating-point number. */
export function float(value: number, type: Type): Value {
  const bytes = new Uint8Array(sizeOf(type) ?? 8);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return { type, place: { kind: "none", bytes } };
}

export function inMemory(type: Type, address: number, space: Space = "linear"): Value {
  return { type, place: { kind: "memory", space, address: address >>> 0 } };
}

/** The bytes of a value. @throws UserError when they cannot be had. */
export function bytesOf(value: Value, memory: ValueMemory, size = sizeOf(value.type)): Uint8Array {
  const { place } = value;
  if (size === undefined) throw new UserError(`${typeName(value.type)} has no size.`);
  switch (place.kind) {
    case "memory":
      return memory.read(place.space, place.address, size);
    case "cell":
      return (integer(place.cell.get(), value.type).place as { bytes: Uint8Array }).bytes;
    case "none":
      if (place.bytes.length < size) throw new UserError("The value is incomplete.");
      return place.bytes.subarray(0, size);
    case "absent":
      throw place.reason === "" ? optimizedOut() : new UserError(place.reason);
  }
}

/** An integer, pointer or enum as a number; arrays and functions decay to their address. */
export function integerOf(value: Value, memory: ValueMemory): bigint {
  const type = stripped(value.type);
  if (type.kind === "array" || type.kind === "function" || type.kind === "void") return BigInt(addressOf(value));
  if (type.kind === "struct") throw new UserError(`${typeName(value.type)} is no number.`);
  if (isFloat(type)) return BigInt(Math.trunc(floatOf(value, memory)) || 0);
  if (value.place.kind === "cell" && value.bits === undefined) return wrap(value.place.cell.get(), type);
  const size = sizeOf(type) ?? 4;
  if (value.bits !== undefined) {
    const length = Math.ceil((value.bits.offset + value.bits.size) / 8);
    const raw = unsignedOf(bytesOf(value, memory, length)) >> BigInt(value.bits.offset);
    return isSigned(type) ? BigInt.asIntN(value.bits.size, raw) : BigInt.asUintN(value.bits.size, raw);
  }
  const raw = unsignedOf(bytesOf(value, memory, size));
  return isSigned(type) ? BigInt.asIntN(size * 8, raw) : raw;
}

export function floatOf(value: Value, memory: ValueMemory): number {
  if (!isFloat(value.type)) return Number(integerOf(value, memory));
  const bytes = bytesOf(value, memory);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return view.getFloat32(0, true);
  if (bytes.length === 8) return view.getFloat64(0, true);
  return extendedToNumber(view);
}

/** The address of an lvalue. */
export function addressOf(value: Value): number {
  if (value.place.kind === "memory" && value.bits === undefined) return value.place.address;
  if (value.bits !== undefined) throw new UserError("A bit-field has no address.");
  if (value.place.kind === "cell") throw new UserError(`${value.place.cell.name} has no address.`);
  if (value.place.kind === "absent") throw optimizedOut();
  throw new UserError("Only something in memory has an address.");
}

/** Stores a number into an lvalue. */
export function store(value: Value, number: bigint, memory: ValueMemory): void {
  const { place, bits } = value;
  if (place.kind === "cell") {
    if (place.cell.set === undefined) {
      throw new UserError(`${place.cell.name} cannot be changed${place.cell.readOnly ? `: ${place.cell.readOnly}` : ""}.`);
    }
    place.cell.set(number);
    return;
  }
  if (place.kind !== "memory") throw place.kind === "absent" ? optimizedOut() : notAnLvalue();
  if (bits !== undefined) {
    const length = Math.ceil((bits.offset + bits.size) / 8);
    const mask = ((1n << BigInt(bits.size)) - 1n) << BigInt(bits.offset);
    const old = unsignedOf(memory.read(place.space, place.address, length));
    const next = (old & ~mask) | ((number << BigInt(bits.offset)) & mask);
    memory.write(place.space, place.address, littleEndian(next, length));
    return;
  }
  const size = sizeOf(value.type);
  if (size === undefined || isAggregate(value.type)) {
    throw new UserError(`${typeName(value.type)} cannot be set as a whole; set its parts.`);
  }
  memory.write(place.space, place.address, littleEndian(number, size));
}

/** Stores a floating-point number. */
export function storeFloat(value: Value, number: number, memory: ValueMemory): void {
  if (value.place.kind !== "memory") throw notAnLvalue();
  const { bytes } = float(number, value.type).place as { bytes: Uint8Array };
  memory.write(value.place.space, value.place.address, bytes);
}

/** A member of a structure, as a value of its own. */
export function memberOf(value: Value, member: Member, memory: ValueMemory): Value {
  const bits = member.bitSize !== undefined ? { offset: member.bitOffset ?? 0, size: member.bitSize } : undefined;
  if (member.problem !== undefined) {
    return { type: member.type, place: { kind: "absent", reason: `Its place is not known: ${member.problem}.` } };
  }
  if (value.place.kind === "memory") {
    const { address, space } = value.place;
    return { type: member.type, place: { kind: "memory", space, address: (address + member.byteOffset) >>> 0 }, bits };
  }
  if (value.place.kind === "absent") return { type: member.type, place: value.place };
  const bytes = bytesOf(value, memory).subarray(member.byteOffset);
  return { type: member.type, place: { kind: "none", bytes }, bits };
}

/** Cuts a number to an integer type. */
export function wrap(value: bigint, type: Type): bigint {
  const t = stripped(type);
  if (t.kind === "base" && t.encoding === "boolean") return value === 0n ? 0n : 1n;
  const bits = (sizeOf(t) ?? 4) * 8;
  return isSigned(t) ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

export function unsignedOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}

export function littleEndian(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** Text up to a zero byte, at most `most` bytes; undefined when the first byte cannot be read. */
export function readText(memory: ValueMemory, space: Space, address: number, most = 200): { text: string; isCut: boolean } | undefined {
  const codes: number[] = [];
  try {
    for (let i = 0; i < most; i++) {
      const [byte] = memory.read(space, (address + i) >>> 0, 1);
      if (byte === 0) return { text: String.fromCharCode(...codes), isCut: false };
      codes.push(byte);
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (codes.length === 0) return undefined;
  }
  return { text: String.fromCharCode(...codes), isCut: true };
}

/** x87's 80 bits as a double. SDM Vol. 1, 4.2.2. */
function extendedToNumber(view: DataView): number {
  if (view.byteLength < 10) throw unreadable(0);
  const mantissa = view.getBigUint64(0, true);
  const head = view.getUint16(8, true);
  const exponent = head & 0x7fff;
  const sign = head & 0x8000 ? -1 : 1;
  if (exponent === 0x7fff) return mantissa << 1n === 0n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * Number(mantissa) * 2 ** (exponent - 16383 - 63);
}
