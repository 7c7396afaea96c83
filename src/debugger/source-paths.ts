/*
 * Source paths: what the compiler wrote down, and what is on this computer. First the user's `sourceMap` prefixes
 * apply; then, if the result is not there, its last parts are looked for beside the program and in the folders above
 * it, so that a tree that was moved (or built elsewhere) is found without any setting.
 */

/** What can be asked of files without waiting. */
export interface PathOracle {
  exists(path: string): boolean;
}

/** How many folders above the program are searched. */
const MAX_ABOVE = 4;

export class SourcePaths {
  private readonly known = new Map<string, string>();
  private readonly reverse = new Map<string, string>();

  /** @param oracle absent where files cannot be asked for: then paths are only mapped. */
  constructor(
    private readonly programPath: string,
    private readonly sourceMap: Readonly<Record<string, string>> = {},
    private readonly oracle?: PathOracle,
  ) {}

  /** The path on this computer of one that the debug information names. */
  local(path: string): string {
    let found = this.known.get(path);
    if (found === undefined) {
      found = this.find(path);
      this.known.set(path, found);
      this.reverse.set(normal(found), path);
    }
    return found;
  }

  /** The path in the debug information of one on this computer, as far as it is known; else the path itself. */
  original(path: string): string {
    const known = this.reverse.get(normal(path));
    if (known !== undefined) return known;
    for (const [from, to] of Object.entries(this.sourceMap)) {
      if (to !== "" && normal(path).startsWith(normal(to))) return from + slashes(path).slice(slashes(to).length);
    }
    return slashes(path);
  }

  /** Whether a file is there; true where that cannot be known. */
  isThere(path: string): boolean {
    return this.oracle?.exists(path) ?? true;
  }

  private find(path: string): string {
    const mapped = this.map(path);
    const { oracle } = this;
    if (oracle === undefined) return isAbsolute(mapped) ? mapped : join(folderOf(this.programPath), mapped);
    if (isAbsolute(mapped) && oracle.exists(mapped)) return mapped;
    const parts = slashes(mapped)
      .split("/")
      .filter((part) => part !== "" && part !== ".");
    let folder = folderOf(this.programPath);
    for (let above = 0; above <= MAX_ABOVE && folder !== ""; above++) {
      for (let skip = 0; skip < parts.length; skip++) {
        const candidate = join(folder, parts.slice(skip).join("/"));
        if (oracle.exists(candidate)) return candidate;
      }
      const next = folderOf(folder);
      if (next === folder) break;
      folder = next;
    }
    return mapped;
  }

  private map(path: string): string {
    const matches = Object.entries(this.sourceMap).filter(([from]) => from !== "" && path.startsWith(from));
    const best = matches.sort((a, b) => b[0].length - a[0].length)[0];
    return best === undefined ? path : best[1] + path.slice(best[0].length);
  }
}

function slashes(path: string): string {
  return path.replace(/\\/g, "/");
}
/** For comparisons: drive letters and, on such paths, all letters count without case. */
function normal(path: string): string {
  const text = slashes(path);
  return /^[a-z]:\//i.test(text) ? text.toLowerCase() : text;
}
function isAbsolute(path: string): boolean {
  return /^(?:[/\\]|[a-z]:[/\\]|[a-z][a-z0-9+.-]+:\/\/)/i.test(path);
}
function folderOf(path: string): string {
  const text = slashes(path);
  const end = text.lastIndexOf("/");
  return end < 0 ? "" : end === 0 ? "/" : text.slice(0, end);
}
function join(folder: string, path: string): string {
  const parts = folder === "" ? [] : folder.split("/");
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/") || "/";
}
