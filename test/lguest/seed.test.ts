// Rows SEED of the hypervisor's checklist: the processor's part of the host, function by function.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { pagesPhysical } from "../../src/lguest/host/core";
import { Errno } from "../../src/lguest/host/errno";
import { Changed, Guest } from "../../src/lguest/host/guest";
import { DEFAULT_IDT_ENTRIES, LGUEST_ENTRY, PAGE_OFFSET, SWITCHER_LINK } from "../../src/lguest/host/host-kernel";
import { initialize } from "../../src/lguest/host/hypercalls";
import { loadGuestIdtEntry } from "../../src/lguest/host/interrupts-and-traps";
import { demandPage } from "../../src/lguest/host/page-tables";
import { guestLoadTls, loadGuestGdtEntry } from "../../src/lguest/host/segments";
import {
  adjustPge,
  archDoHcall,
  archHandleTrap,
  archHostFini,
  archInitHypercalls,
  copyInGuestInfo,
  emulateInsn,
  finishGuestRun,
  isHypercall,
  prepareGuestRun,
  rewriteHypercall,
  runGuestOnce,
  switcherOffset,
} from "../../src/lguest/host/x86-core";
import {
  LGUEST_CS,
  lguestPages,
  NO_TRAP,
  Regs,
  STATE_OFFSET,
  State,
  SWITCHER_ADDRESS,
  Tss,
} from "../../src/lguest/switcher/layout";
import { Cr0, Cr4, StateLayout as L } from "../../src/x86";
import {
  CODE,
  cpuDescriptor,
  cpuGate,
  dataWord,
  type Fixture,
  gate,
  LGUEST_DATA,
  makeGuest,
  makeHost,
  makeRunningGuest,
  publish,
} from "./host-fixture";

const EIP = PAGE_OFFSET + CODE;

/** Puts code at EIP and makes it look like a #GP there. */
function trapAt(fixture: Fixture, trap: number, errorCode: number, ...code: number[]): void {
  fixture.bytes(CODE, ...code);
  fixture.cpu.setReg(Regs.trapnum, trap);
  fixture.cpu.setReg(Regs.errcode, errorCode);
}
function msr(fixture: Fixture): number {
  return fixture.machine.cpu.word(L.MSR_SYSENTER_CS);
}

describe("x86 core: data and addresses", () => {
  it("SEED-01 the module remembers PGE, has a 6-byte far pointer and knows who ran last on each CPU", () => {
    const fixture = makeRunningGuest({ cpus: 2 });
    assert.equal(fixture.module.cpuHadPge, true);
    assert.deepEqual(fixture.module.lastCpu, [null, null]);
    copyInGuestInfo(fixture.cpu, 1);
    assert.deepEqual(fixture.module.lastCpu, [null, fixture.cpu]);
    assert.equal(fixture.kernel.read32(LGUEST_ENTRY + 4) & 0xffff, LGUEST_CS);
  });
  it("SEED-02 switcher_offset is the distance from the linked Switcher to its copy, wrapping", () => {
    assert.equal(switcherOffset(), (0xffc00000 - (PAGE_OFFSET + SWITCHER_LINK)) >>> 0);
  });
  it("SEED-03 lguest_pages lie behind the code, two pages a CPU", () => {
    assert.equal(lguestPages(0), 0xffc01000);
    assert.equal(lguestPages(1), 0xffc03000);
    assert.equal(lguestPages(7), 0xffc0f000);
  });
});

