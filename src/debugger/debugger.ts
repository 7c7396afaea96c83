/*
 * The debugger as a person drives it: load, run, pause, step, look. One object per session; it knows no protocol, so a
 * command line or a test can hold it as well as the Debug Adapter.
 *
 * It ties together the machine (lguest), names (symbols.ts), the stack (stack.ts), breakpoints of all kinds, the trap
 * log, and the run loop (run-control.ts), and tells its owner through DebuggerEvents.
 */
import type { GuestEvent, GuestObserver, VirtualMachine } from "../lguest";
import { type Breakpoint, Breakpoints } from "./breakpoints";
import { interpolate } from "./conditions";
import { type ConsoleChunk, ConsoleOutput } from "./console-output";
import { Disassembler } from "./disassembly";
import { guestHasEnded, notRunning, stillRunning, UserError } from "./errors";
import type { Cell } from "./expressions";
import { FrameScope } from "./frame-scope";
import type { LaunchPlan } from "./launch-attributes";
import { type FileAccess, loadProgram, type Program } from "./program";
import { Registers } from "./registers";
import { RunControl, type RunDecisions, type Scheduler, type Stop } from "./run-control";
import { type StackFrame, StackWalker } from "./stack";
import { type Granularity, Stepper, type StepThrough } from "./stepping";
import { describeEnd, describeStop, type EndReport, type StopReport } from "./stop-report";
import type { CodeLocation, Symbols } from "./symbols";
import { TargetMemory } from "./target-memory";
import { TrapBreakpoints } from "./trap-breakpoints";
import { TrapLog, TrapQueries, type World } from "./traps";
import { Watchpoints } from "./watchpoints";

export interface DebuggerStatus {
  state: "starting" | "running" | "stopped" | "ended";
  halted: boolean;
  world: World;
  ring: 0 | 1 | 2 | 3;
  instructionCount: number;
  mips: number;
  lastSequence: number;
  stepThrough: StepThrough;
  at?: CodeLocation;
}

/** What the debugger tells. */
export interface DebuggerEvents {
  stopped(report: StopReport): void;
  continued(): void;
  ended(report: EndReport): void;
  killed(body: { reason: string; why?: string; at: CodeLocation; sequence: number; stopped: boolean }): void;
  console(chunk: ConsoleChunk): void;
  /** A message to the person: a logpoint's text, a warning. */
  output(category: "console" | "important" | "stderr", text: string, place?: CodeLocation): void;
  /** A few times a second while running, and at each stop. */
  status(status: DebuggerStatus): void;
  trapLogChanged(): void;
  /** Breakpoints that are resolved differently now. */
  breakpointsChanged(breakpoints: readonly Breakpoint[]): void;
  /** Memory or registers were changed by a person: what was shown is stale. */
  edited(memory?: { address: number; length: number }): void;
}

const STATUS_EVERY_MS = 250;
const LOG_EVERY_MS = 100;

/** Everything that belongs to one machine. */
export interface Session {
  readonly vm: VirtualMachine;
  readonly symbols: Symbols;
  readonly memory: TargetMemory;
  readonly registers: Registers;
  readonly log: TrapLog;
  readonly queries: TrapQueries;
  readonly stack: StackWalker;
  readonly disassembler: Disassembler;
  readonly run: RunControl;
  readonly stepper: Stepper;
}

export class Debugger {
  readonly breakpoints = new Breakpoints(undefined, () => this.current?.run.applyBreakpoints());
  readonly traps = new TrapBreakpoints();
  readonly data = new Watchpoints();
  stepThrough: StepThrough = "guest";
  private readonly console = new ConsoleOutput();
  private program: Program | undefined;
  private plan: LaunchPlan | undefined;
  private current: Session | undefined;
  private state: DebuggerStatus["state"] = "starting";
  private isWaiting = false;
  private frames: StackFrame[] | undefined;
  private lastFilter = "";
  private lastStop: StopReport | undefined;
  private readonly meter = { at: 0, instructions: 0, mips: 0, statusAt: 0, logAt: 0, lastSequence: 0 };

  constructor(
    private readonly events: DebuggerEvents,
    private readonly scheduler: Scheduler,
    private readonly files: FileAccess,
  ) {
    this.traps.onProblem = (text) => this.events.output("important", `${text}\n`);
  }

  // -- life
  // -------------------------------------------------------------------------------------------------------------------

  /** Reads the files and makes the machine. Nothing runs yet. @throws UserError. */
  async load(plan: LaunchPlan): Promise<void> {
    const program = await loadProgram(plan, this.files);
    for (const what of plan.trapBreakpoints) this.traps.setByName(what);
    this.plan = plan;
    this.stepThrough = plan.stepThrough;
    this.program = program;
    this.adopt(program.vm);
    for (const warning of program.warnings) this.events.output("important", `${warning}\n`);
  }

