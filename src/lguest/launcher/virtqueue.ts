/**
 * A virtqueue: the legacy split ring in guest memory, read with suspicion. The guest lists buffers in "available", the device answers in
 * "used"; a buffer is a chain of descriptors, those the device reads before those it writes. A ring that breaks the rules is fatal for
 * the launcher. Virtual I/O Device (VIRTIO) 1.0, 2.4 and its legacy sections; lguest aligns to whole pages.
 */
import { PAGE_SIZE } from "../switcher/layout";
import { LauncherFatal } from "./errors";
import type { LauncherMemory } from "./launcher-memory";

/** Entries of every ring here. */
export const QUEUE_SIZE = 256;
const Descriptor = { NEXT: 1, WRITE: 2, INDIRECT: 4, SIZE: 16 } as const;
/** used.flags: the guest need not notify. */
const USED_NO_NOTIFY = 1;
/** avail.flags: no interrupt wanted. */
const AVAIL_NO_INTERRUPT = 1;

/** Longest chain, so that a table that fills all memory does not keep us for minutes. */
const MAX_CHAIN = 4096;

/** A piece of a buffer. */
export interface Piece {
  readonly address: number;
  readonly length: number;
}
/** A buffer as the guest gave it: what to read, then what may be written. */
export interface Buffer {
  readonly head: number;
  readonly output: readonly Piece[];
  readonly input: readonly Piece[];
}

/** Pages that a ring of n entries takes. */
export function ringPages(entries: number): number {
  return Math.ceil((usedOffset(entries) + 4 + 8 * entries) / PAGE_SIZE);
}
function usedOffset(entries: number): number {
  return Math.ceil((16 * entries + 4 + 2 * entries) / PAGE_SIZE) * PAGE_SIZE;
}

export class Virtqueue {
  /** avail.idx up to which buffers were taken. */
  lastSeen = 0;
  /** Something was used since the last interrupt. */
  private owesInterrupt = false;

  /**
   * @param address guest-physical, of the ring. @param raise sends the interrupt.
   * @param name for messages. @param wantsEmptyInterrupt NOTIFY_ON_EMPTY was accepted.
   */
  constructor(
    private readonly memory: LauncherMemory,
    readonly address: number,
    readonly size: number,
    readonly irq: number,
    private readonly raise: (irq: number) => void,
    private readonly wantsEmptyInterrupt: () => boolean,
  ) {}

  get availIndex(): number {
    return this.memory.read16(this.avail + 2);
  }
  get usedIndex(): number {
    return this.memory.read16(this.used + 2);
  }

  /** Empty, as the launcher leaves it after a reset. */
  reset(): void {
    this.memory.write(this.address, new Uint8Array(ringPages(this.size) * PAGE_SIZE));
    this.lastSeen = 0;
    this.owesInterrupt = false;
  }

  /** The next buffer, or null when there is none: then the interrupt that is owed is sent and the guest is asked to notify. */
  next(): Buffer | null {
    if (this.availIndex === this.lastSeen) {
      this.triggerInterrupt();
      this.setNoNotify(false);
      return null;
    }
    this.setNoNotify(true);
    const waiting = (this.availIndex - this.lastSeen) & 0xffff;
    if (waiting > this.size)
      throw new LauncherFatal(`Guest moved used index from ${this.lastSeen} to ${this.availIndex}`);
    const head = this.memory.read16(this.avail + 4 + 2 * (this.lastSeen % this.size));
    this.lastSeen = (this.lastSeen + 1) & 0xffff;
    if (head >= this.size) throw new LauncherFatal(`Guest says index ${head} is available`);
    return this.walk(head);
  }

  /** add_used: gives a buffer back. @param length bytes written to it. */
  complete(buffer: Buffer, length: number): void {
    const index = this.usedIndex;
    const entry = this.used + 4 + 8 * (index % this.size);
    this.memory.write32(entry, buffer.head);
    this.memory.write32(entry + 4, length);
    this.memory.write16(this.used + 2, (index + 1) & 0xffff);
    this.owesInterrupt = true;
  }

  /** trigger_irq: only if something was used since the last one. */
  triggerInterrupt(): void {
    if (!this.owesInterrupt) return;
    this.owesInterrupt = false;
    if (this.memory.read16(this.avail) & AVAIL_NO_INTERRUPT) {
      if (!this.wantsEmptyInterrupt() || this.lastSeen !== this.availIndex) return;
    }
    this.raise(this.irq);
  }

  private get avail(): number {
    return this.address + 16 * this.size;
  }
  private get used(): number {
    return this.address + usedOffset(this.size);
  }
  private setNoNotify(isSet: boolean): void {
    this.memory.write16(this.used, isSet ? USED_NO_NOTIFY : 0);
  }

  private walk(head: number): Buffer {
    let table = this.address;
    let max = this.size;
    let index = head;
    const first = this.descriptor(table, index);
    if (first.flags & Descriptor.INDIRECT) {
      if (first.length % Descriptor.SIZE !== 0) throw new LauncherFatal("Invalid size for indirect buffer table");
      table = this.check(first.address, first.length);
      max = first.length / Descriptor.SIZE;
      index = 0;
    }
    const output: Piece[] = [];
    const input: Piece[] = [];
    for (;;) {
      const { address, length, flags, next } = this.descriptor(table, index);
      const piece = { address: this.check(address, length), length };
      if (flags & Descriptor.WRITE) input.push(piece);
      else {
        if (input.length > 0) throw new LauncherFatal("Descriptor has out after in");
        output.push(piece);
      }
      if (output.length + input.length > Math.min(max, MAX_CHAIN)) throw new LauncherFatal("Looped descriptor");
      if (!(flags & Descriptor.NEXT)) return { head, output, input };
      if (next >= max) throw new LauncherFatal(`Desc next is ${next}`);
      index = next;
    }
  }
  private descriptor(table: number, index: number): { address: number; length: number; flags: number; next: number } {
    const at = table + index * Descriptor.SIZE;
    // Addresses have 64 bits, but a pointer of a 32-bit launcher keeps the low ones.
    return {
      address: this.memory.read32(at),
      length: this.memory.read32(at + 8),
      flags: this.memory.read16(at + 12),
      next: this.memory.read16(at + 14),
    };
  }
  /** check_pointer. */
  private check(address: number, length: number): number {
    if (address >= this.memory.limit || address + length >= this.memory.limit)
      throw new LauncherFatal(`Invalid address 0x${address.toString(16)}`);
    return address;
  }
}

/** Total bytes of pieces. */
export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
