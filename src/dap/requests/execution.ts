/*
 * What makes the guest go: continue, steps, goto, and where a step or a jump could lead. A request is refused at once
 * when it makes no sense; else its answer goes out first and the guest moves afterwards, so that a stop never overtakes
 * the answer.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { EXCEPTIONS, errorCodeText, type Granularity } from "../../debugger";
import type { AdapterState } from "../adapter-state";
import { badArgument, noCodeHere, noSuchFrame, noSuchTarget, nothingToExplain } from "../errors";

const MAX_STRETCH = 512;

function granularityOf(args: { granularity?: DebugProtocol.SteppingGranularity }): Granularity {
  return args.granularity === "instruction" ? "instruction" : "line";
}

/** Starts a move once the answer has gone out; refuses at once what cannot be done. */
function go(state: AdapterState, move: () => void): void {
  void state.dbg.stoppedSession;
  state.dbg.checkAlive();
  state.connection.afterResponse(() => {
    state.forget();
    move();
  });
}

export function resume(state: AdapterState) {
  go(state, () => state.dbg.continue());
  return { allThreadsContinued: true };
}

export function next(state: AdapterState, args: DebugProtocol.NextArguments): void {
  go(state, () => state.dbg.stepOver(granularityOf(args)));
}

export function stepIn(state: AdapterState, args: DebugProtocol.StepInArguments): void {
  if (args.targetId === undefined) {
    go(state, () => state.dbg.stepIn(granularityOf(args)));
    return;
  }
  const address = state.stepTargets.get(args.targetId);
  if (address === undefined) throw noSuchTarget(args.targetId);
  go(state, () => state.dbg.runTo(address));
}

export function stepOut(state: AdapterState): void {
  go(state, () => state.dbg.stepOut());
}

export function pause(state: AdapterState): void {
  void state.dbg.session;
  state.dbg.pause();
}

/** The functions that the rest of the line calls. */
export function stepInTargets(state: AdapterState, args: DebugProtocol.StepInTargetsArguments) {
  const frame = state.frames.get(args.frameId);
  if (frame === undefined) throw noSuchFrame(args.frameId);
  const { symbols, disassembler } = state.dbg.stoppedSession;
  const line = symbols.lineAt(frame.pc);
  if (frame.depth > 0 || line === undefined) return { targets: [] };
  const end = Math.min(
    frame.pc + MAX_STRETCH,
    frame.pc + line.stretch.end - (symbols.imageAt(frame.pc)?.linked ?? frame.pc),
  );
  const targets: DebugProtocol.StepInTarget[] = [];
  for (let pc = frame.pc; pc < end; ) {
    const code = disassembler.at(pc);
    if (code.flow === "call" && code.target !== undefined) {
      const fn = symbols.imageAt(code.target)?.image.dwarf.functionAt(code.target);
      const [behindPrologue] = fn === undefined ? [code.target] : symbols.functionAddresses(fn.name);
      targets.push({
        id: state.stepTargets.add(behindPrologue ?? code.target),
        label: symbols.nameOf(code.target) ?? code.text,
      });
    }
    pc += Math.max(1, code.bytes.length);
  }
  return { targets };
}

export function gotoTargets(state: AdapterState, args: DebugProtocol.GotoTargetsArguments) {
  const path = args.source?.path;
  if (typeof path !== "string") throw badArgument("source.path", "a path", path);
  const line = state.ourLine(args.line);
  const found = state.dbg.session.symbols.addressesOfLine(path, line);
  if (!found.ok) throw noCodeHere(line);
  return {
    targets: found.value.addresses.map(({ start, functionName }) => ({
      id: state.gotoTargets.add(start),
      label: `${functionName ?? "code"} at line ${found.value.line}`,
      line: state.clientLine(found.value.line),
      instructionPointerReference: `0x${start.toString(16)}`,
    })),
  };
}

export function goTo(state: AdapterState, args: DebugProtocol.GotoArguments): void {
  const address = state.gotoTargets.get(args.targetId);
  if (address === undefined) throw noSuchTarget(args.targetId);
  state.connection.afterResponse(() => {
    state.forget();
    state.dbg.goto(address);
  });
}

export function exceptionInfo(state: AdapterState) {
  const report = state.dbg.stopReport;
  if (report === undefined || report.kind !== "exception") throw nothingToExplain();
  const { event } = report;
  const title = event === undefined ? undefined : EXCEPTIONS[event.vector]?.title;
  const isFault = event?.errorCode !== undefined && event.vector < 32;
  return {
    exceptionId:
      event === undefined ? "unimplemented" : event.kind === "kill" ? "killed" : (event.hypercall?.name ?? event.name),
    description: report.text,
    breakMode: "always" as const,
    details: {
      message: report.text,
      ...(title === undefined ? {} : { typeName: title }),
      ...(isFault
        ? {
            innerException: [
              { message: `error code ${event.errorCode}: ${errorCodeText(event.vector, event.errorCode!)}` },
            ],
          }
        : {}),
    },
  };
}
