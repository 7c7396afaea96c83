// A debug adapter without an engine, which speaks the worker's protocol: the extension can be tried in a real VS Code
// before, or without, the machine. Bundle it as dist/worker.js of a copy of the extension; it stops in hello's main.c.
import { parentPort } from "node:worker_threads";
import type { CustomRequests } from "../../src/dap";
import { fakeHypervisor, fakePageTables, fakeRegisters, fakeWalk } from "./fake-machine";
import { fakeGdt, fakeIdt } from "./fake-tables";
import { FakeTrapLog } from "./fake-trap-log";

type Arguments = Record<string, unknown>;
type Send = (message: object) => void;

/** Trap-log entries at the first stop, and those that come with each update while it runs. */
const ENTRIES = 1_204_331;
const ENTRIES_PER_UPDATE = 500;
const UPDATE_MS = 100;

export class FakeAdapter {
  private readonly log = new FakeTrapLog(ENTRIES);
  private program = "";
  private instructions = 48_211_903;
  private timer: ReturnType<typeof setInterval> | undefined;
  private stepThrough: "guest" | "machine" = "guest";
  private eax = 42;

  constructor(private readonly send: Send) {}

  receive(message: { type: string; seq: number; command: string; arguments?: Arguments }): void {
    if (message.type !== "request") {
      return;
    }
    const response = { seq: 0, type: "response", request_seq: message.seq, command: message.command };
    try {
      this.send({ ...response, success: true, body: this.answer(message.command, message.arguments ?? {}) });
      this.after(message.command);
    } catch (error) {
      this.send({ ...response, success: false, message: (error as Error).message });
    }
  }

  private event(event: string, body: unknown): void {
    this.send({ seq: 0, type: "event", event, body });
  }

  private after(command: string): void {
    if (command === "initialize") {
      this.event("initialized", {});
    } else if (command === "configurationDone") {
      this.event("ring1/console", { text: "hello: early console\nHello from ring 1!\n", source: "early" });
      this.stop("entry");
    } else if (command === "continue") {
      this.timer = setInterval(() => this.tick(), UPDATE_MS);
    } else if (["pause", "next", "stepIn", "stepOut"].includes(command)) {
      this.eax++;
      this.stop(command === "pause" ? "pause" : "step");
    } else if (command === "terminate") {
      this.end();
    }
  }

  private tick(): void {
    this.instructions += 5_000_000;
    this.log.length += ENTRIES_PER_UPDATE;
    this.event("ring1/status", this.status("running"));
    this.event("ring1/trapLogChanged", { total: this.log.length, firstSequence: 1, lastSequence: this.log.length });
  }

  private stop(reason: string): void {
    clearInterval(this.timer);
    this.event("ring1/status", this.status("stopped"));
    this.event("ring1/trapLogChanged", { total: this.log.length, firstSequence: 1, lastSequence: this.log.length });
    this.event("stopped", { reason, threadId: 1, allThreadsStopped: true, description: `Paused on ${reason}` });
  }

  private end(): void {
    clearInterval(this.timer);
    this.event("ring1/ended", {
      cause: "poweredOff",
      reason: "The guest powered off: bye.",
      exitStatus: 0,
      instructionCount: this.instructions,
    });
    this.event("terminated", {});
  }

  private status(state: "running" | "stopped") {
    const { stepThrough } = this;
    return {
      state,
      halted: false,
      world: "guest",
      ring: 1,
      instructionCount: this.instructions,
      mips: state === "running" ? 50 : 0,
      lastSequence: this.log.length,
      stepThrough,
      at: { address: 0xc0100123, symbol: "kernel_main", offset: 0x13, path: this.source, line: 62 },
    };
  }

  private get source(): string {
    return this.program.replace(/[^/]*$/, "main.c");
  }

