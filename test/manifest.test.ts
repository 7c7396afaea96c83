// package.json promises things to VS Code that no compiler checks: texts, files, commands, views. Here they are.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "mocha";

interface Command {
  readonly command: string;
  readonly category?: string;
  readonly icon?: string | Readonly<Record<string, string>>;
}

interface Manifest {
  readonly engines: { readonly vscode: string };
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly main: string;
  readonly contributes: {
    readonly commands: readonly Command[];
    readonly menus: Readonly<Record<string, readonly { readonly command?: string; readonly submenu?: string }[]>>;
    readonly submenus?: readonly { readonly id: string }[];
    readonly views: Readonly<Record<string, readonly { readonly id: string }[]>>;
    readonly viewsWelcome: readonly { readonly view: string; readonly contents: string }[];
  };
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const texts = JSON.parse(readFileSync("package.nls.json", "utf8")) as Record<string, string>;

/** All strings in a JSON value, with the path of keys that leads to each. */
function strings(value: unknown, path = ""): { path: string; text: string }[] {
  if (typeof value === "string") {
    return [{ path, text: value }];
  }
  if (typeof value !== "object" || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, inner]) => strings(inner, `${path}/${key}`));
}

const keysInUse = strings(manifest).flatMap(({ text }) => {
  const key = /^%(.+)%$/.exec(text)?.[1];
  return key === undefined ? [] : [key];
});

const commands = new Set(manifest.contributes.commands.map(({ command }) => command));

describe("the manifest", () => {
  it("has a text for every key, and a use for every text", () => {
    assert.deepEqual([...new Set(keysInUse)].filter((key) => !Object.hasOwn(texts, key)).sort(), []);
    assert.deepEqual(
      Object.keys(texts)
        .filter((key) => !keysInUse.includes(key))
        .sort(),
      [],
    );
  });

  it("names files that exist", () => {
    const files = strings(manifest.contributes).filter(({ text }) => /^(?:\.\/)?(?:media|syntaxes)\/\S+$/.test(text));
    assert.deepEqual(
      files.filter(({ text }) => !existsSync(join(".", text))).map(({ path, text }) => `${path}: ${text}`),
      [],
    );
  });

  it("puts only its own commands in menus, welcome texts and walkthroughs", () => {
    const inMenus = Object.values(manifest.contributes.menus).flat();
    const submenus = new Set(manifest.contributes.submenus?.map(({ id }) => id));
    const unknown = inMenus.filter(({ command, submenu }) =>
      command === undefined ? !submenus.has(submenu ?? "") : command.startsWith("ring1.") && !commands.has(command),
    );
    assert.deepEqual(unknown, []);
    const views = Object.values(manifest.contributes.views).flat();
    const focus = views.map(({ id }) => `${id}.focus`);
    const linked = Object.values(texts).flatMap((text) => [...text.matchAll(/\(command:(ring1\.[\w.]+)/g)]);
    assert.deepEqual(
      linked.map((match) => match[1] ?? "").filter((command) => !commands.has(command) && !focus.includes(command)),
      [],
    );
  });

  it("has every command under the category Ring 1", () => {
    const category = manifest.contributes.commands.filter((command) => command.category !== "Ring 1");
    assert.deepEqual(
      category.map(({ command }) => command),
      [],
    );
  });

  it("has a welcome state for every view that is a tree", () => {
    const welcomed = new Set(manifest.contributes.viewsWelcome.map(({ view }) => view));
    const trees = Object.values(manifest.contributes.views)
      .flat()
      .filter((view) => !("type" in view));
    assert.deepEqual(
      trees.map(({ id }) => id).filter((id) => !welcomed.has(id)),
      [],
    );
  });

  it("is type-checked against the oldest VS Code that it admits", () => {
    assert.equal(
      manifest.devDependencies["@types/vscode"]?.replace(/^[~^]/, ""),
      manifest.engines.vscode.replace(/^\^/, ""),
    );
  });
});
