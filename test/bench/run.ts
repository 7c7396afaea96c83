/**
 * `npm run bench`: our engines beside v86 with its JIT off, the same image, one run, one machine. See README.md.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildSync } from "esbuild";
import { INTEGER_WORKLOADS, instructionCounts, KERNEL_WORKLOADS, WORKLOADS } from "./image";

interface Sample {
  /** CPU seconds of one repetition. */
  readonly seconds: number;
  readonly checksum: string;
}

/** Thousandths of the full number of repetitions: about 0.1 to 1 s a workload on each. */
const PERMILLE: Record<string, number> = { direct: 2, interpreter: 60, "v86-nojit": 40, v86: 300 };

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    engines: { type: "string", default: "interpreter,v86-nojit" },
    only: {
      type: "string",
      default: WORKLOADS.concat(KERNEL_WORKLOADS).join(","),
    },
    json: { type: "string" },
  },
});
const engines = values.engines.split(",");
const only = values.only.split(",");

/** As one bundle, as it ships: calls between files that are loaded one by one cost extra. */
const runOne = join(process.cwd(), "out/bench/run-one.js");
buildSync({
  entryPoints: ["test/bench/run-one.ts"],
  bundle: true,
  platform: "node",
  target: "es2022",
  minify: true,
  outfile: runOne,
  logLevel: "error",
});

function measure(engine: string): Map<string, Sample> {
  const child = spawnSync(process.execPath, [runOne, engine, String(PERMILLE[engine] ?? 50), only.join(",")], {
    encoding: "utf8",
    maxBuffer: 1 << 24,
    timeout: 540_000,
  });
  const samples = new Map<string, Sample>();
  let begun = 0;
  for (const line of child.stdout.split("\n")) {
    const match = /^@([\d.]+) (\w+) ?(\S*) ?(\S*) ?(\S*)/.exec(line);
    if (!match) continue;
    const [, time, word, name, a, b] = match;
    if (word === "BEGIN") begun = Number(time);
    else if (word === "END")
      samples.set(name, { seconds: Math.max(Number(time) - begun, 1e-4) / Number(b), checksum: a });
    else if (word === "FAIL") throw new Error(`${engine}: ${line}`);
  }
  if (samples.size === 0) throw new Error(`${engine} measured nothing: ${child.stderr}`);
  return samples;
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
const geometricMean = (numbers: number[]) =>
  Math.exp(numbers.reduce((sum, n) => sum + Math.log(n), 0) / numbers.length);

const all = new Map<string, Map<string, Sample>[]>(engines.map((engine) => [engine, []]));
for (let run = 0; run < Number(values.runs); run++)
  for (const engine of engines) all.get(engine)?.push(measure(engine));

const mips = (engine: string, name: string): number | undefined => {
  const seconds = (all.get(engine) ?? []).flatMap((samples) => samples.get(name)?.seconds ?? []);
  return seconds.length === 0 ? undefined : instructionCounts[name] / median(seconds) / 1e6;
};

let disagreements = 0;
for (const name of only) {
  const sums = new Set(
    engines.flatMap((engine) => (all.get(engine) ?? []).flatMap((samples) => samples.get(name)?.checksum ?? [])),
  );
  if (sums.size > 1) {
    console.error(`${name}: engines disagree: ${[...sums].join(" ")}`);
    disagreements++;
  }
}

const [ours, ...peers] = engines;
const cell = (value: number | undefined, width: number, digits = 1) =>
  (value === undefined ? "-" : value.toFixed(digits)).padStart(width);
console.log(`Million instructions a second (CPU time of the main thread, median of ${values.runs}).`);
console.log(
  [
    "workload".padEnd(10),
    ...engines.map((name) => name.padStart(12)),
    ...peers.map((name) => `${ours}/${name}`.padStart(24)),
  ].join(" "),
);
for (const name of only) {
  const figures = engines.map((engine) => mips(engine, name));
  const ratios = figures
    .slice(1)
    .map((peer) => (figures[0] === undefined || peer === undefined ? undefined : figures[0] / peer));
  console.log(
    [name.padEnd(10), ...figures.map((value) => cell(value, 12)), ...ratios.map((value) => cell(value, 24, 2))].join(
      " ",
    ),
  );
}
const mean = (title: string, names: readonly string[]) => {
  const known = names.filter(
    (name) => only.includes(name) && engines.every((engine) => mips(engine, name) !== undefined),
  );
  if (known.length === 0) return;
  const figures = engines.map((engine) => geometricMean(known.map((name) => mips(engine, name) as number)));
  console.log(
    [
      title.padEnd(10),
      ...figures.map((value) => cell(value, 12)),
      ...figures.slice(1).map((peer) => cell(figures[0] / peer, 24, 2)),
    ].join(" "),
  );
};
mean("integer", INTEGER_WORKLOADS);
mean("portable", WORKLOADS);
mean("kernel", KERNEL_WORKLOADS);
mean("all", [...WORKLOADS, ...KERNEL_WORKLOADS]);
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify(Object.fromEntries(only.map((name) => [name, Object.fromEntries(engines.map((engine) => [engine, mips(engine, name)]))])), null, 1)}\n`,
  );
process.exitCode = disagreements > 0 ? 1 : 0;
