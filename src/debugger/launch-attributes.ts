/*
 * launch.json for type `ring1`, checked. What VS Code's schema would have refused comes here all the same from other
 * clients, so each attribute is looked at, and a mistake is answered by a sentence that says what was expected.
 */
import type { VirtualMachineOptions } from "../lguest";
import { badOption, nearestNames, UserError, unknownOption } from "./errors";
import type { StepThrough } from "./stepping";

export interface LaunchPlan {
  readonly program: string;
  readonly symbols: readonly string[];
  readonly memoryMegabytes: number;
  readonly cmdline: string;
  readonly initrd: string | undefined;
  readonly disks: readonly { path: string; isReadOnly: boolean }[];
  readonly abi: NonNullable<VirtualMachineOptions["abi"]>;
  readonly quirks: NonNullable<VirtualMachineOptions["quirks"]>;
  readonly engine: NonNullable<VirtualMachineOptions["engine"]>;
  readonly stopOnEntry: boolean;
  readonly stepThrough: StepThrough;
  readonly trapBreakpoints: readonly (number | string)[];
  readonly sourceMap: Readonly<Record<string, string>>;
  readonly seed: number;
  /** Infinity: no limit. */
  readonly maxInstructions: number;
  readonly noDebug: boolean;
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
] as const;
/** What clients add to every configuration. */
const CLIENTS_OWN = new Set([
  "type",
  "request",
  "name",
  "preLaunchTask",
  "postDebugTask",
  "presentation",
  "internalConsoleOptions",
  "debugServer",
  "console",
  "serverReadyAction",
  "suppressMultipleSessionWarning",
  "windows",
  "linux",
  "osx",
  "restart",
  "timeout",
]);
const MAX_MEMORY = 1019;

/** @throws UserError for the first attribute that cannot be used. */
export function checkLaunch(given: unknown): LaunchPlan {
  if (typeof given !== "object" || given === null) throw badOption("launch", "an object", given);
  const args = given as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(args)) {
    if (name.startsWith("__") || CLIENTS_OWN.has(name) || (ATTRIBUTES as readonly string[]).includes(name)) continue;
    throw unknownOption(name, nearestNames(name, ATTRIBUTES, 1)[0]);
  }
  const program = args.program;
  if (program === undefined || program === "")
    throw new UserError(
      'launch.json: "program" is missing. It is the path of the guest kernel: an ELF32 image or a bzImage.',
    );
  if (typeof program !== "string") throw badOption("program", "a path", program);
  return {
    program,
    symbols: texts(args, "symbols"),
    memoryMegabytes: memory(args.memory),
    cmdline: text(args, "cmdline") ?? "",
    initrd: text(args, "initrd") || undefined,
    disks: disks(args.disks),
    abi: choice(args, "abi", ["2.6.32", "3.x"], "2.6.32"),
    quirks: choice(args, "quirks", ["faithful", "fixed"], "faithful"),
    engine: engine(args),
    stopOnEntry: flag(args, "stopOnEntry"),
    stepThrough: choice(args, "stepThrough", ["guest", "machine"], "guest"),
    trapBreakpoints: trapBreakpoints(args.trapBreakpoints),
    sourceMap: sourceMap(args.sourceMap),
    seed: count(args, "seed", 0),
    maxInstructions: count(args, "maxInstructions", 0) || Number.POSITIVE_INFINITY,
    noDebug: flag(args, "noDebug"),
  };
}

type Given = Readonly<Record<string, unknown>>;

function text(args: Given, name: string): string | undefined {
  const value = args[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw badOption(name, "text", value);
  return value;
}

function texts(args: Given, name: string): string[] {
  const value = args[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw badOption(name, "a list of paths", value);
  return value as string[];
}

function flag(args: Given, name: string): boolean {
  const value = args[name];
  if (value === undefined || value === null) return false;
  if (typeof value !== "boolean") throw badOption(name, "true or false", value);
  return value;
}

function count(args: Given, name: string, fallback: number): number {
  const value = args[name];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw badOption(name, "a whole number, 0 or more", value);
  return value;
}

function choice<T extends string>(args: Given, name: string, choices: readonly T[], fallback: T): T {
  const value = args[name];
  if (value === undefined || value === null) return fallback;
  if (!choices.includes(value as T)) throw badOption(name, choices.map((item) => `"${item}"`).join(" or "), value);
  return value as T;
}

function engine(args: Given): LaunchPlan["engine"] {
  const wanted = choice(args, "engine", ["interpreter", "direct", "jit"], "interpreter");
  if (wanted === "jit")
    throw new UserError('launch.json: "engine" is "jit", which this version does not have yet; use "interpreter".');
  return wanted;
}

function memory(value: unknown): number {
  if (value === undefined || value === null) return 64;
  const expected = 'a number of MiB from 1 to 1019, or text such as "64M"';
  let megabytes: number;
  if (typeof value === "number") megabytes = value;
  else {
    const match = typeof value === "string" ? /^(\d+)([KMG]?)$/i.exec(value.trim()) : null;
    if (match === null) throw badOption("memory", expected, value);
    const scale = { K: 1 / 1024, M: 1, G: 1024, "": 1 }[match[2].toUpperCase() as "K" | "M" | "G" | ""];
    megabytes = Number(match[1]) * scale;
  }
  if (!Number.isInteger(megabytes) || megabytes < 1 || megabytes > MAX_MEMORY)
    throw badOption("memory", expected, value);
  return megabytes;
}

function disks(value: unknown): LaunchPlan["disks"] {
  if (value === undefined || value === null) return [];
  const expected = 'a list of paths (",ro" behind one makes it read-only) or of {"path", "readOnly"}';
  if (!Array.isArray(value)) throw badOption("disks", expected, value);
  return value.map((item: unknown) => {
    if (typeof item === "string") {
      const match = /^(.*),ro$/.exec(item);
      return { path: match?.[1] ?? item, isReadOnly: match !== null };
    }
    const { path, readOnly } = (item ?? {}) as { path?: unknown; readOnly?: unknown };
    if (typeof path !== "string" || (readOnly !== undefined && typeof readOnly !== "boolean"))
      throw badOption("disks", expected, item);
    return { path, isReadOnly: readOnly ?? false };
  });
}

function trapBreakpoints(value: unknown): (number | string)[] {
  if (value === undefined || value === null) return [];
  const isGood =
    Array.isArray(value) &&
    value.every((item) => typeof item === "string" || (Number.isInteger(item) && item >= 0 && item <= 255));
  if (!isGood) throw badOption("trapBreakpoints", 'a list of vectors (14, "#PF") and hypercalls ("SET_PTE")', value);
  return value as (number | string)[];
}

function sourceMap(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  const isGood =
    typeof value === "object" &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === "string");
  if (!isGood)
    throw badOption(
      "sourceMap",
      "an object of path prefixes: from what the compiler wrote to what is on this computer",
      value,
    );
  return value as Record<string, string>;
}
