// One unit's line number program, run once into a table of rows.
//
// The program is a little machine with registers address, file, line, column, is_stmt; each row it emits is one slot in
// a few typed arrays. Rows come in sequences of rising addresses; the last row of a sequence only marks its end.
// A row is emitted by at least one byte, so the size of the data bounds the work. DWARF 5, section 6.2.

import { FormatError } from "../base";
import { Lnct, Lne, Lns } from "./constants";
import { type FormContext, readForm } from "./forms";
import type { DwarfReader } from "./reader";
import type { Sections } from "./sections";

export interface LineFile {
  /** As written: may be relative to the directory. */
  readonly name: string;
  /** The file's place, with the unit's directory in front where that was relative. */
  readonly path: string;
}

export interface LineHeader {
  readonly version: number;
  /** By the program's own numbers: from 1 up to version 4, from 0 in version 5. */
  readonly files: readonly (LineFile | undefined)[];
  readonly minimumInstructionLength: number;
  readonly maximumOperations: number;
  readonly defaultIsStmt: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  readonly operandCounts: readonly number[];
  readonly addressSize: number;
  readonly programStart: number;
  readonly programEnd: number;
}

/** Joins paths and reads strings once each: every unit of a kernel names the same few hundred headers. */
export class PathCache {
  private readonly joined = new Map<string, Map<string, string>>();
  private readonly texts = new Map<number, string>();

  constructor(private readonly sections: Sections) {}

  join(directory: string, name: string): string {
    let names = this.joined.get(directory);
    if (!names) {
      names = new Map();
      this.joined.set(directory, names);
    }
    let path = names.get(name);
    if (path === undefined) {
      path = joinPath(directory, name);
      names.set(name, path);
    }
    return path;
  }

  text(section: string, offset: number): string {
    if (section !== ".debug_line_str") return this.sections.text(section, offset);
    let text = this.texts.get(offset);
    if (text === undefined) {
      text = this.sections.text(section, offset);
      this.texts.set(offset, text);
    }
    return text;
  }
}

export const enum RowFlag {
  isStmt = 1,
  prologueEnd = 2,
  epilogueBegin = 4,
  endSequence = 8,
}

export interface LineRows {
  readonly count: number;
  readonly addresses: Uint32Array;
  readonly lines: Uint32Array;
  readonly columns: Uint16Array;
  readonly files: Uint16Array;
  readonly flags: Uint8Array;
  /** Sequences with code, sorted by address. */
  readonly sequences: readonly Sequence[];
  /** What stopped the program before its end, if anything did. */
  readonly problem?: FormatError;
}

