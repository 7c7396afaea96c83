/**
 * The host's own timer: a hardware interrupt at every multiple of its period while a guest runs, so that a guest that never makes a hypercall
 * still comes out now and then and its pending interrupts are looked at. A sleeping host has no tick.
 */
import type { Machine, ScheduledEvent } from "../../machine";
import { HOST_TIMER_VECTOR } from "./core";

/** Instructions between two ticks: 100 a second at 10 ns an instruction. */
export const TICK_INSTRUCTIONS = 1_000_000;

export class HostTimer {
  private next: ScheduledEvent | null = null;

  constructor(private readonly machine: Machine) {}

  /** Does nothing while it runs. */
  start(): void {
    if (this.next !== null) return;
    const at = (Math.floor(this.machine.now / TICK_INSTRUCTIONS) + 1) * TICK_INSTRUCTIONS;
    this.next = this.machine.events.schedule(at, "host timer", () => {
      this.next = null;
      this.machine.interrupts.raise(HOST_TIMER_VECTOR);
      this.start();
    });
  }
  stop(): void {
    if (this.next === null) return;
    this.machine.events.cancel(this.next);
    this.next = null;
  }
}
