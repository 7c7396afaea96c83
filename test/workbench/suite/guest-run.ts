// One debug session as the tests see it: everything the adapter sends is kept in order, and a test waits for what must
// come, never for time to pass. Texts of what has come so far go into every error.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import * as vscode from "vscode";
import type {
  CustomEventName,
  CustomEvents,
  CustomRequestName,
  CustomRequests,
  LaunchAttributes,
} from "../../../src/dap";

const TIMEOUT_MS = 20_000;

/** A message of the adapter, kept. */
interface Message {
  readonly type: string;
  readonly event?: string;
  readonly command?: string;
  readonly success?: boolean;
  readonly message?: string;
  readonly body?: unknown;
}

/** The folder that is open: a copy of the sample guests. */
export function sample(...path: string[]): string {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  assert.ok(folder !== undefined, "a folder is open");
  return join(folder, ...path);
}

/** A line of a sample's source by a part of its text, counted from 1. */
export async function lineOf(file: string, text: string): Promise<number> {
  const document = await vscode.workspace.openTextDocument(file);
  const line = document
    .getText()
    .split("\n")
    .findIndex((candidate) => candidate.includes(text));
  assert.ok(line >= 0, `${basename(file)} has a line with ${text}`);
  return line + 1;
}

/** Ends every session that a test left, and removes all breakpoints. */
export async function cleanUp(): Promise<void> {
  try {
    await vscode.debug.stopDebugging();
  } catch {
    // A session that is ending by itself at this moment: VS Code calls that cancelled.
  }
  vscode.debug.removeBreakpoints(vscode.debug.breakpoints);
}

export class GuestRun {
  private readonly messages: Message[] = [];
  private readonly waiting = new Set<() => void>();
  private taken = 0;

  private constructor(
    readonly session: vscode.DebugSession | undefined,
    /** What `startDebugging` answered. */
    readonly started: boolean,
    /** What VS Code would have shown in a dialog, had it not known that this is a test. */
    readonly dialog: string | undefined,
  ) {}

  /** Starts a session of type ring1 and returns when VS Code says that it has started, or that it has not. */
  static async start(
    launch: Partial<LaunchAttributes>,
    options: vscode.DebugSessionOptions = {},
    name = `run ${Date.now()}`,
  ): Promise<GuestRun> {
    const kept: Message[] = [];
    let deliver = (message: Message): void => void kept.push(message);
    const tracker = vscode.debug.registerDebugAdapterTrackerFactory("ring1", {
      createDebugAdapterTracker: (session) =>
        session.name === name ? { onDidSendMessage: (message: Message) => deliver(message) } : undefined,
    });
    let session: vscode.DebugSession | undefined;
    const listener = vscode.debug.onDidStartDebugSession((begun) => {
      session = begun.name === name ? begun : session;
    });
    try {
      const configuration = { type: "ring1", request: "launch", name, ...launch };
      let dialog: string | undefined;
      const started = await vscode.debug
        .startDebugging(vscode.workspace.workspaceFolders?.[0], configuration, options)
        .then(undefined, (error: Error) => {
          dialog = error.message;
          return false;
        });
      const run = new GuestRun(session, started, dialog);
      deliver = (message) => run.receive(message);
      kept.forEach(deliver);
      return run;
    } finally {
      listener.dispose();
      // The factory only matters while the session is made; its tracker lives as long as the session.
      tracker.dispose();
    }
  }

  private receive(message: Message): void {
    this.messages.push(message);
    for (const wake of this.waiting) {
      wake();
    }
  }

