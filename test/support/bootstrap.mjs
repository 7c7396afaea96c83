// What `npm start` and `npm test` do, from nothing but a clone: install what the lock file names, build, run.
// Plain Node without dependencies, because at the beginning there are none.
//
//   start [arguments]   boot the sample guest in this terminal
//   test [part ...]     all parts, or some of: lint, types, unit, package, workbench
//   bless               run the tests and rewrite golden files from what they see
//   bench [arguments]   the benchmark of the engines
//   package             the .vsix
//
// Something that a test needs and that is not there (a browser, a C compiler) makes a skip, which is printed; with
// RING1_REQUIRE_ALL=1 it makes a failure. What no run can install (a kernel of Linux) is optional, and named as skipped.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(join(dirname(fileURLToPath(import.meta.url)), "..", ".."));

const NODE_AT_LEAST = 20;
const MAX_VSIX_BYTES = 5 * 1024 * 1024;
const SAMPLE = "media/guests/hello/hello.elf";
const requireAll = process.env.RING1_REQUIRE_ALL === "1";
const isWindows = process.platform === "win32";

/** Runs a program with our standard streams; the exit status, 1 if it could not be started or was killed. */
function run(program, args, env = {}) {
  const { status, error } = spawnSync(program, args, {
    stdio: "inherit",
    env: { ...process.env, ...env },
    shell: isWindows && program === "npm",
  });
  if (error !== undefined) {
    console.error(`${program}: ${error.message}`);
  }
  return status ?? 1;
}

function must(what, program, args, env) {
  const status = run(program, args, env);
  if (status !== 0) {
    console.error(`\n${what} failed (status ${status}).`);
    process.exit(status);
  }
}

const node = (...args) => [process.execPath, args];

