// A value as a tree to look at: a name, a type, a line of text, and children that are read when asked for.
//
// A node is a type and a storage. Its text is a preview with a bound on everything (depth, members, characters, memory
// reads), since a guest's memory may hold any nonsense; its children are the members of a structure, the elements of
// an array (by page), or what a pointer points to.

import { attempt, found, type Lookup, refused } from "./errors";
import { littleEndian, toBytes } from "./expression";
import type { Storage, Write } from "./storage";
import { typeName } from "./type-names";
import { type ArrayType, type Member, type PointerType, type StructType, sizeOf, stripped, type Type } from "./types";
import { encodeText, type NameResolver } from "./value-encode";
import {
  type FormatOptions,
  formatBase,
  formatEnum,
  formatPointer,
  isCharacter,
  MAX_TEXT,
  textLiteral,
} from "./value-format";

export interface ValueOptions extends FormatOptions {
  /** Names that may be typed where a number is expected. */
  readonly resolve?: NameResolver;
  /** Where the entry is that an optimised-away pointer points to (an `implicit-pointer` location). */
  implicitTarget?(target: number): Storage | undefined;
  /** The number of elements of an array whose length is known only at run time. */
  countOf?(type: ArrayType): number | undefined;
}

interface BitField {
  readonly bitSize: number;
  readonly bitOffset: number;
}

const PREVIEW_DEPTH = 2;
const PREVIEW_MEMBERS = 8;
const PREVIEW_ELEMENTS = 16;
const PREVIEW_LENGTH = 200;
const DEFAULT_PAGE = 1000;
/** Anonymous members that are looked into for a name. */
const MAX_SEARCHED = 1000;
/** Bytes of text fetched at once; a string stops at the end of what can be read. */
const TEXT_CHUNK = 32;

export class ValueNode {
  constructor(
    /** A variable's, member's or element's name: `x`, `[3]`. */
    readonly name: string,
    readonly type: Type,
    readonly storage: Storage,
    private readonly options: ValueOptions = {},
    /** An expression in C that gives this value. */
    readonly expression: string = name,
    private readonly field?: BitField,
    private readonly problem?: string,
  ) {}

  /** The type as C spells it. */
  get typeName(): string {
    return this.field ? `${typeName(this.type)} : ${this.field.bitSize}` : typeName(this.type);
  }

  /** Where the value is in memory, if it is there. */
  get address(): number | undefined {
    return this.storage.address;
  }

  get byteSize(): number | undefined {
    return sizeOf(this.type);
  }

  /** Whether `encode` can succeed. */
  get isWritable(): boolean {
    if (this.problem !== undefined || !this.storage.isWritable) return false;
    const t = stripped(this.type);
    if (t.kind === "array") return isCharacter(t.element) && t.count !== undefined;
    return t.kind === "base" || t.kind === "enum" || t.kind === "pointer";
  }

  /** One line that shows the value, or in angle brackets why it cannot be shown. */
  get text(): string {
    return this.preview(0);
  }

