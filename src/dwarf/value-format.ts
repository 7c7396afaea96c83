// Values as text, the way a C programmer reads them.
//
// Examples: 42, 97 'a', RED | BLUE, 0xc0100000 "text", 3.25. Scalars only;
// structures and arrays are put together from these in values.ts.

import { decodeUtf8 } from "../base";
import { littleEndian } from "./expression";
import { type BaseType, type EnumType, type PointerType, stripped, type Type } from "./types";

export interface FormatOptions {
  /** Integers and enumerations in hexadecimal. */
  readonly isHex?: boolean;
  /** The symbol at an address, as `name+0x13`, for pointers. */
  symbolize?(address: number): string | undefined;
}

/** Characters of a string that a preview shows. */
export const MAX_TEXT = 200;

export function formatBase(type: BaseType, bytes: Uint8Array, options: FormatOptions, bitSize?: number): string {
  const bits = bitSize ?? type.byteSize * 8;
  const unsigned = BigInt.asUintN(bits, littleEndian(bytes));
  const value = type.isSigned ? BigInt.asIntN(bits, unsigned) : unsigned;
  switch (type.encoding) {
    case "float":
      return formatFloat(bytes, type.byteSize);
    case "complex": {
      const half = type.byteSize / 2;
      return `${formatFloat(bytes.subarray(0, half), half)} + ${formatFloat(bytes.subarray(half), half)}i`;
    }
    case "boolean":
      return unsigned === 0n ? "false" : unsigned === 1n ? "true" : `true (${unsigned})`;
    case "char":
      return `${options.isHex ? hexadecimal(unsigned, bits) : value} ${charLiteral(Number(unsigned), type.byteSize)}`;
    case "address":
      return hexadecimal(unsigned, bits);
    default:
      return options.isHex ? hexadecimal(unsigned, bits) : `${value}`;
  }
}

export function hexadecimal(value: bigint, bits: number): string {
  return `0x${value.toString(16).padStart(Math.ceil(bits / 4), "0")}`;
}

function formatAddress(address: number): string {
  return `0x${address.toString(16).padStart(8, "0")}`;
}

/** An enumerator's name, several of them or'ed, or the number where no name fits. */
export function formatEnum(type: EnumType, bytes: Uint8Array, options: FormatOptions, bitSize?: number): string {
  const bits = bitSize ?? type.byteSize * 8;
  const unsigned = BigInt.asUintN(bits, littleEndian(bytes));
  const value = type.isSigned ? BigInt.asIntN(bits, unsigned) : unsigned;
  const number = options.isHex ? hexadecimal(unsigned, bits) : `${value}`;
  const exact = type.enumerators.find((e) => e.value === value);
  if (exact) return options.isHex ? `${exact.name} (${number})` : exact.name;
  if (type.isFlags && unsigned !== 0n) {
    let rest = unsigned;
    const names: string[] = [];
    for (const e of type.enumerators) {
      if (e.value === 0n || (rest & e.value) !== e.value) continue;
      names.push(e.name);
      rest &= ~e.value;
    }
    if (names.length > 0) return [...names, ...(rest === 0n ? [] : [`0x${rest.toString(16)}`])].join(" | ");
  }
  return number;
}

/** A pointer without what it points to: NULL, an address, the symbol there for functions and global data. */
export function formatPointer(type: PointerType, bytes: Uint8Array, options: FormatOptions): string {
  const address = Number(littleEndian(bytes.subarray(0, 4)));
  if (type.flavour === "member-pointer") return formatAddress(address);
  if (address === 0) return "NULL";
  const symbol = options.symbolize?.(address);
  const isFunction = stripped(type.target).kind === "function";
  if (!symbol || (!isFunction && symbol.includes("+"))) return formatAddress(address);
  return `${formatAddress(address)} <${symbol}>`;
}

/** Whether a type is a character of C, so that pointers to it and arrays of it are text. */
export function isCharacter(type: Type): boolean {
  const t = stripped(type);
  return t.kind === "base" && t.encoding === "char" && t.byteSize === 1;
}

/**
 * Bytes up to the first zero as a C string literal. Gives undefined if they are not text: `unsigned char` is as often
 * a small number as a letter.
 */
export function textLiteral(bytes: Uint8Array, isCut: boolean): string | undefined {
  const zero = bytes.indexOf(0);
  const text = zero < 0 ? bytes : bytes.subarray(0, zero);
  let strange = 0;
  for (const byte of text) if (byte < 32 && ![7, 8, 9, 10, 12, 13, 27].includes(byte)) strange++;
  if (strange * 8 > text.length) return undefined;
  return `"${escapeText(decodeUtf8(text))}"${zero < 0 && isCut ? "..." : ""}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\x1b": "\\e",
  "\\": "\\\\",
};

function escapeText(text: string, quote = '"'): string {
  let out = "";
  for (const c of text) {
    const code = c.codePointAt(0) ?? 0;
    if (c === quote) out += `\\${c}`;
    else if (ESCAPES[c]) out += ESCAPES[c];
    else if (code < 32 || (code >= 0x7f && code < 0xa0)) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else out += c;
  }
  return out;
}

function charLiteral(code: number, size: number): string {
  if (size === 1 && code >= 0x80) return `'\\x${code.toString(16)}'`;
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return `'\\x${code.toString(16)}'`;
  return `'${escapeText(String.fromCodePoint(code), "'")}'`;
}

/** The shortest text that reads back as the same number. */
function formatFloat(bytes: Uint8Array, size: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (size === 8) return numberText(view.getFloat64(0, true));
  if (size === 4) {
    const value = view.getFloat32(0, true);
    if (value === 0 || !Number.isFinite(value)) return numberText(value);
    for (let digits = 6; digits < 9; digits++) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return numberText(short);
    }
    return numberText(Number(value.toPrecision(9)));
  }
  if (size >= 10 && bytes.length >= 10) return numberText(extendedToNumber(view));
  return `<a floating-point number of ${size} bytes>`;
}

function numberText(value: number): string {
  if (Object.is(value, -0)) return "-0";
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return String(value);
}

/** The x87's 80 bits: sign and exponent in the top 16, an explicit leading one in the mantissa. */
function extendedToNumber(view: DataView): number {
  const mantissa = view.getBigUint64(0, true);
  const top = view.getUint16(8, true);
  const sign = top & 0x8000 ? -1 : 1;
  const exponent = top & 0x7fff;
  if (exponent === 0x7fff)
    return mantissa << 1n === 1n << 64n || BigInt.asUintN(63, mantissa) === 0n ? sign * Infinity : NaN;
  const scale = exponent - 16383 - 63;
  // In two steps, so that neither factor leaves the range of doubles too early.
  return sign * Number(mantissa) * 2 ** Math.trunc(scale / 2) * 2 ** (scale - Math.trunc(scale / 2));
}
