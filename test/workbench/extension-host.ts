// Runs a mocha suite inside VS Code's extension host: the page is told by its address which extension is under
// development and which module holds the tests, and calls back with their console and their result.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { format } from "node:util";
import type { Browser } from "playwright-core";
import { Server, type ServerOptions } from "./server";

export const ARTIFACTS = join("out", "artifacts");

export interface ExtensionTests extends ServerOptions {
  /** Folder of the extension under test. */
  readonly extension: string;
  /** Module whose `run()` runs the tests. */
  readonly tests: string;
  /** Folder to open. */
  readonly folder: string;
  /** Called with each line that the tests write. */
  readonly log: (line: string) => void;
  readonly timeoutMs: number;
  /** Name of the picture taken at the end. */
  readonly picture: string;
}

/** Runs the tests. @returns what they reported: 0 is success; undefined when they did not end in time */
export async function runExtensionTests(browser: Browser, options: ExtensionTests): Promise<number | undefined> {
  const server = await Server.start({ ...options, automated: true });
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  let timer: NodeJS.Timeout | undefined;
  try {
    const result = new Promise<number | undefined>((done) => {
      timer = setTimeout(() => done(undefined), options.timeoutMs);
      page.once("crash", () => done(undefined));
      void page.exposeFunction("codeAutomationExit", (code: number) => done(code));
    });
    await page.exposeFunction("codeAutomationLog", (_type: string, args: unknown[]) => {
      for (const line of format(...args).split("\n")) {
        options.log(line);
      }
    });
    const payload = [
      ["extensionDevelopmentPath", server.remoteUri(options.extension)],
      ["extensionTestsPath", server.remoteUri(options.tests)],
    ] as const;
    await page.goto(server.url(options.folder, payload));
    const code = await result;
    mkdirSync(ARTIFACTS, { recursive: true });
    await page.screenshot({ path: join(ARTIFACTS, `${options.picture}.png`) });
    return code;
  } finally {
    clearTimeout(timer);
    await page.close();
    await server.stop();
  }
}
