// Rows CORE of the hypervisor's checklist: loading the module, guest memory, and the main loop.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import {
  LguestModule,
  lgread,
  lgread32,
  lguestAddressOk,
  lgwrite,
  lgwrite32,
  mapSwitcher,
  totalSwitcherPages,
  unmapSwitcher,
} from "../../src/lguest/host/core";
import { Errno } from "../../src/lguest/host/errno";
import { makeGeneration } from "../../src/lguest/host/generation";
import {
  DEFAULT_IDT_ENTRIES,
  HOST_SWITCHER_TABLE,
  LGUEST_ENTRY,
  SWITCHER_LINK,
} from "../../src/lguest/host/host-kernel";
import { loadGuestIdtEntry } from "../../src/lguest/host/interrupts-and-traps";
import { Random } from "../../src/lguest/host/random";
import { GuestRunner, type RunHooks, type RunResult } from "../../src/lguest/host/run-guest";
import { Regs, SWITCHER_ADDRESS } from "../../src/lguest/switcher/layout";
import { StateLayout as L } from "../../src/x86";
import { CODE, dataWord, type Fixture, gate, makeGuest, makeHost, makeRunningGuest, setDataWord } from "./host-fixture";

const NO_HOOKS: RunHooks = {
  observer: null,
  takeInput: () => {},
  hasInput: () => false,
  nextInputAt: () => Number.POSITIVE_INFINITY,
  hasSignal: () => false,
  irqOwner: () => undefined,
};
function run(fixture: Fixture, hooks: Partial<RunHooks> = {}, instructions = 10_000): RunResult {
  return new GuestRunner(fixture.cpu, { ...NO_HOOKS, ...hooks }).run(fixture.machine.now + instructions);
}

describe("core: the Switcher's pages", () => {
  it("CORE-01 map_switcher maps zeroed pages at 0xFFC00000 and copies the blob, unless fixed mappings are in the way", () => {
    const { kernel, module, machine } = makeHost({ cpus: 2 });
    assert.equal(mapSwitcher(module), 0);
    assert.equal(module.switcherPages.length, totalSwitcherPages(2));
    assert.equal(totalSwitcherPages(2), 5);
    module.switcherPages.forEach((page, i) => {
      assert.equal(kernel.read32(HOST_SWITCHER_TABLE + 4 * i), page | 0x63);
    });
    const at = L.RAM_BASE + module.switcherPages[0];
    const blob = kernel.switcher.code.bytes;
    assert.deepEqual(machine.cpu.u8.slice(at, at + blob.length), blob);
    assert.deepEqual(machine.cpu.u8.slice(L.RAM_BASE + SWITCHER_LINK, L.RAM_BASE + SWITCHER_LINK + blob.length), blob);
    const state = module.switcherPages[2];
    assert.ok(machine.cpu.u8.subarray(L.RAM_BASE + state, L.RAM_BASE + state + 4096).every((byte) => byte === 0));
    assert.deepEqual(module.log, ["lguest: mapped switcher at ffc00000"]);
    const crowded = makeHost({ cpus: 2 });
    assert.equal(mapSwitcher(crowded.module, SWITCHER_ADDRESS + 4 * 4096), Errno.ENOMEM);
    assert.deepEqual(crowded.module.log, ["lguest: mapping switcher would thwack fixmap"]);
  });
  it("CORE-02 unmap_switcher gives all of it back", () => {
    const { kernel, module } = makeHost();
    mapSwitcher(module);
    unmapSwitcher(module);
    assert.deepEqual(module.switcherPages, []);
    assert.equal(kernel.pages.inUse, 0);
    assert.equal(kernel.read32(HOST_SWITCHER_TABLE), 0);
  });
});

describe("core: guest memory", () => {
  it("CORE-03 lguest_address_ok: below the limit, no wrap, and not even to the very end", () => {
    const { guest } = makeGuest();
    assert.equal(lguestAddressOk(guest, 0xffff0, 4), true);
    assert.equal(lguestAddressOk(guest, 0xffffb, 4), true);
    assert.equal(lguestAddressOk(guest, 0xffffc, 4), false, "QUIRK-5");
    assert.equal(lguestAddressOk(guest, 0x100000, 0), false);
    assert.equal(lguestAddressOk(guest, 0xfffffffe, 4), false);
    const corrected = makeGuest({ quirks: "fixed" }).guest;
    assert.equal(lguestAddressOk(corrected, 0xffffc, 4), true);
    assert.equal(lguestAddressOk(corrected, 0xffffd, 4), false);
  });
  it("CORE-04 a bad read gives zeros and kills, the first reason wins", () => {
    const fixture = makeGuest();
    fixture.write(0x9000, 0x11223344);
    assert.equal(lgread32(fixture.guest, 0x9000), 0x11223344);
    assert.deepEqual([...lgread(fixture.guest, 0x9001, 2)], [0x33, 0x22]);
    assert.deepEqual([...lgread(fixture.guest, 0x7ffffc00, 4)], [0, 0, 0, 0]);
    assert.equal(fixture.deathText(), "bad read address 0x7ffffc00 len 4");
    lgread(fixture.guest, 0x300000, 128);
    assert.equal(fixture.deathText(), "bad read address 0x7ffffc00 len 4");
    const unmapped = makeGuest({ extraPages: 16 });
    lgread(unmapped.guest, 0x101000, 128);
    assert.equal(unmapped.deathText(), "bad read address 0x101000 len 128", "the launcher has nothing there");
  });
  it("CORE-05 a bad write kills and writes nothing", () => {
    const fixture = makeGuest();
    lgwrite32(fixture.guest, 0x9000, 7);
    lgwrite(fixture.guest, 0x9004, [1, 2]);
    assert.deepEqual([fixture.read(0x9000), fixture.read(0x9004)], [7, 0x201]);
    lgwrite32(fixture.guest, 0xfffffffc, 1);
    assert.equal(fixture.deathText(), "bad write address 0xfffffffc len 4");
  });
});

