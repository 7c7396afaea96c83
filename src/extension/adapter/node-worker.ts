/*
 * The worker on the desktop: a Node worker thread that runs dist/worker.js. The only file of the extension that needs
 * Node, so that the browser bundle is the same code without this file.
 *
 * A thread that throws ends alone; the extension host goes on and the session learns the reason.
 */

import { Worker } from "node:worker_threads";
import type { ProtocolMessage, WorkerPort } from "./worker-port";

/** Starts the engine in a thread of its own. */
export function startNodeWorker(scriptPath: string): WorkerPort {
  const worker = new Worker(scriptPath, { name: "ring1", stdout: false, stderr: false });
  const port: WorkerPort = {
    onMessage: undefined,
    onFailure: undefined,
    postMessage: (message) => worker.postMessage(message),
    dispose: () => {
      port.onMessage = undefined;
      port.onFailure = undefined;
      void worker.terminate();
    },
  };
  const fail = (reason: string): void => {
    const report = port.onFailure;
    port.onMessage = undefined;
    port.onFailure = undefined;
    report?.(reason);
  };
  worker.on("message", (message: ProtocolMessage) => port.onMessage?.(message));
  worker.on("error", (error: Error) => fail(`The engine failed: ${error.stack ?? error.message}`));
  worker.on("messageerror", (error: Error) => fail(`The engine sent what cannot be read: ${error.message}`));
  worker.on("exit", (code) => fail(`The engine ended by itself (exit code ${code}).`));
  return port;
}
