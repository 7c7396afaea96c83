/*
 * The one notification: a guest dies. One sentence and two actions, the chain of frames that led there and the trap log
 * at that entry. Everything else is said in a view, the console or the status bar.
 *
 * The machine is still alive when it is stopped before the kill, so both lead to live state.
 */

import * as vscode from "vscode";
import type { Sessions } from "./sessions";
import type { TrapLogPanel } from "./webviews/trap-log-panel";

/** Watches for guests that die, and for engines that fail. */
export function registerNotifications(
  sessions: Sessions,
  trapLog: TrapLogPanel,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  return sessions.onDidChange(async ({ guest, change }) => {
    if (change === "killed" && guest.killed !== undefined) {
      const { reason, why, sequence, stopped } = guest.killed;
      const chain = vscode.l10n.t("Show the Chain");
      const open = vscode.l10n.t("Open Trap Log");
      const sentence = vscode.l10n.t(
        "{0} is killed: {1}",
        guest.imageName,
        [reason.trim(), why].filter(Boolean).join(". "),
      );
      const picked = await vscode.window.showErrorMessage(sentence, ...(stopped ? [chain, open] : [open]));
      if (picked === chain) {
        await vscode.commands.executeCommand("workbench.debug.action.focusCallStackView");
      } else if (picked === open) {
        await trapLog.show(sequence > 0 ? sequence : undefined);
      }
    } else if (change === "ended" && guest.ended?.cause === "failed") {
      log.error(guest.ended.reason);
      const open = vscode.l10n.t("Open Log");
      const sentence = vscode.l10n.t(
        "The engine of {0} failed. This is a bug in Ring 1; the log has the details.",
        guest.imageName,
      );
      if ((await vscode.window.showErrorMessage(sentence, open)) === open) {
        log.show();
      }
    }
  });
}
