// The symbol table as two indices over typed arrays: by name and by address. Both are built when first asked for.
//
// By address: the symbols that can name a place are sorted by address, and a second array holds, for each position, the
// highest end address of all symbols up to it. The nearest symbol is found by binary search; the way back to a
// larger symbol that encloses the address stops as soon as that array says nobody further back reaches so far.
// System V ABI, "Symbol Table".

import { type ByteReader, decodeUtf8 } from "../base";
import * as c from "./constants";

export type SymbolType = "notype" | "object" | "function" | "section" | "file" | "tls" | "other";
export type SymbolBinding = "local" | "global" | "weak" | "other";

export interface ElfSymbol {
  readonly name: string;
  readonly address: number;
  /** Zero where the assembler was not told a size. */
  readonly size: number;
  readonly type: SymbolType;
  readonly binding: SymbolBinding;
  /** Section header index, or the reserved numbers SHN_ABS, SHN_UNDEF, SHN_COMMON. */
  readonly sectionIndex: number;
}

export interface SymbolAtAddress {
  readonly symbol: ElfSymbol;
  /** Distance from the symbol's address. */
  readonly offset: number;
  /** Whether the address is inside the symbol's size (one without a size reaches to the next symbol or its section's end). */
  readonly isInside: boolean;
}

const TYPES: Readonly<Record<number, SymbolType>> = {
  [c.STT_NOTYPE]: "notype",
  [c.STT_OBJECT]: "object",
  [c.STT_FUNC]: "function",
  [c.STT_SECTION]: "section",
  [c.STT_FILE]: "file",
  [c.STT_TLS]: "tls",
  [c.STT_GNU_IFUNC]: "function",
};
const BINDINGS: readonly SymbolBinding[] = ["local", "global", "weak"];

/** How far back a lookup walks at most for an enclosing symbol: nesting deeper than this does not happen in earnest. */
const MAX_NESTING = 64;

/** What a symbol needs to know of its section. */
export interface SectionExtent {
  readonly isCode: boolean;
  readonly end: number;
}

/** Reads one symbol table. `sectionOf` describes the section of an index. */
export class SymbolTable {
  readonly count: number;
  private readonly data: DataView;
  private byName: Map<string, number[]> | undefined;
  private byAddress: AddressOrder | undefined;

  constructor(
    table: Uint8Array,
    private readonly strings: Uint8Array,
    private readonly sectionOf: (index: number) => SectionExtent | undefined = () => undefined,
  ) {
    this.count = Math.floor(table.length / c.SYM_SIZE);
    this.data = new DataView(table.buffer, table.byteOffset, table.byteLength);
  }

  /** All symbols, in the table's order. */
  *[Symbol.iterator](): IterableIterator<ElfSymbol> {
    for (let i = 1; i < this.count; i++) yield this.at(i);
  }

  /** The symbols of this name, global ones first, undefined references left out. */
  named(name: string): ElfSymbol[] {
    this.byName ??= this.indexNames();
    return (this.byName.get(name) ?? [])
      .map((i) => this.at(i))
      .sort((a, b) => Number(a.binding === "local") - Number(b.binding === "local"));
  }

  /** The best symbol of this name: global before weak before local, functions and objects before plain labels. */
  find(name: string): ElfSymbol | undefined {
    const rank = (s: ElfSymbol) =>
      (s.binding === "global" ? 0 : s.binding === "weak" ? 1 : 2) * 2 + (s.type === "notype" ? 1 : 0);
    return this.named(name).sort((a, b) => rank(a) - rank(b))[0];
  }

  /**
   * The symbol that names an address best: the innermost one whose size covers it, else the nearest one before it.
   * Of several at the same place a function wins over an object, that over a label, and global wins over local.
   */
  nearest(address: number): SymbolAtAddress | undefined {
    this.byAddress ??= this.sortByAddress();
    const { starts, ends, reach, index } = this.byAddress;
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    const before = low - 1;
    if (before < 0) return undefined;
    for (let i = before; i >= 0 && before - i < MAX_NESTING && reach[i] > address; i--) {
      if (ends[i] > address) return this.answer(index[i], address, true);
    }
    const symbol = this.at(index[before]);
    const end = this.sectionOf(symbol.sectionIndex)?.end ?? Number.POSITIVE_INFINITY;
    return this.answer(index[before], address, symbol.size === 0 && address < end);
  }

  private answer(index: number, address: number, isInside: boolean): SymbolAtAddress {
    const symbol = this.at(index);
    return { symbol, offset: address - symbol.address, isInside };
  }

