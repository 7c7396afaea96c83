/**
 * The I/O port space: which device answers which port. Nobody there: reads give all ones, writes vanish, as on an ISA bus; each such
 * port is reported once through `onUnclaimed`, so that a missing device is visible and named.
 */
import type { Ports } from "../x86";

export interface PortDevice {
  readonly name: string;
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
}

export class PortBus implements Ports {
  private readonly devices = new Map<number, PortDevice>();
  private readonly reported = new Set<number>();
  /** Told once per port that nobody answers. */
  onUnclaimed: ((port: number, isWrite: boolean) => void) | null = null;

  /** Claims `count` ports. @throws if one is taken. */
  attach(first: number, count: number, device: PortDevice): void {
    for (let port = first; port < first + count; port++) {
      const holder = this.devices.get(port);
      if (holder) throw new Error(`port ${port.toString(16)} of ${device.name} already belongs to ${holder.name}`);
      this.devices.set(port, device);
    }
  }

  read(port: number, size: number): number {
    const device = this.devices.get(port);
    if (device) return device.readPort(port, size);
    this.report(port, false);
    return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
  }

  write(port: number, size: number, value: number): void {
    const device = this.devices.get(port);
    if (device) device.writePort(port, size, value);
    else this.report(port, true);
  }

  private report(port: number, isWrite: boolean): void {
    if (this.onUnclaimed === null || this.reported.has(port)) return;
    this.reported.add(port);
    this.onUnclaimed(port, isWrite);
  }
}
