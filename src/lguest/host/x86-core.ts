/**
 * The part of the host that knows the processor: what goes into the shared pages before an entry, what a trap means after an exit,
 * and what every CPU needs when the module is loaded. The Switcher (../switcher) does the switch itself.
 *
 *     run-guest.ts --> prepareGuestRun --> [ring 0: Switcher --> ring 1/3 guest --> Switcher] --> finishGuestRun --> archHandleTrap
 */
import { Cr4 } from "../../x86";
import {
  Gdt,
  GUEST_CS,
  GUEST_DS,
  GUEST_PL,
  HOST_CS,
  LGUEST_CS,
  LGUEST_DS,
  LGUEST_TRAP_ENTRY,
  lguestPages,
  NO_TRAP,
  Regs,
  STATE_OFFSET,
  State,
  SWITCHER_ADDRESS,
  TSS_SIZE,
  Tss,
} from "../switcher/layout";
import { getUser32, type LguestModule, lgread, lguestAddressOk, lgwrite, pagesPhysical } from "./core";
import { Errno } from "./errno";
import { Changed, type Vcpu } from "./guest";
import {
  DEFAULT_IDT_ENTRIES,
  HOST_GDT_ADDITIONS,
  type HostKernel,
  LGUEST_ENTRY,
  PAGE_OFFSET,
  SWITCHER_LINK,
} from "./host-kernel";
import { Hcall, type HcallArgs } from "./hypercalls";
import {
  checkSyscallVector,
  copyTraps,
  deliverTrap,
  loadGuestIdtEntry,
  SYSCALL_VECTOR,
  setupDefaultIdtEntries,
  writeData,
} from "./interrupts-and-traps";
import { killText } from "./kill";
import { demandPage, guestPa, guestPagetableClearAll, mapSwitcherInGuest } from "./page-tables";
import {
  copyGdt,
  copyGdtTls,
  guestLoadTls,
  loadGuestGdtEntry,
  setupDefaultGdtEntries,
  setupGuestGdt,
} from "./segments";

/** Distance from the Switcher as linked to the copy that runs, wrapping at 32 bits. */
export function switcherOffset(): number {
  return (SWITCHER_ADDRESS - (PAGE_OFFSET + SWITCHER_LINK)) >>> 0;
}

// -- entering and leaving -----------------------------------------------------------------------------------------------------

/** copy_in_guest_info: brings this CPU's struct lguest_pages up to date. */
export function copyInGuestInfo(cpu: Vcpu, hostCpu: number): void {
  const { module } = cpu.guest;
  const { kernel } = module;
  const pages = lguestPages(hostCpu);
  const { state } = pagesPhysical(module, hostCpu);
  if (module.lastCpu[hostCpu] !== cpu || cpu.lastPages !== pages) {
    module.lastCpu[hostCpu] = cpu;
    cpu.lastPages = pages;
    cpu.changed = Changed.ALL;
  }
  kernel.write32(state + State.hostCr3, kernel.pageDirectory);
  mapSwitcherInGuest(cpu, hostCpu);
  kernel.write32(state + State.guestTss + Tss.sp1, cpu.esp1);
  kernel.write32(state + State.guestTss + Tss.ss1, cpu.ss1);
  if (cpu.changed & Changed.IDT) copyTraps(cpu, state);
  if (cpu.changed & Changed.GDT) copyGdt(cpu, state);
  else if (cpu.changed & Changed.GDT_TLS) copyGdtTls(cpu, state);
  cpu.changed = 0;
}

/** run_guest_once, up to the far call: when the processor runs next, it goes through the Switcher into the guest. */
export function runGuestOnce(cpu: Vcpu, hostCpu: number): void {
  copyInGuestInfo(cpu, hostCpu);
  cpu.setReg(Regs.trapnum, NO_TRAP);
  cpu.guest.module.kernel.seatForGuest(lguestPages(hostCpu), cpu.guest.pgdirs[cpu.cpuPgd].pgdir);
}

/** lguest_arch_run_guest, first half. Interrupts are off. */
export function prepareGuestRun(cpu: Vcpu): void {
  const { kernel } = cpu.guest.module;
  if (cpu.ts !== 0) kernel.giveUpFpu();
  // SYSENTER always enters ring 0, so it must not work.
  if (kernel.features.hasSep) kernel.setSysenterCs(0);
  runGuestOnce(cpu, kernel.currentCpu);
}
/** lguest_arch_run_guest, second half: what must be saved before interrupts are on again. */
export function finishGuestRun(cpu: Vcpu): void {
  const { kernel } = cpu.guest.module;
  if (kernel.features.hasSep) kernel.setSysenterCs(HOST_CS);
  const trap = cpu.reg(Regs.trapnum);
  if (trap === 14) cpu.lastPagefault = kernel.machine.cpu.cr2;
  else if (trap === 7) kernel.restoreFpu();
}

