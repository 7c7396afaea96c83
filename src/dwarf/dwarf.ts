// The debug information of one program: the front door, behind which everything else in this folder is wired together.
//
// Opening reads the unit headers only. Every question answers with a Lookup, a list, or a value; what is malformed is
// stepped over, remembered in `problems`, and never thrown. Addresses are those of the program (virtual addresses).

import type { FormatError } from "../base";
import { AddressMap } from "./address-map";
import { CallFrameInformation } from "./cfi";
import { At, Tag } from "./constants";
import { attempt, found, type Lookup, refused } from "./errors";
import { Frames } from "./frames";
import { type DwarfFunction, type FunctionFrame, Functions } from "./functions";
import { type LineRow, Lines, type SourceFile } from "./lines";
import type { FrameContext, Location } from "./location";
import { NameIndex, type NameKind } from "./names";
import { type DwarfInput, Sections } from "./sections";
import { type BreakpointLocation, type LineAddresses, SourceLines } from "./source-lines";
import { Storage } from "./storage";
import { baseTypeSpellings, builtInType } from "./type-names";
import { type EnumType, type Type, TypeTable, VOID } from "./types";
import type { Die, Unit } from "./unit";
import { UnitList } from "./unit-list";
import { type UnwoundFrame, unwind } from "./unwind";
import { ValueNode, type ValueOptions } from "./values";
import { type Variable, Variables } from "./variables";

/** Where an address is in the source. */
export interface SourceLocation extends LineRow {
  /** The innermost function or inlined function, with namespaces. */
  readonly functionName?: string;
  /** False for code that the compiler gave no line: this is the line before it in the same function. */
  readonly isExact: boolean;
  /** The stretch around the address that belongs to the same line: what a step over the line has to leave. */
  readonly stretch: { readonly start: number; readonly end: number };
}

export interface DwarfSummary {
  readonly unitCount: number;
  /** DWARF versions found, sorted. */
  readonly versions: readonly number[];
  /** Why there are no source lines at all; absent where there are some. */
  readonly noLines?: string;
  readonly hasCallFrames: boolean;
}

/** A named enumerator and the enumeration it belongs to. */
export interface EnumConstant {
  readonly name: string;
  readonly value: bigint;
  readonly type: Type;
}

/** A place to stop at for a function. */
export interface FunctionBreakpoint {
  readonly address: number;
  readonly functionName: string;
  readonly isInlined: boolean;
}

const MAX_PROBLEMS = 100;

export class Dwarf {
  private readonly sections: Sections;
  private readonly list: UnitList;
  private readonly lines: Lines;
  private readonly addresses: AddressMap;
  private readonly functions: Functions;
  private readonly types: TypeTable;
  private readonly cfi: CallFrameInformation;
  private readonly frames: Frames;
  private readonly variables: Variables;
  private readonly sourceLines: SourceLines;
  private readonly problemTexts = new Set<string>();
  /** The index of names, to be built in steps by whoever has time: `while (!dwarf.names.step()) await ...`. */
  readonly names: NameIndex;

  constructor(input: DwarfInput) {
    const report = (problem: FormatError) => this.note(problem.message);
    this.sections = new Sections(input);
    this.list = new UnitList(this.sections, report);
    this.lines = new Lines(this.list);
    this.addresses = new AddressMap(this.list, (unit) => {
      const sequences = this.lines.tableOf(unit)?.rows().sequences ?? [];
      return sequences.length > 0 ? sequences : this.functions.ofUnit(unit).functions.flatMap((f) => f.ranges);
    });
    this.functions = new Functions((address) => this.addresses.unitAt(address), this.lines, report);
    this.names = new NameIndex(this.list);
    this.types = new TypeTable(this.list, (die) => this.typeDefinition(die));
    this.cfi = new CallFrameInformation(this.sections, report);
    this.frames = new Frames(this.functions, this.types, this.cfi);
    this.variables = new Variables(this.types, this.functions, this.frames, (die) => this.variableDefinition(die));
    this.sourceLines = new SourceLines(this.lines, this.functions);
  }

