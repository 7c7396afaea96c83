/**
 * One guest on its own emulated computer: the machine, the host with its module, the launcher, and the loop that ties them together.
 * Everything that a command line, a debugger or a test wants goes through this class; its interface is described in api.ts.
 *
 *     run() -> GuestRunner (host's main loop) -> machine.run() -> ring 0 and the guest
 *       ^ notify, death, sleep, observer's stop      ^ gate, limit, breakpoint
 */
import { Machine } from "../machine";
import { StateLayout as L, type PendingDelivery, Seg } from "../x86";
import type {
  CodeSymbol,
  GdtRowState,
  GuestEvent,
  GuestObserver,
  GuestRegisters,
  HypervisorState,
  IdtRowState,
  ListingLine,
  TableState,
  VirtualMachineInterface,
  VirtualMachineOptions,
  VmExit,
  VmStatistics,
  WalkResult,
  World,
} from "./api";
import { DirectTraps, liveRegisters } from "./direct-traps";
import { LguestModule } from "./host/core";
import { savedRegisters } from "./host/events";
import { makeGeneration } from "./host/generation";
import type { Guest } from "./host/guest";
import { type HostFeatures, HostKernel, PAGE_OFFSET } from "./host/host-kernel";
import { writeData } from "./host/interrupts-and-traps";
import { Random } from "./host/random";
import { GuestRunner, type RunResult } from "./host/run-guest";
import { switcherOffset } from "./host/x86-core";
import { InputQueue } from "./input-queue";
import { guestWalk, hostWalk, inspectGdt, inspectIdt, inspectState, isSwitcherAddress, shadowWalk } from "./inspection";
import { checkMemorySize, Launcher } from "./launcher/launcher";
import { DEVICE_PAGES, LauncherMemory } from "./launcher/launcher-memory";
import { Regs, SWITCHER_ADDRESS } from "./switcher/layout";

/** The emulated processor retires 100 million instructions a second, as the guest's clocks see it. */
export const NANOSECONDS_PER_INSTRUCTION = 10;
export const TSC_KHZ = 1_000_000 / NANOSECONDS_PER_INSTRUCTION;
/** 2026-01-01 00:00 UTC. */
const DEFAULT_WALL_CLOCK = 1_767_225_600;
const MEGABYTE = 0x100000;
const PAGE = 0x1000;
const DEFAULT_HOST_MEGABYTES = 17;
const FEATURES: HostFeatures = { hasPge: true, hasSep: true, hasStableTsc: true, hasSse: true };

const GENERAL: Readonly<Record<string, number>> = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 };
const SEGMENTS: Readonly<Record<string, number>> = {
  es: Seg.ES,
  cs: Seg.CS,
  ss: Seg.SS,
  ds: Seg.DS,
  fs: Seg.FS,
  gs: Seg.GS,
};

export class VirtualMachine implements VirtualMachineInterface {
  readonly machine: Machine;
  onConsoleOutput: ((bytes: Uint8Array, source: "early" | "device") => void) | null = null;
  onWarning: ((text: string) => void) | null = null;
  readonly symbols: readonly CodeSymbol[];
  readonly listing: readonly ListingLine[];
  readonly switcherAddress = SWITCHER_ADDRESS;
  readonly module: LguestModule;
  private readonly memory: LauncherMemory;
  private readonly input: InputQueue;
  private readonly directTraps: DirectTraps;
  private launcher: Launcher;
  private runner: GuestRunner;
  private exit: VmExit | null = null;
  private mustRestart = false;
  private stopReason: string | null = null;
  private watching: GuestObserver | null = null;

  /** Loads the image; nothing runs yet. @throws UnusableInput when an option cannot be used. */
  constructor(readonly options: VirtualMachineOptions) {
    const megabytes = options.memoryMegabytes ?? 64;
    checkMemorySize(megabytes);
    const hostBytes = (options.hostMegabytes ?? DEFAULT_HOST_MEGABYTES) * MEGABYTE;
    this.machine = new Machine({
      ramSize: hostBytes + megabytes * MEGABYTE + DEVICE_PAGES * PAGE,
      engine: options.engine ?? "interpreter",
      replay: options.replay,
    });
    this.input = new InputQueue(this.machine);
    const seed = this.input.constant("seed", options.seed ?? 0);
    const startOfTime = this.input.constant("wall-clock", options.wallClockSeconds ?? DEFAULT_WALL_CLOCK);
    const kernel = new HostKernel(this.machine, options.cpus ?? 1, hostBytes, FEATURES);
    this.module = new LguestModule(kernel, {
      generation: makeGeneration(options.abi ?? "2.6.32", options.quirks ?? "faithful"),
      random: new Random(seed),
      tscKhz: options.tscKhz ?? TSC_KHZ,
      wallClock: () => this.wallClock(startOfTime),
      instructionsFor: (nanoseconds) => Math.ceil(nanoseconds / NANOSECONDS_PER_INSTRUCTION),
    });
    const result = this.module.init();
    if (result !== 0) throw new Error(`the module cannot be loaded: ${result}, ${this.module.log.join("; ")}`);
    this.memory = new LauncherMemory(this.machine, hostBytes, megabytes * MEGABYTE);
    this.directTraps = new DirectTraps(this.machine, () => this.guest);
    this.launcher = this.makeLauncher();
    this.runner = this.makeRunner();
    ({ symbols: this.symbols, listing: this.listing } = describeCode(kernel));
  }

