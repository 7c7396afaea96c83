// One ELF32 file for the i386, read lazily.
//
//   +--------+------------------+-- sections --------------------+------------------+
//   | header | program headers  | .text .data .symtab .debug_... | section headers  |
//   +--------+------------------+--------------------------------+------------------+
//
// Opening reads the header and the program headers (the loader's view) and judges them; section headers, names and
// symbols (the debugger's view) are read when somebody asks, so a file of hundreds of megabytes opens at once.
// Tool Interface Standard, ELF 1.2, book I chapters 1 and 2.

import { unzlibSync } from "fflate";
import { ByteReader, type ByteSource, MemorySource, SliceSource } from "../base";
import * as c from "./constants";
import { ElfError, type ElfErrorCode } from "./errors";
import { emptySymbolTable, type SymbolAtAddress, SymbolTable, stringAt } from "./symbols";

export interface ElfSegment {
  readonly type: number;
  readonly offset: number;
  readonly virtualAddress: number;
  readonly physicalAddress: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly flags: number;
  readonly isLoad: boolean;
  readonly isReadable: boolean;
  readonly isWritable: boolean;
  readonly isExecutable: boolean;
}

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  /** Size in the file; for a section without bytes (.bss), in memory. */
  readonly size: number;
  readonly link: number;
  readonly entrySize: number;
  readonly isAllocated: boolean;
  readonly isExecutable: boolean;
  readonly hasBytes: boolean;
  readonly isCompressed: boolean;
}

export interface ElfOptions {
  /** The file is only asked for symbols and debug information: it need not be loadable or an executable. */
  readonly symbolsOnly?: boolean;
}

/** More than any real file has, and far less than would hurt. */
const MAX_HEADERS = 0x10_0000;
/** A compressed section may claim any size: this is where belief ends. */
const MAX_UNCOMPRESSED = 0x4000_0000;

export class ElfFile {
  readonly type: number;
  readonly entry: number;
  readonly flags: number;
  /** All program headers. */
  readonly segments: readonly ElfSegment[];
  private readonly sectionTable: { offset: number; count: number; namesIndex: number };
  private sectionList: readonly ElfSection[] | undefined;
  private sectionsByName: Map<string, ElfSection> | undefined;
  private symbolTable: SymbolTable | undefined;
  private sectionTrouble: ElfError | undefined;

  /**
   * Opens a file. Throws an ElfError if it is not an ELF32 executable for the i386 with something to load
   * (with `symbolsOnly`: not an ELF32 file for the i386).
   */
  constructor(
    private readonly source: ByteSource,
    options: ElfOptions = {},
  ) {
    const header = this.readHeader();
    this.type = header.type;
    this.entry = header.entry;
    this.flags = header.flags;
    if (!options.symbolsOnly && header.type !== c.ET_EXEC) refuseType(header.type);
    this.sectionTable = header.sections;
    this.segments = this.readSegments(header.segments.offset, header.segments.count, header.segments.entrySize);
    if (options.symbolsOnly) return;
    if (!this.segments.some((s) => s.isLoad)) {
      fail("no-load-segment", "expected at least one loadable segment (PT_LOAD), found none: nothing to boot");
    }
    for (const segment of this.loadSegments) this.checkSegment(segment);
  }

  /** The segments to load, in the file's order. */
  get loadSegments(): readonly ElfSegment[] {
    return this.segments.filter((s) => s.isLoad && s.memorySize > 0);
  }

  /** The file's bytes of a segment (`fileSize` of them; the rest up to `memorySize` is zero). */
  segmentBytes(segment: ElfSegment): Uint8Array {
    return this.bytesAt(segment.offset, segment.fileSize, "segment");
  }

  /** All sections; empty where the file has none. Throws an ElfError if the table is broken (see `sectionsProblem`). */
  get sections(): readonly ElfSection[] {
    this.sectionList ??= this.readSections();
    return this.sectionList;
  }

  /** Why the section headers cannot be read, if they cannot. Loading does not need them; symbols do. */
  get sectionsProblem(): string | undefined {
    this.tolerantSections();
    return this.sectionTrouble?.message;
  }

  /** The first section of this name. A broken section table is like none at all. */
  section(name: string): ElfSection | undefined {
    if (!this.sectionsByName) {
      this.sectionsByName = new Map();
      for (const section of this.tolerantSections()) {
        if (!this.sectionsByName.has(section.name)) this.sectionsByName.set(section.name, section);
      }
    }
    return this.sectionsByName.get(name);
  }

