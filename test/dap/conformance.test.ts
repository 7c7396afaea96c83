// DAP conformance: the official test client against the adapter as a program, over standard input and output.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { DebugClient } from "@vscode/debugadapter-testsupport";
import { afterEach, beforeEach, describe, it } from "mocha";
import { lineOf } from "../debugger/harness";
import { guest, source } from "./client";

const SERVER = resolve(
  existsSync("out/src/worker/dap-server.js") ? "out/src/worker/dap-server.js" : "dist/dap-server.js",
);
const PROGRAM = guest("hello");
const MAIN = source("hello/main.c");

describe("DAP conformance over stdio", function () {
  this.timeout(30000);
  let dc: DebugClient;

  beforeEach(async () => {
    dc = new DebugClient("node", SERVER, "ring1");
    dc.defaultTimeout = 15000;
    await dc.start();
  });
  afterEach(() => dc.stop());

  it("answers an unknown request with an error", async () => {
    await assert.rejects(dc.send("illegalRequest"), /no request "illegalRequest"/);
  });

  it("answers initialize with its capabilities", async () => {
    const { body } = await dc.initializeRequest();
    assert.equal(body?.supportsConfigurationDoneRequest, true);
    assert.equal(body?.supportsDisassembleRequest, true);
  });

  it("runs a program to its end", async () => {
    await Promise.all([
      dc.configurationSequence(),
      dc.launch({ program: PROGRAM }),
      dc.waitForEvent("terminated"),
      dc.waitForEvent("exited"),
    ]);
  });

  it("stops on entry", async () => {
    await Promise.all([
      dc.configurationSequence(),
      dc.launch({ program: PROGRAM, stopOnEntry: true }),
      dc.assertStoppedLocation("entry", {}),
    ]);
  });

  it("stops at a breakpoint", async () => {
    await dc.hitBreakpoint({ program: PROGRAM }, { path: MAIN, line: lineOf(MAIN, "look_around(&machine);") });
  });

  it("steps", async () => {
    const line = lineOf(MAIN, "look_around(&machine);");
    await dc.hitBreakpoint({ program: PROGRAM }, { path: MAIN, line });
    await Promise.all([
      dc.nextRequest({ threadId: 1 }),
      dc.assertStoppedLocation("step", { path: MAIN, line: lineOf(MAIN, "greet(&machine);") }),
    ]);
  });

  it("sends the guest's console as output", async () => {
    await Promise.all([
      dc.configurationSequence(),
      dc.launch({ program: PROGRAM }),
      dc.assertOutput("stdout", "hello: early console"),
    ]);
  });

  it("refuses a launch with a sentence", async () => {
    await assert.rejects(dc.launch({ program: "/nowhere.elf" }), /Cannot read the program/);
  });

  it("ends when the client disconnects or goes away", async () => {
    const child = spawn("node", [SERVER], { stdio: ["pipe", "pipe", "ignore"] });
    const ended = new Promise((done) => child.on("exit", done));
    child.stdin.write("this is no message\r\n\r\n");
    child.stdin.end();
    assert.equal(await ended, 0);
  });
});
