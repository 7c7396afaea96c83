/**
 * The door for input: what is typed waits here until the host's loop comes to its top, where it is written into the journal with its
 * instruction count and handed over. In a replay the journal's entries are handed over at the same counts instead.
 *
 * At one instruction count the loop may pass its top twice; input is taken at the first pass only, or a replay could not tell which.
 */
import type { Machine } from "../machine";

const CONSOLE = "console";

export class InputQueue {
  private waiting: Uint8Array[] = [];
  private lastTop = -1;

  constructor(private readonly machine: Machine) {}

  /** A number that is fixed when the run begins. In a replay, what it was then. */
  constant(channel: string, value: number): number {
    const { journal } = this.machine;
    if (journal.isReplay) {
      const entry = journal.due(0);
      if (entry === undefined || entry.channel !== channel)
        throw new Error(`the journal does not begin with ${channel}`);
      return Number(new TextDecoder().decode(entry.data));
    }
    journal.record(0, channel, new TextEncoder().encode(String(value)));
    return value;
  }

  /** @throws Error in a replay. */
  add(bytes: Uint8Array): void {
    if (this.machine.journal.isReplay) throw new Error("a replay takes its input from the journal");
    if (bytes.length > 0) this.waiting.push(bytes.slice());
  }
  get isWaiting(): boolean {
    return this.waiting.length > 0;
  }

  /** Hands over what is due. */
  take(accept: (bytes: Uint8Array) => void): void {
    const { journal, now } = this.machine;
    if (now === this.lastTop) return;
    this.lastTop = now;
    if (journal.isReplay) {
      for (let entry = journal.due(now); entry !== undefined; entry = journal.due(now)) accept(entry.data);
      return;
    }
    const taken = this.waiting;
    this.waiting = [];
    for (const bytes of taken) {
      journal.record(now, CONSOLE, bytes);
      accept(bytes);
    }
  }
}
