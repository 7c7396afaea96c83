/**
 * The `ring1` command: one file a subcommand, this one chooses. What a person did wrong is a sentence on standard error and status 2; a
 * stack trace means a defect of ours.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { dapCommand } from "./dap";
import { newCommand } from "./new";
import { runCommand } from "./run";
import { ExitStatus, HELP, UsageError } from "./usage";
import { vectorsCommand } from "./vectors";

/** Where the project is: this file is bundled into dist/. */
const ROOT = dirname(__dirname);

function version(): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  return version;
}

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (command === undefined) throw new UsageError("expected a command: run, new, dap or vectors");
  if (command === "--version" || command === "-v") {
    process.stdout.write(`ring1 ${version()}\n`);
    return ExitStatus.OK;
  }
  if (command === "help" || args.some((arg) => arg === "--help" || arg === "-h")) {
    process.stdout.write(HELP);
    return ExitStatus.OK;
  }
  switch (command) {
    case "run":
      return runCommand(rest);
    case "new":
      return newCommand(rest, join(ROOT, "media"));
    case "dap":
      return dapCommand(rest, join(__dirname, "dap-server.js"));
    case "vectors":
      return vectorsCommand(rest);
    default:
      throw new UsageError(`there is no command "${command}": expected run, new, dap or vectors`);
  }
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    if (error instanceof UsageError) process.stderr.write(`ring1: ${error.message}\nTry: ring1 --help\n`);
    else
      process.stderr.write(
        `ring1: a defect of this program: ${error instanceof Error ? error.stack : String(error)}\n`,
      );
    process.exit(error instanceof UsageError ? ExitStatus.USAGE : ExitStatus.FAILED);
  },
);
