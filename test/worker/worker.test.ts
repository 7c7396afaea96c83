// The engine in worker threads: two at once, pause, crash, end. The bundle's entry is the same file.
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { after, describe, it } from "mocha";
import { guest } from "../dap/client";
import { SPIN_INITIALISED, TemporaryFiles } from "../dap/small-guests";

// biome-ignore lint/suspicious/noExplicitAny: messages of many shapes.
type Any = any;

const ENTRY = resolve("out/src/worker/index.js");

class Thread {
  readonly worker: Worker;
  readonly messages: Any[] = [];
  console = "";
  private seq = 1;
  private waiting: { test: (message: Any) => boolean; done: (message: Any) => void }[] = [];

  constructor(options: ConstructorParameters<typeof Worker>[1] = {}) {
    this.worker = new Worker(ENTRY, options);
    this.worker.on("message", (message: Any) => {
      this.messages.push(message);
      if (message.event === "ring1/console") this.console += message.body.text;
      for (const waiter of this.waiting.filter((w) => w.test(message))) {
        this.waiting = this.waiting.filter((w) => w !== waiter);
        waiter.done(message);
      }
    });
  }
  wait(test: (message: Any) => boolean): Promise<Any> {
    return new Promise((done) => this.waiting.push({ test, done }));
  }
  event(name: string): Promise<Any> {
    return this.wait((message) => message.event === name);
  }
  request(command: string, args?: Any): Promise<Any> {
    const seq = this.seq++;
    const answer = this.wait((message) => message.type === "response" && message.request_seq === seq);
    this.worker.postMessage({ seq, type: "request", command, arguments: args });
    return answer;
  }
  async launch(attributes: Any): Promise<void> {
    await this.request("initialize", { adapterID: "ring1", supportsRing1ReadFile: true });
    const initialized = this.event("initialized");
    const { success, message } = await this.request("launch", attributes);
    assert.ok(success, message);
    await initialized;
    await this.request("configurationDone");
  }
}

describe("the engine in a worker thread", function () {
  this.timeout(20000);
  const files = new TemporaryFiles();
  after(() => files.remove());

  it("runs two sessions at once, each with its own guest", async () => {
    const [a, b] = [new Thread(), new Thread()];
    const ends = Promise.all([a.event("ring1/ended"), b.event("ring1/ended")]);
    await Promise.all([
      a.launch({ program: guest("hello") }),
      b.launch({ program: guest("hello"), cmdline: "second" }),
    ]);
    const [endA, endB] = await ends;
    assert.equal(endA.body.cause, "poweredOff");
    assert.equal(endB.body.cause, "poweredOff");
    assert.match(a.console, /command line {2}""/);
    assert.match(b.console, /command line {2}"second"/);
    await Promise.all([a.worker.terminate(), b.worker.terminate()]);
  });

  it("stays answerable while its guest spins, and ends when the client disconnects", async () => {
    const thread = new Thread();
    await thread.launch({ program: files.write("spin.elf", SPIN_INITIALISED) });
    await thread.wait((message) => message.event === "ring1/status" && message.body.state === "running");
    const started = performance.now();
    const { body } = await thread.request("ring1/status");
    assert.equal(body.state, "running");
    assert.ok(performance.now() - started < 500);
    const exited = new Promise((done) => thread.worker.on("exit", done));
    await thread.request("disconnect", {});
    assert.equal(await exited, 0);
  });

  it("does not send console output twice to our own extension", async () => {
    const thread = new Thread();
    const ended = thread.event("ring1/ended");
    await thread.launch({ program: guest("hello") });
    await ended;
    assert.ok(!thread.messages.some((message) => message.event === "output" && message.body.category === "stdout"));
    await thread.worker.terminate();
  });

  it("tells whoever started it when it crashes", async () => {
    // So little memory that loading a guest cannot succeed.
    const thread = new Thread({ resourceLimits: { maxOldGenerationSizeMb: 12, maxYoungGenerationSizeMb: 4 } });
    const failed = new Promise<Error>((done) => thread.worker.on("error", done));
    void thread.launch({ program: guest("hello") });
    assert.match((await failed).message, /memory/i);
  });
});
