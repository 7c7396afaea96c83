// The workbench as a person meets it: keys, clicks and what can be read on the screen. Every method waits for what it
// needs to be there (never for a fixed time), and says what it waited for when it gives up.
import { mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Browser, Frame, Locator, Page } from "playwright-core";
import { ARTIFACTS } from "./extension-host";
import type { Server } from "./server";

const STEP_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

export class WorkbenchPage {
  private constructor(readonly page: Page) {}

  /**
   * Opens `folder` in a new page and waits until the extensions are loaded: before that, keys are lost. The folder of an
   * extension may be given, to run in the browser's extension host; the server must be `automated` then.
   */
  static async open(browser: Browser, server: Server, folder: string, extension?: string): Promise<WorkbenchPage> {
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 }, deviceScaleFactor: 1 });
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
    const development = extension && [
      ["extensionDevelopmentPath", server.remoteUri(extension)] as const,
      ["extensionDevelopmentKind", "web"] as const,
    ];
    await page.goto(server.url(folder, development || undefined));
    const workbench = new WorkbenchPage(page);
    await workbench.ready();
    return workbench;
  }

  /** Loads the page anew, as a person's "reload window" does. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.ready();
  }

  async close(): Promise<void> {
    await this.page.close();
  }

  private async ready(): Promise<void> {
    // A text, because the page's names are unknown to the compiler of this file.
    const loaded = "performance.getEntriesByName('code/didLoadExtensions').length > 0";
    await this.page.waitForFunction(loaded, undefined, { timeout: START_TIMEOUT_MS });
    await this.page.locator(".explorer-folders-view, .composite.viewlet").first().waitFor();
  }

  /** A picture of the whole window, kept with the run. */
  async picture(name: string): Promise<string> {
    mkdirSync(ARTIFACTS, { recursive: true });
    const path = join(ARTIFACTS, `${name}.png`);
    // Away from anything that would show a hint.
    await this.page.mouse.move(200, 8);
    await this.page.locator(".workbench-hover-container, .monaco-hover:visible").first().waitFor({ state: "hidden" });
    await this.page.screenshot({ path });
    return path;
  }

  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      await this.page.keyboard.press(key);
    }
  }

  async type(text: string): Promise<void> {
    await this.page.keyboard.type(text);
  }

  /** Asks `condition` until it answers something other than undefined or false. */
  async until<T>(
    what: string,
    condition: () => Promise<T | undefined | false>,
    timeoutMs = STEP_TIMEOUT_MS,
  ): Promise<T> {
    const end = Date.now() + timeoutMs;
    let lastError: unknown;
    do {
      try {
        const value = await condition();
        if (value !== undefined && value !== false) {
          return value;
        }
      } catch (error) {
        lastError = error;
      }
      await new Promise((done) => setTimeout(done, POLL_MS));
    } while (Date.now() < end);
    throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: lastError });
  }

  /** Waits until the element's text matches; the error shows the text there was. */
  async untilText(what: string, element: Locator, pattern: RegExp, timeoutMs = STEP_TIMEOUT_MS): Promise<string> {
    let last = "";
    try {
      return await this.until(
        what,
        async () => {
          last = visibleText(await element.innerText({ timeout: 1000 }));
          return pattern.test(last) ? last : undefined;
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${what} should match ${pattern}; it reads:\n${last}`, { cause: error });
    }
  }

  /** Runs a command by its title from the palette. */
  async command(title: string): Promise<void> {
    await this.until(`the palette with "${title}"`, async () => {
      const widget = this.page.locator(".quick-input-widget");
      await this.press("Escape");
      await widget.waitFor({ state: "hidden", timeout: 3000 });
      await this.press("F1");
      await widget.locator("input").first().fill(`>${title}`, { timeout: 3000 });
      await this.quickPickRow(title).first().click({ timeout: 3000 });
      return true;
    });
  }

  /** A row of the list at the top of the window, by its text. */
  quickPickRow(text: string): Locator {
    return this.page.locator(".quick-input-list .monaco-list-row", { hasText: text });
  }

  /** Answers the input box or filter of a quick pick that is open. */
  async answer(text: string): Promise<void> {
    const input = this.page.locator(".quick-input-widget:visible input").first();
    await input.waitFor();
    await input.fill(text);
    await this.press("Enter");
  }

  /** If a list opens before the debugger does, takes the row with this text. */
  async pickIfAsked(text: string): Promise<void> {
    await this.until(`a start, or the question with "${text}"`, async () => {
      if (await this.toolbar().isVisible()) {
        return true;
      }
      const row = this.quickPickRow(text).first();
      if (await row.isVisible()) {
        await row.click();
      }
      return false;
    });
  }

  /** Opens a file by the explorer, folder by folder, with a double click. */
  async openFile(...path: string[]): Promise<void> {
    await this.press("Control+Shift+E");
    for (const part of path.slice(0, -1)) {
      const row = this.explorerRow(part);
      if ((await row.getAttribute("aria-expanded")) !== "true") {
        await row.click();
      }
    }
    const name = path.at(-1) ?? "";
    await this.explorerRow(name).dblclick();
    await this.page.locator(`.tab.active[data-resource-name="${basename(name)}"]`).waitFor();
    await this.page.locator(".editor-instance .view-lines").first().waitFor();
  }

  private explorerRow(name: string): Locator {
    return this.page.locator(`.explorer-folders-view .monaco-list-row[aria-label="${name}"]`).first();
  }

  /** The number of the first line of a file that contains `text`. */
  lineWith(file: string, text: string): number {
    const line = readFileSync(file, "utf8")
      .split("\n")
      .findIndex((candidate) => candidate.includes(text));
    if (line < 0) {
      throw new Error(`${file} has no line with ${text}`);
    }
    return line + 1;
  }

  /** Puts the cursor on a line of the active editor. */
  async goToLine(line: number): Promise<void> {
    await this.press("Control+g");
    await this.answer(`:${line}`);
    await this.untilText("the cursor's position", this.statusBar(), new RegExp(`Ln ${line}\\b`));
  }

  statusBar(): Locator {
    return this.page.locator(".part.statusbar");
  }

  editor(): Locator {
    return this.page.locator(".editor-instance .monaco-editor").first();
  }

  /** Starts the launch configuration with this name, once VS Code has read it, by the green button. */
  async startConfiguration(name: string): Promise<void> {
    await this.press("Control+Shift+D");
    // The 1.100 line of VS Code has a native list there, later ones a label.
    const label = `.start-debug-action-item-label:text-is("${name}"), .start-debug-action-item option:text-is("${name}")`;
    await this.page.locator(label).first().waitFor({ state: "attached" });
    await this.page.locator(".start-debug-action-item .codicon-debug-start").click();
    await this.toolbar().waitFor();
  }

  /** Makes the side bar this wide, in pixels. */
  async widenSideBar(width: number): Promise<void> {
    const box = await this.page.locator(".part.sidebar").boundingBox();
    if (box === null) {
      throw new Error("there is no side bar");
    }
    const y = box.y + box.height / 2;
    await this.page.mouse.move(box.x + box.width, y);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + width, y, { steps: 5 });
    await this.page.mouse.up();
  }

  toolbar(): Locator {
    return this.page.locator(".debug-toolbar");
  }

  /** Frames of the call stack view, top first. */
  async callStack(): Promise<string[]> {
    await this.view("Call Stack");
    const rows = this.page.locator(".debug-call-stack .monaco-list-row");
    return (await rows.allInnerTexts()).map((text) => visibleText(text).replace(/\s+/g, " ").trim());
  }

  /** Waits until the top of the call stack matches, that is until the debugger has stopped there. */
  async untilStoppedIn(pattern: RegExp, timeoutMs = STEP_TIMEOUT_MS): Promise<string[]> {
    let last: string[] = [];
    try {
      return await this.until(
        `a stop in ${pattern}`,
        async () => {
          last = await this.callStack();
          return last.some((row) => pattern.test(row)) ? last : undefined;
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`the call stack should have ${pattern}; it reads:\n  ${last.join("\n  ")}`, { cause: error });
    }
  }

  /** A view of the side bar or panel by the name in its header; expanded if it was not. */
  async view(name: string): Promise<Locator> {
    const header = this.page.locator(`.pane > .pane-header:has(h3:text-is("${name}"))`).first();
    await header.waitFor();
    if ((await header.getAttribute("aria-expanded")) !== "true") {
      await header.click();
    }
    return header.locator("xpath=..");
  }

  /** Opens this view of the side bar and folds the others, so that it has the room. */
  async only(name: string): Promise<void> {
    await this.view(name);
    const open = this.page.locator(".part.sidebar .pane > .pane-header[aria-expanded=true] h3");
    for (const title of await open.allInnerTexts()) {
      if (title.trim().toLowerCase() !== name.toLowerCase()) {
        await open.and(this.page.locator(`h3:text-is("${title.trim()}")`)).click();
      }
    }
  }

  /** Rows of a tree view, as they are read; only those that are scrolled into view. */
  async rowsOf(name: string): Promise<string[]> {
    const rows = (await this.view(name)).locator(".monaco-list-row");
    return (await rows.allInnerTexts()).map((text) => visibleText(text).replace(/\s+/g, " ").trim());
  }

  /** Waits for a row of a view that matches. */
  async untilRow(name: string, pattern: RegExp, timeoutMs = STEP_TIMEOUT_MS): Promise<string> {
    let last: string[] = [];
    try {
      return await this.until(
        `a row ${pattern} in ${name}`,
        async () => {
          last = await this.rowsOf(name);
          return last.find((row) => pattern.test(row));
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`the view ${name} should have ${pattern}; it reads:\n  ${last.join("\n  ")}`, { cause: error });
    }
  }

  /** A row of a view by a part of its text. */
  async row(name: string, text: string): Promise<Locator> {
    return (await this.view(name)).locator(".monaco-list-row", { hasText: text }).first();
  }

  /** The document inside a webview that shows `text`. */
  async webview(text: string | RegExp, timeoutMs = STEP_TIMEOUT_MS): Promise<Frame> {
    const matches = (body: string): boolean => (typeof text === "string" ? body.includes(text) : text.test(body));
    return this.until(
      `a webview with ${text}`,
      async () => {
        for (const frame of this.page.frames()) {
          const inWebview = /webview/.test(frame.parentFrame()?.url() ?? "");
          if (inWebview && matches(await frame.locator("body").innerText({ timeout: 1000 }))) {
            return frame;
          }
        }
        return undefined;
      },
      timeoutMs,
    );
  }

  /** Text of the terminal in front. */
  terminal(): Locator {
    return this.page.locator(".terminal-wrapper.active .xterm-rows").first();
  }

  /** Puts the keyboard into the terminal in front. */
  async focusTerminal(): Promise<void> {
    await this.page.locator(".terminal-wrapper.active .xterm-helper-textarea").first().focus();
  }

  /** Opens the tab of the panel with this name. */
  async panel(name: string): Promise<void> {
    const tab = this.page.locator(".part.panel .composite-bar .action-item", { hasText: new RegExp(`^${name}`, "i") });
    await tab.first().click();
  }

  /** Texts of the notifications that are on the screen. */
  async notifications(): Promise<string[]> {
    const items = this.page.locator(".notifications-toasts .notification-list-item-message");
    return (await items.allInnerTexts()).map(visibleText);
  }
}

/** VS Code writes no-break spaces for spaces. */
function visibleText(text: string): string {
  return text.replaceAll("\u00a0", " ");
}
