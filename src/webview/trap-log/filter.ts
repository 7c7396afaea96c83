/*
 * The trap log's filter language: words, and `key:value` terms, separated by spaces.
 *
 *   page fault            both words occur (name, symbol, file, detail)
 *   vector:14             also vector:0x0E, vector:#PF, vector:32..47, vector:13,14
 *   hypercall:set_pte     part of the name, a number, or * for all
 *   world:user  outcome:reflected  kind:fault  symbol:schedule  event:SET_PTE
 *   address:C0100000..C01FFFFF     EIP or CR2, hexadecimal
 *   48_000_000..49_000_000         instructions; open ends are allowed
 *   n:100..200            sequence numbers
 *   -vector:14            not
 *
 * Terms with the same key are alternatives, different keys must all hold. A mistake is explained where it stands.
 */

import type { TrapFilterTerm, TrapKind, TrapOutcome, World } from "../../dap";

/** A sentence about what is wrong, and where: character offsets in the filter's text. */
export interface FilterMistake {
  message: string;
  start: number;
  end: number;
}

export interface ParsedFilter {
  terms: TrapFilterTerm[];
  mistake?: FilterMistake;
}

export const WORLD_NAMES: readonly World[] = ["user", "guest", "switcher", "host"];

export const OUTCOME_NAMES: readonly TrapOutcome[] = [
  "demand-paged",
  "reflected",
  "direct",
  "emulated",
  "rewritten",
  "hypercall",
  "interrupt",
  "ignored",
  "killed",
];

/** Words for the kinds of entries. */
export const KIND_NAMES: Readonly<Record<string, TrapKind>> = {
  hypercall: "hypercall",
  async: "asyncHypercall",
  fault: "pageFault",
  exception: "exception",
  syscall: "syscall",
  interrupt: "interrupt",
  host: "hostInterrupt",
  kill: "kill",
};

/** Mnemonics of exceptions, by vector. Intel SDM Vol. 3, table 6-1. */
const MNEMONICS = [
  "DE",
  "DB",
  "NMI",
  "BP",
  "OF",
  "BR",
  "UD",
  "NM",
  "DF",
  "",
  "TS",
  "NP",
  "SS",
  "GP",
  "PF",
  "",
  "MF",
  "AC",
  "MC",
  "XM",
];

/** Keys, other spellings of them, and what their values are, for messages and completion. */
export const KEYS: Readonly<Record<string, string>> = {
  vector: "a number, a range or a mnemonic: 14, 0x0E, 32..47, #PF",
  hypercall: "a part of the name, a number, or *",
  event: "the whole name: #PF, SET_PTE",
  world: WORLD_NAMES.join(", "),
  outcome: OUTCOME_NAMES.join(", "),
  kind: Object.keys(KIND_NAMES).join(", "),
  symbol: "a part of a function's name",
  address: "hexadecimal, one or a range: C0100123, C0100000..C01FFFFF",
  instruction: "an instruction count or a range: 48_000_000..49_000_000",
  n: "a sequence number or a range: 100..200",
};

const OTHER_SPELLINGS: Readonly<Record<string, string>> = {
  v: "vector",
  call: "hypercall",
  hcall: "hypercall",
  name: "event",
  function: "symbol",
  addr: "address",
  eip: "address",
  cr2: "address",
  icount: "instruction",
  instructions: "instruction",
  sequence: "n",
};

/** Thrown inside, caught by `parseFilter`. */
class Mistake extends Error {}

/** Parses a filter. With a mistake, `terms` holds the terms that were understood. */
export function parseFilter(text: string): ParsedFilter {
  const terms: TrapFilterTerm[] = [];
  for (const { word, start, end } of wordsOf(text)) {
    try {
      terms.push(...parseTerm(word));
    } catch (error) {
      if (error instanceof Mistake) {
        return { terms, mistake: { message: error.message, start, end } };
      }
      throw error;
    }
  }
  return { terms };
}

/** Words, with quoted parts kept together. */
function* wordsOf(text: string): Generator<{ word: string; start: number; end: number }> {
  for (const match of text.matchAll(/(?:"[^"]*"?|[^\s"])+/g)) {
    yield { word: match[0], start: match.index, end: match.index + match[0].length };
  }
}

function parseTerm(word: string): TrapFilterTerm[] {
  const not = /^[-!]./.test(word);
  const body = not ? word.slice(1) : word;
  const sign = not ? { not } : {};
  const [, name, value] = /^([a-z]+):(.*)$/is.exec(body) ?? [];
  if (name === undefined || value === undefined) {
    return [{ ...sign, ...parseBare(body) }];
  }
  const key = OTHER_SPELLINGS[name.toLowerCase()] ?? name.toLowerCase();
  if (KEYS[key] === undefined) {
    throw new Mistake(`There is no "${name}:". Keys are ${Object.keys(KEYS).join(", ")}.`);
  }
  if (value === "") {
    throw new Mistake(`After "${name}:" comes ${KEYS[key]}.`);
  }
  return splitList(value).map((part) => ({ ...sign, ...parseValue(key, part) }));
}

