// The same suite as run-in-host, in a VS Code that @vscode/test-electron downloads: for places where a download is
// possible, and for looking at a run on a desktop. `npm run build:dev && npm run build:test`, then
//
//   node test/workbench/run-electron.mjs [version]      (needs a display; on a server: xvfb-run -a node ...)
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runTests } from "@vscode/test-electron";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const folder = mkdtempSync(join(tmpdir(), "r1w-"));
cpSync(join(root, "media", "guests"), folder, { recursive: true });
try {
  await runTests({
    version: process.argv[2] ?? "stable",
    extensionDevelopmentPath: root,
    extensionTestsPath: join(root, "out", "test", "workbench", "suite", "index.js"),
    launchArgs: [folder, "--disable-extensions", "--disable-workspace-trust", "--skip-welcome"],
    extensionTestsEnv: { RING1_ROOT: resolve(root) },
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
