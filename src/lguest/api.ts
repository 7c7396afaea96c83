/**
 * What a virtual machine takes, tells and shows: the types of its interface, all plain data. The class is virtual-machine.ts.
 *
 * Two ideas. First, run() goes on until the instruction count given to it or until something needs attention, and says what. Second,
 * an observer is told of each thing that happens between guest and host before the host acts, and may ask to stop there: run()
 * then returns with everything still as it was, and the next run() goes on from that point. Without an observer nothing is paid.
 */
import type { EngineName, JournalEntry, Machine } from "../machine";
import type { KillReason } from "./host/kill";

/** Generation of the interface between guest and host: Linux 2.6.31 to 2.6.33, or Linux 3.1 and later. */
export type Abi = "2.6.32" | "3.x";
/** `faithful` behaves as real hosts did; `fixed` has their known defects corrected. */
export type Quirks = "faithful" | "fixed";

export interface DiskOptions {
  /** The raw image. Writes change these bytes unless the disk is read-only. */
  readonly bytes: Uint8Array;
  readonly isReadOnly?: boolean;
  /** For messages and views. */
  readonly name?: string;
  /** Told after the guest has changed bytes. */
  readonly onWrite?: (offset: number, length: number) => void;
}

export interface VirtualMachineOptions {
  /** ELF32 executable for the 386, or a bzImage. */
  readonly image: Uint8Array;
  /** For messages; default "image". */
  readonly imageName?: string;
  /** Guest RAM in MiB, 1 to 1019. Default 64. */
  readonly memoryMegabytes?: number;
  readonly commandLine?: string;
  readonly initrd?: Uint8Array;
  readonly disks?: readonly DiskOptions[];
  /** Default "2.6.32". */
  readonly abi?: Abi;
  /** Default "faithful". */
  readonly quirks?: Quirks;
  /** Default "interpreter". */
  readonly engine?: EngineName;
  /** Of everything random: shadow slots, the rng device. Default 0. */
  readonly seed?: number;
  /** Wall clock at the start, seconds since 1970. Default 2026-01-01 00:00 UTC; from then on time is counted in instructions. */
  readonly wallClockSeconds?: number;
  /** What lguest_data.tsc_khz says. Default TSC_KHZ; 0 tells the guest that its time stamp counter is no clock. */
  readonly tscKhz?: number;
  /** Emulated physical CPUs: the guest moves to the next one at each host tick. Default 1. */
  readonly cpus?: number;
  /** Memory of the emulated host, for shadow tables, in MiB. Default 17: enough for any guest; with less a guest may die of it. */
  readonly hostMegabytes?: number;
  /** Inputs of an earlier run, to repeat it. Options of that run must be given again; live input is refused. */
  readonly replay?: readonly JournalEntry[];
}

/** Why run() came back. After "powered-off", "killed", "shutdown" and "failed" the machine has ended; the others may run() on. */
export type VmExit =
  /** The instruction count given to run() is reached. */
  | { readonly kind: "limit" }
  /** The instruction at the processor's EIP has a breakpoint (any world with instructions). */
  | { readonly kind: "breakpoint" }
  /** The observer asked to stop at this event; the host has not acted on it. For a "kill" the guest's state is still alive. */
  | { readonly kind: "event"; readonly event: GuestEvent }
  /** Somebody called stop(). */
  | { readonly kind: "stopped"; readonly reason: string }
  /** The guest sleeps, no timer is armed, no interrupt waits: only console input can wake it. */
  | { readonly kind: "waiting-for-input" }
  /** SHUTDOWN with "power off"; text as the guest gave it. */
  | { readonly kind: "powered-off"; readonly text: string; readonly reason: string }
  /** SHUTDOWN with "restart". The next run() boots the image again. */
  | { readonly kind: "restart"; readonly text: string }
  /** The host killed the guest, or the launcher gave up on it (`isLauncher`). */
  | { readonly kind: "killed"; readonly reason: string; readonly isLauncher: boolean }
  /** The emulated processor shut down (three faults in a row). No guest can cause this: it is a defect of this program. */
  | { readonly kind: "shutdown"; readonly reason: string }
  /** The guest executed something that this processor does not have yet; EIP is at it. */
  | { readonly kind: "unimplemented"; readonly feature: string };

/**
 * One thing that happened between guest and host.
 * trap: the guest left to the host through this vector. async: a hypercall from the ring. interrupt: a virtual interrupt is injected.
 * direct: the processor entered the guest's own handler, without the host. kill: the guest is about to be killed.
 * entry: the host is about to enter the guest (only told when the observer has wantsEntries).
 */
