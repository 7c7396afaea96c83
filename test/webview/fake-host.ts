// Stands in for VS Code and the extension inside a page: acquireVsCodeApi answers the page's requests from a fake
// guest, and `fake` lets a test play the guest. Bundled for the browser and loaded before the page's own script.
import type { FromView, ToView, ViewSession } from "../../src/dap";
import { fakeGdt, fakeIdt } from "../extension/fake-tables";
import { FakeTrapLog } from "../extension/fake-trap-log";

interface FakeHost {
  log: FakeTrapLog;
  /** Everything the page said that was no request. */
  commands: { command: string; argument: unknown }[];
  /** Requests by name. */
  requests: { command: string; arguments: unknown }[];
  session(session: Partial<ViewSession> | null): void;
  /** The guest runs on: the log is now this long. */
  grow(length: number): void;
  send(message: ToView): void;
  /** Milliseconds before an answer comes. */
  delayMs: number;
}

declare global {
  interface Window {
    fake: FakeHost;
    acquireVsCodeApi: () => unknown;
  }
}

const fake: FakeHost = {
  log: new FakeTrapLog(0),
  commands: [],
  requests: [],
  delayMs: 2,
  send: (message) => window.postMessage(message, "*"),
  session: (session) =>
    fake.send({
      type: "session",
      follow: true,
      session: session && { id: "1", name: "paging.elf", state: "running", stopNumber: 0, ...session },
    }),
  grow: (length) => {
    fake.log.length = length;
    fake.send({ type: "trapLog", body: { total: length, firstSequence: 1, lastSequence: length } });
  },
};
window.fake = fake;

let kept: unknown;
window.acquireVsCodeApi = () => ({
  getState: () => kept,
  setState: (state: unknown) => {
    kept = state;
  },
  postMessage: (message: FromView) => {
    if (message.type === "command") {
      fake.commands.push({ command: message.command, argument: message.argument });
    } else if (message.type === "request") {
      fake.requests.push({ command: message.command, arguments: message.arguments });
      setTimeout(() => fake.send(answer(message)), fake.delayMs);
    }
  },
});

function answer({ id, command, arguments: args }: Extract<FromView, { type: "request" }>): ToView {
  try {
    return { type: "response", id, body: bodyOf(command, args) };
  } catch (error) {
    return { type: "response", id, error: (error as Error).message };
  }
}

function bodyOf(command: string, args: unknown): unknown {
  switch (command) {
    case "ring1/trapLog":
      return fake.log.answer(args as Parameters<FakeTrapLog["answer"]>[0]);
    case "ring1/trapDetails":
      return fake.log.details((args as { n: number }).n);
    case "ring1/gdt":
      return fakeGdt();
    case "ring1/idt":
      return fakeIdt();
    default:
      throw new Error(`the fake guest does not answer ${command}`);
  }
}
