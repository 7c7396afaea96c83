/*
 * Runs the machine in slices, so that requests are answered in between, and decides at each exit whether the person at
 * the keyboard wants to know. Slices are counted in instructions and their length adapts to about eight milliseconds;
 * an observer that is asked too often ends a slice early.
 *
 * Stepping (stepping.ts) is built on the two moves here: one instruction, and "run until one of these places is
 * reached".
 */
import { type GuestEvent, NANOSECONDS_PER_INSTRUCTION, type VirtualMachineInterface, type VmExit } from "../lguest";
import type { Breakpoint } from "./breakpoints";

/** The worker's clock and its way to let messages in. */
export interface Scheduler {
  /** Milliseconds from any start. */
  now(): number;
  /** Comes back after waiting messages have been handled. */
  yield(): Promise<void>;
  /** Comes back after that time, or earlier when `wake` is called. */
  sleep(milliseconds: number): Promise<void>;
  wake(): void;
}

/** Why the machine stands still. */
export type Stop =
  | { readonly kind: "breakpoint"; readonly breakpoints: readonly Breakpoint[] }
  | { readonly kind: "event"; readonly event: GuestEvent; readonly filter: string }
  | { readonly kind: "data"; readonly ids: readonly number[]; readonly text: string }
  | { readonly kind: "step" }
  | { readonly kind: "pause" }
  | { readonly kind: "entry" }
  | { readonly kind: "goto" }
  | { readonly kind: "unimplemented"; readonly feature: string }
  /** A limit of the launch attributes is reached. */
  | { readonly kind: "limit" }
  | { readonly kind: "ended"; readonly exit: VmExit };

/** A place to stop at on the way, for stepping. */
export interface Target {
  readonly address: number;
  /** Whether being there counts (the right frame, the right ring). */
  readonly isReached: () => boolean;
}

/** What the run asks of its owner. */
export interface RunDecisions {
  /** Breakpoints that are hit at this address, conditions and hit counts applied; logpoints have written their text. */
  breakpointsAt(linear: number): readonly Breakpoint[];
  /** The filter that wanted this event. */
  filterOf(event: GuestEvent): string;
  /** Data breakpoints that were hit since the last question. */
  dataHits(): { ids: readonly number[]; text: string } | undefined;
  /** Addresses of all breakpoints. */
  addresses(): ReadonlySet<number>;
  /** The guest waits for input (or no longer). */
  onWaiting(isWaiting: boolean): void;
  /** Between two slices. */
  onSlice(): void;
  /** The guest boots again. */
  onRestart(text: string): void;
}

const TARGET_SLICE_MS = 8;
const LONGEST_SLICE_MS = 15;
const FIRST_SLICE = 20_000;
const SHORTEST_SLICE = 500;
const LONGEST_SLICE = 50_000_000;
/** Waiting for input: how often to look for a pause at the least. */
const WAIT_MS = 250;
/** Where the guest's clock has run ahead of real time by sleeping, that is slept here too, a little at a time. */
const INSTRUCTIONS_PER_MS = 1_000_000 / NANOSECONDS_PER_INSTRUCTION;
const LONGEST_SLEEP_MS = 20;

export class RunControl {
  private slice = FIRST_SLICE;
  private isPauseWanted = false;
  private sliceStart = 0;
  private eventsInSlice = 0;
  private targets: readonly Target[] = [];
  /** True while a run or a step is under way. */
  isRunning = false;
  /** Stop for good at this instruction count. */
  limit = Number.POSITIVE_INFINITY;
  /** Do not stop for anything: "Run Without Debugging". */
  ignoresStops = false;

  constructor(
    readonly vm: VirtualMachineInterface,
    private readonly scheduler: Scheduler,
    private readonly decisions: RunDecisions,
  ) {}

  /** Asks a run to stop at the next boundary. */
  pause(): void {
    this.isPauseWanted = true;
    this.scheduler.wake();
  }
  /** Lets a guest that waits for input look again. */
  wake(): void {
    this.scheduler.wake();
  }
  get isPausing(): boolean {
    return this.isPauseWanted;
  }

  /** Marks the begin and end of whatever is made of the moves below. */
  begin(): void {
    this.isRunning = true;
    this.isPauseWanted = false;
  }
  end(): void {
    this.isRunning = false;
    this.isPauseWanted = false;
  }

  /** To be called by the observer: an event that costs time ends the slice when it has become long. */
  noteEvent(): void {
    if ((++this.eventsInSlice & 63) === 0 && this.scheduler.now() - this.sliceStart > LONGEST_SLICE_MS)
      this.vm.stop("slice");
  }

