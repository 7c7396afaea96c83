/*
 * Step in, over and out, by line and by instruction, in two manners. As the guest: the hypervisor is atomic, an
 * instruction that traps and is repeated counts once, and injected interrupts are run through. As the machine: each
 * instruction of the Switcher is a step of its own.
 *
 * A line is stepped by instructions until another line begins; calls, system calls and faults that are stepped over are
 * run at full speed to the place where they come back to, in the same frame.
 */
import type { VirtualMachineInterface } from "../lguest";
import type { CodeLine, Disassembler } from "./disassembly";
import type { RunControl, Stop, Target } from "./run-control";
import type { StackWalker } from "./stack";
import type { Symbols } from "./symbols";
import type { TrapLog } from "./traps";

export type StepThrough = "guest" | "machine";
export type Granularity = "line" | "instruction";

interface Where {
  readonly pc: number;
  readonly esp: number;
  readonly ring: number;
}

/** What happened during one guest instruction. */
interface Move {
  readonly stop?: Stop;
  /** The handler was entered for a fault or a software interrupt of this instruction. */
  readonly enteredHandler: boolean;
}

/** The host takes a fault away or changes the instruction: it is executed again. */
const REPEATED = new Set(["demand-paged", "rewritten", "ignored"]);
const MAX_REPEATS = 64;
const MAX_STEPS_WITHOUT_LINE = 5000;

export class Stepper {
  constructor(
    private readonly run: RunControl,
    private readonly symbols: Symbols,
    private readonly disassembler: Disassembler,
    private readonly stack: StackWalker,
    private readonly log: TrapLog,
  ) {}

  private get vm(): VirtualMachineInterface {
    return this.run.vm;
  }

  async stepIn(granularity: Granularity, through: StepThrough): Promise<Stop> {
    if (through === "machine") {
      if (granularity === "instruction" || !this.isGuest || this.lineHere() === undefined)
        return this.run.stepMachine() ?? STEP;
      return this.machineLine();
    }
    const acted = await this.hostActs("in");
    if (acted !== undefined) return acted;
    if (granularity === "instruction" || this.lineHere() === undefined)
      return (await this.guestInstruction()).stop ?? STEP;
    return this.line("in");
  }

  async stepOver(granularity: Granularity, through: StepThrough): Promise<Stop> {
    if (through === "machine" && !this.isGuest) return this.overMachineInstruction();
    const acted = await this.hostActs("over");
    if (acted !== undefined) return acted;
    if (granularity === "instruction" || this.lineHere() === undefined)
      return (await this.overInstruction()).stop ?? STEP;
    return this.line("over");
  }

  async stepOut(): Promise<Stop> {
    if (!this.isGuest) {
      const first = await this.leaveHost();
      return first ?? STEP;
    }
    const [top, ...rest] = this.stack.walk().filter((frame) => frame.kind === "code");
    if (top?.fn?.isInlined) return this.outOfInlined(top.fn.ranges);
    const caller = rest.find((frame) => frame.depth > top.depth);
    if (caller === undefined) return (await this.run.runUntil()) ?? STEP;
    return (await this.run.runUntil([this.target(caller.pc, { esp: caller.esp, ring: caller.ring })])) ?? STEP;
  }

  /** Runs to an address in this frame or any other. */
  async runTo(address: number): Promise<Stop> {
    return (await this.run.runUntil([{ address, isReached: () => true }])) ?? STEP;
  }

  // -- lines
  // ------------------------------------------------------------------------------------------------------------------

  private async line(kind: "in" | "over"): Promise<Stop> {
    let stretch = this.lineHere()!;
    const startLine = stretch.line;
    const startFile = stretch.file;
    let start = this.where();
    for (let withoutLine = 0; ; ) {
      const before = this.where();
      const code = this.disassembler.at(before.pc);
      const move = kind === "over" ? await this.overInstruction(code) : await this.guestInstruction();
      if (move.stop !== undefined) return move.stop;
      if (await this.run.breathe()) return { kind: "pause" };
      const now = this.where();
      if (kind === "in" && code.flow === "call" && now.pc !== before.pc + code.bytes.length) {
        const entered = await this.enterFunction(before, code);
        if (entered !== undefined) return entered;
        continue;
      }
      if (now.pc >= stretch.start && now.pc < stretch.end && now.ring === start.ring) continue;
      const line = this.lineHere();
      if (line === undefined) {
        if (move.enteredHandler || ++withoutLine > MAX_STEPS_WITHOUT_LINE) return STEP;
        // Code without lines that was jumped to: it is left as fast as it can be.
        continue;
      }
      const isSameLine = line.line === startLine && line.file.path === startFile.path && now.ring === start.ring;
      // In the middle of a line (a call returned, a loop jumped back): the line is finished first.
      if (!isSameLine && (line.rowStart === now.pc || move.enteredHandler)) return STEP;
      stretch = line;
      start = now;
    }
  }

