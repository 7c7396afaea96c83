/*
 * "New Guest Kernel": a folder that boots at the first F5. It is a sample guest with the library and the headers that
 * all samples share, plus what is in media/template (Makefile, launch.json, tasks.json), in which `{{name}}` becomes
 * the kernel's name. The command line's `ring1 new` reads the same folders.
 */

import * as vscode from "vscode";
import { exists, findSamples } from "../configuration/guests";
import { guarded } from "./row-commands";

/** Files of the template folder, and where they go. */
const TEMPLATE: readonly [from: string, to: string][] = [
  ["Makefile", "Makefile"],
  ["README.md", "README.md"],
  ["gitignore", ".gitignore"],
  ["vscode/launch.json", ".vscode/launch.json"],
  ["vscode/tasks.json", ".vscode/tasks.json"],
  ["vscode/extensions.json", ".vscode/extensions.json"],
];

/** What all samples share. */
const SHARED = ["lib", "include", "kernel.ld"];

/** Everything the command asks for; who calls it with this, a task or a test, is not asked. */
export interface NewProject {
  sample: string;
  name: string;
  target: vscode.Uri;
}

/** Registers the command. */
export function registerNewGuestKernel(extensionUri: vscode.Uri): vscode.Disposable {
  return vscode.commands.registerCommand("ring1.newGuestKernel", async (project?: NewProject) => {
    if (project?.target !== undefined) {
      await writeProject(extensionUri, project.sample, project.name, project.target);
    } else {
      await guarded(() => newGuestKernel(extensionUri));
    }
  });
}

/** True for names that make, file systems and ELF tools take without quoting. */
export function isGoodName(name: string): boolean {
  return /^[A-Za-z][\w-]{0,62}$/.test(name);
}

/** Writes the project into `target`, which must not have the files yet. */
export async function writeProject(
  extensionUri: vscode.Uri,
  sample: string,
  name: string,
  target: vscode.Uri,
): Promise<void> {
  const media = vscode.Uri.joinPath(extensionUri, "media");
  for (const [from, to] of TEMPLATE) {
    const bytes = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(media, "template", from));
    const text = new TextDecoder().decode(bytes).replaceAll("{{name}}", name);
    await vscode.workspace.fs.writeFile(vscode.Uri.joinPath(target, to), new TextEncoder().encode(text));
  }
  const guests = vscode.Uri.joinPath(media, "guests");
  for (const [file, kind] of await vscode.workspace.fs.readDirectory(vscode.Uri.joinPath(guests, sample))) {
    if (kind === vscode.FileType.File && !file.endsWith(".elf")) {
      await copy(vscode.Uri.joinPath(guests, sample, file), vscode.Uri.joinPath(target, file));
    }
  }
  for (const part of SHARED) {
    await copy(vscode.Uri.joinPath(guests, part), vscode.Uri.joinPath(target, part));
  }
}

/** Copies a file or a folder between any two file systems. */
async function copy(from: vscode.Uri, to: vscode.Uri): Promise<void> {
  const { type } = await vscode.workspace.fs.stat(from);
  if (type === vscode.FileType.Directory) {
    for (const [name] of await vscode.workspace.fs.readDirectory(from)) {
      await copy(vscode.Uri.joinPath(from, name), vscode.Uri.joinPath(to, name));
    }
  } else {
    await vscode.workspace.fs.writeFile(to, await vscode.workspace.fs.readFile(from));
  }
}

async function newGuestKernel(extensionUri: vscode.Uri): Promise<void> {
  const samples = await findSamples(extensionUri);
  const picked = await vscode.window.showQuickPick(
    samples.map(({ name, detail }) => ({ label: name, detail })),
    { title: vscode.l10n.t("New Guest Kernel (1/3): what should it begin with?"), matchOnDetail: true },
  );
  if (picked === undefined) {
    return;
  }
  const name = await vscode.window.showInputBox({
    title: vscode.l10n.t("New Guest Kernel (2/3): its name"),
    value: "kernel",
    validateInput: (text) =>
      isGoodName(text) ? undefined : vscode.l10n.t("Letters, digits, - and _, beginning with a letter."),
  });
  if (name === undefined) {
    return;
  }
  const parents = await vscode.window.showOpenDialog({
    title: vscode.l10n.t("New Guest Kernel (3/3): the folder to make it in"),
    openLabel: vscode.l10n.t('Make "{0}" Here', name),
    canSelectFiles: false,
    canSelectFolders: true,
  });
  if (parents?.[0] === undefined) {
    return;
  }
  const target = vscode.Uri.joinPath(parents[0], name);
  if (await exists(target)) {
    throw new Error(vscode.l10n.t('There is a "{0}" already. Choose another name or folder.', target.path));
  }
  await writeProject(extensionUri, picked.label, name, target);
  const open = vscode.l10n.t("Open");
  const openNew = vscode.l10n.t("Open in New Window");
  const isEmpty = vscode.workspace.workspaceFolders === undefined;
  const answer = await vscode.window.showInformationMessage(
    vscode.l10n.t("{0} is ready: open it and press F5.", name),
    ...(isEmpty ? [open] : [open, openNew]),
  );
  if (answer !== undefined) {
    await vscode.commands.executeCommand("vscode.openFolder", target, { forceNewWindow: answer === openNew });
  }
}
