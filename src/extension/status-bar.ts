/*
 * One status bar item: the guest's world, ring and instruction count (`guest kernel · ring 1 · 48.2 M`), in the world's
 * colour. A click lists what can be done now.
 *
 * It is there while a guest runs and gone without one; the adapter sends its figures about ten times a second.
 */

import * as vscode from "vscode";
import { groupDigits, shortCount } from "../base";
import type { World } from "../dap";
import type { Sessions } from "./sessions";
import { locationText } from "./views/row";
import { worldText } from "./views/worlds";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("ring1.status", vscode.StatusBarAlignment.Left, 50);
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly sessions: Sessions) {
    this.item.name = "Ring 1";
    this.item.command = "ring1.statusMenu";
    this.disposables = [
      this.item,
      sessions.onDidChangeCurrent(() => this.update()),
      sessions.onDidChange(() => this.update()),
      vscode.window.onDidChangeActiveColorTheme(() => this.update()),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("ring1.statusBar")) {
          this.update();
        }
      }),
    ];
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private update(): void {
    const guest = this.sessions.current;
    const isWanted = vscode.workspace.getConfiguration("ring1").get("statusBar.visible", true);
    if (guest === undefined || guest.isClosed || !isWanted) {
      this.item.hide();
      return;
    }
    const { status } = guest;
    if (status === undefined) {
      this.item.text = `$(loading~spin) ${guest.imageName}`;
      this.item.tooltip = vscode.l10n.t("The guest starts.");
      this.item.show();
      return;
    }
    const place = worldText(status.world, status.ring);
    const running = status.state === "running" ? (status.halted ? "$(watch)" : "$(play)") : "$(debug-pause)";
    this.item.text = `${running} ${place} · ${shortCount(status.instructionCount)}`;
    this.item.color = worldColor(status.world);
    const what = status.halted ? vscode.l10n.t("waits for an interrupt") : status.state;
    this.item.accessibilityInformation = {
      label: `${guest.imageName}: ${place}, ${shortCount(status.instructionCount)} instructions, ${what}`,
      role: "button",
    };
    const lines = [
      `**${guest.imageName}** ${what}`,
      `${place}, instruction ${groupDigits(status.instructionCount)}`,
      ...(status.mips > 0 ? [`${status.mips.toFixed(1)} million instructions a second`] : []),
      ...(status.at === undefined ? [] : [`\`${locationText(status.at)}\``]),
      status.stepThrough === "machine" ? "Steps go through the hypervisor." : "Steps treat the hypervisor as atomic.",
    ];
    this.item.tooltip = new vscode.MarkdownString(lines.join("\n\n"));
    this.item.show();
  }
}

/** Light themes show an item under the mouse on white, where a tint that suits the coloured bar could not be read. */
function worldColor(world: World): vscode.ThemeColor | undefined {
  const { kind } = vscode.window.activeColorTheme;
  return kind === vscode.ColorThemeKind.Light ? undefined : new vscode.ThemeColor(`ring1.statusBar.${world}`);
}
