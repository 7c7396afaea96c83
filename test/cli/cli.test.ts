// The command as a person or a script uses it: its streams, its exit status, what it writes, what it says when something is wrong. The
// bundle is built once, from the sources as they are.
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { after, before, describe, it } from "mocha";
import { Asm, Assembler } from "../../src/x86";
import { begin, elfImage, finish, hypercall, LOAD_ADDRESS, powerOff } from "../lguest/guest-code";

const ROOT = join(__dirname, "../../..");
const HELLO = join(ROOT, "media/guests/hello/hello.elf");
const SHELL = join(ROOT, "media/guests/shell/shell.elf");

let folder = "";
let program = "";

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
function ring1(args: readonly string[], input = ""): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    input,
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}
function start(args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [program, ...args]);
}
function path(name: string): string {
  return join(folder, name);
}
/** A guest by the assembler, as a file. */
function guestFile(name: string, build: (a: Assembler) => void): string {
  const a = new Assembler(LOAD_ADDRESS);
  build(a);
  writeFileSync(path(name), elfImage(a.finish().bytes));
  return path(name);
}
function refuses(args: readonly string[], message: RegExp): void {
  const { status, stdout, stderr } = ring1(args);
  assert.match(stderr, message);
  assert.equal(status, 2);
  assert.equal(stdout, "");
}

