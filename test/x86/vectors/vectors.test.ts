// States recorded on silicon (data/FORMAT.md), group by group, on every engine. Vectors marked soft do not count.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, it } from "mocha";
import { createVectorMachine, type EngineName, parseVectors, runVectors } from "../../../src/x86";

/** From out/test/x86/vectors back to the sources, where the data stays. */
const DATA = join(__dirname, "../../../../test/x86/vectors/data");
const ENGINES: readonly EngineName[] = ["direct", "interpreter"];
const GROUPS = [
  "alu",
  "muldiv",
  "shift",
  "bcd",
  "bit",
  "mov",
  "addr",
  "stack",
  "branch",
  "string",
  "fault",
  "priv",
  "seq",
  "smc",
  "tf",
  "seg",
  "seg16",
  "decode",
  "x87",
  "x87seq",
  "x87unm",
  "mmx",
  "sse",
  "sse2",
  "sse3",
  "sseunm",
];

function readGroup(group: string): string {
  return gunzipSync(readFileSync(join(DATA, `${group}.jsonl.gz`))).toString("latin1");
}

for (const engine of ENGINES) {
  describe(`recorded vectors, ${engine} engine`, function () {
    this.timeout(60_000);
    const machine = createVectorMachine(engine);
    for (const group of GROUPS) {
      it(`does in group ${group} what silicon did`, () => {
        const report = runVectors(parseVectors(readGroup(group)), machine);
        const failures = report.failures.map((f) => `${f.id} ${f.label} [${f.code}]: ${f.differences.join("; ")}`);
        assert.equal(report.failed, 0, `${report.failed} of ${report.failed + report.passed}:\n${failures.join("\n")}`);
        assert.ok(report.passed > 0);
      });
    }
  });
}
