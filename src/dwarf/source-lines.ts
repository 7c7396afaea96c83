// Questions about source lines that need functions too: breakpoints.
//
// A line's code may be in several rows of several functions (a loop's condition, an inlined copy): a breakpoint wants
// each block of each function or inlined copy once, at its lowest address, and behind the prologue where the line is the
// function's own first. A line without code snaps to the next one that has some, and the answer says so.

import { found, type Lookup, refused } from "./errors";
import type { Functions } from "./functions";
import type { Lines, LineTable, RowMatch, SourceFile } from "./lines";

export interface LineAddress {
  /** Where to stop: behind the prologue if the line's code begins its function. */
  readonly address: number;
  /** Where the line's code begins. */
  readonly start: number;
  /** End of the code around `address` that belongs to one line. */
  readonly end: number;
  readonly column: number;
  /** The function, or the inlined one, that the code is a copy of. */
  readonly functionName?: string;
  readonly file: SourceFile;
}

export interface LineAddresses {
  readonly requestedLine: number;
  /** The line that the addresses belong to. */
  readonly line: number;
  /** The requested line has no code; `line` is the next that has. */
  readonly isSnapped: boolean;
  /** Sorted by address, never empty. */
  readonly addresses: readonly LineAddress[];
}

export interface BreakpointLocation {
  readonly line: number;
  /** 0 where the compiler did not say. */
  readonly column: number;
  readonly address: number;
}

const MAX_LOCATIONS = 10_000;

export class SourceLines {
  constructor(
    private readonly lines: Lines,
    private readonly functions: Functions,
  ) {}

  addressesOf(files: readonly SourceFile[], requestedLine: number, column?: number): Lookup<LineAddresses> {
    let line = Number.POSITIVE_INFINITY;
    for (const file of files) line = Math.min(line, this.lines.nextLineWithCode(file, requestedLine) ?? line);
    if (line === Number.POSITIVE_INFINITY) {
      return refused(`no code for line ${requestedLine} or any line after it in ${files[0]?.path ?? "this file"}`);
    }
    let matches = files.flatMap((file) => [...this.lines.statements(file, line, line)]);
    if (column !== undefined && column > 0) {
      const exact = matches.filter((m) => m.table.rows().columns[m.row] === column);
      if (exact.length > 0) matches = exact;
    }
    const addresses = this.onePerBlock(matches.slice(0, MAX_LOCATIONS));
    if (addresses.length === 0) return refused(`no code for line ${requestedLine}`);
    return found({ requestedLine, line, isSnapped: line !== requestedLine, addresses });
  }

  /** Every distinct line and column between two lines that a breakpoint can be put on. */
  breakpointLocations(files: readonly SourceFile[], firstLine: number, lastLine: number): BreakpointLocation[] {
    const places = new Map<string, BreakpointLocation>();
    for (const file of files) {
      for (const { table, row } of this.lines.statements(file, firstLine, lastLine)) {
        const rows = table.rows();
        const place = { line: rows.lines[row], column: rows.columns[row], address: rows.addresses[row] };
        const key = `${place.line}:${place.column}`;
        const known = places.get(key);
        if (!known || place.address < known.address) places.set(key, place);
        if (places.size >= MAX_LOCATIONS) break;
      }
    }
    return [...places.values()].sort((a, b) => a.line - b.line || a.column - b.column);
  }

  private onePerBlock(matches: readonly RowMatch[]): LineAddress[] {
    const best = new Map<number, LineAddress>();
    for (const { table, row } of matches) {
      const start = table.rows().addresses[row];
      const described = this.lines.describe(table, row);
      if (!described) continue;
      const instance = this.functions.instanceAt(start);
      // Code outside of any function (assembly) is taken row by row: its neighbours in one stretch are one place.
      const stretch = this.lines.stretch(table, row);
      const key = instance?.key ?? -1 - stretch.start;
      const known = best.get(key);
      if (known && known.start <= start) continue;
      const address =
        instance && start === instance.function.entry ? this.functions.prologueEnd(instance.function) : start;
      best.set(key, {
        address,
        start,
        end: this.endOf(table, address),
        column: described.column,
        functionName: instance?.name,
        file: described.file,
      });
    }
    return [...best.values()].sort((a, b) => a.address - b.address);
  }

  private endOf(table: LineTable, address: number): number {
    const row = this.lines.rowAt(table, address);
    return row === undefined ? address : this.lines.stretch(table, row).end;
  }
}
