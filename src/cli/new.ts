/**
 * `ring1 new`: a guest kernel project that boots at the first F5: a sample with the library and headers that all samples share, plus what is
 * in media/template, in which {{name}} becomes the kernel's name. The extension's command reads the same folders.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ExitStatus, UsageError } from "./usage";

/** Files of the template folder, and where they go. */
const TEMPLATE: readonly (readonly [from: string, to: string])[] = [
  ["Makefile", "Makefile"],
  ["README.md", "README.md"],
  ["gitignore", ".gitignore"],
  ["vscode/launch.json", ".vscode/launch.json"],
  ["vscode/tasks.json", ".vscode/tasks.json"],
  ["vscode/extensions.json", ".vscode/extensions.json"],
];
/** What all samples share. */
const SHARED = ["lib", "include", "kernel.ld"];

/** Runs the command. @param media the project's media folder. @returns exit status. @throws UsageError */
export function newCommand(args: readonly string[], media: string): number {
  const positionals = parse(args);
  const samples = findSamples(media);
  const names = samples.join(", ");
  if (positionals.length !== 2)
    throw new UsageError(`new: expected a template and a directory: ring1 new TEMPLATE DIR. Templates: ${names}`);
  const [sample, directory] = positionals;
  if (!samples.includes(sample))
    throw new UsageError(`new: there is no template "${sample}": expected one of ${names}`);
  const target = resolve(directory);
  const name = basename(target);
  if (!/^[A-Za-z][\w-]{0,62}$/.test(name))
    throw new UsageError(
      `new: "${name}" is no name for a kernel: expected letters, digits, - and _, beginning with a letter`,
    );
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new UsageError(`new: ${directory} is not empty: choose another directory`);
  try {
    write(media, sample, name, target);
  } catch (error) {
    throw new UsageError(`new: cannot write ${directory}: ${error instanceof Error ? error.message : String(error)}`);
  }
  process.stderr.write(
    `ring1: ${directory} is ready. Build it with make, boot it with: ring1 run ${directory}/${name}.elf\n`,
  );
  return ExitStatus.OK;
}

function parse(args: readonly string[]): string[] {
  try {
    return parseArgs({ args: [...args], options: {}, allowPositionals: true, strict: true }).positionals;
  } catch (error) {
    throw new UsageError(`new: ${error instanceof Error ? error.message : String(error)}`);
  }
}
function findSamples(media: string): string[] {
  const guests = join(media, "guests");
  if (!existsSync(guests)) return [];
  return readdirSync(guests)
    .filter((name) => existsSync(join(guests, name, "main.c")))
    .sort();
}
function write(media: string, sample: string, name: string, target: string): void {
  for (const [from, to] of TEMPLATE) {
    const source = join(media, "template", from);
    if (!existsSync(source)) continue;
    mkdirSync(dirname(join(target, to)), { recursive: true });
    writeFileSync(join(target, to), readFileSync(source, "utf8").replaceAll("{{name}}", name));
  }
  const guests = join(media, "guests");
  mkdirSync(target, { recursive: true });
  for (const entry of readdirSync(join(guests, sample), { withFileTypes: true }))
    if (entry.isFile() && !entry.name.endsWith(".elf"))
      cpSync(join(guests, sample, entry.name), join(target, entry.name));
  for (const part of SHARED) cpSync(join(guests, part), join(target, part), { recursive: true });
}
