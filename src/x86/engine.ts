/**
 * What runs instructions. Engines differ in how (direct: one function call per instruction; interpreter: generated WebAssembly),
 * never in what: same rows, same helpers, same instruction counts at every exit.
 *
 * run() executes until its budget is used, or something needs attention. It delivers exceptions and external interrupts itself,
 * and comes back only for what a board or a debugger must know. Deterministic: the same state and budget give the same result.
 */
import type { Cpu } from "./cpu";

export type EngineName = "direct" | "interpreter";

export type RunExit =
  /** The budget is used up. */
  | { readonly kind: "budget" }
  /** cpu.requestExit() was called (a device, a watchpoint); the instruction that caused it has retired. */
  | { readonly kind: "requested" }
  /** HLT was executed and no interrupt is deliverable. */
  | { readonly kind: "halted" }
  /** The instruction at cpu.eip has a breakpoint and has not been executed. */
  | { readonly kind: "breakpoint" }
  /** A delivery that `interceptDelivery` asked about is about to happen; run again to let it. */
  | { readonly kind: "delivery"; readonly pending: PendingDelivery }
  /** Third fault in a row: the processor has shut down. Text says which faults. */
  | { readonly kind: "shutdown"; readonly reason: string }
  /** An instruction or feature that does not exist here yet; it has not been executed. */
  | { readonly kind: "unimplemented"; readonly feature: string };

export interface PendingDelivery {
  readonly vector: number;
  readonly errorCode: number | undefined;
  readonly source: "exception" | "software" | "external";
}

export interface Engine {
  readonly name: EngineName;
  readonly cpu: Cpu;
  /**
   * Runs at most `budget` (1 .. 2^31-1) instructions. cpu.retiredBefore has grown by what was retired when it returns.
   * @param options.ignoreBreakpoint do not stop for a breakpoint at the first instruction.
   */
  run(budget: number, options?: { readonly ignoreBreakpoint?: boolean }): RunExit;
  /** Stop before instructions at these linear addresses (CS base + EIP). Never changes guest memory; costs nothing elsewhere. */
  setBreakpoints(linear: ReadonlySet<number>): void;
  /**
   * Asked before a delivery through the IDT (an exception or an external interrupt; also INT n). True: run() returns "delivery" first.
   * Null: never asked.
   */
  interceptDelivery: ((pending: PendingDelivery) => boolean) | null;
  /** Drops everything decoded. Always safe. */
  flushCode(): void;
}
