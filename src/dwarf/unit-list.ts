// All units of a file: their headers are read in one pass (a few bytes each), everything else when it is asked for.
// Trees of entries are kept up to a total size and then forgotten, oldest first, since they can be read again.
// Also here is what crosses units: references, signatures of type units, indexed strings and addresses.
// DWARF 5, section 7.5.1 (unit headers), 7.26 and 7.27 (string offsets, address table).

import { FormatError } from "../base";
import { AbbrevCache } from "./abbrev";
import { At, UnitType } from "./constants";
import { DwarfError } from "./errors";
import { DwarfReader } from "./reader";
import type { Sections } from "./sections";
import { type Die, Unit, type UnitHeader } from "./unit";

/** Entries kept in trees (about 20 bytes each). */
const MAX_HELD_ENTRIES = 2_000_000;
/** Offsets of .debug_types are told from those of .debug_info by this. */
const TYPES_KEY = 2 ** 40;
const MAX_UNIT_HEADER = 48;

export class UnitList {
  readonly units: readonly Unit[];
  readonly abbrevs: AbbrevCache;
  private readonly held = new Map<Unit, number>();
  private heldEntries = 0;
  /** The unit whose tree was asked for last; it is the youngest of those that are held. */
  lastTouched: Unit | undefined;
  private signatures: Map<bigint, Unit> | undefined;

  constructor(
    readonly sections: Sections,
    /** Told of everything malformed that was stepped over. */
    readonly report: (problem: FormatError) => void,
  ) {
    this.abbrevs = new AbbrevCache(sections);
    const units: Unit[] = [];
    for (const section of [".debug_info", ".debug_types"] as const) {
      for (const header of this.readHeaders(section)) units.push(new Unit(header, this, units.length));
    }
    this.units = units;
    const split = units.find((unit) => unit.header.type === UnitType.skeleton);
    if (split) {
      const reason =
        "functions and variables are in separate .dwo files, which are not read: build without -gsplit-dwarf";
      report(new DwarfError(reason, split.header.section, split.offset));
    }
  }

