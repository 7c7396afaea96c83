/*
 * One debug session as a routing table: request -> answer, one line each. Short answers are here, long ones in
 * requests/; what the debugger tells becomes events below. It knows no transport: give it messages, it gives messages.
 *
 * DAP specification 1.71; the custom requests are in custom-requests.ts.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { Debugger, type FileAccess, memoryReference, placeText, type Scheduler } from "../debugger";
import { AdapterState, THREAD_ID } from "./adapter-state";
import type { CustomEventName, CustomEvents, ReadFileResponse } from "./custom-requests";
import { noFiles, unknownRequest } from "./errors";
import { ProtocolConnection } from "./protocol-connection";
import * as breakpoints from "./requests/breakpoints";
import * as execution from "./requests/execution";
import * as life from "./requests/life";
import * as memory from "./requests/memory";
import * as sources from "./requests/sources";
import * as stack from "./requests/stack";
import * as variables from "./requests/variables";
import * as views from "./requests/views";

/** What surrounds a session. */
export interface SessionHost {
  readonly scheduler: Scheduler;
  /** Absent where there is no file system: then the client is asked. */
  readonly files?: FileAccess;
  /** Called when the client is done. */
  onDisconnect?(): void;
}

// biome-ignore lint/suspicious/noExplicitAny: each row's function names the type of its arguments, the wire has none.
type Route = (state: AdapterState, args: any) => unknown;

const ROUTES: Readonly<Record<string, Route>> = {
  initialize: life.initialize,
  launch: life.launch,
  attach: life.attach,
  configurationDone: life.configurationDone,
  restart: life.restart,
  terminate: life.terminate,
  disconnect: life.disconnect,
  cancel: () => undefined,

  setBreakpoints: breakpoints.setBreakpoints,
  setFunctionBreakpoints: breakpoints.setFunctionBreakpoints,
  setInstructionBreakpoints: breakpoints.setInstructionBreakpoints,
  setExceptionBreakpoints: breakpoints.setExceptionBreakpoints,
  breakpointLocations: breakpoints.breakpointLocations,
  dataBreakpointInfo: breakpoints.dataBreakpointInfo,
  setDataBreakpoints: breakpoints.setDataBreakpoints,

  continue: execution.resume,
  next: execution.next,
  stepIn: execution.stepIn,
  stepOut: execution.stepOut,
  pause: execution.pause,
  stepInTargets: execution.stepInTargets,
  gotoTargets: execution.gotoTargets,
  goto: execution.goTo,
  exceptionInfo: execution.exceptionInfo,

  threads: stack.threads,
  stackTrace: stack.stackTrace,
  scopes: stack.scopes,
  variables: variables.variables,
  setVariable: variables.setVariable,
  setExpression: variables.setExpression,
  evaluate: variables.evaluate,
  completions: variables.completions,

  source: sources.source,
  loadedSources: sources.loadedSources,
  modules: sources.modules,
  readMemory: memory.readMemory,
  writeMemory: memory.writeMemory,
  disassemble: memory.disassemble,

  "ring1/registers": views.registers,
  "ring1/setRegister": views.setRegister,
  "ring1/gdt": views.gdt,
  "ring1/idt": views.idt,
  "ring1/pageTables": views.pageTables,
  "ring1/translate": views.translate,
  "ring1/trapLog": views.trapLog,
  "ring1/trapDetails": views.trapDetails,
  "ring1/trapLines": views.trapLines,
  "ring1/hypervisor": views.hypervisor,
  "ring1/trapBreakpoints": (state) => state.dbg.traps.sets,
  "ring1/setTrapBreakpoint": views.setTrapBreakpoint,
  "ring1/console": (state, { text }: { text: string }) => state.dbg.consoleInput(text),
  "ring1/status": (state) => state.dbg.status(),
  "ring1/setStepThrough": (state, { mode }: { mode: "guest" | "machine" }) => state.dbg.setStepThrough(mode),
  "ring1/locate": variables.locate,
};