  private at(i: number): ElfSymbol {
    const at = i * c.SYM_SIZE;
    const info = this.data.getUint8(at + 12);
    return {
      name: this.nameAt(this.data.getUint32(at, true)),
      address: this.data.getUint32(at + 4, true),
      size: this.data.getUint32(at + 8, true),
      type: TYPES[info & 15] ?? "other",
      binding: BINDINGS[info >> 4] ?? "other",
      sectionIndex: this.data.getUint16(at + 14, true),
    };
  }

  /** Text from the string table; a bad offset is an empty name, since a symbol without a name harms nobody. */
  private nameAt(offset: number): string {
    if (offset === 0 || offset >= this.strings.length) return "";
    const zero = this.strings.indexOf(0, offset);
    return decodeUtf8(this.strings, offset, zero < 0 ? this.strings.length : zero);
  }

  private indexNames(): Map<string, number[]> {
    const names = new Map<string, number[]>();
    for (let i = 1; i < this.count; i++) {
      const at = i * c.SYM_SIZE;
      const type = this.data.getUint8(at + 12) & 15;
      if (type === c.STT_FILE || type === c.STT_SECTION) continue;
      if (this.data.getUint16(at + 14, true) === c.SHN_UNDEF) continue;
      const name = this.nameAt(this.data.getUint32(at, true));
      if (name === "") continue;
      const list = names.get(name);
      if (list) list.push(i);
      else names.set(name, [i]);
    }
    return names;
  }

  private sortByAddress(): AddressOrder {
    const kept: number[] = [];
    const rank = new Uint8Array(this.count);
    for (let i = 1; i < this.count; i++) {
      const r = this.rankOf(i);
      if (r === 0) continue;
      rank[i] = r;
      kept.push(i);
    }
    const start = (i: number) => this.data.getUint32(i * c.SYM_SIZE + 4, true);
    const size = (i: number) => this.data.getUint32(i * c.SYM_SIZE + 8, true);
    // The best of several at one address comes last, because a search arrives from behind.
    kept.sort((a, b) => start(a) - start(b) || size(b) - size(a) || rank[a] - rank[b] || b - a);
    const order: AddressOrder = {
      starts: new Uint32Array(kept.length),
      ends: new Float64Array(kept.length),
      reach: new Float64Array(kept.length),
      index: Uint32Array.from(kept),
    };
    let reach = 0;
    kept.forEach((symbol, i) => {
      order.starts[i] = start(symbol);
      order.ends[i] = start(symbol) + size(symbol);
      reach = Math.max(reach, order.ends[i]);
      order.reach[i] = reach;
    });
    return this.preferFunctions(order, rank);
  }

  /** Moves the best-ranked symbol of equal start to the last place, unless sizes differ in earnest (nested symbols). */
  private preferFunctions(order: AddressOrder, rank: Uint8Array): AddressOrder {
    const { starts, index, ends } = order;
    for (let first = 0; first < starts.length; ) {
      let last = first;
      while (last + 1 < starts.length && starts[last + 1] === starts[first]) last++;
      let best = last;
      for (let i = first; i <= last; i++) if (rank[index[i]] > rank[index[best]]) best = i;
      [index[best], index[last]] = [index[last], index[best]];
      [ends[best], ends[last]] = [ends[last], ends[best]];
      let reach = first > 0 ? order.reach[first - 1] : 0;
      for (let i = first; i <= last; i++) {
        reach = Math.max(reach, ends[i]);
        order.reach[i] = reach;
      }
      first = last + 1;
    }
    return order;
  }

  /** 0: names no place. Higher is better: functions, objects, then labels; global before weak before local. */
  private rankOf(i: number): number {
    const at = i * c.SYM_SIZE;
    const info = this.data.getUint8(at + 12);
    const type = info & 15;
    const section = this.data.getUint16(at + 14, true);
    if (section === c.SHN_UNDEF || (section >= c.SHN_LORESERVE && section !== c.SHN_XINDEX)) return 0;
    if (this.data.getUint32(at, true) === 0) return 0;
    const binding = info >> 4 === 1 ? 2 : info >> 4 === 2 ? 1 : 0;
    if (type === c.STT_FUNC || type === c.STT_GNU_IFUNC) return 9 + binding;
    if (type === c.STT_OBJECT) return 5 + binding;
    if (type === c.STT_NOTYPE) return (this.sectionOf(section)?.isCode === false ? 1 : 3) + (binding > 0 ? 1 : 0);
    return 0;
  }
}

interface AddressOrder {
  readonly starts: Uint32Array;
  readonly ends: Float64Array;
  readonly reach: Float64Array;
  readonly index: Uint32Array;
}

/** An empty table, for files without symbols. */
export function emptySymbolTable(): SymbolTable {
  return new SymbolTable(new Uint8Array(0), new Uint8Array(0));
}

/** Text at `offset` of a string table that is needed (section names): throws where there is none. */
export function stringAt(table: ByteReader, offset: number): string {
  table.seek(offset);
  return table.cstring();
}