  /** Lets the guest go; with stopOnEntry only through the host's part of the start, to the guest's first instruction. */
  start(): void {
    if (this.session.vm.ended === null && this.plan!.stopOnEntry && !this.plan!.noDebug)
      this.go(({ vm, run }) => runToEntry(vm, run));
    else this.continue();
  }

  /** A new machine with the same image (or another plan), breakpoints kept; start() lets it go. @throws UserError. */
  async prepareRestart(plan?: LaunchPlan): Promise<void> {
    if (this.program === undefined) throw notRunning();
    await this.halt();
    // Files are read anew: the person has probably built again.
    await this.load(plan ?? this.plan!);
    this.breakpoints.resetHits();
  }

  /** Ends the guest, which stands still by now (see halt). */
  terminate(): void {
    if (this.state === "ended" || this.current === undefined) return;
    this.end({
      cause: "terminated",
      reason: "The guest was ended by the debugger.",
      exitStatus: 0,
      instructionCount: this.current.vm.instructionCount,
    });
  }

  // -- what there is
  // ----------------------------------------------------------------------------------------------------------

  /** @throws UserError when no guest was started. */
  get session(): Session {
    if (this.current === undefined) throw notRunning();
    return this.current;
  }
  /** The same, while the guest stands still. @throws UserError when it runs. */
  get stoppedSession(): Session {
    const session = this.session;
    if (session.run.isRunning) throw stillRunning();
    return session;
  }
  /** @throws UserError when the guest has ended. */
  checkAlive(): void {
    if (this.state === "ended") throw guestHasEnded();
  }
  get isRunning(): boolean {
    return this.current?.run.isRunning ?? false;
  }
  get hasEnded(): boolean {
    return this.state === "ended";
  }
  get launchPlan(): LaunchPlan | undefined {
    return this.plan;
  }
  /** Why it stopped last. */
  get stopReport(): StopReport | undefined {
    return this.lastStop;
  }

  /** Symbol and line of an address; just the address while there is no program. */
  locate(address: number): CodeLocation {
    return this.program?.symbols.locate(address) ?? { address };
  }
  /** Whether a source file is on this computer. */
  isSourceThere(path: string): boolean {
    return this.program?.symbols.isSourceThere(path) ?? true;
  }

  /** The stack of the stopped guest. */
  stackFrames(): readonly StackFrame[] {
    this.frames ??= this.stoppedSession.stack.walk();
    return this.frames;
  }

  /** Names as a frame sees them; of the innermost frame with code when none is given. */
  scope(frame?: StackFrame): FrameScope {
    const session = this.session;
    const chosen =
      frame ?? (session.run.isRunning ? undefined : this.stackFrames().find((candidate) => candidate.kind === "code"));
    return this.makeScope(chosen);
  }

  status(): DebuggerStatus {
    const { current } = this;
    if (current === undefined) {
      return {
        state: this.state,
        halted: false,
        world: "host",
        ring: 0,
        instructionCount: 0,
        mips: 0,
        lastSequence: 0,
        stepThrough: this.stepThrough,
      };
    }
    const { vm } = current;
    const isStopped = this.state === "stopped";
    return {
      state: this.state,
      halted: this.isWaiting || (isStopped && vm.state().isHalted),
      world: vm.world,
      ring: current.registers.ring,
      instructionCount: vm.instructionCount,
      mips: this.state === "running" ? this.meter.mips : 0,
      lastSequence: current.log.lastSequence,
      stepThrough: this.stepThrough,
      ...(isStopped ? { at: current.symbols.locate(current.registers.current().eip) } : {}),
    };
  }

  /** Memory or registers were changed by hand. */
  edited(memory?: { address: number; length: number }): void {
    this.frames = undefined;
    this.events.edited(memory);
  }

  /** Types on the guest's console. */
  consoleInput(text: string): void {
    const { vm, run } = this.session;
    vm.consoleInput(new TextEncoder().encode(text));
    run.wake();
  }

  setStepThrough(mode: StepThrough): void {
    this.stepThrough = mode;
    this.events.status(this.status());
  }

  // -- running
  // ----------------------------------------------------------------------------------------------------------------

  continue(): void {
    this.go((session) => session.run.runUntil());
  }
  stepIn(granularity: Granularity): void {
    this.go((session) => session.stepper.stepIn(granularity, this.stepThrough));
  }
  stepOver(granularity: Granularity): void {
    this.go((session) => session.stepper.stepOver(granularity, this.stepThrough));
  }
  stepOut(): void {
    this.go((session) => session.stepper.stepOut());
  }
  runTo(address: number): void {
    this.go((session) => session.stepper.runTo(address));
  }
  /** Stops at the next boundary; the answer comes as a stop. */
  pause(): void {
    const { run } = this.session;
    if (run.isRunning) run.pause();
  }

