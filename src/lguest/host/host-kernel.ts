/**
 * The emulated host: a small ring-0 kernel in physical memory, with real descriptor tables, page tables, stacks and entry code. What
 * would be C in a host kernel is TypeScript; it runs when the entry code writes to the gate port, and starts the processor again
 * at one of two places: run_guest_once (into the Switcher) or interrupt_window (takes hardware interrupts that wait).
 *
 *     physical 0x1000 page directory    0x2000 table of the first 4 MiB    0x3000 table of the Switcher's area    0x4000 IDT, data
 *              0x8000 + n*0x1000 CPU n: GDT, TSS, stack      0x10000 code      0x12000 Switcher as linked      0x20000 free pages
 *
 * Linear = 0xC0000000 + physical for those first 4 MiB. Free pages become shadow tables; guests' RAM lies behind them.
 */
import { HOST_GATE_PORT, type Machine } from "../../machine";
import { Asm, type AssembledCode, Assembler, Cr0, Cr4, StateLayout as L, Pte, Seg } from "../../x86";
import {
  GDT_ENTRIES,
  Gdt,
  HOST_CS,
  HOST_DS,
  IDT_ENTRIES,
  PAGE_SIZE,
  SWITCHER_ADDRESS,
  TSS_SELECTOR,
  TSS_SIZE,
  Tss,
} from "../switcher/layout";
import { assembleSwitcher, type Switcher } from "../switcher/switcher";
import { PageAllocator } from "./page-allocator";

/** Linear address of physical 0 in the host, and in the tables that the host makes for a guest. */
export const PAGE_OFFSET = 0xc0000000;
export const MAX_CPUS = 8;

const PAGE_DIRECTORY = 0x1000;
const LOW_TABLE = 0x2000;
/** Page table of the Switcher's area in the host's address space. */
export const HOST_SWITCHER_TABLE = 0x3000;
const IDT = 0x4000;
/** default_idt_entries: 256 words, data of the Switcher that stays behind when its code is copied. */
export const DEFAULT_IDT_ENTRIES = 0x4800;
/** lguest_entry: the 6-byte far pointer through which the host calls the Switcher. */
export const LGUEST_ENTRY = 0x4c00;
const CPU_PAGES = 0x8000;
const HOST_CODE = 0x10000;
/** Where the Switcher is linked. */
export const SWITCHER_LINK = 0x12000;
const FREE_PAGES = 0x20000;
const TSS_IN_CPU_PAGE = 0x100;

/** Values that the entry code writes to the gate. */
export const GateValue = {
  /** Back from the Switcher. */
  GUEST_LEFT: 1,
  /** Interrupts that waited have been taken. */
  WINDOW_DONE: 2,
  /** + vector: an exception in the host's own code. */
  HOST_EXCEPTION: 0x100,
} as const;

/** Flat descriptors of ring 0, accessed already. */
export const FULL_EXEC_SEGMENT = { low: 0x0000ffff, high: 0x00cf9b00 } as const;
export const FULL_SEGMENT = { low: 0x0000ffff, high: 0x00cf9300 } as const;

export interface HostFeatures {
  /** The host used global pages before the module came. */
  readonly hasPge: boolean;
  /** SYSENTER exists. */
  readonly hasSep: boolean;
  /** The time stamp counter is constant and the host trusts it. */
  readonly hasStableTsc: boolean;
  /** The host switches SSE on, for its programs and so for guests. Absent: not. */
  readonly hasSse?: boolean;
}

export class HostKernel {
  readonly pages: PageAllocator;
  readonly switcher: Switcher;
  readonly code: AssembledCode;
  /** Physical address of the host's page directory. */
  readonly pageDirectory = PAGE_DIRECTORY;
  /** CR4 of each CPU, as the host keeps it. */
  readonly cr4: number[];
  /** What the host says of its boot CPU; the module takes PGE away while it is loaded. */
  readonly features: { hasPge: boolean; readonly hasSep: boolean; readonly hasStableTsc: boolean };
  /** Physical CPU that runs now. */
  currentCpu = 0;
  /** The launcher's FPU registers are in the processor. */
  private ownsFpu = false;
  private readonly savedFpu = new Uint32Array((L.STATE_END - L.FPU_CONTROL) >> 2);