  get guest(): Guest {
    return this.launcher.guest;
  }

  // -- running --------------------------------------------------------------------------------------------------------------------
  get observer(): GuestObserver | null {
    return this.watching;
  }
  set observer(observer: GuestObserver | null) {
    this.watching = observer;
    this.directTraps.watch(observer);
  }

  run(limitInstructions: number, options: { readonly ignoreBreakpoint?: boolean } = {}): VmExit {
    if (this.exit !== null) return this.exit;
    if (this.mustRestart) this.restart();
    let first = options;
    for (;;) {
      const exit = this.launcherEnd() ?? this.handle(this.runner.run(limitInstructions, first));
      first = {};
      if (exit === null) continue;
      this.stopReason = null;
      this.machine.cancelStop();
      if (hasEnded(exit)) this.exit = exit;
      return exit;
    }
  }
  stepMachine(): VmExit {
    return this.run(this.instructionCount + 1, { ignoreBreakpoint: true });
  }
  stop(reason: string): void {
    this.stopReason = reason;
    this.machine.stop(reason);
  }
  consoleInput(bytes: Uint8Array): void {
    this.input.add(bytes);
  }
  passTime(nanoseconds: number): void {
    if (this.runner.phase !== "asleep" || this.machine.journal.isReplay) return;
    const { machine } = this;
    machine.sleepUntil(
      Math.min(machine.events.nextAt, machine.now + Math.floor(nanoseconds / NANOSECONDS_PER_INSTRUCTION)),
    );
  }
  endConsoleInput(): void {
    this.onWarning?.("console input has ended");
  }

  private handle(result: RunResult): VmExit | null {
    switch (result.kind) {
      case "machine": {
        const { exit } = result;
        if (exit.kind === "delivery") return this.directStop(exit.pending);
        return exit;
      }
      case "event":
        return { kind: "event", event: result.event };
      case "notify":
        this.launcher.handleOutput(result.address);
        // read() again: the host forgets the address that it has told.
        this.launcher.host.beforeRun();
        return null;
      case "signal":
        return this.launcherEnd() ?? { kind: "stopped", reason: this.stopReason ?? "stopped" };
      case "asleep":
        return { kind: "waiting-for-input" };
      case "dead":
        return this.death();
    }
  }
  private directStop(pending: PendingDelivery): VmExit | null {
    const event = this.directTraps.stoppedAt;
    if (event === null) throw new Error(`delivery of vector ${pending.vector} was held for nobody`);
    return { kind: "event", event };
  }
  private launcherEnd(): VmExit | null {
    const { fatal } = this.launcher;
    if (fatal === null) return null;
    const event = this.runner.tellOfDeath(fatal);
    return event === null ? { kind: "killed", reason: fatal, isLauncher: true } : { kind: "event", event };
  }
  private death(): VmExit {
    const { dead } = this.guest;
    switch (dead?.kind) {
      case "restart":
        this.mustRestart = true;
        return { kind: "restart", text: dead.message };
      case "powered-off":
        return { kind: "powered-off", text: dead.message, reason: dead.text };
      case "killed":
        return { kind: "killed", reason: dead.text, isLauncher: false };
      default:
        throw new Error("a guest that lives was taken for dead");
    }
  }

