/**
 * --trap-log: one JSON object a line for each transition between guest and host, in the order in which they happened. A line is written
 * when the guest runs again, because only then its cost is known; what is left at the end has none.
 */
import type { GuestEvent, GuestObserver } from "../lguest";

export class TrapLog implements GuestObserver {
  private n = 0;
  private readonly waiting: GuestEvent[] = [];
  private readonly paid = new Set<GuestEvent>();

  constructor(
    private readonly write: (line: string) => void,
    private readonly symbol: (address: number) => string | undefined,
  ) {}

  before(event: GuestEvent): undefined {
    // Death is told by the outcome of what led to it.
    if (event.kind !== "kill" && event.kind !== "entry") this.waiting.push(event);
  }
  resumed(event: GuestEvent): void {
    this.paid.add(event);
    while (this.waiting.length > 0 && this.paid.delete(this.waiting[0])) this.line(this.waiting.shift() as GuestEvent);
  }
  /** The machine has ended. */
  finish(): void {
    for (const event of this.waiting) this.line(event);
    this.waiting.length = 0;
  }

  private line(event: GuestEvent): void {
    const symbol = this.symbol(event.eip);
    this.write(
      `${JSON.stringify({
        n: ++this.n,
        icount: event.instructionCount,
        world: event.world,
        vector: event.vector,
        name: event.name,
        error: event.errorCode,
        cpl: event.cpl,
        eip: event.eip,
        symbol,
        cr2: event.cr2,
        hypercall: event.hypercall,
        outcome: event.outcome ?? null,
        detail: event.detail === "" ? undefined : event.detail,
        cost: event.cost ?? undefined,
      })}\n`,
    );
  }
}
