/*
 * The commands of the palette, the view titles and the status bar: start a sample, debug a file, translate an address,
 * break on a vector, change how steps go, filter the tables, export the trap log. What needs a guest says so when there
 * is none.
 */

import * as vscode from "vscode";
import { hex } from "../../base";
import type { StepThrough } from "../../dap";
import { findSamples, pathOf } from "../configuration/guests";
import { type ConfigurationProvider, launchOf } from "../configuration/provider";
import type { ConsoleTerminals } from "../console-terminal";
import type { GuestSession } from "../sessions";
import { guarded, type RowCommandParts, showLocation } from "./row-commands";

export interface GuestCommandParts extends RowCommandParts {
  extensionUri: vscode.Uri;
  configurations: ConfigurationProvider;
  consoles: ConsoleTerminals;
  log: vscode.LogOutputChannel;
}

const DOCUMENTATION = "README.md";

/** Registers all of them. */
export function registerGuestCommands(parts: GuestCommandParts): vscode.Disposable[] {
  const { sessions, views, documents, trapLog, consoles, configurations, extensionUri } = parts;
  const command = (name: string, run: (argument?: unknown) => Thenable<unknown> | unknown): vscode.Disposable =>
    vscode.commands.registerCommand(`ring1.${name}`, (argument?: unknown) => run(argument));
  const withGuest = (name: string, run: (guest: GuestSession, argument: unknown) => Thenable<void> | void) =>
    command(name, (argument) =>
      guarded(() => {
        const guest = sessions.current;
        if (guest === undefined || !guest.isReachable) {
          throw new Error(vscode.l10n.t("No guest is running. Press F5, or run a sample first."));
        }
        return run(guest, argument);
      }),
    );
  return [
    command("runSample", (name) => runSample(extensionUri, typeof name === "string" ? name : undefined)),
    command("debugFile", (uri) => debugFile(uri)),
    command("pickProgram", () => configurations.pickProgram()),
    command("openDocumentation", () =>
      vscode.commands.executeCommand("markdown.showPreview", vscode.Uri.joinPath(extensionUri, DOCUMENTATION)),
    ),
    command("showTrapLog", (sequence) => trapLog.show(typeof sequence === "number" ? sequence : undefined)),
    command("showLog", () => parts.log.show()),
    command("releaseEnded", () => sessions.releaseEnded()),
    withGuest("showConsole", (guest) => consoles.show(guest)),
    withGuest("stepAsMachine", (guest) => setStepThrough(guest, "machine")),
    withGuest("stepAsGuest", (guest) => setStepThrough(guest, "guest")),
    withGuest("refreshViews", () => views.refresh()),
    withGuest("exportTrapLog", () => trapLog.export()),
    withGuest("translateAddress", async (guest, argument) => {
      const expression = await askForAddress(guest, vscode.l10n.t("Translate Address"), argument);
      await (expression && views.walk(expression));
    }),
    withGuest("walkAddress", (_guest, address) => views.walk(`0x${hex(Number(address))}`)),
    withGuest("goToAddress", async (guest, argument) => {
      const expression = await askForAddress(guest, vscode.l10n.t("Go to Address"), argument);
      if (expression !== undefined) {
        await showLocation(await guest.request("ring1/locate", { expression }), documents);
      }
    }),
    withGuest("showLocation", async (guest, address) =>
      showLocation(await guest.request("ring1/locate", { expression: `0x${hex(Number(address))}` }), documents),
    ),
    withGuest("breakOnVector", (guest) => breakOnVectors(guest, () => views.idt.refresh())),
    withGuest("toggleVectorBreak", async (guest, argument) => {
      const { vector, enabled } = argument as { vector: number; enabled: boolean };
      await guest.request("ring1/setTrapBreakpoint", { vector, enabled });
      views.idt.refresh();
    }),
    withGuest("selectShadowSlot", (guest) => selectSlot(guest, parts)),
    command("filterGdt", () => filterTable(parts, "gdt")),
    command("filterGdtActive", () => filterTable(parts, "gdt")),
    command("filterIdt", () => filterTable(parts, "idt")),
    command("filterIdtActive", () => filterTable(parts, "idt")),
    command("filterPageTables", () => filterPageTables(parts)),
    command("filterPageTablesActive", () => filterPageTables(parts)),
    withGuest("statusMenu", (guest) => statusMenu(guest)),
    ...trapRowCommands(parts),
  ];
}

