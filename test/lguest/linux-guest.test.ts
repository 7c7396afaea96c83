// A Linux kernel as guest, when somebody brings one: RING1_LINUX_KERNEL names a vmlinux or bzImage of the 3.x range with CONFIG_LGUEST_GUEST=y,
// without SMP and PAE, and RING1_LINUX_INITRD a RAM disk with an init. No kernel is part of this project, so usually these
// tests are skipped. What they compare with is the order in which such a kernel was seen to start on a real lguest host.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, it } from "mocha";
import { type GuestEvent, VirtualMachine, type VmExit } from "../../src/lguest";

/** The kernel's start, calls of one kind in a row put together; from there on it depends on the configuration. */
const FIRST_CALLS = [
  "LGUEST_INIT x1",
  "NEW_PGTABLE x1",
  "LOAD_GDT_ENTRY x32",
  "NEW_PGTABLE x1",
  "FLUSH_TLB x1",
  "LOAD_IDT_ENTRY x259",
  "TS x1",
];
/** Far beyond what a small kernel needs to its first program. */
const MAX_INSTRUCTIONS = 400_000_000;
const MEGABYTES = 64;

interface Boot {
  readonly exit: VmExit;
  readonly events: readonly GuestEvent[];
  readonly text: string;
  readonly hash: string;
}

/** Runs to the first system call of a program, in slices of so many instructions. */
function boot(kernel: string, initrd: string, slice: number): Boot {
  const machine = new VirtualMachine({
    image: readFileSync(kernel),
    imageName: kernel,
    initrd: readFileSync(initrd),
    memoryMegabytes: MEGABYTES,
    commandLine: "console=hvc0",
    abi: "3.x",
    quirks: "fixed",
  });
  const events: GuestEvent[] = [];
  let text = "";
  machine.onConsoleOutput = (bytes) => {
    text += new TextDecoder().decode(bytes);
  };
  machine.observer = {
    before(event) {
      events.push(event);
      return event.kind === "direct" && event.cpl === 3 ? "stop" : undefined;
    },
  };
  for (;;) {
    const exit = machine.run(Math.min(machine.instructionCount + slice, MAX_INSTRUCTIONS));
    if (exit.kind !== "limit" || machine.instructionCount >= MAX_INSTRUCTIONS)
      return { exit, events, text, hash: machine.stateHash() };
  }
}

function inARow(names: readonly string[]): string[] {
  const rows: { name: string; count: number }[] = [];
  for (const name of names) {
    const last = rows.at(-1);
    if (last?.name === name) last.count++;
    else rows.push({ name, count: 1 });
  }
  return rows.map(({ name, count }) => `${name} x${count}`);
}

describe("Linux as guest (optional: RING1_LINUX_KERNEL and RING1_LINUX_INITRD)", function () {
  this.timeout(300_000);
  const { RING1_LINUX_KERNEL: kernel, RING1_LINUX_INITRD: initrd } = process.env;
  let linux: Boot;

  before(function () {
    if (kernel === undefined || initrd === undefined) {
      console.log("  skipped: no kernel was given (RING1_LINUX_KERNEL and RING1_LINUX_INITRD may name one)");
      this.skip();
    }
    linux = boot(kernel, initrd, 1_000_000);
  });

  it("reaches the first system call of its first program, which goes straight to the guest's kernel", () => {
    assert.equal(linux.exit.kind, "event", JSON.stringify(linux.exit));
    assert.equal(linux.events.at(-1)?.vector, 0x80);
  });

  it("starts with the hypercalls that a real host saw, in their order", () => {
    const names = linux.events.flatMap(({ hypercall }) => (hypercall === undefined ? [] : [hypercall.name]));
    assert.deepEqual(inARow(names).slice(0, FIRST_CALLS.length), FIRST_CALLS);
  });

  it("says that it runs on lguest and that write protection holds in the kernel", () => {
    assert.match(linux.text, /Booting paravirtualized kernel on lguest/);
    assert.match(linux.text, /honours the WP bit even in supervisor mode\.\.\.Ok\./);
    const isRefused = (event: GuestEvent): boolean =>
      event.vector === 14 && event.errorCode === 3 && event.outcome === "reflected";
    assert.equal(linux.events.filter((event) => event.cpl === 1 && isRefused(event)).length, 1);
  });

  it("needs no emulated instruction: everything privileged is a hypercall", () => {
    assert.deepEqual(
      linux.events.filter(({ kind, vector }) => kind === "trap" && (vector === 6 || vector === 13)),
      [],
    );
  });

  it("boots the same way every time, in whatever slices it runs", () => {
    const again = boot(kernel as string, initrd as string, 777_777);
    assert.equal(again.events.length, linux.events.length);
    assert.equal(again.hash, linux.hash);
  });
});
