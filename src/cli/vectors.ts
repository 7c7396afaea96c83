/**
 * `ring1 vectors`: states recorded on silicon, run on our engines. One row a group and engine; a failure that is not a matter of choice
 * makes the command fail.
 */
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { createVectorMachine, type EngineName, parseVectors, runVectors } from "../machine";
import { readInput } from "./files";
import { ExitStatus, parseChoice, UsageError } from "./usage";

const ENGINES: readonly EngineName[] = ["direct", "interpreter"];
const FAILURES_SHOWN = 3;

/** Runs the command. @returns exit status. @throws UsageError */
export function vectorsCommand(args: readonly string[]): number {
  const { values, positionals } = parse(args);
  if (positionals.length !== 1) throw new UsageError("vectors: expected one directory: ring1 vectors DIR");
  const [directory] = positionals;
  const engine = parseChoice("--engine", values.engine, ["all", ...ENGINES]) ?? "all";
  const engines = engine === "all" ? ENGINES : [engine];
  const files = list(directory);
  process.stdout.write(
    `${"group".padEnd(12)}${"engine".padEnd(14)}${"passed".padStart(8)}${"failed".padStart(8)}${"soft".padStart(8)}\n`,
  );
  let hasFailed = false;
  for (const name of engines) {
    const machine = createVectorMachine(name);
    for (const file of files) {
      const report = runVectors(parseVectors(readGroup(join(directory, file))), machine);
      const soft = `${report.softPassed}/${report.softPassed + report.softFailed}`;
      process.stdout.write(
        `${basename(file)
          .replace(/\.jsonl(\.gz)?$/, "")
          .padEnd(
            12,
          )}${name.padEnd(14)}${String(report.passed).padStart(8)}${String(report.failed).padStart(8)}${soft.padStart(8)}\n`,
      );
      hasFailed ||= report.failed > 0;
      for (const { id, label, code, differences } of report.failures.slice(0, FAILURES_SHOWN))
        process.stdout.write(`    ${id} ${label} [${code}]: ${differences.join("; ")}\n`);
    }
  }
  return hasFailed ? ExitStatus.FAILED : ExitStatus.OK;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { engine: { type: "string" } },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    throw new UsageError(`vectors: ${error instanceof Error ? error.message : String(error)}`);
  }
}
function list(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    throw new UsageError(`cannot read the directory ${directory}: expected one with *.jsonl or *.jsonl.gz files`);
  }
  const files = names.filter((name) => /\.jsonl(\.gz)?$/.test(name)).sort();
  if (files.length === 0) throw new UsageError(`${directory} has no vectors: expected *.jsonl or *.jsonl.gz files`);
  return files;
}
function readGroup(path: string): string {
  const bytes = readInput("vectors", path);
  try {
    return new TextDecoder().decode(path.endsWith(".gz") ? gunzipSync(bytes) : bytes);
  } catch {
    throw new UsageError(`cannot unpack ${path}: it is not a gzip file`);
  }
}
