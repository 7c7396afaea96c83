// Numbers of the ELF format that we use, with their names in the standard.
//
// Tool Interface Standard (TIS) Executable
// and Linking Format, version 1.2; System V ABI, Intel386 supplement.

export const EHDR_SIZE = 52;
export const PHDR_SIZE = 32;
export const SHDR_SIZE = 40;
export const SYM_SIZE = 16;

export const ELFCLASS32 = 1;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;
export const EM_386 = 3;

export const ET_REL = 1;
export const ET_EXEC = 2;
export const ET_DYN = 3;

export const PT_LOAD = 1;
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

export const SHT_SYMTAB = 2;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;
export const SHF_COMPRESSED = 0x800;
export const ELFCOMPRESS_ZLIB = 1;

/** Section header index 0 carries counts that do not fit 16 bits. */
export const PN_XNUM = 0xffff;
export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
export const SHN_ABS = 0xfff1;
export const SHN_XINDEX = 0xffff;

export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STT_FILE = 4;
export const STT_TLS = 6;
export const STT_GNU_IFUNC = 10;

const TYPE_NAMES: Readonly<Record<number, string>> = {
  0: "none (ET_NONE)",
  1: "a relocatable object (ET_REL)",
  2: "an executable (ET_EXEC)",
  3: "a shared object or position-independent executable (ET_DYN)",
  4: "a core dump (ET_CORE)",
};

const MACHINE_NAMES: Readonly<Record<number, string>> = {
  0: "no machine",
  2: "SPARC",
  6: "Intel 486",
  7: "Intel 860",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC 64",
  22: "S/390",
  40: "ARM",
  50: "Itanium",
  62: "x86-64",
  183: "AArch64",
  243: "RISC-V",
  247: "BPF",
  258: "LoongArch",
};

/** The name of an e_type for a message. */
export function typeName(type: number): string {
  return TYPE_NAMES[type] ?? `type ${type}`;
}

/** The name of an e_machine for a message. */
export function machineName(machine: number): string {
  return MACHINE_NAMES[machine] ?? `machine number ${machine}`;
}
