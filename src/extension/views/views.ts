/*
 * The five views of the Run and Debug side bar: which request feeds each, and the choices (filters, shadow slot, walked
 * addresses) that a person made in it. A new view is a function to rows, an entry here, and lines in package.json.
 *
 * Read next: row-tree.ts, the provider behind all five, and row.ts, what a row is.
 */

import * as vscode from "vscode";
import type { Sessions } from "../sessions";
import { gdtRows, type TableFilter } from "./gdt-rows";
import { hypervisorRows } from "./hypervisor-rows";
import { idtKinds, idtRows } from "./idt-rows";
import { type PageFilter, regionRows, tablesTitle, walkRow } from "./page-tables-rows";
import { type RegisterValues, registersRows, registerValues } from "./registers-rows";
import { RowTree } from "./row-tree";

/** Addresses whose walks stay in the Page Tables view; older ones make room. */
const MAX_WALKS = 5;

/** Key in the workspace's memory: the views were shown once. */
const INTRODUCED = "ring1.viewsIntroduced";

export class Views implements vscode.Disposable {
  gdtFilter: TableFilter = {};
  idtFilter: TableFilter = {};
  pageFilter: PageFilter = {};
  /** Shadow slot to show; undefined is the one in use. */
  slot: number | undefined;
  readonly registers: RowTree;
  readonly gdt: RowTree;
  readonly idt: RowTree;
  readonly pageTables: RowTree;
  readonly hypervisor: RowTree;
  private walks: string[] = [];
  private readonly titles = new Map<string, string>();
  private readonly registerHistory: { stop: number; values: RegisterValues }[] = [];
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly sessions: Sessions,
    private readonly memory: vscode.Memento,
  ) {
    this.registers = new RowTree(sessions, {
      id: "ring1.registers",
      read: async (guest) => {
        const response = await guest.request("ring1/registers");
        const previous = this.remember(guest.stopNumber, registerValues(response));
        const decimal = vscode.workspace.getConfiguration("ring1").get<boolean>("registers.decimal", true);
        return registersRows(response, { ...(previous ? { previous } : {}), decimal });
      },
    });
    this.gdt = new RowTree(sessions, {
      id: "ring1.gdt",
      read: async (guest) => {
        const response = await guest.request("ring1/gdt");
        this.titles.set("gdt", `${response.entries.length} entries`);
        return gdtRows(response, this.gdtFilter);
      },
      describe: () => this.titles.get("gdt"),
    });
    this.idt = new RowTree(sessions, {
      id: "ring1.idt",
      read: async (guest) => {
        const response = await guest.request("ring1/idt");
        this.titles.set("idt", `${response.entries.length} entries (${idtKinds(response)} kinds)`);
        return idtRows(response, this.idtFilter);
      },
      describe: () => this.titles.get("idt"),
    });
    this.pageTables = new RowTree(sessions, {
      id: "ring1.pageTables",
      read: async (guest) => {
        const slot = this.slot === undefined ? {} : { slot: this.slot };
        const response = await guest.request("ring1/pageTables", slot);
        this.titles.set("pageTables", tablesTitle(response));
        const load = async (first: number, last: number) => {
          const opened = await guest.request("ring1/pageTables", { slot: response.slot, directory: { first, last } });
          return opened.ranges;
        };
        const walks = this.walks.map(async (expression) => {
          try {
            return walkRow(await guest.request("ring1/translate", { expression, slot: response.slot }));
          } catch (error) {
            const text = error instanceof Error ? error.message : String(error);
            return { id: `walk.${expression}`, label: `Walk of ${expression}`, description: text, icon: "warning" };
          }
        });
        return [...(await Promise.all(walks)), ...regionRows(response, load, this.pageFilter)];
      },
      describe: () => this.titles.get("pageTables"),
    });
    this.hypervisor = new RowTree(sessions, {
      id: "ring1.hypervisor",
      read: async (guest) => {
        const [state, status] = await Promise.all([guest.request("ring1/hypervisor"), guest.request("ring1/status")]);
        return hypervisorRows(state, status.instructionCount);
      },
    });
    this.disposables = [
      this.registers,
      this.gdt,
      this.idt,
      this.pageTables,
      this.hypervisor,
      sessions.onDidChangeCurrent(() => {
        this.registerHistory.length = 0;
        this.slot = undefined;
        this.walks = [];
      }),
      sessions.onDidChange(({ guest, change }) => {
        if (change === "state" && guest.isStopped) {
          void this.introduce();
        }
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("ring1.registers")) {
          this.registers.refresh();
        }
      }),
    ];
  }

  /** All five. */
  get all(): RowTree[] {
    return [this.registers, this.gdt, this.idt, this.pageTables, this.hypervisor];
  }

  /** Reads everything that is visible anew. */
  refresh(): void {
    for (const view of this.all) {
      view.refresh();
    }
  }

  /** Adds the walk of an address to the Page Tables view. Rejects when the expression cannot be translated. */
  async walk(expression: string): Promise<void> {
    await this.sessions.current?.request("ring1/translate", {
      expression,
      ...(this.slot === undefined ? {} : { slot: this.slot }),
    });
    this.walks = [expression, ...this.walks.filter((known) => known !== expression)].slice(0, MAX_WALKS);
    await vscode.commands.executeCommand("ring1.pageTables.focus");
    this.pageTables.refresh();
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  /** VS Code folds new views of this side bar. The first stop in a workspace opens one, so that a person finds them. */
  private async introduce(): Promise<void> {
    if (this.memory.get(INTRODUCED) !== true) {
      await this.memory.update(INTRODUCED, true);
      await this.registers.show();
    }
  }

  /**
   * Keeps this stop's values and answers with those of the stop before, if they were read. Reads of one stop count
   * once.
   */
  private remember(stop: number, values: RegisterValues): RegisterValues | undefined {
    const history = this.registerHistory;
    if (history.at(-1)?.stop === stop) {
      history.pop();
    }
    const last = history.at(-1);
    const previous = last?.stop === stop - 1 ? last.values : undefined;
    history.push({ stop, values });
    if (history.length > 2) {
      history.shift();
    }
    return previous;
  }
}