/** Rows from `first` to `last`; `last` is the end mark. */
export interface Sequence {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

/** Reads a line program's header with its tables of directories and files. Throws a DwarfError if it is malformed. */
export function readLineHeader(
  sections: Sections,
  paths: PathCache,
  offset: number,
  unitDirectory: string,
  unitName: string,
): LineHeader {
  const r = sections.reader(".debug_line", offset);
  const { end: programEnd, offsetSize } = r.initialLength();
  r.end = programEnd;
  const version = r.u16();
  if (version < 2 || version > 5) r.fail(`line table version ${version} is not supported (2 to 5 are)`, offset);
  let addressSize = 4;
  if (version >= 5) {
    addressSize = r.u8();
    if (r.u8() !== 0) r.fail("segment selectors in line tables are not supported");
  }
  const headerLength = r.offsetOf(offsetSize);
  if (headerLength > r.remaining) r.fail("the header is longer than its unit");
  const programStart = r.offset + headerLength;
  const minimumInstructionLength = r.u8();
  const maximumOperations = version >= 4 ? Math.max(1, r.u8()) : 1;
  const defaultIsStmt = r.u8() !== 0;
  const lineBase = r.i8();
  const lineRange = r.u8();
  const opcodeBase = Math.max(1, r.u8());
  const operandCounts = [0, ...Array.from({ length: opcodeBase - 1 }, () => r.u8())];
  const context = { version, addressSize, offsetSize };
  const files =
    version >= 5 ? readNewFiles(r, paths, context, unitDirectory) : readOldFiles(r, paths, unitDirectory, unitName);
  return {
    version,
    files,
    minimumInstructionLength,
    maximumOperations,
    defaultIsStmt,
    lineBase,
    lineRange,
    opcodeBase,
    operandCounts,
    addressSize,
    programStart,
    programEnd,
  };
}

function readOldFiles(
  r: DwarfReader,
  paths: PathCache,
  unitDirectory: string,
  unitName: string,
): (LineFile | undefined)[] {
  const directories = [unitDirectory];
  for (;;) {
    const directory = r.cstring();
    if (directory === "") break;
    directories.push(paths.join(unitDirectory, directory));
  }
  // File 0 is the unit's own by custom.
  const files: (LineFile | undefined)[] = [{ name: unitName, path: paths.join(unitDirectory, unitName) }];
  for (;;) {
    const name = r.cstring();
    if (name === "") return files;
    files.push(oldFile(r, paths, name, directories, unitDirectory));
  }
}

function oldFile(
  r: DwarfReader,
  paths: PathCache,
  name: string,
  directories: readonly string[],
  unitDirectory: string,
): LineFile {
  const directory = directories[r.uleb()] ?? unitDirectory;
  r.skipLeb();
  r.skipLeb();
  return { name, path: paths.join(directory, name) };
}

/** Version 5: the tables describe their own columns. */
function readNewFiles(
  r: DwarfReader,
  paths: PathCache,
  context: FormContext,
  unitDirectory: string,
): (LineFile | undefined)[] {
  const directories = readEntries(r, paths, context).map((d) => paths.join(unitDirectory, d.path));
  return readEntries(r, paths, context).map((f) => ({
    name: f.path,
    path: paths.join(directories[f.directory] ?? unitDirectory, f.path),
  }));
}

function readEntries(r: DwarfReader, paths: PathCache, context: FormContext): { path: string; directory: number }[] {
  const formats = Array.from({ length: r.u8() }, () => ({ content: r.uleb(), form: r.uleb() }));
  const count = r.uleb();
  // Every entry takes at least a byte, so a larger count is a lie that would only cost time.
  if (count > r.remaining || (formats.length === 0 && count > 0)) r.fail(`a table of ${count} entries does not fit`);
  return Array.from({ length: count }, () => {
    let path = "";
    let directory = 0;
    for (const { content, form } of formats) {
      const value = readForm(r, form, context);
      if (content === Lnct.path) {
        if (value.kind === "text") path = value.text;
        else if (value.kind === "text-offset") path = paths.text(value.section, value.number);
      } else if (content === Lnct.directory_index && value.kind === "constant") directory = Number(value.big);
    }
    return { path, directory };
  });
}

/** Runs a line program. What is malformed ends it early; the rows before are good (see `problem`). */
export function runLineProgram(
  sections: Sections,
  paths: PathCache,
  header: LineHeader,
  defined: (file: LineFile) => void,
): LineRows {
  const rows = new RowBuilder(sections);
  let problem: FormatError | undefined;
  try {
    execute(sections, header, rows, (r, name) => defined(oldFile(r, paths, name, [], "")));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    problem = error;
  }
  return rows.finish(problem);
}

function execute(
  sections: Sections,
  h: LineHeader,
  rows: RowBuilder,
  define: (r: DwarfReader, name: string) => void,
): void {
  const r = sections.reader(".debug_line", h.programStart);
  r.end = h.programEnd;
  let address = 0;
  let operation = 0;
  let file = 1;
  let line = 1;
  let column = 0;
  let flags = h.defaultIsStmt ? RowFlag.isStmt : 0;
  const advance = (operationAdvance: number) => {
    if (h.maximumOperations === 1) {
      address += h.minimumInstructionLength * operationAdvance;
    } else {
      const total = operation + operationAdvance;
      address += h.minimumInstructionLength * Math.floor(total / h.maximumOperations);
      operation = total % h.maximumOperations;
    }
    address %= 0x1_0000_0000;
  };
  const emit = () => {
    rows.add(address, file, line, column, flags);
    flags &= RowFlag.isStmt;
  };
  const needRange = () => (h.lineRange === 0 ? r.fail("a special opcode, but the line range is 0") : h.lineRange);
  while (!r.atEnd) {
    const opcode = r.u8();
    if (opcode >= h.opcodeBase) {
      const adjusted = opcode - h.opcodeBase;
      const range = needRange();
      advance(Math.floor(adjusted / range));
      line += h.lineBase + (adjusted % range);
      emit();
      continue;
    }
    switch (opcode) {
      case 0: {
        const length = r.uleb();
        const next = r.offset + length;
        if (length === 0) break;
        if (length > r.remaining) r.fail("an extended opcode reaches beyond the program");
        switch (r.u8() as Lne) {
          case Lne.end_sequence:
            flags |= RowFlag.endSequence;
            emit();
            rows.endSequence();
            address = operation = column = 0;
            file = line = 1;
            flags = h.defaultIsStmt ? RowFlag.isStmt : 0;
            break;
          case Lne.set_address:
            address = r.unsigned(length - 1) % 0x1_0000_0000;
            operation = 0;
            break;
          case Lne.define_file: {
            const name = r.cstring();
            define(r, name);
            break;
          }
        }
        r.seek(next);
        break;
      }
      case Lns.copy:
        emit();
        break;
      case Lns.advance_pc:
        advance(r.uleb());
        break;
      case Lns.advance_line:
        line += r.sleb();
        break;
      case Lns.set_file:
        file = r.uleb();
        break;
      case Lns.set_column:
        column = r.uleb();
        break;
      case Lns.negate_stmt:
        flags ^= RowFlag.isStmt;
        break;
      case Lns.set_basic_block:
        break;
      case Lns.const_add_pc:
        advance(Math.floor((255 - h.opcodeBase) / needRange()));
        break;
      case Lns.fixed_advance_pc:
        address = (address + r.u16()) % 0x1_0000_0000;
        operation = 0;
        break;
      case Lns.set_prologue_end:
        flags |= RowFlag.prologueEnd;
        break;
      case Lns.set_epilogue_begin:
        flags |= RowFlag.epilogueBegin;
        break;
      case Lns.set_isa:
        r.skipLeb();
        break;
      default:
        for (let i = h.operandCounts[opcode]; i > 0; i--) r.skipLeb();
    }
  }
}

class RowBuilder {
  private capacity = 256;
  private count = 0;
  private sequenceFirst = 0;
  private addresses = new Uint32Array(this.capacity);
  private lines = new Uint32Array(this.capacity);
  private columns = new Uint16Array(this.capacity);
  private files = new Uint16Array(this.capacity);
  private flags = new Uint8Array(this.capacity);
  private readonly sequences: Sequence[] = [];

