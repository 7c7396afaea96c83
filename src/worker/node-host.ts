/*
 * What a session needs of Node: a clock, a way to let messages in between two slices, and the file system. Used by the
 * worker thread and by the DAP server alike.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { FileAccess } from "../debugger";
import { TimerScheduler } from "./timer-scheduler";

export class NodeScheduler extends TimerScheduler {
  yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  EISDIR: "it is a folder",
};

export const nodeFiles: FileAccess = {
  async read(path) {
    try {
      return new Uint8Array(await readFile(path));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new Error(REASONS[code ?? ""] ?? message);
    }
  },
  exists: existsSync,
};
