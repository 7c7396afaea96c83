/*
 * GDT and IDT as tables: which columns there are, what each cell says, how it sorts. A column belongs to the guest's
 * side, to the CPU's, or to neither; a cell of the CPU's side that differs from the guest's is marked.
 *
 * A new column is one entry here; index.ts draws whatever there is.
 */

import { groupDigits, hex } from "../../base";
import type { Descriptor, Gate, GdtRow, IdtRow, TrapDelivery } from "../../dap";

export interface Column<Row> {
  id: string;
  title: string;
  side?: "guest" | "cpu";
  /** Text of the cell. */
  text(row: Row): string;
  /** What the column sorts by; the text when absent. */
  order?(row: Row): number | string;
  /** The cell differs from the guest's. */
  differs?(row: Row): boolean;
  /** Address that the cell links to. */
  address?(row: Row): number | undefined;
  isNumeric?: boolean;
  isWide?: boolean;
}

const KIND_WORDS: Readonly<Record<Descriptor["kind"], string>> = {
  null: "empty",
  code: "code",
  data: "data",
  ldt: "LDT",
  tss16: "16-bit TSS",
  tss32: "TSS",
  callGate16: "16-bit call gate",
  callGate32: "call gate",
  taskGate: "task gate",
  reserved: "reserved",
};

function typeText({ kind, is32Bit, isReadable, isWritable, isConforming, isExpandDown }: Descriptor): string {
  if (kind !== "code" && kind !== "data") {
    return KIND_WORDS[kind];
  }
  const rights = `${isReadable ? "r" : "-"}${isWritable ? "w" : "-"}${kind === "code" ? "x" : "-"}`;
  return `${kind}${is32Bit ? "32" : "16"} ${rights}${isConforming ? " conforming" : ""}${isExpandDown ? " expand-down" : ""}`;
}

/** A column for one property of a descriptor, on both sides. */
function descriptorColumns(
  id: string,
  title: string,
  text: (descriptor: Descriptor) => string,
  isNumeric = false,
): [Column<GdtRow>, Column<GdtRow>] {
  const isSet = (descriptor: Descriptor | null): descriptor is Descriptor =>
    descriptor !== null && descriptor.kind !== "null";
  const textOf = (descriptor: Descriptor | null): string => (isSet(descriptor) ? text(descriptor) : "");
  return [
    { id: `guest-${id}`, title, side: "guest", isNumeric, text: (row) => textOf(row.guest) },
    {
      id: `cpu-${id}`,
      title,
      side: "cpu",
      isNumeric,
      text: (row) => textOf(row.cpu),
      differs: (row) => row.guest !== null && textOf(row.guest) !== textOf(row.cpu),
    },
  ];
}

/** The guest's columns, then the CPU's. */
function bySide<Row>(pairs: [Column<Row>, Column<Row>][]): Column<Row>[] {
  return [...pairs.map(([guest]) => guest), ...pairs.map(([, cpu]) => cpu)];
}

export const GDT_COLUMNS: readonly Column<GdtRow>[] = [
  { id: "index", title: "#", text: (row) => String(row.index), order: (row) => row.index, isNumeric: true },
  { id: "selector", title: "selector", text: (row) => hex(row.selector, 4), isNumeric: true },
  {
    id: "role",
    title: "use",
    text: (row) => [row.role, row.usedBy?.length ? `in ${row.usedBy.join(" ")}` : ""].filter(Boolean).join(", "),
  },
  ...bySide<GdtRow>([
    descriptorColumns("raw", "words", ({ low, high }) => `${hex(low)} ${hex(high)}`, true),
    descriptorColumns("type", "type", typeText),
    descriptorColumns("dpl", "ring", ({ dpl }) => String(dpl), true),
    descriptorColumns("base", "base", ({ base }) => hex(base), true),
    descriptorColumns("limit", "limit", ({ limit }) => hex(limit), true),
  ]),
  {
    id: "why",
    title: "why",
    text: (row) => row.why ?? (isEmptyGdt(row) ? "" : row.guest === null ? "Not set by the guest." : "The same."),
    isWide: true,
  },
];

