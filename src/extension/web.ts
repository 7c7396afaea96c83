/*
 * Entry of the extension in a browser: the engine runs in a Web Worker. On the desktop index.ts is the entry. What is
 * registered is in activation.ts.
 *
 * The script of the worker is read once and started anew for each session.
 */

import * as vscode from "vscode";
import { activateWith } from "./activation";
import { startWebWorker } from "./adapter/web-worker";

export function activate(context: vscode.ExtensionContext): void {
  const script = vscode.Uri.joinPath(context.extensionUri, "dist", "worker-web.js");
  let text: Promise<string> | undefined;
  const read = async (): Promise<string> => new TextDecoder().decode(await vscode.workspace.fs.readFile(script));
  activateWith(context, async () => startWebWorker(await (text ??= read())));
}
