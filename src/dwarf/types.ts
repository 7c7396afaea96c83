// C types, as the compiler described them.
//
// A Type is a small object over an entry of .debug_info; what it leads to (the target of a pointer, the members of a
// structure) is read when asked for, so self-referential types cost nothing. TypeTable makes one object per entry: the
// same type is the same object. What cannot be read becomes an UnknownType with the reason.
// DWARF 5, section 5; bit-fields: section 5.7.6, and DWARF 3, section 5.5.4.

import { FormatError } from "../base";
import { At, Ate, Tag } from "./constants";
import type { Die } from "./unit";
import type { UnitList } from "./unit-list";

export type Type =
  | BaseType
  | PointerType
  | QualifiedType
  | TypedefType
  | StructType
  | ArrayType
  | EnumType
  | FunctionType
  | VoidType
  | UnknownType;

export type BaseEncoding = "signed" | "unsigned" | "char" | "boolean" | "float" | "complex" | "address" | "unknown";

export interface Member {
  /** Absent for anonymous structures and unions, whose members count as the outer one's. */
  readonly name?: string;
  readonly type: Type;
  readonly byteOffset: number;
  /** For a bit-field: its width, and its lowest bit counted from bit 0 of the byte at `byteOffset`. */
  readonly bitSize?: number;
  readonly bitOffset?: number;
  /** A base class. */
  readonly isInheritance: boolean;
  /** Why the offset is not known (a virtual base class, for one). */
  readonly problem?: string;
}

export interface Enumerator {
  readonly name: string;
  readonly value: bigint;
}

/** bool, char, int, float and their like. */
export class BaseType {
  readonly kind = "base";
  readonly isSigned: boolean;

  constructor(
    readonly name: string,
    readonly byteSize: number,
    readonly encoding: BaseEncoding,
    isSigned: boolean,
  ) {
    this.isSigned = isSigned;
  }
}

export class PointerType {
  readonly kind = "pointer";

  constructor(
    readonly byteSize: number,
    readonly flavour: "pointer" | "reference" | "rvalue-reference" | "member-pointer",
    private readonly readTarget: () => Type,
    readonly name?: string,
  ) {}

  get target(): Type {
    return this.readTarget();
  }
}

/** const, volatile, restrict, _Atomic around another type. */
export class QualifiedType {
  readonly kind = "qualified";

  constructor(
    readonly qualifier: "const" | "volatile" | "restrict" | "_Atomic" | "",
    private readonly readTarget: () => Type,
  ) {}

  get target(): Type {
    return this.readTarget();
  }

  get byteSize(): number | undefined {
    return sizeOf(this.target);
  }
}

export class TypedefType {
  readonly kind = "typedef";

  constructor(
    readonly name: string,
    private readonly readTarget: () => Type,
  ) {}

  get target(): Type {
    return this.readTarget();
  }

  get byteSize(): number | undefined {
    return sizeOf(this.target);
  }
}

export class StructType {
  readonly kind = "struct";
  private held: readonly Member[] | undefined;
  /** The definition of what is only declared here; undefined until it was looked for, then null if there is none. */
  private definition: StructType | null | undefined;

  constructor(
    readonly keyword: "struct" | "union" | "class",
    readonly name: string | undefined,
    private readonly ownSize: number | undefined,
    private readonly readMembers: () => readonly Member[],
    /** For a declaration: finds the definition. That may take long, so it is put off until members or size are asked for. */
    private readonly findDefinition?: () => StructType | undefined,
  ) {}

  /** Whether it is only declared, and nobody has looked for its definition yet. */
  get isPending(): boolean {
    return this.findDefinition !== undefined && this.definition === undefined;
  }

  /** Declared only: nothing in the program defines it. */
  get isDeclaration(): boolean {
    return this.findDefinition !== undefined && !this.resolve();
  }

  get byteSize(): number | undefined {
    return this.resolve()?.byteSize ?? this.ownSize;
  }

  get members(): readonly Member[] {
    this.held ??= this.resolve()?.members ?? this.readMembers();
    return this.held;
  }

