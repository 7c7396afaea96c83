/*
 * How a value is written. The value tree writes most things itself; here are the forms a person can ask for behind a
 * comma (`flags,x`), and registers, which are hexadecimal with their symbol or their decimal value beside it.
 *
 * `,x` hexadecimal, `,d` decimal, `,o` octal, `,b` binary, `,c` character, `,s` text: as in gdb and Visual Studio.
 */
import { hex } from "../../base";
import { ArrayType, Storage, sizeOf, stripped, ValueNode } from "../../dwarf";
import { UserError } from "../errors";
import { CHAR, integerOf, type Value } from "./values";

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
const MAX_TEXT = 200;

/** Splits `expression,x` into its two parts. */
export function splitForm(text: string): { text: string; form: Form } {
  const match = /,\s*([xhXdobtcs])\s*$/.exec(text);
  return match === null ? { text, form: "natural" } : { text: text.slice(0, match.index), form: FORMS[match[1]] };
}

/** One line of text. Never throws for what the guest's memory holds. */
export function formatValue(value: Value, form: Form = "natural"): string {
  const { node } = value;
  if (form === "natural") {
    if (value.cell !== undefined && value.isHex && stripped(node.type).kind !== "pointer" && node.number.ok)
      return hexText(value.cell.get(), (sizeOf(node.type) ?? 4) * 8);
    return upperHex(node.text);
  }
  const { kind } = stripped(node.type);
  if (form === "hex" || (kind === "struct" && form === "decimal"))
    return upperHex(node.withOptions({ isHex: form === "hex" }).text);
  if (form === "text" && node.address !== undefined && kind !== "pointer") return asText(node, node.address);
  try {
    if (form === "text") return asText(node, Number(BigInt.asUintN(32, integerOf(value))));
    return numberText(integerOf(value), (sizeOf(node.type) ?? 4) * 8, form);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return node.text;
  }
}

function asText(node: ValueNode, address: number): string {
  const type = new ArrayType(() => CHAR, MAX_TEXT, 0, undefined, false);
  return new ValueNode("", type, node.storage.memory(address)).text;
}

function numberText(number: bigint, bits: number, form: Form): string {
  const unsigned = BigInt.asUintN(bits, number);
  switch (form) {
    case "octal":
      return `0${unsigned.toString(8)}`;
    case "binary":
      return `0b${unsigned.toString(2)}`;
    case "character":
      return new ValueNode("", CHAR, constantStorage(unsigned)).text.replace(/^\S+ /, "");
    default:
      return number.toString();
  }
}

function constantStorage(value: bigint): ConstructorParameters<typeof ValueNode>[2] {
  return new Storage(
    { kind: "value", bytes: Uint8Array.of(Number(value & 0xffn)) },
    { register: () => undefined, readMemory: () => undefined },
  );
}

/** `0x` and all digits of the width. */
export function hexText(number: bigint, bits: number): string {
  const digits = BigInt.asUintN(bits, number).toString(16).toUpperCase();
  return `0x${digits.padStart(Math.ceil(bits / 4), "0")}`;
}

/** Text of an address in values: eight digits with a prefix, so that it can be pasted into an expression. */
export function addressText(address: number): string {
  return `0x${hex(address)}`;
}

/** Digits of hexadecimal numbers in capitals, as everywhere else; what is in quotes stays. */
function upperHex(text: string): string {
  return text.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|0x[\da-f]+/g, (part) =>
    part.startsWith("0x") ? `0x${part.slice(2).toUpperCase()}` : part,
  );
}
