// The prebuilt sample guests against their sources: rebuilt with the compiler that made them they must come out the same,
// byte for byte in what is loaded; rebuilt with another compiler they must have the same shape. Without a compiler the
// tests are skipped, which RING1_REQUIRE_ALL=1 turns into a failure.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "mocha";
import { type ElfFile, openElf } from "../../src/elf";

const guestsFolder = resolve("media/guests");
const guests = ["hello", "paging", "shell", "tasks", "traps"];

const toolchains = {
  clang: { tools: ["make", "clang", "ld.lld"], version: ["clang", "ld.lld"] },
  gcc: { tools: ["make", "gcc", "ld"], version: ["gcc", "ld"] },
};
type Toolchain = keyof typeof toolchains;

/** The versions of compiler and linker that made the prebuilt ELFs. */
const made = readFileSync(join(guestsFolder, "prebuilt.txt"), "utf8").trim();
const madeBy = (toolchain: Toolchain): boolean => (toolchain === "clang") === made.includes("clang");

function firstLine(command: string): string | undefined {
  const result = spawnSync(command, ["--version"], { encoding: "utf8" });
  return result.status === 0 ? result.stdout.split("\n")[0] : undefined;
}

function isPresent(toolchain: Toolchain): boolean {
  return toolchains[toolchain].tools.every((tool) => firstLine(tool) !== undefined);
}

function build(toolchain: Toolchain, folder: string): void {
  const make = spawnSync("make", ["-s", "-C", guestsFolder, `TOOLCHAIN=${toolchain}`, `BUILD=${folder}`], {
    encoding: "utf8",
  });
  assert.equal(make.status, 0, `make failed:\n${make.stdout}${make.stderr}`);
  assert.equal(make.stderr, "", "the compiler has warnings");
}

const open = (folder: string, guest: string): ElfFile => openElf(readFileSync(join(folder, guest, `${guest}.elf`)));

/** Where the segments of an image go, without the sizes, which depend on the compiler. */
function shape(elf: ElfFile): string[] {
  return elf.loadSegments.map((segment) => {
    const place = segment.virtualAddress - segment.physicalAddress === 0xc0000000 ? "kernel" : "user";
    return `${place} ${segment.isExecutable ? "code" : "data"}`;
  });
}

/** What differs between the loadable parts of two images, for people; "" if nothing does. */
function loadableDifference(expected: ElfFile, actual: ElfFile): string {
  const describeSegments = (elf: ElfFile): string =>
    elf.loadSegments
      .map((s) => `${s.virtualAddress.toString(16)}@${s.physicalAddress.toString(16)}+${s.fileSize}/${s.memorySize}`)
      .join(" ");
  if (describeSegments(expected) !== describeSegments(actual)) {
    return `segments: prebuilt ${describeSegments(expected)}, rebuilt ${describeSegments(actual)}`;
  }
  for (const [index, segment] of expected.loadSegments.entries()) {
    const before = expected.segmentBytes(segment);
    const after = actual.segmentBytes(actual.loadSegments[index] as typeof segment);
    const offset = before.findIndex((byte, i) => byte !== after[i]);
    if (offset >= 0) {
      const address = segment.virtualAddress + offset;
      const symbol = expected.symbolAt(address)?.symbol.name ?? "?";
      return `byte at ${address.toString(16)} in ${symbol}: prebuilt ${before[offset]}, rebuilt ${after[offset]}`;
    }
  }
  return expected.entry === actual.entry ? "" : `entry: ${expected.entry.toString(16)}, ${actual.entry.toString(16)}`;
}

/** The names of all global functions and objects. */
function globalNames(elf: ElfFile): string[] {
  return [...elf.symbols]
    .filter((symbol) => symbol.binding === "global")
    .map((symbol) => symbol.name)
    .sort();
}

describe("sample guests", () => {
  it("are all there, with a source and a prebuilt ELF each", () => {
    const found = readdirSync(guestsFolder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && readdirSync(join(guestsFolder, entry.name)).includes("main.c"))
      .map((entry) => entry.name);
    assert.deepEqual(found.sort(), guests);
    for (const guest of guests) {
      const elf = open(guestsFolder, guest);
      assert.equal(elf.entry, 0x00100000);
      assert.equal(elf.symbol("kernel_main")?.type, "function");
      assert.ok(elf.section(".debug_line"), `${guest}.elf has no line table`);
    }
  });

  it("name their sources relative to the ELF, so that a debugger finds them anywhere", () => {
    for (const guest of guests) {
      const text = readFileSync(join(guestsFolder, guest, `${guest}.elf`), "latin1");
      assert.ok(text.includes(`${guest}/main.c`) && text.includes("lib/start.S"), `${guest}.elf`);
      assert.ok(!text.includes(guestsFolder), `${guest}.elf has an absolute path in it`);
    }
  });

  for (const toolchain of Object.keys(toolchains) as Toolchain[]) {
    describe(`rebuilt with ${toolchain}`, () => {
      let folder: string;

      before(function () {
        if (!isPresent(toolchain)) {
          const text = `${toolchains[toolchain].tools.join(", ")}: not all installed, so the guests cannot be rebuilt`;
          assert.notEqual(process.env.RING1_REQUIRE_ALL, "1", text);
          console.log(`      skipped: ${text}`);
          this.skip();
        }
        this.timeout(60_000);
        folder = mkdtempSync(join(tmpdir(), "ring1-guests-"));
        build(toolchain, folder);
      });

      after(() => {
        if (folder) {
          rmSync(folder, { recursive: true });
        }
      });

      it("have the segments, the entry and the global symbols of the prebuilt ones", () => {
        for (const guest of guests) {
          const [prebuilt, rebuilt] = [open(guestsFolder, guest), open(folder, guest)];
          assert.deepEqual(shape(rebuilt), shape(prebuilt), guest);
          assert.equal(rebuilt.entry, prebuilt.entry, guest);
          assert.deepEqual(globalNames(rebuilt), globalNames(prebuilt), guest);
        }
      });

      if (!madeBy(toolchain)) {
        return;
      }
      it("come out byte for byte the same, if this is the version that made the prebuilt ones", function () {
        const versions = toolchains[toolchain].version.map(firstLine).join("\n");
        if (versions !== made) {
          console.log(`        skipped: the prebuilt ELFs were made with\n${made}\n        and here is\n${versions}`);
          this.skip();
        }
        for (const guest of guests) {
          assert.equal(loadableDifference(open(guestsFolder, guest), open(folder, guest)), "", guest);
        }
      });
    });
  }
});
