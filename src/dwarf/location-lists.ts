// Where a variable is depends on where the program is: location lists give one expression for each range of addresses.
// .debug_loc for versions 2 to 4, .debug_loclists for 5 (gcc's view pairs are stepped over).
// DWARF 5, sections 2.6.2 and 7.29; DWARF 4, section 2.6.2.

import { type At, Lle } from "./constants";
import { highest, indexedOffset, wrap, wrapEnd } from "./ranges";
import type { Die, Unit } from "./unit";

export interface LocationEntry {
  /** Undefined range: the default, for where no other entry applies. */
  readonly range?: { readonly start: number; readonly end: number };
  readonly expression: Uint8Array;
}

/** What an attribute says about a location. */
export type LocationAttribute =
  | { readonly kind: "none" }
  | { readonly kind: "expression"; readonly expression: Uint8Array }
  | { readonly kind: "list"; readonly entries: readonly LocationEntry[] };

/** Reads a location attribute. Throws a DwarfError if it is malformed. */
export function locationOf(die: Die, attribute: At): LocationAttribute {
  const value = die.value(attribute);
  if (!value) return { kind: "none" };
  if (value.kind === "expression" || value.kind === "block") return { kind: "expression", expression: value.bytes };
  const { unit } = die;
  if (value.kind === "list-index") {
    return { kind: "list", entries: newList(unit, indexedOffset(unit, ".debug_loclists", value.number)) };
  }
  const offset = die.sectionOffset(attribute);
  if (offset === undefined) return { kind: "none" };
  return { kind: "list", entries: unit.version >= 5 ? newList(unit, offset) : oldList(unit, offset) };
}

/** The expression that applies at an address. */
export function expressionAt(location: LocationAttribute, address: number): Uint8Array | undefined {
  if (location.kind === "none") return undefined;
  if (location.kind === "expression") return location.expression;
  const entry =
    location.entries.find((e) => e.range && address >= e.range.start && address < e.range.end) ??
    location.entries.find((e) => !e.range);
  return entry?.expression;
}

function oldList(unit: Unit, offset: number): LocationEntry[] {
  const { addressSize } = unit.header;
  const r = unit.list.sections.reader(".debug_loc", offset);
  const entries: LocationEntry[] = [];
  let base = unit.baseAddress;
  for (;;) {
    const start = r.unsigned(addressSize);
    const end = r.unsigned(addressSize);
    if (start === 0 && end === 0) return entries;
    if (start === highest(addressSize)) base = end;
    else {
      const range = { start: wrap(base + start), end: wrapEnd(base + end) };
      entries.push({ range, expression: r.view(r.u16()) });
    }
  }
}

function newList(unit: Unit, offset: number): LocationEntry[] {
  const { addressSize } = unit.header;
  const r = unit.list.sections.reader(".debug_loclists", offset);
  const entries: LocationEntry[] = [];
  const indexed = () => unit.list.indexedAddress(unit, r.uleb());
  const push = (start: number, end: number) => {
    entries.push({ range: { start: wrap(start), end: wrapEnd(end) }, expression: r.view(r.uleb()) });
  };
  let base = unit.baseAddress;
  for (;;) {
    const kind: Lle = r.u8();
    switch (kind) {
      case Lle.end_of_list:
        return entries;
      case Lle.base_addressx:
        base = indexed();
        break;
      case Lle.base_address:
        base = r.unsigned(addressSize);
        break;
      case Lle.startx_endx: {
        push(indexed(), indexed());
        break;
      }
      case Lle.startx_length: {
        const start = indexed();
        push(start, start + r.uleb());
        break;
      }
      case Lle.offset_pair: {
        const start = r.uleb();
        push(base + start, base + r.uleb());
        break;
      }
      case Lle.default_location:
        entries.push({ expression: r.view(r.uleb()) });
        break;
      case Lle.start_end: {
        const start = r.unsigned(addressSize);
        push(start, r.unsigned(addressSize));
        break;
      }
      case Lle.start_length: {
        const start = r.unsigned(addressSize);
        push(start, start + r.uleb());
        break;
      }
      case Lle.GNU_view_pair:
        r.skipLeb();
        r.skipLeb();
        break;
      default:
        r.fail(`unknown location list entry ${kind}`, r.offset - 1);
    }
  }
}