  private resolve(): StructType | undefined {
    if (this.definition === undefined) this.definition = this.findDefinition?.() ?? null;
    return this.definition ?? undefined;
  }
}

/** One dimension; the element of an outer dimension is an array itself. */
export class ArrayType {
  readonly kind = "array";

  constructor(
    private readonly readElement: () => Type,
    /** Undefined where the bound is not known (`extern int a[]`, a flexible member, a variable length). */
    readonly count: number | undefined,
    readonly lowerBound: number,
    /** Distance of elements in bytes, where it is not the element's size. */
    readonly stride: number | undefined,
    readonly isVector: boolean,
    /** Where the count is found at run time. */
    readonly dynamicCount?: Die,
  ) {}

  get element(): Type {
    return this.readElement();
  }

  get byteSize(): number | undefined {
    const size = this.stride ?? sizeOf(this.element);
    return this.count === undefined || size === undefined ? undefined : this.count * size;
  }
}

export class EnumType {
  readonly kind = "enum";
  private held: readonly Enumerator[] | undefined;

  constructor(
    readonly name: string | undefined,
    readonly byteSize: number,
    readonly isSigned: boolean,
    private readonly readEnumerators: () => readonly Enumerator[],
  ) {}

  get enumerators(): readonly Enumerator[] {
    this.held ??= this.readEnumerators();
    return this.held;
  }

  /** Whether the values are bits to be or'ed: all but zero are made of bits that no other single-bit value has. */
  get isFlags(): boolean {
    const bits = this.enumerators.filter((e) => e.value !== 0n);
    return bits.length >= 2 && bits.every((e) => e.value > 0n && (e.value & (e.value - 1n)) === 0n);
  }
}

export class FunctionType {
  readonly kind = "function";
  readonly byteSize = undefined;

  constructor(
    private readonly readReturn: () => Type,
    private readonly readParameters: () => readonly Type[],
    readonly isVariadic: boolean,
    readonly isPrototyped: boolean,
  ) {}

  get returnType(): Type {
    return this.readReturn();
  }

  get parameters(): readonly Type[] {
    return this.readParameters();
  }
}

export class VoidType {
  readonly kind = "void";
  readonly name = "void";
  readonly byteSize = undefined;
}

/** A type that could not be read, or of a kind that C does not have. */
export class UnknownType {
  readonly kind = "unknown";

  constructor(
    readonly reason: string,
    readonly name?: string,
    readonly byteSize?: number,
  ) {}
}

export const VOID = new VoidType();

/** A chain of typedefs and qualifiers longer than this goes in a circle. */
const MAX_CHAIN = 64;
const MAX_MEMBERS = 100_000;
/** Kept types; beyond that the table starts anew (objects handed out stay good). */
const MAX_TYPES = 200_000;

/** Size in bytes; undefined where there is none or it is not known. */
export function sizeOf(type: Type): number | undefined {
  return stripped(type).byteSize;
}

/** The type behind typedefs and qualifiers. */
export function stripped(type: Type): Exclude<Type, TypedefType | QualifiedType> {
  let t = type;
  for (let i = 0; i < MAX_CHAIN; i++) {
    if (t.kind !== "typedef" && t.kind !== "qualified") return t;
    t = t.target;
  }
  return new UnknownType("the type is defined by itself");
}

/** The type behind qualifiers only: typedef names stay. */
export function unqualified(type: Type): Type {
  let t = type;
  for (let i = 0; i < MAX_CHAIN && t.kind === "qualified"; i++) t = t.target;
  return t;
}

export class TypeTable {
  private types = new Map<number, Type>();

  constructor(
    private readonly list: UnitList,
    /** Finds the entry that defines what is only declared: same tag, same name, other unit. */
    private readonly definitionOf: (declaration: Die) => Die | undefined,
  ) {}

