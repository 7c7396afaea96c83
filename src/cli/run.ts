/**
 * `ring1 run`: a guest in the terminal. The machine runs in slices, so that keys and Ctrl-C are seen between them; its console goes to
 * standard output, no faster than that takes it, and everything else to standard error.
 */
import { parseArgs } from "node:util";
import {
  killAdvice,
  openSymbols,
  UnusableInput,
  VirtualMachine,
  type VirtualMachineOptions,
  type VmExit,
} from "../lguest";
import { OutputFile, readInput, writeBack, writeOutput } from "./files";
import { TrapLog } from "./trap-log";
import { ExitStatus, parseChoice, parseCount, parseMemory, spaced, UsageError } from "./usage";

const OPTIONS = {
  memory: { type: "string" },
  cmdline: { type: "string" },
  initrd: { type: "string" },
  disk: { type: "string", multiple: true },
  abi: { type: "string" },
  quirks: { type: "string" },
  engine: { type: "string" },
  "max-instructions": { type: "string" },
  "trap-log": { type: "string" },
  stats: { type: "string" },
  seed: { type: "string" },
  input: { type: "string" },
} as const;

/** Instructions between two looks at the outside: as many as take about this long, which depends on how often the guest traps. */
const SLICE = { first: 50_000, least: 2_000, most: 4_000_000, shortMs: 10, longMs: 40 } as const;
/** Console bytes that may wait for standard output before the guest is held. */
const MAX_WAITING_OUTPUT = 0x40000;
const CTRL_C = 3;

interface Disk {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly isReadOnly: boolean;
  from: number;
  to: number;
}

/** How it ended, beyond what the machine says. */
type End = VmExit | { readonly kind: "interrupted" } | { readonly kind: "input-ended" };

/** Runs the command. @returns exit status. @throws UsageError */
export async function runCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (positionals.length !== 1)
    throw new UsageError(
      `run: expected one image, found ${positionals.length === 0 ? "none" : positionals.length}: ring1 run IMAGE [options]`,
    );
  const [imagePath] = positionals;
  const disks = (values.disk ?? []).map(openDisk);
  const image = readInput("image", imagePath);
  const limit =
    values["max-instructions"] === undefined
      ? Number.POSITIVE_INFINITY
      : parseCount("--max-instructions", values["max-instructions"]);
  const options: VirtualMachineOptions = {
    image,
    imageName: imagePath,
    memoryMegabytes: values.memory === undefined ? undefined : parseMemory(values.memory),
    commandLine: values.cmdline,
    initrd: values.initrd === undefined ? undefined : readInput("initrd", values.initrd),
    disks: disks.map((disk) => ({
      bytes: disk.bytes,
      isReadOnly: disk.isReadOnly,
      name: disk.path,
      onWrite: (offset, length) => {
        disk.from = Math.min(disk.from, offset);
        disk.to = Math.max(disk.to, offset + length);
      },
    })),
    abi: parseChoice("--abi", values.abi, ["2.6.32", "3.x"]),
    quirks: parseChoice("--quirks", values.quirks, ["faithful", "fixed"]),
    engine: parseEngine(values.engine),
    seed: values.seed === undefined ? undefined : parseCount("--seed", values.seed),
    wallClockSeconds: Math.floor(Date.now() / 1000),
  };
  const typed = values.input === undefined ? null : readInput("input", values.input);
  const machine = boot(options);
  const logFile = values["trap-log"] === undefined ? null : new OutputFile("trap log", values["trap-log"]);
  const log = logFile === null ? null : new TrapLog((line) => logFile.write(line), openSymbols(image));
  machine.observer = log;
  const started = performance.now();
  const terminal = new Terminal(machine, limit, typed);
  const end = await terminal.run();
  const seconds = (performance.now() - started) / 1000;
  log?.finish();
  logFile?.close();
  for (const disk of disks) if (disk.to > disk.from) writeBack(disk.path, disk.bytes, disk.from, disk.to);
  if (values.stats !== undefined) writeOutput("statistics", values.stats, statistics(machine, options, end, seconds));
  // On a screen the summary begins a line of its own.
  if (terminal.isLineOpen && process.stdout.isTTY) process.stderr.write("\n");
  process.stderr.write(summary(machine, options, end, seconds));
  return statusOf(end);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(`run: ${error instanceof Error ? error.message : String(error)}`);
  }
}
function parseEngine(text: string | undefined): "direct" | "interpreter" | undefined {
  if (text === "jit") throw new UsageError("--engine: jit is not there yet: use interpreter");
  return parseChoice("--engine", text, ["direct", "interpreter"]);
}
function openDisk(text: string): Disk {
  const isReadOnly = text.endsWith(",ro");
  const path = isReadOnly ? text.slice(0, -3) : text;
  const bytes = readInput("disk", path);
  if (bytes.length === 0 || bytes.length % 512 !== 0)
    throw new UsageError(
      `the disk ${path} cannot be used: expected a whole number of 512-byte sectors, found ${bytes.length} bytes`,
    );
  return { path, bytes, isReadOnly, from: Number.POSITIVE_INFINITY, to: 0 };
}
function boot(options: VirtualMachineOptions): VirtualMachine {
  try {
    return new VirtualMachine(options);
  } catch (error) {
    if (error instanceof UnusableInput) throw new UsageError(error.message);
    if (error instanceof RangeError)
      throw new UsageError(
        `this computer cannot give the guest ${options.memoryMegabytes ?? 64} MiB of memory: ask for less with --memory`,
      );
    throw error;
  }
}

