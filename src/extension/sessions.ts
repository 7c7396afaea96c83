/*
 * What the extension knows of each guest: its debug session, its last status, why it ended. Views, status bar, console
 * and decorations listen here, so that only this file follows debug sessions and custom events.
 *
 * A guest that has ended stays `current` until another starts or it is cleared: its last state can still be asked for.
 */

import * as vscode from "vscode";
import type {
  ConsoleBody,
  CustomEvents,
  CustomRequestName,
  CustomRequests,
  EndedBody,
  KilledBody,
  StatusBody,
  TrapLogChangedBody,
} from "../dap";
import type { AdapterFactory } from "./adapter/inline-adapter";

/** One guest, from the start of its session to the moment its engine is released. */
export class GuestSession {
  status: StatusBody | undefined;
  killed: KilledBody | undefined;
  ended: EndedBody | undefined;
  trapLog: TrapLogChangedBody | undefined;
  /** Counts stops: what was remembered for an older number is from an earlier stop. */
  stopNumber = 0;
  isStopped = false;
  /** Newest trap-log entry when the guest last went on, for "since the last stop". */
  sequenceAtContinue = 0;
  /** VS Code has closed the session. */
  isClosed = false;
  /** Counts restarts: the trap log of another run is another log. */
  run = 0;

  constructor(
    readonly session: vscode.DebugSession,
    private readonly adapters: AdapterFactory,
  ) {}

  /** Name of the image, for titles. */
  get imageName(): string {
    const program: string = this.session.configuration["program"] ?? this.session.name;
    return program.split(/[\\/]/).at(-1) || this.session.name;
  }

  /** The engine can be asked: the session lives, or its worker was kept. */
  get isReachable(): boolean {
    return !this.isClosed || this.adapters.linkOf(this.session.id)?.isAlive === true;
  }

  /** A custom request. Rejects with a sentence for a person. */
  request<Name extends CustomRequestName>(
    command: Name,
    ...args: CustomRequests[Name]["arguments"] extends undefined ? [] : [CustomRequests[Name]["arguments"]]
  ): Promise<CustomRequests[Name]["response"]> {
    return this.requestAny(command, args[0]) as Promise<CustomRequests[Name]["response"]>;
  }

  /** Any request of DAP, for example `readMemory`. */
  requestAny(command: string, args: unknown): Promise<unknown> {
    const link = this.adapters.linkOf(this.session.id);
    return link === undefined
      ? Promise.resolve(this.session.customRequest(command, args))
      : link.requestAny(command, args);
  }
}

/** What happened to a guest. `state`: stopped, went on, ended, or its values were changed by hand. */
export type SessionChange = "started" | "state" | "status" | "trapLog" | "killed" | "ended";

export class Sessions implements vscode.Disposable {
  private readonly guests = new Map<string, GuestSession>();
  private readonly changes = new vscode.EventEmitter<{ guest: GuestSession; change: SessionChange }>();
  private readonly currentChanges = new vscode.EventEmitter<GuestSession | undefined>();
  private readonly consoleOutput = new vscode.EventEmitter<{ guest: GuestSession; body: ConsoleBody }>();
  private readonly disposables: vscode.Disposable[] = [];
  private currentGuest: GuestSession | undefined;

  /** Something happened to a guest. */
  readonly onDidChange = this.changes.event;
  /** Another guest is shown, or none. */
  readonly onDidChangeCurrent = this.currentChanges.event;
  /** A guest wrote to its console. */
  readonly onDidWriteConsole = this.consoleOutput.event;

  constructor(private readonly adapters: AdapterFactory) {
    this.disposables.push(
      vscode.debug.onDidStartDebugSession((session) => this.start(session)),
      vscode.debug.onDidTerminateDebugSession((session) => this.close(session)),
      vscode.debug.onDidChangeActiveDebugSession((session) => {
        const guest = session && this.guests.get(session.id);
        if (guest !== undefined) {
          this.setCurrent(guest);
        }
      }),
      vscode.debug.onDidReceiveDebugSessionCustomEvent(({ session, event, body }) => {
        if (session.type === "ring1") {
          this.customEvent(this.start(session), event, body);
        }
      }),
      vscode.debug.registerDebugAdapterTrackerFactory("ring1", {
        createDebugAdapterTracker: (session) => this.track(session),
      }),
    );
  }

  /** The guest that views show. */
  get current(): GuestSession | undefined {
    return this.currentGuest;
  }