  /** The type that an entry's DW_AT_type names; void where there is none. */
  typeOf(die: Die): Type {
    try {
      const owner = die.inherited(At.type);
      if (!owner) return VOID;
      const target = owner.reference(At.type);
      if (target) return this.ofDie(target);
      const value = owner.value(At.type);
      return new UnknownType(value?.kind === "elsewhere" ? value.reason : "the debug information points to no type");
    } catch (error) {
      return this.unknown(error);
    }
  }

  /** The type that an entry defines. */
  ofDie(die: Die): Type {
    const { key } = die;
    let type = this.types.get(key);
    if (!type) {
      try {
        type = this.read(die);
      } catch (error) {
        type = this.unknown(error);
      }
      if (this.types.size >= MAX_TYPES) this.types = new Map();
      this.types.set(key, type);
    }
    return type;
  }

  /** A list that is read late, from a getter, which must not throw: what cannot be read is an empty list. */
  private guarded<T>(read: () => readonly T[]): readonly T[] {
    try {
      return read();
    } catch (error) {
      this.unknown(error);
      return [];
    }
  }

  private unknown(error: unknown): UnknownType {
    if (!(error instanceof FormatError)) throw error;
    this.list.report(error);
    return new UnknownType(error.message);
  }

  private read(die: Die): Type {
    const target = () => this.typeOf(die);
    const name = die.text(At.name);
    switch (die.tag) {
      case Tag.base_type:
        return readBase(die, name ?? "(unnamed type)");
      case Tag.pointer_type:
        return this.pointer(die, "pointer", name);
      case Tag.reference_type:
        return this.pointer(die, "reference", name);
      case Tag.rvalue_reference_type:
        return this.pointer(die, "rvalue-reference", name);
      case Tag.ptr_to_member_type:
        return this.pointer(die, "member-pointer", name);
      case Tag.const_type:
        return new QualifiedType("const", target);
      case Tag.volatile_type:
        return new QualifiedType("volatile", target);
      case Tag.restrict_type:
        return new QualifiedType("restrict", target);
      case Tag.atomic_type:
        return new QualifiedType("_Atomic", target);
      case Tag.shared_type:
      case Tag.immutable_type:
        return new QualifiedType("", target);
      case Tag.typedef:
        return new TypedefType(name ?? "(unnamed type)", target);
      case Tag.structure_type:
        return this.struct(die, "struct");
      case Tag.union_type:
        return this.struct(die, "union");
      case Tag.class_type:
      case Tag.interface_type:
        return this.struct(die, "class");
      case Tag.array_type:
        return this.array(die);
      case Tag.enumeration_type:
        return this.enumeration(die);
      case Tag.subroutine_type:
      case Tag.subprogram:
        return this.functionType(die);
      case Tag.subrange_type:
        return die.has(At.type) ? new QualifiedType("", target) : new UnknownType("a range without a type", name);
      case Tag.unspecified_type:
        return new UnknownType("a type that the language leaves open", name);
      default:
        return new UnknownType(`a kind of type (tag 0x${die.tag.toString(16)}) that is not supported`, name);
    }
  }

  private pointer(die: Die, flavour: PointerType["flavour"], name?: string): PointerType {
    const size = die.number(At.byte_size) ?? die.unit.header.addressSize;
    return new PointerType(size, flavour, () => this.typeOf(die), name);
  }

  private struct(die: Die, keyword: StructType["keyword"]): Type {
    const name = die.text(At.name) === undefined ? undefined : die.qualifiedName;
    const size = die.number(At.byte_size);
    const members = () => this.members(die);
    if (!die.flag(At.declaration)) return new StructType(keyword, name, size, members);
    return new StructType(keyword, name, size, members, () => {
      const [definition] = this.guarded(() => [this.defined(die)]);
      return definition?.kind === "struct" ? definition : undefined;
    });
  }

  /** The type that defines what an entry only declares. */
  private defined(declaration: Die): Type | undefined {
    const die = declaration.has(At.signature) ? declaration.reference(At.signature) : this.definitionOf(declaration);
    return die && die.key !== declaration.key && !die.flag(At.declaration) ? this.ofDie(die) : undefined;
  }

