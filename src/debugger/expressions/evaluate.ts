/*
 * Evaluates a tree in a scope. C's rules: arrays and functions decay to pointers, the usual arithmetic conversions
 * decide widths and signs, pointers count in elements; assignments write through to registers and memory.
 *
 * What names and types mean comes in through `Scope`, so that breakpoint conditions, watches and the trap log's
 * conditions share this one evaluator. ISO C, 6.3.1.8 and 6.5.
 */
import { ArrayType, sizeOf, stripped, type Type, typeName, VOID, type Write } from "../../dwarf";
import { noMember, notAnLvalue, UserError, unknownName, unknownType } from "../errors";
import type { BinaryOperator, Expression, TypeSyntax } from "./syntax";
import type { Value, ValueFactory } from "./values";
import * as v from "./values";

export interface Scope {
  readonly values: ValueFactory;
  /** A register or another cell by its name, without `$`. Upper and lower case are the same. */
  register(name: string): Value | undefined;
  /** A variable, function or symbol. `file` as in `file.c::name`. */
  lookup(name: string, file?: string): Value | undefined;
  type(name: string, tag?: "struct" | "union" | "enum"): Type | undefined;
  /** Carries out changes. @throws UserError when memory cannot be written. */
  write(changes: readonly Write[]): void;
  /** Names close to one that does not exist. */
  suggest?(name: string): readonly string[];
}

/** @throws UserError for anything that has no value. */
export function evaluate(e: Expression, scope: Scope): Value {
  const { values } = scope;
  switch (e.kind) {
    case "number":
      return values.integer(e.value, literalType(e.value, e.suffix, e.isDecimal), !e.isDecimal);
    case "float":
      return values.float(e.value, v.DOUBLE);
    case "string": {
      const bytes = Uint8Array.from([...e.text, "\0"], (c) => c.charCodeAt(0) & 0xff);
      return values.constant(bytes, arrayOf(v.CHAR, bytes.length));
    }
    case "name": {
      const value = scope.lookup(e.name, e.file) ?? (e.file === undefined ? scope.register(e.name) : undefined);
      if (value === undefined) throw unknownName(e.name, scope.suggest?.(e.name));
      return value;
    }
    case "register": {
      const value = scope.register(e.name);
      if (value === undefined) throw unknownName(`$${e.name}`, scope.suggest?.(e.name));
      return value;
    }
    case "unary":
      return unary(e.op, e.operand, scope);
    case "binary":
      return binary(e.op, e.left, e.right, scope);
    case "conditional":
      return evaluate(isTrue(evaluate(e.test, scope)) ? e.yes : e.no, scope);
    case "assign":
      return assign(e, scope);
    case "cast":
      return convert(evaluate(e.operand, scope), resolveType(e.type, scope), values);
    case "sizeof": {
      const type = e.type !== undefined ? resolveType(e.type, scope) : evaluate(e.operand!, scope).node.type;
      const size = sizeOf(type);
      if (size === undefined) throw new UserError(`${typeName(type)} has no size.`);
      return values.integer(BigInt(size), v.UNSIGNED);
    }
    case "member":
      return member(evaluate(e.object, scope), e.name);
    case "index": {
      const array = evaluate(e.array, scope);
      const index = evaluate(e.index, scope);
      return v.isPointer(array.node.type) ? element(array, index) : element(index, array);
    }
  }
}

export function isTrue(value: Value): boolean {
  return v.isFloat(value.node.type) ? v.floatOf(value) !== 0 : v.integerOf(value) !== 0n;
}

/** The type that is written. @throws UserError when there is none. */
export function resolveType(syntax: TypeSyntax, scope: Pick<Scope, "type">): Type {
  let type = (syntax.tag === undefined ? baseType(syntax.name) : undefined) ?? scope.type(syntax.name, syntax.tag);
  type ??= syntax.tag === undefined ? fixedWidthType(syntax.name) : undefined;
  if (type === undefined) throw unknownType(syntax.tag ? `${syntax.tag} ${syntax.name}` : syntax.name);
  for (let i = 0; i < syntax.pointers; i++) type = v.pointerTo(type);
  for (const count of [...syntax.dimensions].reverse()) type = arrayOf(type, count);
  return type;
}