  /** Goes on at another place of the same code. @throws UserError when that makes no sense. */
  goto(address: number): void {
    const { vm } = this.stoppedSession;
    if (vm.world !== "guest" && vm.world !== "user")
      throw new UserError("The host is about to act; step once, then jump.");
    vm.setGuestRegister("eip", address);
    this.frames = undefined;
    this.report({ kind: "goto" });
  }

  private go(move: (session: Session) => Promise<Stop | undefined>): void {
    const session = this.stoppedSession;
    this.checkAlive();
    this.frames = undefined;
    this.lastStop = undefined;
    session.run.begin();
    this.state = "running";
    this.data.refresh();
    this.meter.at = this.scheduler.now();
    this.meter.instructions = session.vm.instructionCount;
    this.events.continued();
    this.moving = this.finish(session, move);
  }
  private moving: Promise<void> = Promise.resolve();

  private async finish(session: Session, move: (session: Session) => Promise<Stop | undefined>): Promise<void> {
    // The answer to the request goes out first.
    await this.scheduler.yield();
    let stop: Stop;
    try {
      stop = (await move(session)) ?? { kind: "step" };
    } catch (error) {
      session.run.end();
      this.fail(error);
      return;
    }
    session.run.end();
    this.flush();
    if (this.isDiscarded(session)) return;
    this.report(stop);
  }

