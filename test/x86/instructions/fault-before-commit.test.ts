// An instruction that faults has changed nothing (SDM Vol. 3, 6.5). Derived for every row and form from what its text does.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type Effect, type Path, recordPaths } from "../../../src/x86/emitter/recording-emitter";
import { rows } from "../../../src/x86/instructions";
import { formsOf } from "../../support/row-forms";

/** Helpers that may fault but change nothing that a program can see. All others do both, all or nothing. */
const CHECKS_AND_READS = new Set([
  "checkFpu",
  "checkPending",
  "checkPort",
  "readPacked",
  "requirePrivilege",
  "requireProtectedMode",
  "isLarValid",
  "larValue",
  "isLslValid",
  "lslValue",
  "verifyRead",
  "verifyWrite",
  "storeDescriptorTable",
  "storeMachineStatusWord",
  "linearAddress",
  "pushFlagsValue",
  "storeControlWord",
  "storeStatusWord",
  "storeMxcsr",
]);

function isCheckOnly(effect: Effect): boolean {
  return effect.kind === "helper" && CHECKS_AND_READS.has(effect.helper.name);
}

function commits(effect: Effect): boolean {
  switch (effect.kind) {
    case "store":
    case "update-store":
    case "register":
    case "write-flags":
    case "write-system-flags":
    case "stack-pointer":
    case "jump":
      return true;
    case "helper":
      return !isCheckOnly(effect);
    default:
      return false;
  }
}

/** May it fault, after what came before it on the path? */
function mayFault(effect: Effect, before: Path): boolean {
  switch (effect.kind) {
    case "load":
      // What was probed for writing can be read.
      return !before.some((earlier) => earlier.kind === "probe");
    case "probe":
    case "update-load":
    case "check-target":
    case "fault":
    case "helper":
      return true;
    case "store":
      return !before.some((earlier) => earlier.kind === "probe");
    case "jump":
      return !before.some((earlier) => earlier.kind === "check-target");
    default:
      return false;
  }
}

function findViolation(path: Path): string | undefined {
  const commit = path.findIndex(commits);
  if (commit < 0) return undefined;
  const late = path.findIndex((effect, k) => k > commit && mayFault(effect, path.slice(0, k)));
  return late < 0 ? undefined : `${describeEffect(path[late])} after ${describeEffect(path[commit])}`;
}
function describeEffect(effect: Effect): string {
  return effect.kind === "helper" ? `helper ${effect.helper.name}` : effect.kind;
}

describe("fault before commit", () => {
  for (const mnemonic of new Set(rows.map((row) => row.mnemonic)))
    it(`${mnemonic} changes nothing before its last possible fault`, () => {
      for (const row of rows.filter((one) => one.mnemonic === mnemonic && one.commitsEarly === undefined))
        for (const form of formsOf(row))
          for (const path of recordPaths(row.semantics, form)) {
            const violation = findViolation(path);
            assert.equal(violation, undefined, `${row.encoding}, ${form.op1.kind}, ${form.operandSize}: ${violation}`);
          }
    });

  it("gives a reason for every row that is excepted", () => {
    const excepted = rows.filter((row) => row.commitsEarly !== undefined);
    assert.deepEqual([...new Set(excepted.map((row) => row.mnemonic))].sort(), [
      "CMPS",
      "INS",
      "LODS",
      "MOVS",
      "OUTS",
      "POPA",
      "SCAS",
      "STOS",
    ]);
    for (const row of excepted) assert.ok((row.commitsEarly as string).length > 20);
  });
});
