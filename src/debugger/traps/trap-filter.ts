/*
 * Which entries of the trap log somebody wants to see. Terms with the same key are alternatives, different keys must
 * all hold, terms with `not` must not; text terms are no alternatives. Texts compare without case.
 *
 * A filter is compiled into one predicate over the log's columns. Texts are matched once per distinct string or address
 * and remembered, so a million entries cost a million table look-ups, not a million searches.
 */
import { UserError } from "../errors";
import {
  HYPERCALLS,
  hypercallNumber,
  KINDS,
  OUTCOMES,
  type TrapKind,
  type TrapOutcome,
  vectorNumber,
  type World,
} from "./trap-kinds";
import type { TrapLog } from "./trap-log";

export type TrapFilterTerm = { not?: boolean } & (
  | { key: "text"; text: string }
  | { key: "vector"; from: number; to: number }
  | { key: "hypercall"; name?: string; number?: number }
  | { key: "event"; name: string }
  | { key: "world"; world: World }
  | { key: "outcome"; outcome: TrapOutcome }
  | { key: "kind"; kind: TrapKind }
  | { key: "symbol"; symbol: string }
  | { key: "address"; from: number; to: number }
  | { key: "instruction"; from: number; to: number }
  | { key: "sequence"; from: number; to: number }
);

/** What a code address is called, for text and symbol terms. */
export interface PlaceNames {
  symbol(address: number): string;
  /** Source path, or "". */
  path(address: number): string;
}

export type TrapPredicate = (n: number) => boolean;

/** Compiles terms. An empty list accepts everything. */
export function compileFilter(terms: readonly TrapFilterTerm[], log: TrapLog, places: PlaceNames): TrapPredicate {
  const alternatives = new Map<string, TrapPredicate[]>();
  const all: TrapPredicate[] = [];
  for (const term of terms) {
    const test = compileTerm(term, log, places);
    if (term.not) all.push((n) => !test(n));
    else if (term.key === "text") all.push(test);
    else alternatives.set(term.key, [...(alternatives.get(term.key) ?? []), test]);
  }
  for (const tests of alternatives.values()) {
    all.push(tests.length === 1 ? tests[0] : (n) => tests.some((test) => test(n)));
  }
  if (all.length === 1) return all[0];
  return (n) => {
    for (const test of all) if (!test(n)) return false;
    return true;
  };
}

function compileTerm(term: TrapFilterTerm, log: TrapLog, places: PlaceNames): TrapPredicate {
  switch (term.key) {
    case "vector":
      return (n) => within(log.vectorAt(n), term);
    case "hypercall": {
      const { number, name } = term;
      if (number !== undefined) return (n) => log.hypercallAt(n) === number;
      if (name === undefined || name === "*") return (n) => log.hypercallAt(n) !== undefined;
      const matches = remembered((id) => contains(log.string(id), name.replace(/^LHCALL_/i, "")));
      return (n) => log.hypercallAt(n) !== undefined && matches(log.callIdAt(n));
    }
    case "event": {
      const matches = remembered((id) => log.string(id).toLowerCase() === term.name.toLowerCase());
      return (n) => matches(log.hypercallAt(n) === undefined ? log.nameIdAt(n) : log.callIdAt(n));
    }
    case "world":
      return (n) => (log.isUserAt(n) ? "user" : "guest") === term.world;
    case "outcome": {
      const wanted = OUTCOMES.indexOf(term.outcome);
      return (n) => log.outcomeAt(n) === wanted;
    }
    case "kind": {
      const wanted = KINDS.indexOf(term.kind);
      return (n) => log.kindAt(n) === wanted;
    }
    case "symbol": {
      const matches = remembered((address) => contains(places.symbol(address), term.symbol));
      return (n) => matches(log.eipAt(n));
    }
    case "address":
      return (n) => within(log.eipAt(n), term) || within(log.cr2At(n) ?? -1, term);
    case "instruction":
      return (n) => within(log.instructionAt(n), term);
    case "sequence":
      return (n) => within(n, term);
    case "text": {
      const inString = remembered((id) => contains(log.string(id), term.text));
      const inPlace = remembered(
        (address) => contains(places.symbol(address), term.text) || contains(places.path(address), term.text),
      );
      return (n) =>
        inString(log.nameIdAt(n)) || inString(log.callIdAt(n)) || inString(log.detailIdAt(n)) || inPlace(log.eipAt(n));
    }
  }
}

