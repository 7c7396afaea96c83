/*
 * Breakpoints of all kinds between DAP's shapes and the debugger's: lines, functions, instructions, data, traps. What
 * cannot be placed is answered with `verified: false` and the reason, never with a failed request, since others in the
 * same request may be good.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import {
  addressOfText,
  type Breakpoint,
  dataIdOf,
  memoryReference,
  parseReference,
  placeReference,
  TRAP_FILTERS,
} from "../../debugger";
import type { AdapterState } from "../adapter-state";
import { badArgument, noSuchMember } from "../errors";
import { fileName } from "./sources";
import { nodeOf } from "./variables";

export function setBreakpoints(state: AdapterState, args: DebugProtocol.SetBreakpointsArguments) {
  const path = args.source?.path;
  if (typeof path !== "string") throw badArgument("source.path", "a path", path);
  const wanted: DebugProtocol.SourceBreakpoint[] = args.breakpoints ?? (args.lines ?? []).map((line) => ({ line }));
  const made = state.dbg.breakpoints.setSource(
    path,
    wanted.map((breakpoint) => ({
      ...breakpoint,
      line: state.ourLine(breakpoint.line),
      column: state.ourColumn(breakpoint.column),
    })),
  );
  return { breakpoints: made.map((breakpoint) => describeBreakpoint(state, breakpoint)) };
}

export function setFunctionBreakpoints(state: AdapterState, args: DebugProtocol.SetFunctionBreakpointsArguments) {
  const made = state.dbg.breakpoints.setFunctions(args.breakpoints);
  return { breakpoints: made.map((breakpoint) => describeBreakpoint(state, breakpoint)) };
}

export function setInstructionBreakpoints(state: AdapterState, args: DebugProtocol.SetInstructionBreakpointsArguments) {
  const made = state.dbg.breakpoints.setInstructions(
    args.breakpoints.map(({ instructionReference, ...rest }) => ({ ...rest, reference: instructionReference })),
  );
  return { breakpoints: made.map((breakpoint) => describeBreakpoint(state, breakpoint)) };
}

export function setExceptionBreakpoints(state: AdapterState, args: DebugProtocol.SetExceptionBreakpointsArguments) {
  const options = args.filterOptions ?? [];
  const requests = [
    ...(args.filters ?? [])
      .filter((filter) => !options.some(({ filterId }) => filterId === filter))
      .map((filter) => ({ filter })),
    ...options.map(({ filterId, condition }) => ({ filter: filterId, condition })),
  ];
  const answers = state.dbg.traps.setFilters(requests);
  return {
    breakpoints: answers.map(({ isVerified, message }) => ({
      verified: isVerified,
      ...(message === undefined ? {} : { message }),
    })),
  };
}

export function breakpointLocations(state: AdapterState, args: DebugProtocol.BreakpointLocationsArguments) {
  const path = args.source?.path;
  if (typeof path !== "string") return { breakpoints: [] };
  const first = state.ourLine(args.line);
  const last = state.ourLine(args.endLine ?? args.line);
  const found = state.dbg.session.symbols.breakpointLocations(path, first, last);
  return {
    breakpoints: found.map(({ line, column }) => ({
      line: state.clientLine(line),
      ...(column > 0 ? { column: state.clientColumn(column) } : {}),
    })),
  };
}

export function dataBreakpointInfo(state: AdapterState, args: DebugProtocol.DataBreakpointInfoArguments) {
  const place = args.asAddress ? addressPlace(state, args) : variablePlace(state, args);
  if (place === undefined)
    return { dataId: null, description: `${args.name} is not in memory, so it cannot be watched.` };
  const { reference, length } = place;
  const symbol = reference.space === "linear" ? state.dbg.session.symbols.nameOf(reference.address) : undefined;
  return {
    dataId: dataIdOf(reference, length),
    description: `${args.asAddress ? "" : `${args.name}: `}${length} ${length === 1 ? "byte" : "bytes"} at ${memoryReference(reference)}${symbol && args.asAddress ? ` <${symbol}>` : ""}`,
    accessTypes: ["read", "write", "readWrite"] satisfies DebugProtocol.DataBreakpointAccessType[],
    canPersist: true,
  };
}

function addressPlace(state: AdapterState, args: DebugProtocol.DataBreakpointInfoArguments) {
  const reference = parseReference(args.name) ?? addressOfText(args.name, state.scope(args.frameId));
  return { reference, length: args.bytes ?? 4 };
}

function variablePlace(state: AdapterState, args: DebugProtocol.DataBreakpointInfoArguments) {
  const { name, variablesReference, frameId } = args;
  const target = variablesReference ? nodeOf(state, variablesReference, name) : undefined;
  if (variablesReference && target === undefined) throw noSuchMember(name);
  const place = target?.watchable ?? (variablesReference ? undefined : state.watchableExpression(name, frameId));
  return (
    place && { reference: { space: "linear" as const, address: place.address }, length: args.bytes ?? place.length }
  );
}

export function setDataBreakpoints(state: AdapterState, args: DebugProtocol.SetDataBreakpointsArguments) {
  const made = state.dbg.data.set(args.breakpoints.map(({ accessType, ...rest }) => ({ ...rest, access: accessType })));
  return {
    breakpoints: made.map(({ id, place, message }) => ({
      id,
      verified: place !== undefined,
      ...(message === undefined ? {} : { message }),
    })),
  };
}

/** A breakpoint as a client sees it. */
export function describeBreakpoint(state: AdapterState, breakpoint: Breakpoint): DebugProtocol.Breakpoint {
  const { line, column, message, path } = breakpoint;
  const reference = placeReference(breakpoint);
  const place =
    breakpoint.kind === "source"
      ? undefined
      : breakpoint.places.length > 0
        ? state.dbg.locate(breakpoint.places[0].address)
        : undefined;
  const sourcePath = path || place?.path;
  const shownLine = line ?? place?.line;
  return {
    id: breakpoint.id,
    verified: breakpoint.isVerified,
    ...(message === undefined ? {} : { message }),
    ...(sourcePath === undefined ? {} : { source: { name: fileName(sourcePath), path: sourcePath } }),
    ...(shownLine === undefined ? {} : { line: state.clientLine(shownLine) }),
    ...(column === undefined ? {} : { column: state.clientColumn(column) }),
    ...(reference === undefined ? {} : { instructionReference: reference }),
    ...(breakpoint.isVerified
      ? {}
      : { reason: breakpoint.problem === undefined ? ("pending" as const) : ("failed" as const) }),
  };
}

/** Filters that are on when a client says nothing. */
export function defaultFilters(): string[] {
  return TRAP_FILTERS.filter((filter) => filter.default).map(({ filter }) => filter);
}
