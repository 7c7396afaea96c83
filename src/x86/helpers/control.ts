/**
 * Control and debug registers, the machine status word, HLT, the interrupt flag, PUSHF and POPF, cache and TLB instructions.
 * SDM Vol. 3, 2.5 (control registers), 17.2 (debug registers), 5.9 (privileged instructions); Vol. 2 per instruction.
 *
 * Reserved bits follow the processor that CPUID describes: what it does not offer (VME, PVI, PAE, MCE) is a reserved bit of CR4.
 * Next: model-specific.ts (MSRs, counters, SYSENTER), cpuid.ts.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import * as L from "../state-layout";
import { Cr0, Cr4, Flag, Vector } from "../state-layout";
import { checkPrivileged, isVirtual8086 } from "./descriptors";
import { helper } from "./helper";
import { mergeFlags } from "./transfer";

/** Writable bits; ET is always 1, the rest of CR0 always 0. */
const CR0_WRITABLE = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.NW | Cr0.CD | Cr0.PG;
const CR4_OFFERED = Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PGE | Cr4.PCE | Cr4.OSFXSR | Cr4.OSXMMEXCPT;
/** A change of these makes cached translations wrong, global ones too. SDM Vol. 3, 4.10.4.1. */
const CR0_FLUSHES = Cr0.PG | Cr0.PE | Cr0.WP;
const CR4_FLUSHES = Cr4.PSE | Cr4.PGE;
/** LMSW reaches the low four bits. */
const MSW_WRITABLE = Cr0.PE | Cr0.MP | Cr0.EM | Cr0.TS;

/** DR6, DR7: reserved bits that read as one, bits that can be written. SDM Vol. 3, 17.2. */
const DR6_ONES = 0xffff0ff0;
const DR6_WRITABLE = 0xe00f;
const DR6_BD = 0x2000;
const DR7_ONES = 0x400;
const DR7_WRITABLE = 0xffff23ff;
const DR7_GD = 0x2000;

/** MOV to CRn: (number, value). SDM Vol. 2, MOV control registers. */
export const writeControl = helper("writeControl", "refetch", (cpu, number, value) => {
  checkControlNumber(number);
  checkPrivileged(cpu);
  switch (number) {
    case 0:
      setCr0(cpu, value);
      break;
    case 2:
      cpu.cr2 = value;
      break;
    case 3:
      cpu.setWord(L.CR3, value);
      cpu.tlb.loadRoot();
      break;
    default:
      setCr4(cpu, value);
  }
});

/** MOV from CRn: (number). */
export const readControl = helper("readControl", "continue", (cpu, number) => {
  checkControlNumber(number);
  checkPrivileged(cpu);
  return [cpu.cr0, 0, cpu.cr2, cpu.cr3, cpu.cr4][number];
});

/** CR1 and CR5-CR7 do not exist: #UD comes before the privilege check, as for any undefined encoding. */
function checkControlNumber(number: number): void {
  if (number === 1 || number > 4) throw new GuestFault(Vector.UD);
}

/** CR0 with its checks. SDM Vol. 2, MOV control registers: #GP(0) for PG without PE, NW without CD. */
function setCr0(cpu: Cpu, value: number): void {
  const isPagingWithoutProtection = value & Cr0.PG && !(value & Cr0.PE);
  const isWriteThroughWithCache = value & Cr0.NW && !(value & Cr0.CD);
  if (isPagingWithoutProtection || isWriteThroughWithCache) throw new GuestFault(Vector.GP, 0);
  const before = cpu.cr0;
  const after = ((value & CR0_WRITABLE) | Cr0.ET) >>> 0;
  cpu.setWord(L.CR0, after);
  if ((before ^ after) & CR0_FLUSHES) cpu.tlb.flushAll();
  if ((before ^ after) & Cr0.AM) cpu.selectTlbSet();
  if ((before ^ after) & Cr0.PE) cpu.updateMode();
}

function setCr4(cpu: Cpu, value: number): void {
  if (value & ~CR4_OFFERED) throw new GuestFault(Vector.GP, 0);
  const before = cpu.cr4;
  cpu.setWord(L.CR4, value);
  if ((before ^ value) & CR4_FLUSHES) cpu.tlb.flushAll();
}

/** LMSW: (value). Sets PE but never clears it. SDM Vol. 2. */
export const loadMachineStatusWord = helper("loadMachineStatusWord", "refetch", (cpu, value) => {
  checkPrivileged(cpu);
  const keep = cpu.cr0 & ~(MSW_WRITABLE & ~Cr0.PE);
  setCr0(cpu, keep | (value & MSW_WRITABLE));
});

/** SMSW: CR0, not privileged. A 16-bit destination takes the low half. SDM Vol. 2. */
export const storeMachineStatusWord = helper("storeMachineStatusWord", "continue", (cpu) => cpu.cr0);

/** CLTS. */
export const clearTaskSwitched = helper("clearTaskSwitched", "refetch", (cpu) => {
  checkPrivileged(cpu);
  cpu.setWord(L.CR0, cpu.cr0 & ~Cr0.TS);
});

