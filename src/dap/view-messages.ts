/*
 * What the extension and its webviews say to each other, in both directions. A webview never talks to the engine: it
 * asks the extension for a custom request and gets the adapter's answer; the extension tells it when there is something
 * new. Types only, next to the requests that they carry.
 */

import type { CustomRequestName, TrapLogChangedBody } from "./custom-requests";

/** What a view needs to know of the guest it shows. */
export interface ViewSession {
  /** Name of the image. */
  name: string;
  state: "running" | "stopped" | "ended";
  /** Why it ended. */
  reason?: string;
  /** Changes when another guest is shown: what was read before is void. */
  id: string;
  /** Changes at each stop: tables are read anew. */
  stopNumber: number;
}

/** From a webview to the extension. */
export type FromView =
  | { type: "ready" }
  | { type: "request"; id: number; command: CustomRequestName; arguments: unknown }
  /** A command of the extension, with an argument that can be copied. */
  | { type: "command"; command: ViewCommand; argument?: unknown };

/** Commands that a webview may give. */
export type ViewCommand =
  | "ring1.runSample"
  | "ring1.newGuestKernel"
  | "ring1.openDocumentation"
  | "ring1.exportTrapLog"
  | "ring1.trapLog.goToSource"
  | "ring1.trapLog.openDisassembly"
  | "ring1.trapLog.breakOnKind"
  | "ring1.trapLog.copyJson"
  | "ring1.releaseEnded"
  | "ring1.openGdtTable"
  | "ring1.openIdtTable"
  | "ring1.walkAddress"
  | "ring1.showLocation"
  | "ring1.toggleVectorBreak";

/** From the extension to a webview. */
export type ToView =
  | { type: "session"; session: ViewSession | null; follow: boolean }
  | { type: "trapLog"; body: TrapLogChangedBody }
  | { type: "response"; id: number; body?: unknown; error?: string }
  /** Puts a condition on an event into the filter, or its opposite. */
  | { type: "filterTo"; name: string; not: boolean }
  /** Selects an entry. */
  | { type: "select"; sequence: number };
