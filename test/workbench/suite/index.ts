// Entry of the tests that run inside VS Code's extension host: a mocha run over this folder. Its lines go out through
// the host's console with a mark, so that they can be told from what VS Code itself writes there.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { format } from "node:util";
import Mocha from "mocha";

/** What each line of ours begins with; the other side prints only these. */
export const MARK = "│ ";

/** Called by VS Code. Rejects if a test failed. */
export async function run(): Promise<void> {
  // VS Code does not let anybody replace console.log, mocha lets everybody replace its own.
  Mocha.reporters.Base.consoleLog = (...args: unknown[]) => console.log(format(...args).replace(/^/gm, MARK));
  const reporter = join(__dirname, "..", "..", "..", "..", "test", "support", "reporter.cjs");
  const grep = process.env["RING1_GREP"] ?? "";
  const mocha = new Mocha({ reporter, timeout: 30_000, slow: 10_000, color: false, grep });
  for (const file of readdirSync(__dirname).sort()) {
    if (file.endsWith(".test.js")) {
      mocha.addFile(join(__dirname, file));
    }
  }
  const failures = await new Promise<number>((done) => {
    mocha.run(done);
  });
  if (failures > 0) {
    throw new Error(`${failures} failed`);
  }
}
