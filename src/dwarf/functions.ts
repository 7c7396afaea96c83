// Functions by address, and what was inlined into them.
//
// Each unit's functions are collected when the first address in it is asked about. From a function down, the chain of
// inlined calls around an address is found by descending through lexical blocks and inlined subroutines whose ranges
// hold it. Each link knows where it was called from, so a debugger can show the frames that the optimiser removed.
// DWARF 5, sections 3.3.1 and 3.3.8.

import { FormatError } from "../base";
import { At, Tag } from "./constants";
import { IntervalIndex } from "./interval-index";
import { RowFlag } from "./line-program";
import type { Lines, SourcePosition } from "./lines";
import { type AddressRange, contains, hasRanges, rangesOf } from "./ranges";
import { type Die, tagAt, type Unit } from "./unit";

/** A function with code of its own. */
export interface DwarfFunction {
  readonly name: string;
  /** With namespaces and classes: `ns::f`. */
  readonly qualifiedName: string;
  /** The assembler's name, where it differs (C++, Rust). */
  readonly linkageName?: string;
  readonly ranges: readonly AddressRange[];
  /** Where it is entered: its first address. */
  readonly entry: number;
  readonly isExternal: boolean;
  readonly declaration?: SourcePosition;
  readonly die: Die;
}

/** One frame at an address: the function itself, or one that was inlined into it. */
export interface FunctionFrame {
  readonly name: string;
  readonly isInlined: boolean;
  readonly ranges: readonly AddressRange[];
  /** Where execution stands in this frame; undefined where no line is known. */
  readonly position?: SourcePosition;
  /** For an inlined frame: where its caller called it. */
  readonly callSite?: SourcePosition;
  /** The function that has the code; the same for all frames of a chain. */
  readonly function: DwarfFunction;
  /** The subprogram, or the inlined subroutine. */
  readonly die: Die;
}

interface UnitFunctions {
  readonly index: IntervalIndex;
  readonly functions: readonly DwarfFunction[];
}

const MAX_INLINE_DEPTH = 256;
/** DW_LANG_Mips_Assembler, which all assemblers write. */
const ASSEMBLER = 0x8001;

export class Functions {
  private readonly byUnit = new Map<Unit, UnitFunctions>();

  constructor(
    private readonly unitAt: (address: number) => Unit | undefined,
    private readonly lines: Lines,
    private readonly report: (problem: FormatError) => void,
  ) {}

  at(address: number): DwarfFunction | undefined {
    const unit = this.unitAt(address);
    if (!unit) return undefined;
    const { index, functions } = this.ofUnit(unit);
    const position = index.at(address);
    return position === undefined ? undefined : functions[position];
  }

  /** The function of a subprogram entry that has code. */
  ofDie(die: Die): DwarfFunction | undefined {
    return this.ofUnit(die.unit).functions.find((f) => f.die.key === die.key);
  }

  /** The functions with code of a unit, in the order of their entries. */
  ofUnit(unit: Unit): UnitFunctions {
    let made = this.byUnit.get(unit);
    if (!made) {
      made = this.collect(unit);
      this.byUnit.set(unit, made);
    }
    return made;
  }

  /** The chain of frames at an address, innermost first; the last is the function itself. */
  chainAt(address: number, position: SourcePosition | undefined): FunctionFrame[] {
    const fn = this.at(address);
    if (!fn) return [];
    const frames: FunctionFrame[] = [
      { name: fn.qualifiedName, isInlined: false, ranges: fn.ranges, function: fn, die: fn.die },
    ];
    for (const { die, ranges } of inlinedAt(fn.die, address)) {
      // Strict DWARF 2 does not say where the call was: without a line for the caller there is no frame to show.
      if (!die.has(At.call_line)) continue;
      const callSite = this.positionOf(die, At.call_file, At.call_line, At.call_column);
      const name = die.qualifiedName ?? "(unnamed function)";
      frames.unshift({ name, isInlined: true, ranges, callSite, function: fn, die });
    }
    return frames.map((frame, i) => ({ ...frame, position: i === 0 ? position : frames[i - 1].callSite }));
  }

  /**
   * What an address is a part of: `key` names the innermost block, so that rows of one line in different blocks (inlined
   * copies, code that was duplicated) are told apart; `name` is that of the innermost function or inlined function.
   */
  instanceAt(address: number): { key: number; name: string; function: DwarfFunction } | undefined {
    const fn = this.at(address);
    if (!fn) return undefined;
    const blocks = blocksAt(fn.die, address);
    const inlined = blocks.findLast((die) => die.tag === Tag.inlined_subroutine);
    return { key: (blocks.at(-1) ?? fn.die).key, name: inlined?.qualifiedName ?? fn.qualifiedName, function: fn };
  }

