// Rows INT of the hypervisor's checklist: frames, virtual interrupts, gates, the kernel stack, the timer.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { pagesPhysical } from "../../src/lguest/host/core";
import { Errno } from "../../src/lguest/host/errno";
import {
  checkSyscallVector,
  clockdevFn,
  copyTraps,
  couldBeSyscall,
  defaultIdtEntry,
  deliverTrap,
  directTrap,
  freeInterrupts,
  guestSetClockevent,
  guestSetStack,
  idtAddress,
  idtPresent,
  idtType,
  initClockdev,
  initInterrupts,
  interruptPending,
  loadGuestIdtEntry,
  pinStackPages,
  setGuestInterrupt,
  setInterrupt,
  setupDefaultIdtEntries,
  tryDeliverInterrupt,
} from "../../src/lguest/host/interrupts-and-traps";
import { pageWritable } from "../../src/lguest/host/page-tables";
import { hasErrorCode, Regs } from "../../src/lguest/switcher/layout";
import {
  cpuGate,
  dataWord,
  type Fixture,
  gate,
  LGUEST_DATA,
  makeGuest,
  makeHost,
  makeRunningGuest,
  STACK_TOP,
  setDataWord,
} from "./host-fixture";

const HANDLER = 0xc0012345;
const KERNEL = 0xc0000000;

/** Words on the guest's stack from its ESP up. */
function stack(fixture: Fixture, count: number): number[] {
  const esp = fixture.cpu.reg(Regs.esp) - KERNEL;
  return Array.from({ length: count }, (_, i) => fixture.read(esp + 4 * i));
}

describe("traps: gates and frames", () => {
  it("INT-01 address, type and presence are read from a gate's two words", () => {
    const [low, high] = gate(HANDLER, 0xf, 3);
    assert.equal(idtAddress(low, high), HANDLER);
    assert.equal(idtType(high), 0xf);
    assert.equal(idtPresent(high), true);
    assert.equal(idtPresent(high & ~0x8000), false);
  });
  it("INT-02 a push goes 4 down and to the guest-physical address, across a page to the one before it in memory", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.setReg(Regs.esp, KERNEL + 0x9004);
    fixture.cpu.setReg(Regs.eip, 0x11);
    setGuestInterrupt(fixture.cpu, ...gate(HANDLER, 0xf), false);
    assert.deepEqual([fixture.read(0x9000), fixture.read(0x8ffc), fixture.read(0x8ff8)], [2, 0x61, 0x11]);
    const unmapped = makeRunningGuest();
    unmapped.cpu.setReg(Regs.esp, 0x70000000);
    setGuestInterrupt(unmapped.cpu, ...gate(HANDLER, 0xf), false);
    assert.equal(unmapped.deathText(), "Bad address 0x70000000");
  });
  it("INT-03 from ring 1 the frame has EFLAGS, CS, EIP and the error code, IF as the guest believes it, and an interrupt gate turns interrupts off", () => {
    const fixture = makeRunningGuest();
    setDataWord(fixture, "irqEnabled", 0x200);
    fixture.cpu.setReg(Regs.eip, 0xc0001111);
    fixture.cpu.setReg(Regs.errcode, 0x99);
    fixture.cpu.setReg(Regs.eflags, 0x346);
    setGuestInterrupt(fixture.cpu, ...gate(HANDLER, 0xe), true);
    assert.deepEqual(stack(fixture, 4), [0x99, 0xc0001111, 0x61, 0x346]);
    assert.equal(fixture.cpu.reg(Regs.esp), KERNEL + STACK_TOP - 16);
    assert.deepEqual([fixture.cpu.reg(Regs.cs), fixture.cpu.reg(Regs.eip)], [0x61, HANDLER]);
    assert.equal(dataWord(fixture, "irqEnabled"), 0);
    assert.equal(fixture.cpu.reg(Regs.eflags), 0x346, "TF stays (QUIRK-16)");
    setGuestInterrupt(fixture.cpu, ...gate(HANDLER, 0xf), false);
    assert.equal(stack(fixture, 3)[2], 0x146, "interrupts were off");
    setDataWord(fixture, "irqEnabled", 0x200);
    setGuestInterrupt(fixture.cpu, ...gate(HANDLER, 0xf), false);
    assert.equal(dataWord(fixture, "irqEnabled"), 0x200, "a trap gate leaves it");
  });
  it("INT-03 from ring 3 the frame is on esp1 with SS and ESP first", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.esp1 = KERNEL + 0x9f00;
    fixture.cpu.ss1 = 0x69;
    fixture.cpu.setReg(Regs.ss, 0x7b);
    fixture.cpu.setReg(Regs.cs, 0x73);
    fixture.cpu.setReg(Regs.esp, 0x1000);
    setGuestInterrupt(fixture.cpu, ...gate(HANDLER, 0xe), false);
    assert.deepEqual(stack(fixture, 5).slice(1), [0x73, 2, 0x1000, 0x7b]);
    assert.equal(fixture.cpu.reg(Regs.ss), 0x69);
    assert.equal(fixture.cpu.reg(Regs.esp), KERNEL + 0x9f00 - 20);
  });
  it("INT-03 lguest_data that cannot be written kills, and corrected hosts clear TF and push page by page", () => {
    const broken = makeRunningGuest();
    broken.guest.lguestData = 0x200000;
    setGuestInterrupt(broken.cpu, ...gate(HANDLER, 0xe), false);
    assert.equal(broken.deathText(), "Disabling interrupts");
    const corrected = makeRunningGuest({ quirks: "fixed" });
    corrected.cpu.setReg(Regs.eflags, 0x14302);
    setGuestInterrupt(corrected.cpu, ...gate(HANDLER, 0xe), false);
    assert.equal(corrected.cpu.reg(Regs.eflags), 0x202);
  });
  it("INT-10 error codes belong to 8, 10 to 14 and 17", () => {
    assert.deepEqual(Array.from({ length: 256 }, (_, i) => i).filter(hasErrorCode), [8, 10, 11, 12, 13, 14, 17]);
  });
  it("INT-11 deliver_trap refuses 256 and vectors without a handler", () => {
    const fixture = makeRunningGuest();
    assert.equal(deliverTrap(fixture.cpu, 256), false);
    assert.equal(deliverTrap(fixture.cpu, 3), false);
    loadGuestIdtEntry(fixture.cpu, 12, ...gate(HANDLER, 0xe));
    fixture.cpu.setReg(Regs.errcode, 0x77);
    assert.equal(deliverTrap(fixture.cpu, 12), true);
    assert.equal(stack(fixture, 1)[0], 0x77);
  });
});