  /** A call was executed: stop behind the prologue, or run through a function without lines. */
  private async enterFunction(before: Where, code: CodeLine): Promise<Stop | undefined> {
    const now = this.where();
    const found = this.symbols.imageAt(now.pc);
    const fn = found?.image.dwarf.functionAt(found.linked);
    if (found !== undefined && fn !== undefined && this.lineHere() !== undefined) {
      const target = found.image.dwarf.prologueEnd(fn) + now.pc - found.linked;
      if (target === now.pc) return STEP;
      return (await this.run.runUntil([{ address: target, isReached: () => this.where().ring === now.ring }])) ?? STEP;
    }
    return this.run.runUntil([this.target(before.pc + code.bytes.length, before)]);
  }

  private async machineLine(): Promise<Stop> {
    const stretch = this.lineHere()!;
    for (;;) {
      const stop = this.run.stepMachine();
      if (stop !== undefined) return stop;
      if (!this.isGuest) return STEP;
      const { pc } = this.where();
      if (pc < stretch.start || pc >= stretch.end) return STEP;
      if (await this.run.breathe()) return { kind: "pause" };
    }
  }

  private async outOfInlined(ranges: readonly { start: number; end: number }[]): Promise<Stop> {
    for (;;) {
      const move = await this.overInstruction();
      if (move.stop !== undefined) return move.stop;
      if (await this.run.breathe()) return { kind: "pause" };
      const { pc } = this.where();
      const linked = this.symbols.imageAt(pc)?.linked ?? pc;
      if (!ranges.some((range) => linked >= range.start && linked < range.end)) return STEP;
    }
  }

  // -- instructions
  // -----------------------------------------------------------------------------------------------------------

  /** One instruction of the guest, with whatever the host does for it. */
  private async guestInstruction(): Promise<Move> {
    const before = this.where();
    for (let repeat = 0; ; repeat++) {
      const newest = this.log.lastSequence;
      const stop = this.run.stepMachine() ?? (await this.leaveHost());
      if (stop !== undefined) return { stop, enteredHandler: false };
      const interrupted = this.injectedSince(newest);
      if (interrupted !== undefined) {
        const back = await this.run.runUntil([this.target(interrupted.pc, interrupted)]);
        if (back !== undefined) return { stop: back, enteredHandler: false };
      }
      const now = this.where();
      const isRepeated = now.pc === before.pc && now.esp === before.esp && this.wasRepeated(newest, before.pc);
      if (isRepeated && repeat < MAX_REPEATS) continue;
      return { enteredHandler: this.enteredHandlerSince(newest, before.pc) };
    }
  }

  /** One instruction; a call, a system call or a fault that the guest handles is run until it comes back. */
  private async overInstruction(code = this.disassembler.at(this.where().pc)): Promise<Move> {
    const before = this.where();
    const next = before.pc + code.bytes.length;
    if (code.flow === "call") {
      const stop = await this.run.runUntil([this.target(next, before)]);
      return { ...(stop === undefined ? {} : { stop }), enteredHandler: false };
    }
    const move = await this.guestInstruction();
    if (move.stop !== undefined || !move.enteredHandler) return move;
    const targets = code.flow === "interrupt" ? [next] : [before.pc, next];
    const stop = await this.run.runUntil(targets.map((address) => this.target(address, before)));
    return { ...(stop === undefined ? {} : { stop }), enteredHandler: false };
  }

