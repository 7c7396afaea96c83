// What a person can get wrong: each mistake has a sentence that says what to do, and leaves the session usable.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, it } from "mocha";
import { Client, guest } from "./client";
import { elf, FLOOD, SPIN, TemporaryFiles } from "./small-guests";

describe("bad input to the debug adapter", function () {
  this.timeout(20000);
  const files = new TemporaryFiles();
  after(() => files.remove());

  const refusal = async (attributes: object): Promise<string> => {
    const c = new Client();
    await c.request("initialize", { adapterID: "ring1" });
    return c.refusal("launch", attributes);
  };
  const image = (name: string, bytes: Uint8Array | string) => files.write(name, bytes);

  it("a missing or unreadable file", async () => {
    assert.match(
      await refusal({ program: "/nowhere/kernel.elf" }),
      /Cannot read the program \/nowhere\/kernel\.elf: there is no such file/,
    );
    assert.match(await refusal({ program: files.folder }), /it is a folder/);
    assert.match(await refusal({ program: guest("hello"), initrd: "/nowhere/initrd" }), /Cannot read the initrd/);
    assert.match(
      await refusal({ program: guest("hello"), disks: ["/nowhere/disk,ro"] }),
      /Cannot read the disk \/nowhere\/disk:/,
    );
    assert.match(
      await refusal({ program: guest("hello"), symbols: ["/nowhere/vmlinux"] }),
      /Cannot read the symbol file/,
    );
  });

  it("a file that is no ELF32 executable for the 386", async () => {
    assert.match(await refusal({ program: image("text", "#!/bin/sh\n") }), /Cannot boot .*text/);
    assert.match(await refusal({ program: image("empty", "") }), /Cannot boot/);
    assert.match(await refusal({ program: image("wide", elf([0x90], { class: 2 })) }), /64-bit/);
    assert.match(await refusal({ program: image("arm", elf([0x90], { machine: 40 })) }), /ARM/);
    assert.match(
      await refusal({ program: image("object", elf([0x90], { type: 1 })) }),
      /relocatable|ET_REL|executable/,
    );
    assert.match(await refusal({ program: image("short", elf([0x90]).slice(0, 40)) }), /Cannot boot/);
    assert.match(await refusal({ program: image("nothing", elf([0x90], { segments: 0 })) }), /load/i);
    assert.match(await refusal({ program: guest("hello"), symbols: [image("notes", "hello")] }), /no ELF32 file/);
  });

  it("a segment outside memory, and an initrd larger than memory", async () => {
    assert.match(await refusal({ program: image("far", elf([0x90], { physical: 0x30000000 })) }), /memory/i);
    const initrd = image("initrd", new Uint8Array(3 << 20));
    assert.match(await refusal({ program: guest("hello"), memory: 2, initrd }), /initrd|memory/i);
  });

  it("memory that is too small, too large, or no size", async () => {
    for (const memory of [0, -5, 1020, "2G", "lots", "64MB", 1.5, true]) {
      assert.match(
        await refusal({ program: guest("hello"), memory }),
        /"memory" must be a number of MiB from 1 to 1019/,
        String(memory),
      );
    }
  });

  it("attributes that are unknown or of the wrong kind", async () => {
    assert.match(await refusal({}), /"program" is missing/);
    assert.match(await refusal({ program: 5 }), /"program" must be a path, found 5/);
    assert.match(
      await refusal({ program: "x", stoponentry: true }),
      /no attribute "stoponentry"; did you mean "stopOnEntry"/,
    );
    assert.match(await refusal({ program: "x", colour: "red" }), /no attribute "colour"\./);
    assert.match(await refusal({ program: "x", abi: "4.0" }), /"abi" must be "2\.6\.32" or "3\.x", found "4\.0"/);
    assert.match(await refusal({ program: "x", quirks: "some" }), /"quirks" must be "faithful" or "fixed"/);
    assert.match(await refusal({ program: "x", engine: "jit" }), /does not have yet/);
    assert.match(await refusal({ program: "x", engine: "turbo" }), /"engine" must be/);
    assert.match(await refusal({ program: "x", stopOnEntry: "yes" }), /must be true or false/);
    assert.match(await refusal({ program: "x", symbols: "vmlinux" }), /must be a list of paths/);
    assert.match(await refusal({ program: "x", disks: [{ file: "d" }] }), /"disks" must be a list/);
    assert.match(await refusal({ program: "x", sourceMap: ["a"] }), /"sourceMap" must be an object/);
    assert.match(await refusal({ program: "x", seed: -1 }), /"seed" must be a whole number/);
    assert.match(await refusal({ program: "x", stepThrough: "fast" }), /"stepThrough" must be/);
    assert.match(
      await refusal({ program: guest("hello"), trapBreakpoints: ["SET_PTEX"] }),
      /"trapBreakpoints" has "SET_PTEX"/,
    );
    assert.match(await refusal({ program: "x", trapBreakpoints: [700] }), /must be a list of vectors/);
  });

  it("debug information that is truncated, absent or of an unknown version: debugging goes on, and says so", async () => {
    const whole = new Uint8Array(readFileSync(guest("hello")));
    const launch = async (name: string, bytes: Uint8Array): Promise<Client> => {
      const c = new Client();
      await c.launch("hello", { program: image(name, bytes), stopOnEntry: true });
      return c;
    };
    const stripped = whole.slice();
    // No section headers: neither symbols nor lines.
    stripped.fill(0, 32, 36);
    stripped.fill(0, 48, 52);
    const none = await launch("stripped.elf", stripped);
    assert.match(none.output, /no line information.*Debugging goes on/);
    await none.go("stepIn", { granularity: "instruction" });
    await none.end();
    const unknown = await launch(
      "version9.elf",
      withSection(whole, ".debug_info", (bytes) => bytes.fill(9, 4, 6)),
    );
    assert.match(await unknown.evaluate("eip"), /^0x00100000/);
    await unknown.end();
    const garbage = await launch(
      "garbage.elf",
      withSection(whole, ".debug_line", (bytes) => bytes.fill(0xff)),
    );
    assert.equal((await garbage.go("continue")).cause, "poweredOff");
    const cut = await launch(
      "cut.elf",
      withSection(whole, ".debug_abbrev", (bytes) => bytes.fill(0xee, 20)),
    );
    assert.match((await cut.frames()).find((frame) => frame.presentationHint === undefined)!.name, /start/);
    await cut.end();
  });

  it("a guest that floods the console does not fill our memory", async () => {
    const c = new Client();
    void c.launch("hello", { program: image("flood.elf", FLOOD) });
    await c.wait("ring1/console");
    await new Promise((done) => setTimeout(done, 300));
    const stopped = c.wait("stopped");
    await c.request("pause", { threadId: 1 });
    await stopped;
    const longest = Math.max(
      ...c.events.filter(({ event }) => event === "ring1/console").map(({ body }) => body.text.length),
    );
    assert.ok(longest <= 1 << 18);
    await c.end();
  });

  it("requests that make no sense now, or never", async () => {
    const c = new Client();
    assert.match(await c.refusal("stackTrace", { threadId: 1 }), /No guest is running/);
    assert.match(await c.refusal("ring1/registers"), /No guest is running/);
    assert.match(await c.refusal("readMemory", { memoryReference: "0", count: 1 }), /No guest is running/);
    assert.match(await c.refusal("configurationDone"), /No guest is running/);
    assert.match(await c.refusal("reverseContinue", { threadId: 1 }), /no request "reverseContinue"/);
    assert.match(await c.refusal("toString"), /no request "toString"/);
    assert.match(await c.refusal("attach", {}), /nothing to attach to/);
    await c.launch("hello", { program: image("spin.elf", SPIN), stopOnEntry: true });
    assert.match(await c.refusal("scopes", { frameId: 77 }), /no stack frame 77/);
    assert.match(await c.refusal("variables", { variablesReference: 7777 }), /no variable 7777/);
    assert.match(await c.refusal("source", { sourceReference: 9 }), /no source 9/);
    assert.match(await c.refusal("goto", { threadId: 1, targetId: 5 }), /no target 5/);
    assert.match(await c.refusal("stepIn", { threadId: 1, targetId: 5 }), /no target 5/);
    assert.match(await c.refusal("exceptionInfo", { threadId: 1 }), /did not stop at an exception/);
    assert.match(await c.refusal("setBreakpoints", { source: {} }), /"source\.path" must be a path/);
    assert.match(await c.refusal("writeMemory", { memoryReference: "0x100000", data: "%%%" }), /base64/);
    assert.equal((await c.go("stepIn", { granularity: "instruction" })).reason, "step");
    await c.end();
  });

  it("a client without files that gives none", async () => {
    const c = new Client(null);
    await c.request("initialize", { adapterID: "ring1" });
    assert.match(await c.refusal("launch", { program: "vscode-vfs://x/kernel.elf" }), /gives no files/);
  });

  it("a client that serves files over ring1/readFile, and one that fails to", async () => {
    const c = new Client(null);
    c.onMessage = (direction, message) => {
      if (direction !== "<" || message.command !== "ring1/readFile") return;
      const isGood = message.arguments.path.endsWith("good.elf");
      const answer = isGood ? { success: true, body: { bytes: SPIN } } : { success: false, message: "no such thing" };
      c.answer({ seq: 0, type: "response", request_seq: message.seq, command: message.command, ...answer });
    };
    await c.request("initialize", { adapterID: "ring1", supportsRing1ReadFile: true });
    assert.match(
      await c.refusal("launch", { program: "vfs://x/bad.elf" }),
      /Cannot read the program vfs:\/\/x\/bad\.elf: no such thing/,
    );
    const initialized = c.wait("initialized");
    await c.request("launch", { program: "vfs://x/good.elf", stopOnEntry: true });
    await initialized;
    const stopped = c.wait("stopped");
    await c.request("configurationDone");
    assert.equal((await stopped).reason, "entry");
    await c.end();
  });
});

/** A copy of an ELF file with one section's bytes changed. */
function withSection(file: Uint8Array, name: string, change: (bytes: Uint8Array) => void): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  const headers = view.getUint32(32, true);
  const names = view.getUint32(headers + view.getUint16(50, true) * 40 + 16, true);
  for (let i = 0; i < view.getUint16(48, true); i++) {
    const at = headers + i * 40;
    const nameAt = names + view.getUint32(at, true);
    const text = String.fromCharCode(...copy.subarray(nameAt, copy.indexOf(0, nameAt)));
    if (text !== name) continue;
    const offset = view.getUint32(at + 16, true);
    change(copy.subarray(offset, offset + view.getUint32(at + 20, true)));
    return copy;
  }
  throw new Error(`no section ${name}`);
}