describe("traps: virtual interrupts", () => {
  function withIrq(irq: number, options: Parameters<typeof makeRunningGuest>[0] = {}): Fixture {
    const fixture = makeRunningGuest(options, { noirq: [0xc0000100, 0xc0000110] });
    loadGuestIdtEntry(fixture.cpu, 32 + irq, ...gate(HANDLER, 0xe));
    fixture.cpu.irqsPending = 1 << irq;
    setDataWord(fixture, "irqEnabled", 0x200);
    return fixture;
  }
  it("INT-04 the lowest unblocked interrupt is next, and more is always said to come", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.irqsPending = 0b110100;
    setDataWord(fixture, "blockedInterrupts", 0b000100);
    assert.deepEqual(interruptPending(fixture.cpu), { irq: 4, more: true });
    setDataWord(fixture, "blockedInterrupts", 0xffffffff);
    assert.deepEqual(interruptPending(fixture.cpu), { irq: 32, more: true });
    fixture.cpu.irqsPending = 1 << 31;
    setDataWord(fixture, "blockedInterrupts", 0);
    assert.equal(interruptPending(fixture.cpu).irq, 31);
    assert.equal(interruptPending(makeGuest().cpu).irq, 32, "before INIT");
    const corrected = makeRunningGuest({ quirks: "fixed" });
    corrected.cpu.irqsPending = 0b100;
    assert.equal(interruptPending(corrected.cpu).more, false);
  });
  it("INT-05 nothing is injected while EIP is in the guest's range", () => {
    const fixture = withIrq(1);
    for (const [eip, expected] of [
      [0xc0000100, 2],
      [0xc000010f, 2],
      [0xc0000110, 0],
    ] as const) {
      fixture.cpu.setReg(Regs.eip, eip);
      tryDeliverInterrupt(fixture.cpu, 1, true);
      assert.equal(fixture.cpu.irqsPending, expected);
    }
  });
  it("INT-05 a sleeping guest wakes with interrupts on, also when it has no handler", () => {
    const fixture = withIrq(1);
    fixture.cpu.halted = true;
    setDataWord(fixture, "irqEnabled", 0);
    tryDeliverInterrupt(fixture.cpu, 1, true);
    assert.equal(fixture.cpu.halted, false);
    assert.equal(fixture.cpu.reg(Regs.eip), HANDLER);
    assert.equal(stack(fixture, 3)[2] & 0x200, 0x200 & fixture.cpu.reg(Regs.eflags));
    const noGate = withIrq(1);
    noGate.cpu.halted = true;
    tryDeliverInterrupt(noGate.cpu, 2, true);
    assert.equal(noGate.cpu.halted, false, "QUIRK-8");
    const broken = withIrq(1);
    broken.cpu.halted = true;
    broken.guest.lguestData = 0x200000;
    tryDeliverInterrupt(broken.cpu, 1, true);
    assert.equal(broken.deathText(), "Re-enabling interrupts");
  });
  it("INT-05 with interrupts off irq_pending is set, and only exactly 0 counts as off", () => {
    const fixture = withIrq(1);
    setDataWord(fixture, "irqEnabled", 0);
    tryDeliverInterrupt(fixture.cpu, 1, true);
    assert.equal(dataWord(fixture, "irqPending"), 0x200);
    assert.equal(fixture.cpu.irqsPending, 2);
    setDataWord(fixture, "irqEnabled", 0x46);
    tryDeliverInterrupt(fixture.cpu, 1, true);
    assert.equal(fixture.cpu.irqsPending, 0, "QUIRK-9");
    assert.equal(dataWord(fixture, "irqPending"), 0x200, "never cleared (QUIRK-3)");
    const corrected = withIrq(1, { quirks: "fixed" });
    setDataWord(corrected, "irqPending", 0x200);
    setDataWord(corrected, "irqEnabled", 0x46);
    tryDeliverInterrupt(corrected.cpu, 1, false);
    assert.equal(corrected.cpu.irqsPending, 2);
    setDataWord(corrected, "irqEnabled", 0x200);
    tryDeliverInterrupt(corrected.cpu, 1, false);
    assert.equal(dataWord(corrected, "irqPending"), 0);
  });
  it("INT-05 without a gate it stays pending; the time is written in any case", () => {
    const fixture = withIrq(1);
    fixture.write(LGUEST_DATA + 0xc, 0, 0);
    fixture.cpu.irqsPending = 4;
    tryDeliverInterrupt(fixture.cpu, 2, true);
    assert.equal(fixture.cpu.irqsPending, 4);
    assert.equal(dataWord(fixture, "time"), 1000);
  });
  it("INT-06 set_interrupt sets the bit and makes the processor leave the guest if it is there", () => {
    const fixture = makeRunningGuest();
    setInterrupt(fixture.cpu, 5);
    assert.equal(fixture.cpu.irqsPending, 0x20);
    assert.deepEqual(fixture.machine.interrupts.pending, [], "the host runs: nobody to kick");
    fixture.module.isProcessorRunning = true;
    setInterrupt(fixture.cpu, 6);
    assert.deepEqual(fixture.machine.interrupts.pending, [48]);
  });
});

