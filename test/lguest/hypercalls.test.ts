// Rows HC of the hypervisor's checklist: every hypercall, the ring, and LGUEST_INIT.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { doHcall, Hcall, hypercallName, initialize, ringEntry, writeTimestamp } from "../../src/lguest/host/hypercalls";
import { demandPage } from "../../src/lguest/host/page-tables";
import { GuestRunner } from "../../src/lguest/host/run-guest";
import { Regs } from "../../src/lguest/switcher/layout";
import { CODE, dataWord, type Fixture, gate, LGUEST_DATA, makeGuest, makeRunningGuest, publish } from "./host-fixture";

function call(fixture: Fixture, arg0: number, arg1 = 0, arg2 = 0, arg3 = 0): void {
  doHcall(fixture.cpu, { arg0, arg1, arg2, arg3, arg4: 0 });
}
/** Puts a call into the ring. */
function ring(fixture: Fixture, index: number, ...args: number[]): void {
  const entry = ringEntry(fixture.cpu, index);
  fixture.write(entry.args, ...args);
  fixture.bytes(entry.status, 0);
}
function status(fixture: Fixture, index: number): number {
  return (fixture.read(ringEntry(fixture.cpu, index).status & ~3) >>> (8 * (index & 3))) & 0xff;
}
/** A direct call, and then as much of the loop as fits before the guest runs. */
function direct(fixture: Fixture, arg0: number, arg1 = 0, arg2 = 0, arg3 = 0): void {
  fixture.cpu.setReg(Regs.eax, arg0);
  fixture.cpu.setReg(Regs.ebx, arg1);
  fixture.cpu.setReg(Regs.ecx, arg2);
  fixture.cpu.setReg(Regs.edx, arg3);
  fixture.cpu.hcall = true;
  drain(fixture);
}
function drain(fixture: Fixture): void {
  new GuestRunner(fixture.cpu, {
    observer: null,
    takeInput: () => {},
    hasInput: () => false,
    nextInputAt: () => Number.POSITIVE_INFINITY,
    hasSignal: () => true,
    irqOwner: () => undefined,
  }).run(fixture.machine.now + 1);
}

