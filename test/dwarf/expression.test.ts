// The DWARF stack machine, operation by operation, and how it refuses what it cannot know.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type ExpressionScope, evaluateLocation, PLAIN_SCOPE } from "../../src/dwarf/expression";
import type { FrameContext, Location } from "../../src/dwarf/location";
import { type Bytes, bytes } from "./byte-builder";

const EAX = 0;
const EBP = 5;

const frame: FrameContext = {
  pc: 0x1000,
  register: (n) => ({ [EAX]: 0x11223344, [EBP]: 0xbfff0000 })[n],
  readMemory: (address, length) => {
    if (address < 0x1000) return undefined;
    return Uint8Array.from({ length }, (_, i) => (address + i) & 0xff);
  },
};

const INT64 = { size: 8, encoding: "signed" } as const;
const UINT8 = { size: 1, encoding: "unsigned" } as const;
const DOUBLE = { size: 8, encoding: "float" } as const;

const scope: ExpressionScope = {
  ...PLAIN_SCOPE,
  baseType: (offset) => ({ 8: INT64, 1: UINT8, 64: DOUBLE })[offset],
  indexedAddress: (index) => 0x2000 + index,
  frameBase: () => 0xbfff1000,
  cfa: () => 0xbfff2000,
  entryValue: (expression) => (expression[0] === 0x50 ? 77 : { reason: "unknown" }),
  subExpression: (offset) => (offset === 5 ? Uint8Array.of(0x35) : Uint8Array.of(0x98, offset, 0)),
};

function locate(build: (b: Bytes) => Bytes): Location {
  return evaluateLocation(build(bytes()).done(), scope, frame);
}

/** The number that an expression leaves on the stack. */
function result(build: (b: Bytes) => Bytes): number | string {
  const location = locate(build);
  if (location.kind === "memory") return location.address;
  return location.kind === "unavailable" ? location.reason : location.kind;
}

