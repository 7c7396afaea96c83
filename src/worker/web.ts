/*
 * The engine as a Web Worker: the same messages as in index.ts, without Node. Files come from the client
 * (`ring1/readFile`), and a message channel lets messages in between two slices, since timers in browsers wait at least
 * four milliseconds.
 */

import { Session } from "../dap";
import type { Scheduler } from "../debugger";

class WebScheduler implements Scheduler {
  private readonly channel = new MessageChannel();
  private turns: (() => void)[] = [];
  private waker: (() => void) | undefined;

  constructor() {
    this.channel.port1.onmessage = () => this.turns.shift()?.();
  }

  now(): number {
    return performance.now();
  }
  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.turns.push(resolve);
      this.channel.port2.postMessage(0);
    });
  }
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

/** The part of a worker's global scope that is used here; the library's types describe pages. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;
const session = new Session((message) => scope.postMessage(message), {
  scheduler: new WebScheduler(),
  onDisconnect: () => scope.close(),
});
scope.onmessage = (event) => void session.receive(event.data);
