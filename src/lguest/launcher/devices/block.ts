/**
 * The block device: a raw disk image of 512-byte sectors. A request is a header that the device reads, data either way, and a status
 * byte that it writes. A read-only disk answers writes with an error. VIRTIO 1.0, 5.2 (legacy interface).
 */
import type { DeviceModel } from "../device";
import { LauncherFatal } from "../errors";
import type { LauncherMemory } from "../launcher-memory";
import { type Buffer, lengthOf, type Piece, type Virtqueue } from "../virtqueue";

const TYPE_BLOCK = 2;
const SECTOR = 512;
const Feature = { BARRIER: 0, SEG_MAX: 2, FLUSH: 9 } as const;
/** Bits of a request's type. */
const Request = { OUT: 1, SCSI: 2, FLUSH: 4 } as const;
const Status = { OK: 0, IOERR: 1, UNSUPPORTED: 2 } as const;
const HEADER_SIZE = 16;
const CONFIG_SIZE = 16;
/** Queue entries less header and status. */
const SEG_MAX = 254;

export interface BlockOptions {
  readonly bytes: Uint8Array;
  readonly isReadOnly: boolean;
  readonly name: string;
  /** Offers FLUSH (from 3.1 on) instead of BARRIER. */
  readonly hasFlush: boolean;
  readonly onWrite?: (offset: number, length: number) => void;
}

export class Block implements DeviceModel {
  readonly name: string;
  readonly type = TYPE_BLOCK;
  readonly features: readonly number[];
  readonly config = new Uint8Array(CONFIG_SIZE);
  readonly queues = [(queue: Virtqueue) => this.service(queue)];

  constructor(
    private readonly memory: LauncherMemory,
    private readonly options: BlockOptions,
  ) {
    this.name = `block ${options.name}`;
    this.features = options.hasFlush ? [Feature.SEG_MAX, Feature.FLUSH] : [Feature.BARRIER, Feature.SEG_MAX];
    const view = new DataView(this.config.buffer);
    view.setBigUint64(0, BigInt(Math.floor(options.bytes.length / SECTOR)), true);
    view.setUint32(12, SEG_MAX, true);
  }

  private service(queue: Virtqueue): void {
    for (let buffer = queue.next(); buffer !== null; buffer = queue.next())
      queue.complete(buffer, this.request(buffer));
  }

  /** blk_request. The number of bytes written to the guest. */
  private request({ head, output, input }: Buffer): number {
    if (output.length === 0 || input.length === 0)
      throw new LauncherFatal(`Bad virtblk cmd ${head} out=${output.length} in=${input.length}`);
    const [header, ...data] = output;
    const status = input[input.length - 1];
    if (header.length !== HEADER_SIZE) throw new LauncherFatal(`Bad iovec size ${header.length} for ${this.name}`);
    if (status.length !== 1) throw new LauncherFatal(`Bad iovec size ${status.length} for ${this.name}`);
    const type = this.memory.read32(header.address);
    const at = (this.memory.read32(header.address + 8) + this.memory.read32(header.address + 12) * 2 ** 32) * SECTOR;
    const answer = (result: number, written: number): number => {
      this.memory.write8(status.address, result);
      return written + 1;
    };
    if (type & Request.SCSI) return answer(Status.UNSUPPORTED, 0);
    if (type & Request.OUT) return answer(this.write(at, data), 0);
    if (type & Request.FLUSH && this.options.hasFlush) return answer(Status.OK, 0);
    return this.read(at, input.slice(0, -1), answer);
  }
  private write(at: number, data: readonly Piece[]): number {
    const length = lengthOf(data);
    if (at + length > this.options.bytes.length) throw new LauncherFatal(`Write past end ${at}+${length}`);
    if (this.options.isReadOnly) return Status.IOERR;
    let to = at;
    for (const piece of data) {
      this.options.bytes.set(this.memory.read(piece.address, piece.length), to);
      to += piece.length;
    }
    this.options.onWrite?.(at, length);
    return Status.OK;
  }
  /** Reads what there is: at the end of the disk fewer bytes, beyond it none and an error. */
  private read(at: number, pieces: readonly Piece[], answer: (result: number, written: number) => number): number {
    let from = at;
    for (const { address, length } of pieces) {
      const part = this.options.bytes.subarray(Math.min(from, this.options.bytes.length), from + length);
      this.memory.write(address, part);
      from += part.length;
      if (part.length < length) break;
    }
    const isBeyond = at > this.options.bytes.length;
    return answer(isBeyond ? Status.IOERR : Status.OK, from - at);
  }
}
