// The rules of the house, checked by machine: who may import whom, what the core must not touch, how files are named,
// headed and sized, and that the project stands alone. Add a folder to LAYERS before adding it to src/.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { basename, dirname, join, normalize, sep } from "node:path";
import { describe, it } from "mocha";

interface Layer {
  /** Folders of src/ whose index.ts may be imported. */
  readonly folders: readonly string[];
  /** Folders of which only types may be imported. */
  readonly types?: readonly string[];
  /** npm packages and, with the name "node:", the modules of Node. */
  readonly packages?: readonly string[];
}

/** Imports point down this list only. `package` rights are as narrow as the folders' tasks allow. */
const LAYERS: Readonly<Record<string, Layer>> = {
  base: { folders: [] },
  wasm: { folders: ["base"] },
  elf: { folders: ["base"], packages: ["fflate"] },
  dwarf: { folders: ["base", "elf"] },
  x86: { folders: ["base", "wasm"] },
  machine: { folders: ["base", "elf", "x86"] },
  lguest: { folders: ["base", "elf", "x86", "machine"], packages: ["fflate"] },
  debugger: { folders: ["base", "elf", "dwarf", "x86", "machine", "lguest"], packages: ["iced-x86"] },
  dap: { folders: ["base", "debugger"], packages: ["@vscode/debugadapter", "@vscode/debugprotocol"] },
  worker: {
    folders: ["base", "machine", "lguest", "debugger", "dap"],
    packages: ["node:", "fflate", "@vscode/debugadapter", "@vscode/debugprotocol"],
  },
  cli: {
    folders: ["base", "machine", "lguest", "debugger", "dap"],
    packages: ["node:", "fflate", "@vscode/debugadapter", "@vscode/debugprotocol"],
  },
  webview: { folders: ["base"], types: ["dap"], packages: ["@tanstack/virtual-core", "@vscode-elements/elements"] },
  extension: { folders: ["base"], types: ["dap"], packages: ["vscode", "node:", "@vscode/debugprotocol"] },
};

const CORE = ["base", "wasm", "elf", "dwarf", "x86", "machine", "lguest", "debugger", "dap"];
const DETERMINISTIC = ["x86", "machine", "lguest"];
const MAX_LINES = 600;
/** Of text; the comment's own delimiters make it one or two more. */
const HEAD_LINES = { least: 2, most: 12 };

interface SourceFile {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked, line breaks kept. */
  readonly code: string;
}

interface Import {
  readonly specifier: string;
  readonly typesOnly: boolean;
  readonly line: number;
}

function walk(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      return entry.name === "node_modules" || entry.name.startsWith(".") ? [] : walk(path);
    }
    return [path];
  });
}

/** Blanks comments; with `strings` also what stands between quotes. Template texts count as strings. */
function blank(text: string, strings: boolean): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (match) => {
    const comment = match.startsWith("//") || match.startsWith("/*");
    return comment || strings ? match.replace(/[^\n]/g, " ") : match;
  });
}

function readSources(dir: string): SourceFile[] {
  return (existsSync(dir) ? walk(dir) : [])
    .filter((path) => path.endsWith(".ts"))
    .sort()
    .map((path) => {
      const text = readFileSync(path, "utf8");
      return { path, folder: path.split(sep)[1] ?? "", text, code: blank(text, true) };
    });
}