  constructor(private readonly sections: Sections) {}

  add(address: number, file: number, line: number, column: number, flags: number): void {
    if (this.count === this.capacity) this.grow();
    this.addresses[this.count] = address;
    this.files[this.count] = Math.min(file, 0xffff);
    this.lines[this.count] = Math.max(0, line);
    this.columns[this.count] = Math.min(column, 0xffff);
    this.flags[this.count++] = flags;
  }

  /** The row just added ends a sequence: keeps it if it has code, and drops its rows if the linker threw it away. */
  endSequence(): void {
    const first = this.sequenceFirst;
    const last = this.count - 1;
    const start = this.addresses[first];
    const end = this.addresses[last];
    let isSorted = true;
    for (let i = first + 1; i <= last; i++) isSorted &&= this.addresses[i] >= this.addresses[i - 1];
    if (end > start && isSorted && this.sections.isMapped(start)) this.sequences.push({ start, end, first, last });
    else this.count = first;
    this.sequenceFirst = this.count;
  }

  finish(problem: FormatError | undefined): LineRows {
    const count = this.sequenceFirst;
    return {
      count,
      addresses: this.addresses.slice(0, count),
      lines: this.lines.slice(0, count),
      columns: this.columns.slice(0, count),
      files: this.files.slice(0, count),
      flags: this.flags.slice(0, count),
      sequences: this.sequences.sort((a, b) => a.start - b.start || b.end - a.end),
      problem,
    };
  }

  private grow(): void {
    this.capacity *= 2;
    const copy = <T extends Uint32Array | Uint16Array | Uint8Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.addresses = copy(new Uint32Array(this.capacity), this.addresses);
    this.lines = copy(new Uint32Array(this.capacity), this.lines);
    this.columns = copy(new Uint16Array(this.capacity), this.columns);
    this.files = copy(new Uint16Array(this.capacity), this.files);
    this.flags = copy(new Uint8Array(this.capacity), this.flags);
  }
}

/** Joins and tidies: `/a/b` and `../c.c` give `/a/c.c`. Windows paths keep their drive; back-slashes become slashes. */
export function joinPath(directory: string, name: string): string {
  const path = (isAbsolute(name) || directory === "" ? name : `${directory}/${name}`).replaceAll("\\", "/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "." || (part === "" && parts.length > 0)) continue;
    const last = parts[parts.length - 1];
    if (part === ".." && last !== undefined && last !== ".." && last !== "") parts.pop();
    else if (part !== ".." || last !== "") parts.push(part);
  }
  return parts.length === 1 && parts[0] === "" ? "/" : parts.join("/");
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") || path.startsWith("\\") || /^[A-Za-z]:[\\/]/.test(path);
}