/** Neither side holds anything. */
export function isEmptyGdt({ guest, cpu }: GdtRow): boolean {
  return cpu.kind === "null" && (guest === null || guest.kind === "null");
}

export const DELIVERY_WORDS: Readonly<Record<TrapDelivery, string>> = {
  direct: "direct",
  reflected: "reflected",
  host: "host first",
  hypercall: "hypercall",
  interrupt: "injected",
  swallowed: "swallowed",
  kills: "guest dies",
  refused: "#GP",
};

const GATE_WORDS: Readonly<Record<Gate["kind"], string>> = {
  interrupt16: "16-bit interrupt",
  interrupt32: "interrupt",
  trap16: "16-bit trap",
  trap32: "trap",
  task: "task",
  invalid: "invalid",
};

function gateColumns(
  id: string,
  title: string,
  text: (gate: Gate) => string,
  isNumeric = false,
): [Column<IdtRow>, Column<IdtRow>] {
  const textOf = (gate: Gate | null): string => (gate?.present ? text(gate) : "");
  return [
    { id: `guest-${id}`, title, side: "guest", isNumeric, text: (row) => textOf(row.guest) },
    {
      id: `cpu-${id}`,
      title,
      side: "cpu",
      isNumeric,
      text: (row) => textOf(row.cpu),
      differs: (row) => row.guest?.present === true && textOf(row.guest) !== textOf(row.cpu),
    },
  ];
}

function handlerText({ target }: Gate): string {
  const { address, symbol, offset } = target;
  return `${hex(address)}${symbol === undefined ? "" : ` ${symbol}${offset ? `+0x${offset.toString(16)}` : ""}`}`;
}

const [guestHandler, cpuHandler] = gateColumns("handler", "handler", handlerText);

export const IDT_COLUMNS: readonly Column<IdtRow>[] = [
  { id: "vector", title: "vector", text: (row) => hex(row.vector, 2), order: (row) => row.vector, isNumeric: true },
  { id: "name", title: "name", text: (row) => row.name ?? "" },
  { id: "delivery", title: "what happens", text: (row) => DELIVERY_WORDS[row.delivery] },
  {
    id: "count",
    title: "times",
    text: (row) => (row.count === 0 ? "" : groupDigits(row.count)),
    order: (row) => row.count,
    isNumeric: true,
  },
  { ...guestHandler, address: (row) => (row.guest?.present ? row.guest.target.address : undefined) },
  ...bySide<IdtRow>([
    gateColumns("type", "gate", (gate) => GATE_WORDS[gate.kind]),
    gateColumns("dpl", "DPL", (gate) => String(gate.dpl), true),
    gateColumns("selector", "selector", (gate) => hex(gate.selector, 4), true),
  ]).filter(({ side }) => side === "guest"),
  cpuHandler,
  ...bySide<IdtRow>([
    gateColumns("type", "gate", (gate) => GATE_WORDS[gate.kind]),
    gateColumns("dpl", "DPL", (gate) => String(gate.dpl), true),
    gateColumns("selector", "selector", (gate) => hex(gate.selector, 4), true),
  ]).filter(({ side }) => side === "cpu"),
  { id: "why", title: "why", text: (row) => row.why, isWide: true },
];

/** Rows in the order of a column; rows with an empty cell come last in either direction. */
export function sortRows<Row>(rows: readonly Row[], column: Column<Row>, descending: boolean): Row[] {
  const key = column.order ?? column.text;
  const compare = (a: Row, b: Row): number => {
    const [first, second] = [key(a), key(b)];
    if (first === "" || second === "") {
      return first === second ? 0 : first === "" ? 1 : -1;
    }
    const order = typeof first === "number" ? first - (second as number) : first.localeCompare(second as string, "en");
    return descending ? -order : order;
  };
  return [...rows].sort(compare);
}
