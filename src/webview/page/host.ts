/*
 * The page's line to the extension: custom requests as promises, commands, and messages that come unasked. What a page
 * keeps over a reload goes through `keep` and `kept`.
 *
 * The other end is view-bridge.ts of the extension; the messages are typed in src/dap/view-messages.ts.
 */

import type { CustomRequestName, CustomRequests, FromView, ToView, ViewCommand } from "../../dap";

interface VsCodeApi {
  postMessage(message: FromView): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

type Unasked = Exclude<ToView, { type: "response" }>;

/** What pages ask of the extension; tests stand in for it. */
export interface Host {
  request<Name extends CustomRequestName>(
    command: Name,
    args: CustomRequests[Name]["arguments"],
  ): Promise<CustomRequests[Name]["response"]>;
  command(command: ViewCommand, argument?: unknown): void;
  keep(state: unknown): void;
  kept(): unknown;
}

/** Connects to the extension and says that the page listens. */
export function connect(onMessage: (message: Unasked) => void): Host {
  const api = acquireVsCodeApi();
  const waiting = new Map<number, { resolve(body: unknown): void; reject(error: Error): void }>();
  let nextId = 1;
  window.addEventListener("message", ({ data }: MessageEvent<ToView>) => {
    if (data.type !== "response") {
      onMessage(data);
      return;
    }
    const request = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error === undefined) {
      request?.resolve(data.body);
    } else {
      request?.reject(new Error(data.error));
    }
  });
  api.postMessage({ type: "ready" });
  return {
    request: (command, args) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        waiting.set(id, { resolve: resolve as (body: unknown) => void, reject });
        api.postMessage({ type: "request", id, command, arguments: args });
      }),
    command: (command, argument) => api.postMessage({ type: "command", command, argument }),
    keep: (state) => api.setState(state),
    kept: () => api.getState(),
  };
}