  /** The section that holds an address in memory. */
  sectionAt(address: number): ElfSection | undefined {
    return this.tolerantSections().find(
      (s) => s.isAllocated && address >= s.address && address - s.address < s.size && s.size > 0,
    );
  }

  /**
   * Where a section's bytes are: lazily from the file, or inflated if they are stored compressed.
   * Throws an ElfError if they reach beyond the file or cannot be inflated.
   */
  sectionBytes(section: ElfSection): ByteSource {
    if (!section.hasBytes) return new MemorySource(new Uint8Array(0));
    this.checkRange(section.offset, section.size, section.name);
    const stored = new SliceSource(this.source, section.offset, section.size);
    if (section.isCompressed) return inflateSection(stored, section.name);
    return section.name.startsWith(".zdebug_") ? inflateOldStyle(stored, section.name) : stored;
  }

  /** The file's symbols (.symtab, or else .dynsym); an empty table where there are none or they cannot be read. */
  get symbols(): SymbolTable {
    this.symbolTable ??= this.readSymbols();
    return this.symbolTable;
  }

  /** The best symbol of a name. */
  symbol(name: string): ReturnType<SymbolTable["find"]> {
    return this.symbols.find(name);
  }

  /** The symbol that names an address best. */
  symbolAt(address: number): SymbolAtAddress | undefined {
    return this.symbols.nearest(address);
  }

  /** Whether a loadable segment covers this virtual address. */
  isMapped(address: number): boolean {
    return this.segments.some(
      (s) => s.isLoad && address >= s.virtualAddress && address - s.virtualAddress < s.memorySize,
    );
  }

  /** Bytes of the image at a virtual address as it is when loaded, zeros of .bss included; undefined outside the segments. */
  bytesAtAddress(address: number, length: number): Uint8Array | undefined {
    const segment = this.segments.find(
      (s) => s.isLoad && address >= s.virtualAddress && address - s.virtualAddress + length <= s.memorySize,
    );
    if (!segment) return undefined;
    const offset = address - segment.virtualAddress;
    const inFile = Math.max(0, Math.min(length, segment.fileSize - offset));
    const bytes = this.source.read(segment.offset + offset, inFile);
    if (bytes.length < inFile) return undefined;
    if (inFile === length) return bytes;
    const image = new Uint8Array(length);
    image.set(bytes);
    return image;
  }

  private readHeader() {
    const head = this.source.read(0, c.EHDR_SIZE);
    if (head.length < 4 || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46) {
      const found =
        head.length === 0 ? "an empty file" : `the bytes ${[...head.subarray(0, 4)].map(hexByte).join(" ")}`;
      fail("not-elf", `expected an ELF file (7f 45 4c 46 at its start), found ${found}`);
    }
    if (head.length > 4 && head[4] === c.ELFCLASS64) {
      fail(
        "wrong-class",
        "expected a 32-bit ELF file, found a 64-bit one: build for i386 (gcc -m32, --target=i686-elf)",
        4,
      );
    }
    if (head.length > 4 && head[4] !== c.ELFCLASS32) {
      fail("malformed", `expected a 32-bit ELF file (class 1), found class ${head[4]}`, 4);
    }
    if (head.length < c.EHDR_SIZE) {
      fail("truncated", `expected an ELF header of ${c.EHDR_SIZE} bytes, found a file of ${head.length}`, head.length);
    }
    if (head[5] !== c.ELFDATA2LSB) {
      fail(
        "wrong-byte-order",
        `expected a little-endian ELF file, found ${head[5] === 2 ? "a big-endian one" : `encoding ${head[5]}`}`,
        5,
      );
    }
    const r = new ByteReader(head, 16, c.EHDR_SIZE, "ELF header");
    const type = r.u16();
    const machine = r.u16();
    if (machine !== c.EM_386) {
      fail("wrong-machine", `expected a program for the Intel 386, found one for ${c.machineName(machine)}`, 18);
    }
    r.skip(4);
    const entry = r.u32();
    const phoff = r.u32();
    const shoff = r.u32();
    const flags = r.u32();
    r.skip(2);
    const [phentsize, phnum, shentsize, shnum, shstrndx] = [r.u16(), r.u16(), r.u16(), r.u16(), r.u16()];
    return {
      type,
      entry,
      flags,
      segments: { offset: phoff, count: phnum, entrySize: phentsize },
      sections: { offset: shentsize === c.SHDR_SIZE ? shoff : 0, count: shnum, namesIndex: shstrndx },
    };
  }

