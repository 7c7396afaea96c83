// The adapter over streams, where the client may be slow.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, it } from "mocha";
import { frameMessage } from "../../src/dap";
import { serve } from "../../src/worker/dap-server";
import { Assembler } from "../../src/x86";
import { begin, elfImage, finish, hypercall, LOAD_ADDRESS } from "../lguest/guest-code";

describe("the DAP server", () => {
  it("holds a guest that floods its console while the client does not read", async function () {
    this.timeout(20000);
    const a = new Assembler(LOAD_ADDRESS);
    begin(a);
    a.label("again");
    hypercall(a, 17, "flood");
    a.jmp("again").label("flood").text("x".repeat(0x8000));
    finish(a);
    const folder = mkdtempSync(join(tmpdir(), "ring1-"));
    const program = join(folder, "flood.elf");
    writeFileSync(program, elfImage(a.finish().bytes));
    const [input, output] = [new PassThrough(), new PassThrough()];
    const served = serve(input, output);
    const send = (seq: number, command: string, args: object) =>
      input.write(frameMessage({ seq, type: "request", command, arguments: args } as never));
    send(1, "initialize", { adapterID: "ring1" });
    send(2, "launch", { program, memory: 2, noDebug: true });
    send(3, "configurationDone", {});
    const unread = () => output.writableLength + output.readableLength;
    while (unread() < 0x100000) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const size = unread();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(unread(), size, "the guest went on");
    assert.ok(size < 0x4000000, `${size} bytes wait`);
    // Whoever reads again is served again.
    let read = 0;
    output.on("data", (bytes: Uint8Array) => {
      read += bytes.length;
    });
    while (read <= size) await new Promise((resolve) => setTimeout(resolve, 20));
    send(4, "disconnect", { terminateDebuggee: true });
    await served;
    rmSync(folder, { recursive: true });
  });
});
