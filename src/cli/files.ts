/**
 * Files that a person names: reading and writing them, with errors that say which file it was and what is wrong with it, so that no
 * other file of the command has to know an errno.
 */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { UsageError } from "./usage";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
  ENOTDIR: "a part of its path is not a directory",
  ENOSPC: "the disk is full",
  EROFS: "the file system is read-only",
};

function why(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

/** The bytes of a file. @param what for the message: "image", "initrd". @throws UsageError */
export function readInput(what: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`cannot read the ${what} ${path}: ${why(error)}`);
  }
}

/** A text file that is written piece by piece. */
export class OutputFile {
  private readonly descriptor: number;
  private waiting: string[] = [];
  private size = 0;

  /** @throws UsageError */
  constructor(
    what: string,
    private readonly path: string,
  ) {
    try {
      this.descriptor = openSync(path, "w");
    } catch (error) {
      throw new UsageError(`cannot write the ${what} ${path}: ${why(error)}`);
    }
  }

  write(text: string): void {
    this.waiting.push(text);
    this.size += text.length;
    if (this.size > 0x40000) this.flush();
  }
  close(): void {
    this.flush();
    closeSync(this.descriptor);
  }
  private flush(): void {
    if (this.size === 0) return;
    try {
      writeSync(this.descriptor, this.waiting.join(""));
    } catch (error) {
      throw new UsageError(`cannot write ${this.path}: ${why(error)}`);
    }
    this.waiting = [];
    this.size = 0;
  }
}

/** Writes a changed part of a disk image back. @throws UsageError */
export function writeBack(path: string, bytes: Uint8Array, from: number, to: number): void {
  try {
    const descriptor = openSync(path, "r+");
    writeSync(descriptor, bytes, from, to - from, from);
    closeSync(descriptor);
  } catch (error) {
    throw new UsageError(`cannot write the disk ${path}: ${why(error)}`);
  }
}

/** Writes a whole file. @throws UsageError */
export function writeOutput(what: string, path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new UsageError(`cannot write the ${what} ${path}: ${why(error)}`);
  }
}
