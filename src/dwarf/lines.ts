// Line numbers both ways, over all units: address to line, and file and line to addresses.
//
// A unit's line program is run when an address in it is looked up, or a line in one of its files. Files are known by
// number: the same path in many units is one SourceFile. Where several rows stand at one address the last counts, and
// among those of its file the last that begins a statement.

import { FormatError } from "../base";
import { At } from "./constants";
import {
  joinPath,
  type LineFile,
  type LineHeader,
  type LineRows,
  PathCache,
  RowFlag,
  readLineHeader,
  runLineProgram,
} from "./line-program";
import type { Unit } from "./unit";
import type { UnitList } from "./unit-list";

export interface SourceFile {
  readonly id: number;
  /** With directories, tidied; absolute unless the compiler wrote no directory. */
  readonly path: string;
  /** The last part of the path. */
  readonly name: string;
}

export interface SourcePosition {
  readonly file: SourceFile;
  readonly line: number;
  /** From 1; 0 where the compiler did not say. */
  readonly column: number;
}

/** What one row of a line table says about an address. */
export interface LineRow extends SourcePosition {
  /** The row covers addresses from `start` up to, but without, `end`. */
  readonly start: number;
  readonly end: number;
  readonly isStmt: boolean;
  readonly isPrologueEnd: boolean;
}

export interface LineTable {
  readonly unit: Unit;
  readonly header: LineHeader;
  /** SourceFile ids by the program's file numbers. */
  readonly fileIds: readonly (number | undefined)[];
  rows(): LineRows;
}

/** A row that a file-and-line search found. */
export interface RowMatch {
  readonly table: LineTable;
  readonly row: number;
}

export class Lines {
  private readonly files: SourceFile[] = [];
  private readonly filesByPath = new Map<string, SourceFile>();
  private readonly filesByName = new Map<string, SourceFile[]>();
  private readonly tables = new Map<number, LineTable | undefined>();
  private tablesByFile: Map<number, LineTable[]> | undefined;

  private readonly paths: PathCache;

  constructor(private readonly list: UnitList) {
    this.paths = new PathCache(list.sections);
  }

  /** The line table of a unit, if it has a readable one. */
  tableOf(unit: Unit): LineTable | undefined {
    try {
      const offset = unit.root.sectionOffset(At.stmt_list);
      if (offset === undefined) return undefined;
      if (!this.tables.has(offset)) {
        this.tables.set(offset, undefined);
        this.tables.set(offset, this.readTable(unit, offset));
      }
      return this.tables.get(offset);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.list.report(error);
      return undefined;
    }
  }

  file(id: number): SourceFile {
    return this.files[id];
  }

  /** All files of all units. Reads the headers of all line tables the first time. */
  allFiles(): readonly SourceFile[] {
    this.indexFiles();
    return this.files;
  }

  /** The file that a number in a unit's entries (DW_AT_decl_file) means. */
  fileOf(unit: Unit, fileNumber: number | undefined): SourceFile | undefined {
    if (fileNumber === undefined) return undefined;
    const id = this.tableOf(unit)?.fileIds[fileNumber];
    return id === undefined ? undefined : this.files[id];
  }

  /**
   * The files that a path can mean: the one of exactly this path, else those that share the longest tail of whole
   * path parts with it, the file name at least. Case counts only if that leaves something.
   */
  matching(path: string): readonly SourceFile[] {
    this.indexFiles();
    const wanted = joinPath("", path);
    const exact = this.filesByPath.get(wanted);
    if (exact) return [exact];
    const parts = wanted.split("/").reverse();
    let best: SourceFile[] = [];
    let bestLength = 0;
    const sameName = this.filesByName.get(parts[0].toLowerCase()) ?? [];
    for (const isSame of [
      (a: string, b: string) => a === b,
      (a: string, b: string) => a.toLowerCase() === b.toLowerCase(),
    ]) {
      for (const file of sameName) {
        const other = file.path.split("/").reverse();
        let length = 0;
        while (length < parts.length && length < other.length && isSame(parts[length], other[length])) length++;
        if (length === 0 || length < bestLength) continue;
        if (length > bestLength) best = [];
        bestLength = length;
        best.push(file);
      }
      if (best.length > 0) break;
    }
    return best;
  }

