// Bytes from outside, read with suspicion.
//
// ByteSource is where bytes come from (a whole file in memory, or a file read piece by piece); ByteReader walks over
// a stretch of them, little-endian, and checks every step: whoever reads past the end gets a FormatError that names
// the section and the offset, never a RangeError or a silent undefined. The numbers it gives are plain numbers as
// long as they fit 53 bits; the *Big forms give all 64.

/** Random access to bytes. `read` gives at most `length` bytes, fewer where the source ends; the result is not to be written to. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** A source over bytes that are in memory already; `read` gives views, never copies. */
export class MemorySource implements ByteSource {
  readonly size: number;

  constructor(private readonly bytes: Uint8Array) {
    this.size = bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(offset, offset + length);
  }
}

/** A stretch of another source; it is cut short where the other one ends. */
export class SliceSource implements ByteSource {
  readonly size: number;

  constructor(
    private readonly source: ByteSource,
    private readonly start: number,
    length: number,
  ) {
    this.size = Math.max(0, Math.min(length, source.size - start));
  }

  read(offset: number, length: number): Uint8Array {
    return this.source.read(this.start + offset, Math.max(0, Math.min(length, this.size - offset)));
  }
}

/** Data that is not what its format promises. `where` names the section or file, `offset` counts from its start. */
export class FormatError extends Error {
  constructor(
    readonly reason: string,
    readonly where: string,
    readonly offset: number,
  ) {
    super(`${where}+0x${offset.toString(16)}: ${reason}`);
    this.name = new.target.name;
  }
}

/** Walks over bytes, little-endian. `base` is the offset of `bytes[0]` inside `where`, for messages only. */
export class ByteReader {
  constructor(
    readonly bytes: Uint8Array,
    public offset = 0,
    public end = bytes.length,
    readonly where = "data",
    readonly base = 0,
  ) {
    if (end > bytes.length) this.end = bytes.length;
  }

  /** Throws the error of this kind of data; subclasses throw their own type. */
  fail(reason: string, offset = this.offset): never {
    throw new FormatError(reason, this.where, this.base + offset);
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  get atEnd(): boolean {
    return this.offset >= this.end;
  }

  /** Moves to `offset`, which may be the end but not beyond it. */
  seek(offset: number): void {
    if (!(offset >= 0 && offset <= this.end)) this.fail(`offset 0x${offset.toString(16)} is outside the data`);
    this.offset = offset;
  }

  skip(count: number): void {
    this.take(count);
  }

  u8(): number {
    if (this.offset >= this.end) this.fail("unexpected end of data");
    return this.bytes[this.offset++];
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    const at = this.take(2);
    return this.bytes[at] | (this.bytes[at + 1] << 8);
  }

  i16(): number {
    return (this.u16() << 16) >> 16;
  }

  u24(): number {
    const at = this.take(3);
    return this.bytes[at] | (this.bytes[at + 1] << 8) | (this.bytes[at + 2] << 16);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  i32(): number {
    const at = this.take(4);
    const b = this.bytes;
    return b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24);
  }

  u64Big(): bigint {
    const low = this.u32();
    return (BigInt(this.u32()) << 32n) | BigInt(low);
  }

  /** A 64-bit number that has to fit 53 bits (offsets, lengths). */
  u64(): number {
    const start = this.offset;
    const low = this.u32();
    const high = this.u32();
    if (high >= 0x200000) this.fail("64-bit number too large", start);
    return high * 0x1_0000_0000 + low;
  }

  /** An unsigned number of 1, 2, 3, 4 or 8 bytes. */
  unsigned(size: number): number {
    switch (size) {
      case 1:
        return this.u8();
      case 2:
        return this.u16();
      case 3:
        return this.u24();
      case 4:
        return this.u32();
      case 8:
        return this.u64();
      default:
        return this.fail(`a number of ${size} bytes is not supported`);
    }
  }

  uleb(): number {
    const start = this.offset;
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    do {
      byte = this.u8();
      if (byte & 0x7f) value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    if (value > Number.MAX_SAFE_INTEGER) this.fail("LEB128 number too large", start);
    return value;
  }

  sleb(): number {
    const start = this.offset;
    const value = Number(this.slebBig());
    if (!Number.isSafeInteger(value)) this.fail("LEB128 number too large", start);
    return value;
  }

  /** The low 64 bits of an unsigned LEB128. */
  ulebBig(): bigint {
    let value = 0n;
    let shift = 0n;
    let byte: number;
    do {
      byte = this.u8();
      if (shift < 64n) value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
    } while (byte >= 0x80);
    return BigInt.asUintN(64, value);
  }

  /** The low 64 bits, as a signed number, of a signed LEB128. */
  slebBig(): bigint {
    const first = this.u8();
    if (first < 0x80) return BigInt((first << 25) >> 25);
    let value = BigInt(first & 0x7f);
    let shift = 7n;
    let byte: number;
    do {
      byte = this.u8();
      if (shift < 64n) value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
    } while (byte >= 0x80);
    if (byte & 0x40 && shift < 64n) value -= 1n << shift;
    return BigInt.asIntN(64, value);
  }

  /** Steps over a LEB128 number without caring for its value. */
  skipLeb(): void {
    while (this.u8() >= 0x80);
  }

  /** Steps over `length` bytes and gives the offset at which they begin. */
  take(length: number): number {
    const at = this.offset;
    if (!(length >= 0 && length <= this.end - at)) this.fail(`${length} bytes wanted, ${this.end - at} left`);
    this.offset = at + length;
    return at;
  }

  /** A view (not a copy) of the next `length` bytes. */
  view(length: number): Uint8Array {
    const at = this.take(length);
    return this.bytes.subarray(at, at + length);
  }

  /** Text up to the next zero byte, which is consumed too. */
  cstring(): string {
    const zero = this.bytes.indexOf(0, this.offset);
    if (zero < 0 || zero >= this.end) this.fail("text without an end");
    const text = decodeUtf8(this.bytes, this.offset, zero);
    this.offset = zero + 1;
    return text;
  }

  /** Steps over text and its zero byte. */
  skipCstring(): void {
    const zero = this.bytes.indexOf(0, this.offset);
    if (zero < 0 || zero >= this.end) this.fail("text without an end");
    this.offset = zero + 1;
  }
}

/** Arguments that a call may have without trouble. */
const MAX_ARGUMENTS = 4096;

/** UTF-8 to text; a byte that is not valid UTF-8 becomes the character of its own number, so that nothing is lost. */
export function decodeUtf8(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let at = start;
  while (at < end && bytes[at] < 0x80) at++;
  if (at === end && end - start <= MAX_ARGUMENTS) return String.fromCharCode(...bytes.subarray(start, end));
  let text = "";
  at = start;
  while (at < end) {
    const lead = bytes[at++];
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      continue;
    }
    const extra = lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
    let code = lead & (0x3f >> extra);
    let ok = extra > 0 && lead < 0xf5 && at + extra <= end;
    for (let i = 0; ok && i < extra; i++) {
      if ((bytes[at + i] & 0xc0) !== 0x80) ok = false;
      code = (code << 6) | (bytes[at + i] & 0x3f);
    }
    if (ok && code <= 0x10ffff) {
      text += String.fromCodePoint(code);
      at += extra;
    } else {
      text += String.fromCharCode(lead);
    }
  }
  return text;
}