  /** A bug of ours: the session ends, what led there can still be looked at. */
  private fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.events.output("stderr", `Ring 1 has made a mistake of its own: ${text}\n`);
    const reason = `Ring 1 has made a mistake of its own: ${text.split("\n")[0]}`;
    this.end({ cause: "failed", reason, exitStatus: 1, instructionCount: this.session.vm.instructionCount });
  }

  private isDiscarded(session: Session): boolean {
    return this.current !== session || this.state === "ended" || this.isHalting;
  }

  /** Stops whatever runs, without telling. */
  async halt(): Promise<void> {
    if (!this.isRunning) return;
    this.isHalting = true;
    this.session.run.pause();
    await this.moving;
    this.isHalting = false;
  }
  private isHalting = false;

  private report(stop: Stop): void {
    const session = this.session;
    if (stop.kind === "ended" || stop.kind === "limit") {
      this.end(describeEnd(stop, session.vm));
      return;
    }
    if (stop.kind === "event" && stop.event.kind === "kill") this.tellKill(stop.event, true);
    this.state = "stopped";
    this.lastStop = describeStop(stop, session.vm, session.symbols);
    this.events.trapLogChanged();
    this.events.status(this.status());
    this.events.stopped(this.lastStop);
  }

  private end(report: EndReport): void {
    this.flush();
    this.state = "ended";
    this.frames = undefined;
    this.events.trapLogChanged();
    this.events.status(this.status());
    this.events.ended(report);
  }

  private tellKill(event: GuestEvent, stopped: boolean): void {
    const { symbols, log } = this.session;
    this.events.killed({
      reason: event.reason ?? "",
      ...(event.detail ? { why: event.detail } : {}),
      at: symbols.locate(event.eip),
      sequence: Math.max(0, log.sequenceOf(event) - 1),
      stopped,
    });
  }

  // -- wiring
  // -----------------------------------------------------------------------------------------------------------------

  private adopt(vm: VirtualMachine): void {
    const { symbols } = this.program!;
    const memory = new TargetMemory(vm);
    const registers = new Registers(vm);
    const log = new TrapLog();
    const queries = new TrapQueries(log, {
      symbol: (address) => symbols.nameOf(address) ?? "",
      path: (address) => symbols.locate(address).path ?? "",
    });
    const stack = new StackWalker(vm, symbols, memory, registers, log);
    const disassembler = new Disassembler({
      read: (address, length) => memory.readSome("linear", address, length),
      symbolAt: (address) => symbols.nameOf(address),
      boundaryBefore: (address, most) => symbols.boundaryBefore(address, most),
    });
    const run = new RunControl(vm, this.scheduler, this.decisions(vm));
    run.limit = this.plan!.maxInstructions;
    run.ignoresStops = this.plan!.noDebug;
    const stepper = new Stepper(run, symbols, disassembler, stack, log);
    this.current = { vm, symbols, memory, registers, log, queries, stack, disassembler, run, stepper };
    this.state = "starting";
    this.frames = undefined;
    vm.observer = this.observer(log, run);
    vm.onConsoleOutput = (bytes, source) => this.console.write(bytes, source);
    vm.onWarning = (text) => this.events.output("console", `${text}\n`);
    this.data.attach(vm, memory);
    const changed = this.breakpoints.useSymbols(symbols);
    run.applyBreakpoints();
    if (changed.length > 0) this.events.breakpointsChanged(changed);
  }

  private observer(log: TrapLog, run: RunControl): GuestObserver {
    const { traps } = this;
    const isQuiet = this.plan!.noDebug;
    return {
      get wantsEntries() {
        return !isQuiet && traps.wantsEntries;
      },
      before: (event) => {
        run.noteEvent();
        if (event.kind !== "entry") log.append(event);
        if (event.kind === "kill" && isQuiet) this.tellKill(event, false);
        if (isQuiet) return undefined;
        const filter = traps.match(event, this.session.vm, (extra) => this.makeScope(undefined, extra));
        if (filter === undefined) {
          if (event.kind === "kill") this.tellKill(event, false);
          return undefined;
        }
        this.lastFilter = filter;
        return "stop";
      },
      after: (event) => {
        log.update(event, false);
        const call = event.hypercall?.number;
        if (!this.data.isEmpty && (call === 4 || call === 5 || call === 14 || call === 15)) this.data.refresh();
      },
      resumed: (event) => log.update(event, true),
    };
  }

  private decisions(vm: VirtualMachine): RunDecisions {
    return {
      addresses: () => this.breakpoints.addresses,
      breakpointsAt: (linear) => this.breakpoints.at(linear, vm).filter((breakpoint) => this.isHit(breakpoint)),
      filterOf: () => this.lastFilter,
      dataHits: () => {
        const hits = this.data
          .takeHits()
          .filter(({ breakpoint }) => breakpoint.condition === undefined || this.holds(breakpoint.condition));
        return hits.length === 0
          ? undefined
          : { ids: hits.map(({ breakpoint }) => breakpoint.id), text: hits.map(({ text }) => text).join("; ") };
      },
      onWaiting: (isWaiting) => {
        this.isWaiting = isWaiting;
        if (isWaiting) this.flush(true);
      },
      onSlice: () => this.flush(),
      onRestart: (text) => {
        this.flush();
        this.events.output("important", `The guest restarts${text ? `: ${text}` : "."}\n`);
      },
    };
  }

  /** Condition, hit count and logpoint of a breakpoint that was reached. */
  private isHit(breakpoint: Breakpoint): boolean {
    if (breakpoint.condition !== undefined && !this.holds(breakpoint.condition)) return false;
    breakpoint.hits++;
    if (breakpoint.isHit !== undefined && !breakpoint.isHit(breakpoint.hits)) return false;
    const { logMessage } = breakpoint.request;
    if (!logMessage) return true;
    const scope = this.topScope();
    const { registers, symbols } = this.session;
    this.events.output(
      "console",
      `${interpolate(logMessage, scope, scope.isTypeName)}\n`,
      symbols.locate(registers.current().eip),
    );
    return false;
  }

  private holds(condition: NonNullable<Breakpoint["condition"]>): boolean {
    try {
      return condition.test(this.topScope());
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.events.output("important", `The condition "${condition.text}" cannot be evaluated: ${error.message}\n`);
      return true;
    }
  }

  private topScope(): FrameScope {
    return this.makeScope(this.session.stack.walk(1).find((frame) => frame.kind === "code"));
  }

  private makeScope(frame: StackFrame | undefined, extra?: ReadonlyMap<string, Cell>): FrameScope {
    const { symbols, memory, registers } = this.session;
    return new FrameScope(
      frame,
      symbols,
      memory,
      registers,
      (change) => {
        this.edited(change.kind === "memory" ? { address: change.address, length: change.bytes.length } : undefined);
      },
      extra,
    );
  }

  /** Hands on what has gathered; at the pace that people read. */
  private flush(isAlways = false): void {
    for (const chunk of this.console.take()) this.events.console(chunk);
    const { meter, current } = this;
    if (current === undefined) return;
    const now = this.scheduler.now();
    if (current.log.lastSequence !== meter.lastSequence && now - meter.logAt >= LOG_EVERY_MS) {
      meter.logAt = now;
      meter.lastSequence = current.log.lastSequence;
      this.events.trapLogChanged();
    }
    if (this.state !== "running" || (now - meter.statusAt < STATUS_EVERY_MS && !isAlways)) return;
    const elapsed = now - meter.at;
    if (elapsed > 1) meter.mips = (current.vm.instructionCount - meter.instructions) / elapsed / 1000;
    meter.at = now;
    meter.statusAt = now;
    meter.instructions = current.vm.instructionCount;
    this.events.status(this.status());
  }
}

/** To the guest's first instruction: its place is known, and only the host has run before. */
async function runToEntry(vm: VirtualMachine, run: RunControl): Promise<Stop> {
  const address = vm.guestRegisters().eip;
  return (await run.runUntil([{ address, isReached: () => vm.world === "guest" }])) ?? { kind: "entry" };
}
