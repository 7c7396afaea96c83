/*
 * What the extension knows of the worker that runs the engine: messages go in, messages come out, and it can end. On
 * the desktop it is a Node worker thread, in a browser a Web Worker; both carry plain DAP messages (structured clones).
 *
 * Read next: inline-adapter.ts, which stands between VS Code and this port.
 */

/** Any DAP message: request, response or event. */
export interface ProtocolMessage {
  seq: number;
  type: string;
}

export interface ProtocolRequest extends ProtocolMessage {
  type: "request";
  command: string;
  arguments?: unknown;
}

export interface ProtocolResponse extends ProtocolMessage {
  type: "response";
  request_seq: number;
  success: boolean;
  command: string;
  message?: string;
  body?: unknown;
}

export interface ProtocolEvent extends ProtocolMessage {
  type: "event";
  event: string;
  body?: unknown;
}

/** One running worker. */
export interface WorkerPort {
  postMessage(message: ProtocolMessage): void;
  /** Called for each message of the worker. */
  onMessage: ((message: ProtocolMessage) => void) | undefined;
  /** Called once, when the worker has ended without being asked to; `reason` is a sentence. */
  onFailure: ((reason: string) => void) | undefined;
  /** Ends the worker. Neither callback is called afterwards. */
  dispose(): void;
}

/** Starts a worker. It throws when that is impossible. */
export type WorkerFactory = () => WorkerPort | Promise<WorkerPort>;
