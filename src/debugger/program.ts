/*
 * From launch attributes to a machine with a guest in it: reads the files, opens the images for their symbols, makes
 * the machine. Everything that a user can get wrong with files becomes a sentence here. Debug information that is
 * missing or broken is no reason to refuse: debugging goes on with less, and says so.
 */
import { openDwarf } from "../dwarf";
import { ElfError, type ElfFile, openElf } from "../elf";
import { UnusableInput, VirtualMachine } from "../lguest";
import { badImage, cannotRead, UserError } from "./errors";
import type { LaunchPlan } from "./launch-attributes";
import { type PathOracle, SourcePaths } from "./source-paths";
import { type Image, Symbols } from "./symbols";

/** Where files come from: the file system on the desktop, the client in a browser. */
export interface FileAccess {
  /** Rejects with a reason that a person can read. */
  read(path: string): Promise<Uint8Array>;
  /** Absent where it cannot be known without waiting. */
  exists?(path: string): boolean;
}

export interface Program {
  readonly vm: VirtualMachine;
  readonly symbols: Symbols;
  /** What works less than it should, a sentence each. */
  readonly warnings: readonly string[];
  /** Makes the machine again from the files as they are now in memory. */
  readonly rebuild: () => VirtualMachine;
}

/** @throws UserError when something cannot be used. */
export async function loadProgram(plan: LaunchPlan, files: FileAccess): Promise<Program> {
  const image = await readFile(files, "program", plan.program);
  const initrd = plan.initrd === undefined ? undefined : await readFile(files, "initrd", plan.initrd);
  const disks: { bytes: Uint8Array; isReadOnly: boolean; name: string }[] = [];
  for (const { path, isReadOnly } of plan.disks)
    disks.push({ bytes: await readFile(files, "disk", path), isReadOnly, name: fileName(path) });
  const rebuild = (): VirtualMachine => {
    try {
      return new VirtualMachine({
        image,
        imageName: fileName(plan.program),
        memoryMegabytes: plan.memoryMegabytes,
        commandLine: plan.cmdline,
        initrd,
        // The guest writes to its disks: each machine gets its own copy.
        disks: disks.map((disk) => ({ ...disk, bytes: disk.isReadOnly ? disk.bytes : disk.bytes.slice() })),
        abi: plan.abi,
        quirks: plan.quirks,
        engine: plan.engine,
        seed: plan.seed,
      });
    } catch (error) {
      if (error instanceof UnusableInput) throw badImage(plan.program, error.message);
      throw error;
    }
  };
  const vm = rebuild();
  const warnings: string[] = [];
  const images: Image[] = [];
  const main = openImage(plan.program, image, warnings);
  if (main !== undefined) images.push(main);
  else if (plan.symbols.length === 0)
    warnings.push(
      `${fileName(plan.program)} has no symbols of its own. Name the kernel's ELF file under "symbols" in launch.json.`,
    );
  for (const path of plan.symbols) {
    const extra = openImage(path, await readFile(files, "symbol file", path), warnings);
    if (extra === undefined) throw new UserError(`${path} is no ELF32 file for the 386, so it has no symbols to give.`);
    images.push(extra);
  }
  for (const { path, dwarf } of images) {
    const { noLines } = dwarf.summary();
    if (noLines !== undefined)
      warnings.push(`${fileName(path)}: ${noLines}. Debugging goes on with symbols and disassembly.`);
  }
  const oracle: PathOracle | undefined =
    files.exists === undefined ? undefined : { exists: (path) => files.exists!(path) };
  const paths = new SourcePaths(plan.program, plan.sourceMap, oracle);
  return { vm, symbols: new Symbols(images, paths, () => vm.symbols), warnings, rebuild };
}

/** An ELF file opened for its symbols; undefined when it is none (a bzImage). */
function openImage(path: string, bytes: Uint8Array, warnings: string[]): Image | undefined {
  let elf: ElfFile;
  try {
    elf = openElf(bytes, { symbolsOnly: true });
  } catch (error) {
    if (error instanceof ElfError) return undefined;
    throw error;
  }
  if (elf.sectionsProblem !== undefined)
    warnings.push(
      `${fileName(path)}: its section headers cannot be read (${elf.sectionsProblem}); there are no symbols.`,
    );
  return { path, elf, dwarf: openDwarf(elf) };
}

async function readFile(files: FileAccess, what: string, path: string): Promise<Uint8Array> {
  try {
    return await files.read(path);
  } catch (error) {
    throw cannotRead(what, path, error instanceof Error ? error.message : String(error));
  }
}

function fileName(path: string): string {
  return path.replace(/^.*[/\\]/, "");
}
