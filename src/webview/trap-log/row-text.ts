/*
 * One entry of the trap log in words: the event with its arguments, where it was, what a screen reader says of it.
 * Colours and words of the kinds are here too, once for rows, strip, menu and details.
 *
 * Texts only, no elements: grid.ts and details.ts put them on the page, tests compare them.
 */

import { groupDigits, hex } from "../../base";
import type { CodeLocation, TrapKind, TrapRow, World } from "../../dap";

/** Kinds in the order in which they are stacked and listed, with their words and the class that colours them. */
export const KINDS: readonly { kind: TrapKind; word: string; plural: string }[] = [
  { kind: "hypercall", word: "hypercall", plural: "hypercalls" },
  { kind: "asyncHypercall", word: "asynchronous hypercall", plural: "asynchronous" },
  { kind: "pageFault", word: "page fault", plural: "page faults" },
  { kind: "exception", word: "exception", plural: "exceptions" },
  { kind: "syscall", word: "system call", plural: "system calls" },
  { kind: "interrupt", word: "interrupt", plural: "interrupts" },
  { kind: "hostInterrupt", word: "host interrupt", plural: "host interrupts" },
  { kind: "kill", word: "end of the guest", plural: "ends" },
];

/** What a world is called in a narrow column. */
export const WORLD_WORDS: Readonly<Record<World, string>> = {
  user: "user",
  guest: "guest",
  switcher: "switcher",
  host: "host",
};

const PAGE_FAULT = 14;
const WRITE = 2;
const EXECUTE = 16;

/** `SET_PTE 01276000 C0104000`, `#PF write C0104ABC`, `int 0x80 (4: write)`. */
export function eventText(row: TrapRow): string {
  const parts = [row.name];
  if (row.hypercall !== undefined) {
    parts.push(...row.hypercall.args.map((argument) => hex(argument)));
  } else if (row.vector === PAGE_FAULT && row.cr2 !== undefined) {
    const error = row.error ?? 0;
    parts.push(error & EXECUTE ? "execute" : error & WRITE ? "write" : "read", hex(row.cr2));
  } else if (row.error) {
    parts.push(`error ${hex(row.error, 4)}`);
  }
  if (row.detail) {
    parts.push(row.hypercall === undefined ? `(${row.detail})` : row.detail);
  }
  return parts.join(" ");
}

/** `lguest_set_pte+0x1f`, or the address where there is no symbol. */
export function symbolText({ address, symbol, offset }: CodeLocation): string {
  if (symbol === undefined) {
    return hex(address);
  }
  return offset ? `${symbol}+0x${offset.toString(16)}` : symbol;
}

/** `pgtable.c:88`, or an empty text. */
export function sourceText({ path, line }: CodeLocation): string {
  const name = path?.split(/[\\/]/).at(-1) ?? "";
  return name === "" || line === undefined ? name : `${name}:${line}`;
}

/** What a screen reader says when the row is selected. */
export function spokenRow(row: TrapRow): string {
  const place = [symbolText(row.at), sourceText(row.at)].filter((text) => text !== "").join(", ");
  const cost = row.cost === null ? "" : `, cost ${row.cost} instructions`;
  const outcome = row.outcome === null ? "" : `, ${row.outcome}`;
  return `${row.n}, ${WORLD_WORDS[row.world]}, ${eventText(row)}, at ${place}${outcome}${cost}`;
}

/** Text of a column; an empty text for what is not known. */
export function cellText(row: TrapRow, column: ColumnId): string {
  switch (column) {
    case "n":
      return groupDigits(row.n);
    case "instruction":
      return groupDigits(row.instructionCount);
    case "world":
      return WORLD_WORDS[row.world];
    case "event":
      return eventText(row);
    case "where":
      return symbolText(row.at);
    case "outcome":
      return row.outcome ?? "";
    case "cost":
      return row.cost === null ? "" : groupDigits(row.cost);
  }
}

export type ColumnId = "n" | "instruction" | "world" | "event" | "where" | "outcome" | "cost";

/** The grid's columns, left to right. */
export const COLUMNS: readonly { id: ColumnId; title: string; explanation: string }[] = [
  { id: "n", title: "#", explanation: "Sequence number" },
  { id: "instruction", title: "instruction", explanation: "Instructions retired before it" },
  { id: "world", title: "world", explanation: "Where the processor was: user is ring 3, guest is ring 1" },
  { id: "event", title: "event", explanation: "What happened, with its arguments" },
  { id: "where", title: "where", explanation: "Function and source line" },
  { id: "outcome", title: "outcome", explanation: "What the host did with it" },
  { id: "cost", title: "cost", explanation: "Instructions until the guest ran again" },
];
