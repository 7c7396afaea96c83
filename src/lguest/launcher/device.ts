/**
 * A device on lguest's bus: a record in the descriptor page (type, queues, features, configuration, status), and the guest's way of
 * starting and resetting it. What a kind of device does with its buffers is a DeviceModel, one file each in devices/.
 */
import type { DeviceStateView } from "../api";
import { PAGE_SIZE } from "../switcher/layout";
import { LauncherFatal } from "./errors";
import type { LauncherMemory } from "./launcher-memory";
import { QUEUE_SIZE, ringPages, Virtqueue } from "./virtqueue";

/** Status bits, written by the guest. */
export const Status = { ACKNOWLEDGE: 1, DRIVER: 2, DRIVER_OK: 4, FAILED: 0x80 } as const;
/** Feature bit: interrupt when the ring has run empty, whatever the guest's flag says. */
export const NOTIFY_ON_EMPTY = 24;

/** What a kind of device is. */
export interface DeviceModel {
  /** "console", "block disk.img". */
  readonly name: string;
  /** Virtio device type. */
  readonly type: number;
  /** Numbers of the feature bits that are offered. */
  readonly features: readonly number[];
  readonly config: Uint8Array;
  /** One for each queue: called when the guest notified it, and must take all buffers that it can. */
  readonly queues: readonly ((queue: Virtqueue) => void)[];
  /** The guest started or reset the device. */
  onReset?(): void;
}

/** Offsets in a descriptor. */
const Field = { TYPE: 0, NUM_VQ: 1, FEATURE_LENGTH: 2, CONFIG_LENGTH: 3, STATUS: 4, QUEUES: 5 } as const;
const QUEUE_RECORD = 8;

export class Device {
  readonly queues: readonly Virtqueue[];
  isRunning = false;
  /** Bytes of its descriptor. */
  readonly size: number;
  private readonly featureLength: number;

  /**
   * @param address guest-physical, of its descriptor; the page ends at the next multiple of 4096.
   * @param takeIrq gives the next interrupt number. @param raise sends an interrupt.
   */
  constructor(
    private readonly memory: LauncherMemory,
    readonly model: DeviceModel,
    readonly address: number,
    takeIrq: () => number,
    raise: (irq: number) => void,
  ) {
    this.featureLength = model.features.length === 0 ? 0 : (Math.max(...model.features) >>> 3) + 1;
    this.size = Field.QUEUES + QUEUE_RECORD * model.queues.length + 2 * this.featureLength + model.config.length;
    if (Math.floor((address + this.size) / PAGE_SIZE) !== Math.floor(address / PAGE_SIZE))
      throw new LauncherFatal("Too many devices");
    this.queues = model.queues.map(
      () =>
        new Virtqueue(memory, memory.takePages(ringPages(QUEUE_SIZE)), QUEUE_SIZE, takeIrq(), raise, () =>
          this.hasAccepted(NOTIFY_ON_EMPTY),
        ),
    );
    this.writeDescriptor();
  }

  get status(): number {
    return this.memory.read8(this.address + Field.STATUS);
  }
  /** First 32 feature bits, as offered and as accepted. */
  get features(): number {
    return this.bits(this.featuresAddress);
  }
  get ackedFeatures(): number {
    return this.bits(this.featuresAddress + this.featureLength);
  }
  hasAccepted(feature: number): boolean {
    return (
      feature >>> 3 < this.featureLength &&
      (this.memory.read8(this.featuresAddress + this.featureLength + (feature >>> 3)) & (1 << (feature & 7))) !== 0
    );
  }

  /** The guest notified a queue: all buffers there are handled now. */
  service(queue: Virtqueue): void {
    this.model.queues[this.queues.indexOf(queue)](queue);
  }
  reset(): void {
    for (let i = 0; i < this.featureLength; i++) this.memory.write8(this.featuresAddress + this.featureLength + i, 0);
    for (const queue of this.queues) queue.reset();
    this.isRunning = false;
    this.model.onReset?.();
  }

  state(): DeviceStateView {
    const queues = this.queues.map((queue, index) => ({
      index,
      irq: queue.irq,
      guestPhysical: queue.address,
      size: queue.size,
      available: queue.availIndex,
      used: queue.usedIndex,
      lastSeen: queue.lastSeen,
    }));
    const { name, type } = this.model;
    return {
      name,
      type,
      guestPhysical: this.address,
      status: this.status,
      isRunning: this.isRunning,
      features: this.features,
      ackedFeatures: this.ackedFeatures,
      queues,
    };
  }

  private get featuresAddress(): number {
    return this.address + Field.QUEUES + QUEUE_RECORD * this.model.queues.length;
  }
  private bits(address: number): number {
    let bits = 0;
    for (let i = 0; i < Math.min(4, this.featureLength); i++) bits |= this.memory.read8(address + i) << (8 * i);
    return bits >>> 0;
  }
  private writeDescriptor(): void {
    const { memory, address, model } = this;
    memory.write8(address + Field.TYPE, model.type);
    memory.write8(address + Field.NUM_VQ, model.queues.length);
    memory.write8(address + Field.FEATURE_LENGTH, this.featureLength);
    memory.write8(address + Field.CONFIG_LENGTH, model.config.length);
    this.queues.forEach((queue, i) => {
      const at = address + Field.QUEUES + QUEUE_RECORD * i;
      memory.write16(at, queue.size);
      memory.write16(at + 2, queue.irq);
      memory.write32(at + 4, queue.address / PAGE_SIZE);
    });
    for (const feature of model.features) {
      const at = this.featuresAddress + (feature >>> 3);
      memory.write8(at, memory.read8(at) | (1 << (feature & 7)));
    }
    memory.write(this.featuresAddress + 2 * this.featureLength, model.config);
  }
}
