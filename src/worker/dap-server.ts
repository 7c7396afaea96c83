/*
 * The debug adapter on standard input and output, for other editors and for tests. One session per process; when the
 * client is gone the process ends.
 *
 *     node dap-server.js
 */
import { frameMessage, MessageReader, Session } from "../dap";
import { NodeScheduler, nodeFiles } from "./node-host";

/** Bytes that a slow client may leave unread before the guest is held. */
const MOST_UNREAD = 1 << 20;

/** Holds the guest while the client does not read: a guest that floods its console must not fill our memory. */
class StreamScheduler extends NodeScheduler {
  constructor(private readonly output: NodeJS.WritableStream & { readonly writableLength?: number }) {
    super();
  }

  override async yield(): Promise<void> {
    await super.yield();
    while (this.output.writable && (this.output.writableLength ?? 0) > MOST_UNREAD) await this.sleep(5);
  }
}

/** Serves one session on these streams until the client is done. */
export function serve(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    output.on("error", () => resolve());
    const session = new Session((message) => void output.write(frameMessage(message)), {
      scheduler: new StreamScheduler(output),
      files: nodeFiles,
      onDisconnect: () => setImmediate(resolve),
    });
    const reader = new MessageReader(
      (message) => void session.receive(message),
      (text) => process.stderr.write(`ring1: this is no DAP message: ${text.slice(0, 200)}\n`),
    );
    input.on("data", (bytes: Uint8Array) => reader.receive(bytes));
    input.on("end", () => resolve());
  });
}

if (require.main === module) {
  void serve(process.stdin, process.stdout).then(() => process.exit(0));
}
