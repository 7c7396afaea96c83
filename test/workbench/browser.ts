// The browser in which the workbench runs: a Chromium that is installed here, driven by playwright-core, headless.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
FLAGS.push("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage");

/** Where a Chromium is on this computer, or undefined. RING1_CHROMIUM names one that is elsewhere. */
export function findChromium(): string | undefined {
  const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  return [process.env["RING1_CHROMIUM"] ?? "", ...places].find((path) => path !== "" && existsSync(path));
}

/** Starts the browser. @throws if there is none */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    throw new Error("no Chromium was found; RING1_CHROMIUM may name one");
  }
  return chromium.launch({ executablePath, headless: true, args: FLAGS });
}