describe("x86 core: copy_in_guest_info", () => {
  it("SEED-04a another virtual CPU on this CPU, or other pages for this one, make everything changed", () => {
    const fixture = makeRunningGuest({ cpus: 2 });
    const { cpu, module } = fixture;
    copyInGuestInfo(cpu, 0);
    loadGuestGdtEntry(cpu, 20, 0x1234, 0x00cf9300);
    cpu.changed = 0;
    copyInGuestInfo(cpu, 0);
    assert.deepEqual(cpuDescriptor(fixture, 20), [0, 0], "nothing is copied when nothing is marked");
    copyInGuestInfo(cpu, 1);
    assert.deepEqual(cpuDescriptor(fixture, 20, 1), [0x1234, 0x00cfb300], "another CPU's pages");
    assert.equal(cpu.lastPages, lguestPages(1));
    const other = new Guest(module);
    module.lastCpu[0] = other.cpu;
    copyInGuestInfo(cpu, 0);
    assert.deepEqual(cpuDescriptor(fixture, 20), [0x1234, 0x00cfb300], "somebody else ran here");
  });
  it("SEED-04b always: host CR3, the Switcher in the shadow, the guest's stack in the TSS", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.esp1 = 0xc0009ff8;
    fixture.cpu.ss1 = 0x69;
    copyInGuestInfo(fixture.cpu, 0);
    assert.equal(fixture.state(State.hostCr3), fixture.kernel.pageDirectory);
    const { pgdir } = fixture.guest.pgdirs[fixture.cpu.cpuPgd];
    assert.equal(fixture.kernel.read32(pgdir + 1023 * 4), fixture.module.switcherPtePages[0] | 0x163);
    assert.equal(fixture.state(State.guestTss + Tss.sp1), 0xc0009ff8);
    assert.equal(fixture.state(State.guestTss + Tss.ss1) & 0xffff, 0x69);
  });
  it("SEED-04c IDT by flag 1, GDT by flag 2, else TLS by flag 4, and the flags are cleared", () => {
    const fixture = makeRunningGuest();
    const { cpu } = fixture;
    copyInGuestInfo(cpu, 0);
    loadGuestIdtEntry(cpu, 3, ...gate(0xc0100000, 0xf, 3));
    assert.equal(cpu.changed, Changed.IDT);
    cpu.gdt[2 * 20] = 0x5555;
    copyInGuestInfo(cpu, 0);
    assert.equal(cpuGate(fixture, 3)[0], 0x00610000);
    assert.equal(cpuDescriptor(fixture, 20)[0], 0, "the GDT was not marked");
    assert.equal(cpu.changed, 0);
    fixture.write(0x9000, 0x1111, 0x00cff300, 0x2222, 0x00cff300, 0x3333, 0x00cff300);
    guestLoadTls(cpu, 0x9000);
    assert.equal(cpu.changed, Changed.GDT_TLS);
    copyInGuestInfo(cpu, 0);
    assert.equal(cpuDescriptor(fixture, 7)[0], 0x2222);
    assert.equal(cpuDescriptor(fixture, 20)[0], 0, "only the three TLS entries");
    cpu.changed = Changed.GDT;
    copyInGuestInfo(cpu, 0);
    assert.equal(cpuDescriptor(fixture, 20)[0], 0x5555);
  });
});