/** MOV to DRn: (number, value). The registers hold data; they trigger nothing yet. SDM Vol. 3, 17.2. */
export const writeDebug = helper("writeDebug", "refetch", (cpu, number, value) => {
  const at = debugRegister(cpu, number);
  if (at === 6) setDebug(cpu, 6, (value & DR6_WRITABLE) | DR6_ONES);
  else if (at === 7) setDebug(cpu, 7, (value & DR7_WRITABLE) | DR7_ONES);
  else setDebug(cpu, at, value);
});

/** MOV from DRn: (number). */
export const readDebug = helper("readDebug", "continue", (cpu, number) =>
  cpu.word(L.DEBUG_REGISTERS + debugRegister(cpu, number) * 4),
);

/** Checks, and resolves the aliases DR4 and DR5. General detect is a fault before the access. SDM Vol. 3, 17.2.2, 17.2.4. */
function debugRegister(cpu: Cpu, number: number): number {
  const isAlias = number === 4 || number === 5;
  if (isAlias && cpu.cr4 & Cr4.DE) throw new GuestFault(Vector.UD);
  checkPrivileged(cpu);
  const dr7 = cpu.word(L.DEBUG_REGISTERS + 7 * 4);
  if (dr7 & DR7_GD) {
    setDebug(cpu, 6, cpu.word(L.DEBUG_REGISTERS + 6 * 4) | DR6_BD);
    setDebug(cpu, 7, dr7 & ~DR7_GD);
    throw new GuestFault(Vector.DB);
  }
  return isAlias ? number + 2 : number;
}

function setDebug(cpu: Cpu, number: number, value: number): void {
  cpu.setWord(L.DEBUG_REGISTERS + number * 4, value);
}

/** HLT: the engine sees HALTED at the next boundary and waits for an interrupt. */
export const halt = helper("halt", "refetch", (cpu) => {
  checkPrivileged(cpu);
  cpu.setWord(L.HALTED, 1);
});

/** CLI. Without PVI and VME, IOPL alone decides; in virtual-8086 mode CPL is 3. SDM Vol. 2. */
export const clearInterrupts = helper("clearInterrupts", "refetch", (cpu) => {
  checkInterruptFlagAccess(cpu);
  cpu.systemFlags &= ~Flag.IF;
});

/** STI: when IF was 0, interrupts wait for one more instruction. SDM Vol. 2. */
export const setInterrupts = helper("setInterrupts", "refetch", (cpu) => {
  checkInterruptFlagAccess(cpu);
  if (!(cpu.systemFlags & Flag.IF)) cpu.setWord(L.INTERRUPT_SHADOW, L.Shadow.STI);
  cpu.systemFlags |= Flag.IF;
});

function checkInterruptFlagAccess(cpu: Cpu): void {
  if (cpu.cpl > cpu.iopl) throw new GuestFault(Vector.GP, 0);
}

/** PUSHF and POPF in virtual-8086 mode need IOPL 3. For POPF: call before the stack is read. */
export const checkFlagsAccess = helper("checkFlagsAccess", "continue", (cpu) => {
  if (isVirtual8086(cpu) && cpu.iopl < 3) throw new GuestFault(Vector.GP, 0);
});

/** PUSHF: the image to push, VM and RF clear. A 16-bit push takes the low half. SDM Vol. 2. */
export const pushFlagsValue = helper("pushFlagsValue", "continue", (cpu) => {
  checkFlagsAccess.run(cpu);
  return cpu.eflags & ~(Flag.VM | Flag.RF);
});

/** POPF: (value, operandSize). SDM Vol. 2, POPF, table 4-16. */
export const popFlags = helper("popFlags", "refetch", (cpu, value, size) => {
  checkFlagsAccess.run(cpu);
  cpu.eflags = mergeFlags(cpu, value, size);
});

/** INVLPG: (linear). */
export const invalidatePage = helper("invalidatePage", "refetch", (cpu, linear) => {
  checkPrivileged(cpu);
  cpu.tlb.flushPage(linear >>> 0);
});

/** INVD and WBINVD: there is no cache to lose. */
export const invalidateCaches = helper("invalidateCaches", "continue", (cpu) => checkPrivileged(cpu));

/** What asks for the floating-point unit. */
export const FpuUse = { X87: 0, WAIT: 1, MMX: 2, SSE: 3 } as const;

/** Throws what CR0 and CR4 demand before an x87, WAIT, MMX or SSE instruction. SDM Vol. 3, tables 2-2 and 13-1. */
export function checkFpuUse(cpu: Cpu, kind: number): void {
  const cr0 = cpu.cr0;
  if (kind >= FpuUse.MMX && cr0 & Cr0.EM) throw new GuestFault(Vector.UD);
  if (kind === FpuUse.SSE && !(cpu.cr4 & Cr4.OSFXSR)) throw new GuestFault(Vector.UD);
  const blocking = kind === FpuUse.X87 ? cr0 & (Cr0.EM | Cr0.TS) : cr0 & Cr0.TS;
  if (kind === FpuUse.WAIT ? blocking && cr0 & Cr0.MP : blocking) throw new GuestFault(Vector.NM);
}

/** checkFpuUse for rows: (kind), a FpuUse. */
export const checkFpu = helper("checkFpu", "continue", (cpu, kind) => checkFpuUse(cpu, kind));
