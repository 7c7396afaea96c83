/*
 * Entry of the extension on the desktop: the engine runs in a Node worker thread. In a browser web.ts is the entry.
 * What is registered is in activation.ts.
 */

import * as vscode from "vscode";
import { activateWith } from "./activation";
import { startNodeWorker } from "./adapter/node-worker";

export function activate(context: vscode.ExtensionContext): void {
  const script = vscode.Uri.joinPath(context.extensionUri, "dist", "worker.js").fsPath;
  activateWith(context, () => startNodeWorker(script));
}
