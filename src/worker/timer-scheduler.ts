/*
 * The part of a scheduler that every JavaScript host does alike: its clock, and a sleep that can be ended early. How
 * messages are let in between two slices differs, and is left to node-host.ts and web.ts.
 */
import type { Scheduler } from "../debugger";

export abstract class TimerScheduler implements Scheduler {
  private waker: (() => void) | undefined;

  now(): number {
    return performance.now();
  }
  abstract yield(): Promise<void>;
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.waker = () => {
        clearTimeout(timer);
        this.waker = undefined;
        resolve();
      };
    });
  }
  wake(): void {
    this.waker?.();
  }
}