describe("x86 core: running the guest", () => {
  it("SEED-05 run_guest_once: trap number 256, EAX the pages, EBX the shadow, EFLAGS pushed by a far call through lguest_entry", () => {
    const fixture = makeRunningGuest();
    runGuestOnce(fixture.cpu, 0);
    assert.equal(fixture.cpu.reg(Regs.trapnum), NO_TRAP);
    const processor = fixture.machine.cpu;
    assert.equal(processor.reg(0), lguestPages(0));
    assert.equal(processor.reg(3), fixture.guest.pgdirs[0].pgdir);
    const listing = fixture.kernel.code.listing;
    const at = listing.findIndex(({ text }) => text === "run_guest_once:");
    assert.equal(processor.eip, listing[at].address);
    assert.equal(listing[at + 1].text, "pushfd");
    assert.match(listing[at + 2].text, /^call far/);
    const top = processor.reg(4);
    fixture.machine.run(2);
    assert.equal(processor.eip, SWITCHER_ADDRESS, "at switch_to_guest");
    assert.equal(processor.reg(4), top - 12);
    const stack = [0, 4, 8].map((offset) => processor.readLinear(top - 12 + offset, 4, false));
    assert.deepEqual(stack, [listing[at + 3].address, 0x60, 2], "EIP, CS, EFLAGS");
  });
  it("SEED-06a TS is really set when the guest asked for it", () => {
    const fixture = makeRunningGuest();
    fixture.kernel.restoreFpu();
    assert.equal(fixture.machine.cpu.cr0 & Cr0.TS, 0);
    prepareGuestRun(fixture.cpu);
    assert.equal(fixture.machine.cpu.cr0 & Cr0.TS, 0, "not asked");
    fixture.cpu.ts = 8;
    prepareGuestRun(fixture.cpu);
    assert.equal(fixture.machine.cpu.cr0 & Cr0.TS, Cr0.TS);
  });
  it("SEED-06b MSR 0x174 is 0 inside and 0x60 after, only where SYSENTER exists", () => {
    const fixture = makeRunningGuest();
    assert.equal(msr(fixture), 0x60);
    prepareGuestRun(fixture.cpu);
    assert.equal(msr(fixture), 0);
    finishGuestRun(fixture.cpu);
    assert.equal(msr(fixture), 0x60);
    const without = makeRunningGuest({ features: { hasSep: false } });
    without.machine.cpu.setWord(L.MSR_SYSENTER_CS, 0x1234);
    prepareGuestRun(without.cpu);
    finishGuestRun(without.cpu);
    assert.equal(msr(without), 0x1234);
  });
  it("SEED-06c CR2 is captured for trap 14 only", () => {
    const fixture = makeRunningGuest();
    fixture.machine.cpu.cr2 = 0xdeadb000;
    fixture.cpu.setReg(Regs.trapnum, 13);
    finishGuestRun(fixture.cpu);
    assert.equal(fixture.cpu.lastPagefault, 0);
    fixture.cpu.setReg(Regs.trapnum, 14);
    finishGuestRun(fixture.cpu);
    assert.equal(fixture.cpu.lastPagefault, 0xdeadb000);
  });
  it("SEED-06d the FPU is restored for trap 7 only, with what the guest had in it", () => {
    const fixture = makeRunningGuest();
    const { cpu: processor } = fixture.machine;
    fixture.kernel.restoreFpu();
    processor.setWord(L.FPU_CONTROL, 0x27f);
    fixture.cpu.ts = 8;
    prepareGuestRun(fixture.cpu);
    processor.setWord(L.FPU_CONTROL, 0x37f);
    fixture.cpu.setReg(Regs.trapnum, 13);
    finishGuestRun(fixture.cpu);
    assert.equal(processor.cr0 & Cr0.TS, Cr0.TS);
    fixture.cpu.setReg(Regs.trapnum, 7);
    finishGuestRun(fixture.cpu);
    assert.equal(processor.cr0 & Cr0.TS, 0);
    assert.equal(processor.word(L.FPU_CONTROL), 0x27f);
  });
});

