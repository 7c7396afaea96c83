/**
 * The benchmark image and how much of it to run: `bench_params` (bench.h) is patched in a copy, found by its magic.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(process.cwd(), "test/bench");
const MAGIC = "BENCH-PARAMS-v1\0";

/** Names in the order of the mask bits. */
export const WORKLOADS =
  "alu sieve sha256 qsort repmov chase calls crc32 muldiv x87 interp text bitlock smc codedata cold".split(" ");
export const KERNEL_WORKLOADS = "k_tlb k_fault k_invlpg k_int0 k_int1 k_int3 k_world".split(" ");
/** The 13 that measure integer code that stays as it is. */
export const INTEGER_WORKLOADS = WORKLOADS.filter((name) => !["x87", "smc", "codedata", "cold"].includes(name));

/** Instructions of one repetition. */
export const instructionCounts = Object.fromEntries(
  Object.entries(
    JSON.parse(readFileSync(join(FOLDER, "insns.json"), "utf8")) as Record<string, { icount: number }>,
  ).map(([name, { icount }]) => [name, icount]),
);

/** The image with `permille` of the full number of repetitions and only the named workloads. */
export function patchedImage(permille: number, only: readonly string[]): Uint8Array {
  const image = readFileSync(join(FOLDER, "bench.elf"));
  const at = image.indexOf(MAGIC, 0, "latin1");
  if (at < 0) throw new Error("bench.elf has no bench_params");
  const mask = (names: readonly string[]) =>
    names.reduce((bits, name, i) => (only.includes(name) ? bits | (1 << i) : bits), 0);
  image.writeUInt32LE(permille, at + 16);
  image.writeUInt32LE(mask(WORKLOADS) >>> 0, at + 20);
  image.writeUInt32LE(mask(KERNEL_WORKLOADS) >>> 0, at + 24);
  image.writeUInt32LE(0, at + 28);
  return image;
}
