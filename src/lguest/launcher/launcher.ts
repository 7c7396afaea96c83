/**
 * The launcher: lguest's user program. It lays out the guest's memory, makes the devices (console last), loads the kernel, opens the
 * device through which the host is driven, and from then on answers NOTIFY: a device's status, a queue, or a line of the early console.
 *
 * Order of starting up: memory, descriptor page, disks, console, kernel, initrd, boot_params, LHREQ_INITIALIZE.
 */
import type { DiskOptions } from "../api";
import type { LguestModule } from "../host/core";
import type { EventFd, Guest } from "../host/guest";
import { LguestDevice, Lhreq } from "../host/lguest-user";
import { PAGE_SIZE } from "../switcher/layout";
import { initrdSize, writeBootParameters } from "./boot-parameters";
import { Device, type DeviceModel, Status } from "./device";
import { Block } from "./devices/block";
import { Console } from "./devices/console";
import { LauncherFatal, UnusableInput } from "./errors";
import { loadImage } from "./image";
import { DEVICE_PAGES, type LauncherMemory } from "./launcher-memory";
import type { Virtqueue } from "./virtqueue";

export const MIN_MEGABYTES = 1;
/** The initial tables map RAM from 0xC0000000 up to below the Switcher. */
export const MAX_MEGABYTES = 1019;
const MEGABYTE = 0x100000;
/** Text that a NOTIFY prints at most. */
const MAX_EARLY_TEXT = 0x10000;

export interface LauncherOptions {
  readonly image: Uint8Array;
  readonly imageName: string;
  readonly commandLine: string;
  readonly initrd: Uint8Array | undefined;
  readonly disks: readonly DiskOptions[];
}
export interface LauncherOutput {
  print(bytes: Uint8Array, source: "early" | "device"): void;
  warn(text: string): void;
}

/** @throws UnusableInput */
export function checkMemorySize(megabytes: number): void {
  if (!Number.isInteger(megabytes))
    throw new UnusableInput(
      `the guest's memory must be a whole number of MiB: expected ${MIN_MEGABYTES} to ${MAX_MEGABYTES}, found ${megabytes}`,
    );
  if (megabytes < MIN_MEGABYTES)
    throw new UnusableInput(
      `the guest's memory is too small: expected at least ${MIN_MEGABYTES} MiB, found ${megabytes}`,
    );
  if (megabytes > MAX_MEGABYTES)
    throw new UnusableInput(
      `the guest's memory is too large: expected at most ${MAX_MEGABYTES} MiB (what fits between 0xC0000000 and the Switcher), found ${megabytes}`,
    );
}

export class Launcher {
  readonly host: LguestDevice;
  readonly console: Console;
  readonly devices: readonly Device[];
  /** Why the launcher gave up, or null. */
  fatal: string | null = null;
  private readonly eventFds: EventFd[] = [];
  private readonly started = new Set<Device>();
  private nextIrq = 1;
  private nextDescriptor: number;

  /** Loads everything and makes the guest. @throws UnusableInput */
  constructor(
    private readonly module: LguestModule,
    private readonly memory: LauncherMemory,
    private readonly options: LauncherOptions,
    private readonly output: LauncherOutput,
  ) {
    memory.clear();
    this.host = new LguestDevice(
      module,
      { base: memory.base, size: memory.max },
      (descriptor) => this.eventFds[descriptor] ?? null,
    );
    this.nextDescriptor = memory.takePages(1);
    this.console = new Console(memory, (bytes) => output.print(bytes, "device"));
    const blocks = options.disks.map(
      (disk, i) =>
        new Block(memory, {
          bytes: disk.bytes,
          isReadOnly: disk.isReadOnly ?? false,
          name: disk.name ?? `${i}`,
          onWrite: disk.onWrite,
          hasFlush: module.generation.blockHasFlush,
        }),
    );
    this.devices = this.makeDevices([...blocks, this.console]);
    const entry = this.load();
    const result = this.host.write([Lhreq.INITIALIZE, memory.base, memory.limit / PAGE_SIZE, entry]);
    if (result < 0)
      throw new UnusableInput(
        `the host cannot make a guest with ${memory.ramBytes / MEGABYTE} MiB (error ${result}): give the guest, or the host, more memory`,
      );
  }