  /** @param hostBytes physical memory of the host itself; the rest of RAM is for guests. */
  constructor(
    readonly machine: Machine,
    readonly cpuCount: number,
    readonly hostBytes: number,
    features: HostFeatures,
  ) {
    if (!(cpuCount >= 1 && cpuCount <= MAX_CPUS)) throw new Error(`a host has 1 to ${MAX_CPUS} CPUs, not ${cpuCount}`);
    this.features = { ...features };
    this.pages = new PageAllocator(machine.cpu, FREE_PAGES, hostBytes);
    const cr4 = (features.hasPge ? Cr4.PGE : 0) | (features.hasSse ? Cr4.OSFXSR | Cr4.OSXMMEXCPT : 0);
    this.cr4 = Array.from({ length: cpuCount }, () => cr4);
    this.code = assembleHostCode();
    this.switcher = assembleSwitcher(PAGE_OFFSET + SWITCHER_LINK);
    this.copyIn(HOST_CODE, this.code.bytes);
    this.copyIn(SWITCHER_LINK, this.switcher.code.bytes);
    for (const [i, address] of this.switcher.defaultIdtEntries.entries())
      this.write32(DEFAULT_IDT_ENTRIES + 4 * i, address);
    this.buildTables();
    this.savedFpu.set(this.fpuState());
    this.switchOn();
  }

  read32(physical: number): number {
    return this.machine.cpu.readPhysical(physical, 4);
  }
  write32(physical: number, value: number): void {
    this.machine.cpu.writePhysical(physical, 4, value);
  }

  /** Physical address of a CPU's GDT, TSS. */
  gdtOf(cpu: number): number {
    return CPU_PAGES + cpu * PAGE_SIZE;
  }
  tssOf(cpu: number): number {
    return CPU_PAGES + cpu * PAGE_SIZE + TSS_IN_CPU_PAGE;
  }
  /** What SIDT gives. */
  get idtDescriptor(): { readonly limit: number; readonly base: number } {
    return { limit: IDT_ENTRIES * 8 - 1, base: PAGE_OFFSET + IDT };
  }

  /** Lets the processor start at run_guest_once: SEED-05's push of EFLAGS and far call, with its two inputs. */
  seatForGuest(pages: number, shadowDirectory: number): void {
    this.seat("run_guest_once", pages, shadowDirectory);
  }
  /** Lets the processor take the interrupts that wait, in the host. */
  seatForInterruptWindow(): void {
    this.seat("interrupt_window", 0, 0);
  }

  setSysenterCs(selector: number): void {
    this.machine.cpu.setWord(L.MSR_SYSENTER_CS, selector);
  }
  /** unlazy_fpu: if the launcher's FPU state is in the processor, save it; then TS is set. */
  giveUpFpu(): void {
    if (!this.ownsFpu) return;
    this.savedFpu.set(this.fpuState());
    this.ownsFpu = false;
    this.setTaskSwitched(true);
  }
  /** math_state_restore: the launcher's FPU state goes into the processor and TS is cleared. */
  restoreFpu(): void {
    this.setTaskSwitched(false);
    if (!this.ownsFpu) this.fpuState().set(this.savedFpu);
    this.ownsFpu = true;
  }
  get isFpuOwned(): boolean {
    return this.ownsFpu;
  }

  private fpuState(): Uint32Array {
    return this.machine.cpu.u32.subarray(L.FPU_CONTROL >> 2, L.STATE_END >> 2);
  }
  private setTaskSwitched(isSet: boolean): void {
    const cpu = this.machine.cpu;
    cpu.setWord(L.CR0, isSet ? cpu.cr0 | Cr0.TS : cpu.cr0 & ~Cr0.TS);
  }

  private seat(label: string, eax: number, ebx: number): void {
    const cpu = this.machine.cpu;
    const page = PAGE_OFFSET + this.gdtOf(this.currentCpu);
    cpu.setWord(L.GDTR_BASE, page);
    cpu.setWord(L.GDTR_LIMIT, GDT_ENTRIES * 8 - 1);
    cpu.setWord(L.CR4, this.cr4[this.currentCpu]);
    cpu.setSegment(Seg.TR, TSS_SELECTOR, PAGE_OFFSET + this.tssOf(this.currentCpu), TSS_SIZE - 1, 0x8b00, true);
    for (const seg of [Seg.DS, Seg.ES, Seg.SS])
      cpu.setSegment(seg, HOST_DS, 0, 0xffffffff, FULL_SEGMENT.high & 0xf0ff00, true);
    for (const seg of [Seg.FS, Seg.GS]) cpu.setSegment(seg, 0, 0, 0, 0, false);
    cpu.setSegment(Seg.CS, HOST_CS, 0, 0xffffffff, FULL_EXEC_SEGMENT.high & 0xf0ff00, true);
    cpu.cpl = 0;
    cpu.eflags = 2;
    cpu.updateMode();
    cpu.setReg(0, eax);
    cpu.setReg(3, ebx);
    cpu.setReg(4, page + PAGE_SIZE);
    cpu.eip = this.code.symbols.get(label) as number;
  }

