/*
 * Where guest kernels come from: the samples that the extension brings along, and images in the workspace. Both are
 * offered when F5 is pressed without a launch configuration.
 *
 * Nothing is started here: provider.ts makes launch configurations of what is found.
 */

import * as vscode from "vscode";
import { looksLikeGuest } from "./image-header";

/** A sample: its name, what it shows, its image. */
export interface Sample {
  name: string;
  detail: string;
  image: vscode.Uri;
}

/** In the order in which a newcomer should meet them. */
const SAMPLES: readonly [name: string, detail: string][] = [
  ["hello", "The smallest useful guest: early console, a greeting, power off."],
  ["shell", "A monitor on the console: peek, poke, trap, pages, halt, quit."],
  ["traps", "Provokes each trap, and shows direct against reflected."],
  ["paging", "Page tables of its own, a ring-3 process, system calls, copy on write."],
  ["tasks", "A timer and preemptive ring-3 tasks."],
];

/** Folders and sizes that are not worth a look. */
const EXCLUDED = "**/{node_modules,.git,target/debug/deps,target/debug/build,.cache}/**";
const MAX_CANDIDATES = 60;
const MAX_BYTES = 256 * 1024 * 1024;

/** The samples that are there. */
export async function findSamples(extensionUri: vscode.Uri): Promise<Sample[]> {
  const guests = vscode.Uri.joinPath(extensionUri, "media", "guests");
  const found = await Promise.all(
    SAMPLES.map(async ([name, detail]) => {
      const image = vscode.Uri.joinPath(guests, name, `${name}.elf`);
      return (await exists(image)) ? { name, detail, image } : undefined;
    }),
  );
  return found.filter((sample) => sample !== undefined);
}

/** Names of files that may be guest kernels; their first bytes decide. */
const NAMES = ["*.elf", "*.kernel", "vmlinux", "vmlinux-*", "bzImage", "kernel", "kernel32"];

/** Images in the workspace (in `folder`, when given) that could be guest kernels, newest first. */
export async function findImages(
  folder?: vscode.WorkspaceFolder,
  token?: vscode.CancellationToken,
): Promise<vscode.Uri[]> {
  const pattern = `**/{${NAMES.join(",")}}`;
  const include = folder === undefined ? pattern : new vscode.RelativePattern(folder, pattern);
  return imagesAmong(await vscode.workspace.findFiles(include, EXCLUDED, MAX_CANDIDATES, token));
}

/** Images in the folder of a file: a look at one folder, much faster than a search. */
export async function imagesBeside(file: vscode.Uri): Promise<vscode.Uri[]> {
  const folder = vscode.Uri.joinPath(file, "..");
  try {
    const entries = await vscode.workspace.fs.readDirectory(folder);
    const names = new RegExp(`^(${NAMES.map((name) => name.replace(".", "\\.").replace("*", ".*")).join("|")})$`);
    return imagesAmong(entries.filter(([name]) => names.test(name)).map(([name]) => vscode.Uri.joinPath(folder, name)));
  } catch {
    return [];
  }
}

async function imagesAmong(candidates: vscode.Uri[]): Promise<vscode.Uri[]> {
  const checked = await Promise.all(
    candidates.map(async (uri) => {
      try {
        const { size, mtime } = await vscode.workspace.fs.stat(uri);
        const isGuest = size < MAX_BYTES && looksLikeGuest(await vscode.workspace.fs.readFile(uri));
        return isGuest ? { uri, mtime } : undefined;
      } catch {
        return undefined;
      }
    }),
  );
  return checked
    .filter((image) => image !== undefined)
    .sort((a, b) => b.mtime - a.mtime)
    .map((image) => image.uri);
}

export async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false;
  }
}

/** A file's path, or its URI where there are no paths. */
export function pathOf(uri: vscode.Uri): string {
  return uri.scheme === "file" ? uri.fsPath : uri.toString();
}
