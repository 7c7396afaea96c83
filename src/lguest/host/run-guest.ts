/**
 * run_guest: the host's main loop around one guest. Its steps and their order are lguest's; each is a phase here, kept in a field, so that
 * the loop can stop between any two of them (for a breakpoint, an observer, the instruction limit) and go on later as if nothing
 * had been.
 *
 *     top -> hypercalls (ring, then the direct one) -> notify -> interrupt -> asleep? -> enter -> inside -> window -> trap -> top
 */
import type { MachineExit } from "../../machine";
import { StateLayout as L } from "../../x86";
import type { GuestEvent, GuestObserver } from "../api";
import { NO_TRAP, Regs } from "../switcher/layout";
import { canCopy } from "./core";
import {
  describeHypercall,
  describeInterrupt,
  describeTrap,
  type EventDetails,
  makeEvent,
  Statistics,
  SwitchCosts,
  savedRegisters,
  vectorName,
} from "./events";
import { LGUEST_IRQS } from "./generation";
import type { Guest, Vcpu } from "./guest";
import { GateValue } from "./host-kernel";
import { HostTimer } from "./host-timer";
import {
  directArguments,
  doHcall,
  fetchRingArguments,
  initialize,
  LHCALL_RING_SIZE,
  RING_FREE,
  ringEntry,
} from "./hypercalls";
import { interruptObstacle, interruptPending, tryDeliverInterrupt } from "./interrupts-and-traps";
import { killText } from "./kill";
import { sendNotifyToEventfd } from "./lguest-user";
import { archHandleTrap, finishGuestRun, prepareGuestRun } from "./x86-core";

export type RunPhase =
  | "top"
  | "hypercalls"
  | "ring"
  | "direct"
  | "notify"
  | "interrupt"
  | "asleep"
  | "enter"
  | "inside"
  | "window"
  | "trap";

export type RunResult =
  /** The processor stopped for a reason of its own. */
  | { readonly kind: "machine"; readonly exit: Exclude<MachineExit, { kind: "host-gate" | "idle" }> }
  /** The observer stopped before this. */
  | { readonly kind: "event"; readonly event: GuestEvent }
  /** read() gives this address to the launcher. */
  | { readonly kind: "notify"; readonly address: number }
  /** A signal for the launcher. */
  | { readonly kind: "signal" }
  /** HALT, and nothing that could end it is due. */
  | { readonly kind: "asleep" }
  /** See guest.dead. */
  | { readonly kind: "dead" };

/** What the loop asks of its surroundings. */
export interface RunHooks {
  readonly observer: GuestObserver | null;
  /** At the top of each round: input from outside may be handed to devices now. */
  takeInput(): void;
  /** Input waits that takeInput would take. */
  hasInput(): boolean;
  /** Instruction count of the next replayed input, or Infinity. */
  nextInputAt(): number;
  hasSignal(): boolean;
  /** Who raises this interrupt, for names. */
  irqOwner(irq: number): string | undefined;
}

/** How long a guest that may not sleep and may not be interrupted spins in the host before the loop looks again. */
const SPIN_INSTRUCTIONS = 1000;

const FRAMES: Readonly<Record<RunPhase, readonly string[]>> = {
  top: ["run_guest"],
  hypercalls: ["do_hypercalls", "run_guest"],
  ring: ["do_async_hcalls", "do_hypercalls", "run_guest"],
  direct: ["do_hcall", "do_hypercalls", "run_guest"],
  notify: ["send_notify_to_eventfd", "run_guest"],
  interrupt: ["try_deliver_interrupt", "run_guest"],
  asleep: ["schedule", "run_guest"],
  enter: ["lguest_arch_run_guest", "run_guest"],
  inside: ["run_guest_once", "lguest_arch_run_guest", "run_guest"],
  window: ["local_irq_enable", "run_guest"],
  trap: ["lguest_arch_handle_trap", "run_guest"],
};

export class GuestRunner {
  phase: RunPhase = "top";
  /** The last exit, for views. */
  lastExit: { vector: number; name: string; errorCode: number; eip: number; cr2: number } | null = null;
  /** What the observer stopped at. */
  stoppedAt: GuestEvent | null = null;
  private readonly costs: SwitchCosts;
  private readonly timer: HostTimer;
  /** The present step's event has been announced. */
  private isAnnounced = false;
  /** Events since the guest last ran, waiting for their cost. */
  private unpaid: { readonly event: GuestEvent; readonly slept: number }[] = [];
  /** The event of the direct hypercall, from its trap until it is done. */
  private hypercallEvent: GuestEvent | null = null;
  /** do_async_hcalls: status bytes when the drain began, and how many entries may still be looked at. */
  private snapshot: Uint8Array | null = null;
  private ringLeft = 0;
  private ringEvent: GuestEvent | null = null;

