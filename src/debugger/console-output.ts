/*
 * The guest's console on its way to a terminal: bytes become text (UTF-8, also across writes), and a guest that floods
 * it does not fill our memory: between two deliveries only so much is kept, and what is left out is counted.
 */

export type ConsoleSource = "early" | "device";

export interface ConsoleChunk {
  readonly text: string;
  readonly source: ConsoleSource;
  /** Characters left out in front of this chunk. */
  readonly dropped: number;
}

/** Characters kept between two deliveries. */
const MOST_KEPT = 1 << 18;

export class ConsoleOutput {
  private readonly decoders = { early: new TextDecoder(), device: new TextDecoder() };
  private chunks: { text: string; source: ConsoleSource }[] = [];
  private kept = 0;
  private dropped = 0;

  write(bytes: Uint8Array, source: ConsoleSource): void {
    const text = this.decoders[source].decode(bytes, { stream: true });
    if (text === "") return;
    if (this.kept + text.length > MOST_KEPT) {
      this.dropped += text.length;
      return;
    }
    this.kept += text.length;
    const last = this.chunks.at(-1);
    if (last?.source === source) last.text += text;
    else this.chunks.push({ text, source });
  }

  /** What has come since the last call, in order. */
  take(): ConsoleChunk[] {
    if (this.chunks.length === 0) return [];
    const { chunks, dropped } = this;
    this.chunks = [];
    this.kept = 0;
    this.dropped = 0;
    return chunks.map((chunk, i) => ({ ...chunk, dropped: i === chunks.length - 1 ? dropped : 0 }));
  }
}
