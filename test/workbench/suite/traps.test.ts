// Stops at traps, the guest's death, and a guest that is busy: what only a debugger with its own machine can do.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "mocha";
import { cleanUp, GuestRun, sample } from "./guest-run";

/** The adapter promises 50 ms, tested over stdio; here VS Code's own work and that of other programs comes on top. */
const PAUSE_WITHIN_MS = 5000;

const JUMP_TO_ITSELF = Buffer.from([0xeb, 0xfe]).toString("base64");

describe("traps in VS Code", () => {
  afterEach(cleanUp);

  it("stops at a trap that launch.json names, by vector", async () => {
    const run = await GuestRun.start({ program: sample("hello", "hello.elf"), trapBreakpoints: [3] });
    const stop = await run.untilStopped();
    assert.match(`${stop.description} ${stop.text}`, /#BP|breakpoint|3/);
    const { rows } = await run.custom("ring1/trapLog", { count: -1 });
    assert.equal(rows[0]?.vector, 3);
  });

  it("stops at a hypercall by its name, with its arguments in the log", async () => {
    const run = await GuestRun.start({ program: sample("hello", "hello.elf"), trapBreakpoints: ["LGUEST_INIT"] });
    await run.untilStopped();
    const { rows } = await run.custom("ring1/trapLog", { count: -1 });
    assert.match(rows[0]?.hypercall?.name ?? "", /LGUEST_INIT/);
  });

  it("stops before the guest is killed, with its state alive, and ends with the reason", async () => {
    const run = await GuestRun.start({ program: sample("hello", "hello.elf"), stopOnEntry: true });
    await run.untilStopped("entry");
    await run.custom("ring1/setRegister", { name: "EIP", value: "0xF0000000" });
    await run.go("continue");
    const killed = await run.untilEvent("ring1/killed");
    assert.match(killed.reason, /\w/);
    assert.equal(killed.stopped, true);
    assert.ok((await run.custom("ring1/registers")).groups.length > 0);
    await run.go("continue");
    const ended = await run.untilEnded();
    assert.equal(ended.cause, "killed");
    assert.equal(ended.exitStatus, 1);
    assert.ok(ended.reason.includes(killed.reason), ended.reason);
  });

  it("pauses a guest that spins with interrupts off", async () => {
    const run = await GuestRun.start({ program: sample("hello", "hello.elf"), stopOnEntry: true });
    await run.untilStopped("entry");
    const memoryReference = (await run.top()).instructionPointerReference;
    await run.dap("writeMemory", { memoryReference, data: JUMP_TO_ITSELF });
    await run.go("continue");
    const started = performance.now();
    await run.go("pause");
    const answeredMs = performance.now() - started;
    await run.untilStopped("pause");
    assert.ok(answeredMs < PAUSE_WITHIN_MS, `${answeredMs.toFixed(0)} ms`);
    assert.match((await run.top()).name, /start/);
  });

  it("sends what is typed to the guest", async () => {
    const run = await GuestRun.start({ program: sample("shell", "shell.elf") });
    await run.untilEvent("ring1/console");
    await run.custom("ring1/console", { text: "quit\n" });
    assert.equal((await run.untilEnded()).cause, "poweredOff");
  });

  it("keeps the log of every transition in order", async () => {
    const run = await GuestRun.start({ program: sample("traps", "traps.elf"), trapBreakpoints: ["SHUTDOWN"] });
    await run.untilStopped();
    const { rows, total } = await run.custom("ring1/trapLog", { start: 0, count: 2000 });
    assert.ok(total > 20);
    for (const [index, row] of rows.entries()) {
      const previous = rows[index - 1];
      assert.ok(previous === undefined || row.n === previous.n + 1);
      assert.ok(previous === undefined || row.instructionCount >= previous.instructionCount);
    }
    const outcomes = new Set(rows.map(({ outcome }) => outcome));
    assert.ok(
      outcomes.has("reflected") && outcomes.has("direct") && outcomes.has("hypercall"),
      [...outcomes].join(", "),
    );
  });
});
