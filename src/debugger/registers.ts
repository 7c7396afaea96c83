/*
 * Every register and every word of the hypervisor's state that has a name, as cells: how to read it, whether and how it
 * can be changed, and to which group of the Registers view it belongs. One list serves expressions, scopes, views and
 * `info registers`.
 *
 * While the host or the Switcher runs, the guest's registers are those that the Switcher saved. SDM Vol. 3, chapter 2.
 */
import { hex } from "../base";
import type { GuestRegisters, VirtualMachineInterface } from "../lguest";
import { Seg, StateLayout } from "../x86";
import { badRegisterValue } from "./errors";
import type { Cell } from "./expressions";
import { decodeDescriptor } from "./inspection/descriptors";
import { definedBits } from "./inspection/flag-fields";

export type RegisterGroupId = "general" | "flags" | "segments" | "believes" | "control" | "system" | "debug" | "msr";

export interface RegisterCell extends Cell {
  readonly group: RegisterGroupId;
  readonly bits: number;
  /** The value points at code or data. */
  readonly isAddress?: boolean;
}

const GENERAL = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "eip"] as const;
const CPU_INDEX: Readonly<Record<string, number>> = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };
export const SEGMENT_REGISTERS = ["cs", "ss", "ds", "es", "fs", "gs"] as const;
const SEGMENT_INDEX = { cs: Seg.CS, ss: Seg.SS, ds: Seg.DS, es: Seg.ES, fs: Seg.FS, gs: Seg.GS } as const;
const HOSTS = "the host sets it at each entry into the guest";

export class Registers {
  private readonly cells = new Map<string, RegisterCell>();

  constructor(readonly vm: VirtualMachineInterface) {
    for (const cell of this.build()) this.cells.set(cell.name, cell);
  }

  /** All of them, in the order of the view. */
  all(): readonly RegisterCell[] {
    return [...this.cells.values()];
  }

  /** By name, in any case, with the parts of the general registers (`ax`, `al`, `ah`). */
  find(name: string): RegisterCell | undefined {
    const plain = name.toLowerCase();
    const alias = { pc: "eip", sp: "esp", fp: "ebp", ip: "eip", flags: "eflags" }[plain] ?? plain;
    return this.cells.get(alias) ?? this.part(alias);
  }

  /** True while the processor's registers are not the guest's. */
  get isProcessorOnly(): boolean {
    return this.vm.world === "switcher";
  }

  /** General registers, flags and selectors of what runs: the guest's, or in the Switcher the processor's. */
  current(): GuestRegisters {
    if (!this.isProcessorOnly) return this.vm.guestRegisters();
    const { cpu } = this.vm.machine;
    const r = (name: string): number => cpu.reg(CPU_INDEX[name]);
    const s = (name: keyof typeof SEGMENT_INDEX): number => cpu.selector(SEGMENT_INDEX[name]);
    return {
      eax: r("eax"),
      ebx: r("ebx"),
      ecx: r("ecx"),
      edx: r("edx"),
      esi: r("esi"),
      edi: r("edi"),
      ebp: r("ebp"),
      esp: r("esp"),
      eip: cpu.eip,
      eflags: cpu.eflags,
      cs: s("cs"),
      ss: s("ss"),
      ds: s("ds"),
      es: s("es"),
      fs: s("fs"),
      gs: s("gs"),
    };
  }

  /** Ring of what runs; 0 while the host is about to act. */
  get ring(): 0 | 1 | 2 | 3 {
    return this.vm.world === "host" ? 0 : (this.vm.machine.cpu.cpl as 0 | 1 | 2 | 3);
  }

