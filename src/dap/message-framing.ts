/*
 * DAP over a byte stream: each message is JSON in UTF-8 behind a header that tells its length in bytes.
 *
 *     Content-Length: 119\r\n \r\n {"seq":1,...}
 *
 * DAP specification, "Base Protocol". Bytes that are no message are skipped up to the next header, so a stray line does
 * no harm.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";

const HEADER_END = "\r\n\r\n";
/** A longer message than this is nonsense. */
const MAX_MESSAGE = 1 << 28;
const MAX_HEADER = 1 << 13;

/** Splits a stream of bytes into messages. */
export class MessageReader {
  private pending = new Uint8Array(0);
  private readonly decoder = new TextDecoder();

  /** @param onMessage called for each whole message; what is no JSON is reported to `onGarbage`. */
  constructor(
    private readonly onMessage: (message: DebugProtocol.ProtocolMessage) => void,
    private readonly onGarbage: (text: string) => void = () => {},
  ) {}

  receive(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.pending.length + bytes.length);
    joined.set(this.pending);
    joined.set(bytes, this.pending.length);
    this.pending = joined;
    while (this.next());
  }

  /** Takes one message off the front; false when there is no whole one. */
  private next(): boolean {
    const head = this.decoder.decode(this.pending.subarray(0, MAX_HEADER));
    const end = head.indexOf(HEADER_END);
    if (end < 0) {
      if (this.pending.length >= MAX_HEADER) this.pending = new Uint8Array(0);
      return false;
    }
    const length = Number(/content-length:\s*(\d+)/i.exec(head.slice(0, end))?.[1] ?? -1);
    // Header fields are ASCII: characters and bytes are the same in number.
    const start = end + HEADER_END.length;
    if (!(length >= 0 && length <= MAX_MESSAGE)) {
      this.onGarbage(head.slice(0, end));
      this.pending = this.pending.slice(start);
      return true;
    }
    if (this.pending.length < start + length) return false;
    const text = this.decoder.decode(this.pending.subarray(start, start + length));
    this.pending = this.pending.slice(start + length);
    try {
      this.onMessage(JSON.parse(text) as DebugProtocol.ProtocolMessage);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.onGarbage(text);
    }
    return true;
  }
}

/** A message with its header. */
export function frameMessage(message: DebugProtocol.ProtocolMessage): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(message));
  const header = new TextEncoder().encode(`Content-Length: ${body.length}${HEADER_END}`);
  const framed = new Uint8Array(header.length + body.length);
  framed.set(header);
  framed.set(body, header.length);
  return framed;
}
