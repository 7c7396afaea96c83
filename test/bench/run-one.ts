/**
 * Runs the image once on one of our engines or on v86, in this process, and prints each line that the guest prints with the main thread's
 * CPU seconds in front. Arguments: engine permille workload,workload,...
 */
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { EngineName } from "../../src/x86";
import { patchedImage } from "./image";
import { bootImage } from "./pc-board";

const [engine, permille, only] = process.argv.slice(2);
const image = patchedImage(Number(permille), only.split(","));

/** CPU seconds of the main thread: compiler threads do not count. */
function cpuSeconds(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ")[0]) / 1e9;
}
const print = (line: string) => writeSync(1, `@${cpuSeconds().toFixed(6)} ${line}\n`);

async function runV86(isJit: boolean): Promise<void> {
  const root = dirname(createRequire(join(process.cwd(), "package.json")).resolve("v86/package.json"));
  const { V86 } = await import(pathToFileURL(join(root, "build/libv86.mjs")).href);
  const buffer = image.buffer.slice(image.byteOffset, image.byteOffset + image.byteLength);
  const emulator = new V86({
    wasm_path: join(root, "build/v86.wasm"),
    memory_size: 64 << 20,
    vga_memory_size: 2 << 20,
    multiboot: { buffer },
    disable_jit: !isJit,
    disable_speaker: true,
    autostart: true,
  });
  let line = "";
  emulator.add_listener("serial0-output-byte", (byte: number) => {
    if (byte !== 10) {
      line += String.fromCharCode(byte);
      return;
    }
    print(line);
    if (line === "DONE" || line.startsWith("FAIL exception")) process.exit(0);
    line = "";
  });
}

function runOurs(name: EngineName): void {
  const machine = bootImage(image, name, print);
  const exit = machine.run(Number.MAX_SAFE_INTEGER);
  if (exit.kind !== "stopped") {
    print(`FAIL ${JSON.stringify(exit)} at EIP ${machine.cpu.eip.toString(16)}`);
    process.exit(1);
  }
}

if (engine === "v86" || engine === "v86-nojit") void runV86(engine === "v86");
else runOurs(engine as EngineName);