  constructor(
    readonly cpu: Vcpu,
    private readonly hooks: RunHooks,
    readonly statistics = new Statistics(),
  ) {
    this.costs = new SwitchCosts(cpu.guest.module.kernel);
    this.timer = new HostTimer(cpu.guest.module.kernel.machine);
  }

  private get guest(): Guest {
    return this.cpu.guest;
  }
  private get now(): number {
    return this.guest.module.kernel.machine.now;
  }
  /** Functions that are active on the host's side, innermost first. */
  get frames(): readonly string[] {
    return FRAMES[this.phase];
  }

  /** Runs until the clock reaches `limit` or something needs the caller. */
  run(limit: number, options: { readonly ignoreBreakpoint?: boolean } = {}): RunResult {
    this.stoppedAt = null;
    let first = options;
    for (;;) {
      const result = this.step(limit, first);
      first = {};
      if (result === null) continue;
      if (result.kind === "event") this.stoppedAt = result.event;
      return result;
    }
  }

  /** One phase. Null: go on. */
  private step(limit: number, options: { readonly ignoreBreakpoint?: boolean }): RunResult | null {
    switch (this.phase) {
      case "top":
        return this.top(limit);
      case "hypercalls":
        this.startHypercalls();
        return null;
      case "ring":
        return this.ring();
      case "direct":
        this.direct();
        return null;
      case "notify":
        return this.notify();
      case "interrupt":
        return this.interrupt();
      case "asleep":
        return this.asleep(limit);
      case "enter":
        return this.enter();
      case "inside":
        return this.inside(limit, options);
      case "window":
        return this.window(limit, options);
      case "trap":
        return this.trap();
    }
  }

  private top(limit: number): RunResult | null {
    const { guest } = this;
    if (guest.dead !== null) return this.die();
    if (this.now >= limit) return { kind: "machine", exit: { kind: "limit" } };
    this.hooks.takeInput();
    this.phase = this.cpu.hcall ? "hypercalls" : "notify";
    return null;
  }

  // -- step 1: hypercalls ----------------------------------------------------------------------------------------------------------
  private startHypercalls(): void {
    const { cpu, guest } = this;
    if (guest.lguestData === null) {
      this.statistics.countHypercall(cpu.reg(Regs.eax), false);
      cpu.event = this.hypercallEvent;
      initialize(cpu);
      cpu.hcall = false;
      this.finishHypercall();
      this.phase = "notify";
      return;
    }
    const status = ringEntry(cpu, 0).status;
    const at = L.RAM_BASE + guest.memBase + status;
    const isReadable = canCopy(guest, status, LHCALL_RING_SIZE);
    this.snapshot = isReadable ? guest.module.kernel.machine.cpu.u8.slice(at, at + LHCALL_RING_SIZE) : null;
    this.ringLeft = this.snapshot === null ? 0 : LHCALL_RING_SIZE;
    this.phase = "ring";
  }

  /** do_async_hcalls: one entry at a time. */
  private ring(): RunResult | null {
    const { cpu, guest } = this;
    const index = cpu.nextHcall;
    if (this.ringLeft === 0 || this.snapshot === null || this.snapshot[index] === RING_FREE) return this.endRing();
    const args = fetchRingArguments(cpu, index);
    if (args === null) {
      cpu.nextHcall = (index + 1) % LHCALL_RING_SIZE;
      guest.kill(killText.fetchingAsync());
      return this.endRing();
    }
    if (this.hooks.observer !== null && !this.isAnnounced) {
      this.ringEvent = this.makeEvent("async", {
        vector: 31,
        name: describeHypercall(args, true).name,
        hypercall: describeHypercall(args, true),
      });
      if (this.announce(this.ringEvent)) return { kind: "event", event: this.ringEvent };
    }
    this.isAnnounced = false;
    this.ringLeft--;
    cpu.nextHcall = (index + 1) % LHCALL_RING_SIZE;
    this.statistics.countHypercall(args.arg0, true);
    cpu.event = this.ringEvent;
    doHcall(cpu, args);
    this.finish(this.ringEvent, "hypercall");
    this.ringEvent = null;
    const { status } = ringEntry(cpu, index);
    if (!canCopy(guest, status, 1)) {
      guest.kill(killText.writingAsyncResult());
      return this.endRing();
    }
    guest.module.kernel.machine.cpu.writePhysical(guest.memBase + status, 1, RING_FREE);
    return cpu.pendingNotify !== 0 && guest.module.generation.defersAfterRingNotify ? this.endRing() : null;
  }
  private endRing(): null {
    this.snapshot = null;
    const isDeferred = this.cpu.pendingNotify !== 0 && this.guest.module.generation.defersAfterRingNotify;
    this.phase = isDeferred ? "notify" : "direct";
    return null;
  }

