// The extension as VS Code has it after a start: there, active when it is needed, and with everything it promised.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import * as vscode from "vscode";

interface Manifest {
  readonly contributes: { readonly commands: readonly { readonly command: string }[] };
}

describe("the extension in VS Code", () => {
  const extension = vscode.extensions.getExtension("ring1.ring1");

  it("is there and can be activated", async () => {
    assert.ok(extension !== undefined);
    await extension.activate();
    assert.equal(extension.isActive, true);
  });

  it("registers every command that its manifest names", async () => {
    await extension?.activate();
    const registered = await vscode.commands.getCommands(true);
    const manifest = extension?.packageJSON as Manifest | undefined;
    const promised = manifest?.contributes.commands ?? [];
    const missing = promised.map(({ command }) => command).filter((command) => !registered.includes(command));
    assert.deepEqual(missing, []);
  });

  it("knows assembly, linker scripts and its own texts as languages", async () => {
    const languages = await vscode.languages.getLanguages();
    const wanted = ["gas", "nasm", "ld"];
    assert.deepEqual(
      wanted.filter((language) => !languages.includes(language)),
      [],
    );
  });
});
