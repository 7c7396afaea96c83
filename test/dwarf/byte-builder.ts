// Builds binary test data piece by piece, so that a test shows what its bytes mean. All numbers are little-endian.

export class Bytes {
  private readonly parts: number[] = [];

  get length(): number {
    return this.parts.length;
  }

  u8(...values: number[]): this {
    this.parts.push(...values.map((v) => v & 0xff));
    return this;
  }

  u16(...values: number[]): this {
    for (const v of values) this.u8(v, v >> 8);
    return this;
  }

  u32(...values: number[]): this {
    for (const v of values) this.u8(v, v >>> 8, v >>> 16, v >>> 24);
    return this;
  }

  u64(value: bigint): this {
    for (let i = 0n; i < 8n; i++) this.u8(Number((value >> (8n * i)) & 0xffn));
    return this;
  }

  uleb(...values: (number | bigint)[]): this {
    for (const value of values) {
      let rest = BigInt(value);
      do {
        const low = Number(rest & 0x7fn);
        rest >>= 7n;
        this.u8(rest === 0n ? low : low | 0x80);
      } while (rest !== 0n);
    }
    return this;
  }

  sleb(...values: (number | bigint)[]): this {
    for (const value of values) {
      let rest = BigInt(value);
      for (;;) {
        const low = Number(rest & 0x7fn);
        rest >>= 7n;
        const isDone = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
        this.u8(isDone ? low : low | 0x80);
        if (isDone) break;
      }
    }
    return this;
  }

  /** Text with a zero behind it. */
  text(...values: string[]): this {
    for (const value of values) this.u8(...Buffer.from(value, "utf8"), 0);
    return this;
  }

  add(...values: (Bytes | Uint8Array)[]): this {
    for (const value of values) this.parts.push(...(value instanceof Bytes ? value.parts : value));
    return this;
  }

  zeros(count: number): this {
    for (let i = 0; i < count; i++) this.parts.push(0);
    return this;
  }

  alignTo(boundary: number): this {
    while (this.parts.length % boundary !== 0) this.parts.push(0);
    return this;
  }

  /** These bytes with their length, four bytes of it, in front. */
  withLength(): Bytes {
    return new Bytes().u32(this.length).add(this);
  }

  done(): Uint8Array {
    return Uint8Array.from(this.parts);
  }
}

export function bytes(): Bytes {
  return new Bytes();
}
