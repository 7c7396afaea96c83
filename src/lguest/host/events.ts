/**
 * What observers are told: one record for each thing that happens between guest and host, made only when somebody watches. Counts
 * (statistics) are kept always, as plain numbers.
 *
 * Times are those of the guest: an exit is dated at the instruction that trapped, an entry at the guest's next one, so the Switcher's own
 * instructions, which are always the same ones, count as the cost of the trap.
 */
import type { GuestEvent, GuestEventKind, GuestRegisters, HypercallEvent } from "../api";
import { hasErrorCode, LGUEST_TRAP_ENTRY, NO_TRAP, Regs } from "../switcher/layout";
import { HOST_TIMER_VECTOR } from "./core";
import { FIRST_EXTERNAL_VECTOR } from "./generation";
import type { Vcpu } from "./guest";
import type { HostKernel } from "./host-kernel";
import { type HcallArgs, hypercallArguments, hypercallName } from "./hypercalls";
import { SYSCALL_VECTOR } from "./interrupts-and-traps";

const EXCEPTIONS = [
  "#DE",
  "#DB",
  "NMI",
  "#BP",
  "#OF",
  "#BR",
  "#UD",
  "#NM",
  "#DF",
  "coprocessor",
  "#TS",
  "#NP",
  "#SS",
  "#GP",
  "#PF",
  "reserved",
  "#MF",
  "#AC",
  "#MC",
  "#XM",
];

/** What a vector is called in logs and views; undefined when it has no name. */
export function vectorName(vector: number): string | undefined {
  if (vector < EXCEPTIONS.length) return EXCEPTIONS[vector];
  if (vector === LGUEST_TRAP_ENTRY) return "hypercall";
  if (vector === HOST_TIMER_VECTOR) return "host timer";
  if (vector === SYSCALL_VECTOR) return "int 0x80";
  if (vector === NO_TRAP) return "fault in the Switcher";
  return undefined;
}

/** The guest's registers as the Switcher saved them. */
export function savedRegisters(cpu: Vcpu): GuestRegisters {
  return {
    eax: cpu.reg(Regs.eax),
    ebx: cpu.reg(Regs.ebx),
    ecx: cpu.reg(Regs.ecx),
    edx: cpu.reg(Regs.edx),
    esi: cpu.reg(Regs.esi),
    edi: cpu.reg(Regs.edi),
    ebp: cpu.reg(Regs.ebp),
    esp: cpu.reg(Regs.esp),
    eip: cpu.reg(Regs.eip),
    eflags: cpu.reg(Regs.eflags),
    cs: cpu.reg(Regs.cs),
    ss: cpu.reg(Regs.ss),
    ds: cpu.reg(Regs.ds),
    es: cpu.reg(Regs.es),
    fs: cpu.reg(Regs.fs),
    gs: cpu.reg(Regs.gs),
  };
}

export interface EventDetails {
  readonly vector: number;
  readonly name: string;
  readonly errorCode?: number;
  readonly cr2?: number;
  readonly hypercall?: HypercallEvent;
  readonly irq?: number;
  readonly reason?: string;
}

export function makeEvent(
  kind: GuestEventKind,
  instructionCount: number,
  registers: GuestRegisters,
  details: EventDetails,
): GuestEvent {
  const cpl = registers.cs & 3;
  return {
    kind,
    instructionCount,
    world: cpl === 3 ? "user" : "guest",
    cpl,
    eip: registers.eip,
    registers,
    ...details,
    outcome: undefined,
    detail: "",
    cost: null,
  };
}

export function describeHypercall(args: HcallArgs, isAsync: boolean): HypercallEvent {
  return { number: args.arg0, name: hypercallName(args.arg0), args: hypercallArguments(args), async: isAsync };
}

/** What the trap that the registers page tells of is. */
export function describeTrap(cpu: Vcpu, hypercall: HypercallEvent | undefined): EventDetails {
  const vector = cpu.reg(Regs.trapnum);
  return {
    vector,
    name: hypercall?.name ?? vectorName(vector) ?? `vector ${vector}`,
    ...(hasErrorCode(vector) ? { errorCode: cpu.reg(Regs.errcode) } : {}),
    ...(vector === 14 ? { cr2: cpu.lastPagefault } : {}),
    ...(hypercall ? { hypercall } : {}),
  };
}
export function describeInterrupt(irq: number, owner: string | undefined): EventDetails {
  return {
    vector: FIRST_EXTERNAL_VECTOR + irq,
    irq,
    name: owner === undefined ? `IRQ ${irq}` : `IRQ ${irq} (${owner})`,
  };
}

/** How many instructions the ring-0 paths take, counted in their listings once. */
export class SwitchCosts {
  /** From the host's entry code to the guest's first instruction. */
  readonly entry: number;
  private readonly toHost: number;
  private readonly toHandler: number;
  private readonly gate: number;

  constructor(kernel: HostKernel) {
    const { code } = kernel.switcher;
    this.entry =
      countInstructions(kernel.code.listing, "run_guest_once", "call far") +
      countInstructions(code.listing, "switch_to_guest", "iretd");
    this.toHost = countInstructions(code.listing, "return_to_host", "iretd");
    this.toHandler =
      countInstructions(code.listing, "deliver_to_host", "jmp eax") +
      countInstructions(kernel.code.listing, "host_interrupt", "iretd");
    this.gate = countInstructions(kernel.code.listing, "guest_left", "out");
  }

  /** From the trap to the gate. */
  exit(trap: number): number {
    const stub = hasErrorCode(trap) ? 2 : 3;
    const isInterrupt = trap >= 32 && trap !== SYSCALL_VECTOR && trap < NO_TRAP;
    return stub + (isInterrupt ? this.toHandler : this.toHost) + this.gate;
  }
}
function countInstructions(
  listing: readonly { readonly bytes: readonly number[]; readonly text: string }[],
  from: string,
  last: string,
): number {
  let count = 0;
  for (const line of listing.slice(listing.findIndex(({ text }) => text === `${from}:`))) {
    if (line.bytes.length > 0 && !line.text.startsWith("align")) count++;
    if (line.text.startsWith(last)) return count;
  }
  throw new Error(`${from} has no ${last}`);
}

/** Plain counters. */
export class Statistics {
  worldSwitches = 0;
  readonly traps: Record<number, number> = {};
  readonly hypercalls: Record<string, { sync: number; async: number }> = {};
  readonly interrupts: Record<number, number> = {};
  readonly direct: Record<number, number> = {};

  countTrap(vector: number): void {
    this.traps[vector] = (this.traps[vector] ?? 0) + 1;
  }
  countHypercall(number: number, isAsync: boolean): void {
    const name = hypercallName(number);
    // A guest that dies of unknown numbers cannot fill this: each kills.
    const counts = (this.hypercalls[name] ??= { sync: 0, async: 0 });
    if (isAsync) counts.async++;
    else counts.sync++;
  }
  countInterrupt(irq: number): void {
    this.interrupts[irq] = (this.interrupts[irq] ?? 0) + 1;
  }
}
