/**
 * Model-specific registers, counters, and the fast system call. SDM Vol. 2, RDMSR, WRMSR, RDTSC, RDPMC, SYSENTER, SYSEXIT;
 * Vol. 3, 17.17 (time-stamp counter).
 *
 * Time is what the processor did: the time-stamp counter counts retired instructions, so it is the same in every run.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Cr0, Cr4, Flag, Reg, Seg, Vector } from "../state-layout";
import { Attribute, checkPrivileged } from "./descriptors";
import { helper } from "./helper";

/** Numbers of the registers that exist. SDM Vol. 4, table 2-2. */
export const Msr = { TSC: 0x10, SYSENTER_CS: 0x174, SYSENTER_ESP: 0x175, SYSENTER_EIP: 0x176 } as const;

const FLAT_CODE = 0xc09b00;
const FLAT_DATA = 0xc09300;
const DPL_SHIFT = 13;

/** Where a SYSENTER register lives; any other number is #GP(0). */
function sysenterWord(number: number): number {
  switch (number) {
    case Msr.SYSENTER_CS:
      return L.MSR_SYSENTER_CS;
    case Msr.SYSENTER_ESP:
      return L.MSR_SYSENTER_ESP;
    case Msr.SYSENTER_EIP:
      return L.MSR_SYSENTER_EIP;
    default:
      throw new GuestFault(Vector.GP, 0);
  }
}

function setEdxEax(cpu: Cpu, low: number, high: number): void {
  cpu.setReg(Reg.EAX, low);
  cpu.setReg(Reg.EDX, high);
}

/** RDMSR: number in ECX, value to EDX:EAX. */
export const readMsr = helper("readMsr", "continue", (cpu) => {
  checkPrivileged(cpu);
  const number = cpu.reg(Reg.ECX);
  if (number === Msr.TSC) loadTimeStamp(cpu);
  else setEdxEax(cpu, cpu.word(sysenterWord(number)), 0);
});

/** WRMSR: number in ECX, value from EDX:EAX. */
export const writeMsr = helper("writeMsr", "refetch", (cpu) => {
  checkPrivileged(cpu);
  const number = cpu.reg(Reg.ECX);
  const low = cpu.reg(Reg.EAX);
  if (number !== Msr.TSC) {
    cpu.setWord(sysenterWord(number), low);
    return;
  }
  const value = (BigInt(cpu.reg(Reg.EDX)) << 32n) | BigInt(low);
  const offset = value - BigInt(cpu.instructionCount());
  cpu.setWord(L.TSC_OFFSET, Number(offset & 0xffffffffn));
  cpu.setWord(L.TSC_OFFSET + 4, Number((offset >> 32n) & 0xffffffffn));
});

/** EDX:EAX := time-stamp counter, in two halves with the carry by hand. */
function loadTimeStamp(cpu: Cpu): void {
  const count = cpu.instructionCount();
  const low = (count >>> 0) + cpu.word(L.TSC_OFFSET);
  const high = Math.floor(count / 0x100000000) + cpu.word(L.TSC_OFFSET + 4) + (low > 0xffffffff ? 1 : 0);
  setEdxEax(cpu, low >>> 0, high >>> 0);
}

/** RDTSC. CR4.TSD keeps it to ring 0. */
export const readTimeStamp = helper("readTimeStamp", "continue", (cpu) => {
  if (cpu.cr4 & Cr4.TSD && cpu.cpl > 0) throw new GuestFault(Vector.GP, 0);
  loadTimeStamp(cpu);
});

/** RDPMC: there are no performance counters, so every number is invalid: #GP(0), with or without CR4.PCE. */
export const readPerformanceCounter = helper("readPerformanceCounter", "continue", () => {
  throw new GuestFault(Vector.GP, 0);
});

/** SYSENTER: to ring 0 with flat segments that no descriptor table is asked for. */
export const sysenter = helper("sysenter", "transfer", (cpu) => {
  const selector = cpu.word(L.MSR_SYSENTER_CS) & 0xfffc;
  if (!(cpu.cr0 & Cr0.PE) || selector === 0) throw new GuestFault(Vector.GP, 0);
  cpu.systemFlags &= ~(Flag.VM | Flag.IF | Flag.RF);
  cpu.setReg(Reg.ESP, cpu.word(L.MSR_SYSENTER_ESP));
  enterFlat(cpu, selector, selector + 8, 0, cpu.word(L.MSR_SYSENTER_EIP));
});

/** SYSEXIT: to ring 3, ESP from ECX and EIP from EDX. */
export const sysexit = helper("sysexit", "transfer", (cpu) => {
  const selector = cpu.word(L.MSR_SYSENTER_CS) & 0xfffc;
  if (!(cpu.cr0 & Cr0.PE) || selector === 0) throw new GuestFault(Vector.GP, 0);
  checkPrivileged(cpu);
  cpu.setReg(Reg.ESP, cpu.reg(Reg.ECX));
  enterFlat(cpu, (selector + 16) | 3, (selector + 24) | 3, 3, cpu.reg(Reg.EDX));
});

function enterFlat(cpu: Cpu, code: number, stack: number, cpl: number, eip: number): void {
  const dpl = cpl << DPL_SHIFT;
  cpu.setSegment(Seg.CS, code & 0xffff, 0, 0xffffffff, FLAT_CODE | dpl | Attribute.ACCESSED, true);
  cpu.setSegment(Seg.SS, stack & 0xffff, 0, 0xffffffff, FLAT_DATA | dpl | Attribute.ACCESSED, true);
  cpu.cpl = cpl;
  cpu.eip = eip;
  cpu.updateMode();
}
