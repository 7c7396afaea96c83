/**
 * What interrupts the execution of an instruction, as objects that are thrown: a fault of the guest, a delivery that an observer wants to
 * see first, and a feature that is missing. Each is caught in one place only, run-loop.ts.
 */
import type { PendingDelivery } from "./engine";

/**
 * A fault found while an instruction executes: thrown by helpers, caught by the engine's run loop, which then delivers it through
 * the IDT (helpers/interrupts.ts). Nothing architectural has changed when it is thrown, except CR2 for a page fault.
 * SDM Vol. 3, 6.5 (faults restart the instruction).
 */
export class GuestFault {
  /**
   * @param vector exception number, 0-31
   * @param errorCode pushed error code, or undefined for vectors that have none
   */
  constructor(
    readonly vector: number,
    readonly errorCode: number | undefined = undefined,
  ) {}
}

/** Thrown for an instruction or feature that the processor does not have yet: loud, named, never silent. */
export class Unimplemented extends Error {
  constructor(readonly feature: string) {
    super(`not implemented: ${feature}`);
    this.name = "Unimplemented";
  }
}

/** Thrown instead of delivering through the IDT, when an observer wants to see it first (Engine.interceptDelivery). Nothing has changed. */
export class DeliveryIntercepted {
  constructor(readonly pending: PendingDelivery) {}
}
