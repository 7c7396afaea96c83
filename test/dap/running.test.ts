// Running and stopping at places: breakpoints of all kinds, steps, pause, restart, goto. On the sample guests.
import assert from "node:assert/strict";
import { after, describe, it } from "mocha";
import { lineOf } from "../debugger/harness";
import { Client, guest, source } from "./client";
import { COUNTER, SPIN_INITIALISED, TemporaryFiles } from "./small-guests";

const MAIN = source("hello/main.c");
const at = (text: string): number => lineOf(MAIN, text);
const breakAt = (lines: object[]) => (c: Client) =>
  c.request("setBreakpoints", { source: { path: MAIN }, breakpoints: lines });

describe("running under the debug adapter", function () {
  this.timeout(20000);
  const files = new TemporaryFiles();
  after(() => files.remove());

  it("runs the guest to its end and says why it ended", async () => {
    const c = new Client();
    const end = await c.launch("hello");
    assert.equal(end.cause, "poweredOff");
    assert.equal(end.exitStatus, 0);
    assert.match(c.console, /Hello from ring 1!/);
    assert.match(c.output, /Hello from ring 1!/);
    assert.deepEqual(
      c.events.filter(({ event }) => event === "exited" || event === "terminated").map(({ event }) => event),
      ["exited", "terminated"],
    );
  });

  it("stops at entry, before the guest's first instruction", async () => {
    const c = new Client();
    const stop = await c.launch("hello", { stopOnEntry: true });
    assert.equal(stop.reason, "entry");
    const top = await c.top();
    assert.equal(top.name, "start");
    assert.match(top.source!.path!, /start\.S$/);
    assert.equal((await c.request("ring1/status")).world, "guest");
    await c.end();
  });

  it("stops at a line of C, and again after continue", async () => {
    const c = new Client();
    const stop = await c.launch(
      "hello",
      {},
      breakAt([{ line: at("found->memory_size = boot") }, { line: at('printf("Hello') }]),
    );
    assert.equal(stop.reason, "breakpoint");
    assert.equal((await c.top()).line, at("found->memory_size = boot"));
    await c.go("continue");
    assert.equal((await c.top()).line, at('printf("Hello'));
    assert.equal((await c.go("continue")).cause, "poweredOff");
  });

  it("holds a breakpoint in code that runs before paging, at its load address", async () => {
    const c = new Client();
    const start = source("lib/start.S");
    const line = lineOf(start, "movl    $LHCALL_LGUEST_INIT, %eax");
    await c.launch("hello", {}, (client) =>
      client.request("setBreakpoints", { source: { path: start }, breakpoints: [{ line }] }),
    );
    const top = await c.top();
    assert.equal(top.line, line);
    assert.ok(Number(top.instructionPointerReference) < 0xc0000000);
    await c.end();
  });

  it("takes breakpoints before the program is loaded", async () => {
    const c = new Client();
    await c.request("initialize", { adapterID: "ring1" });
    const { breakpoints } = await breakAt([{ line: at("greet(&machine)") }])(c);
    assert.equal(breakpoints[0].verified, false);
    const changed = c.wait("breakpoint");
    const initialized = c.wait("initialized");
    await c.request("launch", { program: guest("hello") });
    assert.equal((await changed).breakpoint.verified, true);
    await initialized;
    const stopped = c.wait("stopped");
    await c.request("configurationDone");
    await stopped;
    assert.equal((await c.top()).line, at("greet(&machine)"));
    await c.end();
  });

  it("moves a breakpoint on a line without code to the next line that has some, and says so", async () => {
    const c = new Client();
    let answer: { breakpoints: { line: number; message: string }[] } | undefined;
    await c.launch("hello", {}, async (client) => {
      answer = await breakAt([{ line: at("static void look_around") - 1 }])(client);
    });
    assert.ok(answer!.breakpoints[0].line >= at("static void look_around"));
    assert.match(answer!.breakpoints[0].message, /has no code/);
  });

  it("stops at a function, and on a condition only when it holds", async () => {
    const c = new Client();
    const stop = await c.launch("hello", {}, (client) =>
      client.request("setFunctionBreakpoints", {
        breakpoints: [
          { name: "idt_set", condition: "0" },
          { name: "greet", condition: "found->reserved == 4 * 1024 * 1024" },
        ],
      }),
    );
    assert.equal(stop.reason, "function breakpoint");
    assert.equal((await c.top()).name, "greet");
    await c.end();
  });

  it("counts hits", async () => {
    const c = new Client();
    await c.launch("hello", {}, (client) =>
      client.request("setFunctionBreakpoints", { breakpoints: [{ name: "hcall", hitCondition: "7" }] }),
    );
    const { rows } = await c.request("ring1/trapLog", {
      filter: [{ key: "hypercall", name: "*" }],
      start: 0,
      count: 100,
    });
    assert.ok(rows.length >= 6);
    assert.match(await c.evaluate("eax"), /^0x/);
    await c.end();
  });

  it("writes a logpoint's text and does not stop", async () => {
    const c = new Client();
    const end = await c.launch(
      "hello",
      {},
      breakAt([
        { line: at('printf("Hello'), logMessage: "ring {cs & 3}, {found->memory_size >> 20} MiB, {found->nothing}" },
      ]),
    );
    assert.equal(end.cause, "poweredOff");
    assert.match(c.output, /ring 1, 64 MiB, \{found->nothing: const struct machine has no member "nothing"\.\}/);
  });

  it("refuses a condition that is no expression, at the breakpoint", async () => {
    const c = new Client();
    let answer: { breakpoints: { verified: boolean; message: string }[] } | undefined;
    await c.launch("hello", {}, async (client) => {
      answer = await breakAt([
        { line: at('printf("Hello'), condition: "found->" },
        { line: at("greet(&machine)"), hitCondition: "many" },
      ])(client);
    });
    assert.equal(answer!.breakpoints[0].verified, false);
    assert.match(answer!.breakpoints[0].message, /A name is missing/);
    assert.match(answer!.breakpoints[1].message, /no hit count/);
  });

  it("stops at an instruction, given as a linear or a guest-physical address", async () => {
    const c = new Client();
    await c.launch("hello", { stopOnEntry: true });
    const address = Number((await c.evaluate("&kernel_main")).match(/0x[\dA-F]+/)![0]);
    const { breakpoints } = await c.request("setInstructionBreakpoints", {
      breakpoints: [{ instructionReference: `gpa:0x${(address - 0xc0000000).toString(16)}` }],
    });
    assert.equal(breakpoints[0].verified, true);
    const stop = await c.go("continue");
    assert.equal(stop.reason, "instruction breakpoint");
    assert.equal((await c.top()).name, "kernel_main");
    await c.end();
  });

  it("steps over a call, into one, and out again", async () => {
    const c = new Client();
    await c.launch("hello", {}, breakAt([{ line: at("look_around(&machine);") }]));
    await c.go("next");
    assert.equal((await c.top()).line, at("greet(&machine);"));
    await c.go("stepIn");
    assert.equal((await c.top()).name, "greet");
    await c.go("stepOut");
    assert.equal((await c.top()).name, "kernel_main");
    await c.end();
  });

  it("steps by instruction as the guest: a hypercall is one step", async () => {
    const c = new Client();
    await c.launch("hello", {}, (client) =>
      client.request("setFunctionBreakpoints", { breakpoints: [{ name: "hcall" }] }),
    );
    for (let i = 0; i < 60; i++) {
      const pc = Number((await c.top()).instructionPointerReference);
      const code = await c.request("disassemble", { memoryReference: `0x${pc.toString(16)}`, instructionCount: 1 });
      const isHypercall = code.instructions[0].instruction.startsWith("int");
      await c.go("stepIn", { granularity: "instruction" });
      if (!isHypercall) continue;
      assert.equal(Number((await c.top()).instructionPointerReference), pc + 2);
      await c.end();
      return;
    }
    assert.fail("no hypercall was stepped");
  });

  it("steps by instruction as the machine: through the Switcher, which has symbols and a listing", async () => {
    const c = new Client();
    await c.launch("hello", { stepThrough: "machine" }, (client) =>
      client.request("setFunctionBreakpoints", { breakpoints: [{ name: "hcall" }] }),
    );
    for (let i = 0; i < 60; i++) {
      await c.go("stepIn", { granularity: "instruction" });
      const [frame] = await c.frames();
      if (Number(frame.instructionPointerReference) < 0xffc00000) continue;
      assert.equal(frame.source?.sourceReference, 1);
      assert.ok(frame.line > 0);
      const { content } = await c.request("source", { sourceReference: 1, source: frame.source });
      assert.match(content.split("\n")[frame.line - 1], new RegExp(frame.instructionPointerReference!.slice(2)));
      const frames = await c.frames();
      assert.ok(
        frames.some((f) => f.presentationHint === "label"),
        "a separator stands between Switcher and guest",
      );
      assert.equal((await c.request("ring1/status")).world, "switcher");
      await c.go("stepIn", { granularity: "instruction" });
      assert.equal((await c.request("ring1/status")).ring, 0);
      await c.go("stepOut");
      assert.equal((await c.request("ring1/status")).world, "guest");
      await c.end();
      return;
    }
    assert.fail("the Switcher was never reached");
  });

  it("steps over system calls and page faults of ring 3, and into the kernel when asked", async () => {
    const c = new Client();
    const user = source("paging/user.c");
    const first = lineOf(user, "check(heap[0] == 0 && heap[5 * 1024] == 0");
    await c.launch("paging", {}, (client) =>
      client.request("setBreakpoints", { source: { path: user }, breakpoints: [{ line: first }] }),
    );
    assert.equal((await c.request("ring1/status")).world, "user");
    for (let line = first + 1; line <= first + 3; line++) {
      assert.equal((await c.go("next")).reason, "step");
      assert.equal((await c.top()).line, line);
    }
    assert.equal((await c.request("ring1/status")).ring, 3);
    await c.request("setFunctionBreakpoints", { breakpoints: [{ name: "system_call" }] });
    await c.go("continue");
    for (let i = 0; i < 30 && (await c.request("ring1/status")).ring === 3; i++) {
      await c.go("stepIn", { granularity: "instruction" });
    }
    assert.equal((await c.request("ring1/status")).ring, 1);
    assert.ok((await c.frames()).some((frame) => /from ring 3, direct/.test(frame.name)));
    await c.go("stepOut");
    assert.equal((await c.request("ring1/status")).ring, 3);
    assert.equal((await c.top()).name, "system_call");
    await c.end();
  });

  it("pauses a guest that spins with interrupts off, within 50 ms", async () => {
    const program = files.write("spin.elf", SPIN_INITIALISED);
    const c = new Client();
    void c.launch("hello", { program });
    await c.wait("ring1/status", (status) => status.state === "running" && status.mips > 0);
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      await new Promise((done) => setTimeout(done, 60));
      const stopped = c.wait("stopped");
      const started = performance.now();
      await c.request("pause", { threadId: 1 });
      assert.equal((await stopped).reason, "pause");
      times.push(performance.now() - started);
      void c.request("continue", { threadId: 1 });
    }
    times.sort((a, b) => a - b);
    assert.ok(times[2] < 50, `pauses took ${times.map((t) => t.toFixed(0)).join(", ")} ms`);
    await c.end();
  });

  it("answers requests while the guest runs", async () => {
    const program = files.write("spin2.elf", SPIN_INITIALISED);
    const c = new Client();
    void c.launch("hello", { program });
    await c.wait("ring1/status", (status) => status.state === "running");
    const before = (await c.request("ring1/status")).instructionCount;
    await new Promise((done) => setTimeout(done, 50));
    assert.ok((await c.request("ring1/status")).instructionCount > before);
    assert.match(await c.refusal("stackTrace", { threadId: 1 }), /Pause it first/);
    await c.end();
  });

  it("stops when data changes, with the old and the new value", async () => {
    const c = new Client();
    await c.launch("hello", { program: files.write("counter.elf", COUNTER), stopOnEntry: true });
    const info = await c.request("dataBreakpointInfo", { name: "0x102100", asAddress: true, bytes: 4 });
    assert.equal(info.dataId, "0x00102100/4");
    await c.request("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
    const stop = await c.go("continue");
    assert.equal(stop.reason, "data breakpoint");
    assert.match(stop.text, /0x00000000 became 0x00000001/);
    assert.match((await c.go("continue")).text, /0x00000001 became 0x00000002/);
    await c.request("setDataBreakpoints", {
      breakpoints: [{ dataId: info.dataId, accessType: "write", hitCondition: "%10" }],
    });
    assert.match((await c.go("continue")).text, /became 0x0000000C/);
    await c.end();
  });

  it("restarts: the same stops come again", async () => {
    const c = new Client();
    await c.launch("hello", {}, breakAt([{ line: at("greet(&machine);") }]));
    const first = (await c.request("ring1/status")).instructionCount;
    await c.go("restart");
    assert.equal((await c.top()).line, at("greet(&machine);"));
    assert.equal((await c.request("ring1/status")).instructionCount, first);
    await c.end();
  });

  it("restarts a guest that runs, and one that has ended", async () => {
    const c = new Client();
    void c.launch("hello", { program: files.write("spin3.elf", SPIN_INITIALISED) });
    await c.wait("ring1/status", (status) => status.state === "running");
    await c.request("restart", {});
    await c.wait("ring1/status", (status) => status.state === "running");
    const stopped = c.wait("stopped");
    await c.request("pause", { threadId: 1 });
    assert.equal((await stopped).reason, "pause");
    const end = await c.go("restart", { arguments: { program: guest("hello") } });
    assert.equal(end.cause, "poweredOff");
    assert.equal((await c.go("restart")).cause, "poweredOff");
  });

  it("goes on at another line", async () => {
    const c = new Client();
    await c.launch("hello", {}, breakAt([{ line: at("look_around(&machine);") }]));
    const { targets } = await c.request("gotoTargets", { source: { path: MAIN }, line: at("power_off();") });
    const stop = await c.go("goto", { targetId: targets[0].id });
    assert.equal(stop.reason, "goto");
    assert.equal((await c.top()).line, at("power_off();"));
    assert.equal((await c.go("continue")).cause, "poweredOff");
    assert.doesNotMatch(c.console, /Hello from/);
  });

  it("lists the functions that a line calls, and steps into the chosen one", async () => {
    const c = new Client();
    await c.launch("hello", {}, breakAt([{ line: at("look_around(&machine);") }]));
    const { targets } = await c.request("stepInTargets", { frameId: (await c.top()).id });
    assert.equal(targets[0].label, "look_around");
    await c.go("stepIn", { targetId: targets[0].id });
    assert.equal((await c.top()).name, "look_around");
    await c.end();
  });

  it("ends the guest on terminate", async () => {
    const c = new Client();
    await c.launch("hello", { stopOnEntry: true });
    const ended = c.wait("terminated");
    await c.request("terminate", {});
    await ended;
    assert.match(await c.refusal("continue", { threadId: 1 }), /has ended/);
  });

  it("runs without stops when debugging is off", async () => {
    const c = new Client();
    const end = await c.launch(
      "hello",
      { noDebug: true, stopOnEntry: true, trapBreakpoints: ["hypercall"] },
      breakAt([{ line: at("greet(&machine);") }]),
    );
    assert.equal(end.cause, "poweredOff");
  });

  it("stops for good at the instruction limit", async () => {
    const c = new Client();
    const end = await c.launch("hello", { maxInstructions: 50000 });
    assert.equal(end.cause, "instructionLimit");
    assert.equal(end.exitStatus, 3);
    assert.equal(end.instructionCount, 50000);
  });

  it("talks with the guest over the console", async () => {
    const c = new Client();
    void c.launch("shell");
    const prompt = (text: RegExp) => c.wait("ring1/console", () => text.test(c.console));
    await prompt(/>\s*$/);
    const answered = prompt(/help[\s\S]*quit/);
    await c.request("ring1/console", { text: "help\r" });
    await answered;
    const ended = c.wait("ring1/ended");
    await c.request("ring1/console", { text: "quit\r" });
    assert.equal((await ended).cause, "poweredOff");
  });
});
