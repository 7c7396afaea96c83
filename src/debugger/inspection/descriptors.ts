/*
 * Descriptors and gates taken apart: the two words of a GDT or IDT entry as named fields, and a segment register's
 * hidden part put back into that form, so that table and register can be compared field by field.
 *
 * SDM Vol. 3, figures 3-8 (segment descriptor), 6-2 (gates); table 3-2 (system types).
 */

export type DescriptorKind =
  | "null"
  | "code"
  | "data"
  | "ldt"
  | "tss16"
  | "tss32"
  | "callGate16"
  | "callGate32"
  | "taskGate"
  | "reserved";

type Ring = 0 | 1 | 2 | 3;

export interface Descriptor {
  low: number;
  high: number;
  kind: DescriptorKind;
  base: number;
  limit: number;
  dpl: Ring;
  present: boolean;
  is32Bit: boolean;
  isPageGranular: boolean;
  isReadable: boolean;
  isWritable: boolean;
  isConforming: boolean;
  isExpandDown: boolean;
  isAccessed: boolean;
}

export type GateKind = "interrupt16" | "interrupt32" | "trap16" | "trap32" | "task" | "invalid";

export interface GateFields {
  low: number;
  high: number;
  kind: GateKind;
  selector: number;
  offset: number;
  dpl: Ring;
  present: boolean;
}

const SYSTEM_KINDS: Readonly<Record<number, DescriptorKind>> = {
  1: "tss16",
  2: "ldt",
  3: "tss16",
  4: "callGate16",
  5: "taskGate",
  9: "tss32",
  11: "tss32",
  12: "callGate32",
};
const GATE_KINDS: Readonly<Record<number, GateKind>> = {
  5: "task",
  6: "interrupt16",
  7: "trap16",
  14: "interrupt32",
  15: "trap32",
};

const S_BIT = 0x1000;
const GRANULARITY = 0x800000;

export function decodeDescriptor(low: number, high: number): Descriptor {
  const type = (high >>> 8) & 0xf;
  const isSegment = (high & S_BIT) !== 0;
  const isCode = isSegment && (type & 8) !== 0;
  const isNull = low === 0 && (high & ~0x2100) === 0;
  const raw = ((low & 0xffff) | (high & 0xf0000)) >>> 0;
  const isPageGranular = (high & GRANULARITY) !== 0;
  return {
    low: low >>> 0,
    high: high >>> 0,
    kind: isNull ? "null" : isSegment ? (isCode ? "code" : "data") : (SYSTEM_KINDS[type] ?? "reserved"),
    base: ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0,
    limit: (isPageGranular ? (raw << 12) | 0xfff : raw) >>> 0,
    dpl: ((high >>> 13) & 3) as Ring,
    present: (high & 0x8000) !== 0,
    is32Bit: (high & 0x400000) !== 0,
    isPageGranular,
    isReadable: isSegment && (!isCode || (type & 2) !== 0),
    isWritable: isSegment && !isCode && (type & 2) !== 0,
    isConforming: isCode && (type & 4) !== 0,
    isExpandDown: isSegment && !isCode && (type & 4) !== 0,
    isAccessed: isSegment ? (type & 1) !== 0 : (type & 2) !== 0 && type !== 2,
  };
}

/** A hidden part as descriptor words: base and limit in bytes, attributes at their places in the high word. */
export function descriptorOfHidden(base: number, limit: number, attributes: number): Descriptor {
  const raw = attributes & GRANULARITY ? limit >>> 12 : limit;
  const low = ((raw & 0xffff) | (base << 16)) >>> 0;
  const high = ((attributes & 0xf0ff00) | (raw & 0xf0000) | ((base >>> 16) & 0xff) | (base & 0xff000000)) >>> 0;
  return decodeDescriptor(low, high);
}

export function decodeGate(low: number, high: number): GateFields {
  return {
    low: low >>> 0,
    high: high >>> 0,
    kind: high & S_BIT ? "invalid" : (GATE_KINDS[(high >>> 8) & 0xf] ?? "invalid"),
    selector: low >>> 16,
    offset: ((low & 0xffff) | (high & 0xffff0000)) >>> 0,
    dpl: ((high >>> 13) & 3) as Ring,
    present: (high & 0x8000) !== 0,
  };
}

/** `code32 r-x ring 1 flat`, for one line. */
export function descriptorText(d: Descriptor): string {
  if (d.kind === "null") return "null";
  const size = d.kind === "code" || d.kind === "data" ? (d.is32Bit ? "32" : "16") : "";
  const rights =
    d.kind === "code"
      ? ` ${d.isReadable ? "r" : "-"}-x${d.isConforming ? " conforming" : ""}`
      : d.kind === "data"
        ? ` r${d.isWritable ? "w" : "-"}-${d.isExpandDown ? " expand-down" : ""}`
        : "";
  const isFlat = d.base === 0 && d.limit === 0xffffffff;
  const extent = isFlat ? "flat" : `base ${d.base.toString(16)} limit ${d.limit.toString(16)}`;
  return `${d.kind}${size}${rights} ring ${d.dpl} ${extent}${d.present ? "" : " not present"}`;
}
