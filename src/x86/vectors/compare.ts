/**
 * Judges an outcome against the recorded one, with the masks and tolerances that the vector gives (FORMAT.md). Each difference is a
 * readable line: what silicon had, what we got.
 */
import { Vector as Trap } from "../state-layout";
import { ALL_FLAGS, expectedOutcome, type FloatState, type Outcome, type Vector } from "./vector";

const REGISTERS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs"];
/** Bit 4 of a page fault's error code exists only with no-execute pages. */
const FETCH_BIT = 0x10;

/** Differences; none: passed. */
export function compareOutcome(vector: Vector, got: Outcome): string[] {
  const want = expectedOutcome(vector);
  if (want.trap !== got.trap) return [`trap ${want.trap ?? "none"}, got ${trapText(got)}`];
  const differences: string[] = [];
  const same = (what: string, a: number, b: number, mask = 0xffffffff) => {
    if (((a ^ b) & mask) !== 0) differences.push(`${what} ${hex(a & mask)}, got ${hex(b & mask)}`);
  };
  if (want.trap !== undefined) same("error code", want.error, got.error, want.trap === Trap.PF ? ~FETCH_BIT : ~0);
  if (want.trap === Trap.PF) same("cr2", want.cr2, got.cr2);
  same("eip", want.eip, got.eip);
  same("eflags", want.eflags, got.eflags, vector.fm ?? ALL_FLAGS);
  for (const [k, name] of REGISTERS.entries()) same(name, want.registers[k], got.registers[k], vector.rm?.[k]);
  for (const [k, name] of SEGMENTS.entries()) same(name, want.selectors[k], got.selectors[k]);
  if (want.float && got.float) {
    same("fcw", want.float.cw, got.float.cw);
    same("fsw", want.float.sw, got.float.sw, vector.sm ?? 0xffff);
    same("ftw", want.float.tw, got.float.tw);
    same("mxcsr", want.float.mx, got.float.mx);
    differences.push(...compareRegisters(want.float, got.float, vector.tol));
  }
  return differences;
}

function compareRegisters(want: FloatState, got: FloatState, tolerance: Vector["tol"]): string[] {
  const differences: string[] = [];
  for (let k = 0; k < 8; k++) {
    if (!isSameStack(want.st[k], got.st[k], tolerance)) differences.push(`st${k} ${want.st[k]}, got ${got.st[k]}`);
    if (!isSameXmm(want.xmm[k], got.xmm[k], tolerance)) differences.push(`xmm${k} ${want.xmm[k]}, got ${got.xmm[k]}`);
  }
  return differences;
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}
function trapText(got: Outcome): string {
  return got.trap === undefined ? "none" : `${got.trap} (error ${hex(got.error)}) at ${hex(got.eip)}`;
}

/** 80-bit values: transcendental results may differ by 2^-51, relative. */
function isSameStack(want: string, got: string, tolerance: Vector["tol"]): boolean {
  if (want === got) return true;
  if (tolerance !== "x87t") return false;
  const a = littleEndian(want);
  const b = littleEndian(got);
  const distance = a > b ? a - b : b - a;
  return distance <= 4096n;
}
function littleEndian(text: string): bigint {
  return BigInt(`0x${(text.match(/../g) ?? []).reverse().join("")}`);
}

/** RCPPS and RSQRTPS: each side is within 1.5 * 2^-12 of the truth. */
function isSameXmm(want: string, got: string, tolerance: Vector["tol"]): boolean {
  if (want === got) return true;
  if (tolerance !== "rcp12") return false;
  const a = floats(want);
  const b = floats(got);
  return a.every(
    (x, k) =>
      Object.is(x, b[k]) || (Number.isNaN(x) && Number.isNaN(b[k])) || Math.abs(x - b[k]) <= Math.abs(x) * 7.34e-4,
  );
}
function floats(text: string): number[] {
  const bytes = Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  return [...new Float32Array(bytes.buffer)];
}