  private readSegments(offset: number, headerCount: number, entrySize: number): ElfSegment[] {
    let count = headerCount;
    if (count === c.PN_XNUM) count = this.sectionZero()?.info ?? 0;
    if (count === 0 || offset === 0) return [];
    if (entrySize !== c.PHDR_SIZE) {
      fail("malformed", `expected program headers of ${c.PHDR_SIZE} bytes, found ${entrySize}`, 42);
    }
    if (count > MAX_HEADERS) fail("malformed", `${count} program headers are more than any file has`, 44);
    const bytes = this.bytesAt(offset, count * c.PHDR_SIZE, "program headers");
    const r = new ByteReader(bytes, 0, bytes.length, "program headers", offset);
    return Array.from({ length: count }, () => {
      const type = r.u32();
      const [fileOffset, virtualAddress, physicalAddress] = [r.u32(), r.u32(), r.u32()];
      const [fileSize, memorySize, flags] = [r.u32(), r.u32(), r.u32()];
      r.skip(4);
      return {
        type,
        offset: fileOffset,
        virtualAddress,
        physicalAddress,
        fileSize,
        memorySize,
        flags,
        isLoad: type === c.PT_LOAD,
        isReadable: (flags & c.PF_R) !== 0,
        isWritable: (flags & c.PF_W) !== 0,
        isExecutable: (flags & c.PF_X) !== 0,
      };
    });
  }

  private checkSegment(s: ElfSegment): void {
    const at = `segment at ${hex(s.virtualAddress)}`;
    if (s.fileSize > s.memorySize) {
      fail("malformed", `${at} has ${s.fileSize} bytes in the file but only ${s.memorySize} in memory`, s.offset);
    }
    if (s.virtualAddress + s.memorySize > 0x1_0000_0000 || s.physicalAddress + s.memorySize > 0x1_0000_0000) {
      fail("malformed", `${at} reaches beyond 4 GiB`, s.offset);
    }
    this.checkRange(s.offset, s.fileSize, at);
  }

  private sectionZero(): { size: number; link: number; info: number } | undefined {
    const offset = this.sectionTable.offset;
    const bytes = this.source.read(offset, c.SHDR_SIZE);
    if (offset === 0 || bytes.length < c.SHDR_SIZE) return undefined;
    const r = new ByteReader(bytes, 20, c.SHDR_SIZE, "section headers", offset);
    return { size: r.u32(), link: r.u32(), info: r.u32() };
  }

  private readSections(): ElfSection[] {
    let { count, namesIndex } = this.sectionTable;
    const { offset } = this.sectionTable;
    if (offset === 0) return [];
    if (count === 0) count = this.sectionZero()?.size ?? 0;
    if (namesIndex === c.SHN_XINDEX) namesIndex = this.sectionZero()?.link ?? 0;
    if (count > MAX_HEADERS) fail("malformed", `${count} section headers are more than any file has`, 48);
    const bytes = this.bytesAt(offset, count * c.SHDR_SIZE, "section headers");
    const raw = Array.from({ length: count }, (_, index) => {
      const r = new ByteReader(bytes, index * c.SHDR_SIZE, bytes.length, "section headers", offset);
      const [nameOffset, type, flags, address] = [r.u32(), r.u32(), r.u32(), r.u32()];
      const [fileOffset, size, link, , , entrySize] = [r.u32(), r.u32(), r.u32(), r.u32(), r.u32(), r.u32()];
      return { index, nameOffset, type, flags, address, offset: fileOffset, size, link, entrySize };
    });
    const names = raw[namesIndex];
    const nameBytes =
      names && names.type !== c.SHT_NOBITS ? this.bytesAt(names.offset, names.size, ".shstrtab") : new Uint8Array(0);
    const nameReader = new ByteReader(nameBytes, 0, nameBytes.length, ".shstrtab");
    return raw.map(({ nameOffset, ...section }) => ({
      ...section,
      name: names ? stringAt(nameReader, nameOffset) : "",
      isAllocated: (section.flags & c.SHF_ALLOC) !== 0,
      isExecutable: (section.flags & c.SHF_EXECINSTR) !== 0,
      hasBytes: section.type !== c.SHT_NOBITS && section.type !== 0,
      isCompressed: (section.flags & c.SHF_COMPRESSED) !== 0,
    }));
  }

