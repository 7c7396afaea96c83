/*
 * Descriptors and gates in words, and their bit fields by name: GDT, IDT, segment registers and the table editor say
 * the same about the same bits. Intel SDM Vol. 3, sections 3.4.5, 3.5 and 6.11.
 *
 * Texts only: which descriptors there are comes from the adapter, decoded (custom-requests-tables.ts).
 */

import { hex } from "../../base";
import type { Descriptor, Gate, TrapDelivery } from "../../dap";
import { symbolText } from "./row";

const KINDS: Readonly<Record<Descriptor["kind"], string>> = {
  null: "empty",
  code: "code",
  data: "data",
  ldt: "LDT",
  tss16: "16-bit TSS",
  tss32: "TSS",
  callGate16: "16-bit call gate",
  callGate32: "call gate",
  taskGate: "task gate",
  reserved: "reserved type",
};

/** `r-x`, `rw-`; conforming and expand-down are added as words. */
export function accessText({ kind, isReadable, isWritable, isConforming, isExpandDown }: Descriptor): string {
  if (kind !== "code" && kind !== "data") {
    return "";
  }
  const rights = `${isReadable ? "r" : "-"}${isWritable ? "w" : "-"}${kind === "code" ? "x" : "-"}`;
  return `${rights}${isConforming ? " conforming" : ""}${isExpandDown ? " expand-down" : ""}`;
}

/** `flat`, or `base 00100000 limit 0000FFFF`. */
export function extentText({ base, limit }: Descriptor): string {
  return base === 0 && limit === 0xffffffff ? "flat" : `base ${hex(base)} limit ${hex(limit)}`;
}

/** `code32 r-x ring 1 flat`. */
export function descriptorText(descriptor: Descriptor): string {
  const { kind, is32Bit, dpl, present } = descriptor;
  if (kind === "null") {
    return KINDS.null;
  }
  const isSegment = kind === "code" || kind === "data";
  const parts = [
    isSegment ? `${kind}${is32Bit ? "32" : "16"}` : KINDS[kind],
    accessText(descriptor),
    `ring ${dpl}`,
    kind.includes("Gate") || kind === "taskGate" || kind === "reserved" ? "" : extentText(descriptor),
    present ? "" : "not present",
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** Lines of `name  value`, for a tooltip: every field of a descriptor. */
export function descriptorFields(descriptor: Descriptor): [name: string, value: string][] {
  return [
    ["words", `${hex(descriptor.low)} ${hex(descriptor.high)}`],
    ["type", `${KINDS[descriptor.kind]} (${hex((descriptor.high >>> 8) & 0x1f, 2)})`],
    ["base", hex(descriptor.base)],
    ["limit", `${hex(descriptor.limit)} (G = ${Number(descriptor.isPageGranular)})`],
    ["P present", String(Number(descriptor.present))],
    ["DPL ring", String(descriptor.dpl)],
    ["D/B 32-bit", String(Number(descriptor.is32Bit))],
    [descriptor.kind.startsWith("tss") ? "busy" : "A accessed", String(Number(descriptor.isAccessed))],
  ];
}

const GATES: Readonly<Record<Gate["kind"], string>> = {
  interrupt16: "16-bit interrupt gate",
  interrupt32: "interrupt gate",
  trap16: "16-bit trap gate",
  trap32: "trap gate",
  task: "task gate",
  invalid: "invalid gate",
};

/** `C0100480 page_fault  interrupt gate DPL 0`. */
export function gateText(gate: Gate): string {
  if (!gate.present) {
    return "not present";
  }
  const target = [hex(gate.target.address), symbolText(gate.target)].filter((part) => part !== "").join(" ");
  return `${target}  ${gateKindText(gate)}`;
}

/** `interrupt gate DPL 0`. */
export function gateKindText(gate: Gate): string {
  return `${GATES[gate.kind]} DPL ${gate.dpl}`;
}

/** Lines of `name  value`, for a tooltip: every field of a gate. */
export function gateFields(gate: Gate): [name: string, value: string][] {
  return [
    ["words", `${hex(gate.low)} ${hex(gate.high)}`],
    ["type", `${GATES[gate.kind]} (${hex((gate.high >>> 8) & 0x1f, 2)})`],
    ["selector", hex(gate.selector, 4)],
    ["offset", hex(gate.target.address)],
    ["P present", String(Number(gate.present))],
    ["DPL ring", String(gate.dpl)],
  ];
}

/** What happens when a vector fires, in one or two words. */
export const DELIVERY: Readonly<Record<TrapDelivery, string>> = {
  direct: "direct",
  reflected: "reflected",
  host: "host first",
  hypercall: "hypercall",
  interrupt: "injected",
  swallowed: "swallowed",
  kills: "guest dies",
  refused: "#GP",
};

/** The three rings a descriptor fix-up can move between: `ring 0 -> ring 1`, or an empty text. */
export function ringChangeText(guest: Descriptor, cpu: Descriptor): string {
  return guest.dpl === cpu.dpl ? "" : `ring ${guest.dpl} → ring ${cpu.dpl}`;
}

/** A markdown table of `name  guest  CPU`. */
export function fieldsTable(guest: [string, string][] | null, cpu: [string, string][]): string {
  const lines = cpu.map(([name, value], index) => {
    const other = guest?.[index]?.[1] ?? "–";
    const mark = guest !== null && other !== value ? " ◂" : "";
    return `| ${name} | \`${other}\` | \`${value}\`${mark} |`;
  });
  return ["| | guest | CPU |", "|:--|:--|:--|", ...lines].join("\n");
}