describe("x86 core: emulating port input and output", () => {
  it("SEED-07a the walk of EIP comes first and can kill, then ring 1 is asked for, and only error code 0 comes here", () => {
    const unmapped = makeRunningGuest();
    unmapped.cpu.setReg(Regs.eip, 0x70000000);
    unmapped.cpu.setReg(Regs.cs, 0x73);
    assert.equal(emulateInsn(unmapped.cpu), false);
    assert.equal(unmapped.deathText(), "Bad address 0x70000000");
    const user = makeRunningGuest();
    trapAt(user, 13, 0, 0xec);
    user.cpu.setReg(Regs.cs, 0x73);
    assert.equal(emulateInsn(user.cpu), false);
    const withCode = makeRunningGuest();
    loadGuestIdtEntry(withCode.cpu, 13, ...gate(0xc0012345, 0xe));
    trapAt(withCode, 13, 0x10, 0xec);
    archHandleTrap(withCode.cpu);
    assert.equal(withCode.cpu.reg(Regs.eip), 0xc0012345, "reflected, not emulated");
  });
  for (const [code, length] of [
    [[0xe4, 0x21], 2],
    [[0xe5, 0x21], 2],
    [[0xec], 1],
    [[0xed], 1],
    [[0xe6, 0x21], 2],
    [[0xe7, 0x21], 2],
    [[0xee], 1],
    [[0xef], 1],
    [[0x66, 0xe5, 0x21], 3],
    [[0x66, 0xed], 2],
    [[0x66, 0xe7, 0x21], 3],
  ] as const)
    it(`SEED-07b ${code.map((byte) => byte.toString(16)).join(" ")} is emulated, ${length} bytes long`, () => {
      const fixture = makeRunningGuest();
      trapAt(fixture, 13, 0, ...code);
      assert.equal(emulateInsn(fixture.cpu), true);
      assert.equal(fixture.cpu.reg(Regs.eip), EIP + length);
    });
  for (const [code, faithful, later] of [
    [[0xed], 0xffffffff, 0xffffffff],
    [[0x66, 0xed], 0xffffffff, 0x5555ffff],
    [[0xec], 0x5555ffff, 0x555555ff],
    [[0x66, 0xec], 0xffff5555, 0x555555ff],
  ] as const)
    it(`SEED-07c IN results follow the table: ${code.map((byte) => byte.toString(16)).join(" ")}`, () => {
      for (const [abi, expected] of [
        ["2.6.32", faithful],
        ["3.x", later],
      ] as const) {
        const fixture = makeGuest({ abi });
        fixture.bytes(CODE, ...code);
        fixture.cpu.setReg(Regs.eip, CODE);
        fixture.cpu.setReg(Regs.eax, 0x55555555);
        assert.equal(emulateInsn(fixture.cpu), true);
        assert.equal(fixture.cpu.reg(Regs.eax), expected, abi);
      }
      const out = makeRunningGuest();
      trapAt(out, 13, 0, 0xef);
      out.cpu.setReg(Regs.eax, 0x55555555);
      emulateInsn(out.cpu);
      assert.equal(out.cpu.reg(Regs.eax), 0x55555555, "OUT has no effect");
    });
  it("SEED-07d other opcodes, and a second prefix, are not handled and the #GP is reflected", () => {
    for (const code of [[0xfa], [0xf4], [0x6c], [0xf3, 0xec], [0x66, 0x66, 0xed], [0x0f, 0x01, 0xd9]]) {
      const fixture = makeRunningGuest();
      loadGuestIdtEntry(fixture.cpu, 13, ...gate(0xc0012345, 0xe));
      trapAt(fixture, 13, 0, ...code);
      archHandleTrap(fixture.cpu);
      assert.equal(fixture.cpu.reg(Regs.eip), 0xc0012345);
    }
    const later = makeGuest({ abi: "3.x" });
    later.bytes(CODE, 0xfa);
    assert.equal(emulateInsn(later.cpu), true, "3.x skips CLI");
    assert.equal(later.cpu.reg(Regs.eip), CODE + 1);
  });
});

describe("x86 core: VMCALL", () => {
  it("SEED-08 rewrite_hypercall writes CD 1F 90, drops all shadows and leaves EIP", () => {
    const fixture = makeRunningGuest();
    trapAt(fixture, 6, 0, 0x0f, 0x01, 0xc1, 0xaa);
    demandPage(fixture.cpu, 0x3000, 0);
    rewriteHypercall(fixture.cpu);
    assert.equal(fixture.read(CODE), 0xaa901fcd);
    assert.equal(fixture.cpu.reg(Regs.eip), EIP);
    assert.equal(fixture.kernel.read32(fixture.guest.pgdirs[0].pgdir), 0);
    assert.equal(fixture.guest.pageReferences.total, 0);
  });
  it("SEED-09 is_hypercall asks for ring 1 and 0F 01 C1", () => {
    const fixture = makeRunningGuest();
    fixture.bytes(CODE, 0x0f, 0x01, 0xc1);
    assert.equal(isHypercall(fixture.cpu), true);
    fixture.cpu.setReg(Regs.cs, 0x73);
    assert.equal(isHypercall(fixture.cpu), false);
    fixture.cpu.setReg(Regs.cs, 0x61);
    fixture.bytes(CODE, 0x0f, 0x01, 0xd9);
    assert.equal(isHypercall(fixture.cpu), false, "VMMCALL is none");
  });
});