  /** The unit around an offset of .debug_info. */
  unitAtInfoOffset(offset: number): Unit | undefined {
    let low = 0;
    let high = this.units.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const { header } = this.units[middle];
      if (header.section === ".debug_types" || offset < header.offset) high = middle - 1;
      else if (offset >= header.offset + header.size) low = middle + 1;
      else return this.units[middle];
    }
    return undefined;
  }

  entryAtInfoOffset(offset: number): Die | undefined {
    const unit = this.unitAtInfoOffset(offset);
    return unit?.entryAt(offset - unit.offset);
  }

  keyOf(unit: Unit, offset: number): number {
    return unit.offset + offset + (unit.header.section === ".debug_types" ? TYPES_KEY : 0);
  }

  /** The entry of a key. */
  entryOfKey(key: number): Die | undefined {
    if (key < TYPES_KEY) return this.entryAtInfoOffset(key);
    const offset = key - TYPES_KEY;
    const unit = this.units.find(
      ({ header: h }) => h.section === ".debug_types" && offset >= h.offset && offset < h.offset + h.size,
    );
    return unit?.entryAt(offset - unit.offset);
  }

  typeOfSignature(signature: bigint): Die | undefined {
    if (!this.signatures) {
      this.signatures = new Map();
      for (const unit of this.units) {
        if (unit.header.signature !== undefined && unit.header.typeOffset !== undefined) {
          this.signatures.set(unit.header.signature, unit);
        }
      }
    }
    const unit = this.signatures.get(signature);
    return unit?.entryAt(unit.header.typeOffset ?? 0);
  }

  text(section: string, offset: number): string {
    return this.sections.text(section, offset);
  }

  indexedText(unit: Unit, index: number): string {
    const { offsetSize } = unit.header;
    const base = unit.base(At.str_offsets_base, unit.version >= 5 ? 2 * offsetSize : 0);
    const r = this.sections.reader(".debug_str_offsets", base + index * offsetSize);
    return this.text(".debug_str", r.offsetOf(offsetSize));
  }

  indexedAddress(unit: Unit, index: number): number {
    const { addressSize } = unit.header;
    const base = unit.root.has(At.GNU_addr_base)
      ? unit.base(At.GNU_addr_base, 0)
      : unit.base(At.addr_base, unit.version >= 5 ? 8 : 0);
    return this.sections.reader(".debug_addr", base + index * addressSize).unsigned(addressSize);
  }

  /** The first `size` bytes of a unit. */
  unitBytes(unit: Unit, size = unit.header.size): Uint8Array {
    const { section, offset } = unit.header;
    const bytes = this.sections.get(section)?.bytes.read(offset, size) ?? new Uint8Array(0);
    if (bytes.length < size)
      throw new DwarfError(`${size} bytes wanted, ${bytes.length} could be read`, section, offset);
    return bytes;
  }

  /** Notes that a unit's tree is in use, and lets go of others if too much is held. */
  touch(unit: Unit, entries: number): void {
    this.lastTouched = unit;
    this.heldEntries -= this.held.get(unit) ?? 0;
    this.held.delete(unit);
    this.held.set(unit, entries);
    this.heldEntries += entries;
    for (const [other, count] of this.held) {
      if (this.heldEntries <= MAX_HELD_ENTRIES || other === unit) break;
      other.release();
      this.held.delete(other);
      this.heldEntries -= count;
    }
  }

  private readHeaders(section: ".debug_info" | ".debug_types"): UnitHeader[] {
    const headers: UnitHeader[] = [];
    try {
      const source = this.sections.get(section)?.bytes;
      for (let offset = 0; source && offset < source.size; ) {
        const bytes = source.read(offset, MAX_UNIT_HEADER);
        const header = readHeader(new DwarfReader(bytes, 0, bytes.length, section, offset), section, source.size);
        if ("unknownVersion" in header) {
          this.report(new DwarfError(`DWARF version ${header.unknownVersion} is not supported`, section, offset));
        } else {
          headers.push(header);
        }
        offset += header.size;
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.report(error);
    }
    return headers;
  }
}

type HeaderOrSize = UnitHeader | { readonly size: number; readonly unknownVersion: number };

/** Reads a unit's header; gives only its size if the version is not known. Throws a DwarfError if it is malformed. */
function readHeader(r: DwarfReader, section: UnitHeader["section"], sectionSize: number): HeaderOrSize {
  const offset = r.base;
  const first = r.u32();
  const offsetSize = first === 0xffffffff ? 8 : 4;
  const length = offsetSize === 8 ? r.u64() : first;
  if (offsetSize === 4 && length >= 0xfffffff0) r.fail("reserved unit length", 0);
  const size = r.offset + length;
  if (offset + size > sectionSize) r.fail(`a unit of ${size} bytes, but only ${sectionSize - offset} are left`, 0);
  const version = r.u16();
  if (version < 2 || version > 5) return { size, unknownVersion: version };
  let type = section === ".debug_types" ? UnitType.type : UnitType.compile;
  let addressSize: number;
  let abbrevOffset: number;
  if (version >= 5) {
    type = r.u8();
    addressSize = r.u8();
    abbrevOffset = r.offsetOf(offsetSize);
  } else {
    abbrevOffset = r.offsetOf(offsetSize);
    addressSize = r.u8();
  }
  if (addressSize !== 4 && addressSize !== 8) r.fail(`addresses of ${addressSize} bytes are not supported`);
  let signature: bigint | undefined;
  let typeOffset: number | undefined;
  if (type === UnitType.type || type === UnitType.split_type) {
    signature = r.u64Big();
    typeOffset = r.offsetOf(offsetSize);
  } else if (type === UnitType.skeleton || type === UnitType.split_compile) {
    signature = r.u64Big();
  }
  if (r.offset > size) r.fail("the unit is shorter than its header", 0);
  const firstEntry = r.offset;
  return {
    section,
    offset,
    size,
    version,
    type,
    addressSize,
    offsetSize,
    abbrevOffset,
    firstEntry,
    signature,
    typeOffset,
  };
}
