/*
 * The debug adapter on standard input and output, for other editors and for tests. One session per process; when the client is gone
 * the process ends.
 *
 *     node dap-server.js
 */
import { frameMessage, MessageReader, Session } from "../dap";
import { NodeScheduler, nodeFiles } from "./node-host";

/** Serves one session on these streams until the client is done. */
export function serve(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const session = new Session((message) => void output.write(frameMessage(message)), {
      scheduler: new NodeScheduler(),
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