describe("a DWARF expression", () => {
  it("pushes constants of every size, cut to 32 bits", () => {
    assert.equal(
      result((b) => b.u8(0x3a)),
      10,
    );
    assert.equal(
      result((b) => b.u8(0x08, 0xff)),
      255,
    );
    assert.equal(
      result((b) => b.u8(0x09, 0xff)),
      0xffffffff,
    );
    assert.equal(
      result((b) => b.u8(0x0a).u16(0x8000)),
      0x8000,
    );
    assert.equal(
      result((b) => b.u8(0x0b).u16(0x8000)),
      0xffff8000,
    );
    assert.equal(
      result((b) => b.u8(0x0c).u32(0xdeadbeef)),
      0xdeadbeef,
    );
    assert.equal(
      result((b) => b.u8(0x0d).u32(0xdeadbeef)),
      0xdeadbeef,
    );
    assert.equal(
      result((b) => b.u8(0x0e).u64(0x1_0000_0005n)),
      5,
    );
    assert.equal(
      result((b) => b.u8(0x10).uleb(300)),
      300,
    );
    assert.equal(
      result((b) => b.u8(0x11).sleb(-300)),
      0xfffffed4,
    );
    assert.equal(
      result((b) => b.u8(0x03).u32(0xc0100000)),
      0xc0100000,
    );
    assert.equal(
      result((b) => b.u8(0xa1).uleb(3)),
      0x2003,
    );
  });

  it("computes from registers, the frame base and the frame address", () => {
    assert.equal(
      result((b) => b.u8(0x75).sleb(-8)),
      0xbffefff8,
    );
    assert.equal(
      result((b) => b.u8(0x92).uleb(EBP).sleb(4)),
      0xbfff0004,
    );
    assert.equal(
      result((b) => b.u8(0x91).sleb(-16)),
      0xbfff0ff0,
    );
    assert.equal(
      result((b) => b.u8(0x9c)),
      0xbfff2000,
    );
    assert.equal(
      result((b) => b.u8(0xa3).uleb(1).u8(0x50)),
      77,
    );
    assert.equal(
      result((b) => b.u8(0xf3).uleb(1).u8(0x51)),
      "unknown",
    );
  });

  it("names registers", () => {
    assert.deepEqual(
      locate((b) => b.u8(0x53)),
      { kind: "register", register: 3 },
    );
    assert.deepEqual(
      locate((b) => b.u8(0x90).uleb(45)),
      { kind: "register", register: 45 },
    );
  });

  it("moves the stack about", () => {
    const three = (b: Bytes) => b.u8(0x31, 0x32, 0x33);
    assert.equal(
      result((b) => three(b).u8(0x12, 0x22)),
      6,
      "dup",
    );
    assert.equal(
      result((b) => three(b).u8(0x13)),
      2,
      "drop",
    );
    assert.equal(
      result((b) => three(b).u8(0x14)),
      2,
      "over",
    );
    assert.equal(
      result((b) => three(b).u8(0x15, 2)),
      1,
      "pick",
    );
    assert.equal(
      result((b) => three(b).u8(0x16)),
      2,
      "swap",
    );
    assert.equal(
      result((b) => three(b).u8(0x17)),
      2,
      "rot brings the second to the top",
    );
    assert.equal(
      result((b) => three(b).u8(0x17, 0x13, 0x13)),
      3,
      "and puts the top third",
    );
    assert.match(String(result((b) => b.u8(0x12))), /malformed/);
    assert.match(String(result((b) => b.u8(0x31, 0x22))), /malformed/);
  });

  it("computes", () => {
    const two = (op: number, a: number, c: number) => result((b) => b.u8(0x11).sleb(a).u8(0x11).sleb(c).u8(op));
    assert.equal(two(0x1a, 12, 10), 8, "and");
    assert.equal(two(0x21, 12, 10), 14, "or");
    assert.equal(two(0x27, 12, 10), 6, "xor");
    assert.equal(two(0x22, 5, -7), 0xfffffffe, "plus wraps");
    assert.equal(two(0x1c, 5, 7), 0xfffffffe, "minus wraps");
    assert.equal(two(0x1e, 0x10000, 0x10001), 0x10000, "mul wraps");
    assert.equal(two(0x1b, -7, 2), 0xfffffffd, "div has a sign");
    assert.equal(two(0x1d, -7, 16), 9, "mod has none");
    assert.equal(two(0x24, 1, 33), 0, "shl");
    assert.equal(two(0x25, -1, 28), 15, "shr");
    assert.equal(two(0x26, -16, 2), 0xfffffffc, "shra");
    assert.equal(two(0x2d, -1, 1), 1, "lt has a sign");
    assert.equal(two(0x2b, -1, 1), 0, "gt");
    assert.equal(two(0x29, 3, 3), 1, "eq");
    assert.equal(two(0x2e, 3, 3), 0, "ne");
    assert.equal(
      result((b) => b.u8(0x09, 0xfe, 0x19)),
      2,
      "abs",
    );
    assert.equal(
      result((b) => b.u8(0x32, 0x1f)),
      0xfffffffe,
      "neg",
    );
    assert.equal(
      result((b) => b.u8(0x30, 0x20)),
      0xffffffff,
      "not",
    );
    assert.equal(
      result((b) => b.u8(0x32, 0x23).uleb(40)),
      42,
      "plus_uconst",
    );
    assert.match(String(two(0x1b, 1, 0)), /divides by zero/);
  });

  it("jumps, and stops what does not end", () => {
    assert.equal(
      result((b) => b.u8(0x31, 0x28).u16(1).u8(0x32, 0x33)),
      3,
      "bra taken",
    );
    assert.equal(
      result((b) => b.u8(0x30, 0x28).u16(1).u8(0x32)),
      2,
      "bra not taken",
    );
    assert.equal(
      result((b) => b.u8(0x31, 0x2f).u16(1).u8(0x32)),
      1,
      "skip to the end",
    );
    assert.match(String(result((b) => b.u8(0x2f).u16(-3))), /does not come to an end/);
    assert.match(String(result((b) => b.u8(0x2f).u16(100))), /malformed/);
    assert.match(String(result((b) => b.u8(0x31, 0x31, 0x12, 0x2f).u16(-4))), /overflows|end/);
  });

  it("reads memory", () => {
    assert.equal(
      result((b) => b.u8(0x0a).u16(0x1010).u8(0x06)),
      0x13121110,
    );
    assert.equal(
      result((b) => b.u8(0x0a).u16(0x1010).u8(0x94, 2)),
      0x1110,
    );
    assert.match(String(result((b) => b.u8(0x31, 0x06))), /memory at 0x1 cannot be read/);
  });

  it("calls the expressions of other entries, but not for ever", () => {
    assert.equal(
      result((b) => b.u8(0x98).u16(5)),
      5,
    );
    assert.match(String(result((b) => b.u8(0x99).u32(6))), /too deeply/);
  });

  it("computes with typed values", () => {
    const big = locate((b) => b.u8(0xa4).uleb(8).u8(8).u64(-5n).u8(0xa4).uleb(8).u8(8).u64(3n).u8(0x1b, 0x9f));
    assert.deepEqual(big, { kind: "value", bytes: bytes().u64(-1n).done() });
    const half = new Uint8Array(new Float64Array([2.5]).buffer);
    const sum = locate((b) => b.u8(0xa4).uleb(64).u8(8).add(half).u8(0x12, 0x22, 0xa8).uleb(8).u8(0x9f));
    assert.deepEqual(sum, { kind: "value", bytes: bytes().u64(5n).done() });
    assert.equal(
      result((b) => b.u8(0xa5).uleb(EAX).uleb(1).u8(0xa8).uleb(0)),
      0x44,
      "regval_type cuts",
    );
    const wide = locate((b) => b.u8(0x0a).u16(0x1000).u8(0xa6, 1).uleb(1).u8(0x9f));
    assert.deepEqual(wide, { kind: "value", bytes: Uint8Array.of(0) });
  });

  it("gives values that are stored nowhere", () => {
    assert.deepEqual(
      locate((b) => b.u8(0x35, 0x9f)),
      { kind: "value", bytes: Uint8Array.of(5, 0, 0, 0) },
    );
    assert.deepEqual(
      locate((b) => b.u8(0x9e).uleb(2).u8(7, 8)),
      { kind: "value", bytes: Uint8Array.of(7, 8) },
    );
    const pointer = locate((b) => b.u8(0xa0).u32(0x1234).sleb(-4));
    assert.deepEqual(pointer, { kind: "implicit-pointer", target: 0x1234, offset: -4 });
  });

  it("gives pieces, with holes where something is optimized out", () => {
    const location = locate((b) => b.u8(0x50, 0x93).uleb(4).u8(0x93).uleb(2).u8(0x75).sleb(0).u8(0x9d).uleb(5).uleb(3));
    assert.equal(location.kind, "pieces");
    if (location.kind !== "pieces") return;
    assert.deepEqual(
      location.pieces.map((p) => [p.location.kind, p.bitSize, p.bitOffset]),
      [
        ["register", 32, 0],
        ["unavailable", 16, 0],
        ["memory", 5, 3],
      ],
    );
  });

  it("that is empty means optimized out", () => {
    const location = locate((b) => b);
    assert.equal(location.kind === "unavailable" && location.isOptimizedOut, true);
  });

  it("says which register is not known, which operation is not supported, and where the data ends", () => {
    assert.match(String(result((b) => b.u8(0x71).sleb(0))), /ecx is not known in this frame/);
    assert.match(String(result((b) => b.u8(0x9b))), /thread-local/);
    assert.match(String(result((b) => b.u8(0x02))), /operation 0x2/);
    assert.match(String(result((b) => b.u8(0x0c, 1))), /malformed.*4 bytes wanted/);
  });
});
