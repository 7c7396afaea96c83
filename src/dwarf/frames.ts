// What expressions ask of the frame they are evaluated in: the frame base of its function, its canonical frame address,
// and what a register held when the function was entered. The last is known only from the caller: its call site
// entries say what it passed. DWARF 5, sections 3.3.5 (frame base), 3.4 (call sites) and 6.4.

import type { CallFrameInformation } from "./cfi";
import { At, Tag } from "./constants";
import { attempt, found, type Lookup, refused } from "./errors";
import { type ExpressionScope, evaluateNumber, type Refused } from "./expression";
import type { Functions } from "./functions";
import type { FrameContext } from "./location";
import { expressionAt, locationOf } from "./location-lists";
import type { ValueType } from "./typed-values";
import { type BaseType, stripped, type TypeTable } from "./types";
import { type Die, tagAt, type Unit } from "./unit";
import { cfaOf } from "./unwind";

/** Frames that are looked up while another is being computed: more than this goes in a circle. */
const MAX_DEPTH = 8;

export class Frames {
  private depth = 0;

  constructor(
    private readonly functions: Functions,
    private readonly types: TypeTable,
    private readonly cfi: CallFrameInformation,
  ) {}

  /** The scope for expressions of a unit's entries, evaluated in a frame. */
  scope(unit: Unit, frame: FrameContext): ExpressionScope {
    const { addressSize, offsetSize, version } = unit.header;
    return {
      addressSize,
      offsetSize,
      version,
      baseType: (offset) => this.baseType(unit, offset),
      indexedAddress: (index) => unit.list.indexedAddress(unit, index),
      subExpression: (offset, isInfo) => {
        const die = isInfo ? unit.list.entryAtInfoOffset(offset) : unit.entryAt(offset);
        return die && expressionAt(locationOf(die, At.location), frame.pc);
      },
      frameBase: () => this.nested(() => this.frameBase(frame)),
      cfa: () => this.nested(() => this.cfa(frame)),
      entryValue: (expression) => this.nested(() => this.entryValue(expression, frame)),
    };
  }

  /** The canonical frame address of a frame. */
  cfa(frame: FrameContext): number | Refused {
    const given = frame.cfa?.();
    if (given !== undefined) return given;
    const row = attempt(() => {
      const row = this.cfi.rowAt(frame.pc);
      return row
        ? found(row)
        : refused("no call frame information covers this address (a linker script may discard .eh_frame)");
    });
    return row.ok ? cfaOf(row.value, frame) : { reason: row.reason };
  }

  /** The frame base of the function that a frame is in. */
  frameBase(frame: FrameContext): number | Refused {
    const given = frame.frameBase?.();
    if (given !== undefined) return given;
    const fn = this.functions.at(frame.pc)?.die;
    const owner = fn?.inherited(At.frame_base);
    const expression = owner && expressionAt(locationOf(owner, At.frame_base), frame.pc);
    if (!fn || !expression) return { reason: "the function's frame base is not known at this address" };
    return evaluateNumber(expression, this.scope(fn.unit, frame), frame);
  }

  private nested(read: () => number | Refused): number | Refused {
    if (this.depth >= MAX_DEPTH) return { reason: "its location depends on itself" };
    this.depth++;
    try {
      const result = attempt<number | Refused>(() => found(read()));
      return result.ok ? result.value : { reason: result.reason };
    } finally {
      this.depth--;
    }
  }

  /** What `expression` (a register, as a rule) gave when the function was entered, as its caller's call site tells. */
  private entryValue(expression: Uint8Array, frame: FrameContext): number | Refused {
    const caller = frame.caller?.();
    if (!caller) return { reason: "optimized out: its value on entry is lost (the caller is not known)" };
    const site = this.callSite(caller);
    if (!site.ok) return { reason: `optimized out: its value on entry is lost (${site.reason})` };
    for (const parameter of site.value.children()) {
      if (parameter.tag !== Tag.call_site_parameter && parameter.tag !== Tag.GNU_call_site_parameter) continue;
      const place = parameter.expression(At.location);
      if (!place || !isSame(place, expression)) continue;
      const value = parameter.expression(At.call_value) ?? parameter.expression(At.GNU_call_site_value);
      if (value) return evaluateNumber(value, this.scope(parameter.unit, caller), caller);
    }
    return { reason: "optimized out: its value on entry is lost (the caller does not say what it passed)" };
  }

  private callSite(caller: FrameContext): Lookup<Die> {
    const fn = this.functions.at(caller.pc);
    if (!fn) return refused("nothing is known of the caller's function");
    const returnAddress = caller.pc + 1;
    const tree = fn.die.unit.tree();
    for (let slot = fn.die.slot + 1; slot < tree.ends[fn.die.slot]; slot++) {
      const tag = tagAt(tree, slot);
      if (tag !== Tag.call_site && tag !== Tag.GNU_call_site) continue;
      const die = fn.die.unit.at(slot);
      const behind = die.address(At.call_return_pc) ?? die.address(At.low_pc);
      if (behind === returnAddress) return found(die);
    }
    return refused("the compiler described no call there");
  }

  private baseType(unit: Unit, offset: number): ValueType | undefined {
    const die = unit.entryAt(offset);
    const type = die && stripped(this.types.ofDie(die));
    return type?.kind === "base" ? valueTypeOf(type) : undefined;
  }
}

function valueTypeOf(type: BaseType): ValueType {
  const encoding = type.encoding === "float" ? "float" : type.isSigned ? "signed" : "unsigned";
  return { size: type.byteSize, encoding };
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