export type GuestEventKind = "trap" | "async" | "interrupt" | "direct" | "kill" | "entry";

export type GuestEventOutcome =
  | "demand-paged"
  | "reflected"
  | "direct"
  | "emulated"
  | "rewritten"
  | "hypercall"
  | "interrupt"
  | "ignored"
  | "killed";

export interface HypercallEvent {
  readonly number: number;
  /** "LOAD_GDT_ENTRY"; "hypercall 99" for an unknown number. */
  readonly name: string;
  /** As many as the call takes. */
  readonly args: readonly number[];
  readonly async: boolean;
}

/** Fields after `hypercall` are filled in as the event goes on; the object stays the same one. */
export interface GuestEvent {
  readonly kind: GuestEventKind;
  /** Instruction count when it happened. */
  readonly instructionCount: number;
  /** Where it came from. */
  readonly world: "user" | "guest";
  readonly vector: number;
  /** "#PF", "hypercall", "IRQ 1 (console)", "host timer". */
  readonly name: string;
  /** Present when the vector has one. */
  readonly errorCode?: number;
  readonly cpl: number;
  readonly eip: number;
  /** Present for page faults. */
  readonly cr2?: number;
  readonly hypercall?: HypercallEvent;
  /** Kind "interrupt": its number. */
  readonly irq?: number;
  /** Kind "kill". */
  readonly reason?: string;
  /** Guest registers at that moment. */
  readonly registers: GuestRegisters;
  /** What the host did. Undefined before it acts, null when nothing fits. */
  outcome: GuestEventOutcome | null | undefined;
  /** A few words: "out 0x21", "shadow filled for write". May be empty. */
  detail: string;
  /** Instructions until the guest ran again; null until it does. 0 for kind "direct". */
  cost: number | null;
}

export interface GuestObserver {
  /** Also tell before each entry into the guest (kind "entry"). Default false. */
  readonly wantsEntries?: boolean;
  /** Before the host (or, for "direct", the processor) acts. */
  before(event: GuestEvent): "stop" | undefined;
  /** The host has acted: outcome and detail are known. */
  after?(event: GuestEvent): void;
  /** The guest runs again (or, for "direct", at once): cost is known. */
  resumed?(event: GuestEvent): void;
}

export interface GuestRegisters {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
  esi: number;
  edi: number;
  ebp: number;
  esp: number;
  eip: number;
  eflags: number;
  cs: number;
  ss: number;
  ds: number;
  es: number;
  fs: number;
  gs: number;
}

/** user: ring 3. guest: ring 1. switcher: ring-0 code of the Switcher or the host's stubs. host: TypeScript is about to act. */
export type World = "user" | "guest" | "switcher" | "host";

/** Raw descriptor or gate. */
export interface TableWords {
  readonly low: number;
  readonly high: number;
}

/** A GDT or IDT entry on both sides. */
export interface TableRow {
  readonly index: number;
  /** As the guest gave it; null when it never did. */
  readonly guest: TableWords | null;
  /** As the processor has it while the guest runs; for a change that waits for the next entry, as it is now. */
  readonly cpu: TableWords;
  /** Why the two differ; absent when they do not. */
  readonly why?: string;
}
export interface GdtRowState extends TableRow {
  readonly state: "same" | "fixed" | "hostOnly" | "pending";
  /** What the entry is for: "TLS 1", "kernel code"; absent when it is free. */
  readonly role?: string;
}
export interface IdtRowState extends TableRow {
  /** "#PF", "IRQ 1 (console)", "hypercall"; absent when the vector has no name. */
  readonly name?: string;
  readonly delivery: "direct" | "reflected" | "host" | "hypercall" | "interrupt" | "swallowed" | "kills" | "refused";
  /** One sentence on the delivery; always there. */
  readonly why: string;
}
export interface TableState<Row extends TableRow> {
  /** Linear base and limit of the table that the processor uses while the guest runs. */
  readonly base: number;
  readonly limit: number;
  readonly entries: readonly Row[];
}

export interface ShadowSlotState {
  readonly slot: number;
  /** Guest-physical address of the guest's top-level table; null when the slot is free. */
  readonly guestTable: number | null;
  /** Host-physical address of the shadow's top-level table; null when there is none. */
  readonly shadowTable: number | null;
  readonly inUse: boolean;
}

