/*
 * What can be done with a row of a view: go to its source, disassembly or memory, translate or copy its address, break
 * there, edit a register. Every command takes the row that the menu was opened on.
 *
 * What goes wrong is said in a notification, in the adapter's words. Which rows have which command: `contextWords` in
 * row.ts.
 */

import * as vscode from "vscode";
import { hex } from "../../base";
import type { CodeLocation } from "../../dap";
import { toUri } from "../adapter/inline-adapter";
import type { MemoryDocuments } from "../memory-documents";
import type { Sessions } from "../sessions";
import type { Row, RowData } from "../views/row";
import type { Views } from "../views/views";
import type { TrapLogPanel } from "../webviews/trap-log-panel";

export interface RowCommandParts {
  sessions: Sessions;
  views: Views;
  documents: MemoryDocuments;
  trapLog: TrapLogPanel;
}

/** Opens the source of a location, or its disassembly when there is no source. */
export async function showLocation(location: CodeLocation, documents: MemoryDocuments): Promise<void> {
  if (location.path === undefined) {
    await documents.showDisassembly(location.address);
    return;
  }
  const line = Math.max(0, (location.line ?? 1) - 1);
  try {
    await vscode.window.showTextDocument(toUri(location.path), { selection: new vscode.Range(line, 0, line, 0) });
  } catch {
    const open = vscode.l10n.t("Open Disassembly");
    const picked = await vscode.window.showWarningMessage(
      vscode.l10n.t('{0} cannot be opened. Say where the sources are with "sourceMap" in launch.json.', location.path),
      open,
    );
    if (picked === open) {
      await documents.showDisassembly(location.address);
    }
  }
}

/** Registers the commands of rows. */
export function registerRowCommands({ sessions, views, documents, trapLog }: RowCommandParts): vscode.Disposable[] {
  const onRow = (name: string, run: (data: RowData, row: Row) => Thenable<void> | void): vscode.Disposable =>
    vscode.commands.registerCommand(`ring1.${name}`, async (row?: Row) => {
      if (row?.data !== undefined) {
        await guarded(() => run(row.data!, row));
      }
    });
  const copy = (text: string): Thenable<void> => vscode.env.clipboard.writeText(text);
  return [
    onRow("goToSource", ({ location }) => (location === undefined ? undefined : showLocation(location, documents))),
    onRow("openDisassembly", ({ address }) => documents.showDisassembly(address ?? 0)),
    onRow("openMemory", ({ address }) => documents.showMemory(address ?? 0)),
    onRow("translateRow", ({ address }) => views.walk(`0x${hex(address ?? 0)}`)),
    onRow("breakHere", ({ address, location }) => breakAt(address ?? 0, location)),
    onRow("breakOnRow", ({ vector }) => breakOnVector(sessions, views, vector ?? 0, true)),
    onRow("stopBreakingOnRow", ({ vector }) => breakOnVector(sessions, views, vector ?? 0, false)),
    onRow("showInTrapLog", ({ sequence }) => trapLog.show(sequence)),
    onRow("copyAddress", ({ address }) => copy(hex(address ?? 0))),
    onRow("copyValue", ({ value }) => copy(value ?? "")),
    onRow("copyJson", ({ json }) => copy(JSON.stringify(json, null, 2))),
    onRow("setRegister", (data, row) => setRegister(sessions, data, row)),
  ];
}

/** Runs a command; what goes wrong is said, not thrown. */
export async function guarded(run: () => Thenable<void> | void): Promise<void> {
  try {
    await run();
  } catch (error) {
    void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
  }
}

/** Sets or clears a break on a vector. */
export async function breakOnVector(sessions: Sessions, views: Views, vector: number, enabled: boolean): Promise<void> {
  await sessions.current?.request("ring1/setTrapBreakpoint", { vector, enabled });
  views.idt.refresh();
}

/** A source breakpoint where the line is known, a function breakpoint on the address where it is not. */
async function breakAt(address: number, location: CodeLocation | undefined): Promise<void> {
  if (location?.path !== undefined && location.line !== undefined) {
    const position = new vscode.Position(location.line - 1, 0);
    vscode.debug.addBreakpoints([new vscode.SourceBreakpoint(new vscode.Location(toUri(location.path), position))]);
  } else {
    vscode.debug.addBreakpoints([new vscode.FunctionBreakpoint(location?.symbol ?? `*0x${hex(address)}`)]);
  }
}

/** Asks for a value; the adapter says at each key whether it would take it. */
async function setRegister(sessions: Sessions, { register, field, value }: RowData, row: Row): Promise<void> {
  const guest = sessions.current;
  if (guest === undefined || register === undefined) {
    return;
  }
  const args = field === undefined ? { name: register } : { name: register, field };
  const name = field ?? register;
  const typed = await vscode.window.showInputBox({
    title: vscode.l10n.t("Set {0}", name),
    value: field === undefined ? `0x${value ?? ""}` : (value ?? ""),
    prompt: vscode.l10n.t("A number or an expression, for example 0x1000, eax + 4, kernel_main. Now: {0}", row.label),
    validateInput: async (text) => {
      try {
        await guest.request("ring1/setRegister", { ...args, value: text, validateOnly: true });
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  });
  if (typed !== undefined) {
    await guest.request("ring1/setRegister", { ...args, value: typed });
  }
}
