// The road between VS Code and the worker: messages pass, requests of views stay apart, files are handed over, a worker
// that dies ends the session with the reason, a guest that has ended can still be asked.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { AdapterLink } from "../../src/extension/adapter/adapter-link";
import type {
  ProtocolEvent,
  ProtocolMessage,
  ProtocolRequest,
  ProtocolResponse,
  WorkerPort,
} from "../../src/extension/adapter/worker-port";

/** Any message, with the fields of all. */
type Loose = Partial<Omit<ProtocolResponse, "type"> & Omit<ProtocolEvent, "type">>;

function linked() {
  const toWorker: ProtocolMessage[] = [];
  const toClient: ProtocolMessage[] = [];
  let disposed = false;
  const port: WorkerPort = {
    onMessage: undefined,
    onFailure: undefined,
    postMessage: (message) => toWorker.push(message),
    dispose: () => {
      disposed = true;
    },
  };
  const link = new AdapterLink(port, {
    send: (message) => toClient.push(message),
    readFile: async (path) => {
      if (path === "/missing") {
        throw new Error("There is no file /missing.");
      }
      return new Uint8Array([1, 2, 3]);
    },
  });
  const request = (seq: number, command: string, args?: unknown): ProtocolRequest => ({
    seq,
    type: "request",
    command,
    arguments: args,
  });
  const respond = (request_seq: number, more: Partial<ProtocolResponse> = {}): ProtocolResponse => ({
    seq: 0,
    type: "response",
    request_seq,
    command: "",
    success: true,
    ...more,
  });
  const event = (name: string, body?: unknown): ProtocolEvent => ({ seq: 0, type: "event", event: name, body });
  return { link, port, toWorker, toClient, request, respond, event, isDisposed: () => disposed };
}

describe("the link to the worker", () => {
  it("passes messages of VS Code and of the worker on", () => {
    const { link, port, toWorker, toClient, request, respond } = linked();
    link.fromClient(request(1, "threads"));
    port.onMessage?.(respond(1));
    assert.equal((toWorker[0] as ProtocolRequest).command, "threads");
    assert.equal((toClient[0] as ProtocolResponse).request_seq, 1);
  });

  it("tells the worker that files can be had", () => {
    const { link, toWorker, request } = linked();
    link.fromClient(request(1, "initialize", { clientID: "vscode" }));
    assert.deepEqual((toWorker[0] as ProtocolRequest).arguments, { clientID: "vscode", supportsRing1ReadFile: true });
  });

  it("keeps answers to the views away from VS Code", async () => {
    const { link, port, toWorker, toClient, respond } = linked();
    const answer = link.request("ring1/status", undefined);
    port.onMessage?.(respond(toWorker[0]!.seq, { body: { state: "stopped" } }));
    assert.deepEqual(await answer, { state: "stopped" });
    assert.deepEqual(toClient, []);
  });

  it("a refusal has the adapter's sentence, with its places filled", async () => {
    const { link, port, toWorker, respond } = linked();
    const answer = link.request("ring1/setRegister", { name: "CS", value: "0xFFF8" });
    const body = {
      error: { id: 1, format: "The selector {value} is beyond the limit.", variables: { value: "FFF8" } },
    };
    port.onMessage?.(respond(toWorker[0]!.seq, { success: false, message: "refused", body }));
    await assert.rejects(answer, /^Error: The selector FFF8 is beyond the limit\.$/);
  });

  it("hands files to the worker, or the reason why not", async () => {
    const { port, toWorker, toClient, request } = linked();
    port.onMessage?.(request(7, "ring1/readFile", { path: "/k/kernel.elf" }));
    port.onMessage?.(request(8, "ring1/readFile", { path: "/missing" }));
    await new Promise((done) => setTimeout(done, 0));
    const [good, bad] = toWorker as Loose[];
    assert.deepEqual(
      { seq: good?.request_seq, body: good?.body },
      { seq: 7, body: { bytes: new Uint8Array([1, 2, 3]) } },
    );
    assert.deepEqual(
      { seq: bad?.request_seq, message: bad?.message },
      { seq: 8, message: "There is no file /missing." },
    );
    assert.deepEqual(toClient, []);
  });

  it("a worker that dies ends the session: waiting requests are answered, the reason is said", async () => {
    const { link, port, toClient, request } = linked();
    link.fromClient(request(1, "launch"));
    const view = link.request("ring1/gdt", undefined);
    port.onFailure?.("The engine failed: RangeError");
    await assert.rejects(view, /RangeError/);
    const [response, ...events] = toClient as Loose[];
    assert.deepEqual({ seq: response?.request_seq, success: response?.success }, { seq: 1, success: false });
    assert.deepEqual(
      events.map(({ event }) => event),
      ["output", "ring1/ended", "terminated"],
    );
    assert.match(JSON.stringify(events[0]?.body), /RangeError/);
    assert.equal(link.isAlive, false);
    link.fromClient(request(2, "disconnect"));
    assert.equal((toClient.at(-1) as ProtocolResponse).success, true);
    link.fromClient(request(3, "threads"));
    assert.equal((toClient.at(-1) as ProtocolResponse).success, false);
  });

  it("after the guest has ended the worker stays for the views", async () => {
    const { link, port, toWorker, toClient, request, respond, event, isDisposed } = linked();
    port.onMessage?.(event("ring1/ended", { cause: "poweredOff" }));
    port.onMessage?.(event("terminated"));
    link.fromClient(request(4, "terminate"));
    assert.equal((toClient.at(-1) as ProtocolResponse).request_seq, 4);
    link.fromClient(request(5, "disconnect"));
    assert.equal((toClient.at(-1) as ProtocolResponse).request_seq, 5);
    assert.deepEqual(toWorker, []);
    const answer = link.request("ring1/trapLog", { count: -10 });
    port.onMessage?.(respond((toWorker[0] as ProtocolRequest).seq, { body: { rows: [] } }));
    assert.deepEqual(await answer, { rows: [] });
    assert.equal(isDisposed(), false);
    link.dispose();
    assert.equal(isDisposed(), true);
    await assert.rejects(link.request("ring1/status", undefined), /closed/);
  });

  it("a session that is stopped by hand is disconnected in the worker, whose end is then no failure", () => {
    const { link, port, toWorker, toClient, request } = linked();
    link.fromClient(request(5, "disconnect"));
    assert.equal((toWorker[0] as ProtocolRequest).command, "disconnect");
    port.onFailure?.("The engine ended by itself (exit code 0).");
    assert.deepEqual(
      toClient.map((message) => (message as Loose).event ?? (message as Loose).success),
      [true, "terminated"],
    );
  });
});
