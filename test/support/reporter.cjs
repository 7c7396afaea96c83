// The mocha reporter of `npm test`: one line for each suite, then mocha's own summary with every failure in full.
// When RING1_RESULTS names a file, the figures are written there as JSON for test/support/bootstrap.mjs to add up.
const { writeFileSync } = require("node:fs");
const Mocha = require("mocha");

const { Base } = Mocha.reporters;
const { EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_TEST_END, EVENT_TEST_PENDING } = Mocha.Runner.constants;

class SuiteReporter extends Base {
  constructor(runner, options) {
    super(runner, options);
    const suites = new Map();
    const skipped = [];
    let last;

    const suiteOf = (test) => {
      let suite = test.parent;
      while (suite.parent !== undefined && !suite.parent.root) {
        suite = suite.parent;
      }
      return suite.title;
    };
    const flush = () => {
      if (last !== undefined) {
        const { passed, failed, pending, ms } = suites.get(last);
        const mark = failed > 0 ? "✗" : "✓";
        const extra = `${failed > 0 ? `, ${failed} FAILED` : ""}${pending > 0 ? `, ${pending} skipped` : ""}`;
        Base.consoleLog(`  ${mark} ${last}: ${passed} passed${extra} (${ms} ms)`);
        suites.delete(last);
        last = undefined;
      }
    };
    const count = (test) => {
      const name = suiteOf(test);
      if (name !== last) {
        flush();
        last = name;
      }
      if (!suites.has(name)) {
        suites.set(name, { passed: 0, failed: 0, pending: 0, ms: 0 });
      }
      const entry = suites.get(name);
      if (process.env.RING1_TIMES !== undefined) {
        Base.consoleLog(`    ${test.duration ?? 0} ms  ${test.title}`);
      }
      const kind = test.isPending() ? "pending" : test.state === "failed" ? "failed" : "passed";
      entry[kind] += 1;
      entry.ms += test.duration ?? 0;
    };

    runner.on(EVENT_TEST_END, count);
    runner.on(EVENT_TEST_PENDING, (test) => skipped.push(test.fullTitle()));
    runner.on(EVENT_SUITE_BEGIN, (suite) => suite.parent?.root && flush());
    runner.once(EVENT_RUN_END, () => {
      flush();
      this.epilogue();
      const { passes, failures, pending } = this.stats;
      if (process.env.RING1_RESULTS !== undefined) {
        writeFileSync(
          process.env.RING1_RESULTS,
          JSON.stringify({ passed: passes, failed: failures, pending, skipped }),
        );
      }
    });
  }
}

module.exports = SuiteReporter;