  /** What was malformed or unknown so far, a sentence each with section and offset; at most a hundred. */
  get problems(): readonly string[] {
    return [...this.problemTexts];
  }

  /** What there is, for a message at the start of a session. */
  summary(): DwarfSummary {
    const units = this.list.units;
    const versions = [...new Set(units.map((u) => u.version))].sort((a, b) => a - b);
    const noLines = this.whyNoLines();
    return { unitCount: units.length, versions, ...(noLines ? { noLines } : {}), hasCallFrames: this.cfi.isPresent };
  }

  // ---- lines -------------------------------------------------------------------------------------------------------

  /** The source line of an address. For a caller's frame ask with the return address less one. */
  lineAt(address: number): Lookup<SourceLocation> {
    return this.answer(() => {
      const unit = this.addresses.unitAt(address);
      if (!unit) return refused(this.whyNoLines() ?? `no line information for 0x${address.toString(16)}`);
      const table = this.lines.tableOf(unit);
      if (!table) return refused(`no line information: ${unit.name} has no line table`);
      const instance = this.functions.instanceAt(address);
      const range = instance?.function.ranges.find((r) => address >= r.start && address < r.end);
      const row = this.lines.rowAt(table, address);
      const lined = row === undefined ? undefined : this.lines.withLine(table, row, range?.start ?? 0);
      const described = lined === undefined ? undefined : this.lines.describe(table, lined);
      if (lined === undefined || !described) return refused(`no line information for 0x${address.toString(16)}`);
      const stretch = this.lines.stretch(table, lined);
      return found({ ...described, functionName: instance?.name, stretch, isExact: lined === row });
    });
  }

  /** All source files that some unit names, headers included. */
  sourceFiles(): readonly SourceFile[] {
    const files = this.answer(() => found(this.lines.allFiles()));
    return files.ok ? files.value : [];
  }

  /** The files that a path (a whole one, or just its last parts) can mean. */
  filesMatching(path: string): readonly SourceFile[] {
    const files = this.answer(() => found(this.lines.matching(path)));
    return files.ok ? files.value : [];
  }

  /**
   * The addresses of a line, one for each function or inlined copy; of the next line with code if it has none itself.
   * With a column, only code of that column counts, if there is any.
   */
  addressesOf(file: SourceFile | string, line: number, column?: number): Lookup<LineAddresses> {
    return this.answer(() => {
      const files = this.filesOf(file);
      if (files.length === 0) return refused(this.whyNoLines() ?? `no code comes from ${String(file)}`);
      return this.sourceLines.addressesOf(files, line, column);
    });
  }

  /** The lines and columns between two lines, both included, that have code of their own. */
  breakpointLocations(
    file: SourceFile | string,
    firstLine: number,
    lastLine = firstLine,
  ): readonly BreakpointLocation[] {
    const places = this.answer(() =>
      found(this.sourceLines.breakpointLocations(this.filesOf(file), firstLine, lastLine)),
    );
    return places.ok ? places.value : [];
  }

  // ---- functions ---------------------------------------------------------------------------------------------------

  /** The function whose code an address is in. */
  functionAt(address: number): DwarfFunction | undefined {
    const fn = this.answer(() => found(this.functions.at(address)));
    return fn.ok ? fn.value : undefined;
  }

  /** The function at an address and what is inlined there, innermost first. Empty where no function is known. */
  framesAt(address: number): readonly FunctionFrame[] {
    const line = this.lineAt(address);
    const chain = this.answer(() => found(this.functions.chainAt(address, line.ok ? line.value : undefined)));
    return chain.ok ? chain.value : [];
  }

  /** The functions of this name, plain, qualified or as the linker knows it. Completes the index of names. */
  functionsNamed(name: string): readonly DwarfFunction[] {
    const functions = this.entriesNamed("function", name).map((die) =>
      this.answer(() => found(this.functions.ofDie(die))),
    );
    return functions.map((f) => (f.ok ? f.value : undefined)).filter((f) => f !== undefined);
  }

