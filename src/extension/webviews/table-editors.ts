/*
 * GDT and IDT as tables in an editor: all columns, sortable, what the guest wrote beside what the CPU has, and why. One
 * panel for each table, restored after a reload of the window.
 *
 * The page is src/webview/tables; view-bridge.ts connects it to the current guest.
 */

import * as vscode from "vscode";
import type { Sessions } from "../sessions";
import { ViewBridge } from "./view-bridge";

export type TableKind = "gdt" | "idt";

const TITLES: Readonly<Record<TableKind, string>> = { gdt: "GDT", idt: "IDT" };

export class TableEditors implements vscode.Disposable {
  private readonly panels = new Map<TableKind, vscode.WebviewPanel>();
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly extensionUri: vscode.Uri,
    private readonly sessions: Sessions,
  ) {
    this.disposables = (["gdt", "idt"] as const).map((kind) =>
      vscode.window.registerWebviewPanelSerializer(`ring1.table.${kind}`, {
        deserializeWebviewPanel: async (panel) => this.attach(kind, panel),
      }),
    );
  }

  /** Opens the table, or brings it to the front. */
  open(kind: TableKind): void {
    const known = this.panels.get(kind);
    if (known !== undefined) {
      known.reveal();
      return;
    }
    const panel = vscode.window.createWebviewPanel(`ring1.table.${kind}`, TITLES[kind], vscode.ViewColumn.Active, {
      enableFindWidget: true,
    });
    this.attach(kind, panel);
  }

  dispose(): void {
    for (const disposable of [...this.disposables, ...this.panels.values()]) {
      disposable.dispose();
    }
  }

  private attach(kind: TableKind, panel: vscode.WebviewPanel): void {
    this.panels.set(kind, panel);
    const bridge = new ViewBridge(panel.webview, this.sessions, {
      extensionUri: this.extensionUri,
      name: "tables",
      title: TITLES[kind],
      data: { table: kind },
    });
    panel.onDidDispose(() => {
      bridge.dispose();
      this.panels.delete(kind);
    });
  }
}