describe("hypercalls", () => {
  it("HC-01 FLUSH_ASYNC and SEND_INTERRUPTS do nothing themselves", () => {
    const fixture = makeRunningGuest();
    call(fixture, Hcall.FLUSH_ASYNC);
    call(fixture, Hcall.SEND_INTERRUPTS);
    assert.equal(fixture.guest.dead, null);
  });
  it("HC-01 a second LGUEST_INIT kills", () => {
    const fixture = makeRunningGuest();
    call(fixture, Hcall.LGUEST_INIT, LGUEST_DATA);
    assert.equal(fixture.deathText(), "already have lguest_data");
  });
  it("HC-01 SHUTDOWN dies with CRASH and the text, cut at 127 bytes; only reason 2 restarts", () => {
    for (const [reason, expected] of [
      [1, "CRASH: bye"],
      [0, "CRASH: bye"],
      [5, "CRASH: bye"],
    ] as const) {
      const fixture = makeRunningGuest();
      fixture.bytes(0x9000, 0x62, 0x79, 0x65, 0);
      call(fixture, Hcall.SHUTDOWN, 0x9000, reason);
      assert.equal(fixture.deathText(), expected);
    }
    const long = makeRunningGuest();
    long.bytes(0x9000, ...new Array<number>(200).fill(0x41));
    call(long, Hcall.SHUTDOWN, 0x9000, 1);
    assert.equal(long.deathText(), `CRASH: ${"A".repeat(127)}`);
    const restart = makeRunningGuest();
    call(restart, Hcall.SHUTDOWN, 0x7fffffff, 2);
    assert.equal(restart.guest.dead?.kind, "restart", "even with an unreadable text");
    const bad = makeRunningGuest();
    call(bad, Hcall.SHUTDOWN, 0xfffc0, 1);
    assert.equal(bad.deathText(), "bad read address 0xfffc0 len 128");
  });
  it("HC-01 NEW_PGTABLE, FLUSH_TLB, SET_PTE and SET_PGD reach the page tables", () => {
    const fixture = makeRunningGuest();
    const { pgdirs } = fixture.guest;
    demandPage(fixture.cpu, 0x3000, 0);
    demandPage(fixture.cpu, 0xc0003000, 0);
    const entry = (linear: number): number => fixture.kernel.read32(pgdirs[0].pgdir + (linear >>> 22) * 4);
    call(fixture, Hcall.FLUSH_TLB, 0);
    assert.equal(entry(0x3000), 0);
    assert.notEqual(entry(0xc0003000), 0, "the kernel's part stays");
    call(fixture, Hcall.FLUSH_TLB, 1);
    assert.equal(entry(0xc0003000), 0);
    demandPage(fixture.cpu, 0xc0003000, 0);
    call(fixture, Hcall.SET_PTE, pgdirs[0].gpgdir, 0xc0003000, 0);
    assert.equal(fixture.kernel.read32((entry(0xc0003000) & ~0xfff) + 3 * 4), 0);
    call(fixture, Hcall.SET_PGD, pgdirs[0].gpgdir, 768);
    assert.equal(entry(0xc0003000), 0);
    call(fixture, Hcall.NEW_PGTABLE, 0x20000);
    assert.equal(pgdirs[fixture.cpu.cpuPgd].gpgdir, 0x20000);
  });
  it("HC-01 the others do what their functions do", () => {
    const fixture = makeRunningGuest();
    call(fixture, Hcall.LOAD_IDT_ENTRY, 3, ...gate(0xc0012345, 0xe));
    assert.equal(fixture.cpu.idt[6], 0x00612345);
    call(fixture, Hcall.LOAD_GDT_ENTRY, 20, 0x1234, 0x00cf9300);
    assert.equal(fixture.cpu.gdt[41], 0x00cfb300);
    fixture.write(0x9000, 0x77);
    call(fixture, Hcall.LOAD_TLS, 0x9000);
    assert.equal(fixture.cpu.gdt[12], 0x77);
    call(fixture, Hcall.SET_STACK, 0x69, 0xc0009000, 1);
    assert.equal(fixture.cpu.esp1, 0xc0009000);
    call(fixture, Hcall.TS, 8);
    assert.equal(fixture.cpu.ts, 8);
    call(fixture, Hcall.SET_CLOCKEVENT, 1000);
    assert.equal(fixture.cpu.timer?.at, fixture.machine.now + 100);
    call(fixture, Hcall.HALT);
    assert.equal(fixture.cpu.halted, true);
    call(fixture, Hcall.NOTIFY, 0x1234);
    assert.equal(fixture.cpu.pendingNotify, 0x1234);
    assert.equal(fixture.guest.dead, null);
  });
  it("HC-01 any other number kills, printed signed and with a newline", () => {
    for (const [number, text] of [
      [3, "3"],
      [11, "11"],
      [13, "13"],
      [20, "20"],
      [0xffffffff, "-1"],
    ] as const) {
      const fixture = makeRunningGuest();
      call(fixture, number);
      assert.equal(fixture.deathText(), `Bad hypercall ${text}\n`);
    }
    assert.equal(hypercallName(14), "SET_PTE");
    assert.equal(hypercallName(99), "hypercall 99");
  });
});

