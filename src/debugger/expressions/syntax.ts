/*
 * C expressions as trees. The parser is a Pratt parser: each operator has a binding power, and one loop combines what
 * binds tighter. It knows C's operators with C's precedence, gdb's `@` (an array that begins here), `file.c::name`,
 * `$register`, and the cast/parenthesis ambiguity, which it settles by asking whether a name is a type.
 *
 * Trees only: what names mean is the evaluator's business (evaluate.ts). ISO C, 6.5.
 */
import { syntaxError } from "../errors";
import { type Token, tokenize } from "./tokens";

/** A type as written: `const struct page **`, `unsigned char [16]`. */
export interface TypeSyntax {
  readonly name: string;
  readonly tag?: "struct" | "union" | "enum";
  /** From the name outwards: pointers first, then array dimensions. */
  readonly pointers: number;
  readonly dimensions: readonly number[];
}

export type UnaryOperator = "-" | "+" | "!" | "~" | "*" | "&";
export type BinaryOperator =
  | "*"
  | "/"
  | "%"
  | "+"
  | "-"
  | "@"
  | "<<"
  | ">>"
  | "<"
  | ">"
  | "<="
  | ">="
  | "=="
  | "!="
  | "&"
  | "^"
  | "|"
  | "&&"
  | "||";

export type Expression = { readonly at: number } & (
  | { readonly kind: "number"; readonly value: bigint; readonly suffix: string; readonly isDecimal: boolean }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "name"; readonly name: string; readonly file?: string }
  | { readonly kind: "register"; readonly name: string }
  | { readonly kind: "unary"; readonly op: UnaryOperator; readonly operand: Expression }
  | { readonly kind: "binary"; readonly op: BinaryOperator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "conditional"; readonly test: Expression; readonly yes: Expression; readonly no: Expression }
  | {
      readonly kind: "assign";
      readonly op: BinaryOperator | undefined;
      readonly target: Expression;
      readonly value: Expression;
    }
  | { readonly kind: "cast"; readonly type: TypeSyntax; readonly operand: Expression }
  | { readonly kind: "sizeof"; readonly type?: TypeSyntax; readonly operand?: Expression }
  | { readonly kind: "member"; readonly object: Expression; readonly name: string; readonly arrow: boolean }
  | { readonly kind: "index"; readonly array: Expression; readonly index: Expression }
);

/** Binding powers of C's binary operators (gdb's `@` between shifts and sums). */
const POWER: Readonly<Record<string, number>> = {
  "||": 4,
  "&&": 5,
  "|": 6,
  "^": 7,
  "&": 8,
  "==": 9,
  "!=": 9,
  "<": 10,
  ">": 10,
  "<=": 10,
  ">=": 10,
  "<<": 11,
  ">>": 11,
  "@": 12,
  "+": 13,
  "-": 13,
  "*": 14,
  "/": 14,
  "%": 14,
};
const CONDITIONAL = 3;
const ASSIGNMENT = 2;
const UNARY = 15;
const ASSIGN = /^(?:[-+*/%&|^]|<<|>>)?=$/;
const BASE_WORDS = new Set([
  "void",
  "char",
  "short",
  "int",
  "long",
  "float",
  "double",
  "signed",
  "unsigned",
  "_Bool",
  "bool",
]);
const QUALIFIERS = new Set(["const", "volatile", "restrict"]);
/** Deeper nesting than this is a mistake or an attack on the stack. */
const MAX_DEPTH = 200;

/** Parses a whole text. @throws UserError with the position. */
export function parseExpression(text: string, isTypeName: (name: string) => boolean): Expression {
  const parser = new Parser(tokenize(text), isTypeName);
  const expression = parser.expression(0);
  parser.expectEnd();
  return expression;
}

/** Parses a type alone (`struct page *`). @throws UserError. */
export function parseType(text: string, isTypeName: (name: string) => boolean): TypeSyntax {
  const parser = new Parser(tokenize(text), isTypeName);
  const type = parser.type();
  parser.expectEnd();
  return type;
}

/** Whether evaluating it would change something. */
export function changesSomething(e: Expression): boolean {
  if (e.kind === "assign") return true;
  return Object.values(e).some(
    (part) => typeof part === "object" && part !== null && "kind" in part && changesSomething(part as Expression),
  );
}

