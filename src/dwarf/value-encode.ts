// Text typed by a person, as the bytes of a type.
//
// What is understood: `42`, `-1`, `0x1f`, `'a'`, `true`, `RED | BLUE`, `2.5`, `NULL`, and a
// string literal for an array of characters. What does not fit is refused with the reason, never cut off in silence.

import { found, type Lookup, refused } from "./errors";
import { toBytes } from "./expression";
import { typeName } from "./type-names";
import { type BaseType, type EnumType, stripped, type Type } from "./types";
import { isCharacter } from "./value-format";

/** Gives the value of a name (a symbol's address, an enumerator), if it has one. */
export type NameResolver = (name: string) => bigint | undefined;

/** The bytes of a value; for a bit-field of `bitSize` bits, its number in as many bytes as the type has. */
export function encodeText(type: Type, text: string, bitSize?: number, resolve?: NameResolver): Lookup<Uint8Array> {
  const t = stripped(type);
  const input = text.trim();
  if (input === "") return refused("a value is expected");
  switch (t.kind) {
    case "base":
      return t.encoding === "float" ? encodeFloat(t, input) : encodeBase(t, input, bitSize, resolve);
    case "enum":
      return encodeEnum(t, input, bitSize, resolve);
    case "pointer":
      if (t.byteSize !== 4) return refused(`a ${typeName(type)} cannot be set here`);
      return integer(
        input === "NULL" || input === "nullptr" ? 0n : parseNumber(input, resolve),
        32,
        false,
        typeName(type),
        4,
      );
    case "array":
      if (isCharacter(t.element) && t.count !== undefined) return encodeString(input, t.count);
      return refused("an array cannot be set as a whole: set its elements");
    case "struct":
      return refused(`a ${t.keyword} cannot be set as a whole: set its members`);
    default:
      return refused(`a value of type ${typeName(type)} cannot be set`);
  }
}

function encodeBase(
  t: BaseType,
  input: string,
  bitSize: number | undefined,
  resolve?: NameResolver,
): Lookup<Uint8Array> {
  const bits = bitSize ?? t.byteSize * 8;
  if (t.encoding === "boolean") {
    const value = input === "true" ? 1n : input === "false" ? 0n : parseNumber(input, resolve);
    if (value !== undefined && value !== 0n && value !== 1n)
      return refused(`${input} is neither true nor false (1 or 0)`);
    return integer(value, bits, false, t.name, t.byteSize);
  }
  if (t.encoding === "complex") return refused("a complex number cannot be set");
  return integer(parseNumber(input, resolve), bits, t.isSigned, t.name, t.byteSize);
}

function integer(
  value: bigint | undefined,
  bits: number,
  isSigned: boolean,
  name: string,
  byteSize: number,
): Lookup<Uint8Array> {
  const what = bits === byteSize * 8 ? name : `a field of ${bits} bits`;
  if (value === undefined)
    return refused(`expected a number for ${what} (decimal, 0x..., 0b..., or a character like 'a')`);
  // A bit pattern written without a sign is welcome for signed types too: 0xffffffff is -1.
  const lowest = isSigned ? -(1n << BigInt(bits - 1)) : 0n;
  const highest = (1n << BigInt(bits)) - 1n;
  if (value < lowest && !(value < 0n && !isSigned && value >= -(1n << BigInt(bits - 1)))) {
    return refused(`${value} does not fit ${what}: the lowest is ${lowest}`);
  }
  if (value > highest) {
    return refused(`${value} does not fit ${what}: the highest is ${isSigned ? (highest - 1n) / 2n : highest}`);
  }
  return found(toBytes(value, byteSize));
}

function encodeEnum(
  t: EnumType,
  input: string,
  bitSize: number | undefined,
  resolve?: NameResolver,
): Lookup<Uint8Array> {
  let value = 0n;
  for (const part of input.split("|").map((p) => p.trim())) {
    const named = t.enumerators.find((e) => e.name === part || e.name.endsWith(`::${part}`));
    const bits = named?.value ?? parseNumber(part, resolve);
    if (bits === undefined) {
      const names = t.enumerators.slice(0, 5).map((e) => e.name);
      const more = t.enumerators.length > names.length ? ", ..." : "";
      return refused(
        `${part || "nothing"} is not a value of enum ${t.name ?? ""}: expected ${names.join(", ")}${more} or a number`,
      );
    }
    value |= bits;
  }
  return integer(value, bitSize ?? t.byteSize * 8, t.isSigned, `enum ${t.name ?? ""}`.trim(), t.byteSize);
}