  /** Waits for the next message that `matches`, after the last one that was waited for. */
  private async next<T>(what: string, matches: (message: Message) => T | undefined, timeoutMs: number): Promise<T> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      for (let index = this.taken; index < this.messages.length; index++) {
        const value = matches(this.messages[index]!);
        if (value !== undefined) {
          this.taken = index + 1;
          return value;
        }
      }
      if (Date.now() >= end) {
        throw new Error(`waited ${timeoutMs} ms for ${what}; since the last stop came:\n${this.transcript()}`);
      }
      await new Promise<void>((done) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.waiting.delete(wake);
          done();
        };
        const timer = setTimeout(wake, Math.max(1, end - Date.now()));
        this.waiting.add(wake);
      });
    }
  }

  private transcript(): string {
    return this.messages
      .slice(-20)
      .map(({ type, event, command, success, message, body }) => {
        const rest = JSON.stringify(body ?? message ?? "").slice(0, 200);
        return `  ${type} ${event ?? command ?? ""} ${success === false ? "FAILED " : ""}${rest}`;
      })
      .join("\n");
  }

  /** Waits for a `stopped` event and, when it is given, checks its reason. */
  async untilStopped(reason?: string, timeoutMs = TIMEOUT_MS): Promise<DebugProtocol.StoppedEvent["body"]> {
    const isStop = ({ event, body }: Message) =>
      event === "stopped" ? (body as DebugProtocol.StoppedEvent["body"]) : undefined;
    const stop = await this.next("a stop", isStop, timeoutMs);
    if (reason !== undefined) {
      assert.equal(stop.reason, reason, `${stop.description ?? ""} ${stop.text ?? ""}`);
    }
    return stop;
  }

  /** Waits for a custom event. */
  untilEvent<Name extends CustomEventName>(name: Name, timeoutMs = TIMEOUT_MS): Promise<CustomEvents[Name]> {
    const isIt = ({ event, body }: Message) => (event === name ? (body as CustomEvents[Name]) : undefined);
    return this.next(`the event ${name}`, isIt, timeoutMs);
  }

  /** Waits for the end, and answers with why. */
  async untilEnded(timeoutMs = TIMEOUT_MS): Promise<CustomEvents["ring1/ended"]> {
    const ended = await this.untilEvent("ring1/ended", timeoutMs);
    await this.next("terminated", ({ event }) => (event === "terminated" ? true : undefined), timeoutMs);
    return ended;
  }

  /** The error of the first request that failed, or else what VS Code said. */
  firstFailure(): string | undefined {
    const failed = this.messages.find(({ type, success }) => type === "response" && success === false);
    const body = failed?.body as DebugProtocol.ErrorResponse["body"] | undefined;
    return failed === undefined ? this.dialog : (body?.error?.format ?? failed.message);
  }

  /** All that the guest wrote to its console. */
  consoleText(): string {
    return this.messages
      .filter(({ event }) => event === "ring1/console")
      .map(({ body }) => (body as CustomEvents["ring1/console"]).text)
      .join("");
  }

  /** Any request of DAP. */
  async dap<Body>(command: string, args?: object): Promise<Body> {
    assert.ok(this.session !== undefined, `the session has started; ${this.firstFailure() ?? ""}`);
    return (await this.session.customRequest(command, args)) as Body;
  }

  /** A custom request of ours. */
  custom<Name extends CustomRequestName>(
    command: Name,
    ...args: CustomRequests[Name]["arguments"] extends undefined ? [] : [CustomRequests[Name]["arguments"]]
  ): Promise<CustomRequests[Name]["response"]> {
    return this.dap(command, args[0]);
  }

  /** The one thread that can be stopped: a guest has one processor. */
  async threadId(): Promise<number> {
    const { threads } = await this.dap<DebugProtocol.ThreadsResponse["body"]>("threads");
    assert.ok(threads[0] !== undefined, "there is a thread");
    return threads[0].id;
  }

  async frames(): Promise<DebugProtocol.StackFrame[]> {
    const threadId = await this.threadId();
    return (await this.dap<DebugProtocol.StackTraceResponse["body"]>("stackTrace", { threadId })).stackFrames;
  }

  /** The frame that VS Code selects: the first that has code (before it may be the host's, which has none). */
  async top(): Promise<DebugProtocol.StackFrame> {
    const frame = (await this.frames()).find(({ instructionPointerReference }) => instructionPointerReference);
    assert.ok(frame !== undefined, "the stack has a frame");
    return frame;
  }

  /** Continues, steps or pauses. */
  async go(command: "continue" | "next" | "stepIn" | "stepOut" | "pause", args: object = {}): Promise<void> {
    await this.dap(command, { threadId: await this.threadId(), ...args });
  }

  /** Variables of the scope of the top frame whose name matches. */
  async variables(scopeName: RegExp): Promise<Map<string, DebugProtocol.Variable>> {
    const { scopes } = await this.dap<DebugProtocol.ScopesResponse["body"]>("scopes", {
      frameId: (await this.top()).id,
    });
    const scope = scopes.find(({ name }) => scopeName.test(name));
    assert.ok(scope !== undefined, `a scope ${scopeName} among ${scopes.map(({ name }) => name).join(", ")}`);
    return this.children(scope.variablesReference);
  }

  async children(variablesReference: number): Promise<Map<string, DebugProtocol.Variable>> {
    const body = await this.dap<DebugProtocol.VariablesResponse["body"]>("variables", { variablesReference });
    return new Map(body.variables.map((variable) => [variable.name, variable]));
  }

  async evaluate(expression: string, context = "repl"): Promise<string> {
    const frameId = (await this.top()).id;
    const body = await this.dap<DebugProtocol.EvaluateResponse["body"]>("evaluate", { expression, frameId, context });
    return body.result;
  }
}
