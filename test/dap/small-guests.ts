// Guests of a few instructions, built byte by byte: for what the sample guests do not do, such as spinning for ever or
// flooding.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BASE = 0x100000;
const DATA = 0x1000;
const TEXT = 0x2000;

const u16 = (value: number): number[] => [value & 0xff, value >>> 8];
const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
const moveEax = (value: number): number[] => [0xb8, ...u32(value)];
const moveEbx = (value: number): number[] => [0xbb, ...u32(value)];
const HYPERCALL = [0xcd, 0x1f];
const init = [...moveEax(1), ...moveEbx(BASE + DATA), ...HYPERCALL];

/** An ELF32 executable with one segment at physical 0x100000. `header` changes fields. */
export function elf(
  code: readonly number[],
  header: { class?: number; machine?: number; type?: number; segments?: number; physical?: number } = {},
): Uint8Array {
  const payload = new Uint8Array(0x3000);
  payload.set(code);
  // lguest_data: a free ring, kernel_address, syscall_vec.
  payload.fill(0xff, DATA + 0x18, DATA + 0x58);
  payload.set(u32(0xc0000000), DATA + 0x56c);
  payload.set(u32(0x80), DATA + 0x570);
  payload.set(
    [..."spam and eggs, over and over\n"].map((c) => c.charCodeAt(0)),
    TEXT,
  );
  const physical = header.physical ?? BASE;
  const head = [
    ...[0x7f, 0x45, 0x4c, 0x46, header.class ?? 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...u16(header.type ?? 2),
    ...u16(header.machine ?? 3),
    ...u32(1),
    ...u32(BASE),
    ...u32(52),
    ...u32(0),
    ...u32(0),
    ...u16(52),
    ...u16(32),
    ...u16(header.segments ?? 1),
    ...u16(40),
    ...u16(0),
    ...u16(0),
    ...u32(1),
    ...u32(0x1000),
    ...u32(physical),
    ...u32(physical),
    ...u32(payload.length),
    ...u32(payload.length),
    ...u32(7),
    ...u32(0x1000),
  ];
  const file = new Uint8Array(0x1000 + payload.length);
  file.set(head);
  file.set(payload, 0x1000);
  return file;
}

/** `jmp .` */
export const SPIN = elf([0xeb, 0xfe]);
/** Initialises, then spins: (virtual) interrupts are off all the time. */
export const SPIN_INITIALISED = elf([...init, 0xeb, 0xfe]);
/** A hypercall before LGUEST_INIT. */
export const TOO_EARLY = elf([...moveEax(5), ...HYPERCALL]);
/** Prints for ever. */
export const FLOOD = elf([...init, ...moveEax(17), ...moveEbx(BASE + TEXT), ...HYPERCALL, 0xeb, 0xf2]);
/** Counts in memory at 0x102100: inc dword [0x102100]; jmp. */
export const COUNTER = elf([0xff, 0x05, ...u32(BASE + TEXT + 0x100), 0xeb, 0xf8]);

/** Writes files for the time of a test. */
export class TemporaryFiles {
  readonly folder = mkdtempSync(join(tmpdir(), "ring1-"));
  write(name: string, bytes: Uint8Array | string): string {
    const path = join(this.folder, name);
    writeFileSync(path, bytes);
    return path;
  }
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
