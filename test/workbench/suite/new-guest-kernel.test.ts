// "New Guest Kernel" without its questions: the folder it makes has everything that a first F5 needs.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "mocha";
import * as vscode from "vscode";

describe("a new guest kernel in VS Code", () => {
  const folder = mkdtempSync(join(tmpdir(), "r1n-"));
  const read = (...path: string[]): string => readFileSync(join(folder, "my-kernel", ...path), "utf8");

  before(() =>
    vscode.commands.executeCommand("ring1.newGuestKernel", {
      sample: "hello",
      name: "my-kernel",
      target: vscode.Uri.file(join(folder, "my-kernel")),
    }),
  );

  after(() => rmSync(folder, { recursive: true, force: true }));

  it("has the sample's sources, the library and the headers, and nothing that was built", () => {
    assert.match(read("main.c"), /kernel_main/);
    assert.match(read("lib", "start.S"), /start/);
    assert.match(read("include", "ring1", "lguest.h"), /hcall/);
    assert.match(read("kernel.ld"), /SECTIONS/);
    assert.throws(() => read("hello.elf"), /ENOENT/);
  });

  it("builds and starts what is named like the folder", () => {
    const { configurations } = JSON.parse(read(".vscode", "launch.json")) as { configurations: { program: string }[] };
    assert.equal(configurations[0]?.program, "${workspaceFolder}/my-kernel.elf");
    assert.match(read("Makefile"), /^NAME := my-kernel$/m);
    assert.match(read(".gitignore"), /build/);
    assert.doesNotMatch(read("README.md") + read("Makefile") + read(".vscode", "tasks.json"), /\{\{/);
  });
});
