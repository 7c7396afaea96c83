/*
 * Values as a person reads them: 42, 65 'A', C0100123 <kernel_main+0x13>, "text", {first = 1, second = 2, ...}. One line
 * always; what is longer than a line is for the tree below it (children.ts).
 *
 * A trailing `,x` `,d` `,o` `,b` `,c` `,s` in a watch chooses the form, as in gdb and Visual Studio.
 */
import { hex } from "../../base";
import { type EnumType, sizeOf, stripped, type Type, typeName, unqualified } from "../../dwarf";
import { UserError } from "../errors";
import * as v from "./values";
import type { Value, ValueMemory } from "./values";

export type Form = "natural" | "hex" | "decimal" | "octal" | "binary" | "character" | "text";

const FORMS: Readonly<Record<string, Form>> = {
  x: "hex",
  h: "hex",
  X: "hex",
  d: "decimal",
  o: "octal",
  b: "binary",
  t: "binary",
  c: "character",
  s: "text",
};

/** Splits `expression,x` into its two parts. */
export function splitForm(text: string): { text: string; form: Form } {
  const match = /,\s*([xhXdobtcs])\s*$/.exec(text);
  return match === null ? { text, form: "natural" } : { text: text.slice(0, match.index), form: FORMS[match[1]] };
}

export interface FormatContext {
  readonly memory: ValueMemory;
  /** `kernel_main+0x13`, or undefined. */
  symbolAt(address: number): string | undefined;
}

const MAX_TEXT = 200;
const MAX_PARTS = 8;
const MAX_DEPTH = 3;

/** One line of text. Never throws for what the guest's memory holds; says `<cannot be read>` instead. */
export function formatValue(value: Value, context: FormatContext, form: Form = "natural"): string {
  return format(value, context, form, 0);
}

function format(value: Value, context: FormatContext, form: Form, depth: number): string {
  if (value.place.kind === "absent") return value.place.reason === "" ? "<optimized out>" : `<${value.place.reason}>`;
  try {
    return formatReadable(value, context, form, depth);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return value.place.kind === "memory" ? `<cannot read ${hex(value.place.address)}>` : `<${error.message}>`;
  }
}

function formatReadable(value: Value, context: FormatContext, form: Form, depth: number): string {
  const type = stripped(value.type);
  switch (type.kind) {
    case "base":
      if (type.encoding === "float") return formatFloat(v.floatOf(value, context.memory));
      if (type.encoding === "boolean" && form === "natural") return v.integerOf(value, context.memory) ? "true" : "false";
      return formatInteger(value, context, form, type.encoding === "char" || type.byteSize === 1);
    case "enum":
      return formatEnum(value, type, context, form);
    case "pointer":
      return formatPointer(value, type.target, context, form);
    case "function":
      return withSymbol(v.addressOf(value), context);
    case "array":
      return formatArray(value, type.element, type.count, context, form, depth);
    case "struct": {
      if (depth >= MAX_DEPTH) return "{...}";
      const parts: string[] = [];
      for (const member of type.members) {
        if (parts.length >= MAX_PARTS) {
          parts.push("...");
          break;
        }
        const text = format(v.memberOf(value, member, context.memory), context, form, depth + 1);
        parts.push(member.name === undefined ? text : `${member.name} = ${text}`);
      }
      return `{${parts.join(", ")}}`;
    }
    case "void":
      return value.place.kind === "memory" ? withSymbol(value.place.address, context) : "void";
    case "unknown":
      return `<${type.reason}>`;
  }
}

function formatInteger(value: Value, context: FormatContext, form: Form, isCharacter: boolean): string {
  const number = v.integerOf(value, context.memory);
  const bits = value.bits?.size ?? (sizeOf(value.type) ?? 4) * 8;
  if (form === "natural" && value.isHex) return hexText(number, bits);
  const text = numberText(number, bits, form);
  if (form !== "natural" || !isCharacter || value.bits !== undefined) return text;
  return `${text} ${characterText(Number(BigInt.asUintN(8, number)))}`;
}

function numberText(number: bigint, bits: number, form: Form): string {
  const unsigned = BigInt.asUintN(bits, number);
  switch (form) {
    case "hex":
      return hexText(number, bits);
    case "octal":
      return `0${unsigned.toString(8)}`;
    case "binary":
      return `0b${unsigned.toString(2)}`;
    case "character":
      return characterText(Number(unsigned & 0xffn));
    default:
      return number.toString();
  }
}

