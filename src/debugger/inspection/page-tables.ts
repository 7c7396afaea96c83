/*
 * The guest's page tables beside the shadow that the processor uses, merged into as few rows as tell the truth. The top
 * level has one region per run of equal directory entries; opening a region reads its tables and no others.
 *
 * The guest's entries lie in guest-physical memory, the shadow's in host-physical memory; a guest entry corresponds to
 * the shadow entry whose frame is the host's frame of the guest's frame. SDM Vol. 3, 4.3; lguest's shadow rules.
 */
import type { VirtualMachineInterface } from "../../lguest";
import { UserError } from "../errors";
import { type PageFlags, pageFlags } from "./flag-fields";

export type ShadowState = "same" | "readOnly" | "notFilled" | "stale" | "switcher" | "hole" | "differs";

export interface PageMapping {
  physical: number;
  flags: PageFlags;
  entry: number;
}

export interface PageRange {
  start: number;
  end: number;
  guest: PageMapping | null;
  shadow: PageMapping | null;
  state: ShadowState;
  why?: string;
}

export interface PageRegion {
  start: number;
  end: number;
  first: number;
  last: number;
  kind: "mapped" | "hole" | "switcher";
  guestFlags?: PageFlags;
  shadowFlags?: PageFlags;
  guestEntry: number;
  shadowEntry: number;
  guestPhysical?: number;
  guestPages: number;
  shadowPages: number;
  differences: number;
  why?: string;
}

const ENTRIES = 1024;
const PAGE = 0x1000;
const REGION = 0x400000;
const PRESENT = 1;
const WRITABLE = 2;
const USER = 4;
const DIRTY = 0x40;
const FRAME = 0xfffff000;
const EMPTY = new Uint32Array(ENTRIES);
/** Flags that tell directory entries apart when regions are merged: P, RW, US, PS. */
const REGION_FLAGS = 0x87;

/** What the tables of one shadow slot say, read word by word from memory. */
export class PageTableReader {
  private readonly guestDirectory: Uint32Array;
  private readonly shadowDirectory: Uint32Array;
  private readonly firstSwitcherIndex: number;
  readonly slot: number;
  readonly isLinear: boolean;

  /** @throws UserError for a slot that does not exist. */
  constructor(
    private readonly vm: VirtualMachineInterface,
    slot?: number,
  ) {
    const state = vm.state();
    this.slot = slot ?? state.currentSlot;
    const tables = state.slots.find((s) => s.slot === this.slot);
    if (tables === undefined)
      throw new UserError(`There is no shadow slot ${this.slot}; there are ${state.slots.length}.`);
    this.isLinear = state.isLinear;
    this.firstSwitcherIndex = vm.switcherAddress >>> 22;
    this.guestDirectory = this.isLinear
      ? linearDirectory(state.memoryBytes)
      : tables.guestTable === null
        ? EMPTY
        : words(vm.readGuestPhysical(tables.guestTable & FRAME, PAGE));
    this.shadowDirectory = tables.shadowTable === null ? EMPTY : words(vm.readHostPhysical(tables.shadowTable, PAGE));
  }

  /** The top level: regions that cover 4 GiB without gaps. */
  regions(): PageRegion[] {
    const regions: PageRegion[] = [];
    let delta: number | undefined;
    for (let index = 0; index < ENTRIES; index++) {
      const next = this.region(index);
      const last = regions.at(-1);
      if (last !== undefined && isSameRegion(last, next.region) && (next.delta === delta || last.kind !== "mapped")) {
        last.last = index;
        last.end = next.region.end;
        last.guestPages += next.region.guestPages;
        last.shadowPages += next.region.shadowPages;
        last.differences += next.region.differences;
      } else {
        regions.push(next.region);
        delta = next.delta;
      }
    }
    return regions;
  }

  /** The pages of directory entries first..last, merged, without gaps. */
  ranges(first: number, last: number): PageRange[] {
    if (!(first >= 0 && last < ENTRIES && first <= last)) {
      throw new UserError(`A page directory has entries 0 to 1023, not ${first} to ${last}.`);
    }
    const ranges: PageRange[] = [];
    for (let index = first; index <= last; index++) {
      const guest = this.guestTable(index);
      const shadow = this.shadowTable(index);
      for (let i = 0; i < ENTRIES; i++) {
        const start = index * REGION + i * PAGE;
        addPage(ranges, start, this.page(index, guest[i], shadow[i]));
      }
    }
    return ranges;
  }

  private region(index: number): { region: PageRegion; delta?: number } {
    const guestEntry = this.guestDirectory[index];
    const shadowEntry = this.shadowDirectory[index];
    const start = index * REGION;
    const region: PageRegion = {
      start,
      end: start + REGION - 1,
      first: index,
      last: index,
      kind: "hole",
      guestEntry,
      shadowEntry,
      guestPages: 0,
      shadowPages: 0,
      differences: 0,
    };
    if (index >= this.firstSwitcherIndex) {
      region.kind = "switcher";
      region.shadowPages = countPresent(this.shadowTable(index));
      region.shadowFlags = pageFlags(shadowEntry);
      if (guestEntry & PRESENT) region.why = "The guest has an entry here; it is ignored, the Switcher lives here.";
      return { region };
    }
    if (!((guestEntry | shadowEntry) & PRESENT)) return { region };
    region.kind = "mapped";
    if (guestEntry & PRESENT) region.guestFlags = pageFlags(guestEntry);
    if (shadowEntry & PRESENT) region.shadowFlags = pageFlags(shadowEntry);
    if (guestEntry & 0x80 && guestEntry & PRESENT)
      region.why = "The guest asks for a 4 MiB page; lguest has none and kills it at the first touch.";
    else if (!(guestEntry & PRESENT)) region.why = "The shadow still has what the guest no longer maps.";
    return { region, delta: this.countPages(index, region) };
  }