const BASE_WORDS = ["void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool", "bool"];

/** C's own types by their words, in any order. */
export function baseType(words: string): Type | undefined {
  const list = words.split(" ");
  if (!list.every((word) => BASE_WORDS.includes(word))) return undefined;
  const has = (word: string): boolean => list.includes(word);
  const unsigned = has("unsigned");
  if (has("void")) return VOID;
  if (has("float")) return v.FLOAT;
  if (has("double")) return v.DOUBLE;
  if (has("_Bool") || has("bool")) return v.BOOL;
  if (has("char")) return unsigned ? v.UNSIGNED_CHAR : v.CHAR;
  if (has("short")) return unsigned ? v.UNSIGNED_SHORT : v.SHORT;
  const longs = list.filter((word) => word === "long").length;
  if (longs > 1) return unsigned ? v.UNSIGNED_LONG_LONG : v.LONG_LONG;
  if (longs === 1) return unsigned ? v.UNSIGNED_LONG : v.LONG;
  return unsigned ? v.UNSIGNED : v.INT;
}

/** `uint32_t`, `u8`: names that everybody expects, also without debug information. */
export function fixedWidthType(name: string): Type | undefined {
  const match = /^(?:(u?)int(8|16|32|64)_t|([us])(8|16|32|64))$/.exec(name);
  if (match === null) return undefined;
  const isUnsigned = match[1] === "u" || match[3] === "u";
  switch (match[2] ?? match[4]) {
    case "8":
      return isUnsigned ? v.UNSIGNED_CHAR : v.CHAR;
    case "16":
      return isUnsigned ? v.UNSIGNED_SHORT : v.SHORT;
    case "32":
      return isUnsigned ? v.UNSIGNED : v.INT;
    default:
      return isUnsigned ? v.UNSIGNED_LONG_LONG : v.LONG_LONG;
  }
}

/** A value as another type: numbers convert, structures and arrays are looked at anew. */
export function convert(value: Value, type: Type, values: ValueFactory): Value {
  const to = stripped(type);
  if (to.kind === "void" || to.kind === "function") return value;
  if (to.kind === "struct" || to.kind === "array") {
    // gdb's habit: an address cast to a structure shows what is there.
    const address = value.node.address ?? Number(BigInt.asUintN(32, v.integerOf(value)));
    return values.memory(type, address);
  }
  if (v.isFloat(to)) return values.float(v.floatOf(value), type);
  return values.integer(v.wrap(v.integerOf(value), to), type, value.isHex);
}

/** Carries out an assignment of text or a number. */
export function store(target: Value, value: Value, scope: Scope): void {
  if (target.cell !== undefined) {
    const { cell } = target;
    if (cell.set === undefined)
      throw new UserError(`${cell.name} cannot be changed${cell.readOnly ? `: ${cell.readOnly}` : ""}.`);
    cell.set(v.integerOf(value));
    return;
  }
  const { kind } = target.node.storage.location;
  if (kind === "value") throw notAnLvalue();
  const text = v.isFloat(target.node.type) ? String(v.floatOf(value)) : v.integerOf(value).toString();
  const changes = target.node.encode(text);
  if (!changes.ok) throw new UserError(v.sentence(changes.reason));
  scope.write(changes.value);
}

function element(array: Value, index: Value): Value {
  const { type } = array.node;
  if (!v.isPointer(type)) throw new UserError(`${typeName(type)} cannot be indexed.`);
  const node = array.node.element(Number(v.integerOf(index)));
  if (node === undefined)
    throw new UserError(`${typeName(type)} cannot be indexed here: it points to nothing that has a size.`);
  return { node };
}