  /**
   * Where a breakpoint on a function belongs: behind the code that sets up its frame. That is the row the compiler
   * marked, or the second row of the function; a function whose second row is at the same address has no prologue.
   * Assembly has none either. In optimised code the second row may be in one branch of several, and arguments have
   * places from the first instruction on: there it is the entry.
   */
  prologueEnd(fn: DwarfFunction): number {
    const { unit } = fn.die;
    const table = this.lines.tableOf(unit);
    const first = table && this.lines.rowAt(table, fn.entry);
    if (!table || first === undefined || unit.language === ASSEMBLER) return fn.entry;
    const rows = table.rows();
    const end = (fn.ranges.find((r) => fn.entry >= r.start && fn.entry < r.end) ?? fn.ranges[0]).end;
    let second: number | undefined;
    let start = first;
    while (start > 0 && rows.addresses[start - 1] === fn.entry && !(rows.flags[start - 1] & RowFlag.endSequence))
      start--;
    for (let i = start; i < rows.count && rows.addresses[i] < end; i++) {
      if (rows.flags[i] & RowFlag.endSequence) break;
      if (rows.flags[i] & RowFlag.prologueEnd) return rows.addresses[i];
      const isEntry = i === start || rows.lines[i] === 0 || !(rows.flags[i] & RowFlag.isStmt);
      if (isEntry || second !== undefined) continue;
      if (rows.addresses[i] > fn.entry || rows.lines[i] !== rows.lines[start]) second = rows.addresses[i];
    }
    return second === undefined || isOptimized(fn.die) ? fn.entry : second;
  }

  /** Where the inlined copies of a function begin, in the unit of its abstract entry. */
  inlinedCopies(abstract: Die): number[] {
    const { unit } = abstract;
    const tree = unit.tree();
    const starts: number[] = [];
    for (let slot = 0; slot < tree.count; slot++) {
      if (tagAt(tree, slot) !== Tag.inlined_subroutine) continue;
      const die = unit.at(slot);
      if (!hasRanges(die) || die.reference(At.abstract_origin)?.key !== abstract.key) continue;
      const [first] = rangesOf(die);
      if (first) starts.push(die.address(At.entry_pc) ?? die.address(At.low_pc) ?? first.start);
    }
    return starts;
  }

  /** A position that an entry's attributes name. */
  positionOf(die: Die, fileAt: At, lineAt: At, columnAt: At): SourcePosition | undefined {
    const owner = die.inherited(lineAt);
    const line = owner?.number(lineAt);
    if (!owner || !line) return undefined;
    const fileOwner = die.inherited(fileAt);
    const file = fileOwner && this.lines.fileOf(fileOwner.unit, fileOwner.number(fileAt));
    return file && { file, line, column: owner.number(columnAt) ?? 0 };
  }

  private collect(unit: Unit): UnitFunctions {
    const functions: DwarfFunction[] = [];
    const tree = unit.tree();
    for (let slot = 0; slot < tree.count; slot++) {
      if (tagAt(tree, slot) !== Tag.subprogram) continue;
      const die = unit.at(slot);
      if (!hasRanges(die)) continue;
      try {
        const fn = this.describe(die);
        if (fn) functions.push(fn);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        this.report(error);
      }
    }
    const intervals = functions.flatMap((f, payload) => f.ranges.map((r) => ({ ...r, payload })));
    return { functions, index: new IntervalIndex(intervals) };
  }

  private describe(die: Die): DwarfFunction | undefined {
    const ranges = rangesOf(die);
    if (ranges.length === 0) return undefined;
    const name = die.name ?? "(unnamed function)";
    const linked = die.inherited(At.linkage_name) ?? die.inherited(At.MIPS_linkage_name);
    return {
      name,
      qualifiedName: die.qualifiedName ?? name,
      linkageName: linked?.text(At.linkage_name) ?? linked?.text(At.MIPS_linkage_name),
      ranges,
      entry: die.address(At.entry_pc) ?? die.address(At.low_pc) ?? ranges[0].start,
      isExternal: die.inherited(At.external)?.flag(At.external) ?? false,
      declaration: this.positionOf(die, At.decl_file, At.decl_line, At.decl_column),
      die,
    };
  }
}

/** Whether a function was optimised: its compiler says with which options it ran, or a variable of it moves about. */
function isOptimized(fn: Die): boolean {
  if (/ -O([1-9sgz]|fast)\b/.test(fn.unit.producer)) return true;
  for (const child of fn.children()) {
    if (child.tag !== Tag.formal_parameter && child.tag !== Tag.variable) continue;
    if (child.value(At.location)?.kind === "list-index" || child.sectionOffset(At.location) !== undefined) return true;
  }
  return false;
}

/** The inlined subroutines around an address in a function, outermost first. */
function inlinedAt(fn: Die, address: number): { die: Die; ranges: AddressRange[] }[] {
  const chain: { die: Die; ranges: AddressRange[] }[] = [];
  for (const die of blocksAt(fn, address)) {
    if (die.tag === Tag.inlined_subroutine) chain.push({ die, ranges: rangesOf(die) });
  }
  return chain;
}

/** The lexical blocks and inlined subroutines around an address in a function, outermost first. */
function blocksAt(fn: Die, address: number): Die[] {
  const chain: Die[] = [];
  let die: Die | undefined = fn;
  while (die && chain.length < MAX_INLINE_DEPTH) {
    let inner: Die | undefined;
    for (const child of die.children()) {
      if (child.tag !== Tag.lexical_block && child.tag !== Tag.inlined_subroutine) continue;
      if (hasRanges(child) && contains(rangesOf(child), address)) {
        inner = child;
        break;
      }
    }
    if (inner) chain.push(inner);
    die = inner;
  }
  return chain;
}
