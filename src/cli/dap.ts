/**
 * `ring1 dap`: the Debug Adapter Protocol server. It is a program of its own beside this one; here it gets our standard input and
 * output, and its exit status becomes ours.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { UsageError } from "./usage";

/** Runs the command until the client leaves. @param server the program. @returns exit status. @throws UsageError */
export async function dapCommand(args: readonly string[], server: string): Promise<number> {
  if (args.length > 0) throw new UsageError(`dap: expected no arguments, found "${args.join(" ")}"`);
  if (!existsSync(server)) throw new UsageError(`dap: ${server} is missing: build the project with npm run build`);
  const child = spawn(process.execPath, [server], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(signal === null ? (code ?? 0) : 1));
  });
}
