/*
 * Names and lines of addresses, and addresses of names and lines, over all images: the kernel, further ELF files, and
 * the Switcher's own symbols.
 *
 * A kernel runs for a while at physical addresses before it turns to its linked ones. So an address that no image
 * covers is looked up again as a load address (p_paddr), and breakpoints are set at both (`aliasesOf`).
 */
import { hex } from "../base";
import type { BreakpointLocation, Dwarf, LineAddresses, Lookup, SourceLocation, SourcePosition } from "../dwarf";
import type { ElfFile, ElfSymbol } from "../elf";
import type { CodeSymbol } from "../lguest";
import type { SourcePaths } from "./source-paths";

export interface Image {
  readonly path: string;
  readonly elf: ElfFile;
  readonly dwarf: Dwarf;
}

/** A linear address with what the symbols say about it. */
export interface CodeLocation {
  address: number;
  symbol?: string;
  offset?: number;
  path?: string;
  line?: number;
}

interface Name {
  readonly symbol: string;
  readonly offset: number;
}

const MAX_REMEMBERED = 50_000;
/** Further than this from its symbol an address is nowhere. */
const MAX_OFFSET = 0x100000;

/** #BP, #OF, hypercall, system call. */
const BEHIND_INSTRUCTION: ReadonlySet<number> = new Set([3, 4, 31, 128]);

export class Symbols {
  private readonly names = new Map<number, Name | null>();
  private readonly places = new Map<number, CodeLocation>();

  constructor(
    readonly images: readonly Image[],
    private readonly paths: SourcePaths,
    private readonly switcher: () => readonly CodeSymbol[] = () => [],
  ) {}

  /** Symbol, path and line, as far as they are known. */
  locate(address: number): CodeLocation {
    let place = this.places.get(address);
    if (place === undefined) {
      place = this.describe(address);
      if (this.places.size >= MAX_REMEMBERED) this.places.clear();
      this.places.set(address, place);
    }
    return place;
  }

  /**
   * As locate(), for an address that follows the instruction meant (a return address, the frame of an INT): the symbol is the
   * address's own, the line that of the instruction before.
   */
  locateAfter(address: number): CodeLocation {
    const { path, line } = this.locate((address - 1) >>> 0);
    return { ...this.locate(address), path, line };
  }
  /** Where a transition came from. INT, INT3 and INTO leave EIP behind themselves, faults leave it at the instruction. */
  locateTransition(vector: number, eip: number): CodeLocation {
    return BEHIND_INSTRUCTION.has(vector) ? this.locateAfter(eip) : this.locate(eip);
  }

  /** `kernel_main+0x13`, or undefined. */
  nameOf(address: number): string | undefined {
    const name = this.symbolAt(address);
    return name === undefined
      ? undefined
      : name.offset === 0
        ? name.symbol
        : `${name.symbol}+0x${name.offset.toString(16)}`;
  }

  /** Symbol and distance. */
  symbolAt(address: number): Name | undefined {
    let name = this.names.get(address);
    if (name === undefined) {
      name = this.findName(address) ?? null;
      if (this.names.size >= MAX_REMEMBERED) this.names.clear();
      this.names.set(address, name);
    }
    return name ?? undefined;
  }

  /** The source line of an address, with the stretch of code that belongs to it. */
  lineAt(address: number): SourceLocation | undefined {
    const found = this.imageAt(address);
    if (found === undefined) return undefined;
    const line = found.image.dwarf.lineAt(found.linked);
    return line.ok ? line.value : undefined;
  }

  /** Path and line of a position in the debug information. */
  positionOf(position: SourcePosition): { path: string; line: number } {
    return { path: this.paths.local(position.file.path), line: position.line };
  }

  /** The image that an address is in, and the address as that image was linked. */
  imageAt(address: number): { image: Image; linked: number } | undefined {
    for (const image of this.images) if (image.elf.isMapped(address)) return { image, linked: address };
    for (const image of this.images) {
      const linked = linkedAddress(image.elf, address);
      if (linked !== undefined) return { image, linked };
    }
    return undefined;
  }

  /** The same place at its load address, where the two differ: code may run there before paging is set up. */
  aliasesOf(address: number): number[] {
    const aliases = new Set<number>();
    for (const { elf } of this.images) {
      for (const segment of elf.loadSegments) {
        const offset = address - segment.virtualAddress;
        if (offset < 0 || offset >= segment.memorySize) continue;
        const physical = segment.physicalAddress + offset;
        if (physical !== address) aliases.add(physical);
      }
    }
    return [...aliases];
  }

  /** Physical load address of a linked address; the address itself where they do not differ. */
  loadAddressOf(address: number): number | undefined {
    const segment = this.images
      .flatMap((image) => image.elf.loadSegments)
      .find((s) => inside(address, s.virtualAddress, s.memorySize));
    return segment && segment.physicalAddress + address - segment.virtualAddress;
  }

  /**
   * Where a breakpoint on a source line goes, over all images. The refusal of the first image that knows the file
   * counts.
   */
  addressesOfLine(path: string, line: number, column?: number): Lookup<LineAddresses> {
    let refusal: Lookup<LineAddresses> | undefined;
    for (const { dwarf } of this.images) {
      const found = dwarf.addressesOf(this.paths.original(path), line, column);
      if (found.ok) return found;
      refusal ??= found;
    }
    return refusal ?? { ok: false, reason: "no program is loaded" };
  }