describe("x86 core: traps", () => {
  const HANDLER = 0xc0012345;
  function withHandler(vector: number): Fixture {
    const fixture = makeRunningGuest();
    loadGuestIdtEntry(fixture.cpu, vector, ...gate(HANDLER, 0xe));
    return fixture;
  }
  it("SEED-10a trap 13: port I/O is emulated, then VMCALL rewritten, then it is reflected", () => {
    const io = withHandler(13);
    trapAt(io, 13, 0, 0xec);
    archHandleTrap(io.cpu);
    assert.equal(io.cpu.reg(Regs.eip), EIP + 1);
    const call = withHandler(13);
    trapAt(call, 13, 0, 0x0f, 0x01, 0xc1);
    archHandleTrap(call.cpu);
    assert.equal(call.read(CODE) & 0xffffff, 0x901fcd);
    const other = withHandler(13);
    trapAt(other, 13, 0, 0xf4);
    archHandleTrap(other.cpu);
    assert.equal(other.cpu.reg(Regs.eip), HANDLER);
  });
  it("SEED-10b trap 6: VMCALL is rewritten, anything else reflected", () => {
    const call = withHandler(6);
    trapAt(call, 6, 0, 0x0f, 0x01, 0xc1);
    archHandleTrap(call.cpu);
    assert.equal(call.cpu.reg(Regs.eip), EIP);
    const other = withHandler(6);
    trapAt(other, 6, 0, 0x0f, 0x0b);
    archHandleTrap(other.cpu);
    assert.equal(other.cpu.reg(Regs.eip), HANDLER);
  });
  it("SEED-10c trap 14: the page is filled, or CR2 stored and the fault reflected, also before there is lguest_data", () => {
    const filled = withHandler(14);
    filled.cpu.lastPagefault = 0x3000;
    trapAt(filled, 14, 0);
    archHandleTrap(filled.cpu);
    assert.equal(filled.cpu.reg(Regs.eip), EIP);
    const reflected = withHandler(14);
    reflected.cpu.lastPagefault = 0x40000000;
    trapAt(reflected, 14, 2);
    archHandleTrap(reflected.cpu);
    assert.equal(dataWord(reflected, "cr2"), 0x40000000);
    assert.equal(reflected.cpu.reg(Regs.eip), HANDLER);
    const early = makeGuest();
    early.cpu.lastPagefault = 0x40000000;
    trapAt(early, 14, 2);
    archHandleTrap(early.cpu);
    assert.equal(early.deathText(), `unhandled trap 14 at 0x${CODE.toString(16)} (0x40000000)`);
    const broken = withHandler(14);
    broken.cpu.lastPagefault = 0x40000000;
    broken.guest.lguestData = 0x200000;
    trapAt(broken, 14, 2);
    archHandleTrap(broken.cpu);
    assert.equal(broken.deathText(), "Writing cr2");
  });
  it("SEED-10d trap 7 is silent unless the guest set TS", () => {
    const fixture = withHandler(7);
    trapAt(fixture, 7, 0);
    archHandleTrap(fixture.cpu);
    assert.equal(fixture.cpu.reg(Regs.eip), EIP);
    fixture.cpu.ts = 8;
    archHandleTrap(fixture.cpu);
    assert.equal(fixture.cpu.reg(Regs.eip), HANDLER);
  });
  it("SEED-10e traps 32 to 255 only give others a chance, 128 included", () => {
    for (const trap of [32, 48, 127, 128, 255]) {
      const fixture = makeRunningGuest({ cpus: 2 });
      loadGuestIdtEntry(fixture.cpu, trap, ...gate(HANDLER, 0xe, 3));
      trapAt(fixture, trap, 0);
      archHandleTrap(fixture.cpu);
      assert.equal(fixture.cpu.reg(Regs.eip), EIP, `${trap}`);
      assert.equal(fixture.kernel.currentCpu, 1);
    }
    const corrected = makeRunningGuest({ quirks: "fixed" });
    loadGuestIdtEntry(corrected.cpu, 128, ...gate(HANDLER, 0xe, 3));
    trapAt(corrected, 128, 0);
    archHandleTrap(corrected.cpu);
    assert.equal(corrected.cpu.reg(Regs.eip), HANDLER, "with QUIRK-7 corrected the call arrives");
  });
  it("SEED-10f trap 31 notes the hypercall, which is done in the next round", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.setReg(Regs.eax, 10);
    trapAt(fixture, 31, 0);
    archHandleTrap(fixture.cpu);
    assert.equal(fixture.cpu.hcall, true);
    assert.equal(fixture.cpu.halted, false);
  });
  it("SEED-10g all other traps, 256 too, are delivered or kill", () => {
    const delivered = withHandler(0);
    trapAt(delivered, 0, 0);
    archHandleTrap(delivered.cpu);
    assert.equal(delivered.cpu.reg(Regs.eip), HANDLER);
    for (const trap of [0, 18, 31 - 1, 256]) {
      const fixture = makeRunningGuest();
      trapAt(fixture, trap, 0);
      archHandleTrap(fixture.cpu);
      assert.equal(fixture.deathText(), `unhandled trap ${trap} at 0x${EIP.toString(16)} (0x0)`);
    }
  });
  it("SEED-10h the kill text has the decimal trap, EIP in hex, and CR2 for trap 14 or the error code", () => {
    const fault = makeRunningGuest();
    fault.cpu.lastPagefault = 0xdeadbee0;
    fault.cpu.setReg(Regs.eip, 0xdeadbee0);
    trapAt(fault, 14, 4);
    archHandleTrap(fault.cpu);
    assert.equal(fault.deathText(), "unhandled trap 14 at 0xdeadbee0 (0xdeadbee0)");
    const protection = makeRunningGuest();
    trapAt(protection, 13, 0x10a, 0xcd, 0x21);
    archHandleTrap(protection.cpu);
    assert.equal(protection.deathText(), "unhandled trap 13 at 0xc0010000 (0x10a)");
  });
});