  private answer(command: string, args: Arguments): unknown {
    switch (command) {
      case "initialize":
        return {
          supportsConfigurationDoneRequest: true,
          supportsTerminateRequest: true,
          supportsDisassembleRequest: true,
        };
      case "launch":
        this.program = String(args["program"]);
        return {};
      case "setBreakpoints":
        return {
          breakpoints: ((args["breakpoints"] as { line: number }[]) ?? []).map(({ line }) => ({
            verified: true,
            line,
          })),
        };
      case "threads":
        return { threads: [{ id: 1, name: "guest" }] };
      case "stackTrace":
        return {
          stackFrames: [
            {
              id: 1,
              name: "kernel_main",
              line: 62,
              column: 1,
              source: { name: "main.c", path: this.source },
              instructionPointerReference: "0xC0100123",
            },
            {
              id: 2,
              name: "trap 14 from ring 1, reflected by the host",
              line: 0,
              column: 0,
              presentationHint: "label",
            },
          ],
          totalFrames: 2,
        };
      case "scopes":
        return { scopes: [{ name: "Locals", variablesReference: 1, expensive: false }] };
      case "variables":
        return {
          variables: [
            {
              name: "found",
              value: "0xC0103000",
              variablesReference: 0,
              memoryReference: "0xC0103000",
              evaluateName: "found",
            },
          ],
        };
      case "readMemory":
        return {
          address: String(args["memoryReference"]),
          data: btoa("Hello from ring 1! ".repeat(40)).slice(0, 1024),
        };
      case "disassemble":
        return {
          instructions: Array.from({ length: Number(args["instructionCount"]) }, (_, index) => ({
            address: `0x${(0xc0100123 - 160 + index * 5).toString(16)}`,
            instructionBytes: "b8 2a 00 00 00",
            instruction: "mov eax, 2Ah",
            ...(index % 20 === 0 ? { symbol: `function_${index}`, location: { name: "main.c" }, line: index + 1 } : {}),
          })),
        };
      default:
        return command.startsWith("ring1/") ? this.custom(command as keyof CustomRequests, args) : {};
    }
  }

  private custom(command: keyof CustomRequests, args: Arguments): unknown {
    switch (command) {
      case "ring1/registers":
        return { ...fakeRegisters({ EAX: this.eax }), instructionCount: this.instructions };
      case "ring1/setRegister":
        if (!/^(0x[0-9a-f]+|\d+)$/i.test(String(args["value"]))) {
          throw new Error(`"${args["value"]}" is no number and no symbol.`);
        }
        this.eax = args["validateOnly"] ? this.eax : Number(args["value"]);
        return { value: Number(args["value"]) };
      case "ring1/gdt":
        return fakeGdt();
      case "ring1/idt":
        return fakeIdt();
      case "ring1/pageTables":
        return fakePageTables(args);
      case "ring1/translate":
      case "ring1/locate": {
        const address = Number(args["expression"]);
        if (!Number.isFinite(address)) {
          throw new Error(`There is no symbol "${args["expression"]}".`);
        }
        return command === "ring1/translate" ? fakeWalk(address) : { address, path: this.source, line: 62 };
      }
      case "ring1/trapLog":
        return this.log.answer(args);
      case "ring1/trapDetails": {
        const details = this.log.details(Number(args["n"]));
        return { ...details, row: { ...details.row, at: { ...details.row.at, path: this.source, line: 57 } } };
      }
      case "ring1/trapLines":
        return {
          lines: [
            {
              path: this.source,
              line: 62,
              events: [
                { name: "#PF", count: 3 },
                { name: "SET_PTE", count: 12 },
              ],
            },
          ],
        };
      case "ring1/hypervisor":
        return fakeHypervisor();
      case "ring1/console":
        this.event("ring1/console", { text: String(args["text"]).replace(/\r/g, "\n"), source: "device" });
        return undefined;
      case "ring1/status":
        return this.status("stopped");
      case "ring1/trapBreakpoints":
      case "ring1/setTrapBreakpoint":
        return { vectors: [13], hypercalls: [] };
      case "ring1/setStepThrough":
        this.stepThrough = args["mode"] as "guest" | "machine";
        this.event("ring1/status", this.status("stopped"));
        return this.status("stopped");
    }
  }
}

if (parentPort !== null) {
  const port = parentPort;
  const adapter = new FakeAdapter((message) => port.postMessage(message));
  port.on("message", (message) => adapter.receive(message));
}
