/**
 * Hypercalls: what the guest asks of the host in so many words. A direct one is a trap with its arguments in registers; others wait in a
 * ring in the guest's memory and are done before the next direct one. A hypercall returns nothing; a bad one kills.
 */
import { Regs } from "../switcher/layout";
import { getUser32, lgread } from "./core";
import type { Vcpu } from "./guest";
import { guestSetClockevent, guestSetStack, writeData } from "./interrupts-and-traps";
import { killText } from "./kill";
import {
  guestNewPagetable,
  guestPagetableClearAll,
  guestPagetableFlushUser,
  guestSetPgd,
  guestSetPte,
  pageTableGuestDataInit,
} from "./page-tables";
import { archDoHcall, archInitHypercalls } from "./x86-core";

/** Numbers. */
export const Hcall = {
  FLUSH_ASYNC: 0,
  LGUEST_INIT: 1,
  SHUTDOWN: 2,
  NEW_PGTABLE: 4,
  FLUSH_TLB: 5,
  LOAD_IDT_ENTRY: 6,
  SET_STACK: 7,
  TS: 8,
  SET_CLOCKEVENT: 9,
  HALT: 10,
  SET_PTE: 14,
  SET_PGD: 15,
  LOAD_TLS: 16,
  NOTIFY: 17,
  LOAD_GDT_ENTRY: 18,
  SEND_INTERRUPTS: 19,
} as const;

/** How many arguments each takes. */
const ARGUMENTS: Readonly<Record<number, number>> = {
  0: 0,
  1: 1,
  2: 2,
  4: 1,
  5: 1,
  6: 3,
  7: 3,
  8: 1,
  9: 1,
  10: 0,
  14: 3,
  15: 2,
  16: 1,
  17: 1,
  18: 3,
  19: 0,
};
const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(Hcall).map(([name, number]) => [number, name]));

/** "SET_PTE"; "hypercall 99" for a number that is none. */
export function hypercallName(number: number): string {
  return NAMES.get(number) ?? `hypercall ${number | 0}`;
}
/** As many of the four possible arguments as the call takes; all of an unknown call. */
export function hypercallArguments(args: HcallArgs): number[] {
  return [args.arg1, args.arg2, args.arg3, args.arg4].slice(0, ARGUMENTS[args.arg0] ?? 4);
}

/** struct hcall_args: EAX, EBX, ECX, EDX, ESI. */
export interface HcallArgs {
  readonly arg0: number;
  readonly arg1: number;
  readonly arg2: number;
  readonly arg3: number;
  readonly arg4: number;
}
/** SHUTDOWN's second argument that means "start again". */
const SHUTDOWN_RESTART = 2;
const SHUTDOWN_MESSAGE_SIZE = 128;
/** Entries of the ring, and the status that means "free". */
export const LHCALL_RING_SIZE = 64;
export const RING_FREE = 0xff;
const HCALL_ARGS_SIZE = 20;

/** Arguments of the direct hypercall. */
export function directArguments(cpu: Vcpu): HcallArgs {
  return {
    arg0: cpu.reg(Regs.eax),
    arg1: cpu.reg(Regs.ebx),
    arg2: cpu.reg(Regs.ecx),
    arg3: cpu.reg(Regs.edx),
    arg4: cpu.reg(Regs.esi),
  };
}