describe("x86 core: loading and unloading", () => {
  it("SEED-11 adjust_pge sets and clears CR4 bit 7 of one CPU", () => {
    const { kernel } = makeHost({ cpus: 2, features: { hasPge: false } });
    adjustPge(kernel, 1, true);
    assert.deepEqual(kernel.cr4, [0, Cr4.PGE]);
    adjustPge(kernel, 1, false);
    assert.deepEqual(kernel.cr4, [0, 0]);
  });
  it("SEED-12a all 256 stub addresses are moved to the copy", () => {
    const { kernel, module } = makeHost();
    const before = Array.from({ length: 256 }, (_, i) => kernel.read32(DEFAULT_IDT_ENTRIES + 4 * i));
    assert.deepEqual(before, kernel.switcher.defaultIdtEntries);
    module.init();
    before.forEach((address, i) => {
      assert.equal(kernel.read32(DEFAULT_IDT_ENTRIES + 4 * i), (address + switcherOffset()) >>> 0);
    });
  });
  it("SEED-12b each CPU's state has the four descriptors, sp0, ss0 and a bitmap base of 104", () => {
    const fixture = makeGuest({ cpus: 2 });
    for (const cpu of [0, 1]) {
      const state = lguestPages(cpu) + STATE_OFFSET;
      const { cpu: processor } = fixture.machine;
      const physical = pagesPhysical(fixture.module, cpu).state;
      const descriptor = (offset: number) => [
        processor.readPhysical(physical + offset, 2),
        fixture.state(offset + 2, cpu),
      ];
      assert.deepEqual(descriptor(State.hostGdtDescriptor), [0xff, PAGE_OFFSET + fixture.kernel.gdtOf(cpu)]);
      assert.deepEqual(descriptor(State.hostIdtDescriptor), [0x7ff, fixture.kernel.idtDescriptor.base]);
      assert.deepEqual(descriptor(State.guestIdtDescriptor), [0x7ff, state + 0x88]);
      assert.deepEqual(descriptor(State.guestGdtDescriptor), [0xff, state + 0x888]);
      assert.equal(fixture.state(State.guestTss + Tss.sp0, cpu), state);
      assert.equal(fixture.state(State.guestTss + Tss.ss0, cpu), 0x58);
      assert.equal(processor.readPhysical(physical + State.guestTss + Tss.ioBitmapBase, 2), 104);
    }
    assert.equal(lguestPages(0) + STATE_OFFSET + State.guestTss, 0xffc02020);
  });
  it("SEED-12c the guest's tables have their defaults, and every host GDT entries 10 and 11", () => {
    const fixture = makeGuest({ cpus: 2 });
    for (const cpu of [0, 1]) {
      assert.deepEqual(cpuDescriptor(fixture, 10, cpu), [0xffff, 0x00cf9b00]);
      assert.deepEqual(cpuDescriptor(fixture, 11, cpu), [0xffff, 0x00cf9300]);
      const gdt = fixture.kernel.gdtOf(cpu);
      assert.deepEqual([fixture.kernel.read32(gdt + 0x50), fixture.kernel.read32(gdt + 0x54)], [0xffff, 0x00cf9b00]);
      assert.deepEqual([fixture.kernel.read32(gdt + 0x58), fixture.kernel.read32(gdt + 0x5c)], [0xffff, 0x00cf9300]);
      assert.equal(cpuGate(fixture, 255, cpu)[1] & 0xffff, 0x8e00);
    }
  });
  it("SEED-12d the far pointer leads to switch_to_guest in the copy, through selector 0x50", () => {
    const { kernel } = makeGuest();
    const linked = kernel.switcher.code.symbols.get("switch_to_guest") as number;
    assert.equal(kernel.read32(LGUEST_ENTRY), (linked + switcherOffset()) >>> 0);
    assert.equal(kernel.machine.cpu.readPhysical(LGUEST_ENTRY + 4, 2), 0x50);
  });
  it("SEED-12e PGE goes off on all CPUs, is remembered, and the capability is taken away", () => {
    const { kernel, module } = makeHost({ cpus: 3 });
    assert.deepEqual(kernel.cr4, [Cr4.PGE, Cr4.PGE, Cr4.PGE]);
    module.init();
    assert.deepEqual(kernel.cr4, [0, 0, 0]);
    assert.equal(module.cpuHadPge, true);
    assert.equal(kernel.features.hasPge, false);
  });
  it("SEED-13 host_fini brings capability and PGE back only if they had been there", () => {
    const had = makeHost({ cpus: 2 });
    had.module.init();
    archHostFini(had.module);
    assert.equal(had.kernel.features.hasPge, true);
    assert.deepEqual(had.kernel.cr4, [Cr4.PGE, Cr4.PGE]);
    const hadNot = makeHost({ cpus: 2, features: { hasPge: false } });
    hadNot.module.init();
    archHostFini(hadNot.module);
    assert.equal(hadNot.kernel.features.hasPge, false);
    assert.deepEqual(hadNot.kernel.cr4, [0, 0]);
  });
});

