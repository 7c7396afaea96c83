/*
 * Stacks, stitched across worlds: host frames (TypeScript, by name), the Switcher, then the guest's own stack, through
 * trap frames down to ring 3. Between two worlds stands a separator that says why it was left.
 *
 * A guest frame is left by call frame information where there is some; else by the frame pointer; else by a trap frame
 * that is recognised on the stack (EIP, CS, EFLAGS with selectors that exist). System V ABI, Intel386 supplement; SDM
 * Vol. 3, 6.12.1.
 */
import type { FrameContext, FunctionFrame } from "../dwarf";
import type { VirtualMachineInterface, World } from "../lguest";
import type { Registers } from "./registers";
import type { CodeLocation, Symbols } from "./symbols";
import type { TargetMemory } from "./target-memory";
import { EXCEPTIONS, type TrapLog } from "./traps";

/** DWARF numbers of the i386's registers. System V ABI, Intel386 supplement. */
const ESP = 4;
const EBP = 5;
const EIP = 8;
const DWARF_NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags"] as const;
const MAX_FRAMES = 512;
/** Words of stack that are searched for a trap frame. */
const TRAP_SEARCH_WORDS = 48;
const ENTRIES_SEARCHED = 256;
/** Length of INT n in bytes. */
const INT_LENGTH = 2;

export type FrameKind = "code" | "host" | "separator";

export interface StackFrame {
  readonly kind: FrameKind;
  readonly world: World;
  readonly name: string;
  /** Where it stands (for a caller: the return address); 0 for host frames and separators. */
  readonly pc: number;
  /** For looking things up: for a caller the address before the return address. */
  readonly lookupPc: number;
  readonly place?: CodeLocation;
  /** Absent for host frames and separators. */
  readonly context?: FrameContext;
  readonly fn?: FunctionFrame;
  /** ESP in this frame. */
  readonly esp: number;
  /** The ring that this frame's code runs at. */
  readonly ring: number;
  /** Registers by DWARF number; `savedAt` tells where in memory a caller's register is kept. */
  readonly registers?: ReadonlyMap<number, number>;
  readonly savedAt?: ReadonlyMap<number, number>;
  /** 0: its registers are the machine's own. Counts physical frames; inlined ones share a number. */
  readonly depth: number;
}

interface Unwound {
  readonly registers: Map<number, number>;
  readonly savedAt: ReadonlyMap<number, number>;
  readonly ring: number;
  /** The next frame was interrupted at exactly its EIP. */
  readonly isTrap: boolean;
}

export class StackWalker {
  constructor(
    private readonly vm: VirtualMachineInterface,
    private readonly symbols: Symbols,
    private readonly memory: TargetMemory,
    private readonly registers: Registers,
    private readonly log: TrapLog,
  ) {}

  /** The whole stack, at most `most` frames. */
  walk(most = MAX_FRAMES): StackFrame[] {
    const frames: StackFrame[] = [];
    const { world } = this.vm;
    if (world === "host") {
      for (const name of this.vm.hostFrames) frames.push(plainFrame("host", "host", name));
      const event = this.vm.currentEvent;
      const what = event === null ? "the guest" : `${event.name} from ring ${event.cpl}`;
      frames.push(plainFrame("separator", "switcher", `${what}, through the Switcher`));
    } else if (world === "switcher") {
      const { cpu } = this.vm.machine;
      const pc = cpu.eip;
      const place = this.symbols.locate(pc);
      const registers = this.registerMap();
      frames.push({
        ...plainFrame("code", "switcher", place.symbol ?? "Switcher"),
        pc,
        lookupPc: pc,
        place,
        registers,
        esp: cpu.reg(4),
        context: this.contextOf(pc, registers),
      });
      if (this.vm.state().lastCpu === null) return frames;
      frames.push(plainFrame("separator", "guest", "the guest's saved registers"));
    }
    const guest = this.vm.guestRegisters();
    const registers = new Map<number, number>(DWARF_NAMES.map((name, i) => [i, guest[name] >>> 0]));
    this.walkGuest(frames, registers, guest.cs & 3, most);
    return frames;
  }