  /** Runs until something wants to stop, or a target is reached (then the answer is undefined). */
  async runUntil(targets: readonly Target[] = []): Promise<Stop | undefined> {
    this.setTargets(targets);
    try {
      let ignoreBreakpoint = true;
      for (;;) {
        const { vm } = this;
        this.sliceStart = this.scheduler.now();
        this.eventsInSlice = 0;
        const before = vm.instructionCount;
        const slept = this.sleptSoFar();
        const exit = vm.run(Math.min(before + this.slice, this.limit), { ignoreBreakpoint });
        ignoreBreakpoint = false;
        const outcome = this.judge(exit);
        if (outcome === "reached") return undefined;
        if (typeof outcome === "object") return outcome;
        if (outcome === "ignored") ignoreBreakpoint = true;
        if (vm.instructionCount >= this.limit) return { kind: "limit" };
        if (outcome === "waiting") await this.waitForInput();
        else if (outcome === "slice" || this.scheduler.now() - this.sliceStart > TARGET_SLICE_MS) {
          this.adapt(vm.instructionCount - before);
          await this.rest(this.sleptSoFar() - slept);
        }
        if (this.isPauseWanted) return { kind: "pause" };
      }
    } finally {
      this.setTargets([]);
    }
  }

  /** One instruction of whatever world. Undefined when it was executed. */
  stepMachine(): Stop | undefined {
    const outcome = this.judge(this.vm.stepMachine());
    return typeof outcome === "object" ? outcome : undefined;
  }

  /** Lets messages in when the time has come; true when a pause is wanted. */
  async breathe(): Promise<boolean> {
    if (this.scheduler.now() - this.sliceStart > TARGET_SLICE_MS) {
      this.decisions.onSlice();
      await this.scheduler.yield();
      this.sliceStart = this.scheduler.now();
    }
    return this.isPauseWanted;
  }

  /** Linear address of the next instruction of what runs. */
  linearPc(): number {
    const { cpu } = this.vm.machine;
    return (cpu.segmentBase(1) + cpu.eip) >>> 0;
  }

  private judge(exit: VmExit): Stop | "reached" | "ignored" | "slice" | "waiting" | "again" {
    switch (exit.kind) {
      case "limit":
        return "slice";
      case "breakpoint":
        return this.atBreakpoint();
      case "event":
        return { kind: "event", event: exit.event, filter: this.decisions.filterOf(exit.event) };
      case "stopped": {
        const hit = this.decisions.dataHits();
        if (hit !== undefined && !this.ignoresStops) return { kind: "data", ...hit };
        return "slice";
      }
      case "waiting-for-input":
        return "waiting";
      case "restart":
        this.decisions.onRestart(exit.text);
        return "again";
      case "unimplemented":
        return { kind: "unimplemented", feature: exit.feature };
      default:
        return { kind: "ended", exit };
    }
  }

  private atBreakpoint(): Stop | "reached" | "ignored" {
    const pc = this.linearPc();
    if (!this.ignoresStops) {
      const breakpoints = this.decisions.breakpointsAt(pc);
      if (breakpoints.length > 0) return { kind: "breakpoint", breakpoints };
    }
    return this.targets.some((target) => target.address === pc && target.isReached()) ? "reached" : "ignored";
  }

  /** Tells the engine where to stop. Called too when breakpoints change. */
  applyBreakpoints(): void {
    const addresses = this.ignoresStops ? new Set<number>() : new Set(this.decisions.addresses());
    for (const target of this.targets) addresses.add(target.address);
    this.vm.machine.engine.setBreakpoints(addresses);
  }

  private setTargets(targets: readonly Target[]): void {
    if (this.targets.length === 0 && targets.length === 0) return;
    this.targets = targets;
    this.applyBreakpoints();
  }

  private adapt(instructions: number): void {
    const elapsed = Math.max(0.05, this.scheduler.now() - this.sliceStart);
    // What was really run counts: a slice that ended early says little about longer ones.
    const ideal = (Math.max(instructions, 1) * TARGET_SLICE_MS) / elapsed;
    this.slice = Math.round(Math.min(LONGEST_SLICE, Math.max(SHORTEST_SLICE, Math.min(ideal, this.slice * 2))));
  }

  private sleptSoFar(): number {
    return this.vm.instructionCount - this.vm.statistics().instructions;
  }

  /** Between slices: lets messages in, and sleeps where the guest's clock has run ahead by sleeping. */
  private async rest(slept: number): Promise<void> {
    this.decisions.onSlice();
    const ahead = slept / INSTRUCTIONS_PER_MS - (this.scheduler.now() - this.sliceStart);
    if (ahead > 1) await this.scheduler.sleep(Math.min(ahead, LONGEST_SLEEP_MS));
    else await this.scheduler.yield();
  }

  private async waitForInput(): Promise<void> {
    this.decisions.onWaiting(true);
    await this.scheduler.sleep(WAIT_MS);
    this.decisions.onWaiting(false);
  }
}
