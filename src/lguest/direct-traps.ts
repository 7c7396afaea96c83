/**
 * Traps that the host never sees: the processor enters the guest's handler itself. An observer is told all the same, because the processor
 * asks before each delivery and tells of it afterwards; without an observer neither is connected.
 */
import type { Machine } from "../machine";
import type { PendingDelivery } from "../x86";
import type { GuestEvent, GuestObserver, GuestRegisters } from "./api";
import { makeEvent, vectorName } from "./host/events";
import type { Guest } from "./host/guest";
import { directTrap, idtType } from "./host/interrupts-and-traps";

export class DirectTraps {
  /** The delivery that the observer stopped at; it has not happened. */
  stoppedAt: GuestEvent | null = null;
  private announced: GuestEvent | null = null;

  constructor(
    private readonly machine: Machine,
    private readonly guest: () => Guest,
  ) {}

  watch(observer: GuestObserver | null): void {
    const { engine, cpu } = this.machine;
    this.announced = null;
    this.stoppedAt = null;
    if (observer === null) {
      engine.interceptDelivery = null;
      cpu.onDelivery = null;
      return;
    }
    engine.interceptDelivery = (pending) => this.before(observer, pending);
    cpu.onDelivery = ({ fromCpl, toCpl, vector }) => {
      if (fromCpl === 0 || toCpl === 0) return;
      const event = this.announced?.vector === vector ? this.announced : null;
      this.announced = null;
      this.stoppedAt = null;
      if (event === null) return;
      event.outcome = "direct";
      event.cost = 0;
      observer.after?.(event);
      observer.resumed?.(event);
    };
  }

  private before(observer: GuestObserver, pending: PendingDelivery): boolean {
    const { cpu } = this.machine;
    this.announced = null;
    this.stoppedAt = null;
    if (cpu.cpl === 0 || pending.source === "external" || !this.isDirect(pending.vector)) return false;
    const name = vectorName(pending.vector) ?? `int 0x${pending.vector.toString(16)}`;
    const event = makeEvent("direct", this.machine.now, liveRegisters(this.machine), {
      vector: pending.vector,
      name,
      ...(pending.errorCode === undefined ? {} : { errorCode: pending.errorCode }),
    });
    this.announced = event;
    if (observer.before(event) !== "stop") return false;
    this.stoppedAt = event;
    return true;
  }
  private isDirect(vector: number): boolean {
    const guest = this.guest();
    return idtType(guest.cpu.idt[2 * vector + 1]) === 0xf && directTrap(guest.module, vector);
  }
}

const GENERAL = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
const SEGMENTS = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

/** The processor's own registers. */
export function liveRegisters({ cpu }: Machine): GuestRegisters {
  const registers: Record<string, number> = { eip: cpu.eip, eflags: cpu.eflags };
  for (const [code, name] of GENERAL.entries()) registers[name] = cpu.reg(code);
  for (const [code, name] of SEGMENTS.entries()) registers[name] = cpu.selector(code);
  return registers as unknown as GuestRegisters;
}
