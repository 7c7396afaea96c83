/*
 * The words of an expression: numbers (decimal, 0x, 0b, octal, character constants), names, `$register` and
 * `%register`, operators, and the `file.c` of `file.c::name`, which is one word although it holds a dot.
 *
 * ISO C, 6.4; gdb's manual, "Program Variables", for the rest.
 */
import { syntaxError } from "../errors";

export interface Token {
  readonly kind: "number" | "float" | "string" | "name" | "register" | "file" | "operator" | "end";
  readonly text: string;
  readonly at: number;
  readonly value?: bigint;
  readonly suffix?: string;
  readonly isDecimal?: boolean;
}

const PATTERN =
  /\s+|(?<file>'[^']+\.[A-Za-z]\w*'(?=\s*::)|[\w./\\-]+\.[A-Za-z]\w*(?=::))|(?<float>(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?[fFlL]?|\d+[eE][-+]?\d+[fFlL]?)|(?<number>0[xX][\da-fA-F]+|0[bB][01]+|\d[\d]*)(?<suffix>[uUlL]*)(?![\w])|(?<character>'(?:\\.[0-7]{0,2}|[^'\\])')|(?<string>"(?:\\.|[^"\\])*")|(?<register>[$%][A-Za-z_]\w*(?:\(\d\))?)|(?<name>[A-Za-z_]\w*(?:\$\w+)*)|(?<operator><<=|>>=|->|::|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^!~<>=?:.()[\],@])/y;

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "0": "\0",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  e: "\x1b",
};

/** Splits a text; the last token is "end". @throws UserError at the first character that begins no token. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  let at = 0;
  while (at < text.length) {
    PATTERN.lastIndex = at;
    const match = PATTERN.exec(text);
    if (match === null) {
      if (/\d/.test(text[at])) throw syntaxError(`"${/^\w+/.exec(text.slice(at))![0]}" is no number`, at);
      throw syntaxError(`"${text[at]}" does not belong in an expression`, at);
    }
    const groups = match.groups!;
    const token = tokenOf(groups, at, tokens);
    if (token !== undefined) tokens.push(token);
    at = PATTERN.lastIndex;
  }
  tokens.push({ kind: "end", text: "", at: text.length });
  return tokens;
}

function tokenOf(groups: Record<string, string | undefined>, at: number, before: readonly Token[]): Token | undefined {
  const { number, float, character, string, register, name, operator, file } = groups;
  if (file !== undefined) return { kind: "file", text: file.replace(/^'|'$/g, ""), at };
  if (float !== undefined) return { kind: "float", text: float, at };
  if (number !== undefined) {
    const isOctal = /^0[0-7]+$/.test(number);
    if (/^0\d/.test(number) && !isOctal) throw syntaxError(`"${number}" is no octal number`, at);
    const value = BigInt(isOctal ? `0o${number.slice(1)}` : number);
    return {
      kind: "number",
      text: number,
      at,
      value,
      suffix: groups.suffix?.toLowerCase() ?? "",
      isDecimal: /^[1-9]|^0$/.test(number),
    };
  }
  if (character !== undefined) {
    const code = unescaped(character.slice(1, -1)).charCodeAt(0);
    return { kind: "number", text: character, at, value: BigInt(code), suffix: "", isDecimal: true };
  }
  if (string !== undefined) return { kind: "string", text: unescaped(string.slice(1, -1)), at };
  if (register !== undefined) {
    // "a %eax" would be a remainder; a register only where an operand may begin.
    const last = before.at(-1);
    const endsOperand = last !== undefined && (last.kind !== "operator" || last.text === ")" || last.text === "]");
    if (register.startsWith("%") && endsOperand) {
      PATTERN.lastIndex = at + 1;
      return { kind: "operator", text: "%", at };
    }
    return { kind: "register", text: register.slice(1), at };
  }
  if (name !== undefined) return { kind: "name", text: name, at };
  if (operator !== undefined) return { kind: "operator", text: operator, at };
  return undefined;
}

function unescaped(text: string): string {
  return text.replace(/\\(x[\da-fA-F]+|[0-7]{1,3}|.)/g, (_, code: string) => {
    if (/^x[\da-f]/i.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
    return ESCAPES[code] ?? code;
  });
}