// -- instructions that trap ----------------------------------------------------------------------------------------------------

/** A byte of the guest's code, `offset` bytes after the one at guest-physical `first` and linear `eip`. */
function codeByte(cpu: Vcpu, first: number, eip: number, offset: number): number {
  const isContiguous = offset === 0 || cpu.guest.module.generation.fetchesPhysically;
  return lgread(cpu.guest, isContiguous ? first + offset : guestPa(cpu, (eip + offset) >>> 0), 1)[0];
}

const PREFIX_OPERAND_SIZE = 0x66;
const CLI = 0xfa;
/** Opcode without its lowest bit, which says "not a byte". */
const IN_IMMEDIATE = 0xe4;
const IN_DX = 0xec;
const OUT_IMMEDIATE = 0xe6;
const OUT_DX = 0xee;

/**
 * emulate_insn: port input and output at ring 1, of a machine that has no ports: reads give ones, writes vanish. True if it was that.
 * The address is translated before anything else is asked, so an EIP that the guest does not map kills.
 */
export function emulateInsn(cpu: Vcpu): boolean {
  const { generation } = cpu.guest.module;
  const eip = cpu.reg(Regs.eip);
  const physical = guestPa(cpu, eip);
  if ((cpu.reg(Regs.cs) & 3) !== GUEST_PL) return false;
  let length = 0;
  let opcode = codeByte(cpu, physical, eip, 0);
  const hasPrefix = opcode === PREFIX_OPERAND_SIZE;
  if (hasPrefix) opcode = codeByte(cpu, physical, eip, ++length);
  if (opcode === CLI && !hasPrefix && generation.skipsCli) {
    cpu.setReg(Regs.eip, eip + 1);
    cpu.note("emulated", "cli");
    return true;
  }
  const kind = opcode & 0xfe;
  const isImmediate = kind === IN_IMMEDIATE || kind === OUT_IMMEDIATE;
  const isIn = kind === IN_IMMEDIATE || kind === IN_DX;
  if (!isIn && !isImmediate && kind !== OUT_DX) return false;
  if (cpu.event !== null) {
    const port = isImmediate ? (getUser32(cpu.guest, physical + length + 1) ?? 0) & 0xff : cpu.reg(Regs.edx) & 0xffff;
    cpu.note("emulated", `${isIn ? "in" : "out"} 0x${port.toString(16)}`);
  }
  length += isImmediate ? 2 : 1;
  if (isIn) cpu.setReg(Regs.eax, cpu.reg(Regs.eax) | onesRead((opcode & 1) === 0, hasPrefix, generation.widensIn));
  cpu.setReg(Regs.eip, eip + length);
  return true;
}
/** Which bits of EAX an IN sets. Real 2.6.32 hosts set too many. */
function onesRead(isByte: boolean, hasPrefix: boolean, isWidened: boolean): number {
  if (isWidened) return isByte ? (hasPrefix ? 0xffff0000 : 0xffff) : 0xffffffff;
  return isByte ? 0xff : hasPrefix ? 0xffff : 0xffffffff;
}

const VMCALL = [0x0f, 0x01, 0xc1] as const;
/** INT 0x1F; NOP. */
const PATCHED_VMCALL = [0xcd, LGUEST_TRAP_ENTRY, 0x90] as const;

/** is_hypercall: VMCALL at ring 1. */
export function isHypercall(cpu: Vcpu): boolean {
  if ((cpu.reg(Regs.cs) & 3) !== GUEST_PL) return false;
  const eip = cpu.reg(Regs.eip);
  const physical = guestPa(cpu, eip);
  if (cpu.guest.module.generation.fetchesPhysically) {
    const bytes = lgread(cpu.guest, physical, VMCALL.length);
    return VMCALL.every((byte, i) => bytes[i] === byte);
  }
  return VMCALL.every((byte, i) => codeByte(cpu, physical, eip, i) === byte);
}
/** rewrite_hypercall: from now on this call site is an INT. EIP stays, so it is made at once. */
export function rewriteHypercall(cpu: Vcpu): void {
  const eip = cpu.reg(Regs.eip);
  const physical = guestPa(cpu, eip);
  if (cpu.guest.module.generation.fetchesPhysically) lgwrite(cpu.guest, physical, PATCHED_VMCALL);
  else for (const [i, byte] of PATCHED_VMCALL.entries()) lgwrite(cpu.guest, guestPa(cpu, (eip + i) >>> 0), [byte]);
  // The launcher may have another page now.
  guestPagetableClearAll(cpu);
}

