// Runs test/workbench/suite inside a real VS Code and passes its figures on: `node out/test/workbench/run-in-host.js`.
// All that VS Code says meanwhile goes to out/artifacts/extension-host.log.
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { findChromium, launchBrowser } from "./browser";
import { ARTIFACTS, runExtensionTests } from "./extension-host";
import { serverIsInstalled } from "./server";
import { MARK } from "./suite";

const TIMEOUT_MS = 5 * 60_000;

/** What is missing for a run in a real VS Code, in a sentence, or undefined. */
export function whatIsMissing(): string | undefined {
  if (findChromium() === undefined) {
    return "no Chromium was found (RING1_CHROMIUM may name one)";
  }
  return serverIsInstalled() ? undefined : "VS Code's server is not installed (node test/workbench/install-server.mjs)";
}

/** A folder as a user would have it: the sample guests, copied. To be given to `removeFolder`. */
export function sampleFolder(): string {
  const folder = join(mkdtempSync(join(tmpdir(), "r1w-")), "guests");
  cpSync(join("media", "guests"), folder, { recursive: true });
  return folder;
}

/** Removes what `sampleFolder` made. */
export function removeFolder(folder: string): void {
  rmSync(dirname(folder), { recursive: true, force: true });
}

async function main(): Promise<number> {
  const results = resolve(process.env["RING1_RESULTS"] ?? join("out", "results", "extension-host.json"));
  mkdirSync(join("out", "results"), { recursive: true });
  const missing = whatIsMissing();
  if (missing !== undefined) {
    console.log(`  skipped: ${missing}`);
    writeFileSync(
      results,
      JSON.stringify({ passed: 0, failed: 0, skipped: [`tests in the extension host: ${missing}`] }),
    );
    return 0;
  }
  mkdirSync(ARTIFACTS, { recursive: true });
  const logFile = join(ARTIFACTS, "extension-host.log");
  rmSync(logFile, { force: true });
  const folder = sampleFolder();
  const browser = await launchBrowser();
  try {
    const code = await runExtensionTests(browser, {
      extension: ".",
      tests: join("out", "test", "workbench", "suite", "index.js"),
      folder,
      timeoutMs: TIMEOUT_MS,
      picture: "extension-host-at-the-end",
      env: { RING1_RESULTS: results, RING1_ROOT: resolve(".") },
      log: (line) => {
        appendFileSync(logFile, `${line}\n`);
        if (line.startsWith(MARK)) {
          console.log(line.slice(MARK.length));
        }
      },
    });
    if (code === undefined) {
      console.log(`  The tests did not end within ${TIMEOUT_MS / 1000} s; ${logFile} has what VS Code said.`);
    }
    return code ?? 1;
  } finally {
    await browser.close();
    removeFolder(folder);
  }
}

if (require.main === module) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