/** Are the packages of the lock file the ones in node_modules? Those for other platforms may be missing. */
function isInstalled() {
  const installedLock = "node_modules/.package-lock.json";
  if (!existsSync(installedLock)) {
    return false;
  }
  const wanted = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
  const present = JSON.parse(readFileSync(installedLock, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === "" || (present[path]?.version ?? (optional && version)) === version,
  );
}

function install() {
  if (Number(process.versions.node.split(".")[0]) < NODE_AT_LEAST) {
    console.error(`Node ${NODE_AT_LEAST} or later is needed, this is ${process.version}.`);
    process.exit(2);
  }
  if (!isInstalled()) {
    console.error("Installing the packages of package-lock.json ...");
    must("npm ci", "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  }
}

/** Builds silently unless something goes wrong: standard output belongs to what runs next. */
function build(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["esbuild.mjs", ...args], { encoding: "utf8" });
  if (stderr !== "") {
    console.error(stderr);
  }
  if (status !== 0) {
    console.error(`${stdout}\nThe build failed.`);
    process.exit(1);
  }
}

function packageVsix() {
  const vsce = "node_modules/@vscode/vsce/vsce";
  const options = ["--no-dependencies", "--allow-missing-repository", "--skip-license", "--no-rewrite-relative-links"];
  const status = run(...node(vsce, "package", ...options, "--out", "ring1.vsix"));
  if (status !== 0) {
    return status;
  }
  const bytes = statSync("ring1.vsix").size;
  console.log(`ring1.vsix: ${(bytes / 1024 / 1024).toFixed(2)} MB`);
  if (bytes >= MAX_VSIX_BYTES) {
    console.error("That is more than the 5 MB we allow ourselves.");
    return 1;
  }
  return 0;
}

const totals = { passed: 0, failed: 0, skipped: [] };

function heading(text) {
  console.log(`\n== ${text}`);
}

/** A part of the test run that either holds or not, and counts as one test. */
function check(name, action) {
  heading(name);
  const started = Date.now();
  const passed = action() === 0;
  totals[passed ? "passed" : "failed"] += 1;
  console.log(`${passed ? "✓" : "✗"} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
}

/** Adds up what a suite wrote to its results file; a suite that wrote none has failed as a whole. */
function addResults(file, status) {
  if (!existsSync(file)) {
    totals.failed += 1;
    return;
  }
  const { passed, failed, skipped } = JSON.parse(readFileSync(file, "utf8"));
  totals.passed += passed;
  totals.failed += failed === 0 && status !== 0 ? 1 : failed;
  totals.skipped.push(...skipped);
}

/** One run of a suite that reports through RING1_RESULTS. */
function suite(name, args, env = {}) {
  heading(name);
  mkdirSync("out/results", { recursive: true });
  const results = join("out", "results", `${name.replace(/\W+/g, "-")}.json`);
  rmSync(results, { force: true });
  const status = run(process.execPath, args, { ...env, RING1_RESULTS: results });
  addResults(results, status);
}

function testFiles(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      return entry.isDirectory() ? testFiles(path) : path.endsWith(".test.js") ? [path] : [];
    })
    .sort();
}

const MOCHA = ["node_modules/mocha/bin/mocha.js", "--exit", "--reporter", "test/support/reporter.cjs"];

function unit(env) {
  const files = testFiles("out/test").filter((file) => !file.startsWith(join("out", "test", "workbench")));
  suite("unit, dap and system tests", [...MOCHA, ...files], env);
}

let isPackaged = false;

function packaging() {
  isPackaged = true;
  check("package", packageVsix);
}

/** The person at the workbench installs what a user would: the package. */
function workbench() {
  if (!isPackaged) {
    packaging();
  }
  suite("tests in VS Code's extension host", ["out/test/workbench/run-in-host.js"]);
  suite("tests as a person at the workbench", [...MOCHA, "--timeout", "120000", "out/test/workbench/*.test.js"]);
}

const PARTS = {
  lint: () =>
    check("lint", () => run(...node("node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"))),
  types: () => check("type check", () => run(...node("node_modules/typescript/bin/tsc", "--noEmit", "-p", "."))),
  unit: () => unit(),
  package: packaging,
  workbench,
};

function test(parts) {
  const unknown = parts.filter((part) => !Object.hasOwn(PARTS, part));
  if (unknown.length > 0) {
    console.error(`There is no part "${unknown[0]}"; the parts are ${Object.keys(PARTS).join(", ")}.`);
    process.exit(2);
  }
  build("--production");
  build("test");
  for (const part of parts.length > 0 ? parts : Object.keys(PARTS)) {
    PARTS[part]();
  }
  finish();
}

/** Needs something that no run can install: the suite's title says what. */
const isOptional = (title) => title.includes("(optional: ");

function finish() {
  heading("summary");
  const isMissing = (title) => requireAll && !isOptional(title);
  for (const line of totals.skipped) {
    console.log(`${isMissing(line) ? "missing" : "skipped"}: ${line}`);
  }
  const missing = totals.skipped.filter(isMissing).length;
  const skips = totals.skipped.length - missing;
  const failed = totals.failed + missing;
  console.log(`\n${totals.passed} passed, ${failed} failed${skips === 0 ? "" : `, ${skips} skipped`}`);
  process.exit(failed === 0 && totals.passed > 0 ? 0 : 1);
}

const [command, ...rest] = process.argv.slice(2);
install();
switch (command) {
  case "start":
    build("--production");
    // Ctrl-C is the guest's business: it ends with a summary, and we with it.
    process.on("SIGINT", () => {});
    process.exit(run(...node("dist/cli.js", "run", SAMPLE, ...rest)));
    break;
  case "test":
    test(rest);
    break;
  case "bless":
    build("test");
    unit({ RING1_BLESS: "1" });
    finish();
    break;
  case "bench":
    build("--production");
    build("test");
    process.exit(run(...node("out/test/bench/run.js", ...rest)));
    break;
  case "package":
    process.exit(packageVsix());
    break;
  default:
    console.error("Usage: node test/support/bootstrap.mjs start | test | bless | bench | package");
    process.exit(2);
}