/** Ties the machine's console to standard input and output. */
class Terminal {
  /** What the guest printed last was not the end of a line. */
  isLineOpen = false;
  private waitingBytes = 0;
  private wake: (() => void) | null = null;
  private isInterrupted = false;
  private hasInputEnded = false;
  private isClosed = false;

  constructor(
    private readonly machine: VirtualMachine,
    private readonly limit: number,
    private readonly typed: Uint8Array | null,
  ) {}

  async run(): Promise<End> {
    this.machine.onConsoleOutput = (bytes) => this.print(bytes);
    this.machine.onWarning = (text) => process.stderr.write(`ring1: ${text}\n`);
    const interrupt = (): void => this.interrupt();
    process.on("SIGINT", interrupt);
    process.on("SIGTERM", interrupt);
    // A reader that went away (a pipe into head) ends the run.
    process.stdout.on("error", () => {
      this.isClosed = true;
      this.interrupt();
    });
    this.openInput();
    try {
      return await this.loop();
    } finally {
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
      if (process.stdin.isTTY) process.stdin.setRawMode(false);
      process.stdin.pause();
    }
  }

  private async loop(): Promise<End> {
    const { machine } = this;
    let slice: number = SLICE.first;
    for (;;) {
      await this.breathe();
      if (this.isInterrupted) return { kind: "interrupted" };
      const slept = machine.machine.slept;
      const started = performance.now();
      const exit = machine.run(Math.min(this.limit, machine.instructionCount + slice));
      const elapsed = performance.now() - started;
      if (elapsed < SLICE.shortMs) slice = Math.min(SLICE.most, slice * 2);
      else if (elapsed > SLICE.longMs) slice = Math.max(SLICE.least, slice >>> 1);
      switch (exit.kind) {
        case "limit":
          if (machine.instructionCount >= this.limit) return exit;
          if (process.stdin.isTTY) await this.passTime((machine.machine.slept - slept) / 1e5);
          break;
        case "stopped":
        case "event":
        case "breakpoint":
          break;
        case "restart":
          process.stderr.write("ring1: the guest restarts\n");
          break;
        case "waiting-for-input":
          if (this.hasInputEnded) return { kind: "input-ended" };
          await this.untilTyped();
          break;
        default:
          await this.drain();
          return exit;
      }
    }
  }

  private openInput(): void {
    if (this.typed !== null) {
      for (const line of linesOf(this.typed)) this.machine.consoleInput(line);
      this.hasInputEnded = true;
      return;
    }
    const { stdin } = process;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on("data", (bytes: Buffer) => {
      if (stdin.isTTY && bytes.includes(CTRL_C)) this.interrupt();
      else this.machine.consoleInput(bytes);
      this.wake?.();
    });
    const ended = (): void => {
      this.hasInputEnded = true;
      this.wake?.();
    };
    stdin.on("end", ended);
    stdin.on("error", ended);
  }
  private interrupt(): void {
    this.isInterrupted = true;
    this.machine.stop("interrupted");
    this.wake?.();
  }

