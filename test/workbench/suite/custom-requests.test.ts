// Every custom request of the views, asked at one stop in the sample guest: each answer has the shape that its type
// promises and says what is true of that moment.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { after, before, describe, it } from "mocha";
import * as vscode from "vscode";
import { cleanUp, GuestRun, lineOf, sample } from "./guest-run";

describe("custom requests in VS Code", () => {
  let run: GuestRun;
  let line: number;

  before(async () => {
    const file = sample("hello", "main.c");
    line = await lineOf(file, "greet(&machine);");
    const location = new vscode.Location(vscode.Uri.file(file), new vscode.Position(line - 1, 0));
    vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(location)]);
    run = await GuestRun.start({ program: sample("hello", "hello.elf") });
    await run.untilStopped("breakpoint");
  });

  after(cleanUp);

  it("ring1/status says where the guest is", async () => {
    const status = await run.custom("ring1/status");
    assert.equal(status.state, "stopped");
    assert.equal(status.world, "guest");
    assert.equal(status.ring, 1);
    assert.equal(status.at?.symbol, "kernel_main");
    assert.equal(status.at?.line, line);
    assert.ok(status.instructionCount > 1000);
    assert.ok(status.lastSequence > 10);
  });

  it("ring1/registers has the groups in order, with what the guest believes", async () => {
    const { groups, ring, world } = await run.custom("ring1/registers");
    assert.deepEqual({ ring, world }, { ring: 1, world: "guest" });
    const ids = groups.map(({ id }) => id);
    for (const id of ["general", "flags", "segments", "believes", "control", "system"] as const) {
      assert.ok(ids.includes(id), `${id} among ${ids.join(", ")}`);
    }
    const rows = new Map(groups.flatMap((group) => group.rows).map((row) => [row.name, row]));
    assert.equal(rows.get("EIP")?.location?.symbol, "kernel_main");
    assert.equal((rows.get("CS")?.segment?.selector ?? 0) & 3, 1);
    assert.equal((rows.get("CR0")?.value ?? 0) >>> 31, 1, "paging is on");
  });

  it("ring1/setRegister checks, writes and refuses", async () => {
    const before = (await run.custom("ring1/registers")).groups[0]?.rows.find(({ name }) => name === "EBX")?.value ?? 0;
    const checked = await run.custom("ring1/setRegister", { name: "EBX", value: "0x1234 + 1", validateOnly: true });
    assert.equal(checked.value, 0x1235);
    assert.equal(await run.evaluate("$ebx == 0x1235").catch(() => "0"), before === 0x1235 ? "1" : "0");
    await run.custom("ring1/setRegister", { name: "EBX", value: "0x1234" });
    const { groups } = await run.custom("ring1/registers");
    assert.equal(groups[0]?.rows.find(({ name }) => name === "EBX")?.value, 0x1234);
    await run.custom("ring1/setRegister", { name: "EBX", value: String(before) });
    await assert.rejects(run.custom("ring1/setRegister", { name: "CS", value: "0xFFF8" }), /./);
    await assert.rejects(run.custom("ring1/setRegister", { name: "EBX", value: "no_such_symbol" }), /no_such_symbol/);
  });

  it("ring1/gdt has the guest's entries beside the processor's", async () => {
    const { entries, limit } = await run.custom("ring1/gdt");
    assert.equal(entries.length, (limit + 1) / 8);
    const tss = entries.find(({ state }) => state === "hostOnly");
    assert.ok(tss?.why, "an entry that is the host's own says why");
    const code = entries.find(({ cpu }) => cpu.kind === "code" && cpu.dpl === 1);
    assert.ok(code !== undefined, "ring 1 has code");
  });

  it("ring1/idt has 256 entries, each with what will happen and why", async () => {
    const { entries } = await run.custom("ring1/idt");
    assert.equal(entries.length, 256);
    assert.equal(entries[14]?.delivery, "host");
    assert.equal(entries[31]?.delivery, "hypercall");
    assert.ok(entries.every(({ why }) => why.length > 0));
    assert.ok((entries[31]?.count ?? 0) > 0);
  });

  it("ring1/pageTables covers the address space without gaps, and opens a region", async () => {
    const top = await run.custom("ring1/pageTables", {});
    let next = 0;
    for (const region of top.regions) {
      assert.equal(region.start, next);
      next = region.end + 1;
    }
    assert.equal(next, 2 ** 32);
    const mapped = top.regions.find(({ kind }) => kind === "mapped");
    assert.ok(mapped !== undefined);
    const opened = await run.custom("ring1/pageTables", { directory: { first: mapped.first, last: mapped.last } });
    assert.equal(opened.ranges[0]?.start, mapped.start);
    assert.equal(opened.ranges.at(-1)?.end, mapped.end);
  });

  it("ring1/translate walks both tables and says what each access would do", async () => {
    const answer = await run.custom("ring1/translate", { expression: "$eip" });
    assert.equal(answer.accesses.length, 6);
    const execute = answer.accesses.find(({ ring, access }) => ring === 1 && access === "execute");
    assert.equal(execute?.result, "allowed");
    assert.ok(answer.guestWalk.length > 0 && answer.shadowWalk.length > 0 && answer.why.length > 0);
    assert.notEqual(answer.hostPhysical, null);
    await assert.rejects(run.custom("ring1/translate", { expression: "1 +" }), /./);
  });

  it("ring1/trapLog pages, filters, counts and draws", async () => {
    const all = await run.custom("ring1/trapLog", { count: -10, withCounts: true, buckets: 20 });
    assert.equal(all.rows.length, 10);
    assert.equal(all.rows.at(-1)?.n, all.lastSequence);
    assert.ok((all.counts ?? []).length > 1);
    assert.ok(Object.values(all.histogram?.counts ?? {}).every((counts) => counts?.length === 20));
    const calls = await run.custom("ring1/trapLog", {
      filter: [{ key: "kind", kind: "hypercall" }],
      start: 0,
      count: 5,
    });
    assert.ok(calls.matching < all.total && calls.rows.length > 0);
    assert.ok(calls.rows.every(({ kind, hypercall }) => kind === "hypercall" && hypercall !== undefined));
    const init = await run.custom("ring1/trapLog", { filter: [{ key: "hypercall", name: "LGUEST_INIT" }], count: -5 });
    assert.equal(init.matching, 1);
  });

  it("ring1/trapDetails explains an entry", async () => {
    const { rows } = await run.custom("ring1/trapLog", { filter: [{ key: "hypercall", name: "*" }], count: -1 });
    const details = await run.custom("ring1/trapDetails", { n: rows[0]?.n ?? 0 });
    assert.equal(details.row.n, rows[0]?.n);
    assert.ok(details.why.length > 0);
    await assert.rejects(run.custom("ring1/trapDetails", { n: 10_000_000 }), /./);
  });

  it("ring1/trapLines names source lines that trapped", async () => {
    const { lines } = await run.custom("ring1/trapLines", { sinceSequence: 0 });
    assert.ok(lines.length > 0);
    assert.ok(lines.some(({ path }) => /\.(c|S|h)$/.test(basename(path))));
  });

  it("ring1/hypervisor says what the host is about to do", async () => {
    const state = await run.custom("ring1/hypervisor");
    assert.equal(state.initialised, true);
    assert.equal(state.abi, "2.6.32");
    assert.equal(state.ring.slots.length, 64);
    assert.ok(state.devices.some(({ name }) => name === "console"));
    assert.equal(state.slots.length, 4);
    assert.equal(state.dead, undefined);
  });

  it("ring1/setTrapBreakpoint sets, lists and removes", async () => {
    const set = await run.custom("ring1/setTrapBreakpoint", { vector: 3, enabled: true });
    assert.deepEqual(set.vectors, [3]);
    const both = await run.custom("ring1/setTrapBreakpoint", { hypercall: "SET_PTE", enabled: true });
    assert.deepEqual(
      both.hypercalls.map(({ name }) => name.replace(/^LHCALL_/, "")),
      ["SET_PTE"],
    );
    await run.custom("ring1/setTrapBreakpoint", { hypercall: "SET_PTE", enabled: false });
    await run.custom("ring1/setTrapBreakpoint", { vector: 3, enabled: false });
    assert.deepEqual(await run.custom("ring1/trapBreakpoints"), { vectors: [], hypercalls: [] });
    await assert.rejects(run.custom("ring1/setTrapBreakpoint", { hypercall: "NO_SUCH_CALL", enabled: true }), /./);
  });

  it("ring1/locate finds the symbol and the line of an expression", async () => {
    const location = await run.custom("ring1/locate", { expression: "kernel_main" });
    assert.equal(location.symbol, "kernel_main");
    assert.equal(basename(location.path ?? ""), "main.c");
  });

  it("evaluate knows registers, symbols and memory, and explains itself", async () => {
    assert.match(await run.evaluate("help"), /./);
    assert.match(await run.evaluate("machine.memory_size"), /67108864/);
    await assert.rejects(run.evaluate("no_such_thing"), /no_such_thing/);
  });
});
