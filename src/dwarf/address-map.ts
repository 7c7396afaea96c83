// Which unit an address belongs to.
//
// .debug_aranges says so for most units at once; the root entries of the units that it
// does not mention are read for their ranges, and as a last resort their line tables and functions. DWARF 5, section 6.1.2.

import { FormatError } from "../base";
import { IntervalIndex } from "./interval-index";
import { rangesOf } from "./ranges";
import type { Unit } from "./unit";
import type { UnitList } from "./unit-list";

interface UnitRange {
  readonly start: number;
  readonly end: number;
  readonly payload: number;
}

export class AddressMap {
  private index: IntervalIndex | undefined;

  constructor(
    private readonly list: UnitList,
    /** The ranges of a unit's line sequences or functions, for units that tell nothing else. */
    private readonly codeOf: (unit: Unit) => readonly { start: number; end: number }[],
  ) {}

  unitAt(address: number): Unit | undefined {
    this.index ??= this.build();
    const position = this.index.at(address);
    return position === undefined ? undefined : this.list.units[position];
  }

  private build(): IntervalIndex {
    const ranges: UnitRange[] = [];
    const covered = this.readAranges(ranges);
    for (const unit of this.list.units) {
      if (!unit.isCode || covered.has(unit)) continue;
      for (const range of this.rangesOfUnit(unit)) ranges.push({ ...range, payload: unit.index });
    }
    return new IntervalIndex(ranges);
  }

  private rangesOfUnit(unit: Unit): readonly { start: number; end: number }[] {
    try {
      const ranges = rangesOf(unit.root);
      if (ranges.length > 0) return ranges;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.list.report(error);
    }
    return this.codeOf(unit);
  }

  /** Adds what .debug_aranges says and gives the units it speaks of. A damaged part is left out. */
  private readAranges(ranges: UnitRange[]): Set<Unit> {
    const covered = new Set<Unit>();
    const { sections } = this.list;
    if (!sections.has(".debug_aranges")) return covered;
    try {
      const r = sections.reader(".debug_aranges");
      const end = r.end;
      while (!r.atEnd) {
        const start = r.offset;
        const { end: setEnd, offsetSize } = r.initialLength();
        r.end = setEnd;
        const version = r.u16();
        const unit = this.list.unitAtInfoOffset(r.offsetOf(offsetSize));
        const addressSize = r.u8();
        const segmentSize = r.u8();
        if (version === 2 && unit && segmentSize === 0 && (addressSize === 4 || addressSize === 8)) {
          const pair = 2 * addressSize;
          r.skip((pair - ((r.offset - start) % pair)) % pair);
          while (r.remaining >= pair) {
            const address = r.unsigned(addressSize);
            const length = r.unsigned(addressSize);
            if (length === 0 || !sections.isMapped(address)) continue;
            covered.add(unit);
            ranges.push({ start: address, end: address + length, payload: unit.index });
          }
        }
        r.end = end;
        r.seek(setEnd);
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.list.report(error);
    }
    return covered;
  }
}