describe("hypercalls: the ring", () => {
  it("HC-02 entries are done in order, their status becomes 0xFF, and a free one ends it", () => {
    const fixture = makeRunningGuest();
    ring(fixture, 0, Hcall.TS, 1);
    ring(fixture, 1, Hcall.TS, 2);
    ring(fixture, 3, Hcall.TS, 4);
    direct(fixture, Hcall.FLUSH_ASYNC);
    assert.equal(fixture.cpu.ts, 2);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => status(fixture, i)),
      [0xff, 0xff, 0xff, 0],
    );
    assert.equal(fixture.cpu.nextHcall, 2);
  });
  it("HC-02 the status bytes are those of the beginning: what comes meanwhile waits, and the index wraps", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.nextHcall = 63;
    ring(fixture, 63, Hcall.TS, 63);
    ring(fixture, 0, Hcall.TS, 100);
    direct(fixture, Hcall.FLUSH_ASYNC);
    assert.equal(fixture.cpu.ts, 100);
    assert.equal(fixture.cpu.nextHcall, 1);
    // A ring of zeros is 64 FLUSH_ASYNC calls, and no more.
    const zeros = makeRunningGuest();
    for (let i = 0; i < 64; i += 4) zeros.write(ringEntry(zeros.cpu, i).status, 0);
    direct(zeros, Hcall.TS, 5);
    assert.equal(zeros.cpu.ts, 5);
    assert.equal(zeros.cpu.nextHcall, 0);
    assert.equal(status(zeros, 17), 0xff);
  });
  it("HC-02 NOTIFY ends the drain", () => {
    const fixture = makeRunningGuest();
    ring(fixture, 0, Hcall.NOTIFY, 0x9000);
    ring(fixture, 1, Hcall.TS, 2);
    direct(fixture, Hcall.TS, 8);
    assert.equal(fixture.cpu.ts, 0);
    assert.deepEqual([status(fixture, 0), status(fixture, 1)], [0xff, 0]);
  });
  it("HC-02 a ring that cannot be read or written kills", () => {
    const unreadable = makeRunningGuest();
    ring(unreadable, 0, Hcall.TS, 1);
    unreadable.guest.mappedBytes = LGUEST_DATA + unreadable.module.generation.data.hcalls;
    direct(unreadable, Hcall.FLUSH_ASYNC);
    assert.equal(unreadable.deathText(), "Fetching async hypercalls");
    const silent = makeRunningGuest();
    ring(silent, 0, Hcall.TS, 1);
    silent.guest.mappedBytes = LGUEST_DATA;
    direct(silent, Hcall.TS, 9);
    assert.equal(silent.cpu.ts, 9, "status bytes that cannot be read: the ring is skipped");
    const unwritable = makeRunningGuest();
    const { guest, cpu } = unwritable;
    ring(unwritable, 0, Hcall.TS, 1);
    Object.defineProperty(cpu, "ts", {
      set: () => {
        guest.mappedBytes = 0;
      },
      get: () => 0,
    });
    direct(unwritable, Hcall.FLUSH_ASYNC);
    assert.equal(unwritable.deathText(), "Writing result for async hypercall");
  });
  it("HC-04 the ring goes first; after a NOTIFY in it the direct call waits for the next round; then it is forgotten", () => {
    const order = makeRunningGuest();
    ring(order, 0, Hcall.TS, 1);
    direct(order, Hcall.TS, 2);
    assert.equal(order.cpu.ts, 2);
    assert.equal(order.cpu.hcall, false);
    const deferred = makeRunningGuest();
    ring(deferred, 0, Hcall.NOTIFY, 0x9000);
    direct(deferred, Hcall.TS, 2);
    assert.equal(deferred.cpu.hcall, true);
    assert.equal(deferred.cpu.ts, 0);
    deferred.device.beforeRun();
    drain(deferred);
    assert.equal(deferred.cpu.ts, 2);
    assert.equal(deferred.cpu.hcall, false);
    const corrected = makeRunningGuest({ quirks: "fixed" });
    ring(corrected, 0, Hcall.NOTIFY, 0x9000);
    ring(corrected, 1, Hcall.TS, 1);
    direct(corrected, Hcall.HALT);
    assert.deepEqual([corrected.cpu.ts, corrected.cpu.halted], [1, true], "with QUIRK-18 corrected");
  });
});