  /** Everything the processor needs for protected mode with paging: what a boot loader and a host kernel's start-up did. */
  private switchOn(): void {
    const cpu = this.machine.cpu;
    cpu.setWord(L.CR3, this.pageDirectory);
    cpu.setWord(L.CR0, (Cr0.PG | Cr0.AM | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP | Cr0.PE | Cr0.TS) >>> 0);
    cpu.setWord(L.IDTR_BASE, this.idtDescriptor.base);
    cpu.setWord(L.IDTR_LIMIT, this.idtDescriptor.limit);
    cpu.setSegment(Seg.LDTR, 0, 0, 0, 0, false);
    this.setSysenterCs(this.features.hasSep ? HOST_CS : 0);
    cpu.tlb.flushAll();
    this.seatForInterruptWindow();
  }

  private buildTables(): void {
    this.write32(PAGE_DIRECTORY + (PAGE_OFFSET >>> 22) * 4, LOW_TABLE | Pte.P | Pte.RW | Pte.A | Pte.D);
    this.write32(PAGE_DIRECTORY + (SWITCHER_ADDRESS >>> 22) * 4, HOST_SWITCHER_TABLE | Pte.P | Pte.RW | Pte.A | Pte.D);
    const mapped = Math.min(this.hostBytes, 0x400000);
    for (let page = PAGE_SIZE; page < mapped; page += PAGE_SIZE)
      this.write32(
        LOW_TABLE + (page >>> 12) * 4,
        page | Pte.P | Pte.RW | Pte.A | Pte.D | (this.features.hasPge ? Pte.G : 0),
      );
    for (let cpu = 0; cpu < this.cpuCount; cpu++) {
      const gdt = this.gdtOf(cpu);
      this.writeDescriptor(gdt + HOST_CS, FULL_EXEC_SEGMENT.low, FULL_EXEC_SEGMENT.high);
      this.writeDescriptor(gdt + HOST_DS, FULL_SEGMENT.low, FULL_SEGMENT.high);
      const tss = PAGE_OFFSET + this.tssOf(cpu);
      // Busy, since it is loaded.
      this.writeDescriptor(
        gdt + TSS_SELECTOR,
        ((tss & 0xffff) << 16) | (TSS_SIZE - 1),
        (tss & 0xff000000) | 0x8b00 | ((tss >>> 16) & 0xff),
      );
      this.write32(this.tssOf(cpu) + Tss.sp0, PAGE_OFFSET + gdt + PAGE_SIZE);
      this.write32(this.tssOf(cpu) + Tss.ss0, HOST_DS);
      this.write32(this.tssOf(cpu) + Tss.ioBitmapBase - 2, TSS_SIZE << 16);
    }
    for (let vector = 0; vector < IDT_ENTRIES; vector++) {
      const handler = this.code.symbols.get(vector < 32 ? `host_exception_${vector}` : "host_interrupt") as number;
      this.writeDescriptor(IDT + vector * 8, (HOST_CS << 16) | (handler & 0xffff), (handler & 0xffff0000) | 0x8e00);
    }
  }
  /** Puts a descriptor or gate into physical memory. */
  writeDescriptor(physical: number, low: number, high: number): void {
    this.write32(physical, low);
    this.write32(physical + 4, high);
  }
  private copyIn(physical: number, bytes: Uint8Array): void {
    this.machine.cpu.u8.set(bytes, L.RAM_BASE + physical);
  }
}

/** The host's entry code. Gdt.KERNEL_CS is its code segment; EAX and EBX are set by seat(). */
function assembleHostCode(): AssembledCode {
  const { eax, edx, dx, ptr } = Asm;
  const a = new Assembler(PAGE_OFFSET + HOST_CODE);
  const gate = (value: number): void => {
    a.mov(edx, HOST_GATE_PORT).mov(eax, value).out(dx, eax);
  };
  a.label("run_guest_once");
  a.pushfd();
  a.callFar(ptr(PAGE_OFFSET + LGUEST_ENTRY));
  a.label("guest_left");
  gate(GateValue.GUEST_LEFT);
  a.label("interrupt_window");
  a.sti().nop().cli();
  gate(GateValue.WINDOW_DONE);
  a.label("host_interrupt");
  a.remark("the controller was answered when it gave the vector: nothing else to do");
  a.iret();
  for (let vector = 0; vector < 32; vector++) {
    a.label(`host_exception_${vector}`);
    gate(GateValue.HOST_EXCEPTION + vector);
  }
  return a.finish();
}

/** GDT entries that the module adds to the host's table. */
export const HOST_GDT_ADDITIONS = [
  { index: Gdt.LGUEST_CS, ...FULL_EXEC_SEGMENT },
  { index: Gdt.LGUEST_DS, ...FULL_SEGMENT },
] as const;
