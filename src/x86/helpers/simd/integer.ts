/**
 * Packed integer operations of MMX, SSE and SSE2, by the manual's mnemonic. SDM Vol. 1, 5.4, 5.5.2, 5.6.3; Vol. 2 per instruction.
 * Each works on lanes (lanes.ts) of whatever register it is given.
 */
import type { Lanes, PackedOperation } from "./lanes";

type Numbers = { [index: number]: number };
type View = "u8" | "i8" | "u16" | "i16" | "u32" | "i32";
const WIDTH: Record<View, number> = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4 };

/** Lane by lane; the typed array wraps the result. */
function each(view: View, operation: (a: number, b: number) => number): PackedOperation {
  const width = WIDTH[view];
  return (d, s, bytes) => {
    const [to, from]: [Numbers, Numbers] = [d[view], s[view]];
    for (let k = 0; k < bytes / width; k++) to[k] = operation(to[k], from[k]);
  };
}
/** Lane by lane, results clamped. */
function saturating(view: View, least: number, most: number, operation: (a: number, b: number) => number) {
  return each(view, (a, b) => Math.min(most, Math.max(least, operation(a, b))));
}
function each64(operation: (a: bigint, b: bigint) => bigint): PackedOperation {
  return (d, s, bytes) => {
    for (let k = 0; k < bytes / 8; k++) d.u64[k] = operation(d.u64[k], s.u64[k]);
  };
}

const plus = (a: number, b: number) => a + b;
const minus = (a: number, b: number) => a - b;
const ifEqual = (a: number, b: number) => (a === b ? -1 : 0);
const ifGreater = (a: number, b: number) => (a > b ? -1 : 0);
const average = (a: number, b: number) => (a + b + 1) >> 1;

/** Clamps each source lane into lanes of half the width: the destination's lanes first, then the source's. */
function packLanes(from: "i16" | "i32", to: "u8" | "i8" | "i16", least: number, most: number): PackedOperation {
  return (d, s, bytes) => {
    const count = bytes / WIDTH[from];
    const all = [...d[from].subarray(0, count), ...s[from].subarray(0, count)];
    for (let k = 0; k < all.length; k++) d[to][k] = Math.min(most, Math.max(least, all[k]));
  };
}

/** Interleaves lanes of `width` bytes from the low or high halves. */
function unpackLanes(width: number, isHigh: boolean): PackedOperation {
  return (d, s, bytes) => {
    const a = d.u8.slice();
    const start = isHigh ? bytes / 2 : 0;
    for (let at = 0; at < bytes / 2; at += width)
      for (let k = 0; k < width; k++) {
        d.u8[2 * at + k] = a[start + at + k];
        d.u8[2 * at + width + k] = s.u8[start + at + k];
      }
  };
}

/** The whole 64-bit count matters: more than the lane is all out. */
function countOf(s: Lanes): number {
  return s.u64[0] > 127n ? 128 : Number(s.u64[0]);
}
function shiftLanes(view: "u16" | "i16" | "u32" | "i32", shift: (a: number, count: number) => number): PackedOperation {
  const bits = WIDTH[view] * 8;
  return (d, s, bytes) => {
    const count = countOf(s);
    const isArithmetic = view[0] === "i";
    for (let k = 0; k < bytes / WIDTH[view]; k++)
      d[view][k] = count < bits ? shift(d[view][k], count) : isArithmetic ? shift(d[view][k], bits - 1) : 0;
  };
}
function shift64(shift: (a: bigint, count: bigint) => bigint): PackedOperation {
  return (d, s, bytes) => {
    const count = countOf(s);
    for (let k = 0; k < bytes / 8; k++) d.u64[k] = count < 64 ? shift(d.u64[k], BigInt(count)) : 0n;
  };
}

/** Products of unsigned 32-bit lanes 0 (and 2). */
const pmuludq: PackedOperation = (d, s, bytes) => {
  for (let k = 0; k < bytes / 8; k++) d.u64[k] = BigInt(d.u32[2 * k]) * BigInt(s.u32[2 * k]);
};
const pmaddwd: PackedOperation = (d, s, bytes) => {
  for (let k = 0; k < bytes / 4; k++) d.i32[k] = d.i16[2 * k] * s.i16[2 * k] + d.i16[2 * k + 1] * s.i16[2 * k + 1];
};
const psadbw: PackedOperation = (d, s, bytes) => {
  for (let half = 0; half < bytes; half += 8) {
    let sum = 0;
    for (let k = half; k < half + 8; k++) sum += Math.abs(d.u8[k] - s.u8[k]);
    d.u64[half / 8] = BigInt(sum);
  }
};

