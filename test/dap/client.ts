// A DAP client in the same process: sends requests to a Session, waits for events, keeps a transcript.
import { resolve } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { Session } from "../../src/dap";
import { NodeScheduler, nodeFiles } from "../../src/worker/node-host";

export const guest = (name: string): string => resolve("media/guests", name, `${name}.elf`);
export const source = (path: string): string => resolve("media/guests", path);

// biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes are looked at by tests.
type Any = any;

interface Waiter {
  readonly event: string;
  readonly test: (body: Any) => boolean;
  readonly resolve: (body: Any) => void;
}

export class Client {
  readonly events: { event: string; body: Any }[] = [];
  /** Called for each message in both directions. */
  onMessage: (direction: ">" | "<", message: Any) => void = () => {};
  private readonly session: Session;
  private seq = 1;
  private readonly waiting = new Map<number, (response: DebugProtocol.Response) => void>();
  private waiters: Waiter[] = [];
  console = "";
  output = "";

  constructor(files: ConstructorParameters<typeof Session>[1]["files"] | null = nodeFiles) {
    this.session = new Session((message) => this.receive(message as Any), {
      scheduler: new NodeScheduler(),
      ...(files === null ? {} : { files }),
    });
  }

  /** The whole response. */
  raw(command: string, args?: Any): Promise<DebugProtocol.Response> {
    const seq = this.seq++;
    const message = { seq, type: "request", command, arguments: args };
    this.onMessage(">", message);
    return new Promise((done) => {
      this.waiting.set(seq, done);
      void this.session.receive(message);
    });
  }
  /** The body; an error when the request failed. */
  async request(command: string, args?: Any): Promise<Any> {
    const response = await this.raw(command, args);
    if (!response.success) throw new Error(response.message);
    return response.body;
  }
  /** The message of a request that must fail. */
  async refusal(command: string, args?: Any): Promise<string> {
    const response = await this.raw(command, args);
    if (response.success) throw new Error(`${command} was not refused`);
    return response.message ?? "";
  }
  /** The next event of this name (that passes the test). */
  wait(event: string, test: (body: Any) => boolean = () => true): Promise<Any> {
    return new Promise((done) => this.waiters.push({ event, test, resolve: done }));
  }
  answer(message: Any): void {
    void this.session.receive(message);
  }

  /** Up to the guest's start: `configure` may set breakpoints. Gives the first stop or end. */
  async launch(
    name: string,
    attributes: Any = {},
    configure: (client: Client) => Promise<unknown> = async () => {},
  ): Promise<Any> {
    await this.request("initialize", {
      adapterID: "ring1",
      linesStartAt1: true,
      columnsStartAt1: true,
      supportsInvalidatedEvent: true,
      supportsMemoryEvent: true,
    });
    const initialized = this.wait("initialized");
    await this.request("launch", { program: guest(name), ...attributes });
    await initialized;
    await configure(this);
    const first = this.next();
    await this.request("configurationDone");
    return first;
  }
  /** The next stop, or the end. */
  next(): Promise<Any> {
    return Promise.race([this.wait("stopped"), this.wait("ring1/ended")]);
  }
  /** Sends a request that makes the guest go; gives the next stop or the end. */
  async go(command: string, args: Any = {}): Promise<Any> {
    const next = this.next();
    await this.request(command, { threadId: 1, ...args });
    return next;
  }
  async frames(): Promise<DebugProtocol.StackFrame[]> {
    return (await this.request("stackTrace", { threadId: 1 })).stackFrames;
  }
  /** The innermost frame with a source. */
  async top(): Promise<DebugProtocol.StackFrame> {
    return (await this.frames()).find((frame) => frame.source !== undefined && frame.presentationHint === undefined)!;
  }
  async evaluate(expression: string, context = "watch"): Promise<string> {
    const frame = (await this.frames()).find((f) => f.presentationHint === undefined);
    return (await this.request("evaluate", { expression, context, frameId: frame?.id })).result;
  }
  async end(): Promise<void> {
    await this.request("disconnect", {});
  }

  private receive(message: Any): void {
    this.onMessage("<", message);
    if (message.type === "response") {
      this.waiting.get(message.request_seq)?.(message);
      this.waiting.delete(message.request_seq);
      return;
    }
    if (message.type !== "event") return;
    this.events.push(message);
    if (message.event === "ring1/console") this.console += message.body.text;
    if (message.event === "output") this.output += message.body.output;
    for (const waiter of this.waiters.filter((w) => w.event === message.event && w.test(message.body))) {
      this.waiters = this.waiters.filter((w) => w !== waiter);
      waiter.resolve(message.body);
    }
  }
}
