/*
 * Everything about one entry of the trap log: arguments with names and units, the error code taken apart, the registers
 * of that moment, the table entries concerned, neighbours that belong to it, and in a sentence what the host did and
 * why.
 */
import { hex } from "../../base";
import type { CodeLocation, Symbols } from "../symbols";
import {
  type ArgumentFormat,
  EXCEPTIONS,
  errorCodeBits,
  errorCodeText,
  HYPERCALLS,
  type TrapEntry,
  type TrapLog,
} from "../traps";

export interface TrapArgument {
  name: string;
  value: number;
  format: ArgumentFormat;
  location?: CodeLocation;
  meaning?: string;
}

/** The row that a view shows of an entry. */
export function trapRow({ ordinal, entry }: { ordinal: number; entry: TrapEntry }, symbols: Symbols) {
  return {
    n: entry.n,
    ordinal,
    instructionCount: entry.instructionCount,
    world: entry.world,
    kind: entry.kind,
    vector: entry.vector,
    name: entry.hypercall?.name ?? entry.name,
    ...(entry.error === undefined ? {} : { error: entry.error }),
    cpl: entry.cpl,
    at: symbols.locateTransition(entry.vector, entry.eip),
    ...(entry.cr2 === undefined ? {} : { cr2: entry.cr2 }),
    ...(entry.hypercall === undefined ? {} : { hypercall: entry.hypercall }),
    outcome: entry.outcome,
    ...(entry.detail ? { detail: entry.detail } : {}),
    cost: entry.cost,
  };
}

export function trapDetails(entry: TrapEntry, log: TrapLog, symbols: Symbols) {
  const isFault = entry.vector < 32 && entry.error !== undefined;
  const linear = entry.cr2 ?? (entry.hypercall?.number === 14 ? entry.hypercall.args[1] : undefined);
  const gdtIndex = gdtIndexOf(entry);
  const isIdt = entry.hypercall?.number === 6 || (entry.kind !== "hypercall" && entry.kind !== "asyncHypercall");
  const idtVector = entry.hypercall?.number === 6 ? entry.hypercall.args[0] : entry.vector;
  const related = relatedTo(entry, log);
  return {
    row: trapRow({ ordinal: entry.n, entry }, symbols),
    arguments: argumentsOf(entry, symbols),
    ...(isFault ? { errorBits: errorCodeBits(entry.vector, entry.error!) } : {}),
    registers: log.registersOf(entry.n) ?? [],
    why: why(entry),
    ...(gdtIndex === undefined ? {} : { gdtIndex }),
    ...(isIdt && idtVector < 256 ? { idtVector } : {}),
    ...(linear === undefined ? {} : { linear }),
    ...(related.length > 0 ? { related } : {}),
  };
}

function gdtIndexOf(entry: TrapEntry): number | undefined {
  if (entry.hypercall?.number === 18) return entry.hypercall.args[0];
  // #GP, #NP, #SS, #TS with a selector of the GDT.
  const hasSelector = [10, 11, 12, 13].includes(entry.vector) && entry.error !== undefined && entry.error !== 0;
  return hasSelector && !(entry.error! & 6) ? entry.error! >>> 3 : undefined;
}

function argumentsOf(entry: TrapEntry, symbols: Symbols): TrapArgument[] {
  const call = entry.hypercall;
  if (call !== undefined) {
    const parameters = HYPERCALLS[call.number]?.parameters ?? [];
    return call.args.map((value, i) => {
      const parameter = parameters[i];
      const format = parameter?.format ?? "hex";
      const meaning = parameter?.meaning?.(value);
      return {
        name: parameter?.name ?? `argument ${i + 1}`,
        value,
        format,
        ...(format === "linear" ? { location: symbols.locate(value) } : {}),
        ...(meaning ? { meaning } : {}),
      };
    });
  }
  const parts: TrapArgument[] = [];
  if (entry.cr2 !== undefined)
    parts.push({ name: "address", value: entry.cr2, format: "linear", location: symbols.locate(entry.cr2) });
  if (entry.error !== undefined && entry.vector < 32) {
    parts.push({
      name: "error code",
      value: entry.error,
      format: "hex",
      meaning: errorCodeText(entry.vector, entry.error),
    });
  }
  return parts;
}

function why(entry: TrapEntry): string {
  const detail = entry.detail ? ` (${entry.detail})` : "";
  const what = EXCEPTIONS[entry.vector]?.title ?? entry.name;
  switch (entry.outcome) {
    case "demand-paged":
      return `The shadow page tables had no fitting entry for ${hex(entry.cr2 ?? 0)}, the guest's tables allow the access: the host filled the shadow and the instruction was repeated${detail}.`;
    case "reflected":
      return `The host had nothing to do for this ${what}: it built a frame on the guest's kernel stack and entered the guest's handler${detail}.`;
    case "direct":
      return `The guest's gate is a trap gate that the host copied: the processor entered the handler by itself, the host was not involved${detail}.`;
    case "emulated":
      return `The host did what the instruction would have done on a machine without devices, and went on behind it${detail}.`;
    case "rewritten":
      return `The host replaced VMCALL by INT 31, which it will take as a hypercall when the guest executes it again${detail}.`;
    case "hypercall":
      return entry.hypercall?.async
        ? `The guest had put this call in the ring; the host made it before the direct call that let it in${detail}.`
        : `The host made the call and let the guest go on${detail}.`;
    case "interrupt":
      return `The host delivered a virtual interrupt: it built a frame and entered the guest's handler${detail}.`;
    case "ignored":
      return `Nothing was to be done for the guest; it went on${detail}.`;
    case "killed":
      return `The host killed the guest${detail}.`;
    case null:
      return "The host has not acted yet.";
  }
}

/** Entries beside this one that it led to or came from. */
function relatedTo(entry: TrapEntry, log: TrapLog): { n: number; why: string }[] {
  const related: { n: number; why: string }[] = [];
  const next = log.entry(entry.n + 1);
  const previous = log.entry(entry.n - 1);
  if (next?.kind === "kill" && entry.kind !== "kill") related.push({ n: next.n, why: "This led to the guest's end." });
  if (entry.kind === "kill" && previous !== undefined)
    related.push({ n: previous.n, why: "The guest was killed while the host worked on this." });
  if (entry.kind === "asyncHypercall") {
    for (let n = entry.n + 1; n < entry.n + 70; n++) {
      const later = log.entry(n);
      if (later?.kind === "hypercall") {
        related.push({ n, why: "The direct call that let the host look at the ring." });
        break;
      }
      if (later?.kind !== "asyncHypercall") break;
    }
  }
  return related;
}
