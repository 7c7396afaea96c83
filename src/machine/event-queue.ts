/**
 * Things that happen at a given instruction count. Equal counts fire in the order in which they were scheduled, so a run never
 * depends on anything but its inputs.
 */
export interface ScheduledEvent {
  /** Instruction count at which it is due. */
  readonly at: number;
  readonly name: string;
}

interface Entry extends ScheduledEvent {
  readonly order: number;
  readonly fire: () => void;
}

export class EventQueue {
  private entries: Entry[] = [];
  private order = 0;

  /** Due time of the next event, or Infinity. */
  get nextAt(): number {
    return this.entries.length === 0 ? Number.POSITIVE_INFINITY : this.entries[0].at;
  }
  /** What is scheduled, soonest first. */
  get pending(): readonly ScheduledEvent[] {
    return this.entries;
  }

  /** Schedules; the result cancels it. */
  schedule(at: number, name: string, fire: () => void): ScheduledEvent {
    const entry: Entry = { at, name, order: this.order++, fire };
    let i = this.entries.length;
    while (
      i > 0 &&
      (this.entries[i - 1].at > at || (this.entries[i - 1].at === at && this.entries[i - 1].order > entry.order))
    )
      i--;
    this.entries.splice(i, 0, entry);
    return entry;
  }
  cancel(event: ScheduledEvent): void {
    const i = this.entries.indexOf(event as Entry);
    if (i >= 0) this.entries.splice(i, 1);
  }
  /** Fires everything due at or before `now`. An event may schedule others. */
  fireDue(now: number): void {
    while (this.entries.length > 0 && this.entries[0].at <= now) {
      const entry = this.entries.shift() as Entry;
      entry.fire();
    }
  }
}
