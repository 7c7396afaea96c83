/*
 * Evaluates a tree in a scope. C's rules: arrays and functions decay to pointers, the usual arithmetic conversions decide
 * widths and signs, pointers count in elements; assignments write through to registers and memory.
 *
 * What names and types mean comes in through `Scope`, so that breakpoint conditions, watches and the trap log's
 * conditions share this one evaluator. ISO C, 6.3.1.8 and 6.5.
 */
import { ArrayType, type Member, sizeOf, stripped, type StructType, type Type, typeName } from "../../dwarf";
import { noMember, UserError, unknownName, unknownType } from "../errors";
import type { BinaryOperator, Expression, TypeSyntax } from "./syntax";
import * as v from "./values";
import type { Value, ValueMemory } from "./values";

export interface Scope {
  readonly memory: ValueMemory;
  /** A register or another cell by its name, without `$`. Upper and lower case are the same. */
  register(name: string): Value | undefined;
  /** A variable, function or symbol. `file` as in `file.c::name`. */
  lookup(name: string, file?: string): Value | undefined;
  type(name: string, tag?: "struct" | "union" | "enum"): Type | undefined;
  /** Names close to one that does not exist. */
  suggest?(name: string): readonly string[];
}

/** @throws UserError for anything that has no value. */
export function evaluate(e: Expression, scope: Scope): Value {
  switch (e.kind) {
    case "number":
      return v.integer(e.value, literalType(e.value, e.suffix, e.isDecimal), !e.isDecimal);
    case "string": {
      const bytes = Uint8Array.from([...e.text, "\0"], (c) => c.charCodeAt(0) & 0xff);
      return { type: new ArrayType(() => v.CHAR, bytes.length, 0, undefined, false), place: { kind: "none", bytes } };
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
      return evaluate(isTrue(evaluate(e.test, scope), scope.memory) ? e.yes : e.no, scope);
    case "assign":
      return assign(e, scope);
    case "cast":
      return convert(evaluate(e.operand, scope), resolveType(e.type, scope), scope.memory);
    case "sizeof": {
      const type = e.type !== undefined ? resolveType(e.type, scope) : evaluate(e.operand!, scope).type;
      const size = sizeOf(type);
      if (size === undefined) throw new UserError(`${typeName(type)} has no size.`);
      return v.integer(BigInt(size), v.UNSIGNED);
    }
    case "member":
      return member(evaluate(e.object, scope), e.name, scope.memory);
    case "index": {
      const array = evaluate(e.array, scope);
      const index = evaluate(e.index, scope);
      return v.isPointer(array.type) ? element(array, index, scope.memory) : element(index, array, scope.memory);
    }
  }
}

export function isTrue(value: Value, memory: ValueMemory): boolean {
  return v.isFloat(value.type) ? v.floatOf(value, memory) !== 0 : v.integerOf(value, memory) !== 0n;
}

/** The type that is written. @throws UserError when there is none. */
export function resolveType(syntax: TypeSyntax, scope: Pick<Scope, "type">): Type {
  let type = (syntax.tag === undefined ? baseType(syntax.name) : undefined) ?? scope.type(syntax.name, syntax.tag);
  if (type === undefined) throw unknownType(syntax.tag ? `${syntax.tag} ${syntax.name}` : syntax.name);
  for (let i = 0; i < syntax.pointers; i++) type = v.pointerTo(type);
  for (const count of [...syntax.dimensions].reverse()) type = arrayOf(type, count);
  return type;
}

/** C's own types by their words, in any order. */
export function baseType(words: string): Type | undefined {
  const list = words.split(" ");
  const has = (word: string): boolean => list.includes(word);
  const known = ["void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool", "bool"];
  if (!list.every((word) => known.includes(word))) {
    const fixed = /^(u?)int(8|16|32|64)_t$|^([us])(8|16|32|64)$/.exec(words);
    if (fixed === null) return undefined;
    const isUnsigned = fixed[1] === "u" || fixed[3] === "u";
    const bits = Number(fixed[2] ?? fixed[4]);
    if (bits === 8) return isUnsigned ? v.UNSIGNED_CHAR : v.CHAR;
    if (bits === 16) return isUnsigned ? v.UNSIGNED_SHORT : v.SHORT;
    if (bits === 32) return isUnsigned ? v.UNSIGNED : v.INT;
    return isUnsigned ? v.UNSIGNED_LONG_LONG : v.LONG_LONG;
  }
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

/** Finds a member by name, also inside anonymous structures; gives the path to it. */
export function findMember(type: StructType, name: string): readonly Member[] | undefined {
  for (const member of type.members) if (member.name === name) return [member];
  for (const member of type.members) {
    const inner = stripped(member.type);
    if ((member.name !== undefined && !member.isInheritance) || inner.kind !== "struct") continue;
    const path = findMember(inner, name);
    if (path !== undefined) return [member, ...path];
  }
  return undefined;
}

/** Element of an array or pointer as an lvalue. */
export function element(array: Value, index: Value, memory: ValueMemory): Value {
  const type = stripped(array.type);
  const i = Number(v.integerOf(index, memory));
  if (type.kind === "array") {
    const size = type.stride ?? sizeOf(type.element) ?? 1;
    if (array.place.kind === "memory") return v.inMemory(type.element, array.place.address + i * size, array.place.space);
    const bytes = v.bytesOf(array, memory);
    if (i < 0 || (i + 1) * size > bytes.length) throw new UserError(`Index ${i} is outside the array.`);
    return { type: type.element, place: { kind: "none", bytes: bytes.subarray(i * size) } };
  }
  if (type.kind !== "pointer") throw new UserError(`${typeName(array.type)} cannot be indexed.`);
  const size = pointee(type.target);
  return v.inMemory(type.target, Number(v.integerOf(array, memory)) + i * size);
}

/** A value as another type: numbers convert, structures and arrays are looked at anew. */
export function convert(value: Value, type: Type, memory: ValueMemory): Value {
  const to = stripped(type);
  if (to.kind === "void" || to.kind === "function") return value;
  if (v.isAggregate(to)) {
    // gdb's habit: an address cast to a structure shows what is there.
    if (value.place.kind === "memory") return { type, place: value.place };
    return v.inMemory(type, Number(v.integerOf(value, memory)));
  }
  if (v.isFloat(to)) return v.float(v.floatOf(value, memory), type);
  return v.integer(v.wrap(v.integerOf(value, memory), to), type, value.isHex);
}

const VOID: Type = { kind: "void", name: "void", byteSize: undefined };

function unary(op: string, operand: Expression, scope: Scope): Value {
  if (op === "&") {
    const target = evaluate(operand, scope);
    return v.integer(BigInt(v.addressOf(target)), v.pointerTo(target.type), true);
  }
  const value = evaluate(operand, scope);
  const { memory } = scope;
  switch (op) {
    case "*": {
      const type = stripped(value.type);
      if (type.kind === "array") return element(value, v.integer(0n, v.INT), memory);
      if (type.kind === "function") return value;
      const target = type.kind === "pointer" ? type.target : v.UNSIGNED;
      if (type.kind !== "pointer" && (type.kind !== "base" || type.encoding === "float")) {
        throw new UserError(`${typeName(value.type)} is no pointer.`);
      }
      const kind = stripped(target).kind;
      if (kind === "void") throw new UserError("A void pointer points at nothing known; cast it first, as in *(int *)p.");
      return v.inMemory(target, Number(v.integerOf(value, memory)));
    }
    case "!":
      return v.integer(isTrue(value, memory) ? 0n : 1n, v.INT);
    default: {
      if (v.isFloat(value.type)) {
        if (op === "~") throw new UserError("~ wants an integer.");
        const number = v.floatOf(value, memory);
        return v.float(op === "-" ? -number : number, value.type);
      }
      const type = promote(value.type);
      const number = v.integerOf(value, memory);
      return v.integer(v.wrap(op === "-" ? -number : op === "~" ? ~number : number, type), type, value.isHex);
    }
  }
}

function binary(op: BinaryOperator, left: Expression, right: Expression, scope: Scope): Value {
  const { memory } = scope;
  if (op === "&&" || op === "||") {
    const first = isTrue(evaluate(left, scope), memory);
    const result = first === (op === "||") ? first : isTrue(evaluate(right, scope), memory);
    return v.integer(result ? 1n : 0n, v.INT);
  }
  const a = evaluate(left, scope);
  const b = evaluate(right, scope);
  if (op === "@") return repeat(a, b, memory);
  return arithmetic(op, a, b, memory);
}

/** `value@count`: an array that begins at value. */
function repeat(first: Value, count: Value, memory: ValueMemory): Value {
  const n = Number(v.integerOf(count, memory));
  if (!(n >= 1 && n <= 0x100000)) throw new UserError(`An array of ${n} elements makes no sense here.`);
  return v.inMemory(arrayOf(first.type, n), v.addressOf(first), first.place.kind === "memory" ? first.place.space : "linear");
}

function arithmetic(op: BinaryOperator, a: Value, b: Value, memory: ValueMemory): Value {
  const compares = COMPARE[op];
  if (v.isPointer(a.type) || v.isPointer(b.type)) {
    if (compares === undefined && (op === "+" || op === "-")) return pointerSum(op, a, b, memory);
    if (compares !== undefined) {
      const [x, y] = [a, b].map((side) => BigInt.asUintN(32, v.integerOf(side, memory)));
      return v.integer(compares(x, y) ? 1n : 0n, v.INT);
    }
    // Masks on addresses are what people do in a kernel: count a pointer as an unsigned number.
  }
  if (v.isFloat(a.type) || v.isFloat(b.type)) {
    const [x, y] = [v.floatOf(a, memory), v.floatOf(b, memory)];
    if (compares !== undefined) return v.integer(compares(x, y) ? 1n : 0n, v.INT);
    const result = op === "+" ? x + y : op === "-" ? x - y : op === "*" ? x * y : op === "/" ? x / y : undefined;
    if (result === undefined) throw new UserError(`${op} wants integers.`);
    return v.float(result, v.DOUBLE);
  }
  const isShift = op === "<<" || op === ">>";
  const type = isShift ? promote(a.type) : common(promote(a.type), promote(b.type));
  const x = v.wrap(v.integerOf(a, memory), type);
  const y = isShift ? v.integerOf(b, memory) : v.wrap(v.integerOf(b, memory), type);
  if (compares !== undefined) return v.integer(compares(x, y) ? 1n : 0n, v.INT);
  return v.integer(v.wrap(compute(op, x, y), type), type, a.isHex || b.isHex);
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

function pointerSum(op: "+" | "-", a: Value, b: Value, memory: ValueMemory): Value {
  const isBoth = v.isPointer(a.type) && v.isPointer(b.type);
  const pointer = v.isPointer(a.type) ? a : b;
  const type = decay(pointer.type);
  const t = stripped(type);
  const size = BigInt(t.kind === "pointer" ? pointee(t.target) : 1);
  const [x, y] = [v.integerOf(a, memory), v.integerOf(b, memory)];
  if (isBoth) {
    if (op === "+") throw new UserError("Two pointers cannot be added.");
    return v.integer((x - y) / size, v.INT);
  }
  if (pointer === b && op === "-") throw new UserError("A pointer cannot be subtracted from a number.");
  const result = pointer === a ? (op === "+" ? x + y * size : x - y * size) : x * size + y;
  return v.integer(BigInt.asUintN(32, result), type, true);
}

function assign(e: Extract<Expression, { kind: "assign" }>, scope: Scope): Value {
  const { memory } = scope;
  const target = evaluate(e.target, scope);
  let value = evaluate(e.value, scope);
  if (e.op !== undefined) value = arithmetic(e.op, target, value, memory);
  if (v.isFloat(target.type)) v.storeFloat(target, v.floatOf(value, memory), memory);
  else v.store(target, v.integerOf(value, memory), memory);
  return target;
}

function member(object: Value, name: string, memory: ValueMemory): Value {
  let value = object;
  let type = stripped(value.type);
  // `.` on a pointer means `->`, and the other way round: nobody is helped by an error here.
  if (type.kind === "pointer") {
    value = v.inMemory(type.target, Number(v.integerOf(value, memory)));
    type = stripped(value.type);
  }
  if (type.kind !== "struct") throw new UserError(`${typeName(object.type)} has no members.`);
  const path = findMember(type, name);
  if (path === undefined) {
    if (type.isDeclaration) throw new UserError(`${typeName(type)} is only declared in the debug information.`);
    throw noMember(typeName(value.type), name);
  }
  return path.reduce((outer, step) => v.memberOf(outer, step, memory), value);
}

function decay(type: Type): Type {
  const t = stripped(type);
  return t.kind === "array" ? v.pointerTo(t.element) : t.kind === "function" ? v.pointerTo(t) : type;
}

function pointee(type: Type): number {
  return sizeOf(type) ?? 1;
}

function arrayOf(type: Type, count: number): ArrayType {
  return new ArrayType(() => type, count, 0, undefined, false);
}

/** Integer promotion. */
function promote(type: Type): Type {
  const t = stripped(type);
  if (t.kind === "pointer" || t.kind === "array" || t.kind === "function" || t.kind === "void") return v.UNSIGNED;
  if (t.kind === "struct" || t.kind === "unknown") throw new UserError(`${typeName(type)} is no number.`);
  const size = sizeOf(t) ?? 4;
  if (size < 4) return v.INT;
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
  const isLongLong = suffix.includes("ll");
  if (!isLongLong) {
    if (!isUnsigned && value < 1n << 31n) return v.INT;
    if ((isUnsigned || !isDecimal) && value < 1n << 32n) return v.UNSIGNED;
  }
  if (!isUnsigned && value < 1n << 63n) return v.LONG_LONG;
  if (value >= 1n << 64n) throw new UserError("The number is too large.");
  return v.UNSIGNED_LONG_LONG;
}
