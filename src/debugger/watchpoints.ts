/*
 * Data breakpoints: any number, any length, in linear, guest-physical or host-physical memory. The processor watches
 * host-physical pages, so a linear place is translated when it is set and again when the guest changes its page tables.
 *
 * "Write" stops when the value has changed; "read" and "readWrite" stop at each access. The access has happened by
 * then.
 */
import { hex } from "../base";
import type { VirtualMachineInterface } from "../lguest";
import type { Watchpoint } from "../x86";
import { type Condition, compileCondition, compileHitCount } from "./conditions";
import { UserError } from "./errors";
import { type MemoryPlace, memoryReference, parseReference, type TargetMemory } from "./target-memory";

export type DataAccess = "read" | "write" | "readWrite";

export interface DataRequest {
  /** As `dataIdOf` gave it. */
  readonly dataId: string;
  readonly access?: DataAccess;
  readonly condition?: string;
  readonly hitCondition?: string;
}

export interface DataBreakpoint {
  readonly id: number;
  readonly request: DataRequest;
  readonly place: MemoryPlace | undefined;
  readonly length: number;
  readonly access: DataAccess;
  readonly condition: Condition | undefined;
  readonly isHit: ((hits: number) => boolean) | undefined;
  /** Why it does not work; undefined when it does. */
  message: string | undefined;
  hits: number;
  old: Uint8Array;
}

/** What stopped the guest. */
export interface DataHit {
  readonly breakpoint: DataBreakpoint;
  readonly isWrite: boolean;
  /** Old and new value, as a sentence's end. */
  readonly text: string;
}

const FIRST_ID = 1_000_000;
const MAX_LENGTH = 0x10000;
const PAGE = 0x1000;

export class Watchpoints {
  private list: DataBreakpoint[] = [];
  private readonly owners = new Map<Watchpoint, DataBreakpoint>();
  private readonly hits: { breakpoint: DataBreakpoint; isWrite: boolean }[] = [];
  private nextId = FIRST_ID;
  private vm: VirtualMachineInterface | undefined;
  private memory: TargetMemory | undefined;
  /** True while the debugger itself writes. */
  isMuted = false;

  /** Takes another machine. */
  attach(vm: VirtualMachineInterface, memory: TargetMemory): void {
    this.vm = vm;
    this.memory = memory;
    vm.machine.cpu.code.onWatch = (watch, _physical, _size, isWrite) => {
      const breakpoint = this.owners.get(watch);
      if (breakpoint === undefined || this.isMuted) return;
      this.hits.push({ breakpoint, isWrite });
      vm.stop("watchpoint");
    };
    this.refresh();
  }

  set(requests: readonly DataRequest[]): readonly DataBreakpoint[] {
    this.list = requests.map((request) => this.make(request));
    this.refresh();
    return this.list;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** Translates all places again: the guest's page tables may have changed. */
  refresh(): void {
    const { vm } = this;
    if (vm === undefined) return;
    this.owners.clear();
    for (const breakpoint of this.list) {
      if (breakpoint.place === undefined) continue;
      breakpoint.old = this.memory!.readSome(breakpoint.place.space, breakpoint.place.address, breakpoint.length);
      const pieces = this.pieces(breakpoint.place, breakpoint.length);
      breakpoint.message =
        pieces.length === 0 ? "Nothing is mapped there now; it holds as soon as something is." : undefined;
      const onRead = breakpoint.access !== "write";
      const onWrite = breakpoint.access !== "read";
      for (const piece of pieces) this.owners.set({ ...piece, onRead, onWrite }, breakpoint);
    }
    vm.machine.cpu.code.setWatchpoints([...this.owners.keys()]);
  }

  /** The accesses since the last call that count; what did not change a value is dropped. */
  takeHits(): { breakpoint: DataBreakpoint; text: string }[] {
    const found: { breakpoint: DataBreakpoint; text: string }[] = [];
    for (const { breakpoint, isWrite } of this.hits.splice(0)) {
      const place = breakpoint.place!;
      const now = this.memory!.readSome(place.space, place.address, breakpoint.length);
      const changed = now.length !== breakpoint.old.length || now.some((byte, i) => byte !== breakpoint.old[i]);
      const text = changed
        ? `${valueText(breakpoint.old)} became ${valueText(now)}`
        : `${isWrite ? "written" : "read"}, value ${valueText(now)}`;
      breakpoint.old = now;
      if (breakpoint.access === "write" && !changed) continue;
      if (found.some((hit) => hit.breakpoint === breakpoint)) continue;
      breakpoint.hits++;
      if (breakpoint.isHit === undefined || breakpoint.isHit(breakpoint.hits)) found.push({ breakpoint, text });
    }
    return found;
  }

  private make(request: DataRequest): DataBreakpoint {
    const known = this.list.find((old) => old.request.dataId === request.dataId);
    const base = {
      id: known?.id ?? this.nextId++,
      request,
      access: request.access ?? "write",
      hits: 0,
      old: new Uint8Array(0),
    };
    try {
      const { place, length } = parseDataId(request.dataId);
      return {
        ...base,
        place,
        length,
        condition: compileCondition(request.condition),
        isHit: compileHitCount(request.hitCondition),
        message: undefined,
      };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { ...base, place: undefined, length: 0, condition: undefined, isHit: undefined, message: error.message };
    }
  }

  /** Host-physical pieces of a place, none crossing a page. */
  private pieces(place: MemoryPlace, length: number): { physical: number; length: number }[] {
    const pieces: { physical: number; length: number }[] = [];
    for (let at = place.address, left = length; left > 0; ) {
      const part = Math.min(left, PAGE - (at & (PAGE - 1)));
      const physical = this.hostPhysical(place.space, at);
      if (physical !== null) pieces.push({ physical, length: part });
      at += part;
      left -= part;
    }
    return pieces;
  }

  private hostPhysical(space: MemoryPlace["space"], address: number): number | null {
    const vm = this.vm!;
    if (space === "hpa") return address;
    const guestPhysical = space === "gpa" ? address : vm.state().isLinear ? address : vm.guestWalk(address).physical;
    return guestPhysical === null ? null : vm.hostPhysical(guestPhysical);
  }
}

/** The lasting name of a stretch of memory. */
export function dataIdOf(place: MemoryPlace, length: number): string {
  return `${memoryReference(place)}/${length}`;
}

function parseDataId(text: string): { place: MemoryPlace; length: number } {
  const match = /^(.*)\/(\d+)$/.exec(text);
  const place = match === null ? undefined : parseReference(match[1]);
  const length = Number(match?.[2]);
  if (place === undefined || !(length >= 1 && length <= MAX_LENGTH))
    throw new UserError(`"${text}" is no data that can be watched.`);
  return { place, length };
}

function valueText(bytes: Uint8Array): string {
  if (bytes.length === 0) return "nothing";
  if (bytes.length > 8) return `${bytes.length} bytes`;
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return bytes.length <= 4
    ? `0x${hex(Number(value), bytes.length * 2)}`
    : `0x${value
        .toString(16)
        .toUpperCase()
        .padStart(bytes.length * 2, "0")}`;
}
