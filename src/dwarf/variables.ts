// Variables: which are in scope where, of which type, and where their values are.
//
// A frame's variables are those of its function (or inlined call) and of the lexical blocks around the address; blocks
// that were inlined belong to frames of their own. What the abstract function has and its concrete copy leaves out is
// shown as optimized out, as a reader of the source expects to see it. DWARF 5, sections 3.5, 4.1 and 2.6.

import { At, Op, Tag } from "./constants";
import { evaluateLocation, toBytes } from "./expression";
import type { Frames } from "./frames";
import type { Functions } from "./functions";
import type { SourcePosition } from "./lines";
import { type FrameContext, type Location, optimizedOut, unavailable } from "./location";
import { expressionAt, locationOf } from "./location-lists";
import { contains, hasRanges, rangesOf } from "./ranges";
import { sizeOf, type Type, type TypeTable } from "./types";
import type { Die, Unit } from "./unit";

export interface Variable {
  readonly name: string;
  /** `static`: a local variable that lives for ever. */
  readonly kind: "argument" | "local" | "static" | "global";
  readonly type: Type;
  readonly declaration?: SourcePosition;
  /** Nesting of blocks: 0 for the function's own. */
  readonly depth: number;
  /** An inner variable of the same name hides it here. */
  readonly isShadowed: boolean;
  /** Made by the compiler (`this`, a hidden length). */
  readonly isArtificial: boolean;
  readonly die: Die;
}

const MAX_VARIABLES = 10_000;

export class Variables {
  constructor(
    private readonly types: TypeTable,
    private readonly functions: Functions,
    private readonly frames: Frames,
    /** Finds the definition of a variable that is only declared here. */
    private readonly definitionOf: (declaration: Die) => Die | undefined,
  ) {}

  /** The variables in scope at an address in a frame's function or inlined call, outer blocks first. */
  inScope(root: Die, address: number): Variable[] {
    const variables: Variable[] = [];
    let scope: Die | undefined = root;
    for (let depth = 0; scope && depth < 256; depth++) {
      variables.push(...this.declaredIn(scope, depth));
      let inner: Die | undefined;
      for (const child of scope.children()) {
        if (!isBlock(child) || !hasRanges(child) || !contains(rangesOf(child), address)) continue;
        inner = child;
        break;
      }
      scope = inner;
    }
    const innermost = new Map(variables.map((v) => [v.name, v]));
    return variables.map((v) => (innermost.get(v.name) === v ? v : { ...v, isShadowed: true }));
  }

  /** The variables of a unit's file level, definitions only. */
  globalsOf(unit: Unit): Variable[] {
    const variables: Variable[] = [];
    const collect = (scope: Die, depth: number) => {
      for (const child of scope.children()) {
        if (variables.length >= MAX_VARIABLES) return;
        if (child.tag === Tag.namespace && depth < 16) collect(child, depth + 1);
        if (child.tag !== Tag.variable || child.flag(At.declaration)) continue;
        if (child.has(At.location) || child.has(At.const_value)) variables.push(this.global(child));
      }
    };
    collect(unit.root, 0);
    return variables;
  }

  /** A file-level variable. */
  global(die: Die): Variable {
    return { ...this.describe(die, 0), name: die.qualifiedName ?? "(unnamed)", kind: "global" };
  }

  /** Where a variable's value is, for a frame. Never throws about data. */
  locate(variable: Variable, frame: FrameContext): Location {
    const { die } = variable;
    const constant = this.constantValue(die, variable.type);
    if (constant) return constant;
    const owner = die.inherited(At.location);
    if (!owner) return optimizedOut("optimized out");
    const location = locationOf(owner, At.location);
    const expression = expressionAt(location, frame.pc);
    if (expression) return evaluateLocation(expression, this.frames.scope(owner.unit, frame), frame);
    if (location.kind !== "list") return optimizedOut("optimized out");
    const known = location.entries.filter((e) => e.range && e.range.end > e.range.start && e.expression.length > 0);
    if (known.length === 0) return optimizedOut("optimized out");
    const where = known
      .slice(0, 3)
      .map((e) => `${hex(e.range?.start ?? 0)}..${hex(e.range?.end ?? 0)}`)
      .join(", ");
    return optimizedOut(`optimized out here (it has a value at ${where}${known.length > 3 ? ", ..." : ""})`);
  }

