/*
 * One webview and the guest behind it: forwards its requests to the current guest, tells it when there is something
 * new, runs the commands it may give. The page itself is a bundle of src/webview; it may load that script, its style
 * sheet and nothing else.
 */

import * as vscode from "vscode";
import type { FromView, ToView, ViewCommand, ViewSession } from "../../dap";
import type { GuestSession, Sessions } from "../sessions";

/** Commands a webview may give; everything else it says is ignored. */
const COMMANDS: readonly ViewCommand[] = [
  "ring1.runSample",
  "ring1.newGuestKernel",
  "ring1.openDocumentation",
  "ring1.exportTrapLog",
  "ring1.trapLog.goToSource",
  "ring1.trapLog.openDisassembly",
  "ring1.trapLog.breakOnKind",
  "ring1.trapLog.copyJson",
  "ring1.releaseEnded",
  "ring1.openGdtTable",
  "ring1.openIdtTable",
  "ring1.walkAddress",
  "ring1.showLocation",
  "ring1.toggleVectorBreak",
];

export interface ViewBridgeOptions {
  extensionUri: vscode.Uri;
  /** Bundle in dist/webview and style sheet in media. */
  name: string;
  title: string;
  /** Data for the page, for example which table it shows. */
  data?: Record<string, string>;
}

export class ViewBridge implements vscode.Disposable {
  private readonly disposables: vscode.Disposable[];
  private isReady = false;

  constructor(
    private readonly webview: vscode.Webview,
    private readonly sessions: Sessions,
    options: ViewBridgeOptions,
  ) {
    const { extensionUri } = options;
    webview.options = {
      enableScripts: true,
      localResourceRoots: [vscode.Uri.joinPath(extensionUri, "dist"), vscode.Uri.joinPath(extensionUri, "media")],
    };
    this.disposables = [
      webview.onDidReceiveMessage((message: FromView) => this.receive(message)),
      sessions.onDidChangeCurrent(() => this.sendSession()),
      sessions.onDidChange(({ guest, change }) => {
        if (guest !== sessions.current) {
          return;
        }
        if (change === "trapLog" && guest.trapLog !== undefined) {
          this.send({ type: "trapLog", body: guest.trapLog });
        } else if (change !== "status") {
          this.sendSession();
        }
      }),
    ];
    webview.html = pageHtml(webview, options);
  }

  /** Sends a message once the page listens. */
  send(message: ToView): void {
    if (this.isReady) {
      void this.webview.postMessage(message);
    }
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private receive(message: FromView): void {
    if (message.type === "ready") {
      this.isReady = true;
      this.sendSession();
    } else if (message.type === "request" && message.command.startsWith("ring1/")) {
      void this.forward(message);
    } else if (message.type === "command" && COMMANDS.includes(message.command)) {
      void vscode.commands.executeCommand(message.command, message.argument);
    }
  }

  private async forward({ id, command, arguments: args }: Extract<FromView, { type: "request" }>): Promise<void> {
    try {
      const guest = this.sessions.current;
      if (guest === undefined || !guest.isReachable) {
        throw new Error(vscode.l10n.t("No guest is running."));
      }
      this.send({ type: "response", id, body: await guest.requestAny(command, args) });
    } catch (error) {
      this.send({ type: "response", id, error: error instanceof Error ? error.message : String(error) });
    }
  }

  private sendSession(): void {
    const follow = vscode.workspace.getConfiguration("ring1").get("trapLog.follow", true);
    this.send({ type: "session", session: viewSession(this.sessions.current), follow });
  }
}

function viewSession(guest: GuestSession | undefined): ViewSession | null {
  if (guest === undefined || !guest.isReachable) {
    return null;
  }
  const state = guest.ended !== undefined || guest.isClosed ? "ended" : guest.isStopped ? "stopped" : "running";
  const reason = guest.ended?.reason ?? guest.killed?.reason;
  return {
    id: `${guest.session.id} ${guest.run}`,
    name: guest.imageName,
    state,
    stopNumber: guest.stopNumber,
    ...(reason === undefined ? {} : { reason }),
  };
}

function pageHtml(webview: vscode.Webview, { extensionUri, name, title, data }: ViewBridgeOptions): string {
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, "dist", "webview", `${name}.js`));
  const style = webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, "media", `${name}.css`));
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src 'nonce-${nonce}'; font-src ${webview.cspSource}`;
  const attributes = Object.entries(data ?? {}).map(([key, value]) => ` data-${key}="${escapeHtml(value)}"`);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>${escapeHtml(title)}</title>
</head>
<body${attributes.join("")}>
<script nonce="${nonce}" src="${script}"></script>
</body>
</html>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
