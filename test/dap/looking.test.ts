// Looking at a stopped guest: variables, registers, expressions, memory, disassembly, tables, and changing them.
import assert from "node:assert/strict";
import { before, describe, it } from "mocha";
import { lineOf } from "../debugger/harness";
import { Client, source } from "./client";

const MAIN = source("hello/main.c");

describe("looking at a stopped guest", function () {
  this.timeout(20000);
  const c = new Client();
  let frameId = 0;

  before(async () => {
    await c.launch("hello", {}, (client) =>
      client.request("setBreakpoints", {
        source: { path: MAIN },
        breakpoints: [{ line: lineOf(MAIN, 'printf("Hello') }],
      }),
    );
    frameId = (await c.top()).id;
  });

  const scopes = async (): Promise<{ name: string; variablesReference: number }[]> =>
    (await c.request("scopes", { frameId })).scopes;
  const scope = async (name: string): Promise<number> =>
    (await scopes()).find((s) => s.name === name)!.variablesReference;
  const children = async (
    variablesReference: number,
    more = {},
  ): Promise<{ name: string; value: string; variablesReference: number; evaluateName?: string; type?: string }[]> =>
    (await c.request("variables", { variablesReference, ...more })).variables;
  const evaluate = async (expression: string, context = "watch", more = {}): Promise<string> =>
    (await c.request("evaluate", { expression, context, frameId, ...more })).result;

  it("has the scopes of the guide: arguments, locals, globals, and registers in groups", async () => {
    assert.deepEqual(
      (await scopes()).map((s) => s.name),
      ["Arguments", "Locals", "Globals", "Registers", "Segments", "Flags", "Control", "Debug", "System", "lguest"],
    );
  });

  it("opens structures with their C types", async () => {
    const [found] = await children(await scope("Arguments"));
    assert.equal(found.name, "found");
    assert.equal(found.type, "const struct machine *");
    const members = await children(found.variablesReference);
    assert.deepEqual(
      members.map((m) => m.name),
      ["memory_size", "reserved", "tsc_khz", "command_line", "abi"],
    );
    assert.equal(members[0].value, "67108864");
    assert.equal(members[0].evaluateName, "found->memory_size");
    assert.match(members[4].value, /"2\.6\.32"$/);
  });

  it("evaluates C expressions", async () => {
    assert.equal(await evaluate("found->memory_size / 1024 / 1024"), "64");
    assert.equal(await evaluate("found->memory_size,x"), "0x04000000");
    assert.equal(await evaluate("&machine == found"), "1");
    assert.equal(await evaluate("main.c::machine.reserved"), "4194304");
    assert.equal(await evaluate("sizeof(struct machine)"), "20");
    assert.equal(await evaluate("$cs & 3"), "0x00000001");
    assert.equal(await evaluate("*(unsigned short *)&machine.memory_size"), "0");
    assert.match(await evaluate("((struct machine *)0xC0105000)->abi"), /"2\.6\.32"/);
    assert.match(await evaluate("found->abi[0]"), /50 '2'/);
    assert.match(await evaluate("greet"), /<greet>/);
    assert.equal(await evaluate("found->memory_size > 1 ? 10 : 20"), "10");
    assert.equal(await evaluate("0xffffffff + 1"), "0x00000000");
  });

  it("answers a mistake in an expression with where and what", async () => {
    const refusal = (expression: string) => c.refusal("evaluate", { expression, frameId, context: "watch" });
    assert.match(await refusal("found->"), /A name is missing \(at character 8\)/);
    assert.match(await refusal("foundd"), /no symbol or register "foundd"; did you mean found/);
    assert.match(await refusal("found->nothing"), /has no member "nothing"/);
    assert.match(await refusal("*(int *)0"), /cannot be read/i);
    assert.match(await refusal("1 / 0"), /Division by zero/);
    assert.match(await refusal("greet()"), /cannot be called/);
    assert.match(await refusal("(struct nothing *)0"), /no type "struct nothing"/);
    assert.match(await refusal("a".repeat(10) + "("), /cannot be called/);
    assert.match(await refusal("(".repeat(500)), /nested too deeply|missing/);
  });

  it("changes variables, members and registers, and refuses what they cannot hold", async () => {
    const locals = await scope("Locals");
    await c.request("setVariable", { variablesReference: locals, name: "cs", value: "0x42" });
    assert.equal(await evaluate("cs"), "66");
    assert.match(
      await c.refusal("setVariable", { variablesReference: locals, name: "cs", value: "0x12345" }),
      /does not fit|too large|65535|out of range/i,
    );
    assert.match(
      await c.refusal("setVariable", { variablesReference: locals, name: "nobody", value: "1" }),
      /nothing called "nobody"/,
    );
    await c.request("setExpression", { expression: "machine.tsc_khz", value: "1 + 2", frameId });
    assert.equal(await evaluate("machine.tsc_khz"), "3");
    const registers = await scope("Registers");
    const old = await evaluate("$esi");
    await c.request("setVariable", { variablesReference: registers, name: "ESI", value: "kernel_main" });
    assert.match(await evaluate("$esi == &kernel_main"), /^1$/);
    await c.request("setVariable", { variablesReference: registers, name: "ESI", value: old });
    const flags = await scope("Flags");
    const [eflags] = await children(flags);
    const before = await evaluate("$eflags & 0x40");
    await c.request("setVariable", {
      variablesReference: eflags.variablesReference,
      name: "ZF",
      value: before === "0x00000000" ? "1" : "0",
    });
    assert.notEqual(await evaluate("$eflags & 0x40"), before);
    assert.match(
      await c.refusal("setVariable", { variablesReference: eflags.variablesReference, name: "IF", value: "0" }),
      /real IF is the host's/,
    );
    assert.match(
      await c.refusal("setVariable", { variablesReference: await scope("Control"), name: "CR3", value: "0" }),
      /cannot be changed/,
    );
    assert.match(
      await c.refusal("setVariable", { variablesReference: await scope("Segments"), name: "FS", value: "0x1f8" }),
      /limit|beyond/,
    );
    assert.match(
      await c.refusal("setVariable", { variablesReference: await scope("Segments"), name: "CS", value: "0x73" }),
      /must stay at ring 1/,
    );
    assert.match(
      await c.refusal("setVariable", { variablesReference: await scope("lguest"), name: "irq_enabled", value: "1" }),
      /0 \(off\) or 0x200/,
    );
  });

  it("does not change anything by hovering", async () => {
    assert.match(
      await c.refusal("evaluate", { expression: "machine.tsc_khz = 99", frameId, context: "hover" }),
      /does not make it/,
    );
    assert.notEqual(await evaluate("machine.tsc_khz"), "99");
  });

  it("explains itself in the console, and has gdb's commands", async () => {
    assert.match(await evaluate("help", "repl"), /Anything in C is evaluated/);
    assert.match(await evaluate("x/4xw &machine", "repl"), /^C0105000 <machine>: 04000000 00400000/);
    assert.match(await evaluate("x/2i greet", "repl"), /greet\s+push %ebp/);
    assert.match(await evaluate("x/s found->abi", "repl"), /"2\.6\.32"/);
    assert.match(await evaluate("x/1xw gpa:0x105000", "repl"), /04000000/);
    assert.match(await evaluate("info gdt", "repl"), /kernel code/);
    assert.match(await evaluate("info idt", "repl"), /#PF/);
    assert.match(await evaluate("info registers eip", "repl"), /greet/);
    assert.match(await evaluate("info traps vector:14", "repl"), /demand-paged/);
    assert.match(await evaluate("info page &machine", "repl"), /guest-physical 00105000/);
    assert.match(await evaluate("ptype struct machine", "repl"), /command_line/);
    assert.match(await evaluate("bt", "repl"), /#1 {2}kernel_main/);
    assert.match(
      await c.refusal("evaluate", { expression: "info nonsense", context: "repl", frameId }),
      /Write info registers/,
    );
    assert.match(await c.refusal("evaluate", { expression: "x/zz 1", context: "repl", frameId }), /Write x\/16xw/);
  });

  it("completes names, members, registers and commands", async () => {
    const complete = async (text: string): Promise<string[]> =>
      (await c.request("completions", { text, column: text.length + 1, frameId })).targets.map(
        (t: { label: string }) => t.label,
      );
    assert.ok((await complete("found->mem")).includes("memory_size"));
    assert.ok((await complete("kernel_m")).includes("kernel_main"));
    assert.ok((await complete("$e")).includes("eax"));
    assert.ok((await complete("he")).includes("help"));
  });

  it("disassembles with symbols and lines, backwards too, and gives the exact count", async () => {
    const address = (await c.frames())[0].instructionPointerReference!;
    const { instructions } = await c.request("disassemble", {
      memoryReference: address,
      instructionOffset: -8,
      instructionCount: 24,
      resolveSymbols: true,
    });
    assert.equal(instructions.length, 24);
    assert.equal(instructions[8].address, address);
    assert.match(instructions[8].location.path, /main\.c$/);
    assert.ok(instructions.some((i: { instruction: string }) => /call 0x\w+ <printf>/.test(i.instruction)));
    const nothing = await c.request("disassemble", {
      memoryReference: "0x00000000",
      instructionOffset: -2,
      instructionCount: 10,
    });
    assert.equal(nothing.instructions.length, 10);
    assert.ok(nothing.instructions.every((i: { presentationHint: string }) => i.presentationHint === "invalid"));
  });

  it("reads and writes memory in three spaces, holes included", async () => {
    const linear = await c.request("readMemory", { memoryReference: "0xC0105000", count: 4 });
    assert.equal(linear.data, "AAAABA==");
    const guest = await c.request("readMemory", { memoryReference: "gpa:0x00105000", count: 4 });
    assert.equal(guest.data, linear.data);
    assert.equal(guest.address, "gpa:0x00105000");
    const walk = await c.request("ring1/translate", { expression: "&machine" });
    const host = await c.request("readMemory", {
      memoryReference: `hpa:0x${walk.hostPhysical.toString(16)}`,
      count: 4,
    });
    assert.equal(host.data, linear.data);
    const hole = await c.request("readMemory", { memoryReference: "0x00000000", count: 8192 });
    assert.equal(hole.data, undefined);
    assert.equal(hole.unreadableBytes, 8192);
    assert.equal((await c.request("writeMemory", { memoryReference: "0xC0105008", data: "KgAAAA==" })).bytesWritten, 4);
    assert.equal(await evaluate("machine.tsc_khz"), "42");
    assert.match(
      await c.refusal("writeMemory", { memoryReference: "0x00000000", data: "KgAAAA==" }),
      /nothing is mapped there/,
    );
    assert.match(await c.refusal("readMemory", { memoryReference: "somewhere", count: 4 }), /must be an address/);
  });

  it("gives registers for the view, and changes them with the reason for a refusal", async () => {
    const body = await c.request("ring1/registers");
    assert.equal(body.world, "guest");
    assert.equal(body.ring, 1);
    assert.deepEqual(
      body.groups.map((g: { id: string }) => g.id),
      ["general", "flags", "segments", "believes", "control", "system", "debug", "msr"],
    );
    const row = (name: string) =>
      body.groups.flatMap((g: { rows: { name: string }[] }) => g.rows).find((r: { name: string }) => r.name === name);
    assert.equal(row("EIP").location.symbol, "greet");
    assert.equal(row("CS").segment.hidden.kind, "code");
    assert.equal(row("CR0").fields[0].name, "PG");
    assert.match(row("irq_enabled").meaning, /Interrupts are off for the guest/);
    assert.equal((await c.request("ring1/setRegister", { name: "EDX", value: "3 * 4" })).value, 12);
    assert.equal((await c.request("ring1/setRegister", { name: "EDX", value: "7", validateOnly: true })).value, 7);
    assert.equal(await evaluate("$edx"), "0x0000000C");
    assert.match(await c.refusal("ring1/setRegister", { name: "EFLAGS", value: "0" }), /bit 1 is always set/);
    assert.match(await c.refusal("ring1/setRegister", { name: "XYZ", value: "0" }), /nothing called "XYZ"/);
  });

  it("gives GDT and IDT on both sides", async () => {
    const gdt = await c.request("ring1/gdt");
    assert.equal(gdt.entries.length, 32);
    assert.equal(gdt.entries[12].cpu.kind, "code");
    assert.deepEqual(gdt.entries[12].usedBy, ["CS"]);
    assert.equal(gdt.entries[16].state, "hostOnly");
    const idt = await c.request("ring1/idt");
    assert.equal(idt.entries.length, 256);
    assert.equal(idt.entries[14].delivery, "host");
    assert.match(idt.entries[14].guest.target.symbol, /trap_stub_14/);
    assert.ok(idt.entries[14].count > 10);
    assert.equal(idt.entries[31].delivery, "hypercall");
  });

  it("gives page tables, guest beside shadow, without gaps", async () => {
    const top = await c.request("ring1/pageTables", {});
    let next = 0;
    for (const region of top.regions) {
      assert.equal(region.start, next);
      next = region.end + 1;
    }
    assert.equal(next, 2 ** 32);
    const kernel = top.regions.find((r: { start: number; kind: string }) => r.start === 0xc0000000);
    assert.equal(kernel.kind, "mapped");
    assert.ok(kernel.guestPages >= kernel.shadowPages && kernel.shadowPages > 0);
    assert.equal(top.regions.at(-1).kind, "switcher");
    const opened = await c.request("ring1/pageTables", { directory: { first: 768, last: 768 } });
    let at = 0xc0000000;
    for (const range of opened.ranges) {
      assert.equal(range.start, at);
      at = range.end + 1;
    }
    assert.ok(opened.ranges.some((r: { state: string }) => r.state === "notFilled"));
    assert.ok(opened.ranges.some((r: { state: string }) => r.state === "same"));
    assert.match(await c.refusal("ring1/pageTables", { slot: 9 }), /no shadow slot 9/);
    assert.match(await c.refusal("ring1/pageTables", { directory: { first: 5, last: 4000 } }), /entries 0 to 1023/);
  });

  it("walks an address and says what each access would do", async () => {
    const walk = await c.request("ring1/translate", { expression: "&machine" });
    assert.equal(walk.linear.symbol, "machine");
    assert.equal(walk.guestPhysical, 0x105000);
    assert.equal(walk.guestWalk.length, 2);
    assert.equal(walk.accesses.length, 6);
    assert.equal(walk.accesses[0].result, "allowed");
    assert.equal(walk.accesses.find((a: { ring: number }) => a.ring === 3).result, "faults");
    const nothing = await c.request("ring1/translate", { expression: "0" });
    assert.equal(nothing.guestPhysical, null);
    assert.match(nothing.why, /not mapped by the guest/);
    const switcher = await c.request("ring1/translate", { expression: "0xffc00000" });
    assert.match(switcher.why, /belongs to the Switcher/);
  });

  it("gives the hypervisor's state, modules, sources and places", async () => {
    const state = await c.request("ring1/hypervisor");
    assert.equal(state.initialised, true);
    assert.equal(state.kernelAddress, 0xc0000000);
    assert.equal(state.ring.slots.length, 64);
    assert.ok(state.devices.some((d: { name: string }) => d.name === "console"));
    assert.ok(state.lastExit);
    const { modules } = await c.request("modules", {});
    assert.equal(modules[0].name, "hello.elf");
    assert.match(modules[0].symbolStatus, /DWARF/);
    const { sources } = await c.request("loadedSources", {});
    assert.ok(sources.some((s: { path?: string }) => s.path === MAIN));
    const place = await c.request("ring1/locate", { expression: "kernel_main + 1" });
    assert.equal(place.symbol, "kernel_main");
    const { breakpoints } = await c.request("breakpointLocations", { source: { path: MAIN }, line: 1, endLine: 200 });
    assert.ok(breakpoints.length > 10);
  });

  it("watches a variable that is in memory, and says when one is not", async () => {
    const globals = await scope("Globals");
    const info = await c.request("dataBreakpointInfo", { variablesReference: globals, name: "breakpoints_seen" });
    assert.match(info.dataId, /^0xC0105014\/4$/);
    const registers = await scope("Registers");
    assert.equal((await c.request("dataBreakpointInfo", { variablesReference: registers, name: "EAX" })).dataId, null);
    await c.request("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
    const stop = await c.go("continue");
    assert.equal(stop.reason, "data breakpoint");
    assert.match(stop.text, /became 0x00000001/);
    assert.equal((await c.top()).name, "on_breakpoint");
    assert.match(await c.refusal("scopes", { frameId }), /has moved on/);
    assert.match(await c.refusal("variables", { variablesReference: globals }), /has moved on/);
  });
});