  /** Where a breakpoint on a function belongs. */
  prologueEnd(fn: DwarfFunction): number {
    const end = this.answer(() => found(this.functions.prologueEnd(fn)));
    return end.ok ? end.value : fn.entry;
  }

  /**
   * All places to stop at for a function of this name: behind the prologue of each that has code of its own, and at the
   * beginning of each inlined copy. Completes the index of names.
   */
  functionBreakpoints(name: string): readonly FunctionBreakpoint[] {
    const places: FunctionBreakpoint[] = this.functionsNamed(name).map((fn) => {
      return { address: this.prologueEnd(fn), functionName: fn.qualifiedName, isInlined: false };
    });
    for (const die of this.entriesNamed("inline", name)) {
      const starts = this.answer(() => found(this.functions.inlinedCopies(die)));
      for (const start of starts.ok ? starts.value : []) {
        const around = this.functionAt(start);
        const address = around && around.entry === start ? this.prologueEnd(around) : start;
        places.push({ address, functionName: die.qualifiedName ?? name, isInlined: true });
      }
    }
    return places.sort((a, b) => a.address - b.address);
  }

  // ---- variables ---------------------------------------------------------------------------------------------------

  /** Arguments and locals of a frame (from `framesAt`) in scope at an address, outer blocks first. */
  variablesOf(frame: FunctionFrame, address: number): readonly Variable[] {
    const variables = this.answer(() => found(this.variables.inScope(frame.die, address)));
    return variables.ok ? variables.value : [];
  }

  /** The file-level variables of the unit that an address is in. */
  globalsAt(address: number): readonly Variable[] {
    const globals = this.answer(() => {
      const unit = this.addresses.unitAt(address);
      return found(unit ? this.variables.globalsOf(unit) : []);
    });
    return globals.ok ? globals.value : [];
  }

  /**
   * File-level variables of this name. One of the unit around `near` comes first, since a static one there hides the rest.
   * Completes the index of names.
   */
  globalsNamed(name: string, near?: number): readonly Variable[] {
    const unit = near === undefined ? undefined : this.unitAt(near);
    return this.entriesNamed("variable", name)
      .sort((a, b) => Number(b.unit === unit) - Number(a.unit === unit))
      .map((die) => this.answer(() => found(this.variables.global(die))))
      .flatMap((v) => (v.ok ? [v.value] : []));
  }

  /** Where a variable's value is, in a frame. */
  locate(variable: Variable, frame: FrameContext): Location {
    const location = this.answer(() => found(this.variables.locate(variable, frame)));
    return location.ok ? location.value : { kind: "unavailable", isOptimizedOut: false, reason: location.reason };
  }

  /** A variable's value in a frame, as a tree. */
  valueOf(variable: Variable, frame: FrameContext, options: ValueOptions = {}): ValueNode {
    const storage = new Storage(this.locate(variable, frame), frame);
    return new ValueNode(variable.name, variable.type, storage, this.withFrame(options, frame));
  }

  /** A value of a type at an address, as a tree: what a cast of an address gives. */
  valueAt(name: string, type: Type, address: number, frame: FrameContext, options: ValueOptions = {}): ValueNode {
    const storage = new Storage({ kind: "memory", address: address >>> 0 }, frame);
    return new ValueNode(name, type, storage, this.withFrame(options, frame));
  }

  // ---- types -------------------------------------------------------------------------------------------------------

  /**
   * Types of this name: typedefs and base types, and what is `struct`, `union`, `class` or `enum` of that name. Base types
   * of C are known in every spelling and even if the program does not use them.
   */
  typesNamed(name: string): readonly Type[] {
    const keyword = /^(struct|union|class|enum)\s+(.+)$/.exec(name.trim());
    if (keyword) {
      const wanted = TAGS_OF_KEYWORD[keyword[1]];
      const dies = this.entriesNamed("type", keyword[2]).filter((die) => wanted.includes(die.tag));
      return dies.map((die) => this.types.ofDie(die));
    }
    if (name.trim() === "void") return [VOID];
    for (const spelling of baseTypeSpellings(name)) {
      const dies = this.entriesNamed("type", spelling);
      if (dies.length > 0) return dies.map((die) => this.types.ofDie(die));
    }
    const builtIn = builtInType(name);
    return builtIn ? [builtIn] : [];
  }

