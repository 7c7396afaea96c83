/**
 * The device through which a launcher makes and drives a guest: write() takes requests, words of which the first says what; read() runs
 * the guest and comes back with a NOTIFY for the launcher, or with why it ended. Return values are those of the system calls.
 */
import type { LguestModule } from "./core";
import { Errno } from "./errno";
import { LGUEST_IRQS } from "./generation";
import { type EventFd, Guest } from "./guest";
import { guestSetClockevent, initClockdev, setInterrupt } from "./interrupts-and-traps";
import { PageReferences } from "./page-references";
import { freeGuestPagetable, initGuestPagetable } from "./page-tables";
import { archSetupRegs } from "./x86-core";

/** First word of a write. */
export const Lhreq = { INITIALIZE: 0, GETDMA: 1, IRQ: 2, BREAK: 3, EVENTFD: 4 } as const;

/** The launcher's memory: host-physical, contiguous. Its address is what the launcher calls "base". */
export interface LauncherMemory {
  readonly base: number;
  readonly size: number;
}

/** An open /dev/lguest. */
export class LguestDevice {
  /** Null before LHREQ_INITIALIZE and after close. */
  guest: Guest | null = null;

  /** @param eventFd finds an eventfd by its number, as a launcher's descriptor table does. */
  constructor(
    readonly module: LguestModule,
    private readonly memory: LauncherMemory,
    private readonly eventFd: (descriptor: number) => EventFd | null,
  ) {}

  /** A write of words; `cpuId` is the file offset. The number of bytes taken, 0, or a negative error code. */
  write(words: readonly number[], cpuId = 0): number {
    if (words.length === 0) return Errno.EFAULT;
    const [request, ...rest] = words;
    if (request !== Lhreq.INITIALIZE) {
      if (this.guest === null || cpuId !== 0) return Errno.EINVAL;
      if (this.guest.dead !== null) return Errno.ENOENT;
    }
    switch (request) {
      case Lhreq.INITIALIZE:
        return this.initialize(rest);
      case Lhreq.IRQ:
        return this.userSendIrq(this.guest as Guest, rest);
      case Lhreq.EVENTFD:
        return this.attachEventfd(this.guest as Guest, rest);
      default:
        return Errno.EINVAL;
    }
  }

  /** What read() finds before it may run the guest: null, or a result at once. */
  beforeRun(cpuId = 0): { readonly code: number } | { readonly text: string } | null {
    const guest = this.guest;
    if (guest === null || cpuId !== 0) return { code: Errno.EINVAL };
    if (guest.dead !== null)
      return guest.dead.kind === "restart" ? { code: Errno.ERESTART } : { text: guest.dead.text };
    guest.cpu.pendingNotify = 0;
    return null;
  }

  /** Ends the guest and gives everything back. */
  close(): void {
    const guest = this.guest;
    if (guest === null) return;
    guestSetClockevent(guest.cpu, 0);
    freeGuestPagetable(guest);
    if (guest.cpu.regsPage !== 0) this.module.kernel.pages.free(guest.cpu.regsPage);
    guest.eventfds = [];
    this.module.lastCpu = this.module.lastCpu.map((cpu) => (cpu === guest.cpu ? null : cpu));
    this.guest = null;
  }

  /** base, pfnlimit, start. The result is 12, though 16 bytes were written. */
  private initialize(words: readonly number[]): number {
    if (this.guest !== null) return Errno.EBUSY;
    if (words.length < 3) return Errno.EFAULT;
    const [base, pfnLimit, start] = words;
    const guest = new Guest(this.module);
    guest.memBase = base;
    guest.pfnLimit = pfnLimit;
    guest.mappedBytes = Math.max(0, this.memory.base + this.memory.size - base);
    guest.pageReferences = new PageReferences(guest.mappedBytes >>> 12);
    const started = this.cpuStart(guest, start);
    if (started < 0) return started;
    const tables = initGuestPagetable(guest);
    if (tables < 0) {
      this.module.kernel.pages.free(guest.cpu.regsPage);
      return tables;
    }
    this.guest = guest;
    return 12;
  }
  /** lg_cpu_start: timer, register page, first registers. */
  private cpuStart(guest: Guest, start: number): number {
    initClockdev(guest.cpu);
    const page = this.module.kernel.pages.allocate();
    if (page === 0) return Errno.ENOMEM;
    guest.cpu.regsPage = page;
    archSetupRegs(guest.cpu, start);
    return 0;
  }
  private userSendIrq(guest: Guest, words: readonly number[]): number {
    if (words.length < 1) return Errno.EFAULT;
    if (words[0] >>> 0 >= LGUEST_IRQS) return Errno.EINVAL;
    setInterrupt(guest.cpu, words[0]);
    return 0;
  }
  /** address, descriptor. */
  private attachEventfd(guest: Guest, words: readonly number[]): number {
    if (words.length < 2) return Errno.EFAULT;
    const [address, descriptor] = words;
    if (address === 0) return Errno.EINVAL;
    const event = this.eventFd(descriptor);
    if (event === null) return Errno.EINVAL;
    // A new list takes the place of the old one, so that a reader always has a whole one.
    guest.eventfds = [...guest.eventfds, { address, event }];
    return 0;
  }
}

/** send_notify_to_eventfd: true if somebody registered exactly this address. */
export function sendNotifyToEventfd(guest: Guest): boolean {
  const found = guest.eventfds.find(({ address }) => address === guest.cpu.pendingNotify);
  if (found === undefined) return false;
  found.event.count++;
  guest.cpu.pendingNotify = 0;
  found.event.signal();
  return true;
}
