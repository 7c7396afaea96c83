/*
 * The worker in a browser: a Web Worker that runs dist/worker-web.js. The extension's files may lie on another origin
 * than the extension host, and a browser starts workers of its own origin only; so the script is fetched and started
 * from a blob.
 */

import type { ProtocolMessage, WorkerPort } from "./worker-port";

/** Starts the engine from the text of its script. */
export function startWebWorker(script: string): WorkerPort {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(url, { name: "ring1" });
  const port: WorkerPort = {
    onMessage: undefined,
    onFailure: undefined,
    postMessage: (message) => worker.postMessage(message),
    dispose: () => {
      worker.onmessage = null;
      worker.onerror = null;
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
  worker.onmessage = (event: MessageEvent<ProtocolMessage>) => port.onMessage?.(event.data);
  worker.onerror = (event) => {
    event.preventDefault();
    port.onFailure?.(`The engine failed: ${event.message || "the worker could not be started"}`);
    port.dispose();
  };
  return port;
}