function encodeFloat(t: BaseType, input: string): Lookup<Uint8Array> {
  const special: Readonly<Record<string, number>> = { inf: Infinity, "-inf": -Infinity, nan: NaN };
  const value = special[input.toLowerCase()] ?? Number(input.replace(/[fFlL]$/, ""));
  if (Number.isNaN(value) && input.toLowerCase() !== "nan") return refused(`expected a number for ${t.name}`);
  const bytes = new Uint8Array(t.byteSize);
  const view = new DataView(bytes.buffer);
  if (t.byteSize === 4) view.setFloat32(0, value, true);
  else if (t.byteSize === 8) view.setFloat64(0, value, true);
  else return refused(`a ${t.name} (${t.byteSize} bytes) cannot be set`);
  return found(bytes);
}

function encodeString(input: string, size: number): Lookup<Uint8Array> {
  const literal = /^"((?:[^"\\]|\\.)*)"$/s.exec(input);
  if (!literal) return refused('expected a string literal, like "text"');
  const text: number[] = [];
  for (const c of literal[1].match(/\\x[0-9a-fA-F]{1,2}|\\[0-7]{1,3}|\\.|[^\\]/gsu) ?? []) {
    const code = escapedCode(c);
    if (code === undefined) return refused(`${c} is not an escape sequence`);
    if (c.startsWith("\\")) text.push(code);
    else text.push(...utf8(code));
  }
  if (text.length > size) return refused(`the text has ${text.length} bytes, the array only ${size}`);
  const bytes = new Uint8Array(size);
  bytes.set(text);
  return found(bytes);
}

/** A number as C writes it, with a sign; or a character, or a name that means one. */
export function parseNumber(text: string, resolve?: NameResolver): bigint | undefined {
  const negative = /^-\s*(.+)$/s.exec(text);
  if (negative) {
    const value = parseNumber(negative[1], resolve);
    return value === undefined ? undefined : -value;
  }
  const input = text.startsWith("+") ? text.slice(1).trim() : text;
  const digits = input.replaceAll(/['_](?=[0-9a-fA-F])/g, "").replace(/[uUlL]+$/, "");
  if (/^0[xX][0-9a-fA-F]+$/.test(digits) || /^0[bB][01]+$/.test(digits)) return BigInt(digits);
  if (/^0[oO]?[0-7]+$/.test(digits)) return BigInt(`0o${digits.replace(/^0[oO]?/, "")}`);
  if (/^(0|[1-9][0-9]*)$/.test(digits)) return BigInt(digits);
  const character = /^'((?:[^'\\]|\\.+))'$/su.exec(input);
  if (character) {
    const code = escapedCode(character[1]);
    return code === undefined ? undefined : BigInt(code);
  }
  // What a value looks like when it is shown can be typed back: 97 'a', 0xc0100000 <main>.
  const shown = /^(-?\w+)\s+('.*'|<.*>|".*")$/s.exec(input);
  if (shown) return parseNumber(shown[1], resolve);
  return resolve?.(input);
}

const ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  e: 27,
  "\\": 92,
  "'": 39,
  '"': 34,
};

function escapedCode(c: string): number | undefined {
  if (!c.startsWith("\\")) return [...c].length === 1 ? c.codePointAt(0) : undefined;
  const body = c.slice(1);
  if (/^x[0-9a-fA-F]{1,2}$/.test(body)) return Number.parseInt(body.slice(1), 16);
  if (/^[0-7]{1,3}$/.test(body)) return Number.parseInt(body, 8) & 0xff;
  return ESCAPES[body];
}

function utf8(code: number): number[] {
  if (code < 0x80) return [code];
  if (code < 0x800) return [0xc0 | (code >> 6), 0x80 | (code & 0x3f)];
  if (code < 0x1_0000) return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)];
  return [0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)];
}
