/**
 * What every engine does between instructions, once: interrupts, HLT, the STI shadow, single-step traps, delivery of faults, exits. An
 * engine only says how to execute some instructions.
 *
 * Priorities at an instruction boundary as in SDM Vol. 3, table 6-2: trap of the previous instruction (#DB), then external
 * interrupts, then faults of the next instruction.
 */
import { hex } from "../base";
import type { Cpu } from "./cpu";
import type { Engine, EngineName, PendingDelivery, RunExit } from "./engine";
import { DeliveryIntercepted, GuestFault, Unimplemented } from "./fault";
import type { Helper } from "./helpers/helper";
import { deliverException, deliverInterrupt, softwareInterrupt } from "./helpers/interrupts";
import * as L from "./state-layout";
import { Flag, Vector } from "./state-layout";

/** What execute() came back for. cpu.eip and the returned count are exact in each case. */
export type Executed =
  /** Budget used up, or an exit request or interrupt shadow was seen after an instruction. */
  | "boundary"
  /** One iteration of a repeated instruction is done; it is not retired. */
  | "iteration"
  | "breakpoint"
  /** FAULT_PENDING: as throwing a GuestFault, but cheap, for page faults. */
  | "fault";

const HAS_ERROR_CODE = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);

/** Deliveries in a row, without a retired instruction between them, that take no time. */
const FREE_DELIVERIES = 16;

export abstract class RunLoop implements Engine {
  abstract readonly name: EngineName;
  interceptDelivery: ((pending: PendingDelivery) => boolean) | null = null;
  /** The delivery that run() reported and that goes ahead on the next run(). */
  private allowed: PendingDelivery | null = null;

  constructor(readonly cpu: Cpu) {}

  /**
   * Executes at most `budget` instructions from cpu.eip, adding what retires to `retired`. Leaves early when EXIT_REQUEST or INTERRUPT_SHADOW is set after an
   * instruction that can set them. Throws GuestFault with cpu.eip at the instruction.
   */
  protected abstract execute(budget: number, ignoreBreakpoint: boolean): Executed;
  /** Instructions retired by the last execute(), also when it threw. */
  protected retired = 0;

  private deliveriesInARow = 0;

  /** INT n ran: it has cleared TF, so no single-step trap follows it. SDM Vol. 3, 17.3.1.4. */
  private wasInterrupt = false;

  abstract setBreakpoints(linear: ReadonlySet<number>): void;
  abstract flushCode(): void;

  run(budget: number, options: { readonly ignoreBreakpoint?: boolean } = {}): RunExit {
    const cpu = this.cpu;
    let left = budget;
    let ignoreBreakpoint = options.ignoreBreakpoint ?? false;
    for (;;) {
      if (cpu.u32[L.EXIT_REQUEST >> 2] & L.ExitRequest.OUTSIDE) {
        cpu.u32[L.EXIT_REQUEST >> 2] = 0;
        return { kind: "requested" };
      }
      cpu.u32[L.EXIT_REQUEST >> 2] = 0;
      try {
        const shadow = cpu.u32[L.INTERRUPT_SHADOW >> 2] !== 0;
        if (cpu.interruptLine && !shadow && cpu.u32[L.EFLAGS_SYSTEM >> 2] & Flag.IF) this.takeInterrupt();
        if (cpu.u32[L.HALTED >> 2]) return { kind: "halted" };
        if (left === 0) return { kind: "budget" };
        const isStepping = (cpu.u32[L.EFLAGS_SYSTEM >> 2] & Flag.TF) !== 0;
        if (shadow) cpu.u32[L.INTERRUPT_SHADOW >> 2] = 0;
        const one = shadow || isStepping;
        if (one) cpu.u32[L.EXIT_REQUEST >> 2] |= L.ExitRequest.INSIDE;
        this.retired = 0;
        this.wasInterrupt = false;
        let executed: Executed;
        try {
          executed = this.execute(one ? 1 : left, ignoreBreakpoint);
        } finally {
          left -= this.retired;
          cpu.retiredBefore += this.retired;
          if (this.retired > 0) this.deliveriesInARow = 0;
        }
        if (executed === "breakpoint") return { kind: "breakpoint" };
        ignoreBreakpoint = false;
        if (executed === "fault") {
          const exit = this.handleFault(this.takeFault());
          if (exit) return exit;
          left -= this.timeOfDelivery(left);
          continue;
        }
        const holdsTrapOff = this.wasInterrupt || cpu.u32[L.INTERRUPT_SHADOW >> 2] === L.Shadow.STACK;
        if (isStepping && !holdsTrapOff) this.singleStepTrap();
      } catch (error) {
        ignoreBreakpoint = false;
        const exit = this.handle(error);
        if (exit) return exit;
        left -= this.timeOfDelivery(left);
      }
    }
  }