  /** Where the variable is that an entry describes. */
  locateDie(die: Die, frame: FrameContext): Location {
    return this.locate(this.describe(die, 0), frame);
  }

  /** How many elements an array of variable length has. */
  countOf(die: Die, frame: FrameContext): number | undefined {
    const read = (attribute: At): number | undefined => {
      const target = die.reference(attribute);
      const expression = die.expression(attribute);
      const scope = this.frames.scope(die.unit, frame);
      const number = (location: Location, size: number): number | undefined => {
        if (location.kind === "value") return toNumber(location.bytes.subarray(0, 4));
        if (location.kind === "register") return frame.register(location.register);
        if (location.kind !== "memory") return undefined;
        const bytes = frame.readMemory(location.address, size);
        return bytes && toNumber(bytes);
      };
      if (target) {
        const variable = this.describe(target, 0);
        return number(this.locate(variable, frame), Math.min(4, sizeOf(variable.type) ?? 4));
      }
      if (!expression) return undefined;
      // The expression computes the bound itself: its result is a number, not a place.
      const location = evaluateLocation(expression, scope, frame);
      return location.kind === "memory" ? location.address : number(location, 4);
    };
    const count = read(At.count);
    if (count !== undefined) return count;
    const upper = read(At.upper_bound);
    return upper === undefined ? undefined : ((upper | 0) - (die.number(At.lower_bound) ?? 0) + 1) >>> 0;
  }

  private *declaredIn(scope: Die, depth: number): IterableIterator<Variable> {
    const seen = new Set<number>();
    for (const child of scope.children()) {
      if (child.tag !== Tag.formal_parameter && child.tag !== Tag.variable) continue;
      const origin = child.reference(At.abstract_origin);
      if (origin) seen.add(origin.key);
      if (child.name !== undefined) yield this.describe(child, depth);
    }
    const abstract = scope.reference(At.abstract_origin);
    if (!abstract) return;
    for (const child of abstract.children()) {
      if (child.tag !== Tag.formal_parameter && child.tag !== Tag.variable) continue;
      if (!seen.has(child.key) && child.name !== undefined) yield this.describe(child, depth);
    }
  }

  private describe(declared: Die, depth: number): Variable {
    const isDeclaration = declared.tag === Tag.variable && declared.flag(At.declaration);
    const die = (isDeclaration && this.definitionOf(declared)) || declared;
    return {
      name: die.name ?? "(unnamed)",
      kind: declared.tag === Tag.formal_parameter ? "argument" : isDeclaration ? "global" : storageOf(die),
      type: this.types.typeOf(die),
      declaration: this.functions.positionOf(die, At.decl_file, At.decl_line, At.decl_column),
      depth,
      isShadowed: false,
      isArtificial: die.inherited(At.artificial)?.flag(At.artificial) ?? false,
      die,
    };
  }

  private constantValue(die: Die, type: Type): Location | undefined {
    const owner = die.inherited(At.const_value);
    const value = owner?.value(At.const_value);
    if (!owner || !value || die.has(At.location)) return undefined;
    switch (value.kind) {
      case "constant":
        return { kind: "value", bytes: toBytes(value.big, sizeOf(type) ?? 4) };
      case "block":
      case "expression":
        return { kind: "value", bytes: value.bytes };
      case "address":
      case "address-index":
        return { kind: "value", bytes: toBytes(BigInt(owner.address(At.const_value) ?? 0), 4) };
      case "text":
      case "text-offset":
      case "text-index": {
        const text = owner.text(At.const_value) ?? "";
        return { kind: "value", bytes: Uint8Array.from([...text, "\0"], (c) => c.charCodeAt(0) & 0xff) };
      }
      default:
        return unavailable("its constant value is of an unknown form");
    }
  }
}

/** Lexical blocks, and inlined calls that are not frames of their own because nobody said where they were called. */
function isBlock(die: Die): boolean {
  return die.tag === Tag.lexical_block || (die.tag === Tag.inlined_subroutine && !die.has(At.call_line));
}

/** A local variable at a fixed address was declared static: its expression is an address and nothing else. */
function storageOf(die: Die): Variable["kind"] {
  const location = die.inherited(At.location)?.expression(At.location);
  const isFixed =
    location !== undefined && ((location[0] === Op.addr && location.length === 5) || location[0] === Op.addrx);
  return isFixed ? "static" : "local";
}

function toNumber(bytes: Uint8Array): number {
  let value = 0;
  for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + bytes[i];
  return value;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
