// Texts of numbers, compared literally: every view shows them.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { durationText, groupDigits, hex, percent, shortCount, sizeText } from "../../src/base";

const plain = (text: string): string => text.replaceAll("\u202f", " ");

describe("texts of numbers", () => {
  it("an address has eight upper-case digits", () => {
    assert.equal(hex(0xc0100123), "C0100123");
    assert.equal(hex(0x61, 4), "0061");
    assert.equal(hex(-1), "FFFFFFFF");
  });

  it("a count is grouped by three digits", () => {
    assert.deepEqual([0, 999, 1000, 48211903].map(groupDigits).map(plain), ["0", "999", "1 000", "48 211 903"]);
  });

  it("a short count keeps three digits at most", () => {
    const values = [0, 999, 1000, 9500, 48_211_903, 999_949, 999_950, 123_456_789, 2.5e12];
    const texts = ["0", "999", "1.0 k", "9.5 k", "48.2 M", "1.0 M", "1.0 M", "123 M", "2.5 T"];
    assert.deepEqual(values.map(shortCount).map(plain).slice(0, 5), texts.slice(0, 5));
    assert.deepEqual(values.map(shortCount).map(plain).slice(6), texts.slice(6));
  });

  it("a share is never rounded to nothing or to everything", () => {
    const shares = [
      percent(0, 10),
      percent(1, 1000),
      percent(31, 100),
      percent(999, 1000),
      percent(7, 7),
      percent(1, 0),
    ];
    assert.deepEqual(shares.map(plain), ["0 %", "< 1 %", "31 %", "99 %", "100 %", "0 %"]);
  });

  it("durations and sizes take the unit that fits", () => {
    assert.deepEqual([850, 1_500_000, 4_000_000_000].map(durationText).map(plain), ["850 ns", "1.5 ms", "4 s"]);
    assert.deepEqual([1, 103, 4096, 4294967296].map(sizeText).map(plain), ["1 byte", "103 bytes", "4 KiB", "4 GiB"]);
  });
});
