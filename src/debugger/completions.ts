/*
 * What could come next while a person types in the Debug Console: commands, variables of the frame, members behind `.`
 * and `->`, registers behind `$` and `%`, types behind `(` and symbols by their beginning.
 */
import { stripped } from "../dwarf";
import type { Debugger } from "./debugger";
import { UserError } from "./errors";
import { evaluate, parseExpression } from "./expressions";
import type { FrameScope } from "./frame-scope";
import { commandNames } from "./repl";

export interface Completion {
  readonly label: string;
  readonly kind: "keyword" | "variable" | "function" | "field" | "value";
  /** Where the completed word begins, and how long it is so far. */
  readonly start: number;
  readonly length: number;
}

const MOST = 200;

/** Completions at a place in a text. */
export function completionsAt(dbg: Debugger, text: string, at: number, scope: FrameScope): Completion[] {
  const before = text.slice(0, at);
  const word = /[\w]*$/.exec(before)![0];
  const start = at - word.length;
  const rest = before.slice(0, start);
  const made = (label: string, kind: Completion["kind"]): Completion => ({ label, kind, start, length: word.length });
  const isFit = (label: string): boolean => label.toLowerCase().startsWith(word.toLowerCase());
  const access = /(?:->|\.)\s*$/.exec(rest);
  if (access !== null)
    return members(rest.slice(0, access.index), scope)
      .filter(isFit)
      .map((label) => made(label, "field"));
  const registers = dbg.session.registers
    .all()
    .map(({ name }) => name)
    .filter(isFit);
  if (/[$%]$/.test(rest)) return registers.map((label) => made(label, "value"));
  const found: Completion[] = [];
  if (rest.trim() === "")
    found.push(
      ...commandNames()
        .filter(isFit)
        .map((label) => made(label, "keyword")),
    );
  const locals = new Set(
    scope
      .variables()
      .map(({ name }) => name)
      .filter(isFit),
  );
  found.push(...[...locals].map((label) => made(label, "variable")));
  found.push(
    ...scope
      .globals()
      .map(({ name }) => name)
      .filter((name) => isFit(name) && !locals.has(name))
      .map((label) => made(label, "variable")),
  );
  if (word !== "") {
    found.push(...registers.map((label) => made(label, "value")));
    const symbols = dbg.session.symbols.namesStartingWith(word, MOST);
    found.push(...symbols.map(({ name, isFunction }) => made(name, isFunction ? "function" : "variable")));
  }
  const seen = new Set<string>();
  return found.filter(({ label }) => !seen.has(label) && seen.add(label)).slice(0, MOST);
}

/** Members of what stands before `.` or `->`. */
function members(text: string, scope: FrameScope): string[] {
  const expression = /[\w$.\->[\]()*]+$/.exec(text.trimEnd())?.[0] ?? "";
  try {
    const { node } = evaluate(parseExpression(expression, scope.isTypeName), scope);
    let type = stripped(node.type);
    if (type.kind === "pointer") type = stripped(type.target);
    return type.kind === "struct" ? type.members.flatMap(({ name }) => (name === undefined ? [] : [name])) : [];
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}