function importsOf(file: SourceFile): Import[] {
  const text = blank(file.text, false);
  const found: Import[] = [];
  const add = (index: number, specifier: string, typesOnly: boolean): void => {
    found.push({ specifier, typesOnly, line: text.slice(0, index).split("\n").length });
  };
  for (const match of text.matchAll(/^[ \t]*(?:import|export)\b([^"'`;()]*?)\bfrom\s*["']([^"']+)["']/gm)) {
    const clause = match[1]!.trim();
    const names = /^\{([\s\S]*)\}$/.exec(clause)?.[1]?.split(",") ?? [];
    const written = names.map((name) => name.trim()).filter((name) => name !== "");
    const eachIsType = written.length > 0 && written.every((name) => name.startsWith("type "));
    add(match.index, match[2]!, clause.startsWith("type ") || clause.startsWith("type{") || eachIsType);
  }
  for (const match of text.matchAll(/^[ \t]*import\s*["']([^"']+)["']/gm)) {
    add(match.index, match[1]!, false);
  }
  for (const match of text.matchAll(
    /\b(await\s+|void\s+)?\b(?:import|require)\s*\(\s*["']([^"']+)["']\s*\)(\s*\.\s*then)?/g,
  )) {
    const value = match[1] !== undefined || match[3] !== undefined || match[0].includes("require");
    add(match.index, match[2]!, !value);
  }
  return found;
}

/** Why this import breaks the table, or undefined. */
function objectionTo(file: SourceFile, { specifier, typesOnly }: Import): string | undefined {
  const layer = LAYERS[file.folder];
  if (layer === undefined) {
    return `src/${file.folder} is not in the table of layers`;
  }
  if (/\.[cm]?[jt]s$/.test(specifier)) {
    return `"${specifier}" names a file extension`;
  }
  if (!specifier.startsWith(".")) {
    const isNode = specifier.startsWith("node:") || builtinModules.includes(specifier);
    const wanted = isNode ? "node:" : specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    return layer.packages?.includes(wanted) ? undefined : `src/${file.folder} may not import "${specifier}"`;
  }
  const target = normalize(join(dirname(file.path), specifier)).split(sep);
  const folder = target[1] ?? "";
  if (target[0] !== "src") {
    return target.join("/") === "package.json" ? undefined : `"${specifier}" leaves src/`;
  }
  if (folder === file.folder) {
    return undefined;
  }
  if (!layer.folders.includes(folder)) {
    if (!layer.types?.includes(folder)) {
      return `src/${file.folder} may not import src/${folder}`;
    }
    if (!typesOnly) {
      return `src/${file.folder} may import only types from src/${folder}`;
    }
  }
  const inside = target.slice(2).join("/");
  return inside === "" || inside === "index" ? undefined : `src/${folder} is entered through its index.ts only`;
}

/** Fails with one line per complaint. */
function expectNone(complaints: readonly string[]): void {
  if (complaints.length > 0) {
    assert.fail(`${complaints.length} found:\n  ${complaints.join("\n  ")}`);
  }
}

/** Lines of `file` on which `pattern` matches the code (not comments, not strings). */
function places(file: SourceFile, pattern: RegExp): string[] {
  return file.code.split("\n").flatMap((line, index) => {
    const match = pattern.exec(line);
    return match === null ? [] : [`${file.path}:${index + 1}: ${match[0].trim()}`];
  });
}

/** Length of the comment that opens a file, in lines. */
function headLines(text: string): number {
  const body = text.replace(/^#![^\n]*\n/, "").trimStart();
  const head = /^(?:\/\*[\s\S]*?\*\/|(?:\/\/[^\n]*\n?)+)/.exec(body)?.[0].trimEnd() ?? "";
  return head.split("\n").filter((line) => /[\p{L}\p{N}|+-]/u.test(line)).length;
}

function trackedFiles(): string[] {
  try {
    const listed = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return listed.split("\0").filter((path) => path !== "" && existsSync(path) && statSync(path).isFile());
  } catch {
    const built = ["out", "dist"];
    return readdirSync(".", { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith(".") && entry.name !== "node_modules" && !built.includes(entry.name))
      .flatMap((entry) => (entry.isDirectory() ? walk(entry.name) : [entry.name]));
  }
}

describe("architecture", () => {
  const sources = readSources("src");
  const tests = readSources("test");
  const core = sources.filter((file) => CORE.includes(file.folder));

  it("imports point down the list of layers, through index.ts", () => {
    expectNone(
      sources.flatMap((file) =>
        importsOf(file).flatMap((imported) => {
          const objection = objectionTo(file, imported);
          return objection === undefined ? [] : [`${file.path}:${imported.line}: ${objection}`];
        }),
      ),
    );
  });

  it("every folder of the core has an index.ts", () => {
    const present = new Set(core.map((file) => file.folder));
    expectNone([...present].filter((folder) => !existsSync(join("src", folder, "index.ts"))));
  });

  it("the core uses no API of Node or of a page", () => {
    const forbidden =
      /(?<![\w.$"'])(?:process\.\w|Buffer\b(?=[.(])|__dirname|__filename|setImmediate\b|window\.|document\.|localStorage|navigator\.|XMLHttpRequest|fetch\()/;
    expectNone(core.flatMap((file) => places(file, forbidden)));
  });

  it("processor, machine and hypervisor read no clock of the host and no randomness", () => {
    const forbidden =
      /\b(?:Date\.now|new Date\b|performance\.\w|Math\.random|crypto\.\w|setTimeout|setInterval|queueMicrotask)/;
    const files = sources.filter((file) => DETERMINISTIC.includes(file.folder));
    expectNone(files.flatMap((file) => places(file, forbidden)));
  });

  it("the processor knows nothing of lguest", () => {
    const files = sources.filter((file) => file.folder === "x86" && /lguest/i.test(file.text));
    expectNone(files.map((file) => file.path));
  });

  it("no file is longer than 600 lines, unless it is a table or generated", () => {
    const isTable = (file: SourceFile): boolean =>
      file.path.startsWith(join("src", "x86", "instructions") + sep) ||
      /(?:^|-)constants\.ts$/.test(basename(file.path));
    expectNone(
      [...sources, ...tests]
        .filter((file) => !isTable(file) && !file.text.includes("@generated by"))
        .map((file) => ({ path: file.path, lines: file.text.trimEnd().split("\n").length }))
        .filter(({ lines }) => lines > MAX_LINES)
        .map(({ path, lines }) => `${path}: ${lines} lines`),
    );
  });

  it("files and folders have kebab-case names that say what is inside", () => {
    const kebab = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
    const saysNothing = /^(?:utils?|misc|common|.*-manager|base-.*)\.ts$/;
    expectNone(
      [...sources, ...tests]
        .map((file) => file.path)
        .filter((path) => {
          const parts = path.replace(/(?:\.test|\.d)?\.ts$/, "").split(sep);
          return !parts.every((part) => kebab.test(part)) || saysNothing.test(basename(path));
        }),
    );
  });

  it("each source file opens with its idea in 2 to 12 lines, each test file with at least one", () => {
    const wrong = (file: SourceFile, least: number, most: number): string[] => {
      const lines = headLines(file.text);
      return lines >= least && lines <= most ? [] : [`${file.path}: the head has ${lines} lines`];
    };
    expectNone([
      ...sources.flatMap((file) =>
        wrong(file, basename(file.path) === "index.ts" ? 1 : HEAD_LINES.least, HEAD_LINES.most),
      ),
      ...tests.flatMap((file) => wrong(file, 1, Number.POSITIVE_INFINITY)),
    ]);
  });

  it("what is left to do names its issue", () => {
    const loose = /\b(?:XXX|FIXME|HACK)\b|\bTODO\b(?!\(#\d+\))/;
    expectNone(
      sources.flatMap((file) =>
        file.text.split("\n").flatMap((line, index) => (loose.test(line) ? [`${file.path}:${index + 1}`] : [])),
      ),
    );
  });

  it("the lock file names packages and hashes, no addresses", () => {
    const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, object> };
    expectNone(Object.entries(lock.packages).flatMap(([name, entry]) => ("resolved" in entry ? [name] : [])));
  });

  it("nothing tracked names a place outside the project or a package registry's host", () => {
    // The names are put together here so that this file does not contain them itself.
    const outside = new RegExp(`(?:^|[^\\w.-])/${"work"}/|\\.\\./${"shared"}\\b|/tmp/${"brief"}`);
    const hosts = ["npmjs", "yarnpkg", "npmmirror"].map((name) => `registry\\.${name}\\.`).join("|");
    const forbidden = new RegExp(`${outside.source}|${hosts}|deb\\.${"debian"}\\.org`);
    expectNone(
      trackedFiles().flatMap((path) => {
        const bytes = readFileSync(path);
        if (bytes.includes(0)) {
          return [];
        }
        const lines = bytes.toString("utf8").split("\n");
        // What an import names is inside src/, or the layers' test complains.
        const isForbidden = (line: string): boolean => forbidden.test(line.replace(/\bfrom "[^"]*"/, ""));
        return lines.flatMap((line, index) => (isForbidden(line) ? [`${path}:${index + 1}`] : []));
      }),
    );
  });
});
