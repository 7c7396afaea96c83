/**
 * Where every field of the processor lives in the one WebAssembly.Memory.
 *
 * All engines share this memory: TypeScript reads it through typed arrays, generated WebAssembly by constant
 * offsets. Everything the processor is lies below TLB_BASE; emulation caches (TLB, decoded records) follow; guest RAM is
 * last, at RAM_BASE, so that `wasm address = RAM_BASE + physical address`.
 *
 *     0x0000  unused (a null pointer never reaches state)
 *     0x0100  general registers, EIP, flags             0x0200  segment registers with their hidden parts
 *     0x0300  control, debug, system registers          0x0400  engine bookkeeping (not architectural)
 *     0x0600  x87, 8 x 16 bytes, and SSE                0x1000  TLBs          ARENA_BASE  decoded records     RAM_BASE  RAM
 *
 * Next: cpu-state.ts (typed access), mmu/tlb.ts (the TLB's entries), interpreter/record.ts (decoded records).
 */

/** General registers in encoding order (SDM Vol. 2, table 2-2). */
export const Reg = { EAX: 0, ECX: 1, EDX: 2, EBX: 3, ESP: 4, EBP: 5, ESI: 6, EDI: 7 } as const;
export const REGISTERS = 0x100;
/** A word that is always zero: what a decoded record points to where an address has no base or no index. */
export const ZERO_SLOT = 0x120;
/** EIP. Exact whenever no engine is inside a run; inside one, a record knows its own address. */
export const EIP = 0x124;
/**
 * The arithmetic flags, kept lazily as two words (flags.ts):
 * FLAGS_RESULT: the result, sign-extended to 32 bits. ZF = (it is 0). SF = bit 31 (xor SF_DELTA). PF = parity of the low byte (xor PF_DELTA).
 * FLAGS_CARRIES: bit 31 = CF; bit 31 xor bit 30 = OF; bit 3 = AF; bit 0 = SF_DELTA; bits 8-15 = PF_DELTA (only its parity counts).
 */
export const FLAGS_RESULT = 0x128;
export const FLAGS_CARRIES = 0x12c;
/** EFLAGS without CF PF AF ZF SF OF (those bits are 0 here): TF IF DF IOPL NT RF VM AC VIF VIP ID, and bit 1, which is always set. */
export const EFLAGS_SYSTEM = 0x130;
/** Current privilege level, 0-3. */
export const CPL = 0x134;

/** Segment registers in encoding order, then LDTR and TR. */
export const Seg = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5, LDTR: 6, TR: 7 } as const;
export const SEGMENTS = 0x200;
/** Bytes per segment register. */
export const SEGMENT_STRIDE = 32;
/** Field offsets inside a segment register. */
export const SegmentField = {
  SELECTOR: 0,
  BASE: 4,
  /** In bytes, granularity applied: the last valid offset (for expand-down: the last invalid one). */
  LIMIT: 8,
  /** The descriptor's high word masked with 0x00F0FF00: type, S, DPL, P, AVL, D/B, G at the descriptor's own bit positions. 0 when null. */
  ATTRIBUTES: 12,
  /** 1 if usable for memory access at all (0 after loading a null selector). */
  USABLE: 16,
  /** Derived: bit 0: offsets up to LIMIT may be read without further checks, bit 1: written. */
  FAST: 20,
} as const;

export const CR0 = 0x300;
export const CR2 = 0x304;
export const CR3 = 0x308;
export const CR4 = 0x30c;
export const GDTR_BASE = 0x310;
export const GDTR_LIMIT = 0x314;
export const IDTR_BASE = 0x318;
export const IDTR_LIMIT = 0x31c;
/** DR0-DR7, 4 bytes each (DR4 and DR5 unused). */
export const DEBUG_REGISTERS = 0x320;
export const MSR_SYSENTER_CS = 0x340;
export const MSR_SYSENTER_ESP = 0x344;
export const MSR_SYSENTER_EIP = 0x348;
/** IA32_TIME_STAMP_COUNTER offset, 64 bits: TSC = retired instructions + this. */
export const TSC_OFFSET = 0x350;

/** Mode bits (Mode.*) that decide which decoded records and handlers are valid. */
export const MODE = 0x400;
/** wasm address of the TLB set that accesses use now: of the present page directory, for the current privilege; or TLB_CHECKED. */
export const TLB_CURRENT = 0x404;
/** Non-zero (ExitRequest bits): leave the run at the next instruction boundary. */
export const EXIT_REQUEST = 0x408;
/** Somebody outside wants the run to end; the run loop itself wants to look. */
export const ExitRequest = { OUTSIDE: 1, INSIDE: 2 } as const;
/** 1 while a fault found by a memory access waits to be delivered; vector, error code follow. CR2 is already set for #PF. */
export const FAULT_PENDING = 0x40c;
export const FAULT_VECTOR = 0x410;
export const FAULT_ERROR = 0x414;
/** Record being executed, saved by the interpreter before anything that can fault or leave. */
export const CURRENT_RECORD = 0x418;
/** Instructions left in this run, saved with CURRENT_RECORD. */
export const BUDGET = 0x41c;
/** What BUDGET was when the run began. */
export const BUDGET_START = 0x420;
/**
 * Interrupts are held off for one instruction: Shadow.STI after STI, Shadow.STACK after MOV SS and POP SS, which also hold off the single-step trap after
 * themselves. SDM Vol. 3, 6.8.3.
 */
