// The promise that everything else stands on: the same journal gives the same run, bit for bit, on every engine.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { VirtualMachine, VirtualMachineOptions } from "../../src/lguest";
import { Journal, type JournalEntry } from "../../src/machine";
import { Asm, type Assembler } from "../../src/x86";
import { begin, bootGuest, ENGINES, finish, hypercall, loadGate, powerOff } from "./guest-code";

const { eax, ecx, ptr } = Asm;
const INTERVAL = 10_000;

/** Timer interrupts that hit a busy loop, a console input queue, and sleep: whatever could depend on when things happen. */
function guest(a: Assembler): void {
  begin(a);
  loadGate(a, 32, "tick", 0xe);
  loadGate(a, 33, "key", 0xe);
  // Console input: one descriptor of 16 bytes that the device writes, then the queue's first notification starts the device.
  // Devices lie above RAM: the first table, just below the directory at the top of RAM, gets entries for the ring's pages.
  const queue = 0x201000;
  for (const page of [0x201, 0x202, 0x203]) a.mov(ptr(0x1fe000 + page * 4, 0, { size: 4 }), page * 0x1000 + 7);
  a.mov(eax, "buffer").mov(ptr(queue), eax);
  a.mov(eax, 16).mov(ptr(queue + 8), eax);
  a.mov(eax, 2).mov(ptr(queue + 12), eax);
  a.mov(eax, 0x10000).mov(ptr(queue + 0x1000), eax);
  hypercall(a, 17, queue);
  a.mov(eax, 0x200).mov(ptr("data"), eax);
  hypercall(a, 9, 70_000);
  a.label("busy").mov(eax, ptr("sum")).add(eax, 0x9e3779b9).shl(eax, 1).inc(eax).mov(ptr("sum"), eax);
  a.mov(eax, ptr("keys")).test(eax, eax).jcc("z", "busy");
  powerOff(a);
  a.label("tick").push(eax).push(ecx).push(Asm.ebx).push(Asm.edx);
  hypercall(a, 9, 30_000);
  a.rdtsc().add(ptr("sum"), eax);
  // Interrupts on, and what has waited comes in.
  a.mov(ptr("data", 0, { size: 4 }), 0x200);
  hypercall(a, 19);
  a.pop(Asm.edx).pop(Asm.ebx).pop(ecx).pop(eax).iret();
  a.label("key")
    .push(eax)
    .mov(eax, ptr("buffer"))
    .mov(ptr("keys"), eax)
    .pop(eax)
    .mov(ptr("data", 0, { size: 4 }), 0x200)
    .iret();
  a.align(4).label("sum").dword(0).label("keys").dword(0).label("buffer").zero(16);
  finish(a);
}

/** Hashes every 10,000 instructions, until the machine ends. */
function hashes(vm: VirtualMachine, type: (vm: VirtualMachine, count: number) => void = () => {}): string[] {
  const found: string[] = [];
  for (let at = INTERVAL; at <= 200_000; at += INTERVAL) {
    const exit = vm.run(at);
    found.push(vm.stateHash());
    if (exit.kind !== "limit") break;
    type(vm, at);
  }
  assert.equal(vm.ended?.kind, "powered-off");
  return found;
}
const keys = (vm: VirtualMachine, count: number): void => {
  if (count === 100_000) vm.consoleInput(new TextEncoder().encode("key"));
};
function boot(options: Partial<VirtualMachineOptions>): VirtualMachine {
  return bootGuest(guest, { memoryMegabytes: 2, seed: 7, wallClockSeconds: 12345, ...options }).vm;
}

describe("determinism", function () {
  this.timeout(30_000);
  let journal: readonly JournalEntry[] = [];
  let expected: string[] = [];

  it("two runs with the same input at the same places have the same hashes, on both engines", () => {
    const first = boot({ engine: "direct" });
    expected = hashes(first, keys);
    assert.ok(expected.length > 5);
    assert.equal(new Set(expected).size, expected.length, "and they are all different");
    journal = Journal.parse(first.machine.journal.toText());
    assert.deepEqual(
      journal.map(({ channel }) => channel),
      ["seed", "wall-clock", "console"],
    );
    assert.deepEqual(hashes(boot({ engine: "interpreter" }), keys), expected);
  });
  for (const engine of ENGINES)
    it(`a replay of the journal gives the same hashes, whatever the options say, ${engine} engine`, () => {
      const vm = boot({ engine, replay: journal, seed: 99, wallClockSeconds: 1 });
      assert.throws(() => vm.consoleInput(Uint8Array.of(1)), /replay/);
      assert.deepEqual(hashes(vm), expected);
    });
  it("looking at every instruction and stopping at every event changes nothing", () => {
    const vm = boot({ engine: "interpreter", replay: journal });
    vm.observer = { before: () => "stop" };
    const found: string[] = [];
    for (let at = INTERVAL; vm.ended === null; ) {
      const exit = vm.run(at);
      if (exit.kind === "event") continue;
      found.push(vm.stateHash());
      at += INTERVAL;
    }
    assert.deepEqual(found, expected);
  });
  it("time that passes while the guest waits for a key comes back in a replay", () => {
    const sleeper = (a: Assembler): void => {
      begin(a);
      loadGate(a, 33, "key", 0xe);
      for (const page of [0x201, 0x202, 0x203]) a.mov(ptr(0x1fe000 + page * 4, 0, { size: 4 }), page * 0x1000 + 7);
      a.mov(ptr(0x201000, 0, { size: 4 }), 0x9000)
        .mov(ptr(0x201008, 0, { size: 4 }), 16)
        .mov(ptr(0x20100c, 0, { size: 4 }), 2);
      a.mov(ptr(0x202000, 0, { size: 4 }), 0x10000);
      hypercall(a, 17, 0x201000);
      hypercall(a, 10);
      powerOff(a);
      a.label("key").rdtsc().mov(ptr(0x9100), eax).iret();
      finish(a);
    };
    const live = bootGuest(sleeper).vm;
    assert.equal(live.run(1e9).kind, "waiting-for-input");
    live.passTime(3e9);
    live.consoleInput(Uint8Array.of(65));
    assert.equal(live.run(1e9).kind, "powered-off");
    assert.ok(live.machine.slept >= 3e8 && live.instructionCount < 3.01e8);
    const replay = bootGuest(sleeper, { replay: live.machine.journal.entries }).vm;
    assert.equal(replay.run(1e9).kind, "powered-off");
    assert.equal(replay.stateHash(), live.stateHash());
  });
  it("another seed is another run", () => {
    const a = boot({ engine: "interpreter", seed: 1 });
    assert.equal(a.machine.journal.entries[0].data[0], "1".charCodeAt(0));
  });
});