/** `0x` and all digits of the width. */
export function hexText(number: bigint, bits: number): string {
  return `0x${BigInt.asUintN(bits, number)
    .toString(16)
    .toUpperCase()
    .padStart(Math.ceil(bits / 4), "0")}`;
}

function characterText(code: number): string {
  return `'${escape(String.fromCharCode(code), "'")}'`;
}

export function escape(text: string, quote: string): string {
  return text.replace(/[\s\S]/g, (c) => {
    const code = c.charCodeAt(0);
    if (c === quote || c === "\\") return `\\${c}`;
    const known = { 0: "\\0", 9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e" }[code];
    if (known !== undefined) return known;
    return code < 32 || code > 126 ? `\\x${code.toString(16).padStart(2, "0")}` : c;
  });
}

function formatFloat(number: number): string {
  if (Number.isInteger(number) && Math.abs(number) < 1e15) return number.toFixed(1);
  return String(number);
}

function formatEnum(value: Value, type: EnumType, context: FormatContext, form: Form): string {
  const number = v.integerOf(value, context.memory);
  if (form !== "natural") return numberText(number, type.byteSize * 8, form);
  const exact = type.enumerators.find((e) => e.value === number);
  if (exact !== undefined) return `${exact.name} (${number})`;
  if (type.isFlags) {
    const set = type.enumerators.filter((e) => e.value !== 0n && (number & e.value) === e.value);
    const rest = set.reduce((left, e) => left & ~e.value, number);
    const names = [...set.map((e) => e.name), ...(rest !== 0n ? [hexText(rest, type.byteSize * 8)] : [])];
    return `${names.join(" | ")} (${hexText(number, type.byteSize * 8)})`;
  }
  return number.toString();
}

function formatPointer(value: Value, target: Type, context: FormatContext, form: Form): string {
  const address = Number(BigInt.asUintN(32, v.integerOf(value, context.memory)));
  if (form !== "natural" && form !== "hex" && form !== "text") return numberText(BigInt(address), 32, form);
  const pointee = stripped(target);
  if (pointee.kind === "base" && (pointee.encoding === "char" || pointee.byteSize === 1) && form !== "hex" && address !== 0) {
    const text = v.readText(context.memory, "linear", address, MAX_TEXT);
    if (text !== undefined && (form === "text" || isPrintable(text.text))) {
      return `${addressText(address)} "${escape(text.text, '"')}"${text.isCut ? "..." : ""}`;
    }
  }
  return withSymbol(address, context);
}

/** Text of an address in values: eight digits with a prefix, so that it can be pasted into an expression. */
export function addressText(address: number): string {
  return `0x${hex(address)}`;
}

function withSymbol(address: number, context: FormatContext): string {
  const symbol = address === 0 ? undefined : context.symbolAt(address);
  return symbol === undefined ? addressText(address) : `${addressText(address)} <${symbol}>`;
}

function formatArray(value: Value, type: Type, count: number | undefined, context: FormatContext, form: Form, depth: number): string {
  const element = stripped(type);
  const size = sizeOf(type) ?? 1;
  const isText = element.kind === "base" && element.encoding === "char" && unqualified(type).kind !== "struct";
  if (count === undefined) return value.place.kind === "memory" ? `${addressText(value.place.address)} (no length known)` : "{...}";
  if (isText && (form === "natural" || form === "text")) {
    const bytes = v.bytesOf(value, context.memory, Math.min(count, MAX_TEXT));
    const zero = bytes.indexOf(0);
    const text = String.fromCharCode(...(zero < 0 ? bytes : bytes.subarray(0, zero)));
    if (form === "text" || isPrintable(text)) return `"${escape(text, '"')}"${zero < 0 && count > MAX_TEXT ? "..." : ""}`;
  }
  if (depth >= MAX_DEPTH) return "{...}";
  const parts: string[] = [];
  const isHex = value.isHex;
  for (let i = 0; i < count && i < MAX_PARTS; i++) {
    const place =
      value.place.kind === "memory"
        ? { ...value.place, address: value.place.address + i * size }
        : { kind: "none" as const, bytes: v.bytesOf(value, context.memory).subarray(i * size) };
    parts.push(format({ type, place, isHex }, context, form, depth + 1));
  }
  if (count > MAX_PARTS) parts.push("...");
  return `{${parts.join(", ")}}`;
}

function isPrintable(text: string): boolean {
  return /^[\t\n\r\x1b\x20-\x7e]*$/.test(text);
}

/** The type as the Variables view shows it. */
export function typeText(type: Type): string {
  return typeName(type);
}
