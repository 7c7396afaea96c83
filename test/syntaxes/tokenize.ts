// A small TextMate engine, enough for our grammars: `match` with captures, `begin`/`end` with patterns inside,
// `include` of the repository. It runs on JavaScript's regular expressions, so it also proves that the grammars use
// nothing exotic.
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Captures {
  [group: string]: { name: string };
}

interface Rule {
  name?: string;
  match?: string;
  begin?: string;
  end?: string;
  captures?: Captures;
  beginCaptures?: Captures;
  endCaptures?: Captures;
  include?: string;
  patterns?: Rule[];
}

export interface Grammar extends Rule {
  scopeName: string;
  repository?: Record<string, Rule>;
}

export interface Token {
  text: string;
  scope: string;
}

/** Reads one of our grammars by its file's name. */
export function readGrammar(name: string): Grammar {
  return JSON.parse(readFileSync(join("syntaxes", `${name}.tmLanguage.json`), "utf8")) as Grammar;
}

/** All regular expressions of a grammar. */
export function expressionsOf(rule: Rule & { repository?: Record<string, Rule> }): string[] {
  const own = [rule.match, rule.begin, rule.end].filter((text) => text !== undefined);
  const inner = [...(rule.patterns ?? []), ...Object.values(rule.repository ?? {})];
  return [...own, ...inner.flatMap(expressionsOf)];
}

/** A TextMate expression as JavaScript has it: `(?i)` at the front becomes a flag. */
export function compile(expression: string): RegExp {
  const [, insensitive, body] = /^(\(\?i\))?([\s\S]*)$/.exec(expression)!;
  return new RegExp(body!, `dg${insensitive ? "i" : ""}`);
}

/** Tokens of a text that have a scope; what has none is left out. Blank text is left out too. */
export function tokenize(grammar: Grammar, text: string): Token[] {
  const tokens: Token[] = [];
  const open: Rule[] = [];
  for (const line of text.split("\n")) {
    let position = 0;
    while (position <= line.length) {
      const inside = open.at(-1);
      const rules = flatten(grammar, inside?.patterns ?? (inside === undefined ? (grammar.patterns ?? []) : []));
      const found = rules
        .map((rule) => ({ rule, match: find(rule.match ?? rule.begin ?? "(?!)", line, position) }))
        .concat(
          inside?.end === undefined ? [] : [{ rule: { match: inside.end }, match: find(inside.end, line, position) }],
        )
        .filter(({ match }) => match !== null)
        .reduce<{ rule: Rule; match: RegExpExecArray } | undefined>(
          (best, { rule, match }) =>
            best === undefined || match!.index < best.match.index ? { rule, match: match! } : best,
          undefined,
        );
      const end = found?.match.index ?? line.length;
      push(tokens, line.slice(position, end), inside?.name);
      if (found === undefined) {
        break;
      }
      const { rule, match } = found;
      const isEnd = inside?.end !== undefined && rule.match === inside.end && rule.name === undefined;
      const captures = isEnd ? inside.endCaptures : (rule.captures ?? rule.beginCaptures);
      pushMatch(tokens, match, isEnd ? inside.name : rule.name, captures);
      if (isEnd) {
        open.pop();
      } else if (rule.begin !== undefined) {
        open.push(rule);
      }
      position = match.index + Math.max(match[0].length, match[0] === "" && !isEnd ? 1 : 0);
      if (match[0] === "" && position >= line.length) {
        break;
      }
    }
  }
  return tokens;
}

function find(expression: string, line: string, position: number): RegExpExecArray | null {
  const compiled = compile(expression);
  compiled.lastIndex = position;
  return compiled.exec(line);
}

function flatten(grammar: Grammar, rules: Rule[]): Rule[] {
  return rules.flatMap((rule) => {
    if (rule.include !== undefined) {
      const named = grammar.repository?.[rule.include.slice(1)];
      if (named === undefined) {
        throw new Error(`${grammar.scopeName} has no ${rule.include}`);
      }
      return flatten(grammar, [named]);
    }
    return rule.match === undefined && rule.begin === undefined ? flatten(grammar, rule.patterns ?? []) : [rule];
  });
}

function pushMatch(
  tokens: Token[],
  match: RegExpExecArray,
  name: string | undefined,
  captures: Captures | undefined,
): void {
  let position = match.index;
  for (const [group, { name: scope }] of Object.entries(captures ?? {})) {
    const range = match.indices?.[Number(group)];
    if (range !== undefined) {
      push(tokens, match.input.slice(position, range[0]), name);
      push(tokens, match.input.slice(range[0], range[1]), scope);
      position = range[1];
    }
  }
  push(tokens, match.input.slice(position, match.index + match[0].length), name);
}

function push(tokens: Token[], text: string, scope: string | undefined): void {
  if (text.trim() !== "" && scope !== undefined) {
    tokens.push({ text: text.trim(), scope });
  }
}
