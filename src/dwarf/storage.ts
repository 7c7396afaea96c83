// Bytes of a value, wherever they are: memory, a register, a constant, or pieces of these.
//
// A Storage is a location and
// an offset into it, so that members and elements are storages too and only what is looked at is ever read.

import { I386_REGISTERS, registerName } from "./constants";
import { found, type Lookup, refused } from "./errors";
import { littleEndian, toBytes } from "./expression";
import type { Location } from "./location";

/** How values are read; `FrameContext` fits. */
export interface ValueSource {
  register(number: number): number | undefined;
  readMemory(address: number, length: number): Uint8Array | undefined;
}

/** A change to make: what `encode` gives and the debugger carries out. */
export type Write =
  | { readonly kind: "memory"; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "register"; readonly register: number; readonly name: string; readonly value: number };

const REGISTER_BYTES = 4;

export class Storage {
  constructor(
    readonly location: Location,
    private readonly source: ValueSource,
    readonly offset = 0,
  ) {}

  /** A part of this storage. */
  at(offset: number): Storage {
    if (this.location.kind === "memory") {
      return new Storage({ kind: "memory", address: (this.location.address + offset) >>> 0 }, this.source);
    }
    return new Storage(this.location, this.source, this.offset + offset);
  }

  /** A place in memory, read from the same source. */
  memory(address: number): Storage {
    return new Storage({ kind: "memory", address: address >>> 0 }, this.source);
  }

  get address(): number | undefined {
    return this.location.kind === "memory" ? (this.location.address + this.offset) >>> 0 : undefined;
  }

  get isOptimizedOut(): boolean {
    return this.location.kind === "unavailable" && this.location.isOptimizedOut;
  }

  get isWritable(): boolean {
    const check = (location: Location): boolean =>
      location.kind === "memory" ||
      location.kind === "register" ||
      (location.kind === "pieces" && location.pieces.every((p) => p.bitSize % 8 === 0 && check(p.location)));
    return check(this.location);
  }

  /** The bytes, or why they cannot be had. */
  read(size: number): Lookup<Uint8Array> {
    return this.readFrom(this.location, this.offset, size);
  }

  /** What to write, and where, so that these bytes are here. */
  write(bytes: Uint8Array): Lookup<Write[]> {
    return this.writeTo(this.location, this.offset, bytes);
  }

  private readFrom(location: Location, offset: number, size: number): Lookup<Uint8Array> {
    switch (location.kind) {
      case "memory": {
        const address = (location.address + offset) >>> 0;
        const bytes = this.source.readMemory(address, size);
        if (bytes && bytes.length >= size) return found(bytes.subarray(0, size));
        return refused(`memory at 0x${address.toString(16)} cannot be read`);
      }
      case "register": {
        const value = this.source.register(location.register);
        if (value === undefined) return refused(`${registerName(location.register)} is not known in this frame`);
        if (offset + size > REGISTER_BYTES) return refused(`it does not fit ${registerName(location.register)}`);
        return found(toBytes(BigInt(value), REGISTER_BYTES).subarray(offset, offset + size));
      }
      case "value": {
        const bytes = new Uint8Array(size);
        bytes.set(location.bytes.subarray(offset, offset + size));
        return found(bytes);
      }
      case "pieces":
        return this.readPieces(location.pieces, offset, size);
      case "implicit-pointer":
        return refused("optimized out: a pointer that exists only in the source");
      case "unavailable":
        return refused(location.reason);
    }
  }

  private readPieces(
    pieces: Extract<Location, { kind: "pieces" }>["pieces"],
    offset: number,
    size: number,
  ): Lookup<Uint8Array> {
    let bits = 0n;
    let position = 0;
    const [first, end] = [offset * 8, (offset + size) * 8];
    for (const piece of pieces) {
      const pieceEnd = position + piece.bitSize;
      if (pieceEnd > first && position < end) {
        const bytes = this.readFrom(piece.location, 0, Math.ceil((piece.bitOffset + piece.bitSize) / 8));
        if (!bytes.ok) return bytes;
        const value = BigInt.asUintN(piece.bitSize, littleEndian(bytes.value) >> BigInt(piece.bitOffset));
        const shift = BigInt(position - first);
        bits |= shift >= 0n ? value << shift : value >> -shift;
      }
      position = pieceEnd;
    }
    if (position < end) return refused("a part of it is optimized out");
    return found(toBytes(bits, size));
  }

  private writeTo(location: Location, offset: number, bytes: Uint8Array): Lookup<Write[]> {
    switch (location.kind) {
      case "memory":
        return found([{ kind: "memory", address: (location.address + offset) >>> 0, bytes }]);
      case "register": {
        const name = I386_REGISTERS[location.register];
        const old = this.source.register(location.register);
        if (old === undefined || !name)
          return refused(`${registerName(location.register)} cannot be changed in this frame`);
        if (offset + bytes.length > REGISTER_BYTES) return refused(`it does not fit ${name}`);
        const whole = toBytes(BigInt(old), REGISTER_BYTES);
        whole.set(bytes, offset);
        return found([{ kind: "register", register: location.register, name, value: Number(littleEndian(whole)) }]);
      }
      case "pieces":
        return this.writePieces(location.pieces, offset, bytes);
      case "unavailable":
        return refused(location.reason);
      default:
        return refused("it is stored nowhere: the compiler computes it where it is used");
    }
  }

  private writePieces(
    pieces: Extract<Location, { kind: "pieces" }>["pieces"],
    offset: number,
    bytes: Uint8Array,
  ): Lookup<Write[]> {
    if (!this.isWritable) return refused("it is in several pieces that cannot all be changed");
    const writes: Write[] = [];
    let position = 0;
    for (const piece of pieces) {
      const size = piece.bitSize / 8;
      const from = Math.max(offset, position);
      const to = Math.min(offset + bytes.length, position + size);
      if (from < to) {
        const part = this.writeTo(piece.location, from - position, bytes.subarray(from - offset, to - offset));
        if (!part.ok) return part;
        writes.push(...part.value);
      }
      position += size;
    }
    return found(writes);
  }
}