  private restart(): void {
    this.mustRestart = false;
    this.runner.dispose();
    const { statistics } = this.runner;
    this.launcher.close();
    const typed = this.launcher.console.takeWaiting();
    this.launcher = this.makeLauncher();
    for (const bytes of typed) this.launcher.enter(bytes);
    this.runner = this.makeRunner(statistics);
  }
  private makeLauncher(): Launcher {
    const { options } = this;
    return new Launcher(
      this.module,
      this.memory,
      {
        image: options.image,
        imageName: options.imageName ?? "image",
        commandLine: options.commandLine ?? "",
        initrd: options.initrd,
        disks: options.disks ?? [],
      },
      { print: (bytes, source) => this.onConsoleOutput?.(bytes, source), warn: (text) => this.onWarning?.(text) },
    );
  }
  private makeRunner(statistics?: GuestRunner["statistics"]): GuestRunner {
    const vm = this;
    return new GuestRunner(
      this.guest.cpu,
      {
        get observer() {
          return vm.watching;
        },
        takeInput: () => vm.input.take((bytes) => vm.launcher.enter(bytes)),
        hasInput: () => vm.input.isWaiting,
        nextInputAt: () => vm.machine.journal.nextAt,
        hasSignal: () => vm.stopReason !== null || vm.launcher.fatal !== null,
        irqOwner: (irq) => vm.launcher.irqOwner(irq),
      },
      statistics,
    );
  }
  private wallClock(start: number): { seconds: number; nanoseconds: number } {
    const nanoseconds = this.machine.now * NANOSECONDS_PER_INSTRUCTION;
    return { seconds: start + Math.floor(nanoseconds / 1e9), nanoseconds: nanoseconds % 1e9 };
  }

  // -- where it is -----------------------------------------------------------------------------------------------------------------
  get instructionCount(): number {
    return this.machine.now;
  }
  get ended(): VmExit | null {
    return this.exit;
  }
  get world(): World {
    if (this.runner.phase === "window") return "switcher";
    if (this.runner.phase !== "inside") return "host";
    const { cpl } = this.machine.cpu;
    return cpl === 3 ? "user" : cpl === 0 ? "switcher" : "guest";
  }
  get hostFrames(): readonly string[] {
    return this.world === "host" ? this.runner.frames : [];
  }
  get currentEvent(): GuestEvent | null {
    return this.runner.stoppedAt ?? this.directTraps.stoppedAt;
  }
  stateHash(): string {
    return this.machine.stateHash();
  }

  // -- registers ---------------------------------------------------------------------------------------------------------------------
  private get isLive(): boolean {
    return this.world === "user" || this.world === "guest";
  }
  guestRegisters(): GuestRegisters {
    return this.isLive ? liveRegisters(this.machine) : savedRegisters(this.guest.cpu);
  }
  setGuestRegister(name: keyof GuestRegisters, value: number): void {
    if (!this.isLive) {
      this.guest.cpu.setReg(Regs[name], value);
      return;
    }
    const { cpu } = this.machine;
    if (name === "eip") cpu.eip = value;
    else if (name === "eflags") cpu.eflags = value;
    else if (name in GENERAL) cpu.setReg(GENERAL[name], value);
    else this.loadSegment(SEGMENTS[name], value & 0xffff);
  }
  /** Takes the hidden part from the table that the processor uses, as a load would, without its checks. */
  private loadSegment(segment: number, selector: number): void {
    const { cpu } = this.machine;
    const index = selector >>> 3;
    const row = this.gdt().entries[index];
    const { low, high } = row?.cpu ?? { low: 0, high: 0 };
    const base = ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0;
    const limit = (low & 0xffff) | (high & 0xf0000);
    const isGranular = (high & 0x800000) !== 0;
    cpu.setSegment(
      segment,
      selector,
      base,
      (isGranular ? (limit << 12) | 0xfff : limit) >>> 0,
      high & 0xf0ff00,
      index !== 0 && (high & 0x8000) !== 0,
    );
    cpu.updateMode();
  }
  setBelief(name: "irq_enabled" | "blocked_interrupts" | "cr2" | "esp1" | "ss1" | "ts", value: number): boolean {
    const { cpu, lguestData } = this.guest;
    const { data } = this.module.generation;
    switch (name) {
      case "esp1":
        cpu.esp1 = value >>> 0;
        return true;
      case "ss1":
        if ((value & 3) !== 1) return false;
        cpu.ss1 = value & 0xffff;
        return true;
      case "ts":
        cpu.ts = value >>> 0;
        return true;
      case "irq_enabled":
        return lguestData !== null && writeData(cpu, data.irqEnabled, value);
      case "blocked_interrupts":
        return lguestData !== null && writeData(cpu, data.blockedInterrupts, value);
      case "cr2":
        return lguestData !== null && writeData(cpu, data.cr2, value);
    }
  }

