/**
 * What an instruction's function knows about its encoding, and the notation in which rows name their operands.
 *
 * Notation (SDM Vol. 2, 3.1.1.3, in words): `reg` is ModRM.reg (or the opcode's low three bits in `+r` rows), `rm` is ModRM.rm, register or memory,
 * `mem` is ModRM.rm that must be memory (#UD otherwise), `rmreg` one that must be a register; `imm`, `rel`, `far`, `moffs` follow the opcode.
 * The suffix is the width: b 1, w 2, d 4, v = operand size (2 or 4), z = operand size as an immediate, p = far pointer (2 + operand size) in memory, `any` = no width.
 */
import type { Size } from "./emitter";

export type OperandKind =
  | "register" // a general register
  | "memory" // a memory operand
  | "immediate" // a constant (sign extension already applied, then truncated to the operand's size)
  | "relative" // a near branch target, as absolute EIP wrapped to the operand size
  | "far" // an immediate far pointer: read() gives the offset, number() the selector
  | "segment" // a segment register
  | "control" // CR0-CR4
  | "debug" // DR0-DR7
  | "st" // x87 stack register; number() gives its distance from the top
  | "mmx" // MM0-MM7
  | "xmm"; // XMM0-XMM7

/** An operand as an emitter knows it. `kind` and `size` are known when the row's function runs. */
export interface Operand {
  readonly kind: OperandKind;
  /** Width in bytes; 4 where none applies. */
  readonly size: Size;
}

/** What is known of the instruction while its function runs: encoding facts only. */
export interface Instruction {
  readonly op1: Operand;
  readonly op2: Operand;
  readonly op3: Operand;
  /** 2 or 4: from CS.D and the 66 prefix. */
  readonly operandSize: 2 | 4;
  /** 2 or 4: from CS.D and the 67 prefix. */
  readonly addressSize: 2 | 4;
  /** REP/REPE (F3), REPNE (F2) or none. Only where the row says `prefixes: "rep"`; else "none". */
  readonly repeat: "none" | "rep" | "repne";
  /** LOCK given. The decoder has already refused it where it is not allowed. */
  readonly isLocked: boolean;
  /** A memory operand with the default or overridden segment for implicit addresses (string source, XLAT, MOV moffs): use as `segment` argument. */
  readonly dataSegment: Operand;
}

/** How a row names one operand. */
export interface OperandSpec {
  readonly where:
    | "reg"
    | "rm"
    | "mem"
    | "rmreg"
    | "rmignoringmod"
    | "imm"
    | "rel"
    | "far"
    | "moffs"
    | "sreg"
    | "creg"
    | "dreg"
    | "st"
    | "mm"
    | "mmrm"
    | "xmm"
    | "xmmrm"
    | "fixed"
    | "const";
  readonly width: "b" | "w" | "d" | "v" | "p" | "any";
  /** For imm: sign-extend the encoded bytes (imm8.sx) to the operand size. `encoded`: bytes in the instruction stream when not the width. */
  readonly encoded?: "b" | "w" | "v";
  readonly signExtend?: boolean;
  /** For mmrm and xmmrm: there is no memory form. */
  readonly isRegisterOnly?: boolean;
  /** For fixed: register number. For sreg: segment number where the opcode says it. For const: the value. */
  readonly value?: number;
}

const widths = (where: OperandSpec["where"]) =>
  ({
    b: { where, width: "b" },
    w: { where, width: "w" },
    d: { where, width: "d" },
    v: { where, width: "v" },
    p: { where, width: "p" },
    any: { where, width: "any" },
  }) as const satisfies Record<string, OperandSpec>;

/** ModRM.reg, or the opcode's low three bits in a `+r` row. */
export const reg = widths("reg");
/** ModRM.rm, register or memory. */
export const rm = widths("rm");
/** ModRM.rm, memory only. */
export const mem = widths("mem");
/** ModRM.rm, register only. */
export const rmreg = widths("rmreg");
/** ModRM.rm as a register whatever ModRM.mod says (MOV to and from control and debug registers). */
export const rmIgnoringMod: OperandSpec = { where: "rmignoringmod", width: "d" };
/** Immediate of the operand's width (v: 2 or 4 bytes). */
export const imm = widths("imm");
/** One encoded byte, sign-extended to the operand size. */
export const imm8 = {
  sx: { where: "imm", width: "v", encoded: "b", signExtend: true } as OperandSpec,
  b: { where: "imm", width: "b" } as OperandSpec,
};
/** Relative branch target: one byte, or operand-size bytes. */
export const rel = {
  b: { where: "rel", width: "v", encoded: "b", signExtend: true } as OperandSpec,
  v: { where: "rel", width: "v", encoded: "v" } as OperandSpec,
};
/** ptr16:16 or ptr16:32 in the instruction. */
export const far: OperandSpec = { where: "far", width: "v" };
/** Memory at an offset given directly (A0-A3), address-size bytes. */
export const moffs = widths("moffs");
/** Segment register by ModRM.reg. */
export const sreg: OperandSpec = { where: "sreg", width: "w" };
/** A segment register that the opcode names. */
export const segmentRegister = (value: number): OperandSpec => ({ where: "sreg", width: "w", value });
export const creg: OperandSpec = { where: "creg", width: "d" };
export const dreg: OperandSpec = { where: "dreg", width: "d" };
/** A fixed register: al, ax/eax (acc.v), cl, dx. */
export const acc = {
  b: { where: "fixed", width: "b", value: 0 } as OperandSpec,
  v: { where: "fixed", width: "v", value: 0 } as OperandSpec,
};
/** A general register that the opcode names, of operand size. */
export const fixedRegister = (value: number): OperandSpec => ({ where: "fixed", width: "v", value });
/** The same, 16 bits. */
export const fixedWord = (value: number): OperandSpec => ({ where: "fixed", width: "w", value });
export const cl: OperandSpec = { where: "fixed", width: "b", value: 1 };
export const dx: OperandSpec = { where: "fixed", width: "w", value: 2 };
/** A constant operand. */
export const constant = (value: number): OperandSpec => ({ where: "const", width: "v", value });
/** x87 stack register by ModRM.rm. */
export const st: OperandSpec = { where: "st", width: "any" };
/** MMX and XMM registers by ModRM.reg, and by ModRM.rm, register or memory (the instruction knows how many bytes). */
export const mm: OperandSpec = { where: "mm", width: "any" };
export const mmRm: OperandSpec = { where: "mmrm", width: "any" };
export const xmm: OperandSpec = { where: "xmm", width: "any" };
export const xmmRm: OperandSpec = { where: "xmmrm", width: "any" };
export const mmReg: OperandSpec = { where: "mmrm", width: "any", isRegisterOnly: true };
export const xmmReg: OperandSpec = { where: "xmmrm", width: "any", isRegisterOnly: true };