/** Commands of the trap log's context menu; VS Code hands over what the page put on the row. */
function trapRowCommands({ sessions, trapLog, documents }: GuestCommandParts): vscode.Disposable[] {
  const onRow = (name: string, run: (n: number) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(`ring1.trapLog.${name}`, (row?: { n?: number }) =>
      guarded(() => (row?.n === undefined ? undefined : run(row.n))),
    );
  return [
    onRow("goToSource", async (n) => {
      const row = await trapLog.entry(n);
      await (row && showLocation(row.at, documents));
    }),
    onRow("openDisassembly", async (n) => {
      const row = await trapLog.entry(n);
      await (row && documents.showDisassembly(row.at.address));
    }),
    onRow("breakOnKind", async (n) => {
      const row = await trapLog.entry(n);
      if (row !== undefined) {
        const what = row.hypercall === undefined ? { vector: row.vector } : { hypercall: row.hypercall.number };
        await sessions.current?.request("ring1/setTrapBreakpoint", { ...what, enabled: true });
        void vscode.window.setStatusBarMessage(vscode.l10n.t("The guest stops at the next {0}.", row.name), 5000);
      }
    }),
    onRow("filterToKind", async (n) => {
      const row = await trapLog.entry(n);
      trapLog.filterTo(row?.name ?? "", false);
    }),
    onRow("excludeKind", async (n) => {
      const row = await trapLog.entry(n);
      trapLog.filterTo(row?.name ?? "", true);
    }),
    onRow("copyJson", async (n) => {
      await vscode.env.clipboard.writeText(JSON.stringify(await trapLog.entry(n), null, 2));
    }),
  ];
}

async function runSample(extensionUri: vscode.Uri, name?: string): Promise<void> {
  const samples = await findSamples(extensionUri);
  if (samples.length === 0) {
    void vscode.window.showErrorMessage(vscode.l10n.t("The samples are missing from this installation of Ring 1."));
    return;
  }
  const items = samples.map((sample) => ({ label: sample.name, detail: sample.detail, sample }));
  const picked =
    items.find((item) => item.label === name) ??
    (await vscode.window.showQuickPick(items, { title: vscode.l10n.t("Run Sample Guest"), matchOnDetail: true }));
  if (picked !== undefined) {
    await vscode.debug.startDebugging(undefined, launchOf(pathOf(picked.sample.image)));
  }
}

async function debugFile(uri: unknown): Promise<void> {
  const file = uri instanceof vscode.Uri ? uri : vscode.window.activeTextEditor?.document.uri;
  if (file !== undefined) {
    await vscode.debug.startDebugging(vscode.workspace.getWorkspaceFolder(file), launchOf(pathOf(file)));
  }
}

async function setStepThrough(guest: GuestSession, mode: StepThrough): Promise<void> {
  await guest.request("ring1/setStepThrough", { mode });
  await vscode.commands.executeCommand("setContext", "ring1.stepThrough", mode);
}

/** An expression: the selection or variable the command was called on, or what a person types. */
async function askForAddress(guest: GuestSession, title: string, argument: unknown): Promise<string | undefined> {
  const variable = (argument as { variable?: { evaluateName?: string; memoryReference?: string } } | undefined)
    ?.variable;
  const editor = vscode.window.activeTextEditor;
  const selected = editor?.document.getText(editor.selection).trim() ?? "";
  const known = variable?.memoryReference ?? variable?.evaluateName;
  if (known !== undefined) {
    return known;
  }
  return vscode.window.showInputBox({
    title,
    value: selected.length > 0 && selected.length < 80 && !selected.includes("\n") ? selected : "",
    prompt: vscode.l10n.t("An address or an expression, for example 0xC0104ABC, $esp, kernel_main, &table[3]"),
    validateInput: async (text) => {
      if (text.trim() === "") {
        return vscode.l10n.t("Type an address or an expression.");
      }
      try {
        await guest.request("ring1/locate", { expression: text });
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  });
}

async function breakOnVectors(guest: GuestSession, changed: () => void): Promise<void> {
  const [{ entries }, set] = await Promise.all([guest.request("ring1/idt"), guest.request("ring1/trapBreakpoints")]);
  const named = entries.filter(({ name, count, guest: gate }) => name !== undefined || count > 0 || gate?.present);
  const items = named.map(({ vector, name, count }) => ({
    label: `${hex(vector, 2)} ${name ?? ""}`.trim(),
    description: count > 0 ? vscode.l10n.t("{0} times so far", count) : "",
    picked: set.vectors.includes(vector),
    vector,
  }));
  const picked = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t("Break on Vectors"),
    placeHolder: vscode.l10n.t("The guest stops when one of these fires, on the guest's side of it."),
    canPickMany: true,
    matchOnDescription: true,
  });
  if (picked === undefined) {
    return;
  }
  const wanted = new Set(picked.map((item) => item.vector));
  for (const { vector } of items) {
    if (wanted.has(vector) !== set.vectors.includes(vector)) {
      await guest.request("ring1/setTrapBreakpoint", { vector, enabled: wanted.has(vector) });
    }
  }
  changed();
}

async function selectSlot(guest: GuestSession, { views }: GuestCommandParts): Promise<void> {
  const { slots } = await guest.request("ring1/pageTables", {});
  const items: (vscode.QuickPickItem & { slot?: number })[] = [
    { label: vscode.l10n.t("The slot in use"), description: vscode.l10n.t("follows the guest") },
    ...slots
      .filter(({ guestTable }) => guestTable !== null)
      .map(({ slot, guestTable, inUse }) => ({
        label: vscode.l10n.t("Slot {0}", slot + 1),
        description: `${hex(guestTable ?? 0)}${inUse ? ` ${vscode.l10n.t("(in use)")}` : ""}`,
        slot,
      })),
  ];
  const picked = await vscode.window.showQuickPick(items, { title: vscode.l10n.t("Shadow slot to show") });
  if (picked !== undefined) {
    views.slot = picked.slot;
    views.pageTables.refresh();
  }
}

async function filterTable({ views }: GuestCommandParts, table: "gdt" | "idt"): Promise<void> {
  const filter = table === "gdt" ? views.gdtFilter : views.idtFilter;
  const differences =
    table === "gdt"
      ? vscode.l10n.t("Only entries that the host changed")
      : vscode.l10n.t("Only handlers that are not entered directly");
  const chosen = await pickChoices([
    { label: differences, key: "onlyDifferences", picked: filter.onlyDifferences },
    { label: vscode.l10n.t("Only entries that are present or used"), key: "onlyPresent", picked: filter.onlyPresent },
  ]);
  if (chosen !== undefined) {
    views[table === "gdt" ? "gdtFilter" : "idtFilter"] = chosen;
    await vscode.commands.executeCommand("setContext", `ring1.${table}Filtered`, Object.keys(chosen).length > 0);
    views[table].refresh();
  }
}

async function filterPageTables({ views }: GuestCommandParts): Promise<void> {
  const { onlyDifferences, onlyWritable, onlyUser } = views.pageFilter;
  const chosen = await pickChoices([
    { label: vscode.l10n.t("Only where guest and shadow differ"), key: "onlyDifferences", picked: onlyDifferences },
    { label: vscode.l10n.t("Only writable pages"), key: "onlyWritable", picked: onlyWritable },
    { label: vscode.l10n.t("Only pages of ring 3"), key: "onlyUser", picked: onlyUser },
  ]);
  if (chosen !== undefined) {
    views.pageFilter = chosen;
    await vscode.commands.executeCommand("setContext", "ring1.pageTablesFiltered", Object.keys(chosen).length > 0);
    views.pageTables.refresh();
  }
}

async function pickChoices(
  items: { label: string; key: string; picked: boolean | undefined }[],
): Promise<Record<string, true> | undefined> {
  const picked = await vscode.window.showQuickPick(
    items.map((item) => ({ ...item, picked: item.picked === true })),
    { title: vscode.l10n.t("Show"), canPickMany: true },
  );
  return picked && Object.fromEntries(picked.map(({ key }) => [key, true]));
}

/** What can be done now, from the status bar. */
async function statusMenu({ isStopped, isClosed, status }: GuestSession): Promise<void> {
  const isMachine = status?.stepThrough === "machine";
  const items = [
    ...(isClosed
      ? []
      : isStopped
        ? [{ label: `$(debug-continue) ${vscode.l10n.t("Continue")}`, command: "workbench.action.debug.continue" }]
        : [{ label: `$(debug-pause) ${vscode.l10n.t("Pause")}`, command: "workbench.action.debug.pause" }]),
    { label: `$(list-flat) ${vscode.l10n.t("Show Trap Log")}`, command: "ring1.showTrapLog" },
    { label: `$(terminal) ${vscode.l10n.t("Show Guest Console")}`, command: "ring1.showConsole" },
    { label: `$(symbol-numeric) ${vscode.l10n.t("Translate Address...")}`, command: "ring1.translateAddress" },
    {
      label: `$(debug-breakpoint) ${vscode.l10n.t("Break on Vector or Hypercall...")}`,
      command: "ring1.breakOnVector",
    },
    isMachine
      ? { label: `$(vm) ${vscode.l10n.t("Step as the Guest")}`, command: "ring1.stepAsGuest" }
      : { label: `$(circuit-board) ${vscode.l10n.t("Step as the Machine")}`, command: "ring1.stepAsMachine" },
  ];
  const picked = await vscode.window.showQuickPick<vscode.QuickPickItem & { command: string }>(items, {
    title: "Ring 1",
  });
  if (picked !== undefined) {
    await vscode.commands.executeCommand(picked.command);
  }
}
