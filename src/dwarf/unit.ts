// Units and their trees of debugging information entries (DIEs).
//
// A unit is read in three depths: its header, its root entry, its tree. The tree is not objects but a few typed arrays,
// one slot per entry in the order of the data: where it is, its abbreviation, its parent, and the slot behind its last
// descendant. Navigation is index arithmetic; attribute values are read when asked for. A Die is a short-lived view.
// DWARF 5, sections 2.1 to 2.3 and 7.5.

import { FormatError } from "../base";
import { type Abbrev, type AbbrevTable, abbrevOf } from "./abbrev";
import { At, Tag, UnitType } from "./constants";
import { DwarfError } from "./errors";
import { type FormContext, type FormValue, fixedSize, readForm, skipForms } from "./forms";
import { DwarfReader } from "./reader";
import type { UnitList } from "./unit-list";

/** Deeper nesting is taken for damage. */
const MAX_DEPTH = 1024;

export interface DieTree {
  readonly count: number;
  /** Unit-relative offset of each entry. */
  readonly offsets: Uint32Array;
  readonly parents: Int32Array;
  /** Slot behind the last descendant. */
  readonly ends: Uint32Array;
  /** Abbreviation codes. */
  readonly codes: Uint32Array;
  readonly table: AbbrevTable;
  /** What stopped the reading before the unit's end, if anything did; the entries before it are good. */
  readonly problem?: FormatError;
}

/** The tag of the entry at a slot. */
export function tagAt(tree: DieTree, slot: number): Tag | undefined {
  return abbrevOf(tree.table, tree.codes[slot])?.tag;
}

export interface UnitHeader extends FormContext {
  readonly section: ".debug_info" | ".debug_types";
  /** Offset of the unit in its section. */
  readonly offset: number;
  /** Size in bytes, header and all. */
  readonly size: number;
  readonly type: UnitType;
  readonly abbrevOffset: number;
  /** Unit-relative offset of the root entry. */
  readonly firstEntry: number;
  readonly signature?: bigint;
  /** Unit-relative offset of the type that a type unit defines. */
  readonly typeOffset?: number;
}

export class Unit {
  private heldBytes: Uint8Array | undefined;
  /** The unit's beginning, as far as the root entry reaches, so that looking at all roots does not read all units. */
  private headBytes: Uint8Array | undefined;
  private heldTree: DieTree | undefined;
  private rootEntry: Die | undefined;
  private readonly bases = new Map<At, number>();

  constructor(
    readonly header: UnitHeader,
    readonly list: UnitList,
    /** Position in the list of units; a handy key. */
    readonly index: number,
  ) {}

  get offset(): number {
    return this.header.offset;
  }

  get version(): number {
    return this.header.version;
  }

  /** The root entry. Throws a DwarfError if it cannot be read. */
  get root(): Die {
    this.rootEntry ??= this.readRoot();
    return this.rootEntry;
  }

  get isCode(): boolean {
    return this.header.type === UnitType.compile || this.header.type === UnitType.skeleton;
  }

  get name(): string {
    return this.root.text(At.name) ?? "";
  }

  get directory(): string {
    return this.root.text(At.comp_dir) ?? "";
  }

  get language(): number {
    return this.root.number(At.language) ?? 0;
  }

  get producer(): string {
    return this.root.text(At.producer) ?? "";
  }

  /** Base for offsets in range and location lists. */
  get baseAddress(): number {
    return this.root.address(At.low_pc) ?? 0;
  }

  /** DW_AT_str_offsets_base and its kind, or the value a producer leaves unsaid. */
  base(attribute: At, otherwise: number): number {
    let base = this.bases.get(attribute);
    if (base === undefined) {
      const value = this.root.value(attribute);
      base = value?.kind === "section-offset" ? value.number : otherwise;
      this.bases.set(attribute, base);
    }
    return base;
  }

  reader(offset: number): DwarfReader {
    const { section, offset: base, firstEntry } = this.header;
    let bytes = this.heldBytes;
    if (!bytes && this.headBytes && offset === firstEntry) bytes = this.headBytes;
    if (!bytes) bytes = this.heldBytes = this.list.unitBytes(this);
    const r = new DwarfReader(bytes, 0, bytes.length, section, base);
    r.seek(offset);
    return r;
  }

  /** Fetches the whole unit, which readers then use. */
  holdBytes(): this {
    this.heldBytes ??= this.list.unitBytes(this);
    return this;
  }

  abbrevs(): AbbrevTable {
    return this.list.abbrevs.table(this.header.abbrevOffset);
  }

  /** The tree of entries; what cannot be read is missing from it (see `problem`). */
  tree(): DieTree {
    let tree = this.heldTree;
    if (!tree) {
      tree = this.heldTree = readTree(this);
      if (tree.problem) this.list.report(tree.problem);
    }
    if (this.list.lastTouched !== this) this.list.touch(this, tree.count);
    return tree;
  }

