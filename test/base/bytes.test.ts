// ByteReader and the byte sources: every shape of number, and what happens at the end of the data.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { ByteReader, decodeUtf8, FormatError, MemorySource, SliceSource } from "../../src/base";
import { bytes } from "../dwarf/byte-builder";

describe("ByteReader", () => {
  it("reads little-endian numbers with and without sign", () => {
    const r = new ByteReader(bytes().u8(0xff).u16(0x8001).u32(0xfffffffe).u8(0x80).u16(0xffff).u32(0x80000000).done());
    assert.deepEqual([r.u8(), r.u16(), r.u32()], [255, 0x8001, 0xfffffffe]);
    assert.deepEqual([r.i8(), r.i16(), r.i32()], [-128, -1, -0x80000000]);
    assert.equal(r.atEnd, true);
  });

  it("reads 64-bit numbers as bigint, or as a number where they fit", () => {
    const r = new ByteReader(bytes().u64(0xffffffffffffffffn).u64(0x1fffffffffffffn).u64(0x20000000000000n).done());
    assert.equal(r.u64Big(), 0xffffffffffffffffn);
    assert.equal(r.u64(), Number.MAX_SAFE_INTEGER);
    assert.throws(() => r.u64(), FormatError);
  });

  it("reads LEB128 numbers of every length and sign", () => {
    const unsigned = [0, 1, 127, 128, 0x3fff, 0x4000, 0xffffffff, Number.MAX_SAFE_INTEGER];
    const signed = [0, -1, 63, 64, -64, -65, 127, -128, 0x7fffffff, -0x80000000];
    const r = new ByteReader(
      bytes()
        .uleb(...unsigned)
        .sleb(...signed)
        .done(),
    );
    for (const value of unsigned) assert.equal(r.uleb(), value);
    for (const value of signed) assert.equal(r.sleb(), value);
  });

  it("reads all 64 bits of a LEB128 number as bigint", () => {
    const r = new ByteReader(bytes().uleb(0xfedcba9876543210n).sleb(-0x8000000000000000n, 0x7fffffffffffffffn).done());
    assert.equal(r.ulebBig(), 0xfedcba9876543210n);
    assert.equal(r.slebBig(), -0x8000000000000000n);
    assert.equal(r.slebBig(), 0x7fffffffffffffffn);
  });

  it("accepts a LEB128 number that is longer than it needs to be, and refuses one that is too large", () => {
    assert.equal(new ByteReader(bytes().u8(0x85, 0x80, 0x80, 0x00).done()).uleb(), 5);
    assert.throws(
      () =>
        new ByteReader(
          bytes()
            .uleb(1n << 60n)
            .done(),
        ).uleb(),
      /too large/,
    );
  });

  it("names the section and the offset of the section where the data ends", () => {
    const r = new ByteReader(bytes().u16(1).done(), 0, 2, ".debug_info", 0x100);
    r.u8();
    assert.throws(
      () => r.u32(),
      (e: FormatError) => e instanceof FormatError && e.where === ".debug_info" && e.offset === 0x101,
    );
    assert.throws(() => r.seek(3), /\.debug_info\+0x101: offset 0x3 is outside the data/);
    assert.throws(() => r.skip(-1), FormatError);
    assert.throws(() => new ByteReader(bytes().u8(0x80).done()).uleb(), /unexpected end/);
  });

  it("does not read beyond the end it was given, though there are bytes", () => {
    const r = new ByteReader(bytes().u32(1, 2).done(), 0, 4);
    r.u32();
    assert.throws(() => r.u8(), FormatError);
    assert.throws(() => new ByteReader(bytes().text("text").done(), 0, 3).cstring(), /without an end/);
  });

  it("reads text and bytes", () => {
    const r = new ByteReader(bytes().text("", "plain", "grün €").u8(1, 2, 3).done());
    assert.deepEqual([r.cstring(), r.cstring(), r.cstring()], ["", "plain", "grün €"]);
    assert.deepEqual([...r.view(3)], [1, 2, 3]);
  });
});

describe("decodeUtf8", () => {
  it("keeps bytes that are not UTF-8 as the characters of their numbers", () => {
    assert.equal(decodeUtf8(Uint8Array.of(0x61, 0xff, 0xc3, 0x62)), "aÿÃb");
  });

  it("reads characters of four bytes", () => {
    assert.equal(decodeUtf8(Buffer.from("a😀b")), "a😀b");
  });
});

describe("byte sources", () => {
  it("give what there is and no more", () => {
    const source = new MemorySource(bytes().u8(0, 1, 2, 3, 4, 5).done());
    const slice = new SliceSource(source, 2, 3);
    assert.equal(slice.size, 3);
    assert.deepEqual([...slice.read(1, 10)], [3, 4]);
    assert.deepEqual([...slice.read(5, 1)], []);
    assert.equal(new SliceSource(source, 4, 10).size, 2);
  });
});