/** Picks lanes by two bits of the immediate each. */
function shuffled(order: number, from: Numbers, start: number): number[] {
  return [0, 1, 2, 3].map((k) => from[start + ((order >> (2 * k)) & 3)]);
}
const pshufw: PackedOperation = (d, s, _bytes, order) => d.u16.set(shuffled(order, s.u16, 0));
const pshuflw: PackedOperation = (d, s, _bytes, order) => {
  const low = shuffled(order, s.u16, 0);
  d.u64[1] = s.u64[1];
  d.u16.set(low);
};
const pshufhw: PackedOperation = (d, s, _bytes, order) => {
  const high = shuffled(order, s.u16, 4);
  d.u64[0] = s.u64[0];
  d.u16.set(high, 4);
};
const pshufd: PackedOperation = (d, s, _bytes, order) => d.u32.set(shuffled(order, s.u32, 0));
const shufps: PackedOperation = (d, s, _bytes, order) => {
  const a = shuffled(order, d.u32, 0);
  const b = shuffled(order, s.u32, 0);
  d.u32.set([a[0], a[1], b[2], b[3]]);
};
const shufpd: PackedOperation = (d, s, _bytes, order) => {
  const low = d.u64[order & 1];
  d.u64[1] = s.u64[(order >> 1) & 1];
  d.u64[0] = low;
};

/** Moves all 16 bytes by whole bytes. */
const pslldq: PackedOperation = (d, s) => {
  const by = Math.min(16, countOf(s));
  d.u8.copyWithin(by, 0);
  d.u8.fill(0, 0, by);
};
const psrldq: PackedOperation = (d, s) => {
  const by = Math.min(16, countOf(s));
  d.u8.copyWithin(0, by);
  d.u8.fill(0, 16 - by);
};

export const integerOperations = {
  PADDB: each("u8", plus),
  PADDW: each("u16", plus),
  PADDD: each("u32", plus),
  PADDQ: each64((a, b) => a + b),
  PSUBB: each("u8", minus),
  PSUBW: each("u16", minus),
  PSUBD: each("u32", minus),
  PSUBQ: each64((a, b) => a - b),
  PADDSB: saturating("i8", -128, 127, plus),
  PADDSW: saturating("i16", -32768, 32767, plus),
  PADDUSB: saturating("u8", 0, 255, plus),
  PADDUSW: saturating("u16", 0, 65535, plus),
  PSUBSB: saturating("i8", -128, 127, minus),
  PSUBSW: saturating("i16", -32768, 32767, minus),
  PSUBUSB: saturating("u8", 0, 255, minus),
  PSUBUSW: saturating("u16", 0, 65535, minus),
  PMULLW: each("i16", (a, b) => a * b),
  PMULHW: each("i16", (a, b) => (a * b) >> 16),
  PMULHUW: each("u16", (a, b) => (a * b) >>> 16),
  PMULUDQ: pmuludq,
  PMADDWD: pmaddwd,
  PSADBW: psadbw,
  PAVGB: each("u8", average),
  PAVGW: each("u16", average),
  PMINUB: each("u8", Math.min),
  PMAXUB: each("u8", Math.max),
  PMINSW: each("i16", Math.min),
  PMAXSW: each("i16", Math.max),
  PCMPEQB: each("u8", ifEqual),
  PCMPEQW: each("u16", ifEqual),
  PCMPEQD: each("u32", ifEqual),
  PCMPGTB: each("i8", ifGreater),
  PCMPGTW: each("i16", ifGreater),
  PCMPGTD: each("i32", ifGreater),
  PAND: each("u32", (a, b) => a & b),
  PANDN: each("u32", (a, b) => ~a & b),
  POR: each("u32", (a, b) => a | b),
  PXOR: each("u32", (a, b) => a ^ b),
  PACKSSWB: packLanes("i16", "i8", -128, 127),
  PACKSSDW: packLanes("i32", "i16", -32768, 32767),
  PACKUSWB: packLanes("i16", "u8", 0, 255),
  PUNPCKLBW: unpackLanes(1, false),
  PUNPCKLWD: unpackLanes(2, false),
  PUNPCKLDQ: unpackLanes(4, false),
  PUNPCKLQDQ: unpackLanes(8, false),
  PUNPCKHBW: unpackLanes(1, true),
  PUNPCKHWD: unpackLanes(2, true),
  PUNPCKHDQ: unpackLanes(4, true),
  PUNPCKHQDQ: unpackLanes(8, true),
  PSLLW: shiftLanes("u16", (a, n) => a << n),
  PSLLD: shiftLanes("u32", (a, n) => a << n),
  PSLLQ: shift64((a, n) => a << n),
  PSRLW: shiftLanes("u16", (a, n) => a >>> n),
  PSRLD: shiftLanes("u32", (a, n) => a >>> n),
  PSRLQ: shift64((a, n) => a >> n),
  PSRAW: shiftLanes("i16", (a, n) => a >> n),
  PSRAD: shiftLanes("i32", (a, n) => a >> n),
  PSLLDQ: pslldq,
  PSRLDQ: psrldq,
  PSHUFW: pshufw,
  PSHUFLW: pshuflw,
  PSHUFHW: pshufhw,
  PSHUFD: pshufd,
  SHUFPS: shufps,
  SHUFPD: shufpd,
} satisfies Record<string, PackedOperation>;
