// Builds the bundles (`node esbuild.mjs`) and transpiles sources and tests for mocha (`node esbuild.mjs test`).
import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as esbuild from "esbuild";

const walk = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => e.isDirectory() ? walk(join(dir, e.name)) : [join(dir, e.name)]);

if (process.argv[2] === "test") {
  const entryPoints = [...walk("src"), ...walk("test")].filter((f) => f.endsWith(".ts") && !f.endsWith(".d.ts"));
  await esbuild.build({ entryPoints, outdir: "out", outbase: ".", format: "cjs", platform: "node", target: "es2022", sourcemap: true, logLevel: "warning" });
}
