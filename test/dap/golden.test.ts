// Whole sessions as transcripts: what a client sends and what it gets, line by line. RING1_BLESS=1 writes them anew;
// their diff is read like code. What depends on time (status, the pace of the log's events) and on the place of the
// files is left out.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, it } from "mocha";
import { lineOf } from "../debugger/harness";
import { Client, source } from "./client";

const FOLDER = resolve("test/dap/golden");
const GUESTS = resolve("media/guests");
const LEFT_OUT = new Set(["ring1/status", "ring1/trapLogChanged", "module"]);
const MAX_LINE = 400;
const CONSOLE = "< console ";

/** Runs a scenario and compares its transcript. */
async function transcript(name: string, play: (c: Client) => Promise<void>): Promise<void> {
  const lines: string[] = [];
  const c = new Client();
  c.onMessage = (direction, message) => {
    if (message.type === "event" && LEFT_OUT.has(message.event)) return;
    // The console comes in pieces of whatever size the moment makes.
    if (message.event === "output" && message.body.category === "stdout") return;
    if (message.event === "ring1/console") {
      const text = message.body.text.replaceAll("\n", "\\n");
      const isMore = lines.at(-1)?.startsWith(CONSOLE) ?? false;
      lines.push(isMore ? lines.pop() + text : CONSOLE + text);
      return;
    }
    const what = message.type === "event" ? `event ${message.event}` : message.command;
    const isShort = what === "initialize" || what === "source";
    const body = message.type === "request" ? message.arguments : message.body;
    const failed = message.type === "response" && !message.success ? ` refused: ${message.message}` : "";
    const text = isShort || failed !== "" || body === undefined ? "" : ` ${JSON.stringify(body)}`;
    lines.push(`${direction} ${what}${failed}${shortened(text.replaceAll(GUESTS, "GUESTS"))}`);
  };
  await play(c);
  const got = `${lines.join("\n")}\n`;
  const path = resolve(FOLDER, `${name}.txt`);
  if (process.env.RING1_BLESS) writeFileSync(path, got);
  assert.ok(existsSync(path), `${path} is missing; RING1_BLESS=1 writes it`);
  assert.equal(got, readFileSync(path, "utf8"));
}

function shortened(text: string): string {
  return text.length <= MAX_LINE ? text : `${text.slice(0, MAX_LINE)}... (${text.length} characters)`;
}

describe("golden transcripts of debug sessions", function () {
  this.timeout(30000);

  it("breakpoints, steps, variables", () =>
    transcript("breakpoints", async (c) => {
      const path = source("hello/main.c");
      await c.launch("hello", {}, (client) =>
        client.request("setBreakpoints", {
          source: { path },
          breakpoints: [{ line: lineOf(path, "look_around(&machine);") }],
        }),
      );
      await c.request("threads");
      await c.frames();
      await c.go("next");
      await c.go("stepIn");
      const [frame] = await c.frames();
      const { scopes } = await c.request("scopes", { frameId: frame.id });
      const { variables } = await c.request("variables", { variablesReference: scopes[0].variablesReference });
      await c.request("variables", { variablesReference: variables[0].variablesReference });
      await c.request("evaluate", { expression: "found->memory_size,x", frameId: frame.id, context: "watch" });
      await c.raw("evaluate", { expression: "found->nothing", frameId: frame.id, context: "watch" });
      await c.request("disassemble", {
        memoryReference: frame.instructionPointerReference,
        instructionOffset: -1,
        instructionCount: 3,
      });
      await c.request("readMemory", { memoryReference: "0xC0105000", count: 16 });
      await c.go("stepOut");
      await c.go("continue");
    }));

  it("traps", () =>
    transcript("traps", async (c) => {
      await c.launch("hello", {}, async (client) => {
        await client.request("setExceptionBreakpoints", {
          filters: ["kill"],
          filterOptions: [
            { filterId: "hypercall", condition: "hypercall == LHCALL_SET_STACK" },
            { filterId: "vector:3" },
          ],
        });
      });
      await c.frames();
      await c.request("exceptionInfo", { threadId: 1 });
      await c.request("ring1/trapLog", { count: -2 });
      await c.go("continue");
      await c.frames();
      await c.go("stepIn", { granularity: "instruction" });
      await c.frames();
      await c.go("continue");
    }));

  it("as the machine", () =>
    transcript("machine", async (c) => {
      await c.launch("hello", { stepThrough: "machine" }, (client) =>
        client.request("setFunctionBreakpoints", { breakpoints: [{ name: "hcall" }] }),
      );
      for (let i = 0; i < 16; i++) {
        await c.go("stepIn", { granularity: "instruction" });
        await c.request("stackTrace", { threadId: 1, levels: 2 });
      }
      await c.go("stepOut");
      await c.request("disconnect", {});
    }));
});