  private members(die: Die): Member[] {
    const members: Member[] = [];
    try {
      for (const child of die.children()) {
        if (members.length >= MAX_MEMBERS) break;
        // Versions 2 and 3 describe a static member as a declaration.
        if (child.tag === Tag.member && (child.flag(At.external) || child.flag(At.declaration))) continue;
        if (child.tag === Tag.member || child.tag === Tag.inheritance) members.push(this.member(child));
        if (child.tag === Tag.variant_part) members.push(...this.variants(child));
      }
    } catch (error) {
      members.push({ type: this.unknown(error), byteOffset: 0, isInheritance: false, problem: "it cannot be read" });
    }
    return members;
  }

  /** The alternatives of a Rust enum, as members that share the storage. */
  private variants(part: Die): Member[] {
    const members: Member[] = [];
    for (const variant of part.children()) {
      for (const child of variant.children()) if (child.tag === Tag.member) members.push(this.member(child));
    }
    return members;
  }

  private member(die: Die): Member {
    const type = this.typeOf(die);
    const place = die.value(At.data_member_location);
    let byteOffset = 0;
    let problem: string | undefined;
    if (place?.kind === "constant") byteOffset = Number(place.big);
    else if (place?.kind === "block" || place?.kind === "expression") {
      const offset = constantOffset(place.bytes);
      if (offset === undefined) problem = "its place is known only at run time";
      else byteOffset = offset;
    }
    const isInheritance = die.tag === Tag.inheritance;
    const member = { name: die.text(At.name), type, byteOffset, isInheritance, problem };
    const bitSize = die.number(At.bit_size);
    if (bitSize === undefined) return member;
    return { ...member, bitSize, ...bitPlace(die, byteOffset, bitSize, type) };
  }

  private array(die: Die): Type {
    const dimensions: Die[] = [];
    for (const child of die.children()) {
      if (child.tag === Tag.subrange_type || child.tag === Tag.enumeration_type) dimensions.push(child);
    }
    const isVector = die.flag(At.GNU_vector);
    const bitStride = die.number(At.bit_stride);
    const stride =
      die.number(At.byte_stride) ?? (bitStride !== undefined && bitStride % 8 === 0 ? bitStride / 8 : undefined);
    let element = () => this.typeOf(die);
    let type: Type | undefined;
    for (const dimension of dimensions.reverse()) {
      const readElement = element;
      const made = readDimension(dimension, readElement, type === undefined ? stride : undefined, isVector);
      type = made;
      element = () => made;
    }
    return type ?? new ArrayType(element, undefined, 0, stride, isVector);
  }

  private enumeration(die: Die): Type {
    const definition = die.flag(At.declaration) ? this.defined(die) : undefined;
    if (definition) return definition;
    const read = () => this.guarded(() => readEnumerators(die));
    const underlying = die.has(At.type) ? stripped(this.typeOf(die)) : undefined;
    const size = die.number(At.byte_size) ?? underlying?.byteSize ?? 4;
    const isSigned = underlying?.kind === "base" ? underlying.isSigned : read().some((e) => e.value < 0n);
    const name = die.text(At.name) === undefined ? undefined : die.qualifiedName;
    return new EnumType(name, size, isSigned, () => {
      const list = read();
      return isSigned ? list : list.map((e) => ({ ...e, value: BigInt.asUintN(size * 8, e.value) }));
    });
  }

  private functionType(die: Die): FunctionType {
    let isVariadic = false;
    for (const child of die.children()) if (child.tag === Tag.unspecified_parameters) isVariadic = true;
    const parameters = () => {
      const types: Type[] = [];
      for (const child of die.children()) if (child.tag === Tag.formal_parameter) types.push(this.typeOf(child));
      return types;
    };
    return new FunctionType(
      () => this.typeOf(die),
      () => this.guarded(parameters),
      isVariadic,
      die.flag(At.prototyped),
    );
  }
}