// -- traps -------------------------------------------------------------------------------------------------------------------------

/** lguest_arch_handle_trap: why the guest came out, and what to do about it. Interrupts are on. */
export function archHandleTrap(cpu: Vcpu): void {
  const { guest } = cpu;
  const trap = cpu.reg(Regs.trapnum);
  const errorCode = cpu.reg(Regs.errcode);
  switch (trap) {
    case 13:
      if (errorCode === 0 && emulateInsn(cpu)) return;
      if (tryHypercall(cpu)) return;
      break;
    case 6:
      if (tryHypercall(cpu)) return;
      break;
    case 14:
      if (demandPage(cpu, cpu.lastPagefault, errorCode)) {
        cpu.note("demand-paged", errorCode & 2 ? "shadow filled for writing" : "shadow filled for reading");
        return;
      }
      if (!writeData(cpu, guest.module.generation.data.cr2, cpu.lastPagefault)) guest.kill(killText.writingCr2());
      break;
    case 7:
      if (cpu.ts === 0) {
        cpu.note("ignored", "FPU state restored");
        return;
      }
      break;
    case LGUEST_TRAP_ENTRY:
      cpu.hcall = true;
      cpu.note("hypercall");
      return;
    default:
      if (trap >= 32 && trap <= 255 && !(trap === SYSCALL_VECTOR && !guest.module.generation.swallowsSyscallGate)) {
        guest.module.reschedule();
        if (trap === SYSCALL_VECTOR) cpu.note("ignored", "lost: the gate of the system call is an interrupt gate");
        else cpu.note(null, "an interrupt of the host");
        return;
      }
  }
  if (deliverTrap(cpu, trap)) {
    cpu.note("reflected");
    return;
  }
  guest.kill(killText.unhandledTrap(trap, cpu.reg(Regs.eip), trap === 14 ? cpu.lastPagefault : errorCode));
}

function tryHypercall(cpu: Vcpu): boolean {
  if (!isHypercall(cpu)) return false;
  rewriteHypercall(cpu);
  cpu.note("rewritten", "VMCALL is INT 0x1F now");
  return true;
}

// -- hypercalls of this architecture -----------------------------------------------------------------------------------------------

/** lguest_arch_do_hcall: 0, or -EIO for a number that is none. */
export function archDoHcall(cpu: Vcpu, args: HcallArgs): number {
  switch (args.arg0) {
    case Hcall.LOAD_GDT_ENTRY:
      loadGuestGdtEntry(cpu, args.arg1, args.arg2, args.arg3);
      return 0;
    case Hcall.LOAD_IDT_ENTRY:
      loadGuestIdtEntry(cpu, args.arg1, args.arg2, args.arg3);
      return 0;
    case Hcall.LOAD_TLS:
      guestLoadTls(cpu, args.arg1);
      return 0;
    default:
      return Errno.EIO;
  }
}

/** lguest_arch_init_hypercalls: 0 or -EFAULT. A bad system call vector kills and is no error. */
export function archInitHypercalls(cpu: Vcpu, address: number): number {
  const { guest } = cpu;
  const { kernel, generation, options } = guest.module;
  if (!lguestAddressOk(guest, address, generation.data.size)) return Errno.EFAULT;
  guest.lguestData = address;
  if (!writeData(cpu, generation.data.tscKhz, kernel.features.hasStableTsc ? options.tscKhz : 0)) return Errno.EFAULT;
  if (!checkSyscallVector(cpu)) guest.kill(killText.badSyscallVector());
  return 0;
}

/** lguest_arch_setup_regs: how a guest starts. Its register page is zeroed already. */
export function archSetupRegs(cpu: Vcpu, start: number): void {
  for (const segment of [Regs.ds, Regs.es, Regs.ss]) cpu.setReg(segment, GUEST_DS);
  cpu.setReg(Regs.cs, GUEST_CS);
  cpu.setReg(Regs.eflags, 0x202);
  cpu.setReg(Regs.eip, start);
  setupGuestGdt(cpu);
}

