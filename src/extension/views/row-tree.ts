/*
 * One tree view out of rows: reads them when the guest stops, shows them, and shows nothing (so that the welcome text
 * appears) while it runs or when there is none. The five views of the side bar are five of these (views.ts).
 *
 * Reading is lazy: a view that is not visible asks for nothing until it is.
 */

import * as vscode from "vscode";
import type { GuestSession, Sessions } from "../sessions";
import { contextWords, type Row } from "./row";

export interface RowTreeOptions {
  /** View's id in package.json. */
  id: string;
  /** Reads the rows of a stopped (or ended) guest. */
  read(guest: GuestSession): Promise<Row[]>;
  /** Dimmed text behind the view's title. */
  describe?(): string | undefined;
}

export class RowTree implements vscode.TreeDataProvider<Row>, vscode.Disposable {
  readonly view: vscode.TreeView<Row>;
  private readonly changes = new vscode.EventEmitter<undefined>();
  private readonly disposables: vscode.Disposable[];
  private rows: Promise<Row[]> | undefined;
  private isStale = true;
  readonly onDidChangeTreeData = this.changes.event;

  constructor(
    private readonly sessions: Sessions,
    private readonly options: RowTreeOptions,
  ) {
    this.view = vscode.window.createTreeView(options.id, { treeDataProvider: this, showCollapseAll: true });
    this.disposables = [
      this.view,
      this.changes,
      sessions.onDidChangeCurrent(() => this.refresh()),
      sessions.onDidChange(({ guest, change }) => {
        if (guest === sessions.current && (change === "state" || change === "ended")) {
          this.refresh();
        }
      }),
      this.view.onDidChangeVisibility(({ visible }) => {
        if (visible && this.isStale) {
          this.refresh();
        }
      }),
    ];
  }

  /** Opens the view in the side bar without taking the focus. */
  async show(): Promise<void> {
    const [first] = await this.getChildren();
    if (first !== undefined) {
      await this.view.reveal(first, { select: false, focus: false, expand: false });
    }
  }

  /** Rows are only ever revealed at the top. */
  getParent(): undefined {
    return undefined;
  }

  /** Reads the rows anew, now or when the view is next visible. */
  refresh(): void {
    this.isStale = true;
    this.rows = undefined;
    if (this.view.visible) {
      this.changes.fire(undefined);
    }
  }

  getTreeItem(row: Row): vscode.TreeItem {
    const label: vscode.TreeItemLabel = row.changed
      ? { label: row.label, highlights: [row.changed] }
      : { label: row.label };
    const item = new vscode.TreeItem(label, collapsibleState(row));
    item.id = row.id;
    item.description = row.description ?? "";
    item.tooltip = row.tooltip === undefined ? undefined : new vscode.MarkdownString(row.tooltip);
    item.contextValue = contextWords(row.data).join(" ");
    item.accessibilityInformation = { label: row.spoken ?? `${row.label}, ${row.description ?? ""}` };
    if (row.icon !== undefined) {
      item.iconPath = new vscode.ThemeIcon(row.icon, row.color ? new vscode.ThemeColor(row.color) : undefined);
    }
    return item;
  }

  async getChildren(row?: Row): Promise<Row[]> {
    if (row !== undefined) {
      return row.children ?? (await this.guarded(row.load?.() ?? Promise.resolve([])));
    }
    this.isStale = false;
    const guest = this.sessions.current;
    const isReadable = guest !== undefined && (guest.isStopped || (guest.isClosed && guest.isReachable));
    this.view.message =
      guest?.isClosed && isReadable
        ? `${guest.ended?.reason ?? "The guest has ended."} This is its last state.`
        : undefined;
    if (!isReadable) {
      this.view.description = "";
      return [];
    }
    this.rows ??= this.guarded(this.options.read(guest));
    const rows = await this.rows;
    this.view.description = this.options.describe?.() ?? "";
    return rows;
  }

  /** An error becomes a row: the view says why it has nothing to show. */
  private async guarded(rows: Promise<Row[]>): Promise<Row[]> {
    try {
      return await rows;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return [{ id: "error", label: text, icon: "warning", tooltip: text, data: { value: text } }];
    }
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }
}

function collapsibleState(row: Row): vscode.TreeItemCollapsibleState {
  if (!row.children?.length && row.load === undefined) {
    return vscode.TreeItemCollapsibleState.None;
  }
  return row.isOpen ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed;
}
