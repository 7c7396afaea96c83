// Rows USR of the hypervisor's checklist: the device through which a launcher drives a guest.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { Errno } from "../../src/lguest/host/errno";
import { guestSetClockevent } from "../../src/lguest/host/interrupts-and-traps";
import { LguestDevice, Lhreq, sendNotifyToEventfd } from "../../src/lguest/host/lguest-user";
import { demandPage } from "../../src/lguest/host/page-tables";
import { Regs } from "../../src/lguest/switcher/layout";
import { CODE, type Fixture, MEGABYTE, makeGuest, makeHost, makeRunningGuest } from "./host-fixture";

/** An eventfd of the fixture, and how often it was signalled. */
function addEventFd(fixture: Fixture): { descriptor: number; signals: () => number } {
  let signals = 0;
  fixture.eventFds.push({ count: 0, signal: () => signals++ });
  return { descriptor: fixture.eventFds.length - 1, signals: () => signals };
}

describe("/dev/lguest", () => {
  it("USR-01 a NOTIFY goes to the eventfd of exactly that address, adds 1, and is forgotten", () => {
    const fixture = makeRunningGuest();
    const { descriptor, signals } = addEventFd(fixture);
    fixture.device.write([Lhreq.EVENTFD, 0x9000, descriptor]);
    fixture.cpu.pendingNotify = 0x9004;
    assert.equal(sendNotifyToEventfd(fixture.guest), false);
    assert.equal(fixture.cpu.pendingNotify, 0x9004);
    fixture.cpu.pendingNotify = 0x9000;
    assert.equal(sendNotifyToEventfd(fixture.guest), true);
    assert.deepEqual([fixture.cpu.pendingNotify, signals(), fixture.eventFds[descriptor].count], [0, 1, 1]);
  });
  it("USR-02 address 0 is refused, and each addition makes a new list", () => {
    const fixture = makeRunningGuest();
    const { descriptor } = addEventFd(fixture);
    assert.equal(fixture.device.write([Lhreq.EVENTFD, 0, descriptor]), Errno.EINVAL);
    const before = fixture.guest.eventfds;
    assert.equal(fixture.device.write([Lhreq.EVENTFD, 0x9000, descriptor]), 0);
    assert.equal(before.length, 0);
    assert.equal(fixture.guest.eventfds.length, 1);
  });
  it("USR-03 an eventfd needs two words and a descriptor that is one", () => {
    const fixture = makeRunningGuest();
    assert.equal(fixture.device.write([Lhreq.EVENTFD, 0x9000]), Errno.EFAULT);
    assert.equal(fixture.device.write([Lhreq.EVENTFD, 0x9000, 77]), Errno.EINVAL);
  });
  it("USR-04 an interrupt must be one of 32", () => {
    const fixture = makeRunningGuest();
    assert.equal(fixture.device.write([Lhreq.IRQ, 5]), 0);
    assert.equal(fixture.cpu.irqsPending, 0x20);
    for (const irq of [32, 0xffffffff]) assert.equal(fixture.device.write([Lhreq.IRQ, irq]), Errno.EINVAL);
    assert.equal(fixture.device.write([Lhreq.IRQ]), Errno.EFAULT);
  });
  it("USR-05 read: not before INITIALIZE; a dead guest gives its text or -ERESTART; else the last NOTIFY is forgotten", () => {
    const { module } = makeHost();
    assert.deepEqual(new LguestDevice(module, { base: 0, size: 0 }, () => null).beforeRun(), { code: Errno.EINVAL });
    const fixture = makeRunningGuest();
    assert.deepEqual(fixture.device.beforeRun(1), { code: Errno.EINVAL });
    fixture.cpu.pendingNotify = 5;
    assert.equal(fixture.device.beforeRun(), null);
    assert.equal(fixture.cpu.pendingNotify, 0);
    fixture.guest.kill("bad page table entry");
    assert.deepEqual(fixture.device.beforeRun(), { text: "bad page table entry" });
    fixture.guest.dead = { kind: "restart", message: "" };
    assert.deepEqual(fixture.device.beforeRun(), { code: Errno.ERESTART });
  });
  it("USR-06 a new virtual CPU has a zeroed register page, its first registers and no timer", () => {
    const { cpu, machine } = makeGuest();
    assert.notEqual(cpu.regsPage, 0);
    assert.deepEqual([cpu.reg(Regs.eip), cpu.reg(Regs.esp)], [CODE, 0]);
    assert.equal(cpu.timer, null);
    assert.equal(machine.events.pending.length, 0);
  });
  it("USR-07 INITIALIZE takes three words, once, and returns 12", () => {
    const fixture = makeGuest();
    assert.equal(fixture.device.write([Lhreq.INITIALIZE, fixture.guest.memBase, 256, CODE]), Errno.EBUSY);
    const other = new LguestDevice(fixture.module, { base: fixture.guest.memBase, size: MEGABYTE }, () => null);
    assert.equal(other.write([Lhreq.INITIALIZE, fixture.guest.memBase]), Errno.EFAULT);
    assert.equal(
      other.write([Lhreq.INITIALIZE, fixture.guest.memBase + 2 * MEGABYTE, 256, CODE]),
      Errno.EFAULT,
      "nothing mapped there",
    );
    assert.equal(other.guest, null);
    assert.equal(
      other.write([Lhreq.INITIALIZE, fixture.guest.memBase, 256, CODE]),
      12,
      "a second guest on the same host",
    );
  });
  it("USR-08 other requests are refused, all but INITIALIZE need a guest that lives", () => {
    const fixture = makeRunningGuest();
    for (const request of [Lhreq.GETDMA, Lhreq.BREAK, 5, 0xffffffff])
      assert.equal(fixture.device.write([request, 0]), Errno.EINVAL);
    assert.equal(fixture.device.write([]), Errno.EFAULT);
    assert.equal(fixture.device.write([Lhreq.IRQ, 1], 1), Errno.EINVAL);
    fixture.guest.kill("dead");
    assert.equal(fixture.device.write([Lhreq.IRQ, 1]), Errno.ENOENT);
    assert.equal(
      new LguestDevice(fixture.module, { base: 0, size: 0 }, () => null).write([Lhreq.IRQ, 1]),
      Errno.EINVAL,
    );
  });
  it("USR-09 close gives everything back", () => {
    const fixture = makeRunningGuest();
    demandPage(fixture.cpu, 0xc0003000, 0);
    guestSetClockevent(fixture.cpu, 1000);
    fixture.module.lastCpu[0] = fixture.cpu;
    const { kernel, machine, module } = fixture;
    fixture.device.close();
    assert.equal(kernel.pages.inUse, module.switcherPages.length + module.switcherPtePages.length);
    assert.equal(machine.events.pending.length, 0);
    assert.deepEqual(module.lastCpu, [null]);
    assert.equal(fixture.device.guest, null);
    fixture.device.close();
  });
  it("USR-10 the device is there while the module is loaded", () => {
    const { module } = makeHost();
    assert.equal(module.isDeviceRegistered, false);
    module.init();
    assert.equal(module.isDeviceRegistered, true);
    module.fini();
    assert.equal(module.isDeviceRegistered, false);
  });
});