  // -- views ---------------------------------------------------------------------------------------------------------------------------
  state(): HypervisorState {
    return inspectState(this.inspected);
  }
  gdt(): TableState<GdtRowState> {
    return inspectGdt(this.inspected);
  }
  idt(): TableState<IdtRowState> {
    return inspectIdt(this.inspected);
  }
  statistics(): VmStatistics {
    const { statistics } = this.runner;
    return {
      instructions: this.machine.now - this.machine.slept,
      worldSwitches: statistics.worldSwitches,
      traps: { ...statistics.traps },
      hypercalls: { ...statistics.hypercalls },
      interrupts: { ...statistics.interrupts },
    };
  }
  private get inspected(): { machine: Machine; guest: Guest; launcher: Launcher; runner: GuestRunner } {
    return { machine: this.machine, guest: this.guest, launcher: this.launcher, runner: this.runner };
  }

  // -- memory --------------------------------------------------------------------------------------------------------------------------
  guestWalk(linear: number, slot = this.guest.cpu.cpuPgd): WalkResult {
    return guestWalk(this.guest, linear >>> 0, slot);
  }
  shadowWalk(linear: number, slot = this.guest.cpu.cpuPgd): WalkResult {
    return shadowWalk(this.guest, linear >>> 0, slot);
  }
  hostPhysical(guestPhysical: number): number | null {
    return guestPhysical >= 0 && guestPhysical < this.memory.max ? this.memory.base + guestPhysical : null;
  }
  /** Where a linear address is in host-physical memory, as the guest means it; null where nothing is. */
  private locate(linear: number): number | null {
    if (
      isSwitcherAddress(linear) ||
      (this.world === "switcher" && linear >= PAGE_OFFSET && this.machine.cpu.cr3 === this.module.kernel.pageDirectory)
    )
      return hostWalk(this.guest, linear).physical;
    const physical = this.guestWalk(linear).physical;
    return physical === null ? null : this.hostPhysical(physical);
  }
  readGuestPhysical(address: number, length: number): Uint8Array {
    const size = Math.max(0, Math.min(length, this.memory.max - address));
    return address < 0 ? new Uint8Array(0) : this.memory.read(address, size);
  }
  readHostPhysical(address: number, length: number): Uint8Array {
    const { cpu } = this.machine;
    const end = Math.max(0, Math.min(address + length, cpu.ramSize));
    return cpu.u8.slice(L.RAM_BASE + Math.min(address, end), L.RAM_BASE + end);
  }
  readLinear(address: number, length: number): Uint8Array {
    const parts: number[] = [];
    this.eachPage(address, length, (physical, size) => parts.push(...this.readHostPhysical(physical, size)));
    return Uint8Array.from(parts);
  }
  writeGuestPhysical(address: number, bytes: Uint8Array): number {
    const size = Math.max(0, Math.min(bytes.length, this.memory.max - address));
    return address < 0 ? 0 : this.writeHostPhysical(this.memory.base + address, bytes.subarray(0, size));
  }
  writeHostPhysical(address: number, bytes: Uint8Array): number {
    const { cpu } = this.machine;
    const size = Math.max(0, Math.min(bytes.length, cpu.ramSize - address));
    for (let i = 0; i < size; i++) cpu.writePhysical(address + i, 1, bytes[i]);
    return size;
  }
  writeLinear(address: number, bytes: Uint8Array): number {
    let done = 0;
    this.eachPage(address, bytes.length, (physical, size) => {
      done += this.writeHostPhysical(physical, bytes.subarray(done, done + size));
    });
    return done;
  }
  /** Calls `action` for each stretch within a page, until one is not mapped. */
  private eachPage(address: number, length: number, action: (physical: number, size: number) => void): void {
    for (let done = 0; done < length; ) {
      const linear = (address + done) >>> 0;
      const physical = this.locate(linear);
      if (physical === null) return;
      const size = Math.min(length - done, PAGE - (linear & (PAGE - 1)));
      action(physical, size);
      done += size;
    }
  }
}

function hasEnded(exit: VmExit): boolean {
  return exit.kind === "powered-off" || exit.kind === "killed" || exit.kind === "shutdown";
}

/** The Switcher where it runs, and the host's entry code. */
function describeCode(kernel: HostKernel): { symbols: CodeSymbol[]; listing: ListingLine[] } {
  const parts = [
    { code: kernel.code, offset: 0 },
    { code: kernel.switcher.code, offset: switcherOffset() },
  ];
  const symbols = parts.flatMap(({ code, offset }) => {
    const addresses = [...code.symbols.entries()].sort((a, b) => a[1] - b[1]);
    const end = code.origin + code.bytes.length;
    return addresses.map(([name, address], i) => ({
      name,
      address: (address + offset) >>> 0,
      size: (addresses[i + 1]?.[1] ?? end) - address,
    }));
  });
  const listing = parts.flatMap(({ code, offset }) =>
    code.listing.map((line) => ({ ...line, address: (line.address + offset) >>> 0 })),
  );
  return { symbols, listing };
}
