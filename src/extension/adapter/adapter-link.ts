/*
 * The middle of the road between VS Code and the worker, without `vscode`, so that it can be tested alone. It passes
 * DAP messages on, and does four things of its own:
 *
 *   requests of the views    go to the worker too (`request`), their answers stay here
 *   files                    the worker's `ring1/readFile` is answered from VS Code's file system
 *   a worker that dies       ends the session with the reason, every waiting request is answered
 *   the end of a guest       `disconnect` is answered here and the worker stays, so that the trap log and the tables can
 *                            still be read; `dispose` ends it
 */

import type { CustomRequestName, CustomRequests, EndedBody, ReadFileArguments } from "../../dap";
import type { ProtocolEvent, ProtocolMessage, ProtocolRequest, ProtocolResponse, WorkerPort } from "./worker-port";

export interface AdapterLinkOptions {
  /** Takes messages for VS Code. */
  send(message: ProtocolMessage): void;
  /** Answers the worker's requests for files. */
  readFile(path: string): Promise<Uint8Array>;
  /** Called for each message, in both directions, when the user wants a trace. */
  trace?(direction: "to engine" | "from engine", message: ProtocolMessage): void;
}

interface Waiting {
  resolve(body: unknown): void;
  reject(error: Error): void;
}

/** Requests of the views are numbered from here on, far from the numbers VS Code gives. */
const FIRST_OWN_SEQUENCE = 1_000_000_000;

export class AdapterLink {
  private readonly own = new Map<number, Waiting>();
  private readonly theirs = new Map<number, string>();
  private nextSequence = FIRST_OWN_SEQUENCE;
  private failure: string | undefined;
  private ended = false;
  private terminated = false;
  /** VS Code is done with the session, the worker lives on for the views. */
  private closed = false;
  /** The worker was told to end, so its end is no failure. */
  private isDisconnecting = false;

  constructor(
    private readonly port: WorkerPort,
    private readonly options: AdapterLinkOptions,
  ) {
    port.onMessage = (message) => this.fromWorker(message);
    port.onFailure = (reason) => this.workerFailed(reason);
  }

  /** False once the worker is gone. */
  get isAlive(): boolean {
    return this.failure === undefined;
  }

  /** Takes a message of VS Code. */
  fromClient(message: ProtocolMessage): void {
    this.options.trace?.("to engine", message);
    if (message.type !== "request") {
      this.port.postMessage(message);
      return;
    }
    const request = message as ProtocolRequest;
    if (this.failure !== undefined) {
      const isEnd = request.command === "disconnect" || request.command === "terminate";
      this.answer(request.seq, request.command, isEnd ? {} : { error: this.failure });
      return;
    }
    if (this.ended && (request.command === "disconnect" || request.command === "terminate")) {
      this.closed ||= request.command === "disconnect";
      this.answer(request.seq, request.command, {});
      return;
    }
    this.ended &&= request.command !== "restart";
    this.isDisconnecting ||= request.command === "disconnect";
    this.theirs.set(request.seq, request.command);
    this.port.postMessage(request.command === "initialize" ? withReadFile(request) : request);
  }

  /** Asks the worker on behalf of a view. Rejects with the adapter's message. */
  request<Name extends CustomRequestName>(
    command: Name,
    args: CustomRequests[Name]["arguments"],
  ): Promise<CustomRequests[Name]["response"]> {
    return this.requestAny(command, args) as Promise<CustomRequests[Name]["response"]>;
  }

  /** The same for requests of DAP itself (`readMemory`, `disassemble`). */
  requestAny(command: string, args: unknown): Promise<unknown> {
    if (this.failure !== undefined) {
      return Promise.reject(new Error(this.failure));
    }
    const seq = this.nextSequence++;
    return new Promise((resolve, reject) => {
      this.own.set(seq, { resolve, reject });
      const message: ProtocolRequest = { seq, type: "request", command, arguments: args };
      this.port.postMessage(message);
    });
  }

  /** Ends the worker. */
  dispose(): void {
    this.port.dispose();
    this.failure ??= "The guest's session is closed.";
    this.rejectAll(this.failure);
  }

  private fromWorker(message: ProtocolMessage): void {
    this.options.trace?.("from engine", message);
    if (message.type === "response") {
      const response = message as ProtocolResponse;
      const waiting = this.own.get(response.request_seq);
      if (waiting !== undefined) {
        this.own.delete(response.request_seq);
        if (response.success) {
          waiting.resolve(response.body);
        } else {
          waiting.reject(new Error(messageOf(response)));
        }
        return;
      }
      this.theirs.delete(response.request_seq);
    } else if (message.type === "event") {
      const { event } = message as ProtocolEvent;
      this.ended ||= event === "ring1/ended";
      this.terminated ||= event === "terminated";
    } else if ((message as ProtocolRequest).command === "ring1/readFile") {
      void this.readFile(message as ProtocolRequest);
      return;
    }
    if (!this.closed) {
      this.options.send(message);
    }
  }

  private async readFile(request: ProtocolRequest): Promise<void> {
    const response = { seq: 0, type: "response" as const, request_seq: request.seq, command: request.command };
    try {
      const bytes = await this.options.readFile((request.arguments as ReadFileArguments).path);
      this.port.postMessage({ ...response, success: true, body: { bytes } } as ProtocolResponse);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.port.postMessage({ ...response, success: false, message } as ProtocolResponse);
    }
  }

  private workerFailed(reason: string): void {
    this.failure = reason;
    this.rejectAll(reason);
    if (this.closed) {
      return;
    }
    for (const [seq, command] of this.theirs) {
      const isEnd = command === "disconnect" || command === "terminate";
      this.answer(seq, command, isEnd ? {} : { error: reason });
    }
    this.theirs.clear();
    if (!this.ended && !this.isDisconnecting) {
      const body: EndedBody = { cause: "failed", reason, exitStatus: 1, instructionCount: 0 };
      this.event("output", { category: "stderr", output: `${reason}\n` });
      this.event("ring1/ended", body);
    }
    if (!this.terminated) {
      this.event("terminated", {});
    }
  }

  private rejectAll(reason: string): void {
    for (const waiting of this.own.values()) {
      waiting.reject(new Error(reason));
    }
    this.own.clear();
  }

  private event(event: string, body: unknown): void {
    this.options.send({ seq: 0, type: "event", event, body } as ProtocolEvent);
  }

  private answer(seq: number, command: string, { error }: { error?: string }): void {
    const response: ProtocolResponse = {
      seq: 0,
      type: "response",
      request_seq: seq,
      command,
      success: error === undefined,
      ...(error === undefined ? {} : { message: error }),
    };
    this.options.send(response);
  }
}

/** `initialize`, with the word that files can be had from here. */
function withReadFile(request: ProtocolRequest): ProtocolRequest {
  return { ...request, arguments: { ...(request.arguments as object), supportsRing1ReadFile: true } };
}

/** The text for a person: DAP hides it in `body.error.format`, with `{name}` places to fill. */
function messageOf(response: ProtocolResponse): string {
  const error = (response.body as { error?: { format?: string; variables?: Record<string, string> } } | undefined)
    ?.error;
  const text = error?.format?.replace(/\{([^}]+)\}/g, (place, name: string) => error.variables?.[name] ?? place);
  return text || response.message || "The debug adapter refused the request.";
}
