/*
 * What decides whether a place or a trap stops the guest: a condition (a C expression), a hit count (`5`, `>=5`,
 * `%10`), and the text of a logpoint with `{expressions}` in it.
 *
 * Conditions on traps are asked thousands of times a second, so one that only compares the trap's own numbers is turned
 * into a closure over numbers; anything else goes through the evaluator.
 */
import { UserError } from "./errors";
import { type Expression, evaluate, formatValue, isTrue, parseExpression, type Scope, splitForm } from "./expressions";
import { REGISTER_NAMES } from "./traps";

/** Numbers that a trap condition can name, by their lower-case names. */
export type TrapNumbers = Readonly<Record<string, number | undefined>>;

export interface Condition {
  readonly text: string;
  /** Decides with the evaluator. @throws UserError when it cannot be evaluated. */
  test(scope: Scope): boolean;
  /** Decides from the trap's numbers alone; undefined when the condition needs more. */
  readonly fast?: (numbers: TrapNumbers) => boolean;
}

/** Compiles a condition; an empty one is none. @throws UserError with the position when it does not parse. */
export function compileCondition(
  text: string | undefined,
  isTypeName: (name: string) => boolean = () => false,
): Condition | undefined {
  const plain = text?.trim() ?? "";
  if (plain === "") return undefined;
  const tree = parseExpression(plain, isTypeName);
  const fast = compileFast(tree);
  return {
    text: plain,
    test: (scope) => isTrue(evaluate(tree, scope)),
    ...(fast === undefined ? {} : { fast: (numbers) => fast(numbers) !== 0 }),
  };
}

type FastNumber = (numbers: TrapNumbers) => number;

const NAMES = new Set<string>([
  ...REGISTER_NAMES,
  "vector",
  "error",
  "cpl",
  "cr2",
  "irq",
  "hypercall",
  "arg1",
  "arg2",
  "arg3",
  "arg4",
  "is_async",
  "icount",
]);

/** Unsigned 32-bit arithmetic only; anything that could mean something else in C is left to the evaluator. */
function compileFast(e: Expression): FastNumber | undefined {
  switch (e.kind) {
    case "number": {
      const value = Number(e.value);
      return value <= 0xffffffff ? () => value : undefined;
    }
    case "name":
    case "register": {
      const name = e.name.toLowerCase();
      if (e.kind === "name" && e.file !== undefined) return undefined;
      if (!NAMES.has(name) && !/^lhcall_/.test(name)) return undefined;
      // A name that this trap does not have equals nothing, and is neither less nor greater than anything.
      return (numbers) => numbers[name] ?? Number.NaN;
    }
    case "unary": {
      const operand = compileFast(e.operand);
      return e.op === "!" && operand ? (numbers) => (operand(numbers) ? 0 : 1) : undefined;
    }
    case "binary": {
      const [a, b] = [compileFast(e.left), compileFast(e.right)];
      const make = FAST[e.op];
      return a && b && make ? make(a, b) : undefined;
    }
    default:
      return undefined;
  }
}

const FAST: Readonly<Record<string, ((a: FastNumber, b: FastNumber) => FastNumber) | undefined>> = {
  "&&": (a, b) => (n) => (a(n) && b(n) ? 1 : 0),
  "||": (a, b) => (n) => (a(n) || b(n) ? 1 : 0),
  "==": (a, b) => (n) => (a(n) === b(n) ? 1 : 0),
  "!=": (a, b) => (n) => (a(n) !== b(n) ? 1 : 0),
  "<": (a, b) => (n) => (a(n) < b(n) ? 1 : 0),
  "<=": (a, b) => (n) => (a(n) <= b(n) ? 1 : 0),
  ">": (a, b) => (n) => (a(n) > b(n) ? 1 : 0),
  ">=": (a, b) => (n) => (a(n) >= b(n) ? 1 : 0),
  "&": (a, b) => (n) => (a(n) & b(n)) >>> 0,
  "|": (a, b) => (n) => (a(n) | b(n)) >>> 0,
  "^": (a, b) => (n) => (a(n) ^ b(n)) >>> 0,
  "+": (a, b) => (n) => (a(n) + b(n)) >>> 0,
};

/** Compiles a hit count: `5` is the fifth hit, `>5` `>=5` `<5` `==5` compare, `%5` each fifth. @throws UserError. */
export function compileHitCount(text: string | undefined): ((hits: number) => boolean) | undefined {
  const plain = text?.trim() ?? "";
  if (plain === "") return undefined;
  const match = /^(==?|>=?|<=?|%)?\s*(\d+)$/.exec(plain);
  if (match === null || (match[1] === "%" && match[2] === "0")) {
    throw new UserError(`"${plain}" is no hit count. Write 5 (the fifth hit), >=5, <5 or %5 (each fifth).`);
  }
  const wanted = Number(match[2]);
  switch (match[1]) {
    case ">":
      return (hits) => hits > wanted;
    case ">=":
      return (hits) => hits >= wanted;
    case "<":
      return (hits) => hits < wanted;
    case "<=":
      return (hits) => hits <= wanted;
    case "%":
      return (hits) => hits % wanted === 0;
    default:
      return (hits) => hits === wanted;
  }
}

/**
 * A logpoint's text with each `{expression}` replaced by its value; `\{` is a brace. Mistakes are written into the
 * text.
 */
export function interpolate(text: string, scope: Scope, isTypeName: (name: string) => boolean): string {
  return text.replace(/\\([{}])|\{([^{}]*)\}/g, (_, escaped: string | undefined, expression: string | undefined) => {
    if (escaped !== undefined) return escaped;
    try {
      const { text: plain, form } = splitForm(expression ?? "");
      return formatValue(evaluate(parseExpression(plain, isTypeName), scope), form);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return `{${expression}: ${error.message}}`;
    }
  });
}