function unary(op: string, operand: Expression, scope: Scope): Value {
  const { values } = scope;
  const value = evaluate(operand, scope);
  const { type } = value.node;
  switch (op) {
    case "&":
      return values.integer(BigInt(v.addressOf(value)), v.pointerTo(type), true);
    case "*":
      return dereference(value, values);
    case "!":
      return values.integer(isTrue(value) ? 0n : 1n, v.INT);
    default: {
      if (v.isFloat(type)) {
        if (op === "~") throw new UserError("~ wants an integer.");
        return values.float(op === "-" ? -v.floatOf(value) : v.floatOf(value), type);
      }
      const result = promote(type);
      const number = v.integerOf(value);
      return values.integer(v.wrap(op === "-" ? -number : op === "~" ? ~number : number, result), result, value.isHex);
    }
  }
}

function dereference(value: Value, values: ValueFactory): Value {
  const type = stripped(value.node.type);
  if (type.kind === "function") return value;
  if (type.kind === "array") return values.memory(type.element, v.addressOf(value));
  if (type.kind === "pointer") {
    if (stripped(type.target).kind === "void")
      throw new UserError("A void pointer points at nothing known; cast it first, as in *(int *)p.");
    return values.memory(type.target, Number(v.integerOf(value)));
  }
  if (type.kind !== "base" || type.encoding === "float")
    throw new UserError(`${typeName(value.node.type)} is no pointer.`);
  // A plain number, a register: the word there.
  return values.memory(v.UNSIGNED, Number(BigInt.asUintN(32, v.integerOf(value))));
}

function binary(op: BinaryOperator, left: Expression, right: Expression, scope: Scope): Value {
  const { values } = scope;
  if (op === "&&" || op === "||") {
    const first = isTrue(evaluate(left, scope));
    const result = first === (op === "||") ? first : isTrue(evaluate(right, scope));
    return values.integer(result ? 1n : 0n, v.INT);
  }
  const a = evaluate(left, scope);
  const b = evaluate(right, scope);
  if (op === "@") {
    const count = Number(v.integerOf(b));
    if (!(count >= 1 && count <= 0x100000)) throw new UserError(`An array of ${count} elements makes no sense here.`);
    return values.memory(arrayOf(a.node.type, count), v.addressOf(a));
  }
  return arithmetic(op, a, b, values);
}

function arithmetic(op: BinaryOperator, a: Value, b: Value, values: ValueFactory): Value {
  const compares = COMPARE[op];
  const truth = (is: boolean): Value => values.integer(is ? 1n : 0n, v.INT);
  const [aType, bType] = [a.node.type, b.node.type];
  // Masks on addresses are what people do in a kernel, so other operators count a pointer as an unsigned number.
  if (v.isPointer(aType) || v.isPointer(bType)) {
    if (op === "+" || op === "-") return pointerSum(op, a, b, values);
    if (compares !== undefined)
      return truth(compares(BigInt.asUintN(32, v.integerOf(a)), BigInt.asUintN(32, v.integerOf(b))));
  }
  if (v.isFloat(aType) || v.isFloat(bType)) {
    const [x, y] = [v.floatOf(a), v.floatOf(b)];
    if (compares !== undefined) return truth(compares(x, y));
    const result = op === "+" ? x + y : op === "-" ? x - y : op === "*" ? x * y : op === "/" ? x / y : undefined;
    if (result === undefined) throw new UserError(`${op} wants integers.`);
    return values.float(result, v.DOUBLE);
  }
  const isShift = op === "<<" || op === ">>";
  const type = isShift ? promote(aType) : common(promote(aType), promote(bType));
  const x = v.wrap(v.integerOf(a), type);
  const y = isShift ? v.integerOf(b) : v.wrap(v.integerOf(b), type);
  if (compares !== undefined) return truth(compares(x, y));
  return values.integer(v.wrap(compute(op, x, y), type), type, a.isHex || b.isHex);
}

const COMPARE: Readonly<Record<string, ((x: bigint | number, y: bigint | number) => boolean) | undefined>> = {
  "==": (x, y) => x === y,
  "!=": (x, y) => x !== y,
  "<": (x, y) => x < y,
  ">": (x, y) => x > y,
  "<=": (x, y) => x <= y,
  ">=": (x, y) => x >= y,
};