  /** Enumerators of this name. */
  enumeratorsNamed(name: string): readonly EnumConstant[] {
    return this.entriesNamed("enumerator", name).flatMap((die) => {
      const constant = this.answer(() => {
        const type = die.parent && this.types.ofDie(die.parent);
        const enumerator = (type as EnumType | undefined)?.enumerators?.find((e) => e.name === die.text(At.name));
        return type && enumerator ? found({ ...enumerator, type }) : refused("not an enumerator");
      });
      return constant.ok ? [constant.value] : [];
    });
  }

  // ---- stack -------------------------------------------------------------------------------------------------------

  /** The caller's registers, by call frame information for `frame.pc`. */
  unwind(frame: FrameContext): Lookup<UnwoundFrame> {
    return this.answer(() => {
      const row = this.cfi.rowAt(frame.pc);
      return row ? unwind(row, frame) : refused(`no call frame information covers 0x${frame.pc.toString(16)}`);
    });
  }

  // ------------------------------------------------------------------------------------------------------------------

  private note(problem: string): void {
    if (this.problemTexts.size < MAX_PROBLEMS) this.problemTexts.add(problem);
  }

  private answer<T>(read: () => Lookup<T>): Lookup<T> {
    return attempt(read, (problem) => this.note(problem));
  }

  private unitAt(address: number): Unit | undefined {
    const unit = this.answer(() => found(this.addresses.unitAt(address)));
    return unit.ok ? unit.value : undefined;
  }

  private filesOf(file: SourceFile | string): readonly SourceFile[] {
    return typeof file === "string" ? this.lines.matching(file) : [file];
  }

  private entriesNamed(kind: NameKind, name: string): Die[] {
    const dies = this.answer(() => found(this.names.find(kind, name)));
    return dies.ok ? dies.value : [];
  }

  private whyNoLines(): string | undefined {
    const [problem] = this.problemTexts;
    if (this.list.units.length > 0) {
      if (this.list.sections.has(".debug_line")) return undefined;
      return `no line information: ${problem ?? "the program has no section .debug_line"}`;
    }
    if (problem) return `no line information: ${problem}`;
    const hasInfo = attempt(() => found(this.sections.has(".debug_info")));
    if (!hasInfo.ok) return `no line information: ${hasInfo.reason}`;
    return "no line information: the program was built without debug information (compile and link with -g)";
  }

  private withFrame(options: ValueOptions, frame: FrameContext): ValueOptions {
    const countOf: ValueOptions["countOf"] = (type) => {
      const die = type.dynamicCount;
      const count = die && this.answer(() => found(this.variables.countOf(die, frame)));
      return count?.ok ? count.value : undefined;
    };
    const implicitTarget: ValueOptions["implicitTarget"] = (target) => {
      const storage = this.answer(() => {
        const die = this.list.entryOfKey(target);
        return die ? found(new Storage(this.variables.locateDie(die, frame), frame)) : refused("no such entry");
      });
      return storage.ok ? storage.value : undefined;
    };
    return { countOf, implicitTarget, ...options };
  }

  /** The definition of a type that a unit only declares. Same tag; the index of names knows definitions only. */
  private typeDefinition(declaration: Die): Die | undefined {
    const name = declaration.qualifiedName;
    if (name === undefined) return undefined;
    return this.names.find("type", name).find((die) => die.tag === declaration.tag);
  }

  private variableDefinition(declaration: Die): Die | undefined {
    const name = declaration.name;
    if (name === undefined) return undefined;
    const all = this.names.find("variable", name);
    return all.find((die) => die.unit === declaration.unit) ?? all[0];
  }
}

const TAGS_OF_KEYWORD: Readonly<Record<string, readonly Tag[]>> = {
  struct: [Tag.structure_type, Tag.class_type],
  union: [Tag.union_type],
  class: [Tag.class_type, Tag.structure_type],
  enum: [Tag.enumeration_type],
};
