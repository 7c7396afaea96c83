/**
 * The guest's memory as its launcher sees it: mapped once, RAM first, then pages for devices, handed out upward. The launcher writes it
 * like a program writes its own memory; the processor is told, so that decoded code never goes stale.
 */
import type { Machine } from "../../machine";
import { StateLayout as L } from "../../x86";
import { PAGE_SIZE } from "../switcher/layout";
import { LauncherFatal } from "./errors";

/** Pages behind RAM that devices may take. */
export const DEVICE_PAGES = 256;

export class LauncherMemory {
  /** End of what the guest may touch: RAM and the device pages taken so far. */
  limit: number;
  /** Hard end. */
  readonly max: number;
  private isUsed = false;

  /** @param base host-physical address of guest-physical 0. @param ramBytes guest RAM. */
  constructor(
    private readonly machine: Machine,
    readonly base: number,
    readonly ramBytes: number,
  ) {
    this.limit = ramBytes;
    this.max = ramBytes + DEVICE_PAGES * PAGE_SIZE;
  }

  /** All zero, no device pages: a new process. */
  clear(): void {
    const { cpu, engine } = this.machine;
    // A new machine's memory is zero already; touching it all would only cost time and memory.
    if (this.isUsed) cpu.u32.fill(0, (L.RAM_BASE + this.base) >> 2, (L.RAM_BASE + this.base + this.max) >> 2);
    this.isUsed = true;
    engine.flushCode();
    this.limit = this.ramBytes;
  }
  /** get_pages: pages for a device. Their guest-physical address. */
  takePages(count: number): number {
    const address = this.limit;
    if (address + count * PAGE_SIZE > this.max) throw new LauncherFatal("Not enough memory for devices");
    this.limit += count * PAGE_SIZE;
    return address;
  }

  read8(address: number): number {
    return this.machine.cpu.readPhysical(this.base + address, 1);
  }
  read16(address: number): number {
    return this.machine.cpu.readPhysical(this.base + address, 2);
  }
  read32(address: number): number {
    return this.machine.cpu.readPhysical(this.base + address, 4);
  }
  write8(address: number, value: number): void {
    this.machine.cpu.writePhysical(this.base + address, 1, value);
  }
  write16(address: number, value: number): void {
    this.machine.cpu.writePhysical(this.base + address, 2, value);
  }
  write32(address: number, value: number): void {
    this.machine.cpu.writePhysical(this.base + address, 4, value);
  }
  /** A copy of bytes. */
  read(address: number, length: number): Uint8Array {
    const at = L.RAM_BASE + this.base + address;
    return this.machine.cpu.u8.slice(at, at + length);
  }
  write(address: number, bytes: Uint8Array): void {
    const { cpu } = this.machine;
    cpu.u8.set(bytes, L.RAM_BASE + this.base + address);
    const end = this.base + address + bytes.length;
    for (let at = this.base + address; at < end; ) {
      const size = Math.min(end, (at & ~(PAGE_SIZE - 1)) + PAGE_SIZE) - at;
      cpu.code.written(at, size);
      at += size;
    }
  }
  /** The NUL-terminated text at an address, cut at `most` bytes and at the end of memory. */
  readText(address: number, most: number): Uint8Array {
    const start = Math.min(address, this.max);
    const bytes = this.read(start, Math.min(most, this.max - start));
    const end = bytes.indexOf(0);
    return end < 0 ? bytes : bytes.subarray(0, end);
  }
}
