// Control and debug registers, flags, MSRs, counters, SYSENTER, CPUID, the FPU's gate keepers. SDM Vol. 3, chapter 2; Vol. 2.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import * as helpers from "../../../src/x86/helpers";
import * as L from "../../../src/x86/state-layout";
import { Cr0, Cr4, Flag, Reg, Seg, Vector } from "../../../src/x86/state-layout";
import { PAGE_TABLE, SystemBuilder } from "../../support/system-builder";

const { GP, UD, NM, DB, PF } = Vector;

describe("x86/helpers/control", () => {
  it("privileged instructions are #GP(0) at rings 1 to 3 and in virtual-8086 mode, whatever IOPL (SDM Vol. 3, 5.9)", () => {
    const calls: [helpers.Helper, ...number[]][] = [
      [helpers.writeControl, 0, 0x11],
      [helpers.writeControl, 3, 0],
      [helpers.readControl, 0],
      [helpers.writeDebug, 0, 0],
      [helpers.readDebug, 0],
      [helpers.loadMachineStatusWord, 0],
      [helpers.clearTaskSwitched],
      [helpers.halt],
      [helpers.invalidatePage, 0],
      [helpers.invalidateCaches],
      [helpers.readMsr],
      [helpers.writeMsr],
      [helpers.loadDescriptorTable, 0, 0, 0],
      [helpers.requirePrivilege],
    ];
    for (const [call, ...args] of calls) {
      for (const ring of [1, 2, 3]) {
        const s = new SystemBuilder().enterRing(ring);
        s.cpu.eflags = Flag.IOPL | 2;
        s.assertFault(() => call.run(s.cpu, ...args), GP, 0);
      }
      const s = new SystemBuilder().enterVirtual8086(3);
      s.assertFault(() => call.run(s.cpu, ...args), GP, 0);
    }
  });

  describe("MOV to CRn (SDM Vol. 2)", () => {
    it("CR0: PG without PE and NW without CD are #GP(0); ET stays 1; other bits stay 0", () => {
      const s = new SystemBuilder();
      s.assertFault(() => helpers.writeControl.run(s.cpu, 0, Cr0.PG | 0), GP, 0);
      s.assertFault(() => helpers.writeControl.run(s.cpu, 0, Cr0.PE | Cr0.NW), GP, 0);
      helpers.writeControl.run(s.cpu, 0, 0x7fffffff);
      assert.equal(s.cpu.cr0, 0x6005003f);
    });
    it("CR0.PE switches the mode", () => {
      const s = new SystemBuilder();
      helpers.writeControl.run(s.cpu, 0, 0);
      assert.equal(s.cpu.word(L.MODE) & L.Mode.PROTECTED, 0);
      helpers.writeControl.run(s.cpu, 0, 1);
      assert.equal(s.cpu.word(L.MODE) & L.Mode.PROTECTED, L.Mode.PROTECTED);
    });
    it("CR0.WP takes effect for ring 0 and ring 1 at once, cached translations or not (Vol. 3, 4.6)", () => {
      for (const ring of [0, 1]) {
        const s = new SystemBuilder().enablePaging().page(0x40000, 1);
        helpers.writeControl.run(s.cpu, 0, s.cpu.cr0 & ~Cr0.WP);
        s.cpu.cpl = ring;
        s.cpu.writeLinear(0x40000, 4, 1);
        s.cpu.cpl = 0;
        helpers.writeControl.run(s.cpu, 0, s.cpu.cr0 | Cr0.WP);
        s.cpu.cpl = ring;
        s.assertFault(() => s.cpu.writeLinear(0x40000, 4, 2), PF, 3);
      }
    });
    it("after a CR3 load nothing old is used, global pages included: a TLB may drop what it likes (Vol. 3, 4.10.4)", () => {
      for (const cr4 of [0, Cr4.PGE]) {
        const s = new SystemBuilder().enablePaging();
        helpers.writeControl.run(s.cpu, 4, cr4);
        s.cpu.readLinear(0x40000, 4);
        s.cpu.writePhysical(PAGE_TABLE + 0x40 * 4, 4, 0x50107);
        helpers.writeControl.run(s.cpu, 3, s.cpu.cr3);
        assert.equal(s.cpu.translateOrFault(0x40000, 0, false), 0x50000);
      }
    });
    it("CR4: bits that CPUID does not offer are #GP(0)", () => {
      const s = new SystemBuilder();
      for (const bit of [Cr4.VME, Cr4.PVI, Cr4.PAE, Cr4.MCE, 0x800, 0x2000])
        s.assertFault(() => helpers.writeControl.run(s.cpu, 4, bit), GP, 0);
      helpers.writeControl.run(s.cpu, 4, Cr4.PSE | Cr4.PGE | Cr4.TSD | Cr4.OSFXSR | Cr4.OSXMMEXCPT);
      assert.equal(helpers.readControl.run(s.cpu, 4), 0x694);
    });
    it("CR1 and CR5 to CR7 are #UD, before the privilege check", () => {
      const s = new SystemBuilder().enterRing(3);
      for (const number of [1, 5, 6, 7]) {
        s.assertFault(() => helpers.writeControl.run(s.cpu, number, 0), UD, undefined);
        s.assertFault(() => helpers.readControl.run(s.cpu, number), UD, undefined);
      }
    });
    it("INVLPG of any address in a 4 MiB page drops all of it (Vol. 3, 4.10.4.1)", () => {
      const s = new SystemBuilder().enablePaging();
      helpers.writeControl.run(s.cpu, 4, Cr4.PSE);
      s.write32(0x10004, 0x87);
      assert.equal(s.cpu.translateOrFault(0x455000, 0, false), 0x55000);
      s.write32(0x10004, 0x400087);
      helpers.invalidatePage.run(s.cpu, 0x7ff000);
      assert.equal(s.cpu.translateOrFault(0x455000, 0, false), 0x455000);
    });
  });

  it("LMSW sets PE, MP, EM, TS and cannot clear PE; SMSW and CLTS (SDM Vol. 2)", () => {
    const s = new SystemBuilder();
    helpers.loadMachineStatusWord.run(s.cpu, 0xffff);
    assert.equal(s.cpu.cr0, 0x1f);
    helpers.loadMachineStatusWord.run(s.cpu, 0);
    assert.equal(s.cpu.cr0, 0x11);
    helpers.loadMachineStatusWord.run(s.cpu, Cr0.TS);
    assert.equal(helpers.storeMachineStatusWord.run(s.cpu), 0x19);
    helpers.clearTaskSwitched.run(s.cpu);
    assert.equal(s.cpu.cr0, 0x11);
  });

  describe("debug registers (SDM Vol. 3, 17.2)", () => {
    it("DR6 and DR7 have fixed bits; DR4 and DR5 are aliases without CR4.DE and #UD with it", () => {
      const s = new SystemBuilder();
      helpers.writeDebug.run(s.cpu, 4, 0xffffffff);
      helpers.writeDebug.run(s.cpu, 5, 0xffffdfff);
      helpers.writeDebug.run(s.cpu, 0, 0xc0001000);
      assert.deepEqual(
        [6, 7, 0, 4].map((n) => Number(helpers.readDebug.run(s.cpu, n)) >>> 0),
        [0xffffefff, 0xffff07ff, 0xc0001000, 0xffffefff],
      );
      helpers.writeControl.run(s.cpu, 4, Cr4.DE);
      s.assertFault(() => helpers.readDebug.run(s.cpu, 4), UD, undefined);
    });
    it("general detect is #DB before the access, with DR6.BD, and clears GD", () => {
      const s = new SystemBuilder();
      helpers.writeDebug.run(s.cpu, 7, 0x2400);
      assert.throws(() => helpers.writeDebug.run(s.cpu, 0, 1), { vector: DB });
      assert.equal(Number(helpers.readDebug.run(s.cpu, 6)) & 0x2000, 0x2000);
      assert.equal(helpers.readDebug.run(s.cpu, 0), 0);
    });
  });

  describe("IF, PUSHF, POPF (SDM Vol. 2)", () => {
    it("CLI and STI need CPL <= IOPL", () => {
      const s = new SystemBuilder().enterRing(1);
      s.assertFault(() => helpers.clearInterrupts.run(s.cpu), GP, 0);
      s.assertFault(() => helpers.setInterrupts.run(s.cpu), GP, 0);
      s.cpu.eflags = 0x1002;
      helpers.setInterrupts.run(s.cpu);
      assert.equal(s.cpu.eflags, 0x1202);
      helpers.clearInterrupts.run(s.cpu);
      assert.equal(s.cpu.eflags, 0x1002);
    });
    it("STI holds interrupts off for one instruction, but only if IF was 0", () => {
      const s = new SystemBuilder();
      helpers.setInterrupts.run(s.cpu);
      assert.equal(s.cpu.word(L.INTERRUPT_SHADOW), L.Shadow.STI);
      s.cpu.setWord(L.INTERRUPT_SHADOW, 0);
      helpers.setInterrupts.run(s.cpu);
      assert.equal(s.cpu.word(L.INTERRUPT_SHADOW), 0);
    });
    it("PUSHF gives everything but VM and RF", () => {
      const s = new SystemBuilder();
      s.cpu.eflags = 0x3f7fd7 & ~Flag.VM;
      assert.equal(helpers.pushFlagsValue.run(s.cpu), 0x3f7fd7 & ~Flag.VM & ~Flag.RF);
    });
    it("POPF keeps what CPL and IOPL forbid, without a fault (table 4-16)", () => {
      const pop = (ring: number, before: number, value: number, size: number) => {
        const s = new SystemBuilder().enterRing(ring);
        s.cpu.eflags = before;
        helpers.popFlags.run(s.cpu, value, size);
        return s.cpu.eflags;
      };
      const free = 0x8d5 | Flag.TF | Flag.DF | Flag.NT | 2;
      assert.equal(pop(0, 2, 0xffffffff, 4), free | Flag.IF | Flag.IOPL | Flag.AC | Flag.ID);
      assert.equal(pop(1, 2, 0xffffffff, 4), free | Flag.AC | Flag.ID);
      assert.equal(pop(1, Flag.IF | 2, 0, 4), Flag.IF | 2);
      assert.equal(pop(3, Flag.IOPL | 2, 0xffffffff, 4), free | Flag.IF | Flag.IOPL | Flag.AC | Flag.ID);
      assert.equal(pop(1, 0x1002, Flag.IF, 4), 0x1202);
      assert.equal(pop(0, Flag.AC | Flag.ID | 2, 0xffff, 2), free | Flag.IF | Flag.IOPL | Flag.AC | Flag.ID);
    });
    it("in virtual-8086 mode needs IOPL 3", () => {
      const s = new SystemBuilder().enterVirtual8086(2);
      for (const call of [helpers.pushFlagsValue, helpers.popFlags, helpers.clearInterrupts, helpers.setInterrupts])
        s.assertFault(() => call.run(s.cpu, 0, 2), GP, 0);
      s.enterVirtual8086(3);
      helpers.popFlags.run(s.cpu, 0, 2);
      assert.equal(s.cpu.eflags, Flag.VM | Flag.IOPL | 2);
    });
  });

  it("HLT sets HALTED for the engine", () => {
    const s = new SystemBuilder();
    helpers.halt.run(s.cpu);
    assert.equal(s.cpu.word(L.HALTED), 1);
  });

  describe("model-specific registers and counters (SDM Vol. 2, RDMSR, WRMSR, RDTSC, RDPMC)", () => {
    const registers = (s: SystemBuilder) => [s.cpu.reg(Reg.EDX), s.cpu.reg(Reg.EAX)];
    it("unknown numbers are #GP(0)", () => {
      const s = new SystemBuilder();
      for (const number of [0, 0x11, 0x1b, 0x173, 0x177, 0xc0000080]) {
        s.cpu.setReg(Reg.ECX, number);
        s.assertFault(() => helpers.readMsr.run(s.cpu), GP, 0);
        s.assertFault(() => helpers.writeMsr.run(s.cpu), GP, 0);
      }
    });
    it("the SYSENTER registers hold what was written", () => {
      const s = new SystemBuilder();
      s.cpu.setReg(Reg.ECX, helpers.Msr.SYSENTER_EIP);
      s.cpu.setReg(Reg.EAX, 0xc0100000);
      helpers.writeMsr.run(s.cpu);
      s.cpu.setReg(Reg.EAX, 0);
      helpers.readMsr.run(s.cpu);
      assert.deepEqual(registers(s), [0, 0xc0100000]);
    });
    it("the time-stamp counter counts retired instructions from where it was set, with carry", () => {
      const s = new SystemBuilder();
      s.cpu.retiredBefore = 5_000_000_000;
      helpers.readTimeStamp.run(s.cpu);
      assert.deepEqual(registers(s), [1, 5_000_000_000 - 0x100000000]);
      s.cpu.setReg(Reg.ECX, helpers.Msr.TSC);
      s.cpu.setReg(Reg.EDX, 7);
      s.cpu.setReg(Reg.EAX, 0xfffffffe);
      helpers.writeMsr.run(s.cpu);
      s.cpu.retiredBefore += 3;
      helpers.readTimeStamp.run(s.cpu);
      assert.deepEqual(registers(s), [8, 1]);
    });
    it("RDTSC is for everybody until CR4.TSD", () => {
      const s = new SystemBuilder().enterRing(3);
      helpers.readTimeStamp.run(s.cpu);
      s.cpu.setWord(L.CR4, Cr4.TSD);
      s.assertFault(() => helpers.readTimeStamp.run(s.cpu), GP, 0);
      s.enterRing(0);
      helpers.readTimeStamp.run(s.cpu);
    });
    it("RDPMC has no counters: #GP(0)", () => {
      const s = new SystemBuilder();
      s.assertFault(() => helpers.readPerformanceCounter.run(s.cpu), GP, 0);
    });
  });

  describe("SYSENTER and SYSEXIT (SDM Vol. 2)", () => {
    it("a null IA32_SYSENTER_CS is #GP(0)", () => {
      const s = new SystemBuilder().enterRing(3);
      s.assertFault(() => helpers.sysenter.run(s.cpu), GP, 0);
      s.cpu.setWord(L.MSR_SYSENTER_CS, 3);
      s.assertFault(() => helpers.sysenter.run(s.cpu), GP, 0);
    });
    it("go to flat ring 0 and back to flat ring 3", () => {
      const s = new SystemBuilder().enterRing(3);
      s.cpu.setWord(L.MSR_SYSENTER_CS, 0x60);
      s.cpu.setWord(L.MSR_SYSENTER_ESP, 0x7700);
      s.cpu.setWord(L.MSR_SYSENTER_EIP, 0x22000);
      s.cpu.eflags = Flag.IF | Flag.CF | 2;
      helpers.sysenter.run(s.cpu);
      assert.deepEqual([s.cpu.cpl, s.cpu.eip, s.cpu.reg(Reg.ESP), s.cpu.eflags], [0, 0x22000, 0x7700, 3]);
      assert.deepEqual([s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS)], [0x60, 0x68]);
      s.cpu.setReg(Reg.ECX, 0xb000);
      s.cpu.setReg(Reg.EDX, 0x23000);
      helpers.sysexit.run(s.cpu);
      assert.deepEqual([s.cpu.cpl, s.cpu.eip, s.cpu.reg(Reg.ESP)], [3, 0x23000, 0xb000]);
      assert.deepEqual([s.cpu.selector(Seg.CS), s.cpu.selector(Seg.SS)], [0x73, 0x7b]);
      s.assertFault(() => helpers.sysexit.run(s.cpu), GP, 0);
    });
    it("are #GP(0) in real mode", () => {
      const s = new SystemBuilder().enterReal();
      s.cpu.setWord(L.MSR_SYSENTER_CS, 0x60);
      s.assertFault(() => helpers.sysenter.run(s.cpu), GP, 0);
      s.assertFault(() => helpers.sysexit.run(s.cpu), GP, 0);
    });
  });

  it("CPUID names a vendor, a family 6, and offers only what works (SDM Vol. 2, CPUID)", () => {
    const s = new SystemBuilder().enterRing(3);
    const ask = (leaf: number) => {
      s.cpu.setReg(Reg.EAX, leaf);
      helpers.cpuid.run(s.cpu);
      return [Reg.EAX, Reg.EBX, Reg.ECX, Reg.EDX].map((r) => s.cpu.reg(r));
    };
    const text = (words: number[]) => Buffer.from(new Uint32Array(words).buffer).toString("latin1");
    const [highest, b, c, d] = ask(0);
    assert.deepEqual([highest, text([b, d, c])], [1, "Ring1Machine"]);
    const [signature, , ecx, edx] = ask(1);
    assert.equal((signature >>> 8) & 0xf, 6);
    assert.deepEqual([ecx & 1, edx & 0x8000, edx & 0x40, edx & 2], [1, 0x8000, 0, 0]);
    assert.deepEqual(ask(0x12345), ask(1));
    const brand = text([0x80000002, 0x80000003, 0x80000004].flatMap(ask));
    assert.equal(brand.replace(/\0+$/, ""), "Ring 1 i686 processor");
  });

  it("x87, WAIT, MMX and SSE meet CR0.EM, TS, MP and CR4.OSFXSR (SDM Vol. 3, tables 2-2, 11-1, 13-1)", () => {
    const { X87, WAIT, MMX, SSE } = helpers.FpuUse;
    const outcome = (kind: number, cr0: number, cr4: number = Cr4.OSFXSR) => {
      const s = new SystemBuilder();
      s.cpu.setWord(L.CR0, 0x11 | cr0);
      s.cpu.setWord(L.CR4, cr4);
      try {
        helpers.checkFpu.run(s.cpu, kind);
        return "fine";
      } catch (fault) {
        return (fault as { vector: number }).vector;
      }
    };
    assert.deepEqual(
      [X87, WAIT, MMX, SSE].map((kind) => outcome(kind, 0)),
      ["fine", "fine", "fine", "fine"],
    );
    assert.deepEqual(
      [X87, WAIT, MMX, SSE].map((kind) => outcome(kind, Cr0.TS)),
      [NM, "fine", NM, NM],
    );
    assert.deepEqual(
      [X87, WAIT, MMX, SSE].map((kind) => outcome(kind, Cr0.TS | Cr0.MP)),
      [NM, NM, NM, NM],
    );
    assert.deepEqual(
      [X87, WAIT, MMX, SSE].map((kind) => outcome(kind, Cr0.EM | Cr0.TS)),
      [NM, "fine", UD, UD],
    );
    assert.deepEqual([outcome(MMX, 0, 0), outcome(SSE, 0, 0), outcome(SSE, Cr0.TS, 0)], ["fine", UD, UD]);
  });
});
