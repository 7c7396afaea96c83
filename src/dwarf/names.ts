// Functions, variables, types and enumerators by name, for the whole file.
//
// The index is built unit by unit, a budget of entries at a time, so that whoever builds it can answer somebody else in
// between; a question that comes before it is complete finishes it. Only what stands at file level or in a namespace
// or class is indexed. A header's types appear in every unit that includes it: of equal kind and name the first few
// definitions are kept. Each hit is the entry's key, nothing is held of the units.

import { FormatError } from "../base";
import { At, Tag } from "./constants";
import { hasRanges } from "./ranges";
import { type Die, tagAt, type Unit } from "./unit";
import type { UnitList } from "./unit-list";

/** `inline`: functions that were inlined somewhere; each has an abstract entry without code. */
export type NameKind = "function" | "inline" | "variable" | "type" | "enumerator";

/** Definitions of one type name or enumerator that are kept. */
const MAX_SAME = 4;
const MAX_NESTING = 16;

export class NameIndex {
  private readonly maps: Readonly<Record<NameKind, Map<string, number | number[]>>> = {
    function: new Map(),
    inline: new Map(),
    variable: new Map(),
    type: new Map(),
    enumerator: new Map(),
  };
  private readonly seen = new Map<number, number>();
  private nextUnit = 0;
  private entries = 0;

  constructor(private readonly list: UnitList) {}

  get isComplete(): boolean {
    return this.nextUnit >= this.list.units.length;
  }

  /** Share of the units that are done, from 0 to 1. */
  get progress(): number {
    return this.list.units.length === 0 ? 1 : this.nextUnit / this.list.units.length;
  }

  /** Reads whole units until about `budget` entries have been passed. Gives whether the index is complete. */
  step(budget = 50_000): boolean {
    const limit = this.entries + budget;
    while (!this.isComplete && this.entries < limit) {
      const unit = this.list.units[this.nextUnit++];
      try {
        const { count } = unit.tree();
        this.entries += count + 1;
        if (count > 0) this.indexChildren(unit, 0, [], 0);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        this.list.report(error);
      }
    }
    return this.isComplete;
  }

  /** The entries of this name. Completes the index first. */
  find(kind: NameKind, name: string): Die[] {
    while (!this.step());
    const hits = this.maps[kind].get(name);
    const keys = hits === undefined ? [] : typeof hits === "number" ? [hits] : hits;
    return keys.map((key) => this.list.entryOfKey(key)).filter((die) => die !== undefined);
  }

  /** Names of a kind that start with `prefix`, sorted, at most `limit`. Completes the index first. */
  complete(kind: NameKind, prefix: string, limit: number): string[] {
    while (!this.step());
    const names: string[] = [];
    for (const name of this.maps[kind].keys()) if (name.startsWith(prefix)) names.push(name);
    return names.sort().slice(0, limit);
  }

  private indexChildren(unit: Unit, slot: number, path: readonly string[], depth: number): void {
    const tree = unit.tree();
    for (let child = slot + 1; child < tree.ends[slot]; child = Math.max(child + 1, tree.ends[child])) {
      switch (tagAt(tree, child)) {
        case Tag.subprogram:
          this.indexFunction(unit.at(child), path);
          break;
        case Tag.variable:
          this.indexVariable(unit.at(child), path);
          break;
        case Tag.namespace:
          if (depth < MAX_NESTING) {
            const name = unit.at(child).text(At.name) ?? "(anonymous)";
            this.indexChildren(unit, child, [...path, name], depth + 1);
          }
          break;
        case Tag.structure_type:
        case Tag.class_type:
        case Tag.union_type:
        case Tag.enumeration_type:
        case Tag.typedef:
        case Tag.base_type:
        case Tag.interface_type:
          this.indexType(unit.at(child), path, depth);
          break;
      }
    }
  }

  private indexFunction(die: Die, path: readonly string[]): void {
    const isAbstract = !hasRanges(die);
    if (isAbstract && !die.has(At.inline)) return;
    const owner = die.inherited(At.name);
    const name = owner?.text(At.name);
    if (name === undefined) return;
    if (isAbstract) {
      this.add("inline", name, path, die.key);
      return;
    }
    this.add("function", name, path, die.key);
    if (owner !== undefined && owner.offset !== die.offset) {
      const qualified = die.qualifiedName;
      if (qualified !== undefined && qualified !== name) this.put("function", qualified, die.key);
    }
    const linked = die.inherited(At.linkage_name);
    const linkage = linked?.text(At.linkage_name);
    if (linkage !== undefined && linkage !== name) this.put("function", linkage, die.key);
  }

  private indexVariable(die: Die, path: readonly string[]): void {
    if (die.flag(At.declaration) || !(die.has(At.location) || die.has(At.const_value))) return;
    const name = die.name;
    if (name === undefined) return;
    this.add("variable", name, path, die.key);
    if (die.has(At.specification)) {
      const qualified = die.qualifiedName;
      if (qualified !== undefined && qualified !== name) this.put("variable", qualified, die.key);
    }
  }

  private indexType(die: Die, path: readonly string[], depth: number): void {
    if (die.flag(At.declaration) || (path.length === 0 && this.isSeenOften(die))) return;
    const name = die.text(At.name);
    if (die.tag === Tag.enumeration_type) this.indexEnumerators(die, name, path);
    if (name === undefined) return;
    const isNew = this.add("type", name, path, die.key, MAX_SAME);
    const holdsTypes = die.tag === Tag.structure_type || die.tag === Tag.class_type || die.tag === Tag.union_type;
    // Types and functions of a C++ class are found by their full name.
    if (isNew && holdsTypes && depth < MAX_NESTING) this.indexChildren(die.unit, die.slot, [...path, name], depth + 1);
  }

  /**
   * Whether enough types of the same tag had their name at the same place in .debug_str. Linkers keep equal strings once,
   * so this spares reading the names of types that come from headers.
   */
  private isSeenOften(die: Die): boolean {
    const value = die.value(At.name);
    if (value?.kind !== "text-offset") return false;
    const key = value.number * 0x80 + (die.tag & 0x7f);
    const count = this.seen.get(key) ?? 0;
    if (count < MAX_SAME) this.seen.set(key, count + 1);
    return count >= MAX_SAME;
  }

  private indexEnumerators(die: Die, name: string | undefined, path: readonly string[]): void {
    if (name !== undefined && this.count("type", name) >= MAX_SAME) return;
    for (const child of die.children()) {
      const text = child.tag === Tag.enumerator ? child.text(At.name) : undefined;
      if (text !== undefined) this.add("enumerator", text, path, child.key, MAX_SAME);
    }
  }

  private count(kind: NameKind, name: string): number {
    const hits = this.maps[kind].get(name);
    return hits === undefined ? 0 : typeof hits === "number" ? 1 : hits.length;
  }

  /** Adds under the plain and the qualified name; gives whether there was still room. */
  private add(kind: NameKind, name: string, path: readonly string[], key: number, limit = 10_000): boolean {
    const isAdded = this.put(kind, name, key, limit);
    if (path.length > 0) this.put(kind, [...path, name].join("::"), key, limit);
    return isAdded;
  }

  private put(kind: NameKind, name: string, key: number, limit = 10_000): boolean {
    const map = this.maps[kind];
    const hits = map.get(name);
    if (hits === undefined) map.set(name, key);
    else if (typeof hits === "number") map.set(name, [hits, key]);
    else if (hits.length < limit) hits.push(key);
    else return false;
    return true;
  }
}