export const INTERRUPT_SHADOW = 0x424;
export const Shadow = { NONE: 0, STI: 1, STACK: 2 } as const;
/** 1: the processor executed HLT and waits for an interrupt. */
export const HALTED = 0x42c;

export const FPU_CONTROL = 0x600;
export const FPU_STATUS = 0x604;
/** Abridged tag word as in FXSAVE: bit i set = physical register i is not empty. */
export const FPU_TAGS = 0x608;
export const MXCSR = 0x60c;
/** Physical registers R0-R7, 16 bytes each, 80-bit value in the low 10. */
export const FPU_REGISTERS = 0x680;
export const XMM_REGISTERS = 0x700;
/** 16 bytes where a packed instruction's memory operand lies while the instruction runs. Not architectural. */
export const PACKED_SCRATCH = 0x780;

/** End of architectural and bookkeeping state. */
export const STATE_END = 0x1000;

/**
 * A TLB set answers for one privilege (supervisor, user). Entry = 16 bytes at `set + (linear >>> 12 & 1023) * 16`:
 * +0 readTag, +4 writeTag: the linear page (low 12 bits 0) if that access is allowed, to plain RAM, with nothing watching; else TLB_INVALID.
 * +8 addend: linear + addend = wasm address. +12 physical page, for TypeScript.
 */
export const TLB_ENTRIES = 1024;
export const TLB_ENTRY_SIZE = 16;
export const TLB_INVALID = 1;
/** Code part of a set: entry = 8 bytes at `set + CODE_TLB + (linear >>> 12 & 255) * 8`: +0 tag (linear page or TLB_INVALID), +4 wasm address of the code page's record table. */
export const CODE_TLB = TLB_ENTRIES * TLB_ENTRY_SIZE;
export const CODE_TLB_ENTRIES = 256;
export const TLB_SET_SIZE = CODE_TLB + CODE_TLB_ENTRIES * 8;
/** A set that never has data tags: in use while alignment is checked (#AC), so that each access takes the slow path. */
export const TLB_CHECKED = 0x1000;
/** Contexts: page directories whose translations are kept. Each has a supervisor set and, after it, a user set. */
export const TLB_CONTEXTS = 4;
export const TLB_BASE = TLB_CHECKED + TLB_SET_SIZE;

/** Decoded records: a fixed arena. */
export const ARENA_BASE = 0x30000;
export const ARENA_SIZE = 0x2000000 - ARENA_BASE;
/** RAM starts here, 32 MiB into the memory. */
export const RAM_BASE = 0x2000000;

/** Bits of MODE. */
export const Mode = {
  /** CS.D = 1: 32-bit operands and addresses by default. */
  CODE32: 1,
  /** SS.B = 1: pushes and pops use ESP, else SP. */
  STACK32: 2,
  /** CS, DS, ES and SS all have base 0, limit 4 GiB, are usable, DS, ES and SS writable expand-up, CS readable: offsets are linear addresses. */
  FLAT: 4,
  /** Protected mode (CR0.PE) without VM86. */
  PROTECTED: 8,
  /** EFLAGS.VM. */
  VM86: 16,
} as const;

/** CR0 bits. SDM Vol. 3, 2.5. */
export const Cr0 = {
  PE: 1,
  MP: 2,
  EM: 4,
  TS: 8,
  ET: 0x10,
  NE: 0x20,
  WP: 0x10000,
  AM: 0x40000,
  NW: 0x20000000,
  CD: 0x40000000,
  PG: 0x80000000,
} as const;
/** CR4 bits. SDM Vol. 3, 2.5. */
export const Cr4 = {
  VME: 1,
  PVI: 2,
  TSD: 4,
  DE: 8,
  PSE: 0x10,
  PAE: 0x20,
  MCE: 0x40,
  PGE: 0x80,
  PCE: 0x100,
  OSFXSR: 0x200,
  OSXMMEXCPT: 0x400,
} as const;
/** EFLAGS bits. SDM Vol. 1, 3.4.3. */
export const Flag = {
  CF: 1,
  PF: 4,
  AF: 0x10,
  ZF: 0x40,
  SF: 0x80,
  TF: 0x100,
  IF: 0x200,
  DF: 0x400,
  OF: 0x800,
  IOPL: 0x3000,
  NT: 0x4000,
  RF: 0x10000,
  VM: 0x20000,
  AC: 0x40000,
  VIF: 0x80000,
  VIP: 0x100000,
  ID: 0x200000,
} as const;
/** The flags kept lazily. */
export const ARITHMETIC_FLAGS = 0x8d5;
/** Exception vectors. SDM Vol. 3, table 6-1. */
export const Vector = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;
