/**
 * The one door through which the outside enters: every key, wall-clock reading and random byte is an entry with the instruction count
 * at which it took effect. Replaying a journal gives the same run, bit for bit.
 *
 * Live: `record()` notes an input as it takes effect. Replay: `due()` hands out the noted inputs at the same counts and live input is refused.
 */
export interface JournalEntry {
  /** Instruction count at which the input took effect. */
  readonly at: number;
  /** What kind of input, e.g. "console", "wall-clock", "seed". */
  readonly channel: string;
  readonly data: Uint8Array;
}

export class Journal {
  private readonly recorded: JournalEntry[] = [];
  private next = 0;

  /** @param replay entries of an earlier run, in order; absent for a live run. */
  constructor(private readonly replay?: readonly JournalEntry[]) {}

  get isReplay(): boolean {
    return this.replay !== undefined;
  }
  /** Everything that took effect so far. */
  get entries(): readonly JournalEntry[] {
    return this.recorded;
  }
  /** Count at which the next replayed input is due, or Infinity. */
  get nextAt(): number {
    return this.replay !== undefined && this.next < this.replay.length
      ? this.replay[this.next].at
      : Number.POSITIVE_INFINITY;
  }

  /** Notes a live input. */
  record(at: number, channel: string, data: Uint8Array): void {
    this.recorded.push({ at, channel, data: data.slice() });
  }
  /** In a replay: the next input that is due at or before `now`; it counts as taken. */
  due(now: number): JournalEntry | undefined {
    if (this.replay === undefined || this.next >= this.replay.length || this.replay[this.next].at > now)
      return undefined;
    const entry = this.replay[this.next++];
    this.recorded.push(entry);
    return entry;
  }

  /** As lines of JSON: {"at":N,"channel":"console","data":"base16"}. */
  toText(): string {
    return this.recorded
      .map((entry) => JSON.stringify({ at: entry.at, channel: entry.channel, data: toHex(entry.data) }))
      .map((line) => `${line}\n`)
      .join("");
  }
  /** @throws Error naming the line when the text is not a journal. */
  static parse(text: string): JournalEntry[] {
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line, number) => {
        const entry = JSON.parse(line) as { at?: unknown; channel?: unknown; data?: unknown };
        if (typeof entry.at !== "number" || typeof entry.channel !== "string" || typeof entry.data !== "string")
          throw new Error(`line ${number + 1} is not a journal entry: expected {"at", "channel", "data"}`);
        return { at: entry.at, channel: entry.channel, data: fromHex(entry.data) };
      });
  }
}

function toHex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