  private async overMachineInstruction(): Promise<Stop> {
    const { cpu } = this.vm.machine;
    const pc = this.run.linearPc();
    const esp = cpu.reg(4);
    const code = this.disassembler.at(pc);
    const stop = this.run.stepMachine();
    if (stop !== undefined || code.flow !== "call") return stop ?? STEP;
    const address = pc + code.bytes.length;
    return (await this.run.runUntil([{ address, isReached: () => cpu.reg(4) >= esp }])) ?? STEP;
  }

  /**
   * From a stop before the host acts: it acts. Where that leads elsewhere (a handler, behind an emulated instruction)
   * was the step; a handler that is stepped over is run first. Undefined when the guest is where it was.
   */
  private async hostActs(kind: "in" | "over"): Promise<Stop | undefined> {
    if (this.isGuest) return undefined;
    const newest = this.log.lastSequence - 1;
    const before = this.where();
    const code = this.disassembler.at(before.pc);
    const stop = await this.leaveHost();
    if (stop !== undefined) return stop;
    if (this.where().pc === before.pc) return undefined;
    if (kind === "in" || !this.enteredHandlerSince(newest, before.pc)) return STEP;
    const targets = [before.pc, before.pc + code.bytes.length];
    return (await this.run.runUntil(targets.map((address) => this.target(address, before)))) ?? STEP;
  }

  /** Runs the host and the Switcher until the guest is about to go on. */
  private async leaveHost(): Promise<Stop | undefined> {
    while (!this.isGuest) {
      const stop = this.run.stepMachine();
      if (stop !== undefined) return stop;
      if (this.vm.ended !== null) return { kind: "ended", exit: this.vm.ended };
      if (await this.run.breathe()) return { kind: "pause" };
    }
    return undefined;
  }

  // -- questions
  // --------------------------------------------------------------------------------------------------------------

  private get isGuest(): boolean {
    return this.vm.world === "guest" || this.vm.world === "user";
  }

  private where(): Where {
    const { eip, esp, cs } = this.vm.guestRegisters();
    return { pc: eip >>> 0, esp: esp >>> 0, ring: cs & 3 };
  }

  /** The source line here, its stretch moved to where the code runs. */
  private lineHere() {
    const { pc } = this.where();
    const found = this.symbols.imageAt(pc);
    if (found === undefined) return undefined;
    const line = found.image.dwarf.lineAt(found.linked);
    if (!line.ok) return undefined;
    const delta = pc - found.linked;
    const { file, line: number, start } = line.value;
    return { file, line: number, rowStart: start + delta, ...shifted(line.value.stretch, delta) };
  }

  private target(address: number, frame: { readonly esp: number; readonly ring: number }): Target {
    return {
      address: address >>> 0,
      isReached: () => {
        const now = this.where();
        // A deeper call of the same function stands lower on the stack; other rings have other stacks.
        return this.isGuest && now.ring === frame.ring && now.esp >= frame.esp;
      },
    };
  }

  /** Where an interrupt that was injected since then has interrupted the guest. */
  private injectedSince(newest: number): Where | undefined {
    for (let n = this.log.lastSequence; n > newest; n--) {
      const entry = this.log.entry(n);
      if (entry?.kind !== "interrupt") continue;
      const registers = new Map(this.log.registersOf(n)?.map(({ name, value }) => [name, value]));
      return { pc: entry.eip, esp: registers.get("esp") ?? 0, ring: entry.cpl };
    }
    return undefined;
  }

  private wasRepeated(newest: number, pc: number): boolean {
    for (let n = this.log.lastSequence; n > newest; n--) {
      const entry = this.log.entry(n);
      if (entry === undefined || entry.eip !== pc) continue;
      if (entry.kind === "hostInterrupt" || REPEATED.has(entry.outcome ?? "")) return true;
    }
    return false;
  }

  private enteredHandlerSince(newest: number, pc: number): boolean {
    for (let n = this.log.lastSequence; n > newest; n--) {
      const entry = this.log.entry(n);
      if (entry?.eip === pc && (entry.outcome === "reflected" || entry.outcome === "direct")) return true;
    }
    return false;
  }
}

const STEP: Stop = { kind: "step" };

function shifted(range: { start: number; end: number }, delta: number): { start: number; end: number } {
  return { start: range.start + delta, end: range.end + delta };
}
