// Things that are wrong, met through VS Code: each ends with a sentence that says what is wrong, and VS Code lives on.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, afterEach, describe, it } from "mocha";
import type { LaunchAttributes } from "../../../src/dap";
import { cleanUp, GuestRun, sample } from "./guest-run";

describe("bad input in VS Code", () => {
  afterEach(cleanUp);

  after(async () => {
    const run = await GuestRun.start({ program: sample("hello", "hello.elf") });
    assert.equal((await run.untilEnded()).cause, "poweredOff", "a good guest runs after all the bad ones");
  });

  /** Starts what cannot start, and returns the sentence. */
  async function refusal(launch: Partial<LaunchAttributes>): Promise<string> {
    const run = await GuestRun.start(launch);
    assert.equal(run.started && run.firstFailure() === undefined, false, "it must not start");
    return run.firstFailure() ?? "";
  }

  it("refuses a file that is not there", async () => {
    assert.match(await refusal({ program: sample("no-such.elf") }), /no-such\.elf/);
  });

  it("refuses a file that is no ELF", async () => {
    writeFileSync(sample("text.elf"), "This is a text, and no kernel at all.");
    assert.match(await refusal({ program: sample("text.elf") }), /ELF/);
  });

  it("refuses too little memory", async () => {
    assert.match(await refusal({ program: sample("hello", "hello.elf"), memory: "4K" }), /memory/i);
  });

  it("refuses a generation of lguest that it does not know", async () => {
    const abi = "1.0" as LaunchAttributes["abi"];
    assert.match(await refusal({ program: sample("hello", "hello.elf"), ...(abi && { abi }) }), /abi|2\.6\.32/);
  });

  it("refuses an initrd that is larger than the memory", async () => {
    writeFileSync(sample("large.initrd"), Buffer.alloc(3 * 1024 * 1024));
    const launch = { program: sample("hello", "hello.elf"), memory: "2M", initrd: sample("large.initrd") };
    assert.match(await refusal(launch), /initrd|memory/i);
  });
});
