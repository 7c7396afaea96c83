// Our pages in a browser without VS Code: bundles a page and the fake host, serves both with the theme's variables and
// the same content security policy as in VS Code, and waits until the page has drawn.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { THEMES, type ThemeName } from "./themes";

const ORIGIN = "http://page.test";

export interface PageOptions {
  theme?: ThemeName;
  width?: number;
  height?: number;
  /** Attributes of the body, as the extension sets them. */
  data?: Record<string, string>;
}

const bundles = new Map<string, Promise<string>>();

function bundle(entry: string): Promise<string> {
  const known = bundles.get(entry);
  if (known !== undefined) {
    return known;
  }
  const made = build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "browser",
    format: "iife",
    target: "es2022",
    logLevel: "error",
  }).then(({ outputFiles }) => outputFiles[0]!.text);
  bundles.set(entry, made);
  return made;
}

/** Opens a page of src/webview by its name. Errors and CSP violations of the page are collected in `problems`. */
export async function openPage(
  browser: Browser,
  name: string,
  { theme = "dark", width = 1200, height = 420, data = {} }: PageOptions = {},
): Promise<{ page: Page; problems: string[] }> {
  const [host, script] = await Promise.all([
    bundle("test/webview/fake-host.ts"),
    bundle(`src/webview/${name}/index.ts`),
  ]);
  const style = readFileSync(join("media", `${name}.css`), "utf8");
  const page = await browser.newPage({ viewport: { width, height } });
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      problems.push(message.text());
    }
  });
  const attributes = Object.entries(data).map(([key, value]) => ` data-${key}="${value}"`);
  const policy = `default-src 'none'; style-src ${ORIGIN}; script-src 'nonce-n'`;
  const bodyClass = theme === "high-contrast" ? "vscode-dark vscode-high-contrast" : `vscode-${theme}`;
  const files: Record<string, { contentType: string; body: string }> = {
    "/": {
      contentType: "text/html",
      body: `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="stylesheet" href="/theme.css"><link rel="stylesheet" href="/style.css"><title>${name}</title></head>
<body class="${bodyClass}"${attributes.join("")}><script nonce="n" src="/host.js"></script><script nonce="n" src="/page.js"></script></body></html>`,
    },
    "/theme.css": { contentType: "text/css", body: themeStyle(theme) },
    "/style.css": { contentType: "text/css", body: style },
    "/host.js": { contentType: "text/javascript", body: host },
    "/page.js": { contentType: "text/javascript", body: script },
    "/favicon.ico": { contentType: "image/x-icon", body: "" },
  };
  await page.route(`${ORIGIN}/**`, (route) => {
    const file = files[new URL(route.request().url()).pathname];
    return file === undefined ? route.abort() : route.fulfill(file);
  });
  await page.goto(`${ORIGIN}/`);
  return { page, problems };
}

function themeStyle(theme: ThemeName): string {
  const variables = Object.entries(THEMES[theme]).map(([key, value]) => `--vscode-${key}: ${value};`);
  return `:root { ${variables.join(" ")} } body { background: var(--vscode-panel-background); }`;
}
