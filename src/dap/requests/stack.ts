/*
 * Threads, frames, scopes. There is one thread, the virtual processor; its stack goes through all worlds, with label
 * frames between them.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { memoryReference, type StackFrame, scopesOf } from "../../debugger";
import { type AdapterState, THREAD_ID } from "../adapter-state";
import { noSuchFrame } from "../errors";
import { sourceOf } from "./sources";

export function threads() {
  return { threads: [{ id: THREAD_ID, name: "Virtual CPU 0" }] };
}

export function stackTrace(state: AdapterState, args: DebugProtocol.StackTraceArguments) {
  const all = state.dbg.stackFrames();
  const start = args.startFrame ?? 0;
  const wanted = all.slice(start, args.levels ? start + args.levels : undefined);
  return { stackFrames: wanted.map((frame) => describeFrame(state, frame)), totalFrames: all.length };
}

function describeFrame(state: AdapterState, frame: StackFrame): DebugProtocol.StackFrame {
  const id = state.frames.add(frame);
  if (frame.kind === "separator") return { id, name: frame.name, line: 0, column: 0, presentationHint: "label" };
  if (frame.kind === "host") return { id, name: `host: ${frame.name}`, line: 0, column: 0, presentationHint: "subtle" };
  const isInlined = frame.fn?.isInlined ?? false;
  return {
    id,
    name: isInlined ? `${frame.name} (inlined)` : frame.name,
    ...sourceOf(state, frame.place),
    instructionPointerReference: memoryReference({ space: "linear", address: frame.pc }),
    ...moduleOf(state, frame),
  };
}

function moduleOf(state: AdapterState, frame: StackFrame): { moduleId?: number } {
  const { symbols } = state.dbg.session;
  if (frame.world === "switcher") return { moduleId: symbols.images.length };
  const image = symbols.imageAt(frame.lookupPc)?.image;
  const index = image === undefined ? -1 : symbols.images.indexOf(image);
  return index < 0 ? {} : { moduleId: index };
}

export function scopes(state: AdapterState, args: DebugProtocol.ScopesArguments) {
  const frame = state.frames.get(args.frameId);
  if (frame === undefined) throw noSuchFrame(args.frameId);
  if (frame.kind === "separator") return { scopes: [] };
  const scope = state.dbg.scope(frame.kind === "code" ? frame : undefined);
  const { registers, symbols } = state.dbg.session;
  return {
    scopes: scopesOf(scope, registers, symbols).map((tree) => ({
      name: tree.name,
      variablesReference: state.variables.add({ kind: "scope", scope: tree }),
      expensive: tree.isExpensive,
      ...(tree.hint === undefined ? {} : { presentationHint: tree.hint }),
    })),
  };
}