  private build(): RegisterCell[] {
    const { vm } = this;
    const { cpu } = vm.machine;
    const cells: RegisterCell[] = [];
    for (const name of GENERAL) {
      cells.push({
        name,
        group: "general",
        bits: 32,
        isAddress: name === "eip" || name === "esp" || name === "ebp",
        get: () => BigInt(this.current()[name] >>> 0),
        set: (value) => this.setCurrent(name, checked(name, value, 32)),
      });
    }
    cells.push({
      name: "eflags",
      group: "flags",
      bits: 32,
      get: () => BigInt(this.current().eflags >>> 0),
      set: (value) => this.setCurrent("eflags", checkedFlags(checked("eflags", value, 32), this.current().eflags)),
    });
    for (const name of SEGMENT_REGISTERS) {
      cells.push({
        name,
        group: "segments",
        bits: 16,
        get: () => BigInt(this.current()[name] & 0xffff),
        set: (value) => this.setCurrent(name, this.checkedSelector(name, checked(name, value, 16))),
      });
    }
    cells.push(...this.beliefs());
    const fixed = (name: string, group: RegisterGroupId, get: () => number, bits = 32): void => {
      cells.push({ name, group, bits, get: () => BigInt(get() >>> 0), readOnly: HOSTS });
    };
    fixed("cr0", "control", () => cpu.cr0);
    fixed("cr2", "control", () => cpu.cr2);
    fixed("cr3", "control", () => cpu.cr3);
    fixed("cr4", "control", () => cpu.cr4);
    fixed("gdtr", "system", () => cpu.word(StateLayout.GDTR_BASE));
    fixed("gdtr_limit", "system", () => cpu.word(StateLayout.GDTR_LIMIT), 16);
    fixed("idtr", "system", () => cpu.word(StateLayout.IDTR_BASE));
    fixed("idtr_limit", "system", () => cpu.word(StateLayout.IDTR_LIMIT), 16);
    fixed("tr", "system", () => cpu.selector(Seg.TR), 16);
    fixed("ldtr", "system", () => cpu.selector(Seg.LDTR), 16);
    for (const index of [0, 1, 2, 3, 6, 7]) {
      fixed(`dr${index}`, "debug", () => cpu.word(StateLayout.DEBUG_REGISTERS + index * 4));
    }
    fixed("sysenter_cs", "msr", () => cpu.word(StateLayout.MSR_SYSENTER_CS));
    fixed("sysenter_esp", "msr", () => cpu.word(StateLayout.MSR_SYSENTER_ESP));
    fixed("sysenter_eip", "msr", () => cpu.word(StateLayout.MSR_SYSENTER_EIP));
    cells.push({
      name: "icount",
      group: "system",
      bits: 64,
      get: () => BigInt(vm.instructionCount),
      readOnly: "it is the machine's clock",
    });
    cells.push({ name: "cpl", group: "system", bits: 2, get: () => BigInt(this.ring), readOnly: "it follows CS" });
    return cells;
  }

  /** What the guest believes, or has told the host. */
  private beliefs(): RegisterCell[] {
    const { vm } = this;
    const belief = (
      name: string,
      get: () => number,
      set?: Parameters<VirtualMachineInterface["setBelief"]>[0],
      bits = 32,
    ): RegisterCell => ({
      name,
      group: "believes",
      bits,
      isAddress: name === "esp1",
      get: () => BigInt(get() >>> 0),
      ...(set === undefined
        ? { readOnly: "the guest says it by a hypercall" }
        : {
            set: (value: bigint) => {
              const number = checked(name, value, bits);
              if (set === "irq_enabled" && number !== 0 && number !== 0x200)
                throw badRegisterValue(name, "it is 0 (off) or 0x200 (on)");
              if (set === "ss1" && (number & 3) !== 1) throw badRegisterValue(name, "the selector must have ring 1");
              if (!vm.setBelief(set, number))
                throw badRegisterValue(name, "there is no lguest_data before LGUEST_INIT");
            },
          }),
    });
    const state = () => vm.state();
    return [
      belief("irq_enabled", () => state().irqEnabled, "irq_enabled"),
      belief("irq_pending", () => state().irqPending),
      belief("blocked_interrupts", () => state().blockedInterrupts, "blocked_interrupts"),
      belief("pending_interrupts", () => state().pendingInterrupts),
      belief("guest_cr2", () => state().guestCr2, "cr2"),
      belief("guest_cr3", () => state().slots[state().currentSlot]?.guestTable ?? 0),
      belief("slot", () => state().currentSlot, undefined, 2),
      belief("esp1", () => state().stack.esp1, "esp1"),
      belief("ss1", () => state().stack.ss1, "ss1", 16),
      belief("ts", () => (state().ts ? 1 : 0), "ts", 1),
      belief("kernel_address", () => state().kernelAddress ?? 0),
      belief("lguest_data", () => state().lguestData ?? 0),
    ];
  }