describe("traps: the guest's IDT", () => {
  it("INT-07 system call vectors are 0x80 and the module's parameter", () => {
    const { module } = makeHost({ module: { syscallVector: 0x40 } });
    assert.deepEqual(
      Array.from({ length: 256 }, (_, i) => i).filter((vector) => couldBeSyscall(module, vector)),
      [0x40, 0x80],
    );
  });
  it("INT-08 check_syscall_vector reads what the guest published", () => {
    const fixture = makeRunningGuest();
    assert.equal(checkSyscallVector(fixture.cpu), true);
    fixture.write(LGUEST_DATA + 0x570, 0x81);
    assert.equal(checkSyscallVector(fixture.cpu), false);
  });
  it("INT-09 a vector other than 0x80 is reserved and given back; a taken one is refused", () => {
    const { module } = makeHost({ module: { syscallVector: 0x40 } });
    assert.equal(initInterrupts(module), 0);
    assert.equal(initInterrupts(module), Errno.EBUSY);
    freeInterrupts(module);
    assert.equal(module.usedVectors.has(0x40), false);
    assert.equal(initInterrupts(makeHost({ module: { usedVectors: new Set([0x80]) } }).module), 0);
  });
  it("INT-12 direct traps exclude 6, 7, 13, 14, 31 and everything from 32 on but the system call", () => {
    const { module } = makeHost();
    const direct = Array.from({ length: 256 }, (_, i) => i).filter((vector) => directTrap(module, vector));
    assert.deepEqual(
      direct,
      [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 0x80],
    );
  });
  it("INT-13 pin_stack_pages makes the pages below esp1 writable in the shadow", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.esp1 = KERNEL + 0xa000;
    fixture.guest.stackPages = 2;
    pinStackPages(fixture.cpu);
    assert.deepEqual(
      [0x9000, 0x8000, 0x7000, 0xa000].map((page) => pageWritable(fixture.cpu, KERNEL + page)),
      [true, true, false, false],
    );
  });
  it("INT-14 SET_STACK checks RPL and pages, stores and pins", () => {
    const fixture = makeRunningGuest();
    guestSetStack(fixture.cpu, 0xabcd0069, KERNEL + 0x9ff8, 1);
    assert.deepEqual([fixture.cpu.ss1, fixture.cpu.esp1, fixture.guest.stackPages], [0x69, KERNEL + 0x9ff8, 1]);
    assert.equal(pageWritable(fixture.cpu, KERNEL + 0x9000), true);
    for (const [segment, esp, pages, text] of [
      [0x68, KERNEL + 0x9000, 1, "bad stack segment 104"],
      [0x7b, KERNEL + 0x9000, 1, "bad stack segment 123"],
      [0x69, KERNEL + 0x9000, 3, "bad stack pages 3"],
      [0x69, KERNEL + 0x9000, 0xffffffff, "bad stack pages 4294967295"],
      [0x69, 0x70001000, 1, "bad stack page 0x70000fff"],
    ] as const) {
      const bad = makeRunningGuest();
      guestSetStack(bad.cpu, segment, esp, pages);
      assert.equal(bad.deathText(), text);
    }
  });
  it("INT-15 set_trap: absent gates are zeros, types other than E and F kill, the selector is ours", () => {
    const fixture = makeRunningGuest();
    loadGuestIdtEntry(fixture.cpu, 3, 0x12345678, HANDLER & 0xffff0000);
    assert.deepEqual([fixture.cpu.idt[6], fixture.cpu.idt[7]], [0, 0]);
    loadGuestIdtEntry(fixture.cpu, 3, (0x1234 << 16) | 0x5678, 0xc001ffff);
    assert.deepEqual([fixture.cpu.idt[6], fixture.cpu.idt[7]], [0x00615678, 0xc001ef00]);
    const bad = makeRunningGuest();
    loadGuestIdtEntry(bad.cpu, 3, 0, 0x8500);
    assert.equal(bad.deathText(), "bad IDT type 5");
    assert.equal(bad.cpu.idt[7], 0x8500, "and it is stored all the same");
  });
  it("INT-16 LOAD_IDT_ENTRY ignores 2, 8, 15 and 31, whatever they are, and kills from 256 on", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.changed = 0;
    for (const vector of [2, 8, 15, 31]) loadGuestIdtEntry(fixture.cpu, vector, 0x00f80000, 0x8500);
    assert.equal(fixture.cpu.changed, 0);
    assert.equal(fixture.guest.dead, null);
    loadGuestIdtEntry(fixture.cpu, 255, ...gate(HANDLER, 0xe));
    assert.equal(fixture.cpu.changed, 1);
    loadGuestIdtEntry(fixture.cpu, 300, ...gate(HANDLER, 0xe));
    assert.equal(fixture.deathText(), "Setting idt entry 300");
  });
  it("INT-17 a default entry is an interrupt gate to the stub, DPL 1 for vector 31, else the guest's", () => {
    const { kernel } = makeGuest();
    const high = (vector: number, base: { high: number } | null) => defaultIdtEntry(kernel, vector, base).high & 0xffff;
    assert.equal(high(3, null), 0x8e00);
    assert.equal(high(31, null), 0xae00);
    assert.equal(high(3, { high: 0xc001ee00 }), 0xee00);
    assert.equal(high(31, { high: 0xc001ee00 }), 0xae00);
    assert.equal(defaultIdtEntry(kernel, 3, null).low >>> 16, 0x50);
  });
  it("INT-18 all 256 entries are set at the beginning", () => {
    const fixture = makeGuest();
    const { state } = pagesPhysical(fixture.module, 0);
    for (let vector = 0; vector < 256; vector++) fixture.kernel.writeDescriptor(state + 0x88 + vector * 8, 0, 0);
    setupDefaultIdtEntries(fixture.kernel, state);
    for (let vector = 0; vector < 256; vector++) {
      const { low, high } = defaultIdtEntry(fixture.kernel, vector, null);
      assert.deepEqual(cpuGate(fixture, vector), [low, high]);
    }
  });
  it("INT-19 copy_traps: a trap gate goes in as it is, anything else as the default with the guest's DPL", () => {
    const fixture = makeRunningGuest();
    const { cpu } = fixture;
    loadGuestIdtEntry(cpu, 3, ...gate(HANDLER, 0xf, 3));
    loadGuestIdtEntry(cpu, 4, ...gate(HANDLER, 0xe, 3));
    loadGuestIdtEntry(cpu, 14, ...gate(HANDLER, 0xf, 3));
    loadGuestIdtEntry(cpu, 33, ...gate(HANDLER, 0xf, 3));
    loadGuestIdtEntry(cpu, 0x80, ...gate(HANDLER, 0xf, 3));
    copyTraps(cpu, pagesPhysical(fixture.module, 0).state);
    assert.deepEqual(cpuGate(fixture, 3), [0x00612345, 0xc001ef00]);
    assert.deepEqual(cpuGate(fixture, 0x80), [0x00612345, 0xc001ef00]);
    const stub = (vector: number, dpl: number) => {
      const { low, high } = defaultIdtEntry(fixture.kernel, vector, { high: dpl << 13 });
      return [low, high];
    };
    assert.deepEqual(cpuGate(fixture, 4), stub(4, 3), "an interrupt gate would clear the real IF");
    assert.deepEqual(cpuGate(fixture, 14), stub(14, 0), "never the guest's");
    assert.deepEqual(cpuGate(fixture, 33), stub(33, 0));
  });
});

