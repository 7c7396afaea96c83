/*
 * Everything the extension registers, in one list. The desktop (index.ts) and the browser (web.ts) differ only in how
 * they start the worker that runs the engine. Nothing is read or started before a person asks for it.
 *
 * Read next: sessions.ts, from which everything else hears of guests.
 */

import * as vscode from "vscode";
import { AdapterFactory } from "./adapter/inline-adapter";
import type { WorkerFactory } from "./adapter/worker-port";
import { registerGuestCommands } from "./commands/guest-commands";
import { registerNewGuestKernel } from "./commands/new-guest-kernel";
import { registerRowCommands } from "./commands/row-commands";
import { ConfigurationProvider, DynamicConfigurationProvider } from "./configuration/provider";
import { ConsoleTerminals } from "./console-terminal";
import { MemoryDocuments } from "./memory-documents";
import { registerNotifications } from "./notifications";
import { registerRegisterHover } from "./register-hover";
import { Sessions } from "./sessions";
import { StatusBar } from "./status-bar";
import { TrappedLines } from "./trapped-lines";
import { Views } from "./views/views";
import { TableEditors } from "./webviews/table-editors";
import { TrapLogPanel } from "./webviews/trap-log-panel";

/** Registers everything. `startWorker` makes one worker for each session. */
export function activateWith(context: vscode.ExtensionContext, startWorker: WorkerFactory): void {
  const { extensionUri } = context;
  const log = vscode.window.createOutputChannel("Ring 1", { log: true });
  const adapters = new AdapterFactory(startWorker, log);
  const sessions = new Sessions(adapters);
  const configurations = new ConfigurationProvider(extensionUri);
  const views = new Views(sessions, context.workspaceState);
  const trapLog = new TrapLogPanel(extensionUri, sessions);
  const tables = new TableEditors(extensionUri, sessions);
  const consoles = new ConsoleTerminals(sessions);
  const documents = new MemoryDocuments(sessions);
  const { Initial, Dynamic } = vscode.DebugConfigurationProviderTriggerKind;
  context.subscriptions.push(
    log,
    adapters,
    sessions,
    vscode.debug.registerDebugAdapterDescriptorFactory("ring1", adapters),
    vscode.debug.registerDebugConfigurationProvider("ring1", configurations, Initial),
    vscode.debug.registerDebugConfigurationProvider("ring1", new DynamicConfigurationProvider(extensionUri), Dynamic),
    views,
    trapLog,
    tables,
    consoles,
    documents,
    new StatusBar(sessions),
    new TrappedLines(sessions),
    registerNotifications(sessions, trapLog, log),
    ...registerGuestCommands({ sessions, views, documents, trapLog, consoles, configurations, extensionUri, log }),
    ...registerRowCommands({ sessions, views, documents, trapLog }),
    registerNewGuestKernel(extensionUri),
    registerRegisterHover(),
    vscode.commands.registerCommand("ring1.openGdtTable", () => tables.open("gdt")),
    vscode.commands.registerCommand("ring1.openIdtTable", () => tables.open("idt")),
  );
}
