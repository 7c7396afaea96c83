/*
 * The IDT view: "what will happen when this vector fires?" A row per vector that says something of its own; neighbours
 * that say the same are folded into one range. The word at the end (direct, reflected, guest dies) is the answer, the
 * row opens to the reason and to both sides.
 */

import { groupDigits, hex } from "../../base";
import type { Gate, IdtResponse, IdtRow, TrapDelivery } from "../../dap";
import { DELIVERY, fieldsTable, gateFields, gateText } from "./descriptor-text";
import type { TableFilter } from "./gdt-rows";
import { addressData, escapeMarkdown, joined, type Row, symbolText } from "./row";

const ICONS: Readonly<Record<TrapDelivery, { icon: string; color?: string }>> = {
  direct: { icon: "zap", color: "ring1.guest" },
  reflected: { icon: "reply", color: "ring1.host" },
  host: { icon: "server-environment", color: "ring1.host" },
  hypercall: { icon: "call-outgoing", color: "ring1.host" },
  interrupt: { icon: "bell", color: "ring1.interrupt" },
  swallowed: { icon: "circle-slash" },
  kills: { icon: "error", color: "ring1.fault" },
  refused: { icon: "circle-slash" },
};

/** All rows of the view. */
export function idtRows(response: IdtResponse, filter: TableFilter = {}): Row[] {
  const shown = response.entries.filter((entry) => isShown(entry, filter));
  const hidden = response.entries.length - shown.length;
  const rows = foldEqual(shown).map((run) => (run.length === 1 ? entryRow(run[0]!) : rangeRow(run)));
  if (hidden > 0) {
    rows.push({ id: "hidden", label: `${hidden} more hidden by the filter`, icon: "filter" });
  }
  return rows;
}

/** Number of rows with a meaning of their own, for the view's description. */
export function idtKinds(response: IdtResponse): number {
  return foldEqual(response.entries).length;
}

function isShown(entry: IdtRow, { onlyDifferences, onlyPresent }: TableFilter): boolean {
  return (
    !(onlyPresent && entry.guest?.present !== true && entry.count === 0) &&
    !(onlyDifferences && !(entry.guest?.present === true && entry.delivery !== "direct"))
  );
}

/** Neighbouring entries that say the same: no handler of their own, same delivery and reason, never fired, no break. */
function foldEqual(entries: IdtRow[]): IdtRow[][] {
  const runs: IdtRow[][] = [];
  for (const entry of entries) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && isFoldable(entry) && canFollow(last, entry)) {
      run.push(entry);
    } else {
      runs.push([entry]);
    }
  }
  return runs;
}

function canFollow(last: IdtRow, entry: IdtRow): boolean {
  const sameHandler = last.guest?.present
    ? entry.guest?.target.address === last.guest.target.address
    : !entry.guest?.present;
  return (
    isFoldable(last) &&
    last.vector === entry.vector - 1 &&
    last.delivery === entry.delivery &&
    last.cpu.dpl === entry.cpu.dpl &&
    sameHandler
  );
}

/** Vectors with a name below 32, and the system call's, always have a row of their own. */
function isFoldable({ vector, name, count, breaks }: IdtRow): boolean {
  return count === 0 && !breaks && (vector > 31 ? vector !== 0x80 : name === undefined);
}

function rangeRow(run: IdtRow[]): Row {
  const first = run[0]!;
  const last = run.at(-1)!;
  const range = `${hex(first.vector, 2)} – ${hex(last.vector, 2)}`;
  const description = joined([DELIVERY[first.delivery], handlerText(first)]);
  return {
    id: `idt.${first.vector}-`,
    label: range,
    description,
    icon: ICONS[first.delivery].icon,
    tooltip: escapeMarkdown(first.why),
    spoken: `vectors ${range}, ${description}`,
    load: async () => run.map(entryRow),
  };
}

function entryRow(entry: IdtRow): Row {
  const { vector, name, guest, cpu, delivery, why, count, breaks } = entry;
  const label = joined([hex(vector, 2), name]);
  const times = count === 0 ? "" : `${groupDigits(count)} times`;
  const description = joined([DELIVERY[delivery], times, handlerText(entry)]);
  const { icon, color } = breaks
    ? { icon: "debug-breakpoint", color: "debugIcon.breakpointForeground" }
    : ICONS[delivery];
  return {
    id: `idt.${vector}`,
    label,
    description,
    icon,
    ...(color === undefined ? {} : { color }),
    tooltip: [
      `**Vector ${vector} (${hex(vector, 2)})**${name ? ` ${escapeMarkdown(name)}` : ""}: ${DELIVERY[delivery]}`,
      escapeMarkdown(why),
      fieldsTable(guest && gateFields(guest), gateFields(cpu)),
    ].join("\n\n"),
    spoken: joined(
      [
        `vector ${vector}`,
        name,
        guest?.present ? `handler ${symbolText(guest.target) || hex(guest.target.address)}` : "no handler",
        DELIVERY[delivery],
        why,
        times,
        breaks && "breaks here",
      ],
      ", ",
    ),
    children: [
      { id: `idt.${vector}.why`, label: "Why", description: why, spoken: why, data: { value: why } },
      side(vector, "Guest", guest),
      side(vector, "CPU", cpu),
    ],
    data: {
      ...(guest?.present ? addressData(guest.target, true) : {}),
      vector,
      breaks,
      value: `${hex(cpu.low)} ${hex(cpu.high)}`,
      json: entry,
    },
  };
}

function handlerText({ guest }: IdtRow): string {
  if (guest === null || !guest.present) {
    return "(none)";
  }
  return gateText(guest);
}

function side(vector: number, name: string, gate: Gate | null): Row {
  const text = gate === null ? "never set" : gateText(gate);
  const raw = gate === null ? "" : `${hex(gate.low)} ${hex(gate.high)}`;
  return {
    id: `idt.${vector}.${name}`,
    label: joined([name, raw]),
    description: text,
    spoken: joined([name, text], ", "),
    data: gate?.present ? { ...addressData(gate.target, true), value: raw } : { value: raw },
  };
}