  /** The places between two lines that a breakpoint can be put on. */
  breakpointLocations(path: string, first: number, last: number): readonly BreakpointLocation[] {
    return this.images.flatMap(({ dwarf }) => dwarf.breakpointLocations(this.paths.original(path), first, last));
  }

  /** All source files, as paths on this computer. */
  sourcePaths(): string[] {
    const paths = new Set<string>();
    for (const { dwarf } of this.images) for (const file of dwarf.sourceFiles()) paths.add(this.paths.local(file.path));
    return [...paths].sort();
  }

  /** Whether a source file is on this computer; true where that cannot be known. */
  isSourceThere(path: string): boolean {
    return this.paths.isThere(path);
  }

  /** Addresses of a function: behind its prologue where lines are known. */
  functionAddresses(name: string): number[] {
    const found = new Set<number>();
    for (const { dwarf, elf } of this.images) {
      const functions = dwarf.functionsNamed(name);
      for (const fn of functions) found.add(dwarf.prologueEnd(fn));
      if (functions.length === 0) {
        const symbol = elf.symbol(name);
        if (symbol !== undefined && symbol.type !== "object") found.add(symbol.address);
      }
    }
    if (found.size === 0) for (const symbol of this.switcher()) if (symbol.name === name) found.add(symbol.address);
    return [...found];
  }

  /** The ELF or Switcher symbol of a name. */
  find(name: string): { address: number; size: number; type: ElfSymbol["type"] } | undefined {
    for (const { elf } of this.images) {
      const symbol = elf.symbol(name);
      if (symbol !== undefined) return symbol;
    }
    const own = this.switcher().find((symbol) => symbol.name === name);
    return own && { address: own.address, size: own.size, type: "function" };
  }

  /** Every name that starts with a text, at most `most`. */
  namesStartingWith(prefix: string, most: number): { name: string; isFunction: boolean }[] {
    const found = new Map<string, boolean>();
    const wanted = prefix.toLowerCase();
    for (const { elf } of this.images) {
      for (const symbol of elf.symbols) {
        if (symbol.type !== "function" && symbol.type !== "object" && symbol.type !== "notype") continue;
        if (symbol.name === "" || !symbol.name.toLowerCase().startsWith(wanted)) continue;
        found.set(symbol.name, symbol.type === "function");
        if (found.size >= most) break;
      }
    }
    return [...found].map(([name, isFunction]) => ({ name, isFunction })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Names for "did you mean". */
  *allNames(): Iterable<string> {
    for (const { elf } of this.images) for (const symbol of elf.symbols) yield symbol.name;
  }

  /** The last address at or before this one that surely begins an instruction. */
  boundaryBefore(address: number, most: number): number | undefined {
    const found = this.imageAt(address);
    if (found !== undefined) {
      const delta = address - found.linked;
      const line = found.image.dwarf.lineAt(found.linked);
      if (line.ok && found.linked - line.value.start <= most) return line.value.start + delta;
    }
    const name = this.symbolAt(address);
    return name !== undefined && name.offset <= most ? address - name.offset : undefined;
  }

  private describe(address: number): CodeLocation {
    const place: CodeLocation = { address };
    const name = this.symbolAt(address);
    if (name !== undefined) {
      place.symbol = name.symbol;
      place.offset = name.offset;
    }
    const line = this.lineAt(address);
    if (line !== undefined) {
      place.path = this.paths.local(line.file.path);
      place.line = line.line;
    }
    return place;
  }

  private findName(address: number): Name | undefined {
    const own = this.switcher().find((symbol) => inside(address, symbol.address, Math.max(symbol.size, 1)));
    if (own !== undefined) return { symbol: own.name, offset: address - own.address };
    const found = this.imageAt(address);
    if (found === undefined) return undefined;
    const near = found.image.elf.symbolAt(found.linked);
    if (near !== undefined && (near.isInside || near.symbol.size === 0) && near.offset < MAX_OFFSET) {
      return { symbol: near.symbol.name, offset: near.offset };
    }
    const fn = found.image.dwarf.functionAt(found.linked);
    return fn && { symbol: fn.name, offset: found.linked - fn.entry };
  }
}

/** `C0100123 kernel_main+0x13 main.c:57`, for messages. */
export function placeText(place: CodeLocation): string {
  const symbol =
    place.symbol === undefined ? "" : ` ${place.symbol}${place.offset ? `+0x${place.offset.toString(16)}` : ""}`;
  const line = place.path === undefined ? "" : ` ${place.path.replace(/^.*[/\\]/, "")}:${place.line}`;
  return `${hex(place.address)}${symbol}${line}`;
}

function linkedAddress(elf: ElfFile, address: number): number | undefined {
  for (const segment of elf.loadSegments) {
    if (segment.physicalAddress === segment.virtualAddress) continue;
    if (inside(address, segment.physicalAddress, segment.memorySize))
      return segment.virtualAddress + address - segment.physicalAddress;
  }
  return undefined;
}

function inside(address: number, start: number, size: number): boolean {
  return address >= start && address - start < size;
}
