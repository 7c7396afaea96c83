// The sample guest under the debugger: entry, breakpoints, steps, stacks, variables, console, end.
import assert from "node:assert/strict";
import { basename } from "node:path";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { afterEach, describe, it } from "mocha";
import * as vscode from "vscode";
import { cleanUp, GuestRun, lineOf, sample } from "./guest-run";

const HELLO = (): string => sample("hello", "hello.elf");
const MAIN = (): string => sample("hello", "main.c");

/** Sets a breakpoint on the line of main.c that has `text`, and returns the line. */
async function breakAt(text: string, file = MAIN()): Promise<number> {
  const line = await lineOf(file, text);
  const location = new vscode.Location(vscode.Uri.file(file), new vscode.Position(line - 1, 0));
  vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(location)]);
  return line;
}

describe("debugging a guest in VS Code", () => {
  afterEach(cleanUp);

  it("stops at the entry, in the guest's assembly source", async () => {
    const run = await GuestRun.start({ program: HELLO(), stopOnEntry: true });
    await run.untilStopped("entry");
    const top = await run.top();
    assert.equal(basename(top.source?.path ?? ""), "start.S");
    // VS Code's server turns paths into addresses of its own kind.
    const path = vscode.Uri.parse(top.source?.path ?? "").path;
    assert.equal(path, sample("lib", "start.S"));
  });

  it("stops at a breakpoint in C, and shows the stack and the locals", async () => {
    const line = await breakAt("found->reserved =");
    const run = await GuestRun.start({ program: HELLO() });
    await run.untilStopped("breakpoint");
    const frames = await run.frames();
    assert.equal(frames[0]?.line, line);
    assert.match(frames[0]?.name ?? "", /look_around/);
    assert.match(frames[1]?.name ?? "", /kernel_main/);
    const locals = await run.variables(/argument|local/i);
    const found = locals.get("found");
    assert.ok(found !== undefined && found.variablesReference > 0, "`found` is a pointer that opens");
    assert.match(found.type ?? "", /struct machine \*/);
    assert.equal(await run.evaluate("found->memory_size >> 20"), "64");
  });

  it("stops in the editor of VS Code, with the frame selected", async () => {
    const line = await breakAt("look_around(&machine);");
    const stopped = new Promise<void>((done) => {
      const listener = vscode.debug.onDidChangeActiveStackItem((item) => {
        if (item !== undefined && "frameId" in item) {
          listener.dispose();
          done();
        }
      });
    });
    await GuestRun.start({ program: HELLO() });
    await stopped;
    const editor = vscode.window.activeTextEditor;
    assert.equal(basename(editor?.document.uri.fsPath ?? ""), "main.c");
    assert.equal((editor?.selection.active.line ?? -1) + 1, line);
  });

  it("steps over, in and out by line", async () => {
    const line = await breakAt("look_around(&machine);");
    const run = await GuestRun.start({ program: HELLO() });
    await run.untilStopped("breakpoint");
    await run.go("stepIn");
    await run.untilStopped("step");
    assert.match((await run.top()).name, /look_around/);
    await run.go("stepOut");
    await run.untilStopped("step");
    assert.match((await run.top()).name, /kernel_main/);
    await run.go("next");
    await run.untilStopped("step");
    const top = await run.top();
    assert.match(top.name, /kernel_main/);
    assert.ok(top.line > line, `line ${top.line} is after line ${line}`);
  });

  it("steps by instruction", async () => {
    await breakAt("look_around(&machine);");
    const run = await GuestRun.start({ program: HELLO() });
    await run.untilStopped("breakpoint");
    const before = (await run.custom("ring1/status")).instructionCount;
    await run.go("next", { granularity: "instruction" });
    await run.untilStopped("step");
    assert.equal((await run.custom("ring1/status")).instructionCount, before + 1);
  });

  it("steps over a trap as the guest: the hypervisor is atomic", async () => {
    await breakAt('__asm__ volatile("int3")');
    const run = await GuestRun.start({ program: HELLO() });
    await run.untilStopped("breakpoint");
    await run.go("next", { granularity: "instruction" });
    await run.untilStopped("step");
    assert.equal((await run.custom("ring1/status")).world, "guest");
  });

  it("steps into the Switcher as the machine, with its symbols", async () => {
    await breakAt('__asm__ volatile("int3")');
    const run = await GuestRun.start({ program: HELLO(), stepThrough: "machine" });
    await run.untilStopped("breakpoint");
    await run.go("stepIn", { granularity: "instruction" });
    await run.untilStopped("step");
    const { at, world, ring } = await run.custom("ring1/status");
    assert.deepEqual({ world, ring }, { world: "switcher", ring: 0 });
    assert.match(at?.symbol ?? "", /\w/);
    assert.ok(
      (await run.frames()).some(({ name }) => /kernel_main/.test(name)),
      "the guest's frames are below",
    );
  });

  it("writes the guest's console, and ends when the guest powers off", async () => {
    const run = await GuestRun.start({ program: HELLO(), cmdline: "said=so" });
    const ended = await run.untilEnded();
    assert.equal(ended.cause, "poweredOff");
    assert.equal(ended.exitStatus, 0);
    assert.match(run.consoleText(), /hello: early console/);
    assert.match(run.consoleText(), /Hello from ring 1!/);
    assert.match(run.consoleText(), /said=so/);
  });

  it("has a terminal for the guest, named after its image", async () => {
    const run = await GuestRun.start({ program: HELLO(), stopOnEntry: true });
    await run.untilStopped("entry");
    const names = vscode.window.terminals.map(({ name }) => name);
    assert.ok(
      names.some((name) => name.includes("hello")),
      names.join(", "),
    );
  });

  it("runs without stopping when it is started without debugging", async () => {
    await breakAt("look_around(&machine);");
    const run = await GuestRun.start({ program: HELLO() }, { noDebug: true });
    assert.equal((await run.untilEnded()).cause, "poweredOff");
  });

  it("restarts from the beginning", async () => {
    await breakAt("greet(&machine);");
    const run = await GuestRun.start({ program: HELLO() });
    await run.untilStopped("breakpoint");
    const first = (await run.custom("ring1/status")).instructionCount;
    await run.dap("restart", {});
    await run.untilStopped("breakpoint");
    assert.equal(
      (await run.custom("ring1/status")).instructionCount,
      first,
      "the same run, instruction for instruction",
    );
  });

  it("keeps two sessions apart", async () => {
    const first = await GuestRun.start({ program: HELLO(), stopOnEntry: true });
    await first.untilStopped("entry");
    const second = await GuestRun.start({ program: HELLO(), cmdline: "the=second" });
    assert.equal((await second.untilEnded()).cause, "poweredOff");
    assert.equal((await first.custom("ring1/status")).state, "stopped");
    await first.go("continue");
    assert.equal((await first.untilEnded()).cause, "poweredOff");
    assert.doesNotMatch(first.consoleText(), /the=second/);
  });

  it("reads and writes memory, and disassembles with symbols", async () => {
    await breakAt("look_around(&machine);");
    const run = await GuestRun.start({ program: HELLO() });
    await run.untilStopped("breakpoint");
    const { memoryReference } = await run.dap<DebugProtocol.EvaluateResponse["body"]>("evaluate", {
      expression: "&machine",
      frameId: (await run.top()).id,
      context: "watch",
    });
    assert.ok(memoryReference !== undefined);
    const data = Buffer.from([1, 2, 3, 4]).toString("base64");
    await run.dap("writeMemory", { memoryReference, data });
    const read = await run.dap<DebugProtocol.ReadMemoryResponse["body"]>("readMemory", { memoryReference, count: 4 });
    assert.equal(read?.data, data);
    assert.equal(await run.evaluate("machine.memory_size"), String(0x04030201));
    const reference = (await run.top()).instructionPointerReference;
    const code = await run.dap<DebugProtocol.DisassembleResponse["body"]>("disassemble", {
      memoryReference: reference,
      instructionCount: 20,
      resolveSymbols: true,
    });
    assert.equal(code?.instructions.length, 20);
    assert.ok(code?.instructions.some(({ instruction }) => /call/.test(instruction)));
  });
});
