// Drives a Debugger as a person would: waits for stops, keeps what was told.
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  type ConsoleChunk,
  checkLaunch,
  Debugger,
  type EndReport,
  type Scheduler,
  type StopReport,
} from "../../src/debugger";

export const GUESTS = resolve("media/guests");
export const guest = (name: string): string => resolve(GUESTS, name, `${name}.elf`);

export class NodeScheduler implements Scheduler {
  private waker: (() => void) | undefined;
  now(): number {
    return performance.now();
  }
  yield(): Promise<void> {
    return new Promise((done) => setImmediate(done));
  }
  sleep(milliseconds: number): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.waker = () => {
        clearTimeout(timer);
        this.waker = undefined;
        done();
      };
    });
  }
  wake(): void {
    this.waker?.();
  }
}

/** The line (from 1) of a file on which a text stands. */
export function lineOf(path: string, text: string): number {
  const index = readFileSync(path, "utf8")
    .split("\n")
    .findIndex((line) => line.includes(text));
  if (index < 0) throw new Error(`${path} has no "${text}"`);
  return index + 1;
}

/** What a run came to. */
export type Outcome = { stop: StopReport } | { end: EndReport };

export class Harness {
  console = "";
  output = "";
  readonly killed: string[] = [];
  readonly dbg: Debugger;
  private waiting: ((outcome: Outcome) => void) | undefined;
  private ready: Outcome | undefined;

  constructor() {
    this.dbg = new Debugger(
      {
        stopped: (stop) => this.done({ stop }),
        ended: (end) => this.done({ end }),
        continued: () => {},
        killed: (body) => this.killed.push(body.reason),
        console: (chunk: ConsoleChunk) => {
          this.console += chunk.text;
        },
        output: (_, text) => {
          this.output += text;
        },
        status: () => {},
        trapLogChanged: () => {},
        breakpointsChanged: () => {},
        edited: () => {},
      },
      new NodeScheduler(),
      { read: async (path) => new Uint8Array(await readFile(path)), exists: existsSync },
    );
  }

  async load(name: string, attributes: object = {}): Promise<this> {
    await this.dbg.load(checkLaunch({ program: guest(name), ...attributes }));
    return this;
  }
  /** Loads and runs to the first stop or end. */
  async launch(name: string, attributes: object = {}): Promise<Outcome> {
    await this.load(name, attributes);
    return this.until(() => this.dbg.start());
  }
  /** Does something that makes the guest go, and waits for what comes of it. */
  until(action: () => void): Promise<Outcome> {
    this.ready = undefined;
    return new Promise((resolve) => {
      this.waiting = resolve;
      action();
      if (this.ready !== undefined) this.done(this.ready);
    });
  }
  async stopAfter(action: () => void): Promise<StopReport> {
    const outcome = await this.until(action);
    if (!("stop" in outcome)) throw new Error(`the guest ended: ${outcome.end.reason}`);
    return outcome.stop;
  }
  /** Name and line of the innermost frame with code. */
  get here(): string {
    const frame = this.dbg.stackFrames().find((f) => f.kind === "code")!;
    return `${frame.name}:${frame.place?.line ?? "?"}`;
  }
  get line(): number | undefined {
    return this.dbg.stackFrames().find((f) => f.kind === "code")?.place?.line;
  }
  private done(outcome: Outcome): void {
    if (this.waiting === undefined) this.ready = outcome;
    else {
      const { waiting } = this;
      this.waiting = undefined;
      waiting(outcome);
    }
  }
}