describe("x86 core: its hypercalls and a guest's start", () => {
  it("SEED-14 calls 18, 6 and 16 are done, others give -EIO", () => {
    const fixture = makeRunningGuest();
    const call = (arg0: number, arg1: number, arg2: number, arg3: number) =>
      archDoHcall(fixture.cpu, { arg0, arg1, arg2, arg3, arg4: 0 });
    assert.equal(call(18, 20, 0x1234, 0x00cf9300), 0);
    assert.equal(fixture.cpu.gdt[40], 0x1234);
    assert.equal(call(6, 3, ...gate(0xc0012345, 0xe)), 0);
    assert.equal(fixture.cpu.idt[6], 0x00612345);
    fixture.write(0x9000, 0x4321);
    assert.equal(call(16, 0x9000, 0, 0), 0);
    assert.equal(fixture.cpu.gdt[12], 0x4321);
    for (const number of [3, 11, 12, 13, 20, 0xffffffff]) assert.equal(call(number, 0, 0, 0), Errno.EIO);
  });
  it("SEED-15a lguest_data must be in range, all 1396 bytes of it", () => {
    const fixture = makeGuest();
    publish(fixture);
    assert.equal(archInitHypercalls(fixture.cpu, LGUEST_DATA), 0);
    assert.equal(fixture.guest.lguestData, LGUEST_DATA);
    const end = makeGuest();
    assert.equal(archInitHypercalls(end.cpu, 0x100000 - 1396), Errno.EFAULT, "not even at the very end");
    assert.equal(archInitHypercalls(end.cpu, 0x7ffffff0), Errno.EFAULT);
    assert.equal(archInitHypercalls(end.cpu, 0xfffffff0), Errno.EFAULT);
    end.cpu.setReg(Regs.eax, 1);
    end.cpu.setReg(Regs.ebx, 0x7ffffff0);
    initialize(end.cpu);
    assert.equal(end.deathText(), "bad guest page (null)");
  });
  it("SEED-15b tsc_khz is the host's where it trusts its counter, else 0", () => {
    assert.equal(dataWord(makeRunningGuest(), "tscKhz"), 100_000);
    assert.equal(dataWord(makeRunningGuest({ features: { hasStableTsc: false } }), "tscKhz"), 0);
  });
  it("SEED-15c the system call vector must be 0x80 or the module's, else the guest dies", () => {
    const bad = makeGuest();
    publish(bad, { syscallVector: 0x40 });
    assert.equal(archInitHypercalls(bad.cpu, LGUEST_DATA), 0, "and this is no error");
    assert.equal(bad.deathText(), "bad syscall vector");
    const parameter = makeGuest({ module: { syscallVector: 0x40 } });
    publish(parameter, { syscallVector: 0x40 });
    archInitHypercalls(parameter.cpu, LGUEST_DATA);
    assert.equal(parameter.deathText(), undefined);
  });
  it("SEED-16 a guest starts with 0x69, 0x61, EFLAGS 0x202, its EIP, zeros, and GDT entries 12 and 13", () => {
    const { cpu } = makeGuest();
    for (const name of ["ds", "es", "ss"] as const) assert.equal(cpu.reg(Regs[name]), 0x69);
    assert.equal(cpu.reg(Regs.cs), 0x61);
    assert.equal(cpu.reg(Regs.eflags), 0x202);
    assert.equal(cpu.reg(Regs.eip), CODE);
    for (const name of ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "fs", "gs"] as const)
      assert.equal(cpu.reg(Regs[name]), 0, name);
    const entries = Array.from({ length: 32 }, (_, i) => [cpu.gdt[2 * i], cpu.gdt[2 * i + 1]]);
    assert.deepEqual(entries[12], [0xffff, 0x00cfbb00]);
    assert.deepEqual(entries[13], [0xffff, 0x00cfb300]);
    assert.ok(entries.every(([low, high], i) => i === 12 || i === 13 || (low === 0 && high === 0)));
  });
});
