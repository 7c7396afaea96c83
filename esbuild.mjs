// Builds everything that is made from the sources.
//
//   node esbuild.mjs               the bundles in dist/, readable, with linked source maps
//   node esbuild.mjs --production  the same, minified, as the .vsix ships them
//   node esbuild.mjs test          sources and tests, file by file, to out/ for mocha (no bundling, CommonJS)
//
// Each bundle stands alone: nothing is required from node_modules at run time.
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

process.chdir(dirname(fileURLToPath(import.meta.url)));

const target = "es2022";
const production = process.argv.includes("--production");

/** Every file below a folder that is somebody's source. */
const walk = (dir) =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      return entry.name === "node_modules" || entry.name.startsWith(".") ? [] : walk(path);
    }
    return [path];
  });

/**
 * iced-x86 is published for Node only: it reads its .wasm file from disk at load. Here the file becomes part of the
 * bundle, and the two Node modules it asks for are replaced by what every JavaScript host has.
 */
const inlineIced = {
  name: "inline-iced-x86",
  setup(build) {
    build.onLoad({ filter: /iced_x86\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const contents = source
        .replace("const { TextDecoder, TextEncoder } = require(`util`);", "")
        .replace("const path = require('path').join(__dirname, 'iced_x86_bg.wasm');", "")
        .replace("require('fs').readFileSync(path)", "require('./iced_x86_bg.wasm')");
      if (/require\(['"`](util|path|fs)/.test(contents) || !contents.includes("require('./iced_x86_bg.wasm')")) {
        throw new Error(`${path}: its loader has changed, adapt inlineIced`);
      }
      return { contents, loader: "js" };
    });
  },
};

/** Modules of Node that a library merely mentions become empty in a browser bundle. */
const emptyNodeModules = {
  name: "empty-node-modules",
  setup(build) {
    build.onResolve({ filter: /^(node:)?(url|net|fs|path|os|util|worker_threads|child_process)$/ }, ({ path }) => ({
      path,
      namespace: "empty",
    }));
    build.onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "module.exports = {};" }));
  },
};

const node = { platform: "node", format: "cjs" };
const browser = { platform: "browser", plugins: [inlineIced, emptyNodeModules] };

/** Output name, entry point, and what differs from the common options. */
const bundles = [
  { out: "extension", entry: "src/extension/index.ts", ...node, external: ["vscode"] },
  { out: "extension-web", entry: "src/extension/web.ts", ...browser, format: "cjs", external: ["vscode"] },
  { out: "worker", entry: "src/worker/index.ts", ...node },
  { out: "worker-web", entry: "src/worker/web.ts", ...browser, format: "iife" },
  { out: "dap-server", entry: "src/worker/dap-server.ts", ...node },
  { out: "cli", entry: "src/cli/index.ts", ...node, banner: { js: "#!/usr/bin/env node" } },
  ...readdirSync("src/webview")
    .filter((name) => existsSync(join("src/webview", name, "index.ts")))
    .map((name) => ({ out: `webview/${name}`, entry: `src/webview/${name}/index.ts`, ...browser, format: "iife" })),
];

async function buildBundles() {
  const started = Date.now();
  await Promise.all(
    bundles.map(async ({ out, entry, ...options }) => {
      await esbuild.build({
        plugins: [inlineIced],
        ...options,
        entryPoints: { [out]: entry },
        outdir: "dist",
        bundle: true,
        target,
        minify: production,
        keepNames: true,
        sourcemap: production ? "external" : "linked",
        loader: { ".wasm": "binary", ".ttf": "dataurl", ".svg": "text" },
        legalComments: "none",
        logLevel: "warning",
      });
      console.log(`dist/${out}.js  ${(statSync(`dist/${out}.js`).size / 1024).toFixed(0)} KB`);
    }),
  );
  for (const file of existsSync("dist") ? walk("dist") : []) {
    if (statSync(file).mtimeMs < started - 1000) {
      rmSync(file);
    }
  }
}

/**
 * One output file per source file; outputs whose source is gone are removed, so that mocha never runs a ghost. A file
 * that does not parse is reported and left out (the type check fails on it), so that the tests of others still run.
 */
async function buildForTests() {
  let entryPoints = ["src", "test"]
    .filter(existsSync)
    .flatMap(walk)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));
  const build = () =>
    esbuild.build({
      entryPoints,
      outdir: "out",
      outbase: ".",
      format: "cjs",
      platform: "node",
      target,
      sourcemap: true,
      logLevel: "error",
    });
  try {
    await build();
  } catch (error) {
    const broken = new Set(error.errors?.map(({ location }) => location?.file));
    entryPoints = entryPoints.filter((file) => !broken.has(file));
    await build();
  }
  const wanted = new Set(entryPoints.map((file) => join("out", file.replace(/\.ts$/, ".js"))));
  for (const file of ["out/src", "out/test"].filter(existsSync).flatMap(walk)) {
    if (file.endsWith(".js") && !wanted.has(file)) {
      rmSync(file, { force: true });
      rmSync(`${file}.map`, { force: true });
    }
  }
}

await (process.argv[2] === "test" ? buildForTests() : buildBundles());
