// A person's first quarter of an hour with the packaged extension: open the samples, set a breakpoint, press F5, look at
// every view, step, read the trap log, type at the console, see a guest die. Pictures of each station are kept.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "mocha";
import type { Browser } from "playwright-core";
import { launchBrowser } from "./browser";
import { ARTIFACTS } from "./extension-host";
import { removeFolder, sampleFolder, whatIsMissing } from "./run-in-host";
import { Server } from "./server";
import { WorkbenchPage } from "./workbench-page";

const VSIX = "ring1.vsix";
const PICTURES = join("media", "pictures");

/** Stations whose pictures are in README.md; they are taken anew with RING1_BLESS=1. */
const README_PICTURES = [
  ["02-stopped-at-a-breakpoint", "debugging"],
  ["08-trap-log", "trap-log"],
  ["07-tables", "tables"],
] as const;

describe("a person at the workbench", () => {
  let browser: Browser;
  let server: Server;
  let folder: string;
  let workbench: WorkbenchPage;

  before(async function () {
    const missing = whatIsMissing();
    if (missing !== undefined) {
      console.log(`  skipped: ${missing}`);
      this.skip();
    }
    folder = sampleFolder();
    browser = await launchBrowser();
    server = await Server.start({ vsix: VSIX });
    workbench = await WorkbenchPage.open(browser, server, folder);
  });

  afterEach(async function () {
    if (this.currentTest?.state === "failed") {
      await workbench.picture(`failed-${this.currentTest.title.replace(/\W+/g, "-").slice(0, 60)}`);
    }
  });

  after(async () => {
    if (process.env["RING1_BLESS"] === "1") {
      for (const [artifact, picture] of README_PICTURES) {
        mkdirSync(PICTURES, { recursive: true });
        copyFileSync(join(ARTIFACTS, `${artifact}.png`), join(PICTURES, `${picture}.png`));
      }
    }
    await browser?.close();
    await server?.stop();
    if (folder !== undefined) {
      removeFolder(folder);
    }
  });

  it("finds a welcome in the debug side bar, and the way to a sample", async () => {
    await workbench.press("Control+Shift+D");
    await workbench.widenSideBar(460);
    const sideBar = workbench.page.locator(".part.sidebar");
    await workbench.untilText("the side bar", sideBar, /Run Sample/i);
    await workbench.picture("01-welcome");
  });

  it("sets a breakpoint with F9 and stops there after F5", async () => {
    await workbench.openFile("hello", "main.c");
    await workbench.goToLine(workbench.lineWith(join(folder, "hello", "main.c"), "look_around(&machine);"));
    await workbench.press("F9");
    await workbench.page.locator(".codicon-debug-breakpoint").first().waitFor();
    await workbench.press("F5");
    await workbench.pickIfAsked("hello.elf");
    const stack = await workbench.untilStoppedIn(/kernel_main/);
    assert.ok(
      stack.some((row) => /main\.c/.test(row)),
      stack.join("\n"),
    );
    await workbench.picture("02-stopped-at-a-breakpoint");
  });

  it("sees variables with their C types' values", async () => {
    await workbench.untilRow("Variables", /./);
    await workbench.press("F11");
    await workbench.untilStoppedIn(/look_around/);
    await workbench.untilRow("Variables", /found/);
  });

  it("reads the registers, and what the guest believes", async () => {
    await workbench.only("Registers");
    await workbench.untilRow("Registers", /guest.*ring 1/i);
    await workbench.untilRow("Registers", /EIP.*look_around/);
    await workbench.untilRow("Registers", /Believes|irq_enabled|interrupts/i);
    await workbench.picture("03-registers");
  });

  it("reads the GDT as the guest wrote it and as the processor has it", async () => {
    await workbench.only("GDT");
    await workbench.untilRow("GDT", /0060.*code/i);
    await workbench.untilRow("GDT", /ring 1/i);
    await workbench.picture("04-gdt");
  });

  it("reads in the IDT who will handle each vector", async () => {
    await workbench.only("IDT");
    await workbench.untilRow("IDT", /#PF.*/);
    await workbench.picture("05-idt");
  });

  it("reads the guest's page tables beside their shadow", async () => {
    await workbench.only("Page Tables");
    const row = await workbench.untilRow("Page Tables", /C0000000/i);
    assert.ok(row.length > 0);
    await workbench.picture("06-page-tables");
  });

  it("reads what the hypervisor is about to do", async () => {
    await workbench.only("Hypervisor");
    await workbench.untilRow("Hypervisor", /interrupt|timer/i);
    await workbench.picture("07-hypervisor");
  });

  it("opens the GDT as a table, with all columns side by side", async () => {
    await workbench.command("Ring 1: Open GDT as a Table");
    const table = await workbench.webview(/host's own|guest/i);
    await workbench.untilText("the table", table.locator("body"), /0060/);
    await workbench.only("Page Tables");
    await workbench.picture("07-tables");
    await workbench.press("Control+F4");
  });

  it("reads the trap log, filters it, and goes to a source line from it", async () => {
    await workbench.command("Ring 1: Show Trap Log");
    const log = await workbench.webview(/SET_PTE|LGUEST_INIT|#PF/);
    const body = log.locator("body");
    await workbench.untilText("the trap log", body, /hypercall/i);
    await workbench.picture("08-trap-log");
    const filter = log.locator("input").first();
    await filter.fill("hypercall:LGUEST_INIT");
    await workbench.untilText("the filtered log", body, /LGUEST_INIT/);
    const rows = log.locator('[role="row"]', { hasText: "LGUEST_INIT" });
    await rows.first().dblclick();
    await workbench.until("an editor with the source", async () => {
      const tab = workbench.page.locator(".tab.active");
      return /\.(c|S|h)$/.test((await tab.getAttribute("data-resource-name")) ?? "");
    });
    await filter.fill("");
    await workbench.untilText("the whole log", body, /#PF/);
    await workbench.picture("09-trap-log-to-source");
  });

  it("steps with F10, and the status bar says where the guest is", async () => {
    const [before] = await workbench.untilStoppedIn(/look_around/);
    await workbench.press("Control+Shift+D", "F10");
    // The same function, another line: only then has the step been made, and the next key is not lost.
    await workbench.until("the next line", async () => {
      const [top] = await workbench.callStack();
      return top !== undefined && /look_around/.test(top) && top !== before ? top : undefined;
    });
    await workbench.untilText("the status bar", workbench.statusBar(), /guest.*ring 1/i);
  });

  it("goes on with F5, and reads the guest's greeting in its terminal until it powers off", async () => {
    await workbench.press("F5");
    await workbench.command("Ring 1: Show Guest Console");
    await workbench.untilText("the console", workbench.terminal(), /Hello from ring 1!/);
    await workbench.untilText("the end", workbench.terminal(), /power(ed)? off/i);
    await workbench.toolbar().waitFor({ state: "hidden" });
    await workbench.picture("10-console");
  });

  it("types at the console of a guest that listens", async () => {
    writeLaunch(folder, { name: "shell", program: "${workspaceFolder}/shell/shell.elf" });
    await workbench.startConfiguration("shell");
    await workbench.untilText("the console", workbench.terminal(), /shell/i);
    await workbench.focusTerminal();
    await workbench.type("help");
    await workbench.press("Enter");
    await workbench.untilText("the answer", workbench.terminal(), /peek/i);
    await workbench.picture("11-shell");
  });

  it("pauses a guest that runs, and stops it", async () => {
    await workbench.press("F6");
    await workbench.untilStoppedIn(/\w/);
    await workbench.press("Shift+F5");
    await workbench.toolbar().waitFor({ state: "hidden" });
  });

  it("reloads the window during a session, and can start again", async () => {
    await workbench.startConfiguration("shell");
    await workbench.reload();
    await workbench.toolbar().waitFor({ state: "hidden" });
    writeLaunch(folder, { name: "hello", program: "${workspaceFolder}/hello/hello.elf", stopOnEntry: true });
    await workbench.startConfiguration("hello");
    await workbench.untilStoppedIn(/start/);
    await workbench.press("Shift+F5");
    await workbench.toolbar().waitFor({ state: "hidden" });
  });

  it("is told why a guest cannot be started", async () => {
    writeFileSync(join(folder, "broken.elf"), "no ELF at all");
    writeLaunch(folder, { name: "broken", program: "${workspaceFolder}/broken.elf" });
    await workbench.press("F5");
    const dialog = workbench.page.locator(".monaco-dialog-box, .notifications-toasts");
    await workbench.untilText("the message", dialog.first(), /ELF/);
    await workbench.picture("12-cannot-be-started");
    await workbench.press("Escape");
  });
});

/** The one launch configuration of the folder. */
function writeLaunch(folder: string, configuration: Readonly<Record<string, unknown>>): void {
  const launch = { version: "0.2.0", configurations: [{ type: "ring1", request: "launch", ...configuration }] };
  mkdirSync(join(folder, ".vscode"), { recursive: true });
  writeFileSync(join(folder, ".vscode", "launch.json"), JSON.stringify(launch));
}
