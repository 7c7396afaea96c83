// Our pages in a real browser, with a fake guest behind them: a million rows, keys, filters, what a screen reader is told,
// and that the content security policy is kept.
import assert from "node:assert/strict";
import { after, before, describe, it } from "mocha";
import type { Browser, Page } from "playwright-core";
import { openPage } from "../webview/page-fixture";
import { findChromium, launchBrowser } from "./browser";

const MILLION = 1_204_331;

describe("the pages in a browser", function () {
  this.timeout(20_000);
  let browser: Browser;

  before(async function () {
    if (findChromium() === undefined) {
      console.log("  skipped: no Chromium was found (RING1_CHROMIUM may name one)");
      this.skip();
    }
    browser = await launchBrowser();
  });

  after(() => browser?.close());

  const plain = (text: string | null): string => (text ?? "").replaceAll("\u202f", " ");

  async function trapLog(length: number): Promise<{ page: Page; problems: string[] }> {
    const opened = await openPage(browser, "trap-log");
    await opened.page.evaluate((count) => {
      window.fake.log.length = count;
      window.fake.session({});
      window.fake.grow(count);
    }, length);
    if (length > 0) {
      await opened.page.waitForFunction(
        () => document.querySelector(".layer .row:not([hidden]) .n")?.textContent !== "…",
      );
    }
    return opened;
  }

  const grid = (page: Page) => page.locator(".grid");
  /** Waits until the selected row's number is as it should be: rows are painted a frame after the key. */
  const untilSelected = async (page: Page, isIt: (n: number) => boolean): Promise<void> => {
    const digits = async () => plain(await page.locator(".row.selected .n").textContent()).replace(/\s/g, "");
    const end = Date.now() + 5000;
    while (!isIt(Number(await digits()))) {
      assert.ok(Date.now() < end, `row ${await digits()} is selected`);
    }
  };
  const lastCommand = (page: Page) => page.evaluate(() => window.fake.commands.at(-1));

  it("a million rows: the end, the start and any place between are in sight at once", async () => {
    const { page, problems } = await trapLog(MILLION);
    await page.locator(".row", { hasText: "1 204 331".replaceAll(" ", "\u202f") }).waitFor();
    assert.equal(await grid(page).getAttribute("aria-rowcount"), String(MILLION + 1));
    await grid(page).focus();
    await page.keyboard.press("Home");
    await page.waitForFunction(() => document.querySelector(".row.selected .n")?.textContent === "1");
    await grid(page).evaluate((element) => {
      element.scrollTop = element.scrollHeight / 2;
    });
    await page.waitForFunction(() => {
      const rows = [...document.querySelectorAll(".layer .row:not([hidden])")];
      return (
        rows.every((row) => row.querySelector(".n")?.textContent !== "…") &&
        Number(rows[0]?.getAttribute("aria-rowindex")) > 500_000
      );
    });
    const elements = await page.locator(".layer .row").count();
    assert.ok(elements < 60, `${elements} row elements`);
    assert.deepEqual(problems, []);
    await page.close();
  });

  it("above the height cap the wheel moves row by row", async () => {
    const { page } = await trapLog(MILLION);
    await grid(page).focus();
    await page.keyboard.press("Home");
    await page.waitForFunction(() => document.querySelector(".row.selected .n")?.textContent === "1");
    await grid(page).hover();
    await page.mouse.wheel(0, 44);
    await page.waitForFunction(() => document.querySelector(".layer .row .n")?.textContent === "3");
    await page.close();
  });

  it("keys move the selection, Enter goes to the source, Escape closes the details", async () => {
    const { page } = await trapLog(1000);
    await grid(page).focus();
    await page.keyboard.press("End");
    await untilSelected(page, (n) => n === 1000);
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("PageUp");
    await untilSelected(page, (n) => n < 999);
    await page.keyboard.press("End");
    await page.waitForFunction(() => {
      const active = document.querySelector(".grid")?.getAttribute("aria-activedescendant");
      return document
        .getElementById(active ?? "")
        ?.getAttribute("aria-label")
        ?.startsWith("1000, guest, ");
    });
    await page.keyboard.press("Enter");
    assert.deepEqual(await lastCommand(page), { command: "ring1.trapLog.goToSource", argument: { n: 1000 } });
    await page.locator(".details").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".details").waitFor({ state: "hidden" });
    await page.close();
  });

  it("typing begins a filter, and a mistake is explained in place", async () => {
    const { page } = await trapLog(5000);
    await grid(page).focus();
    await page.keyboard.type("world:user");
    assert.equal(await page.locator(".filter").inputValue(), "world:user");
    await page.waitForFunction(
      () => document.querySelectorAll('.layer .row[data-world="guest"]:not([hidden])').length === 0,
    );
    assert.match(plain(await page.locator(".summary").textContent()), /^\d+ of 5 000/);
    await page.locator(".filter").fill("world:usr");
    assert.match((await page.locator(".problem").textContent()) ?? "", /"usr" is no world.*user, guest/);
    assert.equal(await page.locator(".filter").getAttribute("aria-invalid"), "true");
    await page.locator(".filter").fill("no_such_thing");
    await page.locator(".empty", { hasText: "No entry matches" }).waitFor();
    await page.locator(".empty button").click();
    await page.locator('.layer .row[data-world="guest"]:not([hidden])').first().waitFor();
    await page.close();
  });

  it("follows a running guest, holds still when paused, and asks at most ten times a second", async () => {
    const { page } = await trapLog(1000);
    await page.evaluate(() => {
      window.fake.requests.length = 0;
      let length = 1000;
      const timer = setInterval(() => {
        length += 50;
        window.fake.grow(length);
        if (length >= 3000) {
          clearInterval(timer);
        }
      }, 20);
    });
    await page.locator(".row", { hasText: "3\u202f000" }).waitFor();
    const asked = await page.evaluate(() => window.fake.requests.length);
    assert.ok(asked <= 16, `${asked} requests in 0.8 s`);
    await page.locator("button", { hasText: "Pause" }).click();
    await page.evaluate(() => window.fake.grow(3500));
    await page.locator("button", { hasText: "500 new" }).waitFor();
    assert.equal(await page.locator(".row", { hasText: "3\u202f500" }).count(), 0);
    await page.locator("button", { hasText: "Paused" }).click();
    await page.locator(".row", { hasText: "3\u202f500" }).waitFor();
    await page.close();
  });

  it("scrolling up stops following, End begins again", async () => {
    const { page } = await trapLog(5000);
    const follow = page.locator("button", { hasText: "Follow" });
    assert.equal(await follow.getAttribute("aria-pressed"), "true");
    await grid(page).hover();
    await page.mouse.wheel(0, -300);
    await page.waitForFunction(() => document.querySelector('[aria-pressed="true"]') === null);
    await grid(page).focus();
    await page.keyboard.press("End");
    assert.equal(await follow.getAttribute("aria-pressed"), "true");
    await page.close();
  });

  it("counts per kind are a menu that filters", async () => {
    const { page } = await trapLog(5000);
    await page.locator("button", { hasText: "Kinds" }).click();
    const box = page.locator(".kinds-item", { hasText: "#PF" }).locator("input");
    await box.check();
    assert.equal(await page.locator(".filter").inputValue(), "event:#PF");
    await page.locator(".kinds-item", { hasText: "#PF" }).waitFor();
    await page.locator(".kinds-item", { hasText: "#PF" }).locator("input").uncheck();
    assert.equal(await page.locator(".filter").inputValue(), "");
    await page.close();
  });

  it("dragging over the strip narrows to a range of instructions", async () => {
    const { page } = await trapLog(5000);
    await page.waitForFunction(() =>
      document.querySelector(".strip")?.getAttribute("aria-label")?.startsWith("Activity"),
    );
    const box = await page.locator(".strip").boundingBox();
    assert.ok(box !== null);
    await page.mouse.move(box.x + 100, box.y + 10);
    await page.mouse.down();
    await page.mouse.move(box.x + 300, box.y + 10);
    await page.mouse.up();
    assert.match(await page.locator(".filter").inputValue(), /^\d+\.\.\d+$/);
    await page.close();
  });

  it("clearing hides what there was and can be taken back", async () => {
    const { page } = await trapLog(1000);
    await page.locator('button[title^="Clear"]').click();
    assert.equal(await page.locator(".filter").inputValue(), "n:1001..");
    await page.locator(".empty", { hasText: "No entry matches" }).waitFor();
    await page.evaluate(() => window.fake.grow(1002));
    await page.locator(".row", { hasText: "1\u202f002" }).waitFor();
    await page.close();
  });

  it("a row carries what VS Code's context menu needs", async () => {
    const { page } = await trapLog(100);
    const context = await page.locator(".layer .row").first().getAttribute("data-vscode-context");
    const { webviewSection, n } = JSON.parse(context ?? "{}");
    assert.equal(webviewSection, "row");
    assert.ok(n > 0);
    await page.close();
  });

  it("without a guest the panel says what it is for and offers a sample", async () => {
    const { page, problems } = await openPage(browser, "trap-log");
    await page.evaluate(() => window.fake.session(null));
    await page.locator("button", { hasText: "Run Sample Guest" }).click();
    assert.equal((await lastCommand(page))?.command, "ring1.runSample");
    assert.deepEqual(problems, []);
    await page.close();
  });

  it("the GDT as a table marks differences, sorts and narrows", async () => {
    const { page, problems } = await openPage(browser, "tables", { data: { table: "gdt" } });
    await page.evaluate(() => window.fake.session({ state: "stopped", stopNumber: 1 }));
    const entries = page.locator("tr.entry");
    await entries.first().waitFor();
    assert.equal(await entries.count(), 7);
    assert.match((await page.locator("td.differs").first().textContent()) ?? "", /00CFFB00/);
    await page.locator("label", { hasText: "Only differences" }).locator("input").check();
    assert.equal(await entries.count(), 5);
    await page.locator('th[data-column="selector"] button').click();
    await page.locator('th[data-column="selector"] button').click();
    assert.equal(await page.locator('th[data-column="selector"]').getAttribute("aria-sort"), "descending");
    assert.match((await entries.first().textContent()) ?? "", /^20/);
    assert.deepEqual(problems, []);
    await page.close();
  });
});
