/**
 * The board: processor, RAM, ports, interrupt controller, clock, events, journal. Its clock is the number of retired instructions and
 * nothing else. run() is the one loop: run the processor to the next event, fire the event, go on, until a reason to stop.
 *
 * It knows no hypervisor and no debugger; they see exit reasons. Next: ../lguest/host for who drives it.
 */
import { type Cpu, Cpu as CpuClass, createEngine, type Engine, type EngineName, type PendingDelivery } from "../x86";
import { HOST_GATE_PORT, HostGate } from "./devices/host-gate";
import { InterruptController } from "./devices/interrupt-controller";
import { EventQueue } from "./event-queue";
import { Journal, type JournalEntry } from "./journal";
import { PortBus } from "./port-bus";
import { hashState } from "./state-hash";

export type MachineExit =
  /** The instruction count given to run() is reached. */
  | { readonly kind: "limit" }
  /** Ring-0 code wrote to the host gate. */
  | { readonly kind: "host-gate"; readonly value: number }
  /** The processor is halted and nothing is scheduled that could wake it before the limit. */
  | { readonly kind: "idle" }
  /** Somebody called stop(). */
  | { readonly kind: "stopped"; readonly reason: string }
  | { readonly kind: "breakpoint" }
  | { readonly kind: "delivery"; readonly pending: PendingDelivery }
  | { readonly kind: "shutdown"; readonly reason: string }
  | { readonly kind: "unimplemented"; readonly feature: string };

export interface MachineOptions {
  /** Bytes of RAM, a multiple of 64 KiB. */
  readonly ramSize: number;
  readonly engine: EngineName;
  /** Entries to replay; absent: a live run. */
  readonly replay?: readonly JournalEntry[];
}

/** Longest uninterrupted run of the processor, so that requests from outside are seen in time. */
const SLICE = 1 << 30;

export class Machine {
  readonly cpu: Cpu;
  readonly engine: Engine;
  readonly ports = new PortBus();
  readonly events = new EventQueue();
  readonly interrupts: InterruptController;
  readonly journal: Journal;
  private pendingExit: MachineExit | null = null;
  private sleptSoFar = 0;

  constructor(options: MachineOptions) {
    this.cpu = new CpuClass(options.ramSize);
    this.engine = createEngine(options.engine, this.cpu);
    this.cpu.ports = this.ports;
    this.interrupts = new InterruptController(this.cpu);
    this.journal = new Journal(options.replay);
    this.ports.attach(HOST_GATE_PORT, 1, new HostGate((value) => this.leave({ kind: "host-gate", value })));
  }

  /** Instructions retired since reset: the machine's time. */
  get now(): number {
    return this.cpu.instructionCount();
  }

  /** Leave the current or next run() at the next instruction boundary. The first reason wins until it is reported. */
  stop(reason: string): void {
    this.leave({ kind: "stopped", reason });
  }

  /**
   * Runs until the instruction count reaches `limit` or something else needs attention.
   * @param options.ignoreBreakpoint do not stop for a breakpoint at the very first instruction.
   */
  run(limit: number, options: { readonly ignoreBreakpoint?: boolean } = {}): MachineExit {
    let ignoreBreakpoint = options.ignoreBreakpoint ?? false;
    for (;;) {
      this.events.fireDue(this.now);
      if (this.pendingExit !== null) {
        const exit = this.pendingExit;
        this.pendingExit = null;
        return exit;
      }
      if (this.now >= limit) return { kind: "limit" };
      const until = Math.min(limit, this.events.nextAt, this.now + SLICE);
      const exit = this.engine.run(until - this.now, { ignoreBreakpoint });
      ignoreBreakpoint = false;
      switch (exit.kind) {
        case "budget":
        case "requested":
          break;
        case "halted":
          if (!this.skipIdleTime(limit)) return { kind: "idle" };
          break;
        default:
          return exit;
      }
    }
  }

  /** Takes back what stop() asked for and nobody has been told yet. */
  cancelStop(): void {
    if (this.pendingExit?.kind === "stopped") this.pendingExit = null;
  }

  /** Time that passed without instructions, in instructions. */
  get slept(): number {
    return this.sleptSoFar;
  }
  /** Nothing runs until then: the clock jumps there, and what is due by then happens. */
  sleepUntil(at: number): void {
    if (at > this.now) {
      this.sleptSoFar += at - this.now;
      this.cpu.retiredBefore = at;
    }
    this.events.fireDue(this.now);
  }

  /** A hash of everything architectural: processor, RAM, time. Equal runs have equal hashes on every engine. */
  stateHash(): string {
    return hashState(this.cpu, this.now);
  }

  private leave(exit: MachineExit): void {
    this.pendingExit ??= exit;
    this.cpu.requestExit();
  }

  /** A halted processor's clock jumps to the next event. False: nothing due before the limit. */
  private skipIdleTime(limit: number): boolean {
    if (this.pendingExit !== null || this.cpu.interruptLine) return true;
    const at = this.events.nextAt;
    if (at > limit) return false;
    this.sleepUntil(at);
    return true;
  }
}
