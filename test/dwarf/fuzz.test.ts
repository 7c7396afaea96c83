// Damaged files: whatever is in the bytes, the readers answer, refuse with a reason or throw an ElfError from openElf;
// they never throw anything else, and never run for long. The damage is random but the same in every run.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "mocha";
import { ElfError, type ElfFile, openElf } from "../../src/elf";
import { exerciseDwarf, exerciseElf } from "./exercise";

const FOLDER = join(__dirname, "../../../test/dwarf/fixtures");
const NAMES = ["main", "leaf", "first", "bits", "struct list", "BLUE", "word", "operations", "number", "the_secret"];
const LONGEST_MS = 5000;
/** Rounds per fixture; FUZZ_ROUNDS in the environment asks for more. */
const ROUNDS = Number(process.env["FUZZ_ROUNDS"] ?? 4);

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Part {
  readonly offset: number;
  readonly size: number;
}

function debugSections(elf: ElfFile): Part[] {
  return elf.sections.filter((s) => /debug|frame|tab/.test(s.name) && s.hasBytes && s.size > 0);
}

function codeAddresses(elf: ElfFile): number[] {
  const text = elf.section(".text");
  assert.ok(text);
  return Array.from({ length: 12 }, (_, i) => text.address + Math.floor((i * text.size) / 12));
}

function survive(bytes: Uint8Array, addresses: readonly number[], what: string): void {
  const start = performance.now();
  try {
    const elf = openElf(bytes, { symbolsOnly: true });
    exerciseElf(elf);
    exerciseDwarf(elf, NAMES, addresses);
  } catch (error) {
    if (!(error instanceof ElfError)) throw new Error(`${what}: ${(error as Error).stack}`);
  }
  const took = performance.now() - start;
  assert.ok(took < LONGEST_MS, `${what}: took ${took.toFixed(0)} ms`);
}

describe("damaged debug information", function () {
  this.timeout(30_000);
  const fixtures = [
    "gcc-dwarf2-O0",
    "gcc-dwarf4-O2",
    "gcc-dwarf5-O2",
    "clang-dwarf5-O2",
    "clang-dwarf3-O1",
    "compressed",
  ];
  for (const [n, name] of fixtures.entries()) {
    const original = readFileSync(join(FOLDER, `${name}.elf`));
    const elf = openElf(original);
    const addresses = codeAddresses(elf);
    const sections = debugSections(elf);

    it(`${name}: single bytes and stretches overwritten in the debug sections`, () => {
      const next = random(n + 1);
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = Uint8Array.from(original);
        const damage: string[] = [];
        for (let i = 1 + Math.floor(next() * 4); i > 0; i--) {
          const section = sections[Math.floor(next() * sections.length)];
          const at = section.offset + Math.floor(next() * section.size);
          const length = next() < 0.7 ? 1 : Math.min(16, section.offset + section.size - at);
          const value = next() < 0.3 ? 0xff : Math.floor(next() * 256);
          bytes.fill(value, at, at + length);
          damage.push(`${at}+${length}=${value}`);
        }
        survive(bytes, addresses, `${name} round ${round}: ${damage.join(" ")}`);
      }
    });

    it(`${name}: cut short`, () => {
      const next = random(n + 101);
      for (let round = 0; round < ROUNDS; round++) {
        const length = Math.floor(next() * original.length);
        survive(original.subarray(0, length), addresses, `${name} cut to ${length}`);
      }
    });

    it(`${name}: sections cut short or exchanged`, () => {
      const next = random(n + 201);
      const headers = new DataView(original.buffer, original.byteOffset).getUint32(32, true);
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = Uint8Array.from(original);
        const view = new DataView(bytes.buffer);
        const index = 1 + Math.floor(next() * (elf.sections.length - 1));
        const field = headers + index * 40 + (next() < 0.5 ? 20 : 16);
        const value = Math.floor(view.getUint32(field, true) * next());
        view.setUint32(field, value, true);
        survive(bytes, addresses, `${name} section ${index} field at ${field} = ${value}`);
      }
    });
  }
});