export interface RingSlotState {
  readonly index: number;
  /** The status byte is not 0xFF. */
  readonly pending: boolean;
  readonly number: number;
  readonly name: string;
  readonly args: readonly number[];
}

export interface QueueState {
  readonly index: number;
  readonly irq: number;
  /** Of the ring. */
  readonly guestPhysical: number;
  readonly size: number;
  /** avail.idx and used.idx as they are in the ring, and how far the launcher has read. */
  readonly available: number;
  readonly used: number;
  readonly lastSeen: number;
}

export interface DeviceStateView {
  /** "console", "block disk.img". */
  readonly name: string;
  /** Virtio device type. */
  readonly type: number;
  /** Of its descriptor. */
  readonly guestPhysical: number;
  readonly status: number;
  readonly isRunning: boolean;
  readonly features: number;
  readonly ackedFeatures: number;
  readonly queues: readonly QueueState[];
}

/** Everything a view shows of the hypervisor, read at this moment. */
export interface HypervisorState {
  readonly abi: Abi;
  readonly quirks: Quirks;
  readonly memoryBytes: number;
  /** LGUEST_INIT was seen. */
  readonly isInitialised: boolean;
  /** Guest-physical address of lguest_data; null before LGUEST_INIT. */
  readonly lguestData: number | null;
  readonly kernelAddress: number | null;
  /** Addresses where no interrupt is injected; null when there are none. */
  readonly noirq: { readonly start: number; readonly end: number } | null;
  readonly isHalted: boolean;
  /** Raw words of lguest_data; 0 before LGUEST_INIT. */
  readonly irqEnabled: number;
  readonly irqPending: number;
  readonly blockedInterrupts: number;
  readonly guestCr2: number;
  readonly tscKhz: number;
  /** Bitmap. */
  readonly pendingInterrupts: number;
  readonly interrupts: readonly { irq: number; name: string; pending: boolean; blocked: boolean; vector: number }[];
  /** Why the next pending interrupt is not delivered now; absent when none waits. */
  readonly waitsBecause?: string;
  /** Instruction count at which the guest's timer fires; null when it is off. */
  readonly timerDueAt: number | null;
  readonly ring: { readonly next: number; readonly slots: readonly RingSlotState[] };
  readonly slots: readonly ShadowSlotState[];
  /** Slot in use. */
  readonly currentSlot: number;
  /** The guest has no tables yet, the host maps linear = guest-physical (3.x). */
  readonly isLinear: boolean;
  /** What will be copied before the next entry. */
  readonly changed: { readonly idt: boolean; readonly gdt: boolean; readonly tls: boolean };
  readonly stack: { readonly ss1: number; readonly esp1: number; readonly pages: number };
  readonly ts: boolean;
  readonly cpu: number;
  /** CPU whose pages the guest used last; null before its first entry. */
  readonly lastCpu: number | null;
  readonly cpuCount: number;
  readonly devices: readonly DeviceStateView[];
  readonly lastExit: {
    readonly vector: number;
    readonly name: string;
    readonly errorCode: number;
    readonly eip: number;
    readonly cr2: number;
  } | null;
  /** Null while the guest lives. */
  readonly dead: KillReason | null;
}

/** Counters since the start (a restart does not clear them). */
export interface VmStatistics {
  /** Retired instructions, of all rings; sleeping does not count. */
  readonly instructions: number;
  readonly worldSwitches: number;
  /** Exits to the host by vector. */
  readonly traps: Readonly<Record<number, number>>;
  readonly hypercalls: Readonly<Record<string, { readonly sync: number; readonly async: number }>>;
  /** Injected interrupts by number. */
  readonly interrupts: Readonly<Record<number, number>>;
}

/** Where something is in the Switcher or the host's own code, for a debugger's symbols. */
export interface CodeSymbol {
  readonly name: string;
  /** Linear address while it can run. */
  readonly address: number;
  readonly size: number;
}

/** A line of an assembled listing. */
export interface ListingLine {
  readonly address: number;
  readonly bytes: readonly number[];
  /** Source as in an Intel-syntax listing; labels are lines of their own with no bytes. */
  readonly text: string;
}

/** One step of a walk through page tables. */
export interface WalkEntry {
  readonly level: "directory" | "table";
  readonly index: number;
  /** Guest-physical in a guest walk, host-physical in a shadow walk. */
  readonly entryAddress: number;
  /** Null when it cannot be read. */
  readonly entry: number | null;
}
export interface WalkResult {
  readonly steps: readonly WalkEntry[];
  /** Null when the walk ends early. */
  readonly physical: number | null;
}

