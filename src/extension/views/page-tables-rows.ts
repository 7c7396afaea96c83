/*
 * The Page Tables view: "what does this address mean, for the guest and for the CPU?" Regions of equal directory
 * entries, which open to ranges of equal pages; holes are one row, so that the four gigabytes fit a screen. Every row
 * says what the shadow holds, and a walk of one address has a node of its own with each step and what an access would
 * do.
 */

import { groupDigits, hex } from "../../base";
import type {
  AccessOutcome,
  PageFlags,
  PageMapping,
  PageRange,
  PageRegion,
  PageTablesResponse,
  ShadowState,
  TranslateResponse,
  WalkStep,
} from "../../dap";
import { addressData, escapeMarkdown, joined, locationText, type Row } from "./row";

export interface PageFilter {
  onlyDifferences?: boolean;
  onlyWritable?: boolean;
  onlyUser?: boolean;
}

/** Reads the pages of directory entries `first`..`last`. */
export type LoadRanges = (first: number, last: number) => Promise<PageRange[]>;

const ACCESSES: Readonly<Record<AccessOutcome["result"], { text: string; icon: string; color?: string }>> = {
  allowed: { text: "allowed", icon: "pass", color: "ring1.user" },
  demandPaged: { text: "would trap once, then allowed", icon: "debug-restart", color: "ring1.host" },
  faults: { text: "page fault for the guest", icon: "warning", color: "ring1.interrupt" },
  kills: { text: "the guest would die", icon: "error", color: "ring1.fault" },
};

/** `kernel rw A D G`. */
export function flagsText({ writable, user, accessed, dirty, global, large }: PageFlags): string {
  return joined(
    [user ? "user" : "kernel", writable ? "rw" : "r-", accessed && "A", dirty && "D", global && "G", large && "4 MiB"],
    " ",
  );
}

/** The row above the regions: which tables are meant. */
export function tablesTitle({ slots, slot, isLinear }: PageTablesResponse): string {
  const { guestTable, shadowTable } = slots[slot] ?? { guestTable: null, shadowTable: null };
  const guest = isLinear
    ? "no guest table yet (linear = physical)"
    : `Guest ${guestTable === null ? "none" : hex(guestTable)}`;
  const shadow = shadowTable === null ? "no shadow" : `shadow ${hex(shadowTable)}`;
  return `${guest} · slot ${slot + 1} of ${slots.length} · ${shadow}`;
}

/** The top level. Regions open by `load`. */
export function regionRows(response: PageTablesResponse, load: LoadRanges, filter: PageFilter = {}): Row[] {
  const regions = response.regions.filter((region) => isRegionShown(region, filter));
  const rows = regions.map((region) => regionRow(region, load, filter));
  if (regions.length < response.regions.length) {
    const hidden = response.regions.length - regions.length;
    rows.push({ id: "hidden", label: `${hidden} more hidden by the filter`, icon: "filter" });
  }
  return rows;
}

function isRegionShown({ kind, differences, guestFlags, guestPages, shadowPages }: PageRegion, filter: PageFilter) {
  const isFiltered = filter.onlyDifferences || filter.onlyWritable || filter.onlyUser;
  return (
    !(isFiltered && kind === "hole") &&
    !(filter.onlyDifferences && kind === "mapped" && differences === 0 && guestPages === shadowPages) &&
    !(filter.onlyWritable && guestFlags !== undefined && !guestFlags.writable) &&
    !(filter.onlyUser && guestFlags !== undefined && !guestFlags.user)
  );
}

function regionRow(region: PageRegion, load: LoadRanges, filter: PageFilter): Row {
  const { start, end, kind, first, last, why } = region;
  const id = `region.${hex(start)}`;
  const range = `${hex(start)}–${hex(end)}`;
  if (kind === "hole") {
    return { id, label: range, description: "not mapped", spoken: `${range}, not mapped`, data: { address: start } };
  }
  const target = region.guestPhysical === undefined ? "" : ` → ${hex(region.guestPhysical)}`;
  const flags = region.guestFlags === undefined ? "" : flagsText(region.guestFlags);
  const pages =
    kind === "switcher"
      ? `Switcher (${groupDigits(region.shadowPages)} pages; the guest's own entry is ignored)`
      : `${groupDigits(region.guestPages)} pages, ${groupDigits(region.shadowPages)} in the shadow`;
  const differences = region.differences > 0 ? `${groupDigits(region.differences)} differ` : "";
  const entries = first === last ? `directory[${first}]` : `directory[${first}–${last}]`;
  return {
    id,
    label: `${range}${target}`,
    description: joined([flags, pages, differences, why]),
    ...(kind === "switcher" ? { icon: "arrow-swap", color: "ring1.switcher" } : {}),
    tooltip: joined(
      [
        `**${entries}**`,
        `guest \`${hex(region.guestEntry)}\`, shadow \`${hex(region.shadowEntry)}\``,
        why && escapeMarkdown(why),
      ],
      "\n\n",
    ),
    spoken: joined([range, target && `maps to ${hex(region.guestPhysical!)}`, flags, pages, differences], ", "),
    load: async () => rangeRows(await load(first, last), filter),
    data: { address: start, value: range, json: region },
  };
}

function rangeRows(ranges: PageRange[], filter: PageFilter): Row[] {
  const isFiltered = filter.onlyDifferences || filter.onlyWritable || filter.onlyUser;
  return ranges
    .filter(
      ({ guest, state }) =>
        !(isFiltered && state === "hole") &&
        !(filter.onlyDifferences && (state === "same" || state === "hole")) &&
        !(filter.onlyWritable && guest?.flags.writable !== true) &&
        !(filter.onlyUser && guest?.flags.user !== true),
    )
    .map(rangeRow);
}

