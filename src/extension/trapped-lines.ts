/*
 * Marks at the end of source lines that trapped since the guest last went on: `3 × #PF`. Asked for once a stop; gone
 * when the guest goes on.
 *
 * The adapter counts by source line, so a run with a million traps costs one short answer.
 */

import * as vscode from "vscode";
import type { TrapLinesResponse } from "../dap";
import type { Sessions } from "./sessions";

/** Kinds of events written behind a line; the hover has them all. */
const MAX_EVENTS = 3;

type TrappedLine = TrapLinesResponse["lines"][number];

export class TrappedLines implements vscode.Disposable {
  private readonly type = vscode.window.createTextEditorDecorationType({
    after: { margin: "0 0 0 2em", color: new vscode.ThemeColor("ring1.interrupt") },
    overviewRulerColor: new vscode.ThemeColor("ring1.interrupt"),
    overviewRulerLane: vscode.OverviewRulerLane.Right,
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  });
  private lines: TrappedLine[] = [];
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly sessions: Sessions) {
    this.disposables = [
      this.type,
      sessions.onDidChangeCurrent(() => void this.read()),
      sessions.onDidChange(({ guest, change }) => {
        if (guest === sessions.current && change === "state") {
          void this.read();
        }
      }),
      vscode.window.onDidChangeVisibleTextEditors(() => this.show()),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("ring1.editor")) {
          void this.read();
        }
      }),
    ];
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private async read(): Promise<void> {
    const guest = this.sessions.current;
    const isWanted = vscode.workspace.getConfiguration("ring1").get("editor.trappedLines", true);
    this.lines = [];
    if (guest?.isStopped && isWanted) {
      const stop = guest.stopNumber;
      try {
        const { lines } = await guest.request("ring1/trapLines", { sinceSequence: guest.sequenceAtContinue });
        if (guest.isStopped && guest.stopNumber === stop) {
          this.lines = lines;
        }
      } catch {
        // The guest went on or ended meanwhile: there is nothing to mark.
      }
    }
    this.show();
  }

  private show(): void {
    for (const editor of vscode.window.visibleTextEditors) {
      const { uri, lineCount } = editor.document;
      const own = this.lines.filter(({ path, line }) => isSameFile(path, uri) && line <= lineCount);
      editor.setDecorations(
        this.type,
        own.map((line) => decorationOf(line, editor.document.lineAt(line.line - 1).range.end)),
      );
    }
  }
}

function isSameFile(path: string, uri: vscode.Uri): boolean {
  return path === uri.fsPath || path === uri.toString() || path === uri.path;
}

function decorationOf({ events }: TrappedLine, end: vscode.Position): vscode.DecorationOptions {
  const texts = [...events].sort((a, b) => b.count - a.count).map(({ name, count }) => `${count} × ${name}`);
  const rest = texts.length > MAX_EVENTS ? `, +${texts.length - MAX_EVENTS}` : "";
  return {
    range: new vscode.Range(end, end),
    renderOptions: { after: { contentText: texts.slice(0, MAX_EVENTS).join(", ") + rest } },
    hoverMessage: vscode.l10n.t("Traps on this line since the guest last went on: {0}", texts.join(", ")),
  };
}
