// The debug sections of one file, each fetched when first needed.
//
// Small, often used sections are held whole;
// .debug_info is read unit by unit, so that a kernel's 150 MB of it do not have to be in memory.

import { type ByteSource, FormatError, MemorySource } from "../base";
import type { ElfFile } from "../elf";
import { DwarfError } from "./errors";
import { DwarfReader } from "./reader";

export interface DwarfSection {
  readonly bytes: ByteSource;
  /** Where the section is in memory (.eh_frame), 0 for sections that are not loaded. */
  readonly address: number;
}

/** What the DWARF reader asks of a file; `sectionsOf` makes one from an ELF file, tests build their own. */
export interface DwarfInput {
  /** The section of that name (".debug_info"), or undefined. May throw a FormatError. */
  section(name: string): DwarfSection | undefined;
  /** Whether the program has anything at this address. Code that the linker threw away is recognised by it. */
  isMapped?(address: number): boolean;
}

export class Sections {
  /** A section that could not be read is remembered by its error: trying again may cost as much as the first time. */
  private readonly sources = new Map<string, DwarfSection | FormatError | undefined>();
  private readonly whole = new Map<string, Uint8Array>();

  constructor(private readonly input: DwarfInput) {}

  has(name: string): boolean {
    const section = this.get(name);
    return section !== undefined && section.bytes.size > 0;
  }

  /** Throws a FormatError if the section exists but cannot be read. */
  get(name: string): DwarfSection | undefined {
    if (!this.sources.has(name)) this.sources.set(name, this.load(name));
    const section = this.sources.get(name);
    if (section instanceof FormatError) throw section;
    return section;
  }

  /** The whole section; empty if there is none. */
  bytes(name: string): Uint8Array {
    let bytes = this.whole.get(name);
    if (!bytes) {
      const source = this.get(name)?.bytes;
      bytes = source ? source.read(0, source.size) : new Uint8Array(0);
      this.whole.set(name, bytes);
    }
    return bytes;
  }

  /** A reader over the whole section at `offset`. Throws a DwarfError if there is no such place. */
  reader(name: string, offset = 0): DwarfReader {
    const bytes = this.bytes(name);
    if (bytes.length === 0 && !this.has(name)) throw new DwarfError("there is no such section", name, 0);
    const r = new DwarfReader(bytes, 0, bytes.length, name);
    r.seek(offset);
    return r;
  }

  /** Text at `offset` of a string section. */
  text(name: string, offset: number): string {
    return this.reader(name, offset).cstring();
  }

  isMapped(address: number): boolean {
    return this.input.isMapped?.(address) ?? true;
  }

  private load(name: string): DwarfSection | FormatError | undefined {
    try {
      return this.input.section(name);
    } catch (error) {
      if (error instanceof FormatError) return error;
      throw error;
    }
  }
}

/** The debug sections of an ELF file, old-style compressed ones (.zdebug_*) included. */
export function sectionsOf(elf: ElfFile): DwarfInput {
  return {
    section(name) {
      const section = elf.section(name) ?? elf.section(name.replace(".debug_", ".zdebug_"));
      if (!section) return undefined;
      return { bytes: elf.sectionBytes(section), address: section.isAllocated ? section.address : 0 };
    },
    isMapped: (address) => elf.segments.length === 0 || elf.isMapped(address),
  };
}

/** An input over sections that are in memory already. */
export function memorySections(sections: Readonly<Record<string, Uint8Array>>): DwarfInput {
  return {
    section(name) {
      const bytes = sections[name];
      return bytes && { bytes: new MemorySource(bytes), address: 0 };
    },
  };
}
