/**
 * What a person wrote and what they are told when it cannot be used: the help text, sizes and numbers, and the errors that end with
 * status 2.
 */

/** Exit status of every command. */
export const ExitStatus = { OK: 0, FAILED: 1, USAGE: 2, LIMIT: 3, INTERRUPTED: 130 } as const;

/** Wrong usage or unusable input: the message says what to do. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

export const HELP = `ring1: guest kernels at ring 1, under an lguest-style hypervisor, on an emulated 32-bit PC

  ring1 run IMAGE [options]    boot a guest kernel (an ELF32 executable or a Linux bzImage)
  ring1 new TEMPLATE DIR       make a guest kernel project
  ring1 dap                    Debug Adapter Protocol server on standard input and output
  ring1 vectors DIR            run processor test vectors and print a table
  ring1 --help, --version

Options of run
  --memory SIZE         guest memory: 64M (default), 1M to 1019M
  --cmdline TEXT        kernel command line
  --initrd FILE         initial RAM disk
  --disk FILE[,ro]      a raw disk image as a virtio block device; may be repeated; ,ro: read-only
  --abi 2.6.32|3.x      generation of the interface between guest and host (default 2.6.32)
  --quirks faithful|fixed   known defects of real hosts: kept (default) or corrected
  --engine direct|interpreter   how instructions are executed (default interpreter)
  --max-instructions N  stop after N instructions (time asleep counts, 10 ns each)
  --seed N              seed of everything random (default 0)
  --input FILE          what is typed on the console, instead of standard input
  --trap-log FILE       one JSON object a line for each transition between guest and host
  --stats FILE          figures of the run as JSON

Options of vectors
  --engine NAME         direct, interpreter or all (default all)

The guest's console is standard input and output; everything else goes to standard error. Ctrl-C stops.
Exit status: 0 the guest powered off, 1 it was killed, 2 wrong usage or unusable input, 3 the instruction limit was
reached, or the guest waits for input that will not come.
`;

/** Mebibytes of "64M", "1G", "67108864" or "64" (below 4096: MiB). @throws UsageError */
export function parseMemory(text: string): number {
  const match = /^(\d+)(k|kb|kib|m|mb|mib|g|gb|gib)?$/i.exec(text.trim());
  if (match === null) throw new UsageError(`--memory: expected a size such as 64M, found "${text}"`);
  const number = Number(match[1]);
  const unit = (match[2] ?? "").toLowerCase()[0];
  const megabytes =
    unit === "g"
      ? number * 1024
      : unit === "m"
        ? number
        : unit === "k"
          ? number / 1024
          : number < 4096
            ? number
            : number / 0x100000;
  if (!Number.isInteger(megabytes))
    throw new UsageError(`--memory: expected a whole number of MiB, found "${text}" (${megabytes} MiB)`);
  return megabytes;
}

/** A whole number, decimal or with 0x; K, M and G mean thousands, millions, thousand millions. @throws UsageError */
export function parseCount(option: string, text: string): number {
  const match = /^(\d[\d_]*|0x[0-9a-f]+)([kmg])?$/i.exec(text.trim());
  const factor = { k: 1e3, m: 1e6, g: 1e9 }[match?.[2]?.toLowerCase() ?? ""] ?? 1;
  const number = match === null ? Number.NaN : Number(match[1].replaceAll("_", "")) * factor;
  if (!Number.isSafeInteger(number)) throw new UsageError(`${option}: expected a whole number, found "${text}"`);
  return number;
}

/** One of a few words. @throws UsageError */
export function parseChoice<T extends string>(
  option: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new UsageError(`${option}: expected ${choices.join(" or ")}, found "${text}"`);
  return found;
}

/** 48 211 903 */
export function spaced(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, " ");
}