  private print(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.waitingBytes += bytes.length;
    if (bytes.length > 0) this.isLineOpen = bytes[bytes.length - 1] !== 0x0a;
    process.stdout.write(bytes, () => {
      this.waitingBytes -= bytes.length;
    });
    if (this.waitingBytes > MAX_WAITING_OUTPUT) this.machine.stop("output");
  }
  /** Lets others run, and waits until standard output has taken what it was given. */
  private async breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.waitingBytes > MAX_WAITING_OUTPUT) await this.drain();
  }
  private async drain(): Promise<void> {
    while (this.waitingBytes > 0 && !this.isClosed && !this.isInterrupted)
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
  /** With a person at the keyboard, time that the guest sleeps passes. */
  private async passTime(milliseconds: number): Promise<void> {
    if (milliseconds >= 1) await this.untilWoken(milliseconds);
  }
  /** With a person at the keyboard, the guest's clocks go on while it waits. */
  private async untilTyped(): Promise<void> {
    const started = performance.now();
    await this.untilWoken();
    if (process.stdin.isTTY) this.machine.passTime((performance.now() - started) * 1e6);
  }
  private async untilWoken(milliseconds?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      if (milliseconds !== undefined) timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    this.wake = null;
  }
}

/** As a person types: line by line, each with its end. */
function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start);
    const next = end < 0 ? bytes.length : end + 1;
    lines.push(bytes.subarray(start, next));
    start = next;
  }
  return lines;
}

function statusOf(end: End): number {
  switch (end.kind) {
    case "powered-off":
      return ExitStatus.OK;
    case "limit":
    case "input-ended":
      return ExitStatus.LIMIT;
    case "interrupted":
      return ExitStatus.INTERRUPTED;
    default:
      return ExitStatus.FAILED;
  }
}

/** One sentence on how it ended. */
function describe(end: End, machine: VirtualMachine): string {
  switch (end.kind) {
    case "powered-off":
      return `the guest powered off${end.text === "" ? "" : `: ${end.text}`}`;
    case "killed":
      return end.isLauncher ? `the launcher gave up: ${end.reason}` : `the guest was killed: ${end.reason.trimEnd()}`;
    case "limit":
      return "the instruction limit was reached";
    case "input-ended":
      return "the guest waits for input, and no more will come";
    case "interrupted":
      return "interrupted";
    case "unimplemented":
      return `the guest uses an instruction that is not there yet: ${end.feature} at ${machine.guestRegisters().eip.toString(16)}`;
    case "shutdown":
      return `the processor shut down: ${end.reason}`;
    default:
      return end.kind;
  }
}
function textOf(end: End): string {
  switch (end.kind) {
    case "powered-off":
    case "restart":
      return end.text;
    case "killed":
    case "shutdown":
    case "stopped":
      return end.reason;
    case "unimplemented":
      return end.feature;
    default:
      return "";
  }
}

function summary(machine: VirtualMachine, options: VirtualMachineOptions, end: End, seconds: number): string {
  const { instructions, worldSwitches } = machine.statistics();
  const mips = seconds > 0 ? instructions / seconds / 1e6 : 0;
  const advice = end.kind === "killed" ? killAdvice(end.reason, options.abi ?? "2.6.32") : undefined;
  const hint = advice === undefined ? "" : `ring1: ${advice}\n`;
  return `ring1: ${describe(end, machine)}\n${hint}ring1: ${spaced(instructions)} instructions in ${seconds.toFixed(2)} s (${mips.toFixed(1)} million a second), ${spaced(worldSwitches)} world switches\n`;
}

function statistics(machine: VirtualMachine, options: VirtualMachineOptions, end: End, seconds: number): string {
  const { instructions, worldSwitches, traps, hypercalls } = machine.statistics();
  const figures = {
    instructions,
    wallSeconds: seconds,
    mips: seconds > 0 ? instructions / seconds / 1e6 : 0,
    worldSwitches,
    traps,
    hypercalls,
    engine: options.engine ?? "interpreter",
    exit: { reason: end.kind, text: textOf(end) },
  };
  return `${JSON.stringify(figures, null, 2)}\n`;
}