function within(value: number, range: { from: number; to: number }): boolean {
  return value >= range.from && value <= range.to;
}

function contains(text: string, part: string): boolean {
  return text.toLowerCase().includes(part.toLowerCase());
}

function remembered(test: (key: number) => boolean): (key: number) => boolean {
  const known = new Map<number, boolean>();
  return (key) => {
    let answer = known.get(key);
    if (answer === undefined) {
      answer = test(key);
      known.set(key, answer);
    }
    return answer;
  };
}

/**
 * Reads a filter as it is written: `vector:14 outcome:reflected -symbol:idle SET_PTE 1000..2000`. Words without a key
 * are text. @throws UserError that names the term and what would be right.
 */
export function parseFilter(text: string): TrapFilterTerm[] {
  return [...text.matchAll(/(-|!)?(?:(\w+):)?("[^"]*"|\S+)/g)].map(([, minus, key, quoted]) => {
    const value = quoted.replace(/^"|"$/g, "");
    const term = parseTerm(key?.toLowerCase(), value);
    return minus ? { ...term, not: true } : term;
  });
}

function parseTerm(key: string | undefined, value: string): TrapFilterTerm {
  switch (key) {
    case undefined: {
      const range = parseRange(value);
      if (range !== undefined && value.includes("..")) return { key: "instruction", ...range };
      return { key: "text", text: value };
    }
    case "text":
      return { key: "text", text: value };
    case "vector": {
      const named = vectorNumber(value);
      if (named !== undefined) return { key: "vector", from: named, to: named };
      const range = parseRange(value);
      if (range === undefined) throw bad(key, value, "a number, a range such as 0..31, or a name such as #PF");
      return { key: "vector", ...range };
    }
    case "hypercall": {
      if (value === "*") return { key: "hypercall", name: "*" };
      if (/^(0x)?\d/i.test(value)) return { key: "hypercall", number: Number(value) };
      const known = Object.values(HYPERCALLS).some((call) => contains(call.name, value.replace(/^LHCALL_/i, "")));
      if (!known && hypercallNumber(value) === undefined)
        throw bad(key, value, "a hypercall's name, for example SET_PTE, or *");
      return { key: "hypercall", name: value };
    }
    case "event":
      return { key: "event", name: value };
    case "world":
      if (value !== "user" && value !== "guest") throw bad(key, value, "user or guest");
      return { key: "world", world: value };
    case "outcome":
      if (!(OUTCOMES as readonly string[]).includes(value)) throw bad(key, value, OUTCOMES.join(", "));
      return { key: "outcome", outcome: value as TrapOutcome };
    case "kind":
      if (!(KINDS as readonly string[]).includes(value)) throw bad(key, value, KINDS.join(", "));
      return { key: "kind", kind: value as TrapKind };
    case "symbol":
      return { key: "symbol", symbol: value };
    case "address":
    case "instruction":
    case "sequence": {
      const range = parseRange(value);
      if (range === undefined) throw bad(key, value, "a number or a range from..to");
      return { key, ...range };
    }
    default:
      throw new UserError(
        `There is no filter "${key}:". There are text, vector, hypercall, event, world, outcome, kind, symbol, address, instruction, sequence.`,
      );
  }
}

function bad(key: string, value: string, expected: string): UserError {
  return new UserError(`${key}:${value} cannot be used: expected ${expected}.`);
}

function parseRange(text: string): { from: number; to: number } | undefined {
  const match = /^(0x[\da-f]+|\d+)?(\.\.)?(0x[\da-f]+|\d+)?$/i.exec(text);
  if (match === null || (match[1] === undefined && match[3] === undefined)) return undefined;
  const from = match[1] === undefined ? 0 : Number(match[1]);
  const to = match[3] !== undefined ? Number(match[3]) : match[2] ? Number.MAX_SAFE_INTEGER : from;
  return { from, to };
}