describe("hypercalls: LGUEST_INIT", () => {
  function init(fixture: Fixture, number = 1, address = LGUEST_DATA): void {
    fixture.cpu.setReg(Regs.eax, number);
    fixture.cpu.setReg(Regs.ebx, address);
    initialize(fixture.cpu);
  }
  it("HC-03 only call 1 is accepted before it", () => {
    for (const number of [0, 4, 18, 0xffffffff]) {
      const fixture = makeGuest();
      init(fixture, number);
      assert.equal(fixture.deathText(), `hypercall ${number | 0} before INIT`);
    }
  });
  it("HC-03 its six steps: data found, range read, time, kernel address and reserved memory, check, shadows dropped", () => {
    const fixture = makeGuest();
    publish(fixture, { noirq: [0xc0000100, 0xc0000108] });
    demandPage(fixture.cpu, 0x3000, 0);
    init(fixture);
    assert.equal(fixture.guest.lguestData, LGUEST_DATA);
    assert.deepEqual([fixture.guest.noirqStart, fixture.guest.noirqEnd], [0xc0000100, 0xc0000108]);
    assert.deepEqual([dataWord(fixture, "time"), fixture.read(LGUEST_DATA + 0x10)], [1000, 77]);
    assert.equal(fixture.guest.kernelAddress, 0xc0000000);
    assert.equal(dataWord(fixture, "reserveMem"), 0x400000);
    assert.equal(fixture.read(LGUEST_DATA + 0x560), fixture.guest.pgdirs[0].gpgdir);
    assert.equal(fixture.kernel.read32(fixture.guest.pgdirs[0].pgdir), 0);
  });
  it("HC-03 bad data kills: no range to read, zeros, a kernel in the Switcher's place", () => {
    const unreadable = makeGuest();
    publish(unreadable);
    unreadable.guest.mappedBytes = LGUEST_DATA + 0x564;
    init(unreadable);
    assert.match(unreadable.deathText() ?? "", /^bad (guest page|syscall vector)/);
    const zeros = makeGuest();
    init(zeros);
    assert.equal(zeros.deathText(), "bad syscall vector");
    const high = makeGuest();
    publish(high, { kernelAddress: 0xffc00000 });
    init(high);
    assert.equal(high.deathText(), "bad kernel address 0xffc00000");
    const later = makeGuest({ abi: "3.x" });
    publish(later);
    init(later);
    assert.equal(later.guest.kernelAddress, 0xc0000000);
    assert.equal(later.read(LGUEST_DATA + 0x570), 0, "3.x has no pgdir, all behind it is 4 lower");
  });
  it("HC-05 write_timestamp writes seconds and nanoseconds, or kills", () => {
    const fixture = makeRunningGuest();
    fixture.write(LGUEST_DATA + 0xc, 0, 0);
    writeTimestamp(fixture.cpu);
    assert.deepEqual([fixture.read(LGUEST_DATA + 0xc), fixture.read(LGUEST_DATA + 0x10)], [1000, 77]);
    fixture.guest.mappedBytes = 0;
    writeTimestamp(fixture.cpu);
    assert.equal(fixture.deathText(), "Writing timestamp");
  });
  it("HC-03 the first call of a guest comes from its code", () => {
    const fixture = makeGuest();
    publish(fixture);
    fixture.bytes(CODE, 0xb8, 1, 0, 0, 0, 0xbb, 0, 0x80, 0, 0, 0xcd, 0x1f, 0xeb, 0xfe);
    new GuestRunner(fixture.cpu, {
      observer: null,
      takeInput: () => {},
      hasInput: () => false,
      nextInputAt: () => Number.POSITIVE_INFINITY,
      hasSignal: () => false,
      irqOwner: () => undefined,
    }).run(2000);
    assert.equal(fixture.guest.lguestData, LGUEST_DATA);
  });
});