  get guest(): Guest {
    return this.host.guest as Guest;
  }
  get ramBytes(): number {
    return this.memory.ramBytes;
  }
  /** Who raises an interrupt. */
  irqOwner(irq: number): string | undefined {
    if (irq === 0) return "timer";
    return this.devices.find((device) => device.queues.some((queue) => queue.irq === irq))?.model.name;
  }

  /** What was typed goes to the guest, if it has offered a buffer. */
  enter(bytes: Uint8Array): void {
    this.console.enter(bytes);
    const device = this.devices.find(({ model }) => model === this.console);
    if (device?.isRunning) this.guarded(() => device.service(device.queues[0]));
  }

  /** handle_output: a NOTIFY that no eventfd took. */
  handleOutput(address: number): void {
    this.guarded(() => {
      const device = this.devices.find((candidate) => candidate.address === address);
      if (device) {
        this.updateDeviceStatus(device);
        return;
      }
      for (const candidate of this.devices) {
        const queue = candidate.queues.find((each) => each.address === address);
        if (queue === undefined) continue;
        if (candidate.isRunning) throw new LauncherFatal(`Notification on running ${candidate.model.name}`);
        this.start(candidate);
        candidate.service(queue);
        return;
      }
      this.earlyConsole(address);
    });
  }

  /** Gives the guest back to the host. */
  close(): void {
    this.host.close();
  }

  private earlyConsole(address: number): void {
    // Real launchers have one page more mapped than devices can take.
    if (address >= this.memory.ramBytes + (DEVICE_PAGES + 1) * PAGE_SIZE)
      throw new LauncherFatal(`Bad NOTIFY 0x${address.toString(16)}`);
    const text = this.memory.readText(address, MAX_EARLY_TEXT);
    if (text.length > 0) this.output.print(text, "early");
  }

  private updateDeviceStatus(device: Device): void {
    const status = device.status;
    if (status === 0) device.reset();
    else if (status & Status.FAILED) {
      this.output.warn(`Device ${device.model.name} configuration FAILED`);
      if (device.isRunning) device.reset();
    } else if (status & Status.DRIVER_OK && !device.isRunning) this.start(device);
  }

  /** start_device: each queue gets an eventfd, and somebody who waits for it. */
  private start(device: Device): void {
    device.isRunning = true;
    // A device that was reset keeps its eventfds: the host finds the first of an address only.
    if (!this.started.has(device)) {
      this.started.add(device);
      for (const queue of device.queues) this.attach(device, queue);
    }
    for (const queue of device.queues) device.service(queue);
  }
  private attach(device: Device, queue: Virtqueue): void {
    const descriptor = this.eventFds.length;
    this.eventFds.push({
      count: 0,
      signal: () =>
        this.guarded(() => {
          if (device.isRunning) device.service(queue);
          else this.start(device);
        }),
    });
    this.host.write([Lhreq.EVENTFD, queue.address, descriptor]);
  }
  /** Runs launcher code that may find the guest's rings broken. */
  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof LauncherFatal)) throw error;
      this.fatal ??= error.message;
    }
  }

  private makeDevices(models: readonly DeviceModel[]): Device[] {
    try {
      return models.map((model) => {
        const device = new Device(
          this.memory,
          model,
          this.nextDescriptor,
          () => this.nextIrq++,
          (irq) => this.host.write([Lhreq.IRQ, irq]),
        );
        this.nextDescriptor += device.size;
        return device;
      });
    } catch (error) {
      if (error instanceof LauncherFatal)
        throw new UnusableInput(
          `too many disks: expected devices to fit into ${DEVICE_PAGES} pages, found ${models.length - 1} disks (${error.message})`,
        );
      throw error;
    }
  }

  private load(): number {
    const { initrd, image, imageName, commandLine } = this.options;
    const { ramBytes } = this.memory;
    const initrdBytes = initrdSize(initrd);
    const tables = this.module.generation.hasInitialTables
      ? PAGE_SIZE + Math.ceil(ramBytes / PAGE_SIZE / 1024) * PAGE_SIZE
      : 0;
    const top = ramBytes - initrdBytes - tables;
    if (top < MEGABYTE / 2)
      throw new UnusableInput(
        `the initrd does not fit: expected it to leave room for a kernel in ${ramBytes / MEGABYTE} MiB of memory, found ${initrdBytes} bytes. Give the guest more memory`,
      );
    const { entry } = loadImage(image, imageName, this.memory, top);
    writeBootParameters(this.memory, { commandLine, initrd, kernelAlignment: this.module.generation.kernelAlignment });
    return entry;
  }
}