  private direct(): void {
    const { cpu } = this;
    const args = directArguments(cpu);
    this.statistics.countHypercall(args.arg0, false);
    cpu.event = this.hypercallEvent;
    doHcall(cpu, args);
    cpu.hcall = false;
    this.finishHypercall();
    this.phase = "notify";
  }
  private finishHypercall(): void {
    this.finish(this.hypercallEvent, "hypercall");
    this.hypercallEvent = null;
  }

  // -- steps 2 and 3: what the launcher must see --------------------------------------------------------------------------------------
  private notify(): RunResult | null {
    const { cpu, guest } = this;
    if (cpu.pendingNotify !== 0 && !sendNotifyToEventfd(guest)) {
      const address = cpu.pendingNotify;
      // read() comes in at the top again, and clears this.
      this.phase = "top";
      return { kind: "notify", address };
    }
    if (this.hooks.hasSignal()) {
      this.phase = "top";
      return { kind: "signal" };
    }
    this.phase = "interrupt";
    return null;
  }

  // -- steps 4 to 7: interrupts and sleep ------------------------------------------------------------------------------------------------
  private interrupt(): RunResult | null {
    const { cpu, guest } = this;
    const { irq, more } = interruptPending(cpu);
    if (irq < LGUEST_IRQS) {
      const willDeliver = interruptObstacle(cpu, irq) === null;
      let event: GuestEvent | null = null;
      if (willDeliver && this.hooks.observer !== null) {
        event = this.stoppedEvent ?? this.makeEvent("interrupt", describeInterrupt(irq, this.hooks.irqOwner(irq)));
        if (!this.isAnnounced && this.announce(event)) {
          this.stoppedEvent = event;
          return { kind: "event", event };
        }
      }
      this.isAnnounced = false;
      this.stoppedEvent = null;
      if (willDeliver) this.statistics.countInterrupt(irq);
      tryDeliverInterrupt(cpu, irq, more);
      this.finish(event, "interrupt");
    }
    if (guest.dead !== null) {
      this.phase = "top";
      return null;
    }
    this.phase = cpu.halted ? "asleep" : "enter";
    return null;
  }
  private stoppedEvent: GuestEvent | null = null;

  /** The clock jumps to what is due next; without anything, the caller must wait for input. */
  private asleep(limit: number): RunResult | null {
    const { cpu } = this;
    const { machine } = this.guest.module.kernel;
    const mustLook = interruptPending(cpu).irq < LGUEST_IRQS;
    if (this.now >= limit) return { kind: "machine", exit: { kind: "limit" } };
    const wake = mustLook
      ? this.now + SPIN_INSTRUCTIONS
      : this.hooks.hasInput()
        ? this.now + 1
        : Math.min(this.nextWake(), this.hooks.nextInputAt());
    if (wake === Number.POSITIVE_INFINITY) return { kind: "asleep" };
    machine.sleepUntil(Math.min(wake, limit));
    if (wake <= limit) this.phase = "top";
    return null;
  }
  /** Due time of the next event that could wake the guest; the host's own tick could not. */
  private nextWake(): number {
    this.timer.stop();
    return this.guest.module.kernel.machine.events.nextAt;
  }

  // -- step 8: the guest runs --------------------------------------------------------------------------------------------------------------
  private enter(): RunResult | null {
    const { cpu } = this;
    const { observer } = this.hooks;
    if (observer?.wantsEntries && !this.isAnnounced) {
      const event = this.makeEvent("entry", { vector: NO_TRAP, name: "enter the guest" });
      if (this.announce(event)) return { kind: "event", event };
    }
    this.isAnnounced = false;
    this.payEvents();
    this.timer.start();
    this.statistics.worldSwitches++;
    prepareGuestRun(cpu);
    this.phase = "inside";
    return null;
  }
  private inside(limit: number, options: { readonly ignoreBreakpoint?: boolean }): RunResult | null {
    const exit = this.runProcessor(limit, options);
    if (exit.kind !== "host-gate") return machineResult(exit);
    if (exit.value !== GateValue.GUEST_LEFT) throw hostException(exit.value);
    finishGuestRun(this.cpu);
    this.recordExit();
    this.phase = this.guest.module.kernel.machine.interrupts.pending.length > 0 ? "window" : "trap";
    if (this.phase === "window") this.guest.module.kernel.seatForInterruptWindow();
    return null;
  }
  /** The host turns interrupts on again: hardware interrupts that came while it could not be interrupted are taken now. */
  private window(limit: number, options: { readonly ignoreBreakpoint?: boolean }): RunResult | null {
    const exit = this.runProcessor(limit, options);
    if (exit.kind !== "host-gate") return machineResult(exit);
    if (exit.value !== GateValue.WINDOW_DONE) throw hostException(exit.value);
    this.phase = "trap";
    return null;
  }
  private runProcessor(limit: number, options: { readonly ignoreBreakpoint?: boolean }): MachineExit {
    const { module } = this.guest;
    module.isProcessorRunning = true;
    try {
      return module.kernel.machine.run(limit, options);
    } finally {
      module.isProcessorRunning = false;
    }
  }