class Parser {
  private next = 0;
  private depth = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly isTypeName: (name: string) => boolean,
  ) {}

  expectEnd(): void {
    const token = this.peek();
    if (token.kind !== "end") throw syntaxError(`"${token.text}" does not belong here`, token.at);
  }

  expression(power: number): Expression {
    if (++this.depth > MAX_DEPTH) throw syntaxError("The expression is nested too deeply", this.peek().at);
    let left = this.prefix();
    for (;;) {
      const token = this.peek();
      if (token.kind !== "operator") break;
      const binding = POWER[token.text];
      if (binding !== undefined) {
        if (binding < power) break;
        this.next++;
        left = {
          kind: "binary",
          op: token.text as BinaryOperator,
          left,
          right: this.expression(binding + 1),
          at: token.at,
        };
      } else if (token.text === "?" && CONDITIONAL >= power) {
        this.next++;
        const yes = this.expression(0);
        this.expect(":");
        left = { kind: "conditional", test: left, yes, no: this.expression(CONDITIONAL), at: token.at };
      } else if (ASSIGN.test(token.text) && ASSIGNMENT >= power) {
        this.next++;
        const op = token.text === "=" ? undefined : (token.text.slice(0, -1) as BinaryOperator);
        left = { kind: "assign", op, target: left, value: this.expression(ASSIGNMENT), at: token.at };
      } else break;
    }
    this.depth--;
    return left;
  }

  private prefix(): Expression {
    const token = this.take();
    const at = token.at;
    switch (token.kind) {
      case "number":
        return this.postfix({
          kind: "number",
          value: token.value!,
          suffix: token.suffix ?? "",
          isDecimal: token.isDecimal ?? true,
          at,
        });
      case "float":
        return { kind: "float", value: Number.parseFloat(token.text), at };
      case "string":
        return this.postfix({ kind: "string", text: token.text, at });
      case "file": {
        this.expect("::");
        const name = this.takeName();
        return this.postfix({ kind: "name", name, file: token.text, at });
      }
      case "register":
        return this.postfix({ kind: "register", name: token.text, at });
      case "name":
        if (token.text === "sizeof") return this.sizeof(at);
        return this.postfix({ kind: "name", name: token.text, at });
      case "operator":
        if (token.text === "(") return this.parenthesis(at);
        if ("-+!~*&".includes(token.text)) {
          return { kind: "unary", op: token.text as UnaryOperator, operand: this.expression(UNARY), at };
        }
        throw syntaxError(`"${token.text}" cannot begin an expression`, at);
      case "end":
        throw syntaxError("An expression is missing", at);
    }
  }

  private parenthesis(at: number): Expression {
    if (this.startsType()) {
      const type = this.type();
      this.expect(")");
      return { kind: "cast", type, operand: this.expression(UNARY), at };
    }
    const inner = this.expression(0);
    this.expect(")");
    return this.postfix(inner);
  }

  private sizeof(at: number): Expression {
    const isParenthesis = this.peek().text === "(" && this.peek().kind === "operator";
    if (isParenthesis) {
      this.next++;
      if (this.startsType()) {
        const type = this.type();
        this.expect(")");
        return { kind: "sizeof", type, at };
      }
      this.next--;
    }
    return { kind: "sizeof", operand: this.expression(UNARY), at };
  }

  private postfix(start: Expression): Expression {
    let value = start;
    for (;;) {
      const token = this.peek();
      if (token.kind !== "operator") return value;
      if (token.text === "[") {
        this.next++;
        const index = this.expression(0);
        this.expect("]");
        value = { kind: "index", array: value, index, at: token.at };
      } else if (token.text === "." || token.text === "->") {
        this.next++;
        value = { kind: "member", object: value, name: this.takeName(), arrow: token.text === "->", at: token.at };
      } else if (token.text === "(") {
        throw syntaxError("Functions of the guest cannot be called from here", token.at);
      } else return value;
    }
  }

  private startsType(): boolean {
    const token = this.peek();
    if (token.kind !== "name") return false;
    const { text } = token;
    if (text === "struct" || text === "union" || text === "enum" || BASE_WORDS.has(text) || QUALIFIERS.has(text))
      return true;
    const after = this.tokens[this.next + 1];
    return (
      this.isTypeName(text) &&
      (after.text === ")" || after.text === "*" || after.text === "[" || after.text === "const")
    );
  }

  /** A type name: words, then pointers, then dimensions. */
  type(): TypeSyntax {
    const words: string[] = [];
    let tag: TypeSyntax["tag"];
    for (let token = this.peek(); token.kind === "name"; token = this.peek()) {
      if (QUALIFIERS.has(token.text)) {
        this.next++;
      } else if ((token.text === "struct" || token.text === "union" || token.text === "enum") && words.length === 0) {
        this.next++;
        tag = token.text;
        words.push(this.takeName());
        break;
      } else if (words.length === 0 || (BASE_WORDS.has(token.text) && BASE_WORDS.has(words[0]))) {
        this.next++;
        words.push(token.text);
        if (!BASE_WORDS.has(token.text)) break;
      } else break;
    }
    if (words.length === 0) throw syntaxError("A type is missing", this.peek().at);
    let pointers = 0;
    for (;;) {
      const token = this.peek();
      if (token.kind === "operator" && token.text === "*") pointers++;
      else if (!(token.kind === "name" && QUALIFIERS.has(token.text))) break;
      this.next++;
    }
    const dimensions: number[] = [];
    while (this.peek().kind === "operator" && this.peek().text === "[") {
      this.next++;
      const size = this.take();
      if (size.kind !== "number") throw syntaxError("An array size must be a number", size.at);
      dimensions.push(Number(size.value));
      this.expect("]");
    }
    return { name: words.join(" "), tag, pointers, dimensions };
  }

  private takeName(): string {
    const token = this.take();
    if (token.kind !== "name") throw syntaxError("A name is missing", token.at);
    return token.text;
  }
  private expect(text: string): void {
    const token = this.take();
    if (token.kind !== "operator" || token.text !== text) {
      throw syntaxError(
        token.kind === "end" ? `"${text}" is missing` : `"${text}" expected, found "${token.text}"`,
        token.at,
      );
    }
  }
  private peek(): Token {
    return this.tokens[this.next];
  }
  private take(): Token {
    const token = this.tokens[this.next];
    if (token.kind !== "end") this.next++;
    return token;
  }
}
