/*
 * The Registers view: "where is the processor, and what does it believe?" One row for the world, then the groups in the
 * adapter's order. A register's label holds name and value, so that the value stands where the eye expects it, and the
 * value is marked when it changed since the last stop, with the old one in the tooltip.
 */

import { groupDigits, hex } from "../../base";
import type { BitField, RegisterGroupId, RegisterRow, RegistersResponse } from "../../dap";
import { descriptorFields, descriptorText, fieldsTable } from "./descriptor-text";
import { addressData, escapeMarkdown, joined, locationText, type Row, sourceText, symbolText } from "./row";
import { WORLDS, worldText } from "./worlds";

/** Values of one stop by register name, kept to mark what changed at the next. */
export type RegisterValues = ReadonlyMap<string, string>;

export interface RegistersOptions {
  /** Values at the stop before. */
  previous?: RegisterValues;
  /** Decimal beside hexadecimal in the general registers. */
  decimal?: boolean;
}

/** Larger values are addresses or bits more often than numbers: decimal would be noise. */
const LARGEST_COUNT = 0xfffff;

const GROUPS: Readonly<Record<RegisterGroupId, { label: string; isOpen: boolean }>> = {
  general: { label: "General", isOpen: true },
  flags: { label: "Flags", isOpen: true },
  segments: { label: "Segments", isOpen: true },
  believes: { label: "Guest Believes", isOpen: true },
  control: { label: "Control", isOpen: false },
  system: { label: "System", isOpen: false },
  debug: { label: "Debug", isOpen: false },
  msr: { label: "MSR", isOpen: false },
  fpu: { label: "x87", isOpen: false },
  mmx: { label: "MMX", isOpen: false },
  sse: { label: "SSE", isOpen: false },
};

/** The values to compare the next stop with. */
export function registerValues(response: RegistersResponse): RegisterValues {
  return new Map(response.groups.flatMap((group) => group.rows.map((row) => [row.name, valueText(row)])));
}

/** All rows of the view. */
export function registersRows(response: RegistersResponse, options: RegistersOptions = {}): Row[] {
  const world = WORLDS[response.world];
  const groups = response.groups.map((group): Row => {
    const { label, isOpen } = GROUPS[group.id];
    const rows = group.rows.map((row) => registerRow(group.id, row, options));
    const only = rows.length === 1 && group.id === "flags" ? rows[0] : undefined;
    return only ?? { id: `group.${group.id}`, label, children: rows, isOpen, spoken: `${label} registers` };
  });
  const place = worldText(response.world, response.ring);
  const instruction = `instruction ${groupDigits(response.instructionCount)}`;
  const first: Row = {
    id: "world",
    label: place,
    description: instruction,
    icon: world.icon,
    color: world.color,
    spoken: `${place}, ${instruction}`,
    data: { value: String(response.instructionCount) },
  };
  return [first, ...groups];
}

function registerRow(group: RegisterGroupId, row: RegisterRow, { previous, decimal }: RegistersOptions): Row {
  const value = valueText(row);
  const before = previous?.get(row.name);
  const hasChanged = before !== undefined && before !== value;
  const label = `${row.name}  ${value}`;
  const meaning = meaningOf(group, row, decimal ?? false);
  const children = row.fields?.map((field) => fieldRow(row, field));
  return {
    id: `register.${row.name}`,
    label,
    ...(hasChanged ? { changed: [row.name.length + 2, label.length] } : {}),
    description: meaning,
    tooltip: tooltipOf(row, value, hasChanged ? before : undefined),
    spoken: joined([row.name, value, hasChanged && `changed, was ${before}`, meaning], ", "),
    ...(children === undefined ? {} : { children }),
    data: {
      ...(row.location === undefined ? {} : addressData(row.location, row.name === "EIP")),
      ...(pointsAtMemory(row) ? { address: row.value } : {}),
      ...(row.editable ? { register: row.name } : {}),
      value,
      json: row,
    },
  };
}

/** Registers whose value may be an address: worth looking at in memory, even without a symbol. */
function pointsAtMemory(row: RegisterRow): boolean {
  return /^(E[A-D]X|E[SB]P|E[SD]I|EIP|CR2|esp1)$/.test(row.name);
}

function valueText(row: RegisterRow): string {
  return row.wide?.toUpperCase() ?? hex(row.value, Math.max(1, Math.ceil(row.bits / 4)));
}

function meaningOf(group: RegisterGroupId, row: RegisterRow, decimal: boolean): string {
  if (row.fields !== undefined) {
    return joined([
      row.fields
        .filter((field) => field.value !== 0)
        .map(fieldName)
        .join(" "),
      row.meaning,
    ]);
  }
  if (row.segment !== undefined) {
    const { selector, hidden, table } = row.segment;
    return joined([
      selector < 4 ? "null" : descriptorText(hidden),
      table !== undefined && "GDT entry differs",
      row.meaning,
    ]);
  }
  const symbol = joined([symbolText(row.location), sourceText(row.location)]);
  const signed = row.value | 0;
  const isCount = group === "general" && decimal && row.name !== "EIP" && Math.abs(signed) <= LARGEST_COUNT;
  const number = isCount ? groupDigits(signed) : "";
  return joined([number, symbol, row.meaning]);
}

/** `IF`; fields of more bits carry their value: `IOPL=1`. */
function fieldName(field: BitField): string {
  return field.width === 1 ? field.name : `${field.name}=${field.value}`;
}

function fieldRow(row: RegisterRow, field: BitField): Row {
  const label = `${field.name}  ${field.value}`;
  const bits = field.width === 1 ? `bit ${field.bit}` : `bits ${field.bit}–${field.bit + field.width - 1}`;
  return {
    id: `register.${row.name}.${field.name}`,
    label,
    description: joined([field.meaning, bits]),
    spoken: joined([label, field.meaning, bits], ", "),
    data: {
      value: String(field.value),
      ...(row.editable ? { register: row.name, field: field.name } : {}),
    },
  };
}

function tooltipOf(row: RegisterRow, value: string, before: string | undefined): string {
  const unsigned = row.wide === undefined ? ` = ${groupDigits(row.value)}` : "";
  const lines = [`**${row.name}** \`${value}\`${unsigned}`];
  if (before !== undefined) {
    lines.push(`Changed since the last stop. It was \`${before}\`.`);
  }
  if (row.location?.symbol !== undefined) {
    lines.push(escapeMarkdown(locationText(row.location)));
  }
  if (row.meaning !== undefined) {
    lines.push(escapeMarkdown(row.meaning));
  }
  if (row.segment !== undefined) {
    const { hidden, table, why } = row.segment;
    const loaded = descriptorFields(hidden);
    lines.push(
      table === undefined
        ? loaded.map(([name, text]) => `${name}: \`${text}\``).join("  \n")
        : fieldsTable(loaded, descriptorFields(table)).replace("| guest | CPU |", "| loaded | table now |"),
    );
    if (why !== undefined) {
      lines.push(escapeMarkdown(why));
    }
  }
  return lines.join("\n\n");
}
