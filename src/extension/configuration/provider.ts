/*
 * F5: from what a person has (launch.json, an open folder, nothing) to a complete launch configuration. With no
 * launch.json an image of the workspace is taken, or the samples are offered; a mistake in launch.json becomes a
 * sentence that says what to write, with a button that opens the file.
 */

import * as vscode from "vscode";
import { findImages, findSamples, imagesBeside, pathOf } from "./guests";
import { complaintsAbout, withAbsolutePaths } from "./launch-attributes";

type Configuration = vscode.DebugConfiguration;

export class ConfigurationProvider implements vscode.DebugConfigurationProvider {
  constructor(private readonly extensionUri: vscode.Uri) {}

  /** For "create a launch.json". */
  async provideDebugConfigurations(folder?: vscode.WorkspaceFolder): Promise<Configuration[]> {
    const images = await findImages(folder);
    const program = folder && images[0] ? inFolder(images[0]) : `\${workspaceFolder}/kernel.elf`;
    return [{ type: "ring1", request: "launch", name: vscode.l10n.t("Debug Guest Kernel"), program }];
  }

  async resolveDebugConfiguration(
    folder: vscode.WorkspaceFolder | undefined,
    configuration: Configuration,
    token?: vscode.CancellationToken,
  ): Promise<Configuration | undefined> {
    if (!configuration.type && !configuration.request && !configuration.name) {
      const program = await this.pickProgram(folder, token);
      return program === undefined ? undefined : launchOf(program);
    }
    if (configuration.request !== "launch") {
      return this.refuse([
        vscode.l10n.t('"request" is "{0}". Ring 1 only knows "launch".', String(configuration.request)),
      ]);
    }
    if (configuration["program"] === undefined) {
      const program = await this.pickProgram(folder, token);
      return program === undefined ? undefined : { ...configuration, program };
    }
    return configuration;
  }

  async resolveDebugConfigurationWithSubstitutedVariables(
    folder: vscode.WorkspaceFolder | undefined,
    configuration: Configuration,
  ): Promise<Configuration | undefined> {
    const complaints = complaintsAbout(configuration);
    if (complaints.length > 0) {
      return this.refuse(complaints.map(({ message }) => message));
    }
    // The guest's console is a terminal; the debug console stays where it is unless a person wants it.
    const complete = { internalConsoleOptions: "neverOpen", ...configuration };
    return withAbsolutePaths(complete, (path) => absolute(folder, path));
  }

  /**
   * An image of the workspace or a sample. The only image of the workspace, or of the active editor's folder, is taken
   * without asking.
   */
  async pickProgram(folder?: vscode.WorkspaceFolder, token?: vscode.CancellationToken): Promise<string | undefined> {
    const active = vscode.window.activeTextEditor?.document.uri;
    const beside = active === undefined ? [] : await imagesBeside(active);
    if (beside.length === 1) {
      return pathOf(beside[0]!);
    }
    const images = await findImages(folder, token);
    return images.length === 1 ? pathOf(images[0]!) : this.askForProgram(images);
  }

  private async askForProgram(images: vscode.Uri[]): Promise<string | undefined> {
    const samples = await findSamples(this.extensionUri);
    const items: (vscode.QuickPickItem & { program?: string; command?: string })[] = [
      ...images.map((uri) => ({
        label: `$(file-binary) ${vscode.workspace.asRelativePath(uri)}`,
        program: pathOf(uri),
      })),
      { label: vscode.l10n.t("Samples"), kind: vscode.QuickPickItemKind.Separator },
      ...samples.map(({ name, detail, image }) => ({ label: `$(play) ${name}`, detail, program: pathOf(image) })),
      { label: "", kind: vscode.QuickPickItemKind.Separator },
      { label: `$(new-folder) ${vscode.l10n.t("New Guest Kernel...")}`, command: "ring1.newGuestKernel" },
    ];
    const picked = await vscode.window.showQuickPick(items, {
      title: vscode.l10n.t("Which guest kernel?"),
      placeHolder: images.length === 0 ? vscode.l10n.t("No guest kernel in this workspace. Choose a sample.") : "",
      matchOnDetail: true,
    });
    if (picked?.command !== undefined) {
      await vscode.commands.executeCommand(picked.command);
    }
    return picked?.program;
  }

  private async refuse(messages: string[]): Promise<undefined> {
    const open = vscode.l10n.t("Open launch.json");
    const picked = await vscode.window.showErrorMessage(messages.join(" "), open);
    if (picked === open) {
      await vscode.commands.executeCommand("workbench.action.debug.configure");
    }
    return undefined;
  }
}

/** Offers each image and each sample in the list of configurations, without a launch.json. */
export class DynamicConfigurationProvider implements vscode.DebugConfigurationProvider {
  constructor(private readonly extensionUri: vscode.Uri) {}

  async provideDebugConfigurations(folder?: vscode.WorkspaceFolder): Promise<Configuration[]> {
    const images = await findImages(folder);
    const samples = await findSamples(this.extensionUri);
    return [
      ...images.map((uri) => ({ ...launchOf(pathOf(uri)), name: vscode.workspace.asRelativePath(uri) })),
      ...samples.map(({ name, image }) => ({ ...launchOf(pathOf(image)), name: vscode.l10n.t("Sample: {0}", name) })),
    ];
  }
}

/** The least configuration for an image. */
export function launchOf(program: string, more: object = {}): Configuration {
  const name = program.split(/[\\/]/).at(-1) ?? program;
  return { type: "ring1", request: "launch", name, program, ...more };
}

function absolute(folder: vscode.WorkspaceFolder | undefined, path: string): string {
  const base = folder ?? vscode.workspace.workspaceFolders?.[0];
  // `${workspaceFolder}` is a path without its scheme, which the files of a virtual folder need.
  if (base !== undefined && base.uri.scheme !== "file" && path.startsWith(`${base.uri.path}/`)) {
    return base.uri.with({ path }).toString();
  }
  if (/^([a-z][a-z0-9+.-]+:\/\/|\/|\\\\|[a-z]:[\\/])/i.test(path)) {
    return path;
  }
  return base === undefined ? path : pathOf(vscode.Uri.joinPath(base.uri, path));
}

function inFolder(uri: vscode.Uri): string {
  const relative = vscode.workspace.asRelativePath(uri, false);
  return relative === uri.fsPath ? relative : `\${workspaceFolder}/${relative}`;
}
