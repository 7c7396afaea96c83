// The hypervisor's checklist itself: every row has a test that names it. Rows about PAE (PT-02, PT-24) come with PAE.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "mocha";

/** From out/test/lguest back to the sources. */
const SOURCES = join(__dirname, "../../../test/lguest");

function numbered(prefix: string, count: number, except: readonly number[] = []): string[] {
  return Array.from({ length: count }, (_, i) => i + 1)
    .filter((number) => !except.includes(number))
    .map((number) => `${prefix}-${String(number).padStart(2, "0")}`);
}
function lettered(row: string, letters: string): string[] {
  return [...letters].map((letter) => `${row}${letter}`);
}

const ROWS = [
  ...["SEED-01", "SEED-02", "SEED-03", "SEED-05", "SEED-08", "SEED-09", "SEED-11", "SEED-13", "SEED-14", "SEED-16"],
  ...lettered("SEED-04", "abc"),
  ...lettered("SEED-06", "abcd"),
  ...lettered("SEED-07", "abcd"),
  ...lettered("SEED-10", "abcdefgh"),
  ...lettered("SEED-12", "abcde"),
  ...lettered("SEED-15", "abc"),
  ...numbered("SW", 8),
  ...numbered("CORE", 8),
  ...numbered("HC", 5),
  ...numbered("INT", 22),
  ...numbered("SEG", 8),
  ...numbered("PT", 31, [2, 24]),
  ...numbered("USR", 10),
];

describe("the checklist", () => {
  it("has a test for every row that is not about PAE", () => {
    const titles = readdirSync(SOURCES)
      .filter((name) => name.endsWith(".test.ts"))
      .flatMap((name) => [...readFileSync(join(SOURCES, name), "utf8").matchAll(/\bit\(\s*["'`]([^"'`]*)/g)])
      .map((match) => match[1]);
    const named = new Set(titles.flatMap((title) => title.match(/\b[A-Z]+-\d{2}[a-z]?\b/g) ?? []));
    assert.deepEqual(
      ROWS.filter((row) => !named.has(row)),
      [],
      "rows without a test",
    );
    assert.equal(ROWS.length, 127);
  });
});