// -- loading and unloading the module ---------------------------------------------------------------------------------------------------

/** adjust_pge: CR4.PGE of one CPU. */
export function adjustPge(kernel: HostKernel, hostCpu: number, on: boolean): void {
  if (on) kernel.cr4[hostCpu] |= Cr4.PGE;
  else kernel.cr4[hostCpu] &= ~Cr4.PGE;
}

/** lguest_arch_host_init: every CPU's shared pages, its GDT, and no global pages from now on. */
export function archHostInit(module: LguestModule): number {
  const { kernel } = module;
  const offset = switcherOffset();
  for (let i = 0; i < 256; i++)
    kernel.write32(DEFAULT_IDT_ENTRIES + 4 * i, kernel.read32(DEFAULT_IDT_ENTRIES + 4 * i) + offset);
  for (let cpu = 0; cpu < kernel.cpuCount; cpu++) {
    setupState(module, cpu);
    for (const { index, low, high } of HOST_GDT_ADDITIONS)
      kernel.writeDescriptor(kernel.gdtOf(cpu) + index * 8, low, high);
  }
  const entry = kernel.switcher.code.symbols.get("switch_to_guest") as number;
  kernel.write32(LGUEST_ENTRY, entry + offset);
  kernel.write32(LGUEST_ENTRY + 4, LGUEST_CS);
  if (kernel.features.hasPge) {
    module.cpuHadPge = true;
    for (let cpu = 0; cpu < kernel.cpuCount; cpu++) adjustPge(kernel, cpu, false);
    kernel.features.hasPge = false;
  }
  return 0;
}
function setupState(module: LguestModule, hostCpu: number): void {
  const { kernel } = module;
  const { state } = pagesPhysical(module, hostCpu);
  const linear = lguestPages(hostCpu) + STATE_OFFSET;
  const descriptor = (offset: number, limit: number, base: number): void => {
    kernel.machine.cpu.writePhysical(state + offset, 2, limit);
    kernel.write32(state + offset + 2, base);
  };
  descriptor(State.hostGdtDescriptor, 0xff, PAGE_OFFSET + kernel.gdtOf(hostCpu));
  descriptor(State.hostIdtDescriptor, kernel.idtDescriptor.limit, kernel.idtDescriptor.base);
  descriptor(State.guestIdtDescriptor, 0x7ff, linear + State.guestIdt);
  descriptor(State.guestGdtDescriptor, 0xff, linear + State.guestGdt);
  const tss = state + State.guestTss;
  // The stack for a trap is the end of struct lguest_regs, which is where this page begins.
  kernel.write32(tss + Tss.sp0, linear);
  kernel.write32(tss + Tss.ss0, LGUEST_DS);
  // A bitmap beyond the limit is none: every port faults.
  kernel.machine.cpu.writePhysical(tss + Tss.ioBitmapBase, 2, TSS_SIZE);
  setupDefaultGdtEntries(kernel, state, linear + State.guestTss);
  setupDefaultIdtEntries(kernel, state);
}

/** lguest_arch_host_fini: global pages again, if the host had them. The capability first, then the CPUs. */
export function archHostFini(module: LguestModule): void {
  if (!module.cpuHadPge) return;
  const { kernel } = module;
  kernel.features.hasPge = true;
  for (let cpu = 0; cpu < kernel.cpuCount; cpu++) adjustPge(kernel, cpu, true);
}

/** Roles of GDT entries, for views. */
export const GDT_ROLES: Readonly<Record<number, string>> = {
  6: "TLS 1",
  7: "TLS 2",
  8: "TLS 3",
  [Gdt.LGUEST_CS]: "Switcher code",
  [Gdt.LGUEST_DS]: "Switcher data",
  [Gdt.KERNEL_CS]: "kernel code",
  [Gdt.KERNEL_DS]: "kernel data",
  [Gdt.USER_CS]: "user code",
  [Gdt.USER_DS]: "user data",
  [Gdt.TSS]: "TSS",
  [Gdt.LDT]: "LDT",
  18: "PnP BIOS",
  19: "PnP BIOS",
  20: "PnP BIOS",
  21: "PnP BIOS",
  22: "PnP BIOS",
  23: "APM BIOS",
  24: "APM BIOS",
  25: "APM BIOS",
  26: "ESPFIX stack",
  27: "per-CPU data",
  28: "stack canary",
  [Gdt.DOUBLE_FAULT_TSS]: "double-fault TSS",
};