  /** The row that covers an address in a unit's table. */
  rowAt(table: LineTable, address: number): number | undefined {
    const rows = table.rows();
    const sequence = sequenceAt(rows, address);
    if (!sequence) return undefined;
    let low = sequence.first;
    let high = sequence.last;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rows.addresses[middle] <= address) low = middle + 1;
      else high = middle;
    }
    const last = low - 1;
    for (let i = last; i >= sequence.first && rows.addresses[i] === rows.addresses[last]; i--) {
      // A statement of another file is an inlined call that came to nothing: the code is the last row's.
      if (rows.files[i] !== rows.files[last]) break;
      if (rows.flags[i] & RowFlag.isStmt && rows.lines[i] !== 0) return i;
    }
    return last;
  }

  /** The row itself if it has a line, else the nearest one before it that has, not before the address `lowest`. */
  withLine(table: LineTable, row: number, lowest: number): number | undefined {
    const { lines, flags, addresses } = table.rows();
    for (let i = row; i >= 0 && addresses[i] >= lowest && !(flags[i] & RowFlag.endSequence); i--) {
      if (lines[i] !== 0) return i;
    }
    return undefined;
  }

  /** A row as an answer; undefined if it names no line or no file. */
  describe(table: LineTable, row: number): LineRow | undefined {
    const rows = table.rows();
    const id = table.fileIds[rows.files[row]];
    if (id === undefined || rows.lines[row] === 0) return undefined;
    return {
      file: this.files[id],
      line: rows.lines[row],
      column: rows.columns[row],
      start: rows.addresses[row],
      end: rowEnd(rows, row),
      isStmt: (rows.flags[row] & RowFlag.isStmt) !== 0,
      isPrologueEnd: (rows.flags[row] & RowFlag.prologueEnd) !== 0,
    };
  }

  /**
   * The addresses around this one that belong to the same line of the same file without a gap, code without a line
   * (line 0) in between included. It is what stepping a line has to leave.
   */
  stretch(table: LineTable, row: number): { start: number; end: number } {
    const rows = table.rows();
    const isSame = (i: number) =>
      rows.lines[i] === 0 || (rows.lines[i] === rows.lines[row] && rows.files[i] === rows.files[row]);
    const sequence = sequenceAt(rows, rows.addresses[row]);
    if (!sequence) return { start: rows.addresses[row], end: rowEnd(rows, row) };
    let first = row;
    while (first > sequence.first && (isSame(first - 1) || rows.addresses[first - 1] === rows.addresses[first]))
      first--;
    while (first < row && (rows.lines[first] === 0 || !isSame(first))) first++;
    let last = row + 1;
    // Rows that cover nothing (several at one address) do not end the line.
    while (last < sequence.last && (isSame(last) || rows.addresses[last + 1] === rows.addresses[last])) last++;
    return { start: rows.addresses[first], end: rows.addresses[last] };
  }

  /** Rows that begin a statement on one of the given lines, in the order of tables and rows. */
  *statements(file: SourceFile, firstLine: number, lastLine: number): IterableIterator<RowMatch> {
    for (const table of this.tablesOf(file)) {
      const rows = table.rows();
      const isFile = table.fileIds.map((id) => id === file.id);
      for (let i = 0; i < rows.count; i++) {
        const line = rows.lines[i];
        if (line < firstLine || line > lastLine || !isFile[rows.files[i]]) continue;
        if ((rows.flags[i] & (RowFlag.isStmt | RowFlag.endSequence)) !== RowFlag.isStmt) continue;
        // A row that another one at the same address takes over covers nothing, unless it is the only one of its line.
        yield { table, row: i };
      }
    }
  }

  /** The first line from `line` on that has code. */
  nextLineWithCode(file: SourceFile, line: number): number | undefined {
    let best: number | undefined;
    for (const { table, row } of this.statements(file, Math.max(1, line), best ?? 0xffffffff)) {
      const candidate = table.rows().lines[row];
      if (best === undefined || candidate < best) best = candidate;
      if (best === line) break;
    }
    return best;
  }

  private tablesOf(file: SourceFile): readonly LineTable[] {
    this.indexFiles();
    return this.tablesByFile?.get(file.id) ?? [];
  }

  private indexFiles(): void {
    if (this.tablesByFile) return;
    this.tablesByFile = new Map();
    const seen = new Set<LineTable>();
    for (const unit of this.list.units) {
      if (!unit.isCode) continue;
      const table = this.tableOf(unit);
      if (!table || seen.has(table)) continue;
      seen.add(table);
      for (const id of new Set(table.fileIds)) {
        if (id === undefined) continue;
        const list = this.tablesByFile.get(id);
        if (list) list.push(table);
        else this.tablesByFile.set(id, [table]);
      }
    }
  }

  private readTable(unit: Unit, offset: number): LineTable {
    const { sections } = this.list;
    const header = readLineHeader(sections, this.paths, offset, unit.directory, unit.name);
    const fileIds = header.files.map((f) => f && this.idOf(f));
    let rows: LineRows | undefined;
    return {
      unit,
      header,
      fileIds,
      rows: () => {
        if (!rows) {
          rows = runLineProgram(sections, this.paths, header, (file) => fileIds.push(this.idOf(file)));
          if (rows.problem) this.list.report(rows.problem);
        }
        return rows;
      },
    };
  }

  private idOf({ path }: LineFile): number {
    let file = this.filesByPath.get(path);
    if (!file) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      file = { id: this.files.length, path, name };
      this.files.push(file);
      this.filesByPath.set(path, file);
      const key = name.toLowerCase();
      const list = this.filesByName.get(key);
      if (list) list.push(file);
      else this.filesByName.set(key, [file]);
    }
    return file.id;
  }
}

function sequenceAt(rows: LineRows, address: number): LineRows["sequences"][number] | undefined {
  const { sequences } = rows;
  let low = 0;
  let high = sequences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sequences[middle].start <= address) low = middle + 1;
    else high = middle;
  }
  const sequence = sequences[low - 1];
  return sequence && address < sequence.end ? sequence : undefined;
}

/** Address of the next row that is somewhere else. */
function rowEnd(rows: LineRows, row: number): number {
  let next = row + 1;
  while (next < rows.count - 1 && rows.addresses[next] === rows.addresses[row]) next++;
  return rows.addresses[next] ?? rows.addresses[row];
}
