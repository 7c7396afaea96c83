/*
 * What is shown under a frame: arguments, locals, globals, and the registers in groups, as trees whose nodes can be
 * opened, named again in an expression, and set.
 *
 * A node is made when its parent is opened; nothing is read before. Setting takes an expression (`eax + 4`,
 * `kernel_main`), or what the type itself understands (`RED | BLUE`, `"text"`, `'a'`).
 */
import { stripped } from "../dwarf";
import { readOnly, UserError } from "./errors";
import {
  evaluate,
  type Form,
  formatValue,
  hexText,
  integerOf,
  parseExpression,
  sentence,
  store,
  type Value,
} from "./expressions";
import type { FrameScope } from "./frame-scope";
import { descriptorText } from "./inspection/descriptors";
import { fieldsOf } from "./inspection/flag-fields";
import { rowName, segmentState } from "./inspection/registers-view";
import type { RegisterCell, RegisterGroupId, Registers } from "./registers";
import type { Symbols } from "./symbols";

export interface TreeNode {
  readonly name: string;
  readonly text: string;
  readonly type?: string;
  /** An expression that gives this value. */
  readonly evaluateName?: string;
  /** Where it is, or where it points to. */
  readonly address?: number;
  /** The bytes of the value itself, for data breakpoints. */
  readonly watchable?: { readonly address: number; readonly length: number };
  readonly namedChildren: number;
  readonly indexedChildren: number;
  readonly isReadOnly: boolean;
  /** The first `count` children from `start`. */
  children(start?: number, count?: number): TreeNode[];
  /** Gives it another value; the text it has afterwards. @throws UserError with the reason when that cannot be. */
  set(text: string): string;
}

export type ScopeId = "arguments" | "locals" | "globals" | RegisterGroupId;

export interface ScopeTree {
  readonly id: ScopeId;
  readonly name: string;
  readonly hint?: "arguments" | "locals" | "registers";
  /** Many and rarely wanted. */
  readonly isExpensive: boolean;
  children(form: Form): TreeNode[];
}

const REGISTER_SCOPES: readonly { id: RegisterGroupId; name: string }[] = [
  { id: "general", name: "Registers" },
  { id: "segments", name: "Segments" },
  { id: "flags", name: "Flags" },
  { id: "control", name: "Control" },
  { id: "debug", name: "Debug" },
  { id: "system", name: "System" },
  { id: "believes", name: "lguest" },
];

/** The scopes of a frame. */
export function scopesOf(scope: FrameScope, registers: Registers, symbols: Symbols): ScopeTree[] {
  const scopes: ScopeTree[] = [];
  const variables = scope.variables();
  const list = (id: ScopeId, name: string, kinds: readonly string[], hint?: ScopeTree["hint"]): void => {
    const wanted = variables.filter((variable) => kinds.includes(variable.kind));
    if (wanted.length === 0) return;
    scopes.push({
      id,
      name,
      hint,
      isExpensive: false,
      children: (form) =>
        wanted.map((variable) => {
          const name = variable.isShadowed ? `${variable.name} (outer)` : variable.name;
          return valueNode(name, scope.valueOf(variable), scope, form, variable.isShadowed ? undefined : variable.name);
        }),
    });
  };
  list("arguments", "Arguments", ["argument"], "arguments");
  list("locals", "Locals", ["local", "static"], "locals");
  const globals = scope.globals();
  if (globals.length > 0) {
    scopes.push({
      id: "globals",
      name: "Globals",
      isExpensive: true,
      children: (form) =>
        globals.map((variable) => valueNode(variable.name, scope.valueOf(variable), scope, form, variable.name)),
    });
  }
  for (const { id, name } of REGISTER_SCOPES) {
    scopes.push({
      id,
      name,
      hint: "registers",
      isExpensive: id !== "general",
      children: () => registerNodes(id, scope, registers, symbols),
    });
  }
  return scopes;
}

