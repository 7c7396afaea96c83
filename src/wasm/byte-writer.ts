/**
 * A growing byte buffer with the encodings that WebAssembly needs (LEB128; specification section 5.2). Written for speed: code is
 * emitted straight into it, thousands of functions at start-up.
 */
export class ByteWriter {
  private bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.grow(1);
    this.bytes[this.length++] = value;
  }
  /** Unsigned LEB128. */
  unsigned(value: number): void {
    value >>>= 0;
    while (value >= 0x80) {
      this.byte((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    this.byte(value);
  }
  /** Signed LEB128 of a 32-bit value. */
  signed(value: number): void {
    value |= 0;
    for (;;) {
      const low = value & 0x7f;
      value >>= 7;
      if ((value === 0 && !(low & 0x40)) || (value === -1 && low & 0x40)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }
  /** Unsigned LEB128 in exactly five bytes, so that it can be patched later. */
  padded(value: number): void {
    for (let i = 0; i < 4; i++) {
      this.byte((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    this.byte(value & 0x7f);
  }
  patchPadded(at: number, value: number): void {
    for (let i = 0; i < 4; i++) {
      this.bytes[at + i] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.bytes[at + 4] = value & 0x7f;
  }
  name(text: string): void {
    this.unsigned(text.length);
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }
  append(other: ByteWriter): void {
    this.appendBytes(other.view());
  }
  appendBytes(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.bytes.length) this.grow(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }
  /** What has been written; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }
  clear(): void {
    this.length = 0;
  }

  private grow(by: number): void {
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + by));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