const STATES: Readonly<Record<ShadowState, { icon: string; color?: string }>> = {
  same: { icon: "pass" },
  readOnly: { icon: "lock-small", color: "ring1.host" },
  notFilled: { icon: "circle-outline" },
  stale: { icon: "warning", color: "ring1.fault" },
  switcher: { icon: "arrow-swap", color: "ring1.switcher" },
  hole: { icon: "dash" },
  differs: { icon: "diff-modified", color: "ring1.host" },
};

function rangeRow(range: PageRange): Row {
  const { start, end, guest, shadow, state, why } = range;
  const label = `${hex(start)}–${hex(end)}${guest === null ? "" : ` → ${hex(guest.physical)}`}`;
  const flags = guest === null ? "" : flagsText(guest.flags);
  const inShadow = state === "hole" ? "not mapped" : shadowText(range);
  const { icon, color } = STATES[state];
  return {
    id: `range.${hex(start)}`,
    label,
    description: joined([flags, inShadow]),
    icon,
    ...(color === undefined ? {} : { color }),
    tooltip: joined(
      [`**${label}**`, mappingText("guest", guest), mappingText("shadow", shadow), why && escapeMarkdown(why)],
      "\n\n",
    ),
    spoken: joined(
      [`${hex(start)} to ${hex(end)}`, guest && `maps to ${hex(guest.physical)}`, flags, inShadow, why].map(
        (part) => part || undefined,
      ),
      ", ",
    ),
    data: { address: start, value: label, json: range },
  };
}

function shadowText({ state, shadow, why }: PageRange): string {
  switch (state) {
    case "same":
      return "shadow: the same";
    case "readOnly":
      return "shadow: read-only until first written (dirty tracking)";
    case "notFilled":
      return "shadow: not filled, first touch will trap";
    case "stale":
      return `shadow: stale${shadow === null ? "" : ` ${flagsText(shadow.flags)}`}`;
    case "switcher":
      return "Switcher";
    case "hole":
      return "not mapped";
    case "differs":
      return `shadow: ${why ?? (shadow === null ? "absent" : flagsText(shadow.flags))}`;
  }
}

function mappingText(side: string, mapping: PageMapping | null): string {
  if (mapping === null) {
    return `${side}: not mapped`;
  }
  return `${side}: \`${hex(mapping.entry)}\` → ${hex(mapping.physical)} ${escapeMarkdown(flagsText(mapping.flags))}`;
}

/** A translated address as a node: the sum, both walks, six accesses. */
export function walkRow(walk: TranslateResponse): Row {
  const address = hex(walk.linear.address);
  const end = walk.guestPhysical === null ? "not mapped by the guest" : `→ ${hex(walk.guestPhysical)}`;
  return {
    id: `walk.${address}`,
    label: `Walk of ${address} ${end}`,
    description: walk.why,
    icon: "symbol-numeric",
    isOpen: true,
    spoken: `walk of ${address}, ${end}, ${walk.why}`,
    tooltip: escapeMarkdown(`${locationText(walk.linear)}: ${walk.why}`),
    children: [
      sideRow("Guest's tables", "guest", walk.guestWalk, walk.guestPhysical, "guest-physical"),
      sideRow("Shadow tables", "shadow", walk.shadowWalk, walk.hostPhysical, "host-physical"),
      ...walk.accesses.map((access) => accessRow(address, access)),
    ].map((row) => ({ ...row, id: `walk.${address}.${row.id}` })),
    data: { ...addressData(walk.linear), value: walk.why, json: walk },
  };
}

function sideRow(label: string, id: string, steps: WalkStep[], physical: number | null, kind: string): Row {
  const chain = steps.map(
    (step) => `${step.level}[${step.index}] = ${step.entry === null ? "unreadable" : hex(step.entry)}`,
  );
  const end = physical === null ? "ends here" : `${hex(physical)} ${kind}`;
  return {
    id,
    label,
    description: [...chain, end].join(" → "),
    icon: id === "guest" ? "vm" : "server-environment",
    color: id === "guest" ? "ring1.guest" : "ring1.host",
    children: steps.map((step, index) => stepRow(id, index, step)),
  };
}

function stepRow(side: string, index: number, step: WalkStep): Row {
  const { level, entry, entryAddress, flags, physical, why } = step;
  const value = entry === null ? "unreadable" : hex(entry);
  const target = physical === null ? "" : `→ ${hex(physical)}`;
  return {
    id: `${side}.${index}`,
    label: `${level}[${step.index}] = ${value}`,
    description: joined(
      [target, flags && (flags.present ? flagsText(flags) : "not present"), `at ${hex(entryAddress)}`, why].map(
        (part) => part || undefined,
      ),
    ),
    spoken: joined([`${level} entry ${step.index}`, value, target, why], ", "),
    data: { value, json: step },
  };
}

function accessRow(address: string, { ring, access, result, errorCode, why }: AccessOutcome): Row {
  const { text, icon, color } = ACCESSES[result];
  const error = errorCode === undefined ? "" : `#PF error ${errorCode}`;
  return {
    id: `${ring}.${access}`,
    label: `ring ${ring} ${access}`,
    description: joined([text, error, why]),
    icon,
    ...(color === undefined ? {} : { color }),
    spoken: joined([`ring ${ring} ${access} of ${address}`, text, error, why], ", "),
    data: { value: joined([text, error, why]) },
  };
}
