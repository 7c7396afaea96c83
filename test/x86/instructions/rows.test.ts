// The list of rows as a whole: complete encodings, honest gaps.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { recordPaths } from "../../../src/x86/emitter/recording-emitter";
import { rows } from "../../../src/x86/instructions";
import { formsOf } from "../../support/row-forms";

describe("rows", () => {
  it("names what is not implemented, and nothing else is missing", () => {
    const missing = rows.filter((row) =>
      formsOf(row).some((form) =>
        recordPaths(row.semantics, form).some((path) =>
          path.some((effect) => effect.kind === "helper" && effect.helper.name.startsWith("unimplemented ")),
        ),
      ),
    );
    assert.deepEqual(
      missing.map((row) => row.mnemonic),
      [],
    );
  });

  it("gives different helpers different names", () => {
    const named = new Map<string, object>();
    for (const row of rows)
      for (const form of formsOf(row))
        for (const path of recordPaths(row.semantics, form))
          for (const effect of path) {
            if (effect.kind !== "helper") continue;
            const known = named.get(effect.helper.name);
            assert.ok(known === undefined || known === effect.helper, `two helpers are called ${effect.helper.name}`);
            named.set(effect.helper.name, effect.helper);
          }
  });
});