  private walkGuest(frames: StackFrame[], start: Map<number, number>, startRing: number, most: number): void {
    let registers = start;
    let savedAt: ReadonlyMap<number, number> = new Map();
    let ring = startRing;
    let isExact = true;
    let callee: FrameContext | undefined;
    const seen = new Set<string>();
    for (let depth = 0; frames.length < most; depth++) {
      const pc = registers.get(EIP)! >>> 0;
      const lookupPc = isExact ? pc : (pc - 1) >>> 0;
      const context = this.contextOf(lookupPc, registers);
      if (callee !== undefined) (callee as { caller?: () => FrameContext }).caller = () => context;
      this.addFrames(frames, { pc, lookupPc, registers, savedAt, ring, depth, context });
      const key = `${pc}:${registers.get(ESP)}`;
      if (seen.has(key)) return;
      seen.add(key);
      const next = this.unwind(context, registers, ring, isExact);
      if (next === undefined) return;
      if (next.isTrap) frames.push(plainFrame("separator", next.ring === 3 ? "user" : "guest", this.trapLabel(next)));
      registers = next.registers;
      savedAt = next.savedAt;
      ring = next.ring;
      isExact = next.isTrap;
      callee = context;
    }
  }

  private addFrames(
    frames: StackFrame[],
    at: Pick<StackFrame, "pc" | "lookupPc" | "ring" | "depth"> & {
      registers: Map<number, number>;
      savedAt: ReadonlyMap<number, number>;
      context: FrameContext;
    },
  ): void {
    const world: World = at.ring === 3 ? "user" : "guest";
    const esp = at.registers.get(ESP) ?? 0;
    const base = { ...at, kind: "code" as const, world, esp };
    const found = this.symbols.imageAt(at.lookupPc);
    const functions = found?.image.dwarf.framesAt(found.linked) ?? [];
    const place = this.placeOf(at.pc, at.lookupPc);
    if (functions.length === 0) {
      frames.push({ ...base, name: place.symbol ?? "??", place });
      return;
    }
    functions.forEach((fn, i) => {
      // An inlined call's own position is where execution stands; its caller stands where it called.
      const position = i === 0 ? undefined : functions[i - 1].callSite;
      const framePlace = position === undefined ? place : { ...place, ...this.symbols.positionOf(position) };
      frames.push({ ...base, name: fn.name, place: framePlace, fn });
    });
  }

  private placeOf(pc: number, lookupPc: number): CodeLocation {
    return pc === lookupPc ? this.symbols.locate(pc) : this.symbols.locateAfter(pc);
  }

  /** What the debug information may ask of a frame. Addresses are translated to where the image was linked. */
  private contextOf(lookupPc: number, registers: ReadonlyMap<number, number>): FrameContext {
    const found = this.symbols.imageAt(lookupPc);
    return {
      pc: found?.linked ?? lookupPc,
      register: (number) => registers.get(number),
      readMemory: (address, length) => this.memory.readSome("linear", address, length),
    };
  }

  private registerMap(): Map<number, number> {
    const current = this.registers.current();
    return new Map<number, number>(DWARF_NAMES.map((name, i) => [i, current[name] >>> 0]));
  }

  private unwind(
    context: FrameContext,
    registers: Map<number, number>,
    ring: number,
    isTop: boolean,
  ): Unwound | undefined {
    const found = this.symbols.imageAt(context.pc);
    const byRules = found?.image.dwarf.unwind(context);
    if (byRules?.ok) {
      const { returnAddress, registers: saved, savedAt, isSignalFrame } = byRules.value;
      if (returnAddress === undefined) return undefined;
      const next = new Map(saved);
      next.set(EIP, returnAddress);
      const eipSlot = savedAt.get(EIP);
      // Not every assembler can mark a trap handler's frame as such in .debug_frame, so the frame itself is looked at.
      if (eipSlot !== undefined && (isSignalFrame || this.isTrapFrame(eipSlot)))
        return this.throughTrapFrame(eipSlot, next, savedAt, ring);
      return returnAddress === 0 ? undefined : { registers: next, savedAt, ring, isTrap: false };
    }
    return (
      this.atEntry(registers, ring, isTop) ?? this.byFramePointer(registers, ring) ?? this.bySearch(registers, ring)
    );
  }

  /** A trap frame whose EIP is in memory at `slot`: EIP, CS, EFLAGS and, from an outer ring, ESP and SS. */
  private throughTrapFrame(
    slot: number,
    next: Map<number, number>,
    savedAt: ReadonlyMap<number, number>,
    ring: number,
  ): Unwound | undefined {
    const [eip, cs, eflags] = [0, 4, 8].map((offset) => this.memory.word(slot + offset));
    if (eip === undefined || cs === undefined || eflags === undefined) return undefined;
    const outer = cs & 3;
    next.set(EIP, eip);
    next.set(9, eflags);
    next.set(ESP, outer > ring ? (this.memory.word(slot + 12) ?? 0) : slot + 12);
    return { registers: next, savedAt: new Map([...savedAt, [EIP, slot]]), ring: outer, isTrap: true };
  }

