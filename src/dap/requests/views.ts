/*
 * The custom requests of the views: registers, tables, paging, the trap log, the hypervisor. The shapes are in custom-
 * requests.ts; the debugger gives the same shapes without knowing them, which the compiler checks here.
 */
import {
  addressOfText,
  trapDetails as detailsOf,
  gdtState,
  hypervisorState,
  idtState,
  numberOf,
  PageTableReader,
  registersState,
  setField,
  translate as translateAddress,
  trapRow,
} from "../../debugger";
import type { AdapterState } from "../adapter-state";
import type { CustomRequests } from "../custom-requests";
import { badArgument, noEntry, noSuchMember } from "../errors";

type Arguments<Name extends keyof CustomRequests> = CustomRequests[Name]["arguments"];
type Body<Name extends keyof CustomRequests> = CustomRequests[Name]["response"];

export function registers(state: AdapterState): Body<"ring1/registers"> {
  const { vm, registers: cells, symbols } = state.dbg.session;
  return registersState(vm, cells, symbols);
}

export function setRegister(state: AdapterState, args: Arguments<"ring1/setRegister">): Body<"ring1/setRegister"> {
  const { registers: cells } = state.dbg.stoppedSession;
  const cell = cells.find(args.name);
  if (cell === undefined) throw noSuchMember(args.name);
  const old = cell.get();
  const value = numberOf(args.value, state.scope(undefined));
  if (args.field === undefined) {
    if (cell.set === undefined)
      throw badArgument(args.name, `left alone: ${cell.readOnly ?? "it is computed"}`, args.value);
    cell.set(value);
  } else setField(cell, cell, args.field, value);
  const result = Number(BigInt.asUintN(32, cell.get()));
  // Trying it is the check; what it was is put back.
  if (args.validateOnly) cell.set!(old);
  else state.dbg.edited();
  return { value: result };
}

export function gdt(state: AdapterState): Body<"ring1/gdt"> {
  const { vm, registers: cells } = state.dbg.session;
  return gdtState(vm, cells);
}

export function idt(state: AdapterState): Body<"ring1/idt"> {
  const { vm, symbols, log } = state.dbg.session;
  return idtState(vm, symbols, log, new Set(state.dbg.traps.sets.vectors));
}

export function pageTables(
  state: AdapterState,
  args: Arguments<"ring1/pageTables"> | undefined,
): Body<"ring1/pageTables"> {
  const { vm } = state.dbg.session;
  const reader = new PageTableReader(vm, args?.slot);
  const machine = vm.state();
  const directory = args?.directory;
  return {
    slots: machine.slots.map((slot) => ({ ...slot })),
    slot: reader.slot,
    kernelAddress: machine.kernelAddress,
    switcherAddress: vm.switcherAddress,
    isLinear: reader.isLinear,
    regions: directory === undefined ? reader.regions() : [],
    ranges: directory === undefined ? [] : reader.ranges(directory.first, directory.last),
  };
}

export function translate(state: AdapterState, args: Arguments<"ring1/translate">): Body<"ring1/translate"> {
  const { vm, symbols } = state.dbg.session;
  const { address } = addressOfText(args.expression, state.scope(undefined));
  return { linear: symbols.locate(address), ...translateAddress(vm, address, args.slot) };
}

export function trapLog(state: AdapterState, args: Arguments<"ring1/trapLog"> | undefined): Body<"ring1/trapLog"> {
  const { log, queries, symbols } = state.dbg.session;
  const page = queries.query(args ?? {});
  return {
    rows: page.entries.map((entry) => trapRow(entry, symbols)),
    start: page.start,
    firstOrdinal: page.firstOrdinal,
    matching: page.matching,
    total: log.total,
    firstSequence: log.firstSequence,
    lastSequence: log.lastSequence,
    dropped: log.droppedCount,
    ...(page.counts === undefined ? {} : { counts: page.counts }),
    ...(page.histogram === undefined ? {} : { histogram: page.histogram }),
  };
}

export function trapDetails(state: AdapterState, args: Arguments<"ring1/trapDetails">): Body<"ring1/trapDetails"> {
  const { log, symbols } = state.dbg.session;
  const entry = log.entry(args?.n);
  if (entry === undefined) throw noEntry(args?.n);
  return detailsOf(entry, log, symbols);
}

/** Entries looked at for editor decorations; older ones matter to nobody who edits. */
const MOST_ENTRIES = 100_000;

export function trapLines(state: AdapterState, args: Arguments<"ring1/trapLines">): Body<"ring1/trapLines"> {
  const { log, symbols } = state.dbg.session;
  const lines = new Map<string, { path: string; line: number; events: Map<string, number> }>();
  const first = Math.max(log.firstSequence, (args?.sinceSequence ?? 0) + 1, log.lastSequence - MOST_ENTRIES);
  for (let n = Math.max(1, first); n <= log.lastSequence; n++) {
    const place = symbols.locateTransition(log.vectorAt(n), log.eipAt(n));
    if (place.path === undefined || place.line === undefined) continue;
    const key = `${place.line} ${place.path}`;
    const known = lines.get(key) ?? { path: place.path, line: place.line, events: new Map<string, number>() };
    lines.set(key, known);
    const name = log.string(log.hypercallAt(n) === undefined ? log.nameIdAt(n) : log.callIdAt(n));
    known.events.set(name, (known.events.get(name) ?? 0) + 1);
  }
  return {
    lines: [...lines.values()].map(({ path, line, events }) => ({
      path,
      line,
      events: [...events].map(([name, count]) => ({ name, count })),
    })),
  };
}

export function hypervisor(state: AdapterState): Body<"ring1/hypervisor"> {
  const { vm, log } = state.dbg.session;
  return hypervisorState(vm, log);
}

export function setTrapBreakpoint(
  state: AdapterState,
  args: Arguments<"ring1/setTrapBreakpoint">,
): Body<"ring1/setTrapBreakpoint"> {
  if (args?.vector === undefined && args?.hypercall === undefined)
    throw badArgument("vector", "given, or hypercall", args);
  state.dbg.traps.set(args, args.enabled);
  return state.dbg.traps.sets;
}