  /** Guests whose sessions run. */
  get running(): GuestSession[] {
    return [...this.guests.values()].filter((guest) => !guest.isClosed);
  }

  /** Lets go of guests that have ended. */
  releaseEnded(): void {
    for (const [id, guest] of this.guests) {
      if (guest.isClosed) {
        this.guests.delete(id);
        this.adapters.release(id);
      }
    }
    if (this.currentGuest?.isClosed) {
      this.setCurrent(this.running.at(-1));
    }
  }

  dispose(): void {
    for (const disposable of [...this.disposables, this.changes, this.currentChanges, this.consoleOutput]) {
      disposable.dispose();
    }
  }

  private start(session: vscode.DebugSession): GuestSession {
    const known = this.guests.get(session.id);
    if (known !== undefined) {
      return known;
    }
    const guest = new GuestSession(session, this.adapters);
    if (session.type === "ring1") {
      this.guests.set(session.id, guest);
      this.setCurrent(guest);
      this.releaseEnded();
      void vscode.commands.executeCommand("setContext", "ring1.used", true);
      this.changes.fire({ guest, change: "started" });
    }
    return guest;
  }

  private close(session: vscode.DebugSession): void {
    const guest = this.guests.get(session.id);
    if (guest === undefined) {
      return;
    }
    guest.isClosed = true;
    guest.isStopped = false;
    if (guest.ended === undefined || guest.ended.cause === "failed") {
      this.adapters.release(session.id);
      this.guests.delete(session.id);
      if (this.currentGuest === guest) {
        this.setCurrent(this.running.at(-1));
      }
    }
    this.changes.fire({ guest, change: "state" });
  }

  private setCurrent(guest: GuestSession | undefined): void {
    if (this.currentGuest !== guest) {
      this.currentGuest = guest;
      void vscode.commands.executeCommand("setContext", "ring1.hasGuest", guest !== undefined);
      this.currentChanges.fire(guest);
    }
  }

  private track(session: vscode.DebugSession): vscode.DebugAdapterTracker {
    return {
      onDidSendMessage: (message: { type: string; event?: string; command?: string; success?: boolean }) => {
        const guest = this.start(session);
        if (message.type === "event" && message.event === "stopped") {
          guest.isStopped = true;
          guest.stopNumber++;
          void vscode.commands.executeCommand("setContext", "ring1.stopped", true);
          this.changes.fire({ guest, change: "state" });
        } else if (message.type === "event" && message.event === "continued") {
          this.goOn(guest);
        } else if (message.type === "event" && message.event === "invalidated") {
          this.changes.fire({ guest, change: "state" });
        } else if (message.type === "response" && message.success) {
          this.afterResponse(guest, message.command ?? "");
        }
      },
    };
  }

  private afterResponse(guest: GuestSession, command: string): void {
    if (["continue", "next", "stepIn", "stepOut", "stepBack", "reverseContinue"].includes(command)) {
      this.goOn(guest);
    } else if (["setVariable", "setExpression", "writeMemory"].includes(command)) {
      this.changes.fire({ guest, change: "state" });
    } else if (command === "restart") {
      guest.ended = undefined;
      guest.killed = undefined;
      guest.trapLog = undefined;
      guest.sequenceAtContinue = 0;
      guest.run++;
      this.changes.fire({ guest, change: "state" });
    }
  }

  private goOn(guest: GuestSession): void {
    if (guest.isStopped) {
      guest.isStopped = false;
      guest.sequenceAtContinue = guest.trapLog?.lastSequence ?? guest.status?.lastSequence ?? 0;
      this.changes.fire({ guest, change: "state" });
    }
  }

  private customEvent(guest: GuestSession, event: string, body: unknown): void {
    switch (event as keyof CustomEvents) {
      case "ring1/status": {
        guest.status = body as StatusBody;
        void vscode.commands.executeCommand("setContext", "ring1.stepThrough", guest.status.stepThrough);
        this.changes.fire({ guest, change: "status" });
        break;
      }
      case "ring1/trapLogChanged":
        guest.trapLog = body as TrapLogChangedBody;
        this.changes.fire({ guest, change: "trapLog" });
        break;
      case "ring1/console":
        this.consoleOutput.fire({ guest, body: body as ConsoleBody });
        break;
      case "ring1/killed":
        guest.killed = body as KilledBody;
        this.changes.fire({ guest, change: "killed" });
        break;
      case "ring1/ended":
        guest.ended = body as EndedBody;
        this.changes.fire({ guest, change: "ended" });
        break;
    }
  }
}
