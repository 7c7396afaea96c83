// ELF32 files for the i386: the loader's segments, the debugger's sections and symbols.
//
//   const elf = openElf(bytes);                  // throws ElfError: .code for programs, .message for people
//   for (const s of elf.loadSegments) load(s.physicalAddress, elf.segmentBytes(s), s.memorySize);
//   elf.entry; elf.symbol("kernel_main")?.address;
//   elf.symbolAt(0xc0100123);                    // { symbol, offset, isInside } or undefined
//   const text = elf.section(".text");           // undefined where there is none
//   const debug = openElf(source, { symbolsOnly: true });   // a separate debug file, an object, a PIE
//
// A `ByteSource` in place of the bytes reads a large file lazily.

import { type ByteSource, MemorySource } from "../base";
import { ElfFile, type ElfOptions } from "./elf-file";

export { ElfFile, type ElfOptions, type ElfSection, type ElfSegment } from "./elf-file";
export { ElfError, type ElfErrorCode } from "./errors";
export {
  type ElfSymbol,
  type SymbolAtAddress,
  type SymbolBinding,
  SymbolTable,
  type SymbolType,
} from "./symbols";

/** Opens an ELF file. Throws an ElfError that says what was expected and what was found. */
export function openElf(file: Uint8Array | ByteSource, options?: ElfOptions): ElfFile {
  return new ElfFile(file instanceof Uint8Array ? new MemorySource(file) : file, options);
}
