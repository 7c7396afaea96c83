/**
 * The host's records of a guest (struct lguest) and of its virtual CPU (struct lg_cpu): data, with the few accessors that everybody
 * needs. What is done with them is in the files named after lguest's parts; start with run-guest.ts.
 *
 * Guest-physical address P is host-physical memBase + P: the launcher's memory.
 */
import type { ScheduledEvent } from "../../machine";
import { StateLayout as L } from "../../x86";
import type { GuestEvent, GuestEventOutcome } from "../api";
import { GDT_ENTRIES, IDT_ENTRIES, REGS_OFFSET, type Regs } from "../switcher/layout";
import type { LguestModule } from "./core";
import { type KillReason, killText } from "./kill";
import { PageReferences } from "./page-references";

/** What must be copied before the next entry; TLS is part of the GDT. */
export const Changed = { IDT: 1, GDT: 2, GDT_TLS: 4, ALL: 3 } as const;

/** A shadow: the guest's top-level table and the one made from it. */
export interface ShadowSlot {
  /** Guest-physical. */
  gpgdir: number;
  /** Host-physical; 0: none. */
  pgdir: number;
}
export const SHADOW_SLOTS = 4;

/** An eventfd: a counter that somebody waits for. */
export interface EventFd {
  count: number;
  signal(): void;
}

export class Guest {
  readonly pgdirs: ShadowSlot[] = Array.from({ length: SHADOW_SLOTS }, () => ({ gpgdir: 0, pgdir: 0 }));
  /** First guest page that does not exist. */
  pfnLimit = 0;
  /** Host-physical address of guest-physical 0, and how much the launcher has mapped there. */
  memBase = 0;
  mappedBytes = 0;
  pageReferences = new PageReferences(0);
  /** Guest-physical address of struct lguest_data; null before LGUEST_INIT. */
  lguestData: number | null = null;
  noirqStart = 0;
  noirqEnd = 0;
  kernelAddress = 0;
  stackPages = 0;
  /** Notify address -> eventfd. */
  eventfds: { readonly address: number; readonly event: EventFd }[] = [];
  dead: KillReason | null = null;
  readonly cpu: Vcpu;

  constructor(readonly module: LguestModule) {
    this.cpu = new Vcpu(this);
  }

  /** The first reason wins. */
  kill(text: string): void {
    this.dead ??= { kind: "killed", text };
  }
  /** SHUTDOWN: a death the guest asked for. */
  shutDown(message: string): void {
    this.dead ??= { kind: "powered-off", text: killText.crash(message), message };
  }
}

export type RegsOffset = (typeof Regs)[keyof typeof Regs];

export class Vcpu {
  readonly id = 0;
  /** Host-physical page with struct lguest_regs at its end. */
  regsPage = 0;
  /** Linear address of the struct lguest_pages used last; null: none yet. */
  lastPages: number | null = null;
  changed = 0;
  /** The guest asked for CR0.TS: TS's argument. */
  ts = 0;
  esp1 = 0;
  ss1 = 0;
  /** Shadow slot in use. */
  cpuPgd = 0;
  /** 3.x: the guest has no page tables yet. */
  linearPages = false;
  /** The direct hypercall to be done at the start of the next round is in the registers. */
  hcall = false;
  nextHcall = 0;
  /** Address given to NOTIFY; 0: none. */
  pendingNotify = 0;
  halted = false;
  irqsPending = 0;
  /** The guest's timer. */
  timer: ScheduledEvent | null = null;
  /** Two words an entry, as fixed up. */
  readonly gdt = new Uint32Array(2 * GDT_ENTRIES);
  readonly idt = new Uint32Array(2 * IDT_ENTRIES);
  /** The same as the guest gave them; for views only. */
  readonly writtenGdt = new Map<number, { low: number; high: number }>();
  readonly writtenIdt = new Map<number, { low: number; high: number }>();
  lastPagefault = 0;
  /** What is being handled, when somebody watches. */
  event: GuestEvent | null = null;

  constructor(readonly guest: Guest) {}

  reg(offset: RegsOffset): number {
    return this.guest.module.kernel.machine.cpu.u32[this.regsIndex + (offset >> 2)];
  }
  setReg(offset: RegsOffset, value: number): void {
    this.guest.module.kernel.machine.cpu.u32[this.regsIndex + (offset >> 2)] = value;
  }
  /** Index of struct lguest_regs among the words of the processor's memory. Nobody watches that page, so no check is needed. */
  get regsIndex(): number {
    return (L.RAM_BASE + this.regsPage + REGS_OFFSET) >> 2;
  }
  /** Tells the watcher, if there is one, what is done about the current event. */
  note(outcome: GuestEventOutcome | null, detail = ""): void {
    if (this.event === null) return;
    this.event.outcome = outcome;
    if (detail !== "") this.event.detail = detail;
  }
}