/** What the class VirtualMachine offers. */
export interface VirtualMachineInterface {
  readonly options: VirtualMachineOptions;
  /** Processor, engine, events, journal. The processor's registers are the guest's only while `world` is user or guest. */
  readonly machine: Machine;
  /** Told of console output as it is written: early console lines and the device's bytes. Null: dropped. */
  onConsoleOutput: ((bytes: Uint8Array, source: "early" | "device") => void) | null;
  /** Warnings of the launcher (a failed driver, the end of console input). */
  onWarning: ((text: string) => void) | null;
  observer: GuestObserver | null;

  /**
   * Runs until the instruction count reaches `limitInstructions` (a count since the start, not a number of steps) or something needs
   * attention. @param options.ignoreBreakpoint do not stop for a breakpoint at the very first instruction.
   */
  run(limitInstructions: number, options?: { readonly ignoreBreakpoint?: boolean }): VmExit;
  /**
   * Runs exactly one machine instruction, of whatever world; from the host's world, the host acts and the first instruction after it
   * runs. "limit" when it did.
   */
  stepMachine(): VmExit;
  /** Leave the current or next run() at the next opportunity, from inside an observer or an output callback. */
  stop(reason: string): void;
  /** Bytes typed on the console; taken when the host next looks, at most one host tick later. Refused (throws) in a replay. */
  consoleInput(bytes: Uint8Array): void;
  /**
   * Lets time pass while the guest waits for input (after "waiting-for-input", before consoleInput), so that its clocks agree with a
   * person's. Does nothing at other times. A replay needs no such call: the input's place in the journal says how long it was.
   */
  passTime(nanoseconds: number): void;
  /** No more console input will come. */
  endConsoleInput(): void;

  /** The machine's clock: instructions retired, plus time slept. */
  readonly instructionCount: number;
  readonly world: World;
  /** What ended the machine, or null while it lives. */
  readonly ended: VmExit | null;
  /** Names of the host functions that are active, innermost first; empty unless `world` is "host". */
  readonly hostFrames: readonly string[];
  /** The event that the machine is stopped at, or null. */
  readonly currentEvent: GuestEvent | null;

  /** The guest's registers: the processor's own while it runs guest code, else those that the Switcher saved. */
  guestRegisters(): GuestRegisters;
  /** Sets one guest register, where it lives now. Values are taken as they are: the processor checks selectors when it loads them. */
  setGuestRegister(name: keyof GuestRegisters, value: number): void;
  state(): HypervisorState;
  statistics(): VmStatistics;
  gdt(): TableState<GdtRowState>;
  idt(): TableState<IdtRowState>;
  /** Sets a word of lguest_data (irq_enabled, blocked_interrupts), esp1, ss1 or TS. False when it cannot be set now. */
  setBelief(name: "irq_enabled" | "blocked_interrupts" | "cr2" | "esp1" | "ss1" | "ts", value: number): boolean;

  /** Walks of the guest's own tables and of the shadow. `slot` defaults to the one in use. Never changes anything. */
  guestWalk(linear: number, slot?: number): WalkResult;
  shadowWalk(linear: number, slot?: number): WalkResult;
  /** Guest-physical to host-physical, or null outside the guest's memory. */
  hostPhysical(guestPhysical: number): number | null;
  /** Bytes that can be read from there; shorter than `length` where memory ends. */
  readGuestPhysical(address: number, length: number): Uint8Array;
  /** Linear addresses as the guest means them (through its own tables); the Switcher's area through the host's. Stops at the first page that is not mapped. */
  readLinear(address: number, length: number): Uint8Array;
  readHostPhysical(address: number, length: number): Uint8Array;
  /** Number of bytes written: fewer where memory ends or is not mapped. */
  writeGuestPhysical(address: number, bytes: Uint8Array): number;
  writeLinear(address: number, bytes: Uint8Array): number;
  writeHostPhysical(address: number, bytes: Uint8Array): number;

  /** Functions of the Switcher and of the host's stubs, and their code with source text. */
  readonly symbols: readonly CodeSymbol[];
  readonly listing: readonly ListingLine[];
  /** Lowest linear address of the Switcher's area. */
  readonly switcherAddress: number;
  /** A hash of processor, RAM and clock. */
  stateHash(): string;
}