  /** At the first instruction of a handler or of a function the stack pointer says it all. */
  private atEntry(registers: Map<number, number>, ring: number, isTop: boolean): Unwound | undefined {
    if (!isTop) return undefined;
    const pc = registers.get(EIP)!;
    const esp = registers.get(ESP)!;
    if (ring === 1 && this.isHandler(pc)) {
      for (const slot of [esp, esp + 4]) {
        if (this.isTrapFrame(slot)) return this.throughTrapFrame(slot, new Map(registers), new Map(), ring);
      }
    }
    if (this.symbols.symbolAt(pc)?.offset !== 0) return undefined;
    const returnAddress = this.memory.word(esp);
    if (returnAddress === undefined || this.symbols.imageAt(returnAddress) === undefined) return undefined;
    const next = new Map(registers);
    next.set(EIP, returnAddress);
    next.set(ESP, esp + 4);
    return { registers: next, savedAt: new Map([[EIP, esp]]), ring, isTrap: false };
  }

  private byFramePointer(registers: Map<number, number>, ring: number): Unwound | undefined {
    const ebp = registers.get(EBP);
    const esp = registers.get(ESP) ?? 0;
    if (ebp === undefined || ebp === 0 || ebp < esp || ebp - esp > 0x100000) return undefined;
    const callers = this.memory.word(ebp);
    const returnAddress = this.memory.word(ebp + 4);
    if (callers === undefined || returnAddress === undefined || this.symbols.imageAt(returnAddress) === undefined)
      return undefined;
    // What was not saved by rule is lost, but for what calls leave alone.
    const next = new Map<number, number>([
      [EBP, callers],
      [ESP, ebp + 8],
      [EIP, returnAddress],
    ]);
    return {
      registers: next,
      savedAt: new Map([
        [EBP, ebp],
        [EIP, ebp + 4],
      ]),
      ring,
      isTrap: false,
    };
  }

  private bySearch(registers: Map<number, number>, ring: number): Unwound | undefined {
    if (ring !== 1) return undefined;
    const esp = registers.get(ESP) ?? 0;
    for (let i = 0; i < TRAP_SEARCH_WORDS; i++) {
      const slot = esp + i * 4;
      if (this.isTrapFrame(slot))
        return this.throughTrapFrame(slot, new Map([[EBP, registers.get(EBP) ?? 0]]), new Map(), ring);
    }
    return undefined;
  }

  private isHandler(pc: number): boolean {
    return this.vm
      .idt()
      .entries.some(
        (row) => row.guest !== null && ((row.guest.low & 0xffff) | (row.guest.high & 0xffff0000)) >>> 0 === pc,
      );
  }

  /**
   * Whether EIP, CS and EFLAGS lie at an address: a code selector that exists, flags that can be, code that is known.
   */
  private isTrapFrame(slot: number): boolean {
    const [eip, cs, eflags] = [0, 4, 8].map((offset) => this.memory.word(slot + offset));
    if (eip === undefined || cs === undefined || eflags === undefined) return false;
    if (cs > 0xff || (cs & 3) === 0 || (cs & 3) === 2 || (eflags & 2) === 0 || (eflags & 0xffc08028) !== 0)
      return false;
    const row = this.vm.gdt().entries[cs >>> 3];
    return (
      row !== undefined && (row.cpu.high & 0x9800) === 0x9800 && this.memory.readSome("linear", eip, 1).length === 1
    );
  }

  private trapLabel(next: Unwound): string {
    const eip = next.registers.get(EIP);
    const from = `from ring ${next.ring}`;
    const newest = this.log.lastSequence;
    for (let n = newest; n > Math.max(newest - ENTRIES_SEARCHED, this.log.droppedCount); n--) {
      // A software interrupt is logged where it stands and returns behind itself.
      if (eip === undefined || eip - this.log.eipAt(n) > INT_LENGTH || eip < this.log.eipAt(n)) continue;
      const entry = this.log.entry(n)!;
      if (entry.cpl !== next.ring) continue;
      if (entry.outcome !== "reflected" && entry.outcome !== "direct" && entry.outcome !== "interrupt") continue;
      const how =
        entry.outcome === "direct"
          ? "direct"
          : entry.outcome === "interrupt"
            ? "injected by the host"
            : "reflected by the host";
      return `${trapName(entry.vector, entry.name)} ${from}, ${how}`;
    }
    return `trap ${from}`;
  }
}

function trapName(vector: number, name: string): string {
  const exception = EXCEPTIONS[vector];
  return exception === undefined ? name : `trap ${vector} (${exception.name})`;
}

function plainFrame(kind: FrameKind, world: World, name: string): StackFrame {
  return { kind, world, name, pc: 0, lookupPc: 0, esp: 0, ring: 0, depth: 0 };
}