  private recordExit(): void {
    const { cpu } = this;
    const vector = cpu.reg(Regs.trapnum);
    this.statistics.countTrap(vector);
    this.exitAt = this.now - this.costs.exit(vector);
    this.lastExit = {
      vector,
      name: vectorName(vector) ?? `vector ${vector}`,
      errorCode: cpu.reg(Regs.errcode),
      eip: cpu.reg(Regs.eip),
      cr2: cpu.lastPagefault,
    };
  }
  private exitAt = 0;

  private trap(): RunResult | null {
    const { cpu } = this;
    if (this.hooks.observer !== null && this.trapEvent === null) {
      const hypercall = cpu.reg(Regs.trapnum) === 31 ? describeHypercall(directArguments(cpu), false) : undefined;
      this.trapEvent = makeEvent("trap", this.exitAt, savedRegisters(cpu), describeTrap(cpu, hypercall));
      if (this.announce(this.trapEvent)) return { kind: "event", event: this.trapEvent };
    }
    this.isAnnounced = false;
    const event = this.trapEvent;
    this.trapEvent = null;
    cpu.event = event;
    archHandleTrap(cpu);
    // A hypercall is only noted here and done in the next round.
    if (cpu.hcall && event?.vector === 31) {
      this.hypercallEvent = event;
      cpu.event = null;
    } else this.finish(event, null);
    this.phase = "top";
    return null;
  }
  private trapEvent: GuestEvent | null = null;

  private die(): RunResult {
    const { dead } = this.guest;
    const event = dead?.kind === "killed" ? this.tellOfDeath(dead.text) : null;
    return event === null ? { kind: "dead" } : { kind: "event", event };
  }
  /**
   * The guest is to die of this, by the host or by the launcher: tells the observer, once, while everything is still there.
   * @returns the event when the observer wants to stop at it; asked again, null
   */
  tellOfDeath(reason: string): GuestEvent | null {
    if (this.hooks.observer === null) return null;
    if (this.killEvent === null) {
      this.killEvent = this.makeEvent("kill", { vector: this.lastExit?.vector ?? NO_TRAP, name: "killed", reason });
      if (this.announce(this.killEvent)) return this.killEvent;
    }
    this.finish(this.killEvent, "killed");
    return null;
  }

  private killEvent: GuestEvent | null = null;

  // -- events --------------------------------------------------------------------------------------------------------------------------------
  private makeEvent(kind: GuestEvent["kind"], details: EventDetails): GuestEvent {
    return makeEvent(kind, this.now, savedRegisters(this.cpu), details);
  }
  /** True: the observer wants to stop before this. It is not asked again. */
  private announce(event: GuestEvent): boolean {
    this.isAnnounced = true;
    if (event.kind !== "entry" && event.kind !== "kill")
      this.unpaid.push({ event, slept: this.guest.module.kernel.machine.slept });
    return this.hooks.observer?.before(event) === "stop";
  }
  private finish(event: GuestEvent | null, outcome: GuestEvent["outcome"] & (string | null)): void {
    this.cpu.event = null;
    if (event === null) return;
    const { dead } = this.guest;
    if (dead?.kind === "killed") {
      event.outcome = "killed";
      event.detail = dead.text;
    } else if (event.outcome === undefined) event.outcome = outcome;
    this.hooks.observer?.after?.(event);
  }
  /** The guest is about to run again: now it is known what each event cost. */
  private payEvents(): void {
    if (this.unpaid.length === 0) return;
    const running = this.now + this.costs.entry - this.guest.module.kernel.machine.slept;
    for (const { event, slept } of this.unpaid) {
      event.cost = running - (event.instructionCount - slept);
      this.hooks.observer?.resumed?.(event);
    }
    this.unpaid = [];
  }

  /** Takes everything of this guest out of the machine's events. */
  dispose(): void {
    this.timer.stop();
  }
}

function machineResult(exit: MachineExit): RunResult {
  if (exit.kind === "host-gate" || exit.kind === "idle") throw new Error(`the host's own code stopped: ${exit.kind}`);
  return { kind: "machine", exit };
}
/** An exception in the host's code is a defect of this program, whatever the guest did. */
function hostException(value: number): Error {
  return new Error(`exception ${value - GateValue.HOST_EXCEPTION} in the host's own code`);
}
