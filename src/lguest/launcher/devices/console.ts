/**
 * The console: queue 0 carries what was typed to the guest, queue 1 what the guest prints. No features, no configuration. Output is done at
 * the notification, before the guest runs on: drivers spin for it with interrupts off.
 */
import type { DeviceModel } from "../device";
import { LauncherFatal } from "../errors";
import type { LauncherMemory } from "../launcher-memory";
import type { Virtqueue } from "../virtqueue";

const TYPE_CONSOLE = 3;
/** Most that one notification prints: descriptors may name the same memory again and again. */
const MAX_OUTPUT = 0x800000;

export class Console implements DeviceModel {
  readonly name = "console";
  readonly type = TYPE_CONSOLE;
  readonly features = [];
  readonly config = new Uint8Array(0);
  readonly queues = [(queue: Virtqueue) => this.input(queue), (queue: Virtqueue) => this.output(queue)];
  /** Typed, and not yet taken by the guest. */
  private waiting: Uint8Array[] = [];

  constructor(
    private readonly memory: LauncherMemory,
    private readonly print: (bytes: Uint8Array) => void,
  ) {}

  /** Bytes for the guest; they wait until it offers a buffer. */
  enter(bytes: Uint8Array): void {
    if (bytes.length > 0) this.waiting.push(bytes);
  }
  /** What the guest has not taken, for another console that comes after this one. */
  takeWaiting(): Uint8Array[] {
    return this.waiting.splice(0);
  }

  /** console_input: each chunk fills as much of one buffer as it can, with an interrupt for each. */
  private input(queue: Virtqueue): void {
    while (this.waiting.length > 0) {
      const buffer = queue.next();
      if (buffer === null) return;
      if (buffer.output.length > 0) throw new LauncherFatal("Output buffers in console in queue?");
      const chunk = this.waiting[0];
      let done = 0;
      for (const { address, length } of buffer.input) {
        const part = chunk.subarray(done, done + length);
        this.memory.write(address, part);
        done += part.length;
      }
      if (done < chunk.length && done > 0) this.waiting[0] = chunk.subarray(done);
      else if (done >= chunk.length) this.waiting.shift();
      queue.complete(buffer, done);
      queue.triggerInterrupt();
    }
  }
  /** console_output. */
  private output(queue: Virtqueue): void {
    let left = MAX_OUTPUT;
    for (let buffer = queue.next(); buffer !== null; buffer = queue.next()) {
      if (buffer.input.length > 0) throw new LauncherFatal("Input buffers in console output queue?");
      for (const { address, length } of buffer.output) {
        const part = Math.min(length, left);
        if (part > 0) this.print(this.memory.read(address, part));
        left -= part;
      }
      queue.complete(buffer, 0);
    }
  }
}
