/*
 * The GDT view: "what did I load, what did the hypervisor make of it?" A row per entry that is not empty; runs of empty
 * entries are one row. Where guest and CPU differ the row says how, and opens to both sides and the reason.
 *
 * Which entries are the host's own, and what it changes in others: lguest's rules for segments, told by the adapter in
 * `why`.
 */

import { hex } from "../../base";
import type { Descriptor, GdtResponse, GdtRow } from "../../dap";
import { descriptorFields, descriptorText, fieldsTable, ringChangeText } from "./descriptor-text";
import { escapeMarkdown, joined, type Row } from "./row";

export interface TableFilter {
  onlyDifferences?: boolean;
  onlyPresent?: boolean;
}

/** All rows of the view. */
export function gdtRows(response: GdtResponse, filter: TableFilter = {}): Row[] {
  const shown = response.entries.filter((entry) => isShown(entry, filter));
  const hidden = response.entries.length - shown.length;
  const rows: Row[] = [];
  let run: GdtRow[] = [];
  const endRun = (): void => {
    if (run.length > 0) {
      rows.push(emptyRow(run));
      run = [];
    }
  };
  for (const entry of shown) {
    if (isEmpty(entry)) {
      if (run.length > 0 && run.at(-1)!.index !== entry.index - 1) {
        endRun();
      }
      run.push(entry);
    } else {
      endRun();
      rows.push(entryRow(entry));
    }
  }
  endRun();
  if (hidden > 0) {
    rows.push({ id: "hidden", label: `${hidden} more hidden by the filter`, icon: "filter" });
  }
  return rows;
}

function isEmpty({ guest, cpu }: GdtRow): boolean {
  return (guest === null || (guest.low === 0 && guest.high === 0)) && cpu.low === 0 && cpu.high === 0;
}

function isShown(entry: GdtRow, { onlyDifferences, onlyPresent }: TableFilter): boolean {
  return (
    !(onlyDifferences && (entry.state === "same" || isEmpty(entry))) &&
    !(onlyPresent && !entry.cpu.present && entry.guest?.present !== true)
  );
}

function emptyRow(run: GdtRow[]): Row {
  const first = run[0]!;
  const last = run.at(-1)!;
  const range = run.length === 1 ? number(first) : `${number(first)} – ${number(last)}`;
  return { id: `gdt.${first.index}`, label: range, description: "empty", spoken: `entries ${range}, empty` };
}

/** `12  0060`. */
function number({ index, selector }: GdtRow): string {
  return `${index}  ${hex(selector, 4)}`;
}

function entryRow(entry: GdtRow): Row {
  const { guest, cpu, why } = entry;
  const what = descriptorText(guest ?? cpu);
  const state = stateText(entry);
  const description = joined([what, state]);
  const label = joined([number(entry), entry.role]);
  return {
    id: `gdt.${entry.index}`,
    label,
    description,
    ...(entry.state === "same" ? {} : { icon: entry.state === "hostOnly" ? "lock" : "diff-modified" }),
    tooltip: joined(
      [
        `**Entry ${entry.index}, selector ${hex(entry.selector, 4)}**${entry.role ? ` ${escapeMarkdown(entry.role)}` : ""}`,
        fieldsTable(guest && descriptorFields(guest), descriptorFields(cpu)),
        why && escapeMarkdown(why),
        entry.usedBy?.length && `In use by ${entry.usedBy.join(", ")}.`,
      ].map((part) => part || undefined),
      "\n\n",
    ),
    spoken: joined([`entry ${entry.index}`, `selector ${hex(entry.selector, 4)}`, entry.role, what, state, why], ", "),
    children: [
      side(entry, "Guest", guest),
      side(entry, "CPU", cpu),
      ...(why === undefined ? [] : [{ id: `gdt.${entry.index}.why`, label: "Why", description: why, spoken: why }]),
    ],
    data: { value: `${hex(cpu.low)} ${hex(cpu.high)}`, json: entry, ...baseAddress(cpu) },
  };
}

function side(entry: GdtRow, name: string, descriptor: Descriptor | null): Row {
  const text = descriptor === null ? "never set" : descriptorText(descriptor);
  const raw = descriptor === null ? "" : `${hex(descriptor.low)} ${hex(descriptor.high)}`;
  return {
    id: `gdt.${entry.index}.${name}`,
    label: joined([name, raw]),
    description: text,
    spoken: joined([name, text, raw], ", "),
    data: { value: raw },
  };
}

/** A base that is not 0 is worth a look at memory. */
function baseAddress({ base, kind }: Descriptor): { address?: number } {
  return base !== 0 && kind !== "null" ? { address: base } : {};
}

/** How the CPU's entry stands to the guest's, in few words. */
function stateText({ guest, cpu, state, usedBy }: GdtRow): string {
  const used = usedBy?.length ? `in ${usedBy.join(" ")}` : "";
  if (state === "hostOnly") {
    return joined(["host's own", guest !== null && guest.high !== 0 && "guest's value kept aside", used]);
  }
  if (state === "pending") {
    return joined(["copied before the next entry", used]);
  }
  if (guest === null || state === "same") {
    return joined([guest === null ? "not set by the guest" : "same on the CPU", used]);
  }
  return joined([ringChangeText(guest, cpu) || "changed by the host", used]);
}