describe("traps: the guest's timer", () => {
  it("INT-20 SET_CLOCKEVENT: 0 cancels, a new one replaces, it fires once after that many nanoseconds", () => {
    const fixture = makeRunningGuest();
    const { cpu, machine } = fixture;
    guestSetClockevent(cpu, 1000);
    guestSetClockevent(cpu, 2000);
    assert.equal(machine.events.pending.length, 1);
    assert.equal(cpu.timer?.at, machine.now + 200);
    guestSetClockevent(cpu, 0);
    assert.equal(machine.events.pending.length, 0);
    guestSetClockevent(cpu, 0xffffffff);
    assert.equal(cpu.timer?.at, machine.now + 429_496_730);
  });
  it("INT-21 when it fires interrupt 0 is pending and the timer is off", () => {
    const fixture = makeRunningGuest();
    guestSetClockevent(fixture.cpu, 1000);
    fixture.machine.sleepUntil(fixture.machine.now + 100);
    assert.equal(fixture.cpu.irqsPending, 1);
    assert.equal(fixture.cpu.timer, null);
    fixture.cpu.irqsPending = 0;
    clockdevFn(fixture.cpu);
    assert.equal(fixture.cpu.irqsPending, 1);
    assert.equal(fixture.machine.events.pending.length, 0, "it does not start again");
  });
  it("INT-22 the timer is absolute: it fires at its time whether the guest ran or not", () => {
    const fixture = makeRunningGuest();
    initClockdev(fixture.cpu);
    assert.equal(fixture.machine.events.pending.length, 0);
    guestSetClockevent(fixture.cpu, 5000);
    const due = fixture.machine.events.nextAt;
    fixture.machine.sleepUntil(due - 1);
    assert.equal(fixture.cpu.irqsPending, 0);
    fixture.machine.sleepUntil(due);
    assert.equal(fixture.cpu.irqsPending, 1);
  });
});