/** `13,14`, but not the commas of a quoted part. */
function splitList(value: string): string[] {
  return value.startsWith('"') ? [unquote(value)] : value.split(",").filter((part) => part !== "");
}

function unquote(text: string): string {
  return text.replaceAll('"', "");
}

function parseBare(word: string): TrapFilterTerm {
  if (/^[\d_]*\.\.[\d_]*$/.test(word) && word !== "..") {
    return { key: "instruction", ...parseRange(word, "instruction", 10) };
  }
  return { key: "text", text: unquote(word) };
}

function parseValue(key: string, value: string): TrapFilterTerm {
  switch (key) {
    case "vector":
      return { key, ...parseVector(value) };
    case "hypercall":
      return /^(0x[0-9a-f]+|\d+)$/i.test(value) ? { key, number: Number(value) } : { key, name: unquote(value) };
    case "event":
      return { key, name: unquote(value) };
    case "symbol":
      return { key, symbol: unquote(value) };
    case "world":
      return { key, world: oneOf(key, value, WORLD_NAMES) };
    case "outcome":
      return { key, outcome: oneOf(key, value, OUTCOME_NAMES) };
    case "kind":
      return { key, kind: KIND_NAMES[oneOf(key, value, Object.keys(KIND_NAMES))]! };
    case "address":
      return { key, ...parseRange(value.replace(/0x/gi, ""), key, 16) };
    case "n":
      return { key: "sequence", ...parseRange(value, key, 10) };
    default:
      return { key: "instruction", ...parseRange(value, key, 10) };
  }
}

function parseVector(value: string): { from: number; to: number } {
  const mnemonic = MNEMONICS.indexOf(value.replace(/^#/, "").toUpperCase());
  if (mnemonic >= 0 && /[a-z]/i.test(value) && !/^0x/i.test(value)) {
    return { from: mnemonic, to: mnemonic };
  }
  const range = parseRange(value, "vector", 10);
  if (range.from > 255 || (range.to > 255 && range.to < Number.MAX_SAFE_INTEGER)) {
    throw new Mistake(`"${value}" is no vector: they go from 0 to 255.`);
  }
  return { from: range.from, to: Math.min(range.to, 255) };
}

/** A value that one of `names` begins with. */
function oneOf<Name extends string>(key: string, value: string, names: readonly Name[]): Name {
  const wanted = value.toLowerCase();
  const exact = names.find((name) => name === wanted);
  const beginning = names.filter((name) => name.startsWith(wanted));
  if (exact === undefined && beginning.length !== 1) {
    throw new Mistake(`"${value}" is no ${key}. It is one of ${names.join(", ")}.`);
  }
  return exact ?? beginning[0]!;
}

/** `a`, `a..b`, `a..`, `..b`, both ends included. An open end is as far as numbers go. */
function parseRange(value: string, key: string, base: 10 | 16): { from: number; to: number } {
  const [first = "", last, ...more] = value.split("..");
  const isEmpty = first === "" && (last === undefined || last === "");
  if (more.length > 0 || isEmpty) {
    throw new Mistake(`"${value}" is no range. Write ${KEYS[key]}.`);
  }
  const from = first === "" ? 0 : parseNumber(first, key, base);
  const to = last === undefined ? from : last === "" ? Number.MAX_SAFE_INTEGER : parseNumber(last, key, base);
  if (from > to) {
    throw new Mistake(`The range "${value}" is empty: its first number is the larger one.`);
  }
  return { from, to };
}

function parseNumber(text: string, key: string, base: 10 | 16): number {
  const digits = text.replaceAll("_", "");
  const isGood = base === 16 ? /^[0-9a-f]{1,8}$/i.test(digits) : /^(0x[0-9a-f]+|\d+)$/i.test(digits);
  if (!isGood) {
    throw new Mistake(`"${text}" is no number for "${key}:". Write ${KEYS[key]}.`);
  }
  return base === 16 ? Number.parseInt(digits, 16) : Number(digits);
}

/** The filter's text without its terms of one key (and, when given, one value). */
export function withoutTerms(text: string, key: string, value?: string): string {
  return [...wordsOf(text)]
    .map(({ word }) => word)
    .filter((word) => {
      const body = word.replace(/^[-!]/, "");
      const isBareRange = key === "instruction" && /^[\d_]*\.\.[\d_]*$/.test(body);
      const [, name, rest] = /^([a-z]+):(.*)$/is.exec(body) ?? [];
      const known = name && (OTHER_SPELLINGS[name.toLowerCase()] ?? name.toLowerCase());
      const isSame = value === undefined || unquote(rest ?? "").toLowerCase() === value.toLowerCase();
      return !(isBareRange || (known === key && isSame));
    })
    .join(" ");
}

/** The filter's text with one more term. */
export function withTerm(text: string, term: string): string {
  return text.trim() === "" ? term : `${text.trim()} ${term}`;
}

/** `key:value`, quoted where the language needs it. */
export function termText(key: string, value: string, not = false): string {
  return `${not ? "-" : ""}${key}:${/[\s",]/.test(value) ? `"${value}"` : value}`;
}