  /** The value as an integer, for expressions; refused for what is not a number, a character, an enumerator or a pointer. */
  get number(): Lookup<bigint> {
    const t = stripped(this.type);
    const isNumber = t.kind === "enum" || t.kind === "pointer" || (t.kind === "base" && !isFloating(t.encoding));
    if (!isNumber) return refused(`a ${this.typeName} is not an integer`);
    const bytes = this.bytes(t.byteSize);
    if (!bytes.ok) return bytes;
    const bits = this.field?.bitSize ?? t.byteSize * 8;
    const isSigned = t.kind !== "pointer" && t.isSigned;
    const value = littleEndian(bytes.value);
    return found(isSigned ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value));
  }

  /** How many children `children` can give. */
  get childCount(): number {
    if (this.problem !== undefined) return 0;
    const t = stripped(this.type);
    switch (t.kind) {
      case "struct":
        return t.members.length;
      case "array":
        return this.storage.location.kind === "unavailable" ? 0 : this.elementCount(t);
      case "pointer":
        return this.pointed(t) ? this.pointedChildCount(t) : 0;
      default:
        return 0;
    }
  }

  /** Whether the children are numbered elements, to be asked for by page. */
  get isIndexed(): boolean {
    return stripped(this.type).kind === "array";
  }

  /** The children from `start` on, at most `count`. */
  children(start = 0, count = DEFAULT_PAGE): ValueNode[] {
    if (this.problem !== undefined) return [];
    const t = stripped(this.type);
    const result = attempt<ValueNode[]>(() => {
      switch (t.kind) {
        case "struct":
          return found(this.memberNodes(t, this.storage, `${grouped(this.expression)}.`, start, count));
        case "array":
          return found(this.elementNodes(t, start, count));
        case "pointer":
          return found(this.pointedNodes(t).slice(start, start + count));
        default:
          return found([]);
      }
    });
    return result.ok ? result.value : [];
  }

  /** What has to be written so that the value becomes what the text says. */
  encode(text: string): Lookup<Write[]> {
    if (this.problem !== undefined) return refused(this.problem);
    if (this.storage.location.kind === "unavailable") return refused(this.storage.location.reason);
    const bytes = encodeText(this.type, text, this.field?.bitSize, this.options.resolve);
    if (!bytes.ok) return bytes;
    if (!this.field) return this.storage.write(bytes.value);
    const { bitSize, bitOffset } = this.field;
    const size = Math.ceil((bitOffset + bitSize) / 8);
    const old = this.storage.read(size);
    if (!old.ok) return old;
    const mask = ((1n << BigInt(bitSize)) - 1n) << BigInt(bitOffset);
    const value = (littleEndian(bytes.value) << BigInt(bitOffset)) & mask;
    return this.storage.write(toBytes((littleEndian(old.value) & ~mask) | value, size));
  }

  /** The same value shown with other options. */
  withOptions(options: Partial<ValueOptions>): ValueNode {
    const merged = { ...this.options, ...options };
    return new ValueNode(this.name, this.type, this.storage, merged, this.expression, this.field, this.problem);
  }

  /** What a pointer points to; undefined for what is no pointer, is NULL or cannot be read. */
  dereference(): ValueNode | undefined {
    const t = stripped(this.type);
    if (t.kind !== "pointer") return undefined;
    const storage = this.pointed(t);
    if (!storage) return undefined;
    const expression = `*${this.expression}`;
    return new ValueNode(expression, t.target, storage, this.options, expression);
  }

  /** The member of this name of a structure, union or class; anonymous ones are searched too. */
  member(name: string): ValueNode | undefined {
    let left = MAX_SEARCHED;
    const search = (node: ValueNode, depth: number): ValueNode | undefined => {
      const t = stripped(node.type);
      if (t.kind !== "struct" || depth > 8) return undefined;
      const nodeOf = (index: number) => node.memberNodes(t, node.storage, `${grouped(this.expression)}.`, index, 1)[0];
      const index = t.members.findIndex((m) => m.name === name && !m.isInheritance);
      if (index >= 0) return nodeOf(index);
      for (const [i, m] of t.members.entries()) {
        if ((m.name !== undefined && !m.isInheritance) || --left < 0) continue;
        const hit = search(nodeOf(i), depth + 1);
        if (hit) return hit;
      }
      return undefined;
    };
    return search(this, 0);
  }

  /** The element of an array, or of the memory behind a pointer; the index may be outside of an array's bounds. */
  element(index: number): ValueNode | undefined {
    const t = stripped(this.type);
    if (t.kind === "array") return this.elementNode(t, index);
    if (t.kind !== "pointer") return undefined;
    const storage = this.pointed(t);
    const size = sizeOf(t.target);
    if (!storage || size === undefined) return undefined;
    const name = `[${index}]`;
    return new ValueNode(name, t.target, storage.at(index * size), this.options, grouped(this.expression) + name);
  }

  /** The scalar's bytes; a bit-field's bits moved to the low end. */
  private bytes(size: number): Lookup<Uint8Array> {
    if (!this.field) return this.storage.read(size);
    const { bitSize, bitOffset } = this.field;
    const read = this.storage.read(Math.ceil((bitOffset + bitSize) / 8));
    if (!read.ok) return read;
    return found(toBytes(BigInt.asUintN(bitSize, littleEndian(read.value) >> BigInt(bitOffset)), size));
  }

  private preview(depth: number): string {
    if (this.problem !== undefined) return `<${this.problem}>`;
    const { location } = this.storage;
    if (location.kind === "unavailable") return `<${location.reason}>`;
    const result = attempt(() => found(this.previewOf(depth)));
    return result.ok ? result.value : `<${result.reason}>`;
  }

  private previewOf(depth: number): string {
    const t = stripped(this.type);
    const { location } = this.storage;
    switch (t.kind) {
      case "struct":
        return this.previewStruct(t, depth);
      case "array":
        return this.previewArray(t, depth);
      case "function":
        return this.previewFunction();
      case "void":
        return "<a void has no value>";
      case "unknown":
        return `<${t.reason}>`;
      default: {
        if (location.kind === "implicit-pointer") return this.previewImplicit(depth);
        const bytes = this.bytes(t.byteSize);
        if (!bytes.ok) return `<${bytes.reason}>`;
        if (t.kind === "base") return formatBase(t, bytes.value, this.options, this.field?.bitSize);
        if (t.kind === "enum") return formatEnum(t, bytes.value, this.options, this.field?.bitSize);
        return this.previewPointer(t, bytes.value, depth);
      }
    }
  }

  private previewImplicit(depth: number): string {
    const target = depth < PREVIEW_DEPTH ? this.dereference() : undefined;
    const value = target && ` points to ${target.preview(depth + 1)}`;
    return `<optimized out,${value ?? " a pointer that exists only in the source"}>`;
  }

  private previewFunction(): string {
    const { address } = this.storage;
    if (address === undefined) return "<a function without an address>";
    const symbol = this.options.symbolize?.(address);
    return `{${this.typeName}} 0x${address.toString(16).padStart(8, "0")}${symbol ? ` <${symbol}>` : ""}`;
  }

  private previewPointer(t: PointerType, bytes: Uint8Array, depth: number): string {
    const text = formatPointer(t, bytes, this.options);
    if (t.flavour !== "pointer") {
      const target = depth < PREVIEW_DEPTH ? this.dereference() : undefined;
      return target ? `@${text}: ${target.preview(depth + 1)}` : `@${text}`;
    }
    if (text === "NULL" || !isCharacter(t.target)) return text;
    const characters = this.textAt(Number(littleEndian(bytes)));
    return characters === undefined ? text : `${text} ${characters}`;
  }

  /** The text at an address, as far as memory can be read. */
  private textAt(address: number): string | undefined {
    const bytes: number[] = [];
    while (bytes.length < MAX_TEXT) {
      const size = Math.min(TEXT_CHUNK, MAX_TEXT - bytes.length);
      const chunk = this.storage.memory(address + bytes.length).read(size);
      const part = chunk.ok ? chunk.value : this.readable(address + bytes.length, size);
      bytes.push(...part);
      if (part.includes(0) || part.length < size) break;
    }
    if (bytes.length === 0) return "<memory cannot be read>";
    return textLiteral(Uint8Array.from(bytes), true);
  }

  private readable(address: number, size: number): number[] {
    const bytes: number[] = [];
    for (let i = 0; i < size; i++) {
      const byte = this.storage.memory(address + i).read(1);
      if (!byte.ok) break;
      bytes.push(byte.value[0]);
    }
    return bytes;
  }

  private previewStruct(t: StructType, depth: number): string {
    if (t.isDeclaration) return "<incomplete type>";
    if (t.members.length === 0) return "{}";
    if (depth >= PREVIEW_DEPTH) return "{...}";
    const parts: string[] = [];
    let length = 0;
    for (const node of this.memberNodes(t, this.storage, "", 0, PREVIEW_MEMBERS)) {
      const value = node.preview(depth + 1);
      const part = node.name.startsWith("(") ? value : `${node.name} = ${value}`;
      length += part.length + 2;
      if (length > PREVIEW_LENGTH && parts.length > 0) break;
      parts.push(part);
    }
    if (parts.length < t.members.length) parts.push("...");
    return `{${parts.join(", ")}}`;
  }

  private previewArray(t: ArrayType, depth: number): string {
    const count = this.elementCount(t);
    if (t.count === undefined && count === 0) return "<length is not known>";
    if (isCharacter(t.element)) {
      const shown = Math.min(count, MAX_TEXT);
      const bytes = this.storage.read(shown);
      if (!bytes.ok) return `<${bytes.reason}>`;
      const text = textLiteral(bytes.value, shown < count);
      if (text !== undefined) return text;
    }
    if (count === 0) return "{}";
    if (depth >= PREVIEW_DEPTH) return "{...}";
    const parts: string[] = [];
    let length = 0;
    for (const node of this.elementNodes(t, 0, PREVIEW_ELEMENTS)) {
      const part = node.preview(depth + 1);
      length += part.length + 2;
      if (length > PREVIEW_LENGTH && parts.length > 0) break;
      parts.push(part);
    }
    if (parts.length < count) parts.push("...");
    return `{${parts.join(", ")}}`;
  }

  private elementCount(t: ArrayType): number {
    return t.count ?? Math.min(this.options.countOf?.(t) ?? 0, 0x10_0000);
  }

  private elementNodes(t: ArrayType, start: number, count: number): ValueNode[] {
    const end = Math.min(this.elementCount(t), start + Math.max(0, count));
    const nodes: ValueNode[] = [];
    for (let i = Math.max(0, start); i < end; i++) {
      const node = this.elementNode(t, i + t.lowerBound);
      if (node) nodes.push(node);
    }
    return nodes;
  }

  private elementNode(t: ArrayType, index: number): ValueNode | undefined {
    const size = t.stride ?? sizeOf(t.element);
    if (size === undefined) return undefined;
    const name = `[${index}]`;
    const storage = this.storage.at((index - t.lowerBound) * size);
    return new ValueNode(name, t.element, storage, this.options, grouped(this.expression) + name);
  }

  private memberNodes(t: StructType, storage: Storage, prefix: string, start: number, count: number): ValueNode[] {
    return t.members.slice(start, start + Math.max(0, count)).map((m) => {
      const isNameless = m.name === undefined || m.isInheritance;
      const outer = prefix.endsWith("->") ? `(*${prefix.slice(0, -2)})` : prefix.slice(0, -1);
      const expression = isNameless ? outer : prefix + m.name;
      const field = m.bitSize === undefined ? undefined : { bitSize: m.bitSize, bitOffset: m.bitOffset ?? 0 };
      return new ValueNode(memberName(m), m.type, storage.at(m.byteOffset), this.options, expression, field, m.problem);
    });
  }

  /** What a pointer leads to; undefined if it is NULL, cannot be read or leads to nothing that has a value. */
  private pointed(t: PointerType): Storage | undefined {
    const target = stripped(t.target);
    if (t.flavour === "member-pointer" || target.kind === "void" || target.kind === "function") return undefined;
    if (target.kind === "unknown") return undefined;
    const { location } = this.storage;
    if (location.kind === "implicit-pointer")
      return this.options.implicitTarget?.(location.target)?.at(location.offset);
    const bytes = this.bytes(4);
    const address = bytes.ok ? Number(littleEndian(bytes.value)) : 0;
    return address === 0 ? undefined : this.storage.memory(address);
  }

  private pointedChildCount(t: PointerType): number {
    const target = stripped(t.target);
    // A definition that has to be looked for first is looked for when somebody opens the pointer.
    return target.kind === "struct" && !target.isPending ? target.members.length : 1;
  }

  private pointedNodes(t: PointerType): ValueNode[] {
    const storage = this.pointed(t);
    if (!storage) return [];
    const target = stripped(t.target);
    if (target.kind === "struct") {
      return this.memberNodes(target, storage, `${grouped(this.expression)}->`, 0, target.members.length);
    }
    const node = this.dereference();
    return node ? [node] : [];
  }
}

function memberName(m: Member): string {
  if (m.isInheritance) return `(base ${typeName(m.type)})`;
  if (m.name !== undefined) return m.name;
  const t = stripped(m.type);
  return t.kind === "struct" ? `(anonymous ${t.keyword})` : "(unnamed)";
}

/** A dereference needs parentheses before a member or an index is taken of it. */
function grouped(expression: string): string {
  return expression.startsWith("*") ? `(${expression})` : expression;
}

function isFloating(encoding: string): boolean {
  return encoding === "float" || encoding === "complex";
}