  /**
   * Handlers whose first instruction faults again could go on for ever without retiring anything, and no limit or timer would ever
   * come: after some deliveries in a row, each further one takes an instruction's time.
   */
  private timeOfDelivery(left: number): number {
    if (++this.deliveriesInARow <= FREE_DELIVERIES || left === 0) return 0;
    this.cpu.retiredBefore++;
    return 1;
  }

  /** Wraps a memory access fault recorded in FAULT_* into an exception object and clears it. */
  protected takeFault(): GuestFault {
    const u32 = this.cpu.u32;
    u32[L.FAULT_PENDING >> 2] = 0;
    const vector = u32[L.FAULT_VECTOR >> 2];
    return new GuestFault(vector, (HAS_ERROR_CODE >>> vector) & 1 ? u32[L.FAULT_ERROR >> 2] : undefined);
  }

  /** Calls a helper for an engine; afterwards the loop looks again when interrupts may have become deliverable. */
  protected runHelper(helper: Helper, args: readonly number[]): number {
    const cpu = this.cpu;
    if (helper === softwareInterrupt && this.interceptDelivery !== null) {
      const pending: PendingDelivery = { vector: args[0], errorCode: undefined, source: "software" };
      if (!this.mayDeliver(pending)) throw new DeliveryIntercepted(pending);
    }
    const result = helper.run(cpu, ...args);
    if (helper === softwareInterrupt) this.wasInterrupt = true;
    if (helper.effect !== "continue") {
      const u32 = cpu.u32;
      if (
        (cpu.interruptLine && u32[L.EFLAGS_SYSTEM >> 2] & Flag.IF) ||
        u32[L.EFLAGS_SYSTEM >> 2] & Flag.TF ||
        u32[L.HALTED >> 2]
      )
        u32[L.EXIT_REQUEST >> 2] |= L.ExitRequest.INSIDE;
    }
    return result ?? 0;
  }

  private handle(error: unknown): RunExit | null {
    return error instanceof GuestFault ? this.handleFault(error) : this.handleOther(error);
  }
  private handleFault(fault: GuestFault): RunExit | null {
    const pending = { vector: fault.vector, errorCode: fault.errorCode, source: "exception" as const };
    if (!this.mayDeliver(pending)) return { kind: "delivery", pending };
    const chain: GuestFault[] = [];
    if (deliverException(this.cpu, fault, chain) === "delivered") return null;
    const vectors = chain.map(({ vector }) => vector).join(", ");
    return { kind: "shutdown", reason: `triple fault at EIP ${hex(this.cpu.eip)} (exceptions ${vectors})` };
  }
  private handleOther(error: unknown): RunExit {
    if (error instanceof DeliveryIntercepted) return { kind: "delivery", pending: error.pending };
    if (error instanceof Unimplemented) return { kind: "unimplemented", feature: error.feature };
    throw error;
  }

  private takeInterrupt(): void {
    // The vector must not be acknowledged before it is sure to be delivered, so a debugger is told without it.
    const pending: PendingDelivery = { vector: -1, errorCode: undefined, source: "external" };
    if (!this.mayDeliver(pending)) throw new DeliveryIntercepted(pending);
    this.cpu.u32[L.HALTED >> 2] = 0;
    deliverInterrupt(this.cpu, this.cpu.acknowledgeInterrupt(), undefined, "external", this.cpu.eip);
  }

  /** DR6.BS and #DB after an instruction that began with TF set. SDM Vol. 3, 17.3.1.4. */
  private singleStepTrap(): void {
    const dr6 = (L.DEBUG_REGISTERS >> 2) + 6;
    this.cpu.u32[dr6] |= 0x4000;
    throw new GuestFault(Vector.DB);
  }

  /** Asks the observer once per delivery. */
  private mayDeliver(pending: PendingDelivery): boolean {
    if (this.interceptDelivery === null) return true;
    if (this.allowed !== null && this.allowed.vector === pending.vector && this.allowed.source === pending.source) {
      this.allowed = null;
      return true;
    }
    if (!this.interceptDelivery(pending)) return true;
    this.allowed = pending;
    return false;
  }
}
