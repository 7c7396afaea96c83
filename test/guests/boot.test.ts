// Boots each sample guest with the command line tool, for both generations of hosts, and compares what it prints with a
// golden file. RING1_BLESS=1 rewrites the golden files; read the diff like code. Without dist/cli.js the tests are
// skipped, which RING1_REQUIRE_ALL=1 turns into a failure.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "mocha";

const cli = resolve("dist/cli.js");
const guestsFolder = resolve("media/guests");
const goldenFolder = resolve("test/guests/golden");

/** Typed into the shell. Backspace corrects the first line; the second ends with CR LF, which counts once. */
const shellInput = [
  "helq\bp\r",
  "echo hello   ring 1\r\n",
  "mem\r",
  "peek c0000200 8\n",
  "peek 0\r",
  "peek 12q4\r",
  "peek\r",
  "poke c0800000 12345678\r",
  "peek c0800000 1\r",
  "poke 0 1\r",
  "pages\r",
  "pages c0800000\r",
  "pages 0\r",
  "trap 0\r",
  "trap 3\r",
  "trap 6\r",
  "trap 13\r",
  "trap 14\r",
  "trap 33\r",
  "trap 31\r",
  "\r",
  "nonsense\r",
  "quit\r",
].join("");

/** Numbers that depend on how fast the guest is: system calls, work done, sleeps. */
const maskTasks = (text: string): string =>
  text
    .replace(/^(alpha|beta|gamma)( +\d+) +\d+ +\d+$/gm, "$1$2       #       #")
    .replace(/^idle .*$/m, "idle         # ticks, # halts, # switches");

/** Code addresses, which change with every edit of a source. */
const maskCode = (text: string): string => text.replace(/\bat c010[0-9a-f]{4}\b/g, "at c010####");
/** Alignment checks depend on CR0.AM of the host. */
const maskAlignment = (text: string): string => text.replace(/^( 17 #AC .* 0) .*$/m, "$1 #");
/** Where page tables are, which changes with the size of the kernel. */
const maskTables = (text: string): string =>
  text.replace(
    /^(directory|table {4}) [0-9a-f]{8} (\[\d+\] = )00[1-9a-f][0-9a-f]{2}(?=[0-9a-f]{3}$)/gm,
    "$1 ######## $2#####",
  );
const maskFreePages = (text: string): string => text.replace(/\d+ of \d+ pages free/, "# of # pages free");

interface Guest {
  readonly name: string;
  readonly input?: string;
  readonly mask?: (text: string) => string;
}

const guests: readonly Guest[] = [
  { name: "hello", mask: maskCode },
  { name: "shell", input: shellInput, mask: (text) => maskTables(maskFreePages(maskCode(text))) },
  { name: "traps", mask: maskAlignment },
  { name: "paging" },
  { name: "tasks", mask: maskTasks },
];

describe("sample guests, booted by the command line tool", function () {
  this.timeout(60_000);
  let folder: string;

  before(function () {
    if (!existsSync(cli)) {
      const text = "dist/cli.js is missing: build it first";
      assert.notEqual(process.env.RING1_REQUIRE_ALL, "1", text);
      console.log(`    skipped: ${text}`);
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), "ring1-boot-"));
  });

  after(() => {
    if (folder) {
      rmSync(folder, { recursive: true });
    }
  });

  for (const abi of ["2.6.32", "3.x"]) {
    for (const guest of guests) {
      it(`${guest.name} prints what it should on a ${abi} host, and powers off`, () => {
        const input = join(folder, "input.txt");
        writeFileSync(input, guest.input ?? "");
        const image = join(guestsFolder, guest.name, `${guest.name}.elf`);
        const options = ["--memory", "16M", "--cmdline", "verbose=1 golden", "--abi", abi, "--input", input];
        const result = spawnSync(process.execPath, [cli, "run", image, ...options], { encoding: "utf8", input: "" });
        const printed = (guest.mask ?? ((text) => text))(result.stdout.replaceAll("\r", ""));
        assert.equal(result.status, 0, `exit status ${result.status}\n${result.stdout}\n${result.stderr}`);

        const golden = join(goldenFolder, `${guest.name}-${abi}.txt`);
        if (process.env.RING1_BLESS === "1") {
          writeFileSync(golden, printed);
        }
        assert.equal(printed, readFileSync(golden, "utf8"));
      });
    }
  }
});