/** A value as a node. */
export function valueNode(
  name: string,
  value: Value,
  scope: FrameScope,
  form: Form,
  expression: string | undefined,
): TreeNode {
  const { node } = value;
  const type = stripped(node.type);
  const isPointer = type.kind === "pointer";
  const count = value.cell === undefined ? node.childCount : 0;
  const isIndexed = node.isIndexed;
  return {
    name,
    text: formatValue(value, form),
    type: node.typeName,
    ...(expression === undefined ? {} : { evaluateName: expression }),
    address: isPointer ? pointerTarget(value) : node.address,
    ...(node.address !== undefined && node.byteSize
      ? { watchable: { address: node.address, length: node.byteSize } }
      : {}),
    namedChildren: isIndexed ? 0 : count,
    indexedChildren: isIndexed ? count : 0,
    isReadOnly: value.cell !== undefined ? value.cell.set === undefined : !node.isWritable,
    children: (start, most) =>
      node
        .children(start, most)
        .map((child) =>
          valueNode(child.name, { node: child }, scope, form, nameOf(child.expression, node.expression, expression)),
        ),
    set: (text) => setValue(value, text, scope, form),
  };
}

/** Gives a value another one. */
export function setValue(value: Value, text: string, scope: FrameScope, form: Form = "natural"): string {
  if (value.cell === undefined) {
    const direct = value.node.encode(text);
    if (direct.ok) {
      scope.write(direct.value);
      return formatValue(value, form);
    }
    if (!value.node.isWritable) throw new UserError(sentence(direct.reason));
  }
  store(value, evaluate(parseExpression(text, scope.isTypeName), scope), scope);
  return formatValue(value, form);
}

/** Children know their parent's name as it was when the tree was made; it may have been an expression of the user. */
function nameOf(child: string, parent: string, expression: string | undefined): string | undefined {
  if (expression === undefined || child === "") return undefined;
  if (parent === expression || parent === "") return child;
  return child.startsWith(parent) ? `(${expression})${child.slice(parent.length)}` : undefined;
}

function pointerTarget(value: Value): number | undefined {
  const number = value.node.number;
  const address = value.cell !== undefined ? value.cell.get() : number.ok ? number.value : 0n;
  return address === 0n ? undefined : Number(BigInt.asUintN(32, address));
}

function registerNodes(id: RegisterGroupId, scope: FrameScope, registers: Registers, symbols: Symbols): TreeNode[] {
  return registers
    .all()
    .filter((cell) => cell.group === id)
    .map((base) => {
      const cell = (scope.register(base.name)?.cell as RegisterCell | undefined) ?? base;
      const node = registerNode(cell, base, scope, symbols);
      return id === "segments" ? withHiddenPart(node, base, registers) : node;
    });
}

/** A segment register opens to what the processor keeps of its descriptor. */
function withHiddenPart(node: TreeNode, cell: RegisterCell, registers: Registers): TreeNode {
  const { selector, hidden, why } = segmentState(registers.vm, cell.name, Number(cell.get()));
  const rows: [string, string][] = [
    ["index", String(selector >>> 3)],
    ["ring", String(selector & 3)],
    ["base", hexText(BigInt(hidden.base), 32)],
    ["limit", hexText(BigInt(hidden.limit), 32)],
    ["descriptor", descriptorText(hidden)],
    ...(why === undefined ? [] : [["differs", why] satisfies [string, string]]),
  ];
  const children = rows.map(([name, text]) => plainNode(name, text));
  return { ...node, namedChildren: children.length, children: () => children };
}

function plainNode(name: string, text: string): TreeNode {
  const set = (): never => {
    throw readOnly(name, "it follows from the descriptor table");
  };
  return { name, text, namedChildren: 0, indexedChildren: 0, isReadOnly: true, children: () => [], set };
}

