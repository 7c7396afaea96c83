// The same extension where there is no Node: in the browser's own extension host, with the engine in a Web Worker. Images
// and sources come through VS Code's file system there.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "mocha";
import type { Browser } from "playwright-core";
import { launchBrowser } from "./browser";
import { removeFolder, sampleFolder, whatIsMissing } from "./run-in-host";
import { Server } from "./server";
import { WorkbenchPage } from "./workbench-page";

const LAUNCH = { type: "ring1", request: "launch", name: "hello", program: "${workspaceFolder}/hello/hello.elf" };

describe("a person in a browser without Node", () => {
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
    mkdirSync(join(folder, ".vscode"), { recursive: true });
    writeFileSync(
      join(folder, ".vscode", "launch.json"),
      JSON.stringify({ version: "0.2.0", configurations: [LAUNCH] }),
    );
    browser = await launchBrowser();
    // VS Code takes an extension that is installed on its server for one that wants Node, one under development not.
    const settings = { "remote.extensionKind": { "ring1.ring1": ["web"] } };
    server = await Server.start({ automated: true, settings });
    workbench = await WorkbenchPage.open(browser, server, folder, ".");
  });

  afterEach(async function () {
    if (this.currentTest?.state === "failed") {
      await workbench.picture(`failed-${this.currentTest.title.replace(/\W+/g, "-").slice(0, 60)}`);
    }
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    if (folder !== undefined) {
      removeFolder(folder);
    }
  });

  it("stops at a breakpoint in the guest's source", async () => {
    await workbench.openFile("hello", "main.c");
    await workbench.goToLine(workbench.lineWith(join(folder, "hello", "main.c"), "look_around(&machine);"));
    await workbench.press("F9", "F5");
    await workbench.untilStoppedIn(/kernel_main/);
    await workbench.only("Registers");
    await workbench.untilRow("Registers", /EIP.*kernel_main/);
    await workbench.picture("20-in-a-browser-without-node");
  });

  it("runs the guest to its end", async () => {
    await workbench.press("F5");
    await workbench.command("Ring 1: Show Guest Console");
    await workbench.untilText("the console", workbench.terminal(), /Hello from ring 1!/);
    await workbench.toolbar().waitFor({ state: "hidden" });
  });
});