  /** Fills in the page counts; the result is physical minus linear address when that is the same for every page. */
  private countPages(index: number, region: PageRegion): number | undefined {
    const guest = this.guestTable(index);
    const shadow = this.shadowTable(index);
    let delta: number | undefined;
    let isContiguous = true;
    for (let i = 0; i < ENTRIES; i++) {
      if (shadow[i] & PRESENT) region.shadowPages++;
      if (guest[i] & PRESENT) {
        region.guestPages++;
        const offset = (guest[i] & FRAME) - (region.start + i * PAGE);
        delta ??= offset | 0;
        if (delta !== (offset | 0)) isContiguous = false;
      }
      if (!((guest[i] | shadow[i]) & PRESENT)) continue;
      const { state } = this.page(index, guest[i], shadow[i]);
      if (state === "stale" || state === "differs") region.differences++;
    }
    if (!isContiguous || delta === undefined) return undefined;
    if (guest[0] & PRESENT) region.guestPhysical = (guest[0] & FRAME) >>> 0;
    return delta;
  }

  private page(index: number, guest: number, shadow: number): Omit<PageRange, "start" | "end"> {
    if (index >= this.firstSwitcherIndex) {
      if (!(shadow & PRESENT)) return { guest: null, shadow: null, state: "switcher" };
      return {
        guest: null,
        shadow: mapping(shadow),
        state: "switcher",
        why: "One of the Switcher's pages; supervisor only.",
      };
    }
    const sides = { guest: guest & PRESENT ? mapping(guest) : null, shadow: shadow & PRESENT ? mapping(shadow) : null };
    if (!(guest & PRESENT)) {
      if (!(shadow & PRESENT)) return { ...sides, state: "hole" };
      return { ...sides, state: "stale", why: "The guest's table no longer maps this page, the shadow still does." };
    }
    if (!(shadow & PRESENT))
      return { ...sides, state: "notFilled", why: "The first touch will trap, and the host fills it in." };
    const frame = this.vm.hostPhysical((guest & FRAME) >>> 0);
    if (frame === null || (frame & FRAME) !== (shadow & FRAME)) {
      return { ...sides, state: "stale", why: "The shadow maps another page than the guest's table says now." };
    }
    if ((guest ^ shadow) & USER) {
      return {
        ...sides,
        state: "differs",
        why: `For ring 3 the guest says ${guest & USER ? "yes" : "no"}, the shadow ${shadow & USER ? "yes" : "no"}.`,
      };
    }
    if (!((guest ^ shadow) & WRITABLE)) return { ...sides, state: "same" };
    if (shadow & WRITABLE)
      return { ...sides, state: "differs", why: "The guest says read-only, the shadow still allows writes." };
    const why =
      guest & DIRTY
        ? "Read-only in the shadow until it is written again."
        : "Read-only in the shadow until the first write, so that the host can set D.";
    return { ...sides, state: "readOnly", why };
  }

  private guestTable(index: number): Uint32Array {
    const entry = this.guestDirectory[index];
    if (!(entry & PRESENT)) return EMPTY;
    if (this.isLinear) return linearTable(index);
    if (entry & 0x80) return linearTable((entry >>> 22) | 0, entry & 0xfff & ~0x80);
    return words(this.vm.readGuestPhysical((entry & FRAME) >>> 0, PAGE));
  }
  private shadowTable(index: number): Uint32Array {
    const entry = this.shadowDirectory[index];
    return entry & PRESENT ? words(this.vm.readHostPhysical((entry & FRAME) >>> 0, PAGE)) : EMPTY;
  }
}

function words(bytes: Uint8Array): Uint32Array {
  const result = new Uint32Array(ENTRIES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i * 4 + 4 <= bytes.length; i++) result[i] = view.getUint32(i * 4, true);
  return result;
}

/** Before the first NEW_PGTABLE of a 3.x guest: linear addresses are guest-physical ones. */
function linearDirectory(memoryBytes: number): Uint32Array {
  return Uint32Array.from({ length: ENTRIES }, (_, i) => (i * REGION < memoryBytes ? PRESENT | WRITABLE | USER : 0));
}
function linearTable(index: number, flags = PRESENT | WRITABLE | USER): Uint32Array {
  return Uint32Array.from({ length: ENTRIES }, (_, i) => (index * REGION + i * PAGE) | flags);
}

function mapping(entry: number): PageMapping {
  return { physical: (entry & FRAME) >>> 0, flags: pageFlags(entry), entry: entry >>> 0 };
}

function countPresent(table: Uint32Array): number {
  let count = 0;
  for (const entry of table) if (entry & PRESENT) count++;
  return count;
}

function isSameRegion(a: PageRegion, b: PageRegion): boolean {
  return (
    a.kind === b.kind &&
    (a.guestEntry & REGION_FLAGS) === (b.guestEntry & REGION_FLAGS) &&
    (a.shadowEntry & REGION_FLAGS) === (b.shadowEntry & REGION_FLAGS) &&
    a.why === b.why
  );
}

/** Adds a page to the last range, or begins a new one. */
function addPage(ranges: PageRange[], start: number, page: Omit<PageRange, "start" | "end">): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.state === page.state && last.why === page.why) {
    const offset = start - last.start;
    if (follows(last.guest, page.guest, offset) && follows(last.shadow, page.shadow, offset)) {
      last.end = start + PAGE - 1;
      return;
    }
  }
  ranges.push({ start, end: start + PAGE - 1, ...page });
}

function follows(first: PageMapping | null, next: PageMapping | null, offset: number): boolean {
  if (first === null || next === null) return first === next;
  return first.physical + offset === next.physical && ((first.entry ^ next.entry) & 0xfff) === 0;
}