describe("core: run_guest", () => {
  it("CORE-06 hypercalls come first, then NOTIFY, signals, interrupts, sleep; a death ends it", () => {
    const notify = makeRunningGuest();
    notify.cpu.hcall = true;
    notify.cpu.setReg(Regs.eax, 17);
    notify.cpu.setReg(Regs.ebx, 0x9000);
    assert.deepEqual(run(notify), { kind: "notify", address: 0x9000 });
    assert.equal(notify.cpu.hcall, false);
    const signal = makeRunningGuest();
    signal.cpu.irqsPending = 1;
    setDataWord(signal, "irqEnabled", 0x200);
    loadGuestIdtEntry(signal.cpu, 32, ...gate(0xc0100000, 0xe));
    assert.deepEqual(run(signal, { hasSignal: () => true }), { kind: "signal" });
    assert.equal(signal.cpu.irqsPending, 1, "a signal comes before interrupts");
    const asleep = makeRunningGuest();
    asleep.cpu.halted = true;
    assert.deepEqual(run(asleep), { kind: "asleep" });
    const woken = makeRunningGuest();
    loadGuestIdtEntry(woken.cpu, 33, ...gate(0xc0020000, 0xe));
    woken.bytes(0x20000, 0xeb, 0xfe);
    woken.cpu.halted = true;
    woken.cpu.irqsPending = 2;
    assert.deepEqual(run(woken), { kind: "machine", exit: { kind: "limit" } });
    assert.equal(woken.machine.cpu.eip, 0xc0020000, "in its handler");
    const dead = makeRunningGuest();
    dead.bytes(CODE, 0x0f, 0x0b);
    assert.deepEqual(run(dead), { kind: "dead" });
    assert.deepEqual(run(dead), { kind: "dead" });
  });
  it("CORE-06 an eventfd takes its NOTIFY without leaving the loop, and a sleeping guest's timer moves the clock", () => {
    const fixture = makeRunningGuest();
    let signalled = 0;
    fixture.eventFds.push({ count: 0, signal: () => signalled++ });
    fixture.device.write([4, 0x9000, 0]);
    fixture.cpu.pendingNotify = 0x9000;
    fixture.cpu.halted = true;
    fixture.machine.events.schedule(5000, "test", () => fixture.guest.kill("test"));
    assert.deepEqual(run(fixture), { kind: "dead" });
    assert.equal(signalled, 1);
    assert.equal(fixture.machine.now, 5000);
    assert.equal(fixture.machine.slept, 5000);
  });
  it("CORE-06 a guest that may neither sleep nor be interrupted does not hang the host", () => {
    const fixture = makeRunningGuest({}, { noirq: [0xc0000000, 0xc0100000] });
    fixture.cpu.halted = true;
    fixture.cpu.irqsPending = 1;
    assert.deepEqual(run(fixture), { kind: "machine", exit: { kind: "limit" } });
    assert.equal(fixture.cpu.halted, true);
    assert.equal(dataWord(fixture, "irqEnabled"), 0);
  });
});

describe("core: loading the module", () => {
  it("CORE-07 init goes in order, refuses a paravirtual host, and undoes what it did when a step fails", () => {
    const good = makeHost();
    assert.equal(good.module.init(), 0);
    assert.equal(good.module.isDeviceRegistered, true);
    assert.notEqual(good.kernel.read32(LGUEST_ENTRY), 0);
    const afraid = makeHost({ module: { isHostParavirtual: true } });
    assert.equal(afraid.module.init(), Errno.EPERM);
    assert.deepEqual(afraid.module.log, ["lguest is afraid of being a guest"]);
    const taken = makeHost({ module: { syscallVector: 0x40, usedVectors: new Set([0x40]) } });
    assert.equal(taken.module.init(), Errno.EBUSY);
    assert.equal(taken.kernel.pages.inUse, 0);
    assert.equal(taken.module.isDeviceRegistered, false);
    const poor = makeHost({ hostBytes: 0x22000 });
    const small = new LguestModule(poor.kernel, {
      generation: makeGeneration("2.6.32", "faithful"),
      random: new Random(0),
      tscKhz: 0,
      wallClock: () => ({ seconds: 0, nanoseconds: 0 }),
      instructionsFor: (nanoseconds) => nanoseconds,
    });
    assert.equal(small.init(), Errno.ENOMEM);
    assert.equal(poor.kernel.pages.inUse, 0);
  });
  it("CORE-08 fini takes away device, vector, tables, Switcher and what the CPUs had", () => {
    const { kernel, module } = makeHost({ module: { syscallVector: 0x40 } });
    module.init();
    assert.equal(module.usedVectors.has(0x40), true);
    module.fini();
    assert.equal(module.isDeviceRegistered, false);
    assert.equal(module.usedVectors.has(0x40), false);
    assert.equal(kernel.pages.inUse, 0);
    assert.equal(kernel.features.hasPge, true);
    assert.notEqual(kernel.read32(DEFAULT_IDT_ENTRIES), 0);
  });
});
