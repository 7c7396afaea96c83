// Stopping at what happens between guest and host, the trap log's requests, stacks across traps, and a guest's death.
import assert from "node:assert/strict";
import { after, describe, it } from "mocha";
import { Client } from "./client";
import { SPIN, TemporaryFiles, TOO_EARLY } from "./small-guests";

const filters =
  (...filterOptions: { filterId: string; condition?: string }[]) =>
  (c: Client) =>
    c.request("setExceptionBreakpoints", { filters: [], filterOptions });

describe("traps under the debug adapter", function () {
  this.timeout(20000);
  const files = new TemporaryFiles();
  after(() => files.remove());

  it("offers a filter for each kind of trap, with a condition, and stops before a kill by default", async () => {
    const c = new Client();
    const body = await c.request("initialize", { adapterID: "ring1" });
    const all = body.exceptionBreakpointFilters as { filter: string; default: boolean; supportsCondition: boolean }[];
    for (const filter of [
      "kill",
      "exceptions",
      "vector:14",
      "vector:13",
      "hypercall",
      "interrupt",
      "exit",
      "worldSwitch",
      "syscall",
    ]) {
      assert.ok(
        all.some((f) => f.filter === filter && f.supportsCondition),
        filter,
      );
    }
    assert.deepEqual(
      all.filter((f) => f.default).map((f) => f.filter),
      ["kill"],
    );
  });

  it("stops at an exception that reaches the guest, at the instruction that raised it", async () => {
    const c = new Client();
    const stop = await c.launch("hello", {}, filters({ filterId: "vector:3" }));
    assert.equal(stop.reason, "exception");
    assert.match(stop.description, /#BP/);
    assert.match(
      stop.text,
      /#BP \(breakpoint \(INT 3\)\) in the guest kernel at .*kernel_main.*the host will pass it to the guest's handler/,
    );
    const frames = await c.frames();
    assert.equal(frames[0].presentationHint, "subtle");
    assert.ok(frames.some((frame) => frame.presentationHint === "label" && /#BP from ring 1/.test(frame.name)));
    assert.equal((await c.top()).name, "kernel_main");
    const info = await c.request("exceptionInfo", { threadId: 1 });
    assert.equal(info.exceptionId, "#BP");
    assert.equal((await c.go("continue")).cause, "poweredOff");
  });

  it("does not stop at page faults that the host takes away, when only the guest's are wanted", async () => {
    const c = new Client();
    const end = await c.launch("hello", {}, filters({ filterId: "vector:14" }));
    assert.equal(end.cause, "poweredOff");
  });

  it("stops at page faults of the guest by address, and steps into the handler", async () => {
    const c = new Client();
    const stop = await c.launch(
      "traps",
      {},
      filters({ filterId: "exceptions", condition: "vector == 14 && cr2 >= 0xfb000000 && error & 2" }),
    );
    assert.match(stop.text, /#PF .*address FB00[01]000, write by kernel/);
    assert.match((await c.top()).name, /write_(absent|read_only)/);
    await c.go("stepIn", { granularity: "instruction" });
    const top = await c.top();
    assert.match(top.name, /trap_stub_14|trap_entry/);
    const label = (await c.frames()).find((frame) => frame.presentationHint === "label");
    assert.match(label!.name, /trap 14 \(#PF\) from ring 1/);
    assert.ok((await c.frames()).some((frame) => /write_(absent|read_only)/.test(frame.name)));
    await c.end();
  });

  it("stops at a hypercall by name and argument", async () => {
    const c = new Client();
    const stop = await c.launch(
      "hello",
      {},
      filters({ filterId: "hypercall", condition: "hypercall == LHCALL_LOAD_IDT_ENTRY && arg1 == 14" }),
    );
    assert.match(stop.text, /Hypercall LOAD_IDT_ENTRY\(0000000E, /);
    const { rows } = await c.request("ring1/trapLog", { count: -1 });
    assert.equal(rows[0].name, "LOAD_IDT_ENTRY");
    assert.equal(rows[0].outcome, null);
    const details = await c.request("ring1/trapDetails", { n: rows[0].n });
    assert.equal(details.arguments[0].name, "vector");
    assert.equal(details.arguments[0].meaning, "#PF");
    assert.equal(details.registers.find((r: { name: string }) => r.name === "eax").value, 6);
    await c.end();
  });

  it("says at the filter what is wrong with its condition", async () => {
    const c = new Client();
    await c.request("initialize", { adapterID: "ring1" });
    const { breakpoints } = await filters({ filterId: "hypercall", condition: "arg1 ==" }, { filterId: "nonsense" })(c);
    assert.match(breakpoints[0].message, /An expression is missing/);
    assert.match(breakpoints[1].message, /no filter "nonsense"/);
  });

  it("stops at every exit, at injected interrupts and at world switches", async () => {
    const c = new Client();
    const stop = await c.launch("hello", {}, filters({ filterId: "exit" }));
    assert.equal(stop.reason, "exception");
    await filters({ filterId: "worldSwitch" })(c);
    await c.go("continue");
    const second = await c.go("continue");
    assert.ok(second.reason === "exception");
    await c.end();
    const tasks = new Client();
    const interrupt = await tasks.launch("tasks", {}, filters({ filterId: "interrupt" }));
    assert.match(interrupt.text, /about to deliver IRQ 0/);
    await tasks.end();
  });

  it("breaks on vectors and hypercalls of launch.json and of the views", async () => {
    const c = new Client();
    const stop = await c.launch("hello", { trapBreakpoints: ["#BP", "SET_STACK"] });
    assert.match(stop.text, /SET_STACK/);
    const sets = await c.request("ring1/setTrapBreakpoint", { hypercall: "LHCALL_SET_STACK", enabled: false });
    assert.deepEqual(sets, { vectors: [3], hypercalls: [] });
    const idt = await c.request("ring1/idt");
    assert.equal(idt.entries[3].breaks, true);
    assert.match((await c.go("continue")).text, /#BP/);
    assert.match(await c.refusal("ring1/setTrapBreakpoint", { vector: 300, enabled: true }), /vectors are 0 to 255/);
    await c.end();
  });

  it("shows the stack from the host through the guest kernel to ring 3", async () => {
    const c = new Client();
    const stop = await c.launch("paging", {}, (client) =>
      client.request("setFunctionBreakpoints", {
        breakpoints: [{ name: "trap_dispatch", condition: "frame->vector == 0x80" }],
      }),
    );
    assert.equal(stop.reason, "function breakpoint");
    const names = (await c.frames()).map((frame) =>
      frame.presentationHint === "label" ? `-- ${frame.name}` : frame.name,
    );
    const separator = names.findIndex((name) => /^-- .*from ring 3/.test(name));
    assert.ok(separator > 0, names.join("\n"));
    assert.match(names[separator], /int 0x80|128|trap/);
    assert.ok(
      names.slice(separator + 1).some((name) => name === "system_call"),
      names.join("\n"),
    );
    const user = (await c.frames())[separator + 1];
    const scopes = (await c.request("scopes", { frameId: user.id })).scopes as {
      name: string;
      variablesReference: number;
    }[];
    const args = scopes.find((scope) => scope.name === "Arguments");
    assert.ok(args, "ring 3's arguments are there");
    const { variables } = await c.request("variables", { variablesReference: args.variablesReference });
    assert.equal(variables[0].name, "number");
    await c.end();
  });

  it("stops before the guest is killed, with its state alive, and then lets it die with the reason", async () => {
    const c = new Client();
    const killed = c.wait("ring1/killed");
    const stop = await c.launch("hello", { program: files.write("early.elf", TOO_EARLY) });
    assert.equal(stop.reason, "exception");
    assert.match(stop.text, /about to kill the guest: hypercall 5 before INIT/);
    assert.equal((await killed).stopped, true);
    assert.equal(await c.evaluate("eax"), "0x00000005");
    const end = await c.go("continue");
    assert.equal(end.cause, "killed");
    assert.equal(end.exitStatus, 1);
    assert.match(end.reason, /hypercall 5 before INIT/);
  });

  it("kills without a stop when that filter is off, and tells it all the same", async () => {
    const c = new Client();
    const killed = c.wait("ring1/killed");
    const end = await c.launch("hello", { program: files.write("early2.elf", TOO_EARLY) }, filters());
    assert.equal(end.cause, "killed");
    assert.equal((await killed).stopped, false);
    // The dead guest can still be looked at.
    const { rows } = await c.request("ring1/trapLog", { count: -5 });
    assert.ok(rows.some((row: { kind: string }) => row.kind === "kill"));
    assert.match((await c.request("ring1/hypervisor")).dead, /before INIT/);
  });

  it("pages, filters and counts the trap log", async () => {
    const c = new Client();
    await c.launch("hello");
    const all = await c.request("ring1/trapLog", { start: 1, count: 10, withCounts: true, buckets: 8 });
    assert.equal(all.rows.length, 10);
    assert.equal(all.rows[0].n, 1);
    assert.ok(
      all.counts.some((count: { name: string; count: number }) => count.name === "LOAD_IDT_ENTRY" && count.count > 10),
    );
    assert.equal(all.histogram.counts.hypercall.length, 8);
    const faults = await c.request("ring1/trapLog", { filter: [{ key: "vector", from: 14, to: 14 }], count: -3 });
    assert.ok(faults.rows.every((row: { name: string; cr2: number }) => row.name === "#PF" && row.cr2 > 0));
    assert.equal(faults.rows[0].ordinal + 2, faults.rows[2].ordinal);
    assert.ok(faults.rows.every((row: { cost: number }) => row.cost > 0));
    const lines = await c.request("ring1/trapLines", { sinceSequence: 0 });
    assert.ok(lines.lines.some((line: { path: string }) => line.path.endsWith("main.c")));
    assert.match(await c.refusal("ring1/trapDetails", { n: 999999 }), /no entry 999999/);
  });

  it("survives a guest that spins before LGUEST_INIT", async () => {
    const c = new Client();
    void c.launch("hello", { program: files.write("spin.elf", SPIN) });
    await c.wait("ring1/status", (status) => status.state === "running");
    const stopped = c.wait("stopped");
    await c.request("pause", { threadId: 1 });
    await stopped;
    assert.equal((await c.request("ring1/hypervisor")).initialised, false);
    assert.equal(await c.evaluate("eip"), "0x00100000");
    await c.end();
  });
});