/** do_hcall: executes one. */
export function doHcall(cpu: Vcpu, args: HcallArgs): void {
  const { guest } = cpu;
  switch (args.arg0) {
    case Hcall.FLUSH_ASYNC:
      // Being here was all: the ring has been done.
      break;
    case Hcall.SEND_INTERRUPTS:
      // The loop delivers them before the guest runs again.
      break;
    case Hcall.LGUEST_INIT:
      guest.kill(killText.alreadyInitialised());
      break;
    case Hcall.SHUTDOWN:
      shutdown(cpu, args.arg1, args.arg2);
      break;
    case Hcall.FLUSH_TLB:
      if (args.arg1 !== 0) guestPagetableClearAll(cpu);
      else guestPagetableFlushUser(cpu);
      break;
    case Hcall.NEW_PGTABLE:
      guestNewPagetable(cpu, args.arg1);
      break;
    case Hcall.SET_STACK:
      guestSetStack(cpu, args.arg1, args.arg2, args.arg3);
      break;
    case Hcall.SET_PTE:
      guestSetPte(cpu, args.arg1, args.arg2, args.arg3);
      break;
    case Hcall.SET_PGD:
      guestSetPgd(guest, args.arg1, args.arg2);
      break;
    case Hcall.SET_CLOCKEVENT:
      guestSetClockevent(cpu, args.arg1);
      break;
    case Hcall.TS:
      cpu.ts = args.arg1;
      break;
    case Hcall.HALT:
      cpu.halted = true;
      break;
    case Hcall.NOTIFY:
      cpu.pendingNotify = args.arg1;
      break;
    default:
      if (archDoHcall(cpu, args) < 0) guest.kill(killText.badHypercall(args.arg0));
  }
}

function shutdown(cpu: Vcpu, address: number, reason: number): void {
  const { guest } = cpu;
  const bytes = lgread(guest, address, SHUTDOWN_MESSAGE_SIZE);
  bytes[SHUTDOWN_MESSAGE_SIZE - 1] = 0;
  const message = new TextDecoder("utf-8").decode(bytes.subarray(0, bytes.indexOf(0)));
  guest.shutDown(message);
  // This one replaces whatever reason there was, a bad address included.
  if (reason === SHUTDOWN_RESTART) guest.dead = { kind: "restart", message };
}

/** Guest-physical addresses of a ring entry's status and arguments. */
export function ringEntry(cpu: Vcpu, index: number): { readonly status: number; readonly args: number } {
  const { data } = cpu.guest.module.generation;
  const base = cpu.guest.lguestData as number;
  return { status: base + data.hcallStatus + index, args: base + data.hcalls + index * HCALL_ARGS_SIZE };
}

/** Arguments of a ring entry; null if they cannot be read. */
export function fetchRingArguments(cpu: Vcpu, index: number): HcallArgs | null {
  const at = ringEntry(cpu, index).args;
  const words = [0, 4, 8, 12, 16].map((offset) => getUser32(cpu.guest, at + offset));
  if (words.some((word) => word === null)) return null;
  const [arg0, arg1, arg2, arg3, arg4] = words as number[];
  return { arg0, arg1, arg2, arg3, arg4 };
}

/** initialize: the first hypercall. */
export function initialize(cpu: Vcpu): void {
  const { guest } = cpu;
  const { data } = guest.module.generation;
  const args = directArguments(cpu);
  if (args.arg0 !== Hcall.LGUEST_INIT) {
    guest.kill(killText.hypercallBeforeInit(args.arg0));
    return;
  }
  // The kernel prints the pointer that it has, and it has none yet when the address itself is bad.
  const pointer = (): number | null => (guest.lguestData === null ? null : guest.memBase + guest.lguestData);
  if (archInitHypercalls(cpu, args.arg1) < 0) guest.kill(killText.badGuestPage(pointer()));
  if (guest.lguestData === null) return;
  const [start, end] = [
    getUser32(guest, guest.lguestData + data.noirqStart),
    getUser32(guest, guest.lguestData + data.noirqEnd),
  ];
  if (start === null || end === null) guest.kill(killText.badGuestPage(pointer()));
  guest.noirqStart = start ?? 0;
  guest.noirqEnd = end ?? 0;
  writeTimestamp(cpu);
  pageTableGuestDataInit(cpu);
  guestPagetableClearAll(cpu);
}

/** write_timestamp: the wall clock into lguest_data. */
export function writeTimestamp(cpu: Vcpu): void {
  const { guest } = cpu;
  const { data } = guest.module.generation;
  const { seconds, nanoseconds } = guest.module.options.wallClock();
  if (!writeData(cpu, data.time, seconds) || !writeData(cpu, data.time + 4, nanoseconds))
    guest.kill(killText.writingTimestamp());
}