  private setCurrent(name: keyof GuestRegisters, value: number): void {
    if (this.isProcessorOnly) throw badRegisterValue(name, "the Switcher is running; its registers are left alone");
    this.vm.setGuestRegister(name, value);
  }

  private checkedSelector(name: keyof typeof SEGMENT_INDEX, selector: number): number {
    if ((selector & ~3) === 0) {
      if (name === "cs" || name === "ss") throw badRegisterValue(name, "the null selector cannot be loaded here");
      return selector;
    }
    if (selector & 4) throw badRegisterValue(name, "a guest has no LDT");
    const gdt = this.vm.gdt();
    const row = gdt.entries[selector >>> 3];
    if (row === undefined || (selector | 7) > gdt.limit)
      throw badRegisterValue(name, `selector ${hex(selector, 4)} is beyond the GDT's limit`);
    const descriptor = decodeDescriptor(row.cpu.low, row.cpu.high);
    const isCode = descriptor.kind === "code";
    if (!descriptor.present) throw badRegisterValue(name, `GDT entry ${selector >>> 3} is not present`);
    if (name === "cs" ? !isCode : isCode ? !descriptor.isReadable : descriptor.kind !== "data") {
      throw badRegisterValue(name, `GDT entry ${selector >>> 3} is a ${descriptor.kind} descriptor`);
    }
    if (name === "ss" && !descriptor.isWritable) throw badRegisterValue(name, "a stack must be writable");
    const ring = this.current().cs & 3;
    if ((name === "cs" || name === "ss") && ((selector & 3) !== ring || descriptor.dpl !== ring)) {
      throw badRegisterValue(name, `it must stay at ring ${ring}`);
    }
    return selector;
  }

  /** `ax`, `al`, `ah` and their like. */
  private part(name: string): RegisterCell | undefined {
    const match = /^(?:([abcd])([xlh])|(si|di|bp|sp))$/.exec(name);
    if (match === null) return undefined;
    const whole = this.cells.get(match[3] ? `e${match[3]}` : `e${match[1]}x`)!;
    const [shift, bits] = match[2] === "h" ? [8n, 8] : match[2] === "l" ? [0n, 8] : [0n, 16];
    const mask = ((1n << BigInt(bits)) - 1n) << shift;
    return {
      name,
      group: "general",
      bits,
      get: () => (whole.get() & mask) >> shift,
      set: (value) => whole.set!((whole.get() & ~mask) | (BigInt(checked(name, value, bits)) << shift)),
    };
  }
}

function checked(name: string, value: bigint, bits: number): number {
  const limit = 1n << BigInt(bits);
  if (value >= limit || value < -(limit >> 1n)) throw badRegisterValue(name, `${value} does not fit ${bits} bits`);
  return Number(BigInt.asUintN(bits, value));
}

function checkedFlags(value: number, old: number): number {
  const reserved = value & ~(definedBits("EFLAGS") | 2);
  if (reserved !== 0) throw badRegisterValue("eflags", `bits ${hex(reserved)} are reserved`);
  if (!(value & 2)) throw badRegisterValue("eflags", "bit 1 is always set");
  if ((value ^ old) & 0x200)
    throw badRegisterValue(
      "eflags",
      "the real IF is the host's and always on; set irq_enabled for what the guest believes",
    );
  if (value & 0x3000) throw badRegisterValue("eflags", "IOPL must be 0, or the guest could switch interrupts off");
  if (value & 0x20000) throw badRegisterValue("eflags", "a guest has no virtual-8086 mode");
  return value;
}
