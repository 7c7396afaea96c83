// ByteReader with DWARF's own number shapes.
//
// Initial lengths (which tell the 32-bit from the 64-bit format), offsets of
// that format, and addresses. DWARF 5, sections 7.4 and 7.6.

import { ByteReader } from "../base";
import { DwarfError } from "./errors";

export interface InitialLength {
  /** Offset just behind the unit, already checked against the end of the data. */
  readonly end: number;
  /** 4 in the 32-bit format, 8 in the 64-bit format. */
  readonly offsetSize: 4 | 8;
}

export class DwarfReader extends ByteReader {
  override fail(reason: string, offset = this.offset): never {
    throw new DwarfError(reason, this.where, this.base + offset);
  }

  initialLength(): InitialLength {
    const start = this.offset;
    let length = this.u32();
    let offsetSize: 4 | 8 = 4;
    if (length === 0xffffffff) {
      length = this.u64();
      offsetSize = 8;
    } else if (length >= 0xfffffff0) {
      this.fail("reserved unit length", start);
    }
    if (length > this.remaining) this.fail(`a unit of ${length} bytes, but only ${this.remaining} are left`, start);
    return { end: this.offset + length, offsetSize };
  }

  offsetOf(size: 4 | 8): number {
    return size === 4 ? this.u32() : this.u64();
  }
}