  private tolerantSections(): readonly ElfSection[] {
    if (this.sectionTrouble) return [];
    try {
      return this.sections;
    } catch (error) {
      this.sectionTrouble = asElfError(error);
      return [];
    }
  }

  private readSymbols(): SymbolTable {
    const sections = this.tolerantSections();
    const section =
      sections.find((s) => s.type === c.SHT_SYMTAB && s.hasBytes) ?? sections.find((s) => s.type === c.SHT_DYNSYM);
    const strings = section && sections[section.link];
    if (!section || !strings) return emptySymbolTable();
    const whole = (s: ElfSection) => {
      const bytes = this.sectionBytes(s);
      return bytes.read(0, bytes.size);
    };
    try {
      return new SymbolTable(whole(section), whole(strings), (index) => {
        const s = sections[index];
        return s && { isCode: s.isExecutable, end: s.address + s.size };
      });
    } catch (error) {
      this.sectionTrouble = asElfError(error);
      return emptySymbolTable();
    }
  }

  private checkRange(offset: number, length: number, what: string): void {
    if (offset + length <= this.source.size) return;
    const found = `the file ends at ${hex(this.source.size)}`;
    throw new ElfError("truncated", `${what}: expected ${length} bytes at ${hex(offset)}, but ${found}`, what, offset);
  }

  private bytesAt(offset: number, length: number, what: string): Uint8Array {
    this.checkRange(offset, length, what);
    const bytes = this.source.read(offset, length);
    if (bytes.length < length) {
      throw new ElfError("truncated", `${what}: ${length} bytes wanted, ${bytes.length} could be read`, what, offset);
    }
    return bytes;
  }
}

function refuseType(type: number): never {
  const remedy = type === c.ET_DYN ? ": link with -no-pie" : type === c.ET_REL ? ": link it first" : "";
  return fail("wrong-type", `expected an executable (ET_EXEC), found ${c.typeName(type)}${remedy}`, 16);
}

/** SHF_COMPRESSED: a header (type, size, alignment), then a zlib stream. */
function inflateSection(stored: ByteSource, name: string): ByteSource {
  const bytes = stored.read(0, stored.size);
  if (bytes.length < 12) throw new ElfError("truncated", `${name}: its compression header is cut short`, name);
  const r = new ByteReader(bytes, 0, bytes.length, name);
  const type = r.u32();
  if (type !== c.ELFCOMPRESS_ZLIB) {
    const found = type === 2 ? "zstd" : `method ${type}`;
    throw new ElfError("unsupported-compression", `${name}: expected zlib compression, found ${found}`, name);
  }
  return inflate(bytes.subarray(12), r.u32(), name);
}

/** .zdebug_*: "ZLIB", the size as eight big-endian bytes, then a zlib stream. */
function inflateOldStyle(stored: ByteSource, name: string): ByteSource {
  const bytes = stored.read(0, stored.size);
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(0, 4)) !== "ZLIB") {
    throw new ElfError("malformed", `${name}: expected "ZLIB" at its start`, name);
  }
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, false);
  return inflate(bytes.subarray(12), size, name);
}

function inflate(compressed: Uint8Array, size: number, name: string): ByteSource {
  if (size > MAX_UNCOMPRESSED) throw new ElfError("malformed", `${name}: claims ${size} bytes uncompressed`, name);
  try {
    // Deflate shrinks by 1:1032 at most, so a larger claim is a lie and is not paid for in memory.
    if (size > compressed.length * 1040 + 64) throw new Error("its claimed size is impossible");
    const bytes = unzlibSync(compressed, { out: new Uint8Array(size) });
    return new MemorySource(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ElfError("malformed", `${name}: its compressed bytes cannot be read (${reason})`, name);
  }
}

function asElfError(error: unknown): ElfError {
  if (error instanceof ElfError) return error;
  const at = error as { where?: string; offset?: number };
  return new ElfError("malformed", error instanceof Error ? error.message : String(error), at.where, at.offset);
}

function fail(code: ElfErrorCode, reason: string, offset = 0): never {
  throw new ElfError(code, reason, "ELF header", offset);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
