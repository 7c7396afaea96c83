// Which addresses an entry covers.
//
// DW_AT_low_pc and DW_AT_high_pc, or a list in .debug_ranges (versions 2 to 4) or
// .debug_rnglists (5). DWARF 5, sections 2.17 and 7.28; DWARF 4, section 2.17.3.

import { At, Rle } from "./constants";
import type { DwarfReader } from "./reader";
import type { Die, Unit } from "./unit";

/** Addresses from `start` up to, but without, `end`. */
export interface AddressRange {
  readonly start: number;
  readonly end: number;
}

export function contains(ranges: readonly AddressRange[], address: number): boolean {
  return ranges.some((r) => address >= r.start && address < r.end);
}

/** Whether an entry says anything about addresses, without reading them. */
export function hasRanges(die: Die): boolean {
  return die.has(At.low_pc) || die.has(At.ranges);
}

/**
 * The addresses of an entry, empty ranges and code that the linker discarded left out.
 * Throws a DwarfError if they are malformed.
 */
export function rangesOf(die: Die): AddressRange[] {
  const { unit } = die;
  const isReal = (r: AddressRange) => r.end > r.start && unit.list.sections.isMapped(r.start);
  const list = die.value(At.ranges);
  if (list) {
    if (list.kind === "list-index")
      return rangeList(unit, indexedOffset(unit, ".debug_rnglists", list.number)).filter(isReal);
    const offset = die.sectionOffset(At.ranges);
    if (offset !== undefined) return rangeList(unit, offset).filter(isReal);
  }
  const start = die.address(At.low_pc);
  if (start === undefined) return [];
  const high = die.value(At.high_pc);
  // A constant is a length, an address is an end (version 4 introduced the first).
  const end = high?.kind === "constant" ? start + Number(high.big) : die.address(At.high_pc);
  return end === undefined ? [] : [{ start, end: Math.min(end, 0x1_0000_0000) }].filter(isReal);
}

/** Offset of the list with this index, by way of the table behind the section's header. */
export function indexedOffset(unit: Unit, section: ".debug_rnglists" | ".debug_loclists", index: number): number {
  const { offsetSize } = unit.header;
  const attribute = section === ".debug_rnglists" ? At.rnglists_base : At.loclists_base;
  const base = unit.base(attribute, offsetSize === 4 ? 12 : 20);
  return base + unit.list.sections.reader(section, base + index * offsetSize).offsetOf(offsetSize);
}

function rangeList(unit: Unit, offset: number): AddressRange[] {
  return unit.version >= 5 ? newRangeList(unit, offset) : oldRangeList(unit, offset);
}

function oldRangeList(unit: Unit, offset: number): AddressRange[] {
  const { addressSize } = unit.header;
  const r = unit.list.sections.reader(".debug_ranges", offset);
  const ranges: AddressRange[] = [];
  let base = unit.baseAddress;
  for (;;) {
    const start = r.unsigned(addressSize);
    const end = r.unsigned(addressSize);
    if (start === 0 && end === 0) return ranges;
    if (start === highest(addressSize)) base = end;
    else ranges.push({ start: wrap(base + start), end: wrapEnd(base + end) });
  }
}

function newRangeList(unit: Unit, offset: number): AddressRange[] {
  const { addressSize } = unit.header;
  const r = unit.list.sections.reader(".debug_rnglists", offset);
  const ranges: AddressRange[] = [];
  const indexed = () => unit.list.indexedAddress(unit, r.uleb());
  let base = unit.baseAddress;
  for (;;) {
    const kind: Rle = r.u8();
    switch (kind) {
      case Rle.end_of_list:
        return ranges;
      case Rle.base_addressx:
        base = indexed();
        break;
      case Rle.base_address:
        base = r.unsigned(addressSize);
        break;
      case Rle.startx_endx:
        ranges.push({ start: indexed(), end: indexed() });
        break;
      case Rle.startx_length:
        ranges.push(startAndLength(indexed(), r));
        break;
      case Rle.offset_pair:
        ranges.push({ start: wrap(base + r.uleb()), end: wrapEnd(base + r.uleb()) });
        break;
      case Rle.start_end:
        ranges.push({ start: r.unsigned(addressSize), end: r.unsigned(addressSize) });
        break;
      case Rle.start_length:
        ranges.push(startAndLength(r.unsigned(addressSize), r));
        break;
      default:
        r.fail(`unknown range list entry ${kind}`, r.offset - 1);
    }
  }
}

function startAndLength(start: number, r: DwarfReader): AddressRange {
  return { start, end: start + r.uleb() };
}

/** The largest address: it marks a base address in the old lists. */
export function highest(addressSize: number): number {
  return addressSize === 4 ? 0xffffffff : Number.MAX_SAFE_INTEGER;
}

/** Addresses wrap at 4 GiB. */
export function wrap(address: number): number {
  return address >= 0x1_0000_0000 ? address % 0x1_0000_0000 : address;
}

/** As `wrap`, but an end may be 4 GiB itself. */
export function wrapEnd(address: number): number {
  return address > 0x1_0000_0000 ? address % 0x1_0000_0000 : address;
}