  /** Forgets what can be read again. */
  release(): void {
    this.heldBytes = undefined;
    this.heldTree = undefined;
  }

  /** The entry at a slot of the tree. */
  at(slot: number): Die {
    const tree = this.tree();
    const abbrev = abbrevOf(tree.table, tree.codes[slot]);
    if (!abbrev) throw new DwarfError("there is no such entry", this.header.section, this.header.offset);
    return new Die(this, tree.offsets[slot], abbrev, slot);
  }

  /** The entry at a unit-relative offset; undefined if no entry begins there. */
  entryAt(offset: number): Die | undefined {
    const slot = this.slotOf(offset);
    return slot < 0 ? undefined : this.at(slot);
  }

  slotOf(offset: number): number {
    const { offsets, count } = this.tree();
    let low = 0;
    let high = count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      if (offsets[middle] === offset) return middle;
      if (offsets[middle] < offset) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  private readRoot(): Die {
    const { section, offset, size, firstEntry } = this.header;
    const head = this.list.unitBytes(this, Math.min(size, HEAD_SIZE));
    const read = (bytes: Uint8Array) => {
      const r = new DwarfReader(bytes, firstEntry, bytes.length, section, offset);
      const code = r.uleb();
      if (code === 0) r.fail("the unit is empty", firstEntry);
      const abbrev = abbrevOf(this.abbrevs(), code) ?? r.fail(`abbreviation ${code} is not defined`, firstEntry);
      skipForms(r, abbrev.forms, this.header);
      return new Die(this, firstEntry, abbrev, 0);
    };
    if (head.length < size) {
      try {
        const root = read(head);
        this.headBytes = head;
        return root;
      } catch (error) {
        if (!(error instanceof DwarfError)) throw error;
      }
    }
    this.heldBytes ??= this.list.unitBytes(this);
    return read(this.heldBytes);
  }
}

/** Bytes that hold a unit's header and root entry as a rule. */
const HEAD_SIZE = 512;

/** Arrays that trees are read into before their size is known; used again for each. */
const scratch = {
  capacity: 0,
  offsets: new Uint32Array(0),
  parents: new Int32Array(0),
  ends: new Uint32Array(0),
  codes: new Uint32Array(0),
};

function growScratch(): void {
  const grown = <T extends Uint32Array | Int32Array>(from: T, to: T): T => {
    to.set(from);
    return to;
  };
  scratch.capacity = Math.max(1024, scratch.capacity * 2);
  scratch.offsets = grown(scratch.offsets, new Uint32Array(scratch.capacity));
  scratch.parents = grown(scratch.parents, new Int32Array(scratch.capacity));
  scratch.ends = grown(scratch.ends, new Uint32Array(scratch.capacity));
  scratch.codes = grown(scratch.codes, new Uint32Array(scratch.capacity));
}

function readTree(unit: Unit): DieTree {
  const { header } = unit;
  const open: number[] = [];
  /** By abbreviation code: bytes of the values, -1 where that varies. */
  const sizes: number[] = [];
  let table: AbbrevTable = { dense: [] };
  let count = 0;
  let problem: FormatError | undefined;
  try {
    table = unit.abbrevs();
    const r = unit.holdBytes().reader(header.firstEntry);
    while (!r.atEnd) {
      const offset = r.offset;
      const code = r.uleb();
      if (code === 0) {
        const closed = open.pop();
        if (closed === undefined) break;
        scratch.ends[closed] = count;
        if (open.length === 0) break;
        continue;
      }
      const abbrev = abbrevOf(table, code) ?? r.fail(`abbreviation ${code} is not defined`, offset);
      const size = (sizes[code] ??= fixedSize(abbrev.forms, header));
      if (size >= 0) r.skip(size);
      else skipForms(r, abbrev.forms, header);
      if (count === scratch.capacity) growScratch();
      scratch.offsets[count] = offset;
      scratch.parents[count] = open.length > 0 ? open[open.length - 1] : -1;
      scratch.codes[count] = code;
      count++;
      scratch.ends[count - 1] = count;
      if (abbrev.hasChildren) {
        if (open.length >= MAX_DEPTH) r.fail("entries are nested too deeply", offset);
        open.push(count - 1);
      } else if (open.length === 0) break;
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    problem = error;
  }
  for (const slot of open) scratch.ends[slot] = count;
  return {
    count,
    offsets: scratch.offsets.slice(0, count),
    parents: scratch.parents.slice(0, count),
    ends: scratch.ends.slice(0, count),
    codes: scratch.codes.slice(0, count),
    table,
    problem,
  };
}

/** One debugging information entry: a view onto a place in a unit. Two views of one entry have the same `key`. */
export class Die {
  constructor(
    readonly unit: Unit,
    /** Unit-relative offset. */
    readonly offset: number,
    private readonly abbrev: Abbrev,
    /** Slot in the unit's tree. */
    readonly slot: number,
  ) {}

  get tag(): Tag {
    return this.abbrev.tag;
  }

  /** A number that names this entry among all of the file. */
  get key(): number {
    return this.unit.list.keyOf(this.unit, this.offset);
  }

  has(attribute: At): boolean {
    return this.abbrev.attributes.includes(attribute);
  }

  /** The value of an attribute as written. Throws a DwarfError if it is malformed. */
  value(attribute: At): FormValue | undefined {
    const position = this.abbrev.attributes.indexOf(attribute);
    if (position < 0) return undefined;
    const { forms, implicit } = this.abbrev;
    const r = this.unit.reader(this.offset);
    r.skipLeb();
    skipForms(r, forms, this.unit.header, position);
    return readForm(r, forms[position], this.unit.header, implicit?.[position]);
  }

  text(attribute: At): string | undefined {
    const value = this.value(attribute);
    switch (value?.kind) {
      case "text":
        return value.text;
      case "text-offset":
        return this.unit.list.text(value.section, value.number);
      case "text-index":
        return this.unit.list.indexedText(this.unit, value.number);
      default:
        return undefined;
    }
  }

  /** A constant that has to be a small number. */
  number(attribute: At): number | undefined {
    const value = this.value(attribute);
    if (value?.kind === "section-offset") return value.number;
    return value?.kind === "constant" ? Number(value.big) : undefined;
  }

  flag(attribute: At): boolean {
    const value = this.value(attribute);
    return value?.kind === "flag" ? value.flag : value?.kind === "constant" ? value.big !== 0n : false;
  }

  address(attribute: At): number | undefined {
    const value = this.value(attribute);
    if (value?.kind === "address") return value.number;
    return value?.kind === "address-index" ? this.unit.list.indexedAddress(this.unit, value.number) : undefined;
  }

  /** An offset into another section; versions 2 and 3 write it as a plain number. */
  sectionOffset(attribute: At): number | undefined {
    const value = this.value(attribute);
    if (value?.kind === "section-offset") return value.number;
    const isOld = this.unit.version < 4 && value?.kind === "constant" && value.bits >= 32 && !value.isSigned;
    return isOld ? Number(value.big) : undefined;
  }

  /** The bytes of an expression; versions 2 and 3 write it as a block. */
  expression(attribute: At): Uint8Array | undefined {
    const value = this.value(attribute);
    return value?.kind === "expression" || value?.kind === "block" ? value.bytes : undefined;
  }

  /** The entry that an attribute points to; undefined if it points nowhere. */
  reference(attribute: At): Die | undefined {
    const value = this.value(attribute);
    switch (value?.kind) {
      case "unit-reference":
        return this.unit.entryAt(value.number);
      case "info-reference":
        return this.unit.list.entryAtInfoOffset(value.number);
      case "signature":
        return this.unit.list.typeOfSignature(value.big);
      default:
        return undefined;
    }
  }

  get parent(): Die | undefined {
    const slot = this.unit.tree().parents[this.slot] ?? -1;
    return slot < 0 ? undefined : this.unit.at(slot);
  }

  *children(): IterableIterator<Die> {
    const end = this.unit.tree().ends[this.slot] ?? 0;
    for (let slot = this.slot + 1; slot < end; slot = Math.max(slot + 1, this.unit.tree().ends[slot])) {
      yield this.unit.at(slot);
    }
  }

  /** This entry's attribute, or that of the entry it completes (DW_AT_specification, DW_AT_abstract_origin). */
  inherited(attribute: At): Die | undefined {
    let die: Die | undefined = this;
    for (let steps = 0; die && steps < 16; steps++) {
      if (die.has(attribute)) return die;
      die = die.has(At.abstract_origin) ? die.reference(At.abstract_origin) : die.reference(At.specification);
    }
    return undefined;
  }

  /** The name, its own or inherited. */
  get name(): string | undefined {
    return this.inherited(At.name)?.text(At.name);
  }

  /** The name with the namespaces and classes around it, as C++ writes it: `ns::type::f`. */
  get qualifiedName(): string | undefined {
    const owner = this.inherited(At.name);
    const name = owner?.text(At.name);
    if (!owner || name === undefined) return name;
    const parts = [name];
    for (let die = owner.parent, steps = 0; die && steps < 64; die = die.parent, steps++) {
      if (!isNaming(die.tag)) break;
      parts.unshift(die.text(At.name) ?? "(anonymous)");
    }
    return parts.join("::");
  }
}

function isNaming(tag: Tag): boolean {
  return (
    tag === Tag.namespace ||
    tag === Tag.class_type ||
    tag === Tag.structure_type ||
    tag === Tag.union_type ||
    tag === Tag.interface_type
  );
}
