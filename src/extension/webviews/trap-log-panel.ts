/*
 * The Trap Log in the panel area: a webview view that lives as long as VS Code keeps it, and a bridge to the current
 * guest. It is kept when hidden, so that a filter and the place in a million rows survive a look at the terminal.
 *
 * The page is src/webview/trap-log; view-bridge.ts connects it to the current guest.
 */

import * as vscode from "vscode";
import type { TrapFilterTerm, TrapRow } from "../../dap";
import type { Sessions } from "../sessions";
import { ViewBridge } from "./view-bridge";

export const TRAP_LOG_VIEW = "ring1.trapLog";

/** Rows asked for at once by the export. */
const EXPORT_PAGE = 2000;

export class TrapLogPanel implements vscode.WebviewViewProvider, vscode.Disposable {
  private bridge: ViewBridge | undefined;
  private pendingSelection: number | undefined;
  private readonly registration: vscode.Disposable;

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly sessions: Sessions,
  ) {
    this.registration = vscode.window.registerWebviewViewProvider(TRAP_LOG_VIEW, this, {
      webviewOptions: { retainContextWhenHidden: true },
    });
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    const title = vscode.l10n.t("Trap Log");
    const bridge = new ViewBridge(view.webview, this.sessions, {
      extensionUri: this.extensionUri,
      name: "trap-log",
      title,
    });
    this.bridge = bridge;
    const listener = view.webview.onDidReceiveMessage((message: { type: string }) => {
      if (message.type === "ready" && this.pendingSelection !== undefined) {
        bridge.send({ type: "select", sequence: this.pendingSelection });
        this.pendingSelection = undefined;
      }
    });
    view.onDidDispose(() => {
      listener.dispose();
      bridge.dispose();
      this.bridge = undefined;
    });
  }

  /** Shows the log, at an entry when one is given. */
  async show(sequence?: number): Promise<void> {
    if (sequence !== undefined && this.bridge === undefined) {
      this.pendingSelection = sequence;
    }
    // The panel is hidden from people who never had a guest; asking for it is having one.
    await vscode.commands.executeCommand("setContext", "ring1.used", true);
    await vscode.commands.executeCommand(`${TRAP_LOG_VIEW}.focus`);
    if (sequence !== undefined) {
      this.bridge?.send({ type: "select", sequence });
    }
  }

  /** Narrows the log to one kind of event, or leaves it out. */
  filterTo(name: string, not: boolean): void {
    this.bridge?.send({ type: "filterTo", name, not });
  }

  /** The entry with all that the engine knows about it. */
  async entry(sequence: number): Promise<TrapRow | undefined> {
    const details = await this.sessions.current?.request("ring1/trapDetails", { n: sequence });
    return details?.row;
  }

  /** Writes the log as JSON Lines, one entry a line, in the command line's format. */
  async export(filter?: TrapFilterTerm[]): Promise<void> {
    const guest = this.sessions.current;
    if (guest === undefined || !guest.isReachable) {
      void vscode.window.showInformationMessage(vscode.l10n.t("No guest is running, so there is no trap log."));
      return;
    }
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const target = await vscode.window.showSaveDialog({
      title: vscode.l10n.t("Export Trap Log"),
      filters: { "JSON Lines": ["jsonl"] },
      ...(folder === undefined ? {} : { defaultUri: vscode.Uri.joinPath(folder, "trap-log.jsonl") }),
    });
    if (target === undefined) {
      return;
    }
    const lines = await vscode.window.withProgress(
      {
        location: vscode.ProgressLocation.Notification,
        title: vscode.l10n.t("Exporting the trap log"),
        cancellable: true,
      },
      async (progress, token) => {
        const texts: string[] = [];
        const { firstOrdinal, matching } = await guest.request("ring1/trapLog", filter ? { filter } : {});
        const end = firstOrdinal + matching;
        for (let start = firstOrdinal; start < end && !token.isCancellationRequested; ) {
          const { rows } = await guest.request("ring1/trapLog", {
            start,
            count: Math.min(EXPORT_PAGE, end - start),
            ...(filter ? { filter } : {}),
          });
          if (rows.length === 0) {
            break;
          }
          texts.push(...rows.map((row) => JSON.stringify(exportedRow(row))));
          start = rows.at(-1)!.ordinal + 1;
          progress.report({ increment: (100 * rows.length) / matching });
        }
        return token.isCancellationRequested ? undefined : texts;
      },
    );
    if (lines !== undefined) {
      await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(`${lines.join("\n")}\n`));
      await vscode.window.showTextDocument(target);
    }
  }

  dispose(): void {
    this.registration.dispose();
    this.bridge?.dispose();
  }
}

/** One entry as `ring1 run --trap-log` writes it. */
export function exportedRow(row: TrapRow): object {
  return {
    n: row.n,
    icount: row.instructionCount,
    world: row.world,
    vector: row.vector,
    name: row.name,
    ...(row.error === undefined ? {} : { error: row.error }),
    cpl: row.cpl,
    eip: row.at.address,
    ...(row.at.symbol === undefined
      ? {}
      : { symbol: row.at.offset ? `${row.at.symbol}+0x${row.at.offset.toString(16)}` : row.at.symbol }),
    ...(row.cr2 === undefined ? {} : { cr2: row.cr2 }),
    ...(row.hypercall === undefined ? {} : { hypercall: row.hypercall }),
    outcome: row.outcome,
    ...(row.detail ? { detail: row.detail } : {}),
    cost: row.cost,
  };
}