describe("ring1", function () {
  this.timeout(60_000);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "ring1-cli-"));
    mkdirSync(path("dist"));
    program = path("dist/cli.js");
    buildSync({
      entryPoints: [join(ROOT, "src/cli/index.ts")],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "cjs",
      target: "es2022",
      logLevel: "silent",
    });
    symlinkSync(join(ROOT, "media"), path("media"));
    writeFileSync(path("package.json"), readFileSync(join(ROOT, "package.json")));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("helps, and tells its version", () => {
    const help = ring1(["--help"]);
    assert.equal(help.status, 0);
    for (const word of ["run", "new", "dap", "vectors", "--trap-log", "--max-instructions"])
      assert.ok(help.stdout.includes(word), word);
    assert.equal(ring1(["run", "--help"]).stdout, help.stdout);
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    assert.equal(ring1(["--version"]).stdout, `ring1 ${version}\n`);
  });
  it("boots the sample: its console on standard output, everything else on standard error, status 0", () => {
    const { status, stdout, stderr } = ring1(["run", HELLO]);
    assert.equal(status, 0);
    assert.match(stdout, /^hello: early console\nHello from ring 1!\n/);
    assert.doesNotMatch(stdout, /^ring1:/m);
    assert.match(stderr, /^ring1: the guest powered off: .*\nring1: [\d ]+ instructions in .* world switches\n$/);
  });
  it("hands over memory, command line, abi, engine and quirks", () => {
    const { stdout } = ring1([
      "run",
      HELLO,
      "--memory",
      "8M",
      "--cmdline",
      "one two",
      "--abi",
      "3.x",
      "--engine",
      "direct",
      "--quirks",
      "fixed",
    ]);
    assert.match(stdout, /memory +8 MiB/);
    assert.match(stdout, /command line +"one two"/);
    assert.match(stdout, /host ABI +3\.x/);
  });
  it("ends with status 1 and the reason when the guest is killed", () => {
    const file = guestFile("dies.elf", (a) => {
      begin(a);
      hypercall(a, 99);
      finish(a);
    });
    const { status, stderr } = ring1(["run", file, "--memory", "2"]);
    assert.equal(status, 1);
    assert.match(stderr, /the guest was killed: Bad hypercall 99\n/);
    const early = guestFile("early.elf", (a) => void a.bytes(0x0f, 0x0b));
    assert.match(ring1(["run", early]).stderr, /the guest was killed: unhandled trap 6 at 0x100000 \(0x0\)/);
  });
  it("ends with status 3 at the instruction limit, and when input has ended and the guest still waits for it", () => {
    const spin = guestFile("spin.elf", (a) => void a.label("spin").jmp("spin"));
    const limited = ring1(["run", spin, "--max-instructions", "10K", "--stats", path("limit.json")]);
    assert.equal(limited.status, 3);
    assert.match(limited.stderr, /the instruction limit was reached/);
    const stats = JSON.parse(readFileSync(path("limit.json"), "utf8")) as {
      instructions: number;
      exit: { reason: string };
    };
    assert.deepEqual([stats.instructions, stats.exit.reason], [10_000, "limit"]);
    const waiting = ring1(["run", SHELL], "echo hi\n");
    assert.equal(waiting.status, 3);
    assert.match(waiting.stdout, /^hi$/m);
    assert.match(waiting.stderr, /waits for input/);
  });
  it("types what comes on standard input, or what a file has", () => {
    assert.match(ring1(["run", SHELL], "echo from stdin\nquit\n").stdout, /^from stdin$/m);
    writeFileSync(path("keys"), "echo from a file\nquit\n");
    const { status, stdout } = ring1(["run", SHELL, "--input", path("keys")]);
    assert.equal(status, 0);
    assert.match(stdout, /^from a file$/m);
  });
  it("answers Ctrl-C with a summary", async () => {
    const spin = guestFile("prints-and-spins.elf", (a) => {
      begin(a);
      hypercall(a, 17, "bye");
      a.label("spin").jmp("spin");
      finish(a);
    });
    const child = start(["run", spin]);
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => {
      stderr += text.toString();
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    const status = await new Promise((resolve) => child.on("exit", resolve));
    assert.equal(status, 130);
    assert.match(stderr, /ring1: interrupted\nring1: [\d ]+ instructions/);
  });
  it("writes a trap log: one JSON object a line, hypercalls, interrupts and direct traps among them", () => {
    const log = path("log.jsonl");
    assert.equal(ring1(["run", HELLO, "--trap-log", log]).status, 0);
    const entries = readFileSync(log, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    entries.forEach((entry, i) => {
      assert.equal(entry.n, i + 1);
      for (const key of ["icount", "vector", "cpl", "eip"])
        assert.equal(typeof entry[key], "number", `${key} of ${i + 1}`);
      assert.ok(entry.world === "guest" || entry.world === "user");
      assert.equal(typeof entry.name, "string");
      assert.ok("outcome" in entry);
    });
    const init = entries.find(({ name }) => name === "LGUEST_INIT") as {
      hypercall: { number: number; args: number[]; async: boolean };
      outcome: string;
      cost: number;
    };
    assert.deepEqual(
      [init.hypercall.number, init.hypercall.args.length, init.hypercall.async, init.outcome],
      [1, 1, false, "hypercall"],
    );
    assert.ok(init.cost > 0);
    assert.ok(
      entries.some(
        ({ outcome, cr2, error }) => outcome === "demand-paged" && typeof cr2 === "number" && typeof error === "number",
      ),
    );
    assert.ok(entries.some(({ symbol }) => typeof symbol === "string" && /^[a-z_]+(\+0x[0-9a-f]+)?$/.test(symbol)));
    const tasks = path("tasks.jsonl");
    ring1(["run", join(ROOT, "media/guests/tasks/tasks.elf"), "--trap-log", tasks]);
    const text = readFileSync(tasks, "utf8");
    assert.match(text, /"world":"user","vector":128.*"outcome":"direct".*"cost":0/);
    assert.match(text, /"vector":32,.*"outcome":"interrupt"/);
    assert.match(text, /"async":true/);
  });
  it("writes statistics", () => {
    ring1(["run", HELLO, "--stats", path("stats.json"), "--engine", "interpreter"]);
    const stats = JSON.parse(readFileSync(path("stats.json"), "utf8")) as Record<string, unknown> & {
      traps: Record<string, number>;
      hypercalls: Record<string, unknown>;
    };
    for (const key of ["instructions", "wallSeconds", "mips", "worldSwitches"])
      assert.ok((stats[key] as number) > 0, key);
    assert.deepEqual(stats.hypercalls.LGUEST_INIT, { sync: 1, async: 0 });
    assert.ok(stats.traps["14"] > 0);
    assert.equal(stats.engine, "interpreter");
    assert.deepEqual(stats.exit, { reason: "powered-off", text: "Power down" });
  });
  it("gives the same trap log for the same seed and input, on both engines", () => {
    const logs = ["direct", "interpreter"].map((engine) => {
      const file = path(`${engine}.jsonl`);
      assert.equal(ring1(["run", HELLO, "--seed", "5", "--engine", engine, "--trap-log", file]).status, 0);
      return readFileSync(file, "utf8");
    });
    assert.equal(logs[0], logs[1]);
  });
  it("puts up with a guest that floods its console, and with a reader that goes away", async () => {
    const flood = guestFile("flood.elf", (a) => {
      begin(a);
      a.label("again");
      hypercall(a, 17, "text");
      a.jmp("again");
      a.label("text").text("flood ".repeat(500));
      finish(a);
    });
    const child = start(["run", flood]);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.stdout.pause();
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (existsSync(`/proc/${child.pid}/status`)) {
      const memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]);
      assert.ok(memory < 400_000, `${memory} KiB`);
    }
    child.stdout.destroy();
    assert.equal(await new Promise((resolve) => child.on("exit", resolve)), 130);
  });
  it("writes changed disks back, and leaves read-only ones alone", () => {
    const disk = path("disk.img");
    writeFileSync(disk, Buffer.alloc(1024, 1));
    // The block device is the first: a request in its ring, then a NOTIFY.
    const guest = guestFile("disk.elf", (a) => {
      const { eax, ptr } = Asm;
      begin(a);
      const ring = 0x201000;
      for (const page of [0x201, 0x202, 0x203]) a.mov(ptr(0x1fe000 + page * 4, 0, { size: 4 }), page * 0x1000 + 7);
      const put = (at: number, value: Asm.Displacement | string): void => void a.mov(eax, value).mov(ptr(at), eax);
      put(ring, "header");
      put(ring + 8, 16);
      put(ring + 12, 1 | (1 << 16));
      put(ring + 16, "data_to_write");
      put(ring + 24, 512);
      put(ring + 28, 1 | (2 << 16));
      put(ring + 32, "status");
      put(ring + 40, 1);
      put(ring + 44, 2);
      put(ring + 0x1000, 0x10000);
      hypercall(a, 17, ring);
      powerOff(a);
      a.align(4)
        .label("header")
        .dword(1, 0, 1, 0)
        .label("data_to_write")
        .text("written by the guest")
        .zero(512)
        .label("status")
        .dword(0xee);
      finish(a);
    });
    assert.equal(ring1(["run", guest, "--memory", "2M", "--disk", `${disk},ro`]).status, 0);
    assert.ok(readFileSync(disk).every((byte) => byte === 1));
    assert.equal(ring1(["run", guest, "--memory", "2M", "--disk", disk]).status, 0);
    const bytes = readFileSync(disk);
    assert.equal(bytes.subarray(512, 532).toString(), "written by the guest");
    assert.equal(bytes[511], 1);
  });

  it("refuses what it cannot use with status 2 and a sentence that says what to do", () => {
    refuses([], /expected a command: run, new, dap or vectors/);
    refuses(["fly"], /there is no command "fly"/);
    refuses(["run"], /run: expected one image, found none/);
    refuses(["run", HELLO, HELLO], /expected one image, found 2/);
    refuses(["run", path("none.elf")], /cannot read the image .*none\.elf: there is no such file/);
    refuses(["run", folder], /cannot read the image .*: it is a directory/);
    refuses(["run", HELLO, "--speed", "9"], /Unknown option '--speed'/);
    refuses(["run", HELLO, "--memory", "much"], /--memory: expected a size such as 64M, found "much"/);
    refuses(["run", HELLO, "--memory", "2G"], /too large: expected at most 1019 MiB/);
    refuses(["run", HELLO, "--memory", "1M"], /leaves no room|does not fit/);
    refuses(["run", HELLO, "--abi", "4.0"], /--abi: expected 2\.6\.32 or 3\.x, found "4\.0"/);
    refuses(["run", HELLO, "--engine", "jit"], /--engine: jit is not there yet/);
    refuses(["run", HELLO, "--max-instructions", "-5"], /argument|expected a whole number/);
    refuses(["run", HELLO, "--seed", "x"], /--seed: expected a whole number, found "x"/);
    refuses(["run", HELLO, "--initrd", path("none")], /cannot read the initrd/);
    refuses(["run", HELLO, "--trap-log", join(folder, "no/such/log")], /cannot write the trap log/);
    writeFileSync(path("odd.img"), "x");
    refuses(["run", HELLO, "--disk", path("odd.img")], /expected a whole number of 512-byte sectors, found 1 bytes/);
    refuses(["run", path("package.json")], /package\.json cannot be booted: expected an ELF executable/);
    refuses(["dap", "x"], /dap: expected no arguments/);
    refuses(["dap"], /dap-server\.js is missing/);
  });
  it("runs vectors and prints a row for each group and engine", () => {
    const data = join(ROOT, "test/x86/vectors/data");
    mkdirSync(path("vectors"));
    writeFileSync(path("vectors/bcd.jsonl.gz"), readFileSync(join(data, "bcd.jsonl.gz")));
    const { status, stdout } = ring1(["vectors", path("vectors")]);
    assert.equal(status, 0);
    assert.match(stdout, /^group +engine +passed +failed +soft\n/);
    assert.match(stdout, /^bcd +direct +\d+ +0 /m);
    assert.match(stdout, /^bcd +interpreter +\d+ +0 /m);
    refuses(["vectors"], /vectors: expected one directory/);
    refuses(["vectors", path("none")], /cannot read the directory/);
  });
  it("makes a project from a sample", () => {
    const result = ring1(["new", "hello", path("mykernel")]);
    assert.equal(result.status, 0, result.stderr);
    for (const file of [
      "main.c",
      "Makefile",
      "kernel.ld",
      "lib/start.S",
      "include/ring1/lguest.h",
      ".vscode/launch.json",
    ])
      assert.ok(existsSync(path(`mykernel/${file}`)), file);
    assert.doesNotMatch(readFileSync(path("mykernel/Makefile"), "utf8"), /\{\{name\}\}/);
    refuses(["new"], /new: expected a template and a directory.* Templates: hello, /);
    refuses(["new", "nothing", path("x")], /there is no template "nothing": expected one of hello, /);
    refuses(["new", "hello", path("mykernel")], /is not empty/);
    refuses(["new", "hello", path("9 lives")], /"9 lives" is no name for a kernel/);
  });
});
