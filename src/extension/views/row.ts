/*
 * A row of a tree view as data, without `vscode`: what it says, what it says to a screen reader, and what can be done
 * with it. Each view has a function from an answer of the adapter to rows (`*-rows.ts`), which tests compare as text;
 * one provider (row-tree.ts) shows them all.
 */

import { hex } from "../../base";
import type { CodeLocation } from "../../dap";

/** What the commands of a row need. */
export interface RowData {
  /** A linear address: disassembly, memory, translate, copy. */
  address?: number;
  /** The address is code: break here, disassembly. */
  isCode?: boolean;
  /** Where the source is. */
  location?: CodeLocation;
  /** Text that "Copy Value" copies. */
  value?: string;
  /** Register that "Set Value" sets, and the field of it. */
  register?: string;
  field?: string;
  /** Vector that can be broken on, and whether it is. */
  vector?: number;
  breaks?: boolean;
  /** Trap-log entry. */
  sequence?: number;
  /** The adapter's object, for "Copy as JSON". */
  json?: unknown;
}

export interface Row {
  /** Stable from one stop to the next, so that what is open stays open. */
  id: string;
  label: string;
  /** Part of the label that changed since the last stop. */
  changed?: [start: number, end: number];
  /** Dimmed text behind the label. */
  description?: string;
  /** Markdown. */
  tooltip?: string;
  /** A codicon, and the theme colour it takes. */
  icon?: string;
  color?: string;
  /** What a screen reader says; label and description when absent. */
  spoken?: string;
  children?: Row[];
  /** Reads the children when the row is opened. */
  load?: () => Promise<Row[]>;
  isOpen?: boolean;
  data?: RowData;
}

/** `kernel_main+0x13`, or an empty text. */
export function symbolText(location: CodeLocation | undefined): string {
  if (location?.symbol === undefined) {
    return "";
  }
  return location.offset ? `${location.symbol}+0x${location.offset.toString(16)}` : location.symbol;
}

/** `main.c:57`, or an empty text. */
export function sourceText(location: CodeLocation | undefined): string {
  if (location?.path === undefined) {
    return "";
  }
  const name = location.path.split(/[\\/]/).at(-1) ?? location.path;
  return location.line === undefined ? name : `${name}:${location.line}`;
}

/** `C0100123 kernel_main+0x13 main.c:57`, as much of it as is known. */
export function locationText(location: CodeLocation): string {
  return joined([hex(location.address), symbolText(location), sourceText(location)], " ");
}

/** The texts that are not empty, with `separator` between them. */
export function joined(texts: (string | undefined | false)[], separator = "  "): string {
  return texts.filter((text) => text !== undefined && text !== false && text !== "").join(separator);
}

/** A row's data for something that lies at an address. */
export function addressData(location: CodeLocation, isCode = false): RowData {
  return { address: location.address, isCode, ...(location.path === undefined ? {} : { location }) };
}

/** Words of `viewItem`, which menus ask for. */
export function contextWords(data: RowData | undefined): string[] {
  if (data === undefined) {
    return [];
  }
  const words: [string, boolean][] = [
    ["address", data.address !== undefined],
    ["code", data.isCode === true],
    ["source", data.location?.path !== undefined],
    ["value", data.value !== undefined],
    ["editable", data.register !== undefined],
    ["vectorOn", data.vector !== undefined && data.breaks === true],
    ["vectorOff", data.vector !== undefined && data.breaks !== true],
    ["trap", data.sequence !== undefined && data.sequence > 0],
    ["json", data.json !== undefined],
  ];
  return words.filter(([, applies]) => applies).map(([word]) => word);
}

/** Rows as indented text: what tests compare, and what an accessible view reads. */
export function rowsText(rows: Row[], depth = 0): string {
  return rows
    .map((row) => {
      const own = `${"  ".repeat(depth)}${joined([row.changed && "*", row.label], "")}${row.description ? `  | ${row.description}` : ""}`;
      return row.children?.length ? `${own}\n${rowsText(row.children, depth + 1)}` : own;
    })
    .join("\n");
}

/** Text that markdown takes literally. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, "\\$&");
}