function registerNode(cell: RegisterCell, base: RegisterCell, scope: FrameScope, symbols: Symbols): TreeNode {
  const read = (): { text: string; number?: number } => {
    try {
      const value = cell.get();
      return { text: registerText(base, value, symbols), number: Number(BigInt.asUintN(32, value)) };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { text: `<${error.message}>` };
    }
  };
  const { text, number } = read();
  const fields = number === undefined ? undefined : fieldsOf(base.name, number);
  return {
    name: rowName(base),
    text,
    type: `${base.bits} bits`,
    evaluateName: `$${base.name}`,
    ...(base.isAddress && number ? { address: number } : {}),
    namedChildren: fields?.length ?? 0,
    indexedChildren: 0,
    isReadOnly: cell.set === undefined,
    children: () => (fields ?? []).map((field) => fieldNode(cell, base, field.name, scope)),
    set: (given) => {
      if (cell.set === undefined) throw readOnly(rowName(base), cell.readOnly ?? "it is computed");
      cell.set(numberOf(given, scope));
      return registerText(base, cell.get(), symbols);
    },
  };
}

/** One named bit (or group of bits) of a register. */
function fieldNode(cell: RegisterCell, base: RegisterCell, name: string, scope: FrameScope): TreeNode {
  const field = fieldsOf(base.name, Number(BigInt.asUintN(32, cell.get())))!.find((f) => f.name === name)!;
  return {
    name,
    text: field.meaning ? `${field.value} (${field.meaning})` : String(field.value),
    namedChildren: 0,
    indexedChildren: 0,
    isReadOnly: cell.set === undefined,
    children: () => [],
    set: (text) => {
      setField(cell, base, name, numberOf(text, scope));
      return fieldNode(cell, base, name, scope).text;
    },
  };
}

/** Sets one field of a register. @throws UserError for a value that does not fit or that the register refuses. */
export function setField(cell: RegisterCell, base: RegisterCell, name: string, value: bigint): void {
  if (cell.set === undefined) throw readOnly(rowName(base), cell.readOnly ?? "it is computed");
  const old = cell.get();
  const field = fieldsOf(base.name, Number(BigInt.asUintN(32, old)))?.find(
    (f) => f.name.toUpperCase() === name.toUpperCase(),
  );
  if (field === undefined) throw new UserError(`${rowName(base)} has no field "${name}".`);
  if (value < 0n || value >= 1n << BigInt(field.width))
    throw new UserError(`${name} has ${field.width === 1 ? "one bit" : `${field.width} bits`}: ${value} does not fit.`);
  const mask = ((1n << BigInt(field.width)) - 1n) << BigInt(field.bit);
  cell.set((old & ~mask) | (value << BigInt(field.bit)));
}

function registerText(cell: RegisterCell, value: bigint, symbols: Symbols): string {
  const number = Number(BigInt.asUintN(32, value));
  const digits = hexText(value, Math.max(cell.bits, 4));
  if (cell.bits === 64) return value.toString();
  if (cell.group === "general") {
    const symbol = number > 0xfff ? symbols.nameOf(number) : undefined;
    return symbol === undefined ? `${digits} (${value})` : `${digits} <${symbol}>`;
  }
  if (fieldsOf(cell.name, number) !== undefined) {
    const names = fieldsOf(cell.name, number)!.filter((field) => field.value !== 0);
    return `${digits} ${names.map((field) => (field.width > 1 ? `${field.name}=${field.value}` : field.name)).join(" ")}`.trim();
  }
  return digits;
}

/** The number that an expression gives; `true` and `false` are numbers too. */
export function numberOf(text: string, scope: FrameScope): bigint {
  const plain = text.trim();
  if (/^true$/i.test(plain)) return 1n;
  if (/^false$/i.test(plain)) return 0n;
  // What the view shows behind the number, as in "0x0000002A (42)", may stay in the field.
  const shown = /^(0x[\da-f]+|\d+)\s+[(<].*[)>]$/i.exec(plain);
  return integerOf(evaluate(parseExpression(shown?.[1] ?? plain, scope.isTypeName), scope));
}