function compute(op: BinaryOperator, x: bigint, y: bigint): bigint {
  switch (op) {
    case "+":
      return x + y;
    case "-":
      return x - y;
    case "*":
      return x * y;
    case "/":
    case "%":
      if (y === 0n) throw new UserError("Division by zero.");
      return op === "/" ? x / y : x % y;
    case "&":
      return x & y;
    case "|":
      return x | y;
    case "^":
      return x ^ y;
    default:
      if (y < 0n || y > 63n) throw new UserError(`A shift by ${y} makes no sense.`);
      return op === "<<" ? x << y : x >> y;
  }
}

function pointerSum(op: "+" | "-", a: Value, b: Value, values: ValueFactory): Value {
  const isFirst = v.isPointer(a.node.type);
  const type = decay((isFirst ? a : b).node.type);
  const t = stripped(type);
  const size = BigInt(t.kind === "pointer" ? (sizeOf(t.target) ?? 1) : 1);
  const [x, y] = [v.integerOf(a), v.integerOf(b)];
  if (isFirst && v.isPointer(b.node.type)) {
    if (op === "+") throw new UserError("Two pointers cannot be added.");
    return values.integer((x - y) / size, v.INT);
  }
  if (!isFirst && op === "-") throw new UserError("A pointer cannot be subtracted from a number.");
  const result = isFirst ? (op === "+" ? x + y * size : x - y * size) : x * size + y;
  return values.integer(BigInt.asUintN(32, result), type, true);
}

function assign(e: Extract<Expression, { kind: "assign" }>, scope: Scope): Value {
  const target = evaluate(e.target, scope);
  let value = evaluate(e.value, scope);
  if (e.op !== undefined) {
    const { type } = target.node;
    value = convert(arithmetic(e.op, target, value, scope.values), type, scope.values);
  }
  store(target, value, scope);
  return evaluate(e.target, scope);
}

function member(object: Value, name: string): Value {
  const { type } = object.node;
  const t = stripped(type);
  // `.` on a pointer means `->`, and the other way round: nobody is helped by an error here.
  const node = t.kind === "pointer" ? object.node.dereference() : object.node;
  const inner = node && stripped(node.type);
  if (node === undefined || inner?.kind !== "struct") {
    if (t.kind === "pointer" && stripped(t.target).kind === "struct")
      throw new UserError("The pointer is NULL or cannot be read.");
    throw new UserError(`${typeName(type)} has no members.`);
  }
  const found = node.member(name);
  if (found === undefined) {
    if (inner.isDeclaration) throw new UserError(`${typeName(inner)} is only declared in the debug information.`);
    throw noMember(typeName(node.type), name);
  }
  return { node: found };
}

function decay(type: Type): Type {
  const t = stripped(type);
  return t.kind === "array" ? v.pointerTo(t.element) : t.kind === "function" ? v.pointerTo(t) : type;
}

function arrayOf(type: Type, count: number): ArrayType {
  return new ArrayType(() => type, count, 0, undefined, false);
}

/** Integer promotion. */
function promote(type: Type): Type {
  const t = stripped(type);
  if (t.kind === "pointer" || t.kind === "array" || t.kind === "function" || t.kind === "void") return v.UNSIGNED;
  if (t.kind === "struct" || t.kind === "unknown") throw new UserError(`${typeName(type)} is no number.`);
  if (t.byteSize < 4) return v.INT;
  if (t.kind === "enum") return t.isSigned ? v.INT : v.UNSIGNED;
  return t;
}

function common(a: Type, b: Type): Type {
  const [x, y] = [sizeOf(a) ?? 4, sizeOf(b) ?? 4];
  if (x !== y) return x > y ? a : b;
  return v.isSigned(a) ? b : a;
}

/** C's rule for constants: the first type that holds it. */
function literalType(value: bigint, suffix: string, isDecimal: boolean): Type {
  const isUnsigned = suffix.includes("u");
  if (!suffix.includes("ll")) {
    if (!isUnsigned && value < 1n << 31n) return v.INT;
    if ((isUnsigned || !isDecimal) && value < 1n << 32n) return v.UNSIGNED;
  }
  if (!isUnsigned && value < 1n << 63n) return v.LONG_LONG;
  if (value >= 1n << 64n) throw new UserError("The number is too large.");
  return v.UNSIGNED_LONG_LONG;
}
