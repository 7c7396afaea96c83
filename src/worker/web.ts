/*
 * The engine as a Web Worker: the same messages as in index.ts, without Node. Files come from the client
 * (`ring1/readFile`), and a message channel lets messages in between two slices, since timers in browsers wait at least
 * four milliseconds.
 */

import { Session } from "../dap";
import { TimerScheduler } from "./timer-scheduler";

class WebScheduler extends TimerScheduler {
  private readonly channel = new MessageChannel();
  private turns: (() => void)[] = [];

  constructor() {
    super();
    this.channel.port1.onmessage = () => this.turns.shift()?.();
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.turns.push(resolve);
      this.channel.port2.postMessage(0);
    });
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