function readBase(die: Die, name: string): BaseType {
  const size = die.number(At.byte_size) ?? Math.ceil((die.number(At.bit_size) ?? 0) / 8);
  const encoding: Ate = die.number(At.encoding) ?? Ate.unsigned;
  const isSigned = encoding === Ate.signed || encoding === Ate.signed_char;
  return new BaseType(name, size, ENCODINGS[encoding] ?? "unknown", isSigned);
}

const ENCODINGS: Readonly<Partial<Record<Ate, BaseEncoding>>> = {
  [Ate.address]: "address",
  [Ate.boolean]: "boolean",
  [Ate.complex_float]: "complex",
  [Ate.float]: "float",
  [Ate.signed]: "signed",
  [Ate.unsigned]: "unsigned",
  [Ate.signed_char]: "char",
  [Ate.unsigned_char]: "char",
  [Ate.UTF]: "char",
  [Ate.ASCII]: "char",
};

function readDimension(die: Die, element: () => Type, stride: number | undefined, isVector: boolean): ArrayType {
  const lower = die.number(At.lower_bound) ?? 0;
  if (die.tag === Tag.enumeration_type) {
    return new ArrayType(element, readEnumerators(die).length, lower, stride, isVector);
  }
  let count: number | undefined;
  const countValue = die.value(At.count);
  const upper = die.value(At.upper_bound);
  if (countValue?.kind === "constant") count = Number(countValue.big);
  else if (upper?.kind === "constant") {
    // An upper bound of -1 is how gcc writes `[0]`; as four unsigned bytes it cannot mean anything else.
    const isEmpty = upper.bits >= 32 && BigInt.asIntN(upper.bits, upper.big) === -1n;
    count = isEmpty ? 0 : Number(upper.big - BigInt(lower) + 1n);
  }
  if (count !== undefined && !(count >= 0 && count <= 0xffffffff)) count = undefined;
  const isDynamic = count === undefined && (countValue !== undefined || upper !== undefined);
  return new ArrayType(element, count, lower, stride, isVector, isDynamic ? die : undefined);
}

function readEnumerators(die: Die): Enumerator[] {
  const list: Enumerator[] = [];
  for (const child of die.children()) {
    if (child.tag !== Tag.enumerator) continue;
    const value = child.value(At.const_value);
    if (value?.kind !== "constant") continue;
    list.push({ name: child.text(At.name) ?? "(unnamed)", value: value.big });
  }
  return list;
}

/** DW_OP_plus_uconst N or a constant: the offset that old compilers write as an expression. */
function constantOffset(expression: Uint8Array): number | undefined {
  if (expression[0] !== 0x23 && expression[0] !== 0x10) return expression.length === 0 ? 0 : undefined;
  let value = 0;
  for (let i = 1; i < expression.length; i++) {
    value += (expression[i] & 0x7f) * 2 ** (7 * (i - 1));
    if (expression[i] < 0x80) return i === expression.length - 1 ? value : undefined;
  }
  return undefined;
}

/** The lowest bit of a bit-field, from bit 0 of the byte at the member's offset. */
function bitPlace(
  die: Die,
  byteOffset: number,
  bitSize: number,
  type: Type,
): { byteOffset: number; bitOffset: number } {
  const dataBitOffset = die.number(At.data_bit_offset);
  if (dataBitOffset !== undefined) {
    const bit = byteOffset * 8 + dataBitOffset;
    return { byteOffset: Math.floor(bit / 8), bitOffset: bit % 8 };
  }
  // The old way counts from the highest bit of a storage unit of DW_AT_byte_size.
  const fromTop = die.number(At.bit_offset);
  if (fromTop === undefined) return { byteOffset, bitOffset: 0 };
  const storage = die.number(At.byte_size) ?? sizeOf(type) ?? 4;
  const bit = byteOffset * 8 + storage * 8 - Number(BigInt.asIntN(32, BigInt(fromTop))) - bitSize;
  return { byteOffset: Math.floor(bit / 8), bitOffset: ((bit % 8) + 8) % 8 };
}
