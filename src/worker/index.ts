/*
 * The engine as a Node worker thread: DAP messages are posted in both directions as objects, one session per worker. A
 * guest that spins keeps this thread busy and nobody else; a bug in here ends this thread and the one who started it is
 * told why.
 */
import { parentPort } from "node:worker_threads";
import { Session } from "../dap";
import { NodeScheduler, nodeFiles } from "./node-host";

const port = parentPort;
if (port === null)
  throw new Error(
    "worker.js is meant to be started as a worker thread; use dap-server.js for standard input and output",
  );

const session = new Session((message) => port.postMessage(message), {
  scheduler: new NodeScheduler(),
  files: nodeFiles,
  onDisconnect: () => port.close(),
});
port.on("message", (message) => void session.receive(message));
