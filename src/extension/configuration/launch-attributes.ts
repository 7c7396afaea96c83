/*
 * launch.json for type `ring1`, checked and made complete, without `vscode`: every complaint names the attribute, says
 * what was found and what to write. Only the shape is looked at here: which values there are, and what fits a machine,
 * is the adapter's to know, and its refusal comes with the same button.
 */

import type { LaunchAttributes } from "../../dap";

/** Something wrong with one attribute, as a sentence that says what to do. */
export interface Complaint {
  attribute: string;
  message: string;
}

const ATTRIBUTES = [
  "program",
  "symbols",
  "memory",
  "cmdline",
  "initrd",
  "disks",
  "abi",
  "quirks",
  "stopOnEntry",
  "stepThrough",
  "trapBreakpoints",
  "engine",
  "sourceMap",
  "seed",
  "maxInstructions",
  "noDebug",
] as const satisfies (keyof LaunchAttributes)[];

/** Attributes of every launch configuration, and those that VS Code adds. */
const GENERAL =
  /^(_.*|type|request|name|presentation|preLaunchTask|postDebugTask|internalConsoleOptions|debugServer|serverReadyAction|suppressMultipleSessionWarning|windows|linux|osx|restart|parentSession.*)$/;

/** All complaints about a configuration. */
export function complaintsAbout(configuration: Readonly<Record<string, unknown>>): Complaint[] {
  return Object.entries(configuration).flatMap(([attribute, value]): Complaint[] => {
    if (value === undefined || value === null) {
      return [];
    }
    const message = (ATTRIBUTES as readonly string[]).includes(attribute)
      ? complaintAbout(attribute as keyof LaunchAttributes, value)
      : GENERAL.test(attribute)
        ? undefined
        : unknownAttribute(attribute);
    return message === undefined ? [] : [{ attribute, message }];
  });
}

function unknownAttribute(attribute: string): string {
  const near = ATTRIBUTES.find((known) => distance(known.toLowerCase(), attribute.toLowerCase()) <= 2);
  const advice = near ? `Did you mean "${near}"?` : "Remove it.";
  return `"${attribute}" is not an attribute of Ring 1 launch configurations. ${advice}`;
}

function complaintAbout(attribute: keyof LaunchAttributes, value: unknown): string | undefined {
  const found = JSON.stringify(value);
  switch (attribute) {
    case "program":
    case "initrd":
      return typeof value === "string" && value.trim() !== ""
        ? undefined
        : `"${attribute}" is ${found}. Write the path of a file.`;
    case "cmdline":
    case "abi":
    case "quirks":
    case "stepThrough":
    case "engine":
      return isText(value) ? undefined : `"${attribute}" is ${found}. Write one text, in quotes.`;
    case "symbols":
      return isListOf(value, (item) => typeof item === "string")
        ? undefined
        : `"symbols" is ${found}. Write a list of paths: ["user.elf"].`;
    case "memory":
      return isText(value) || typeof value === "number"
        ? undefined
        : `"memory" is ${found}. Write a number of MiB, or text such as "64M".`;
    case "disks":
      return isListOf(value, isDisk)
        ? undefined
        : `"disks" is ${found}. Write a list of paths, or of { "path": ..., "readOnly": true }.`;
    case "trapBreakpoints":
      return isListOf(value, isTrap)
        ? undefined
        : `"trapBreakpoints" is ${found}. Write a list of vectors (0 to 255) and names: [14, "#GP", "SET_PTE"].`;
    case "sourceMap":
      return typeof value === "object" && !Array.isArray(value) && Object.values(value!).every(isText)
        ? undefined
        : `"sourceMap" is ${found}. Write an object of prefixes: { "/build": "\${workspaceFolder}" }.`;
    case "seed":
    case "maxInstructions":
      return Number.isSafeInteger(value) && (value as number) >= 0
        ? undefined
        : `"${attribute}" is ${found}. Write a whole number, 0 or more.`;
    default:
      return typeof value === "boolean" ? undefined : `"${attribute}" is ${found}. Write true or false.`;
  }
}

const isText = (value: unknown): boolean => typeof value === "string";

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isDisk(item: unknown): boolean {
  return isText(item) || (typeof item === "object" && item !== null && isText((item as { path?: unknown }).path));
}

function isTrap(item: unknown): boolean {
  return isText(item) || (Number.isInteger(item) && (item as number) >= 0 && (item as number) <= 255);
}

/** Applies `absolute` to every path in a configuration. */
export function withAbsolutePaths<T extends object>(configuration: T, absolute: (path: string) => string): T {
  const known = configuration as Partial<LaunchAttributes>;
  const disk = (text: string): string => {
    const [, path = text, suffix = ""] = /^(.*?)(,r[ow])?$/.exec(text) ?? [];
    return absolute(path) + suffix;
  };
  return {
    ...configuration,
    ...(known.program ? { program: absolute(known.program) } : {}),
    ...(known.initrd ? { initrd: absolute(known.initrd) } : {}),
    ...(known.symbols ? { symbols: known.symbols.map(absolute) } : {}),
    ...(known.disks
      ? {
          disks: known.disks.map((item) =>
            typeof item === "string" ? disk(item) : { ...item, path: absolute(item.path) },
          ),
        }
      : {}),
  };
}

/** Edits that turn one word into another (insertions, deletions, replacements). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