export class Session {
  private readonly connection: ProtocolConnection;
  private readonly state: AdapterState;

  /** @param send takes messages for the client. */
  constructor(
    send: (message: DebugProtocol.ProtocolMessage) => void,
    private readonly host: SessionHost,
  ) {
    this.connection = new ProtocolConnection(send, (command, args) => this.answer(command, args));
    const dbg = new Debugger(this.events(), host.scheduler, {
      read: (path) => this.readFile(path),
      ...(host.files?.exists === undefined ? {} : { exists: (path) => host.files!.exists!(path) }),
    });
    this.state = new AdapterState(dbg, this.connection, () => host.onDisconnect?.());
  }

  /** Takes a message from the client. */
  receive(message: DebugProtocol.ProtocolMessage): Promise<void> {
    return this.connection.receive(message);
  }

  private answer(command: string, args: unknown): unknown {
    const route = Object.hasOwn(ROUTES, command) ? ROUTES[command] : undefined;
    if (route === undefined) throw unknownRequest(command);
    return route(this.state, args ?? {});
  }

  /** From the file system, or from the client when there is none or the path is a URI. */
  private async readFile(path: string): Promise<Uint8Array> {
    const isUri = /^[a-z][a-z0-9+.-]+:\/\//i.test(path);
    if (this.host.files !== undefined && !isUri) return this.host.files.read(path);
    if (!this.state.client.isOurs) throw noFiles(path);
    const { bytes } = (await this.connection.request("ring1/readFile", { path })) as ReadFileResponse;
    return bytes;
  }

  private events(): ConstructorParameters<typeof Debugger>[0] {
    const { connection } = this;
    const custom = <Name extends CustomEventName>(name: Name, body: CustomEvents[Name]): void =>
      connection.event(name, body);
    return {
      stopped: (report) => {
        this.state.forget();
        connection.event("stopped", {
          reason: report.kind,
          description: report.description,
          ...(report.text === undefined ? {} : { text: report.text }),
          threadId: THREAD_ID,
          allThreadsStopped: true,
          ...(report.breakpointIds.length > 0 ? { hitBreakpointIds: [...report.breakpointIds] } : {}),
        });
      },
      continued: () => this.state.forget(),
      killed: (body) => custom("ring1/killed", body),
      ended: (report) => {
        custom("ring1/ended", { ...report });
        connection.event("output", {
          category: report.exitStatus === 0 ? "console" : "stderr",
          output: `${report.reason}\n`,
        });
        connection.event("exited", { exitCode: report.exitStatus });
        connection.event("terminated");
      },
      console: ({ text, source, dropped }) => {
        custom("ring1/console", { text, source, ...(dropped > 0 ? { dropped } : {}) });
        if (!this.state.client.isOurs) connection.event("output", { category: "stdout", output: text });
      },
      output: (category, text, place) => {
        const source = place?.path === undefined ? {} : sources.sourceOf(this.state, place);
        connection.event("output", {
          category,
          output: place === undefined || place.path !== undefined ? text : `${placeText(place)}: ${text}`,
          ...source,
        });
      },
      status: (status) => custom("ring1/status", status),
      trapLogChanged: () => {
        const { log } = this.state.dbg.session;
        custom("ring1/trapLogChanged", {
          total: log.total,
          firstSequence: log.firstSequence,
          lastSequence: log.lastSequence,
        });
      },
      breakpointsChanged: (changed) => {
        for (const breakpoint of changed) {
          connection.event("breakpoint", {
            reason: "changed",
            breakpoint: breakpoints.describeBreakpoint(this.state, breakpoint),
          });
        }
      },
      edited: (range) => {
        if (this.state.client.supportsInvalidated) connection.event("invalidated", { areas: ["variables", "stacks"] });
        if (range !== undefined && this.state.client.supportsMemoryEvent) {
          const place = memoryReference({ space: "linear", address: range.address });
          connection.event("memory", { memoryReference: place, offset: 0, count: range.length });
        }
      },
    };
  }
}
