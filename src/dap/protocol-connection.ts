/*
 * Both ends of the Debug Adapter Protocol as one object: requests come in and are routed, responses and events go out,
 * and a few requests go the other way (`ring1/readFile`). How messages travel is not its business: the worker posts
 * objects, the server writes bytes (message-framing.ts).
 *
 * DAP specification, "Base Protocol". Responses keep the order in which handlers finish; sequence numbers are ours.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { toErrorBody, unknownRequest } from "./errors";

/** Handles one request; gives the response's body. A UserError becomes a response that a person can read. */
export type RequestHandler = (command: string, args: unknown) => unknown;

interface Waiting {
  resolve(body: unknown): void;
  reject(error: Error): void;
}

export class ProtocolConnection {
  private seq = 1;
  private readonly waiting = new Map<number, Waiting>();
  private after: (() => void)[] = [];

  constructor(
    private readonly send: (message: DebugProtocol.ProtocolMessage) => void,
    private readonly handler: RequestHandler,
  ) {}

  /** Takes a message from the client. */
  async receive(message: DebugProtocol.ProtocolMessage): Promise<void> {
    if (message?.type === "response") {
      this.receiveResponse(message as DebugProtocol.Response);
      return;
    }
    if (message?.type !== "request") return;
    const request = message as DebugProtocol.Request;
    let body: unknown;
    try {
      const result = this.handler(request.command, request.arguments);
      // What is known at once is answered at once, so that nothing can come in between.
      body = result instanceof Promise ? await result : result;
    } catch (error) {
      const failure = toErrorBody(error, request.command);
      this.after = [];
      this.respond(request, false, failure.body, failure.message);
      return;
    }
    this.finish(request, body);
  }

  /** The answer, and then what the request causes. */
  private finish(request: DebugProtocol.Request, body: unknown): void {
    const after = this.after;
    this.after = [];
    this.respond(request, true, body);
    try {
      for (const action of after) action();
    } catch (error) {
      // It is too late to refuse the request.
      this.event("output", { category: "important", output: `${toErrorBody(error, request.command).message}\n` });
    }
  }

  event(event: string, body?: unknown): void {
    this.post({ type: "event", event, body } as Omit<DebugProtocol.Event, "seq">);
  }

  /** Asks the client. Rejects with the client's message. */
  request(command: string, args: unknown): Promise<unknown> {
    const seq = this.seq++;
    return new Promise((resolve, reject) => {
      // The answer may come before send() returns.
      this.waiting.set(seq, { resolve, reject });
      this.send({ seq, type: "request", command, arguments: args } as DebugProtocol.Request);
    });
  }

  /** Does something after the response to the request that is being handled has gone out. */
  afterResponse(action: () => void): void {
    this.after.push(action);
  }

  private receiveResponse(response: DebugProtocol.Response): void {
    const waiting = this.waiting.get(response.request_seq);
    this.waiting.delete(response.request_seq);
    if (response.success) waiting?.resolve(response.body);
    else waiting?.reject(new Error(response.message ?? unknownRequest(response.command).message));
  }

  private respond(request: DebugProtocol.Request, success: boolean, body: unknown, message?: string): void {
    this.post({
      type: "response",
      request_seq: request.seq,
      command: request.command,
      success,
      ...(message === undefined ? {} : { message }),
      ...(body === undefined ? {} : { body }),
    } as Omit<DebugProtocol.Response, "seq">);
  }

  private post(message: Omit<DebugProtocol.ProtocolMessage, "seq">): void {
    this.send({ seq: this.seq++, ...message });
  }
}
