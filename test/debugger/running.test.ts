// The debugger without any protocol: looking and stepping do not change what the guest does.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { Harness } from "./harness";

/** The trap log as text: what happened, and at which instruction. */
function history(h: Harness): string {
  const { log } = h.dbg.session;
  const lines: string[] = [];
  for (let n = 1; n <= log.lastSequence; n++) {
    const entry = log.entry(n)!;
    lines.push(`${entry.instructionCount} ${entry.name} ${entry.eip.toString(16)} ${entry.outcome}`);
  }
  return lines.join("\n");
}

describe("the debugger", function () {
  this.timeout(20000);

  it("does not change the run: breakpoints, steps and looking leave every trap at its instruction", async () => {
    const free = new Harness();
    const end = await free.launch("hello");
    assert.ok("end" in end);
    const watched = new Harness();
    await watched.load("hello");
    watched.dbg.breakpoints.setFunctions([
      { name: "kernel_main" },
      { name: "hcall", hitCondition: "%9" },
      { name: "memset" },
    ]);
    watched.dbg.traps.setFilters([{ filter: "exit", hitCondition: "%7" }, { filter: "vector:3" }]);
    let outcome = await watched.until(() => watched.dbg.start());
    for (let i = 0; "stop" in outcome; i++) {
      const frames = watched.dbg.stackFrames();
      assert.ok(frames.length > 0);
      const moves = [
        () => watched.dbg.stepIn("instruction"),
        () => watched.dbg.stepOver("line"),
        () => watched.dbg.continue(),
        () => watched.dbg.stepOut(),
        () => watched.dbg.continue(),
      ];
      watched.dbg.setStepThrough(i % 10 < 5 ? "guest" : "machine");
      outcome = await watched.until(moves[i % moves.length]);
    }
    assert.equal(outcome.end.instructionCount, end.end.instructionCount);
    assert.equal(watched.console, free.console);
    assert.equal(history(watched), history(free));
  });

  it("ends the session with the reason when it fails itself, and lets what led there be looked at", async () => {
    const h = new Harness();
    await h.load("hello");
    const { vm } = h.dbg.session;
    vm.run = () => {
      throw new Error("a wheel came off");
    };
    const outcome = await h.until(() => h.dbg.start());
    assert.ok("end" in outcome);
    assert.equal(outcome.end.cause, "failed");
    assert.match(outcome.end.reason, /a wheel came off/);
    assert.ok(h.dbg.stackFrames().length > 0);
  });

  it("keeps what it told in order: console text before the end", async () => {
    const h = new Harness();
    const outcome = await h.launch("hello");
    assert.ok("end" in outcome);
    assert.match(h.console, /good bye\n$/);
  });
});
