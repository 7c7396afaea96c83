/**
 * MMX, SSE, SSE2 and SSE3. SDM Vol. 1, 5.4-5.7; Vol. 2 per instruction.
 *
 * Every row does the same three things: ask CR0 and CR4 (#NM, #UD), read a memory operand (16 bytes must be aligned unless the
 * mnemonic says otherwise), call the operation, which is in helpers/simd. So the tables below give opcode and operation only.
 */
import type { Cpu } from "../cpu";
import type { Emitter, Semantics, Value } from "../emitter/emitter";
import { setArithmeticFlags } from "../emitter/flags";
import {
  type Instruction,
  imm8,
  mem,
  mm,
  mmReg,
  mmRm,
  type Operand,
  type OperandSpec,
  reg,
  rm,
  xmm,
  xmmReg,
  xmmRm,
} from "../emitter/operands";
import { checkFpu, FpuUse, type Helper } from "../helpers";
import { DOUBLE, type Format, SINGLE } from "../helpers/floating-point/soft-float";
import { checkPending } from "../helpers/floating-point/x87-state";
import * as Float from "../helpers/simd/float";
import { integerOperations } from "../helpers/simd/integer";
import type { Lanes, PackedOperation } from "../helpers/simd/lanes";
import {
  emptyMmx,
  extractHelper,
  integerHelper,
  loadMxcsr,
  maskedMove,
  packedHelper,
  pairHelper,
  readPacked,
  shiftHelper,
  storeMxcsr,
  writePacked,
} from "../helpers/simd/registers";
import * as L from "../state-layout";
import { Reg } from "../state-layout";
import { insn, type Row } from "./row";

type Use = (typeof FpuUse)[keyof typeof FpuUse];

/** Place of a register in the state. */
function place(e: Emitter, operand: Operand): Value {
  const base = operand.kind === "mmx" ? L.FPU_REGISTERS : L.XMM_REGISTERS;
  return e.add(e.shl(e.number(operand), e.const(4)), e.const(base));
}
/** May the unit be used at all? */
function admit(e: Emitter, use: Use): void {
  e.call(checkFpu, e.const(use));
  if (use === FpuUse.MMX) e.call(checkPending);
}
/** Place of a register, or of what a memory operand held. */
function sourcePlace(e: Emitter, operand: Operand, bytes: number, isAligned: boolean): Value {
  if (operand.kind !== "memory") return place(e, operand);
  const address = e.effectiveAddress(operand);
  e.call(readPacked, e.number(operand), address, e.const(bytes), e.const(isAligned ? 1 : 0));
  return e.const(L.PACKED_SCRATCH);
}

interface Access {
  /** Bytes of a memory operand. */
  readonly bytes: number;
  readonly isAligned?: boolean;
}
const M128: Access = { bytes: 16, isAligned: true };
const M128U: Access = { bytes: 16 };
const M64: Access = { bytes: 8 };
const M32: Access = { bytes: 4 };

/** op1 := op1 operation op2 (with op3 as immediate). */
function operate(use: Use, operation: Helper, access: Access): Semantics {
  return (e, i) => {
    admit(e, use);
    const from = sourcePlace(e, i.op2, access.bytes, access.isAligned === true);
    e.call(operation, place(e, i.op1), from, e.read(i.op3));
  };
}
/** The operand is a register and a count: PSLLW mm, imm8. */
function shiftBy(use: Use, operation: Helper): Semantics {
  return (e, i) => {
    admit(e, use);
    e.call(operation, place(e, i.op1), place(e, i.op1), e.read(i.op2));
  };
}
/** Register to memory or to another register by `copy`. */
function storeTo(use: Use, copy: Helper, access: Access): Semantics {
  return (e, i) => {
    admit(e, use);
    if (i.op1.kind === "memory") {
      const isAligned = e.const(access.isAligned ? 1 : 0);
      e.call(
        writePacked,
        e.number(i.op1),
        e.effectiveAddress(i.op1),
        e.const(access.bytes),
        isAligned,
        place(e, i.op2),
      );
    } else e.call(copy, place(e, i.op1), place(e, i.op2), e.const(0));
  };
}
/** General register := something of op2. */
function extract(use: Use, operation: Helper, access: Access = M128): Semantics {
  return (e, i) => {
    admit(e, use);
    const from = sourcePlace(e, i.op2, access.bytes, access.isAligned === true);
    e.write(i.op1, e.call(operation, from, e.read(i.op3)));
  };
}
/** op1 := operation of a general register or memory word (and op3, shifted up by 16). */
function insert(use: Use, operation: Helper): Semantics {
  return (e, i) => {
    admit(e, use);
    const value = e.read(i.op2);
    const argument = i.op2.size === 2 ? e.or(e.zeroExtend(value, 2), e.shl(e.read(i.op3), e.const(16))) : value;
    e.call(operation, place(e, i.op1), place(e, i.op1), argument);
  };
}

// -- integers -----------------------------------------------------------------------------------------------------------------
const SSE2_ONLY = new Set(["PUNPCKLQDQ", "PUNPCKHQDQ"]);
/** MMX forms that read only half of their memory operand. */
const HALF = new Set(["PUNPCKLBW", "PUNPCKLWD", "PUNPCKLDQ"]);
const INTEGER_OPCODES: readonly (readonly [opcode: string, name: keyof typeof integerOperations])[] = [
  ["60", "PUNPCKLBW"],
  ["61", "PUNPCKLWD"],
  ["62", "PUNPCKLDQ"],
  ["63", "PACKSSWB"],
  ["64", "PCMPGTB"],
  ["65", "PCMPGTW"],
  ["66", "PCMPGTD"],
  ["67", "PACKUSWB"],
  ["68", "PUNPCKHBW"],
  ["69", "PUNPCKHWD"],
  ["6A", "PUNPCKHDQ"],
  ["6B", "PACKSSDW"],
  ["6C", "PUNPCKLQDQ"],
  ["6D", "PUNPCKHQDQ"],
  ["74", "PCMPEQB"],
  ["75", "PCMPEQW"],
  ["76", "PCMPEQD"],
  ["D1", "PSRLW"],
  ["D2", "PSRLD"],
  ["D3", "PSRLQ"],
  ["D4", "PADDQ"],
  ["D5", "PMULLW"],
  ["D8", "PSUBUSB"],
  ["D9", "PSUBUSW"],
  ["DA", "PMINUB"],
  ["DB", "PAND"],
  ["DC", "PADDUSB"],
  ["DD", "PADDUSW"],
  ["DE", "PMAXUB"],
  ["DF", "PANDN"],
  ["E0", "PAVGB"],
  ["E1", "PSRAW"],
  ["E2", "PSRAD"],
  ["E3", "PAVGW"],
  ["E4", "PMULHUW"],
  ["E5", "PMULHW"],
  ["E8", "PSUBSB"],
  ["E9", "PSUBSW"],
  ["EA", "PMINSW"],
  ["EB", "POR"],
  ["EC", "PADDSB"],
  ["ED", "PADDSW"],
  ["EE", "PMAXSW"],
  ["EF", "PXOR"],
  ["F1", "PSLLW"],
  ["F2", "PSLLD"],
  ["F3", "PSLLQ"],
  ["F4", "PMULUDQ"],
  ["F5", "PMADDWD"],
  ["F6", "PSADBW"],
  ["F8", "PSUBB"],
  ["F9", "PSUBW"],
  ["FA", "PSUBD"],
  ["FB", "PSUBQ"],
  ["FC", "PADDB"],
  ["FD", "PADDW"],
  ["FE", "PADDD"],
];
const SHIFT_GROUPS: readonly (readonly [form: string, name: keyof typeof integerOperations])[] = [
  ["71 /2", "PSRLW"],
  ["71 /4", "PSRAW"],
  ["71 /6", "PSLLW"],
  ["72 /2", "PSRLD"],
  ["72 /4", "PSRAD"],
  ["72 /6", "PSLLD"],
  ["73 /2", "PSRLQ"],
  ["73 /6", "PSLLQ"],
];

function integerRows([opcode, name]: (typeof INTEGER_OPCODES)[number]): Row[] {
  const operation = integerHelper(name, integerOperations[name]);
  const sse = insn(name, `66 0F ${opcode} /r`, [xmm, xmmRm], operate(FpuUse.SSE, operation, M128));
  if (SSE2_ONLY.has(name)) return [sse];
  const access = HALF.has(name) ? M32 : M64;
  return [insn(name, `NP 0F ${opcode} /r`, [mm, mmRm], operate(FpuUse.MMX, operation, access)), sse];
}
function shiftRows([form, name]: (typeof SHIFT_GROUPS)[number]): Row[] {
  const operation = shiftHelper(`${name} imm8`, integerOperations[name]);
  return [
    insn(name, `NP 0F ${form} ib`, [mmReg, imm8.b], shiftBy(FpuUse.MMX, operation)),
    insn(name, `66 0F ${form} ib`, [xmmReg, imm8.b], shiftBy(FpuUse.SSE, operation)),
  ];
}
const copyOf = (name: string, copy: PackedOperation) => integerHelper(name, copy);
const low64: PackedOperation = (d, s) => {
  d.u64[0] = s.u64[0];
};
const low64Clear: PackedOperation = (d, s) => {
  d.u64[0] = s.u64[0];
  d.u64[1] = 0n;
};
const whole: PackedOperation = (d, s) => d.u64.set(s.u64);
const low32: PackedOperation = (d, s) => {
  d.u32[0] = s.u32[0];
};
const low32Clear: PackedOperation = (d, s) => d.u32.set([s.u32[0], 0, 0, 0]);
const highFromLow: PackedOperation = (d, s) => {
  d.u64[1] = s.u64[0];
};
const lowFromHigh: PackedOperation = (d, s) => {
  d.u64[0] = s.u64[1];
};
const duplicateLow64: PackedOperation = (d, s) => d.u64.fill(s.u64[0]);
const duplicateEven: PackedOperation = (d, s) => d.u32.set([s.u32[0], s.u32[0], s.u32[2], s.u32[2]]);
const duplicateOdd: PackedOperation = (d, s) => d.u32.set([s.u32[1], s.u32[1], s.u32[3], s.u32[3]]);

const COPY = copyOf("copyPacked", whole);
const COPY64 = copyOf("copyLow64", low64);
const COPY64_CLEAR = copyOf("copyLow64Clear", low64Clear);
const COPY32 = copyOf("copyLow32", low32);
const COPY32_CLEAR = copyOf("copyLow32Clear", low32Clear);
const FROM_WORD = packedHelper("wordToPacked", (_cpu, d, _s, _bytes, value) => d.u32.set([value, 0, 0, 0]));
const TO_WORD = extractHelper("packedToWord", (_cpu, s) => s.u32[0]);
const EXTRACT_WORD = extractHelper("extractWord", (_cpu, s, bytes, at) => s.u16[at & (bytes / 2 - 1)]);
const INSERT_WORD = packedHelper("insertWord", (_cpu, d, _s, bytes, value) => {
  d.u16[(value >>> 16) & (bytes / 2 - 1)] = value;
});
const signs = (count: number, isNegative: (k: number) => boolean) => {
  let mask = 0;
  for (let k = 0; k < count; k++) if (isNegative(k)) mask |= 1 << k;
  return mask;
};
const BYTE_SIGNS = extractHelper("byteSigns", (_cpu, s, bytes) => signs(bytes, (k) => s.i8[k] < 0));
const SINGLE_SIGNS = extractHelper("singleSigns", (_cpu, s) => signs(4, (k) => s.i32[k] < 0));
const DOUBLE_SIGNS = extractHelper("doubleSigns", (_cpu, s) => signs(2, (k) => s.i32[2 * k + 1] < 0));

const SSE = FpuUse.SSE;
const MMX = FpuUse.MMX;
const { PSHUFW, PSHUFD, PSHUFHW, PSHUFLW, SHUFPS, SHUFPD, PAND, PANDN, POR, PXOR } = integerOperations;
const { PUNPCKLDQ, PUNPCKLQDQ, PUNPCKHDQ, PUNPCKHQDQ, PSLLDQ, PSRLDQ } = integerOperations;

/** Bitwise and interleaving operations under their floating-point names: single and double, 128 bits. */
function bothPrecisions(stem: string, opcode: string, single: PackedOperation, double: PackedOperation): Row[] {
  return [
    insn(`${stem}PS`, `NP 0F ${opcode} /r`, [xmm, xmmRm], operate(SSE, integerHelper(`${stem}PS`, single), M128)),
    insn(`${stem}PD`, `66 0F ${opcode} /r`, [xmm, xmmRm], operate(SSE, integerHelper(`${stem}PD`, double), M128)),
  ];
}

/** Memory to register and back. */
function moveRows(
  name: string,
  prefix: string,
  load: string,
  store: string,
  into: Helper,
  between: Helper,
  access: Access,
): Row[] {
  return [
    insn(name, `${prefix} 0F ${load} /r`, [xmm, mem.any], operate(SSE, into, access)),
    insn(name, `${prefix} 0F ${load} /r`, [xmm, xmmReg], operate(SSE, between, access)),
    insn(name, `${prefix} 0F ${store} /r`, [xmmRm, xmm], storeTo(SSE, between, access)),
  ];
}
const moves = [
  ...moveRows("MOVUPS", "NP", "10", "11", COPY, COPY, M128U),
  ...moveRows("MOVUPD", "66", "10", "11", COPY, COPY, M128U),
  ...moveRows("MOVSS", "F3", "10", "11", COPY32_CLEAR, COPY32, M32),
  ...moveRows("MOVSD", "F2", "10", "11", COPY64_CLEAR, COPY64, M64),
  ...moveRows("MOVAPS", "NP", "28", "29", COPY, COPY, M128),
  ...moveRows("MOVAPD", "66", "28", "29", COPY, COPY, M128),
  ...moveRows("MOVDQA", "66", "6F", "7F", COPY, COPY, M128),
  ...moveRows("MOVDQU", "F3", "6F", "7F", COPY, COPY, M128U),
  insn("MOVQ", "NP 0F 6F /r", [mm, mmRm], operate(MMX, COPY64, M64)),
  insn("MOVQ", "NP 0F 7F /r", [mmRm, mm], storeTo(MMX, COPY64, M64)),
  insn("MOVQ", "F3 0F 7E /r", [xmm, xmmRm], operate(SSE, COPY64_CLEAR, M64)),
  insn("MOVQ", "66 0F D6 /r", [xmmRm, xmm], storeTo(SSE, COPY64_CLEAR, M64)),
  insn("MOVD", "NP 0F 6E /r", [mm, rm.d], insert(MMX, FROM_WORD)),
  insn("MOVD", "66 0F 6E /r", [xmm, rm.d], insert(SSE, FROM_WORD)),
  insn("MOVD", "NP 0F 7E /r", [rm.d, mm], movdStore(MMX)),
  insn("MOVD", "66 0F 7E /r", [rm.d, xmm], movdStore(SSE)),
  insn("MOVLPS", "NP 0F 12 /r", [xmm, mem.any], operate(SSE, COPY64, M64)),
  insn("MOVHLPS", "NP 0F 12 /r", [xmm, xmmReg], operate(SSE, copyOf("MOVHLPS", lowFromHigh), M64)),
  insn("MOVLPD", "66 0F 12 /r", [xmm, mem.any], operate(SSE, COPY64, M64)),
  insn("MOVLPS", "NP 0F 13 /r", [mem.any, xmm], storeTo(SSE, COPY64, M64)),
  insn("MOVLPD", "66 0F 13 /r", [mem.any, xmm], storeTo(SSE, COPY64, M64)),
  insn("MOVHPS", "NP 0F 16 /r", [xmm, mem.any], operate(SSE, copyOf("MOVHPS", highFromLow), M64)),
  insn("MOVLHPS", "NP 0F 16 /r", [xmm, xmmReg], operate(SSE, copyOf("MOVLHPS", highFromLow), M64)),
  insn("MOVHPD", "66 0F 16 /r", [xmm, mem.any], operate(SSE, copyOf("MOVHPD", highFromLow), M64)),
  insn("MOVHPS", "NP 0F 17 /r", [mem.any, xmm], movhStore),
  insn("MOVHPD", "66 0F 17 /r", [mem.any, xmm], movhStore),
  insn("MOVSLDUP", "F3 0F 12 /r", [xmm, xmmRm], operate(SSE, copyOf("MOVSLDUP", duplicateEven), M128)),
  insn("MOVDDUP", "F2 0F 12 /r", [xmm, xmmRm], operate(SSE, copyOf("MOVDDUP", duplicateLow64), M64)),
  insn("MOVSHDUP", "F3 0F 16 /r", [xmm, xmmRm], operate(SSE, copyOf("MOVSHDUP", duplicateOdd), M128)),
  insn("MOVNTPS", "NP 0F 2B /r", [mem.any, xmm], storeTo(SSE, COPY, M128)),
  insn("MOVNTPD", "66 0F 2B /r", [mem.any, xmm], storeTo(SSE, COPY, M128)),
  insn("MOVNTQ", "NP 0F E7 /r", [mem.any, mm], storeTo(MMX, COPY64, M64)),
  insn("MOVNTDQ", "66 0F E7 /r", [mem.any, xmm], storeTo(SSE, COPY, M128)),
  insn("LDDQU", "F2 0F F0 /r", [xmm, mem.any], operate(SSE, COPY, M128U)),
  insn("MOVQ2DQ", "F3 0F D6 /r", [xmm, mmReg], operate(SSE, COPY64_CLEAR, M64)),
  insn("MOVDQ2Q", "F2 0F D6 /r", [mm, xmmReg], operate(SSE, COPY64, M64)),
  insn("MASKMOVQ", "NP 0F F7 /r", [mm, mmReg], maskMove(MMX)),
  insn("MASKMOVDQU", "66 0F F7 /r", [xmm, xmmReg], maskMove(SSE)),
  insn("PMOVMSKB", "NP 0F D7 /r", [reg.d, mmReg], extract(MMX, BYTE_SIGNS)),
  insn("PMOVMSKB", "66 0F D7 /r", [reg.d, xmmReg], extract(SSE, BYTE_SIGNS)),
  insn("MOVMSKPS", "NP 0F 50 /r", [reg.d, xmmReg], extract(SSE, SINGLE_SIGNS)),
  insn("MOVMSKPD", "66 0F 50 /r", [reg.d, xmmReg], extract(SSE, DOUBLE_SIGNS)),
  insn("PEXTRW", "NP 0F C5 /r ib", [reg.d, mmReg, imm8.b], extract(MMX, EXTRACT_WORD)),
  insn("PEXTRW", "66 0F C5 /r ib", [reg.d, xmmReg, imm8.b], extract(SSE, EXTRACT_WORD)),
  insn("PINSRW", "NP 0F C4 /r ib", [mm, rm.w, imm8.b], insert(MMX, INSERT_WORD)),
  insn("PINSRW", "66 0F C4 /r ib", [xmm, rm.w, imm8.b], insert(SSE, INSERT_WORD)),
  insn("EMMS", "NP 0F 77", [], emms),
  insn("LDMXCSR", "NP 0F AE /2", [mem.d], ldmxcsr),
  insn("STMXCSR", "NP 0F AE /3", [mem.d], stmxcsr),
];

const shuffles = [
  insn("PSHUFW", "NP 0F 70 /r ib", [mm, mmRm, imm8.b], operate(MMX, integerHelper("PSHUFW", PSHUFW), M64)),
  insn("PSHUFD", "66 0F 70 /r ib", [xmm, xmmRm, imm8.b], operate(SSE, integerHelper("PSHUFD", PSHUFD), M128)),
  insn("PSHUFHW", "F3 0F 70 /r ib", [xmm, xmmRm, imm8.b], operate(SSE, integerHelper("PSHUFHW", PSHUFHW), M128)),
  insn("PSHUFLW", "F2 0F 70 /r ib", [xmm, xmmRm, imm8.b], operate(SSE, integerHelper("PSHUFLW", PSHUFLW), M128)),
  insn("SHUFPS", "NP 0F C6 /r ib", [xmm, xmmRm, imm8.b], operate(SSE, integerHelper("SHUFPS", SHUFPS), M128)),
  insn("SHUFPD", "66 0F C6 /r ib", [xmm, xmmRm, imm8.b], operate(SSE, integerHelper("SHUFPD", SHUFPD), M128)),
  insn("PSRLDQ", "66 0F 73 /3 ib", [xmmReg, imm8.b], shiftBy(SSE, shiftHelper("PSRLDQ", PSRLDQ))),
  insn("PSLLDQ", "66 0F 73 /7 ib", [xmmReg, imm8.b], shiftBy(SSE, shiftHelper("PSLLDQ", PSLLDQ))),
  ...bothPrecisions("UNPCKL", "14", PUNPCKLDQ, PUNPCKLQDQ),
  ...bothPrecisions("UNPCKH", "15", PUNPCKHDQ, PUNPCKHQDQ),
  ...bothPrecisions("AND", "54", PAND, PAND),
  ...bothPrecisions("ANDN", "55", PANDN, PANDN),
  ...bothPrecisions("OR", "56", POR, POR),
  ...bothPrecisions("XOR", "57", PXOR, PXOR),
];

// -- floating point ---------------------------------------------------------------------------------------------------------------
/** The four forms: packed and scalar, single and double. */
const FORMS: readonly (readonly [suffix: string, prefix: string, format: Format, count: number, access: Access])[] = [
  ["PS", "NP", SINGLE, 4, M128],
  ["PD", "66", DOUBLE, 2, M128],
  ["SS", "F3", SINGLE, 1, M32],
  ["SD", "F2", DOUBLE, 1, M64],
];

function arithmeticRows(stem: keyof typeof Float.binaryOperations, opcode: string): Row[] {
  return FORMS.map(([suffix, prefix, format, count, access]) => {
    const operation = packedHelper(stem + suffix, (cpu, d, s) =>
      Float.binary(cpu, d, s, count, format, Float.binaryOperations[stem]),
    );
    return insn(stem + suffix, `${prefix} 0F ${opcode} /r`, [xmm, xmmRm], operate(SSE, operation, access));
  });
}
function compareRows(): Row[] {
  return FORMS.map(([suffix, prefix, format, count, access]) => {
    const operation = packedHelper(`CMP${suffix}`, (cpu, d, s, _bytes, predicate) =>
      Float.compareLanes(cpu, d, s, count, format, predicate),
    );
    return insn(`CMP${suffix}`, `${prefix} 0F C2 /r ib`, [xmm, xmmRm, imm8.b], operate(SSE, operation, access));
  });
}
function approximationRows(stem: string, opcode: string, isRoot: boolean): Row[] {
  return FORMS.filter(([, , format]) => format === SINGLE).map(([suffix, prefix, , count, access]) => {
    const operation = packedHelper(stem + suffix, (_cpu, d, s) => Float.approximate(d, s, count, isRoot));
    return insn(stem + suffix, `${prefix} 0F ${opcode} /r`, [xmm, xmmRm], operate(SSE, operation, access));
  });
}

/** Flags of COMISS and kin. */
function comparison(format: Format, isSignaling: boolean, access: Access): Semantics {
  const name = `${isSignaling ? "comis" : "ucomis"}${format === SINGLE ? "s" : "d"}`;
  const flags = pairHelper(name, (cpu, d, s) => Float.compareToFlags(cpu, d, s, format, isSignaling));
  return (e, i) => {
    admit(e, SSE);
    const from = sourcePlace(e, i.op2, access.bytes, false);
    setArithmeticFlags(e, e.call(flags, from, place(e, i.op1)));
  };
}
type Convert = (cpu: Cpu, d: Lanes, s: Lanes, bytes: number, value: number) => void;
const converted = (name: string, convert: Convert) => packedHelper(name, convert);

const floats: Convert = (cpu, d, s) => Float.convertFloat(cpu, d, s, 2, SINGLE, DOUBLE);
const clearHigh = (d: Lanes) => {
  d.u64[1] = 0n;
};
const setIntegers = (d: Lanes, values: number[], clears: boolean) => {
  if (clears) clearHigh(d);
  d.i32.set(values);
};
const toSingles =
  (count: number): Convert =>
  (cpu, d, s) =>
    Float.convertFromIntegers(cpu, d, [...s.i32.subarray(0, count)], SINGLE);
const toDoubles: Convert = (cpu, d, s) => Float.convertFromIntegers(cpu, d, [...s.i32.subarray(0, 2)], DOUBLE);
const toIntegers =
  (format: Format, count: number, truncates: boolean, clears = false): Convert =>
  (cpu, d, s) =>
    setIntegers(d, Float.convertToIntegers(cpu, s, count, format, truncates), clears);

function conversion(
  name: string,
  encoding: string,
  operands: readonly OperandSpec[],
  use: Use,
  access: Access,
  convert: Convert,
): Row {
  return insn(name, encoding, operands, operate(use, converted(name, convert), access));
}
/** Conversions with MMX operands use both units. */
function mmxConversion(
  name: string,
  encoding: string,
  operands: readonly OperandSpec[],
  access: Access,
  convert: Convert,
): Row {
  const inner = operate(SSE, converted(name, convert), access);
  return insn(name, encoding, operands, (e, i) => {
    e.call(checkPending);
    inner(e, i);
  });
}
function toRegister(name: string, encoding: string, format: Format, access: Access, truncates: boolean): Row {
  const operation = extractHelper(name, (cpu, s) => Float.convertToIntegers(cpu, s, 1, format, truncates)[0]);
  return insn(name, encoding, [reg.d, xmmRm], extract(SSE, operation, access));
}
function fromRegister(name: string, encoding: string, format: Format): Row {
  const operation = packedHelper(name, (cpu, d, _s, _bytes, value) =>
    Float.convertFromIntegers(cpu, d, [value | 0], format),
  );
  return insn(name, encoding, [xmm, rm.d], insert(SSE, operation));
}

const conversions = [
  mmxConversion("CVTPI2PS", "NP 0F 2A /r", [xmm, mmRm], M64, toSingles(2)),
  mmxConversion("CVTPI2PD", "66 0F 2A /r", [xmm, mmRm], M64, toDoubles),
  fromRegister("CVTSI2SS", "F3 0F 2A /r", SINGLE),
  fromRegister("CVTSI2SD", "F2 0F 2A /r", DOUBLE),
  mmxConversion("CVTTPS2PI", "NP 0F 2C /r", [mm, xmmRm], M64, toIntegers(SINGLE, 2, true)),
  mmxConversion("CVTTPD2PI", "66 0F 2C /r", [mm, xmmRm], M128, toIntegers(DOUBLE, 2, true)),
  toRegister("CVTTSS2SI", "F3 0F 2C /r", SINGLE, M32, true),
  toRegister("CVTTSD2SI", "F2 0F 2C /r", DOUBLE, M64, true),
  mmxConversion("CVTPS2PI", "NP 0F 2D /r", [mm, xmmRm], M64, toIntegers(SINGLE, 2, false)),
  mmxConversion("CVTPD2PI", "66 0F 2D /r", [mm, xmmRm], M128, toIntegers(DOUBLE, 2, false)),
  toRegister("CVTSS2SI", "F3 0F 2D /r", SINGLE, M32, false),
  toRegister("CVTSD2SI", "F2 0F 2D /r", DOUBLE, M64, false),
  conversion("CVTPS2PD", "NP 0F 5A /r", [xmm, xmmRm], SSE, M64, floats),
  conversion("CVTPD2PS", "66 0F 5A /r", [xmm, xmmRm], SSE, M128, (cpu, d, s) => {
    Float.convertFloat(cpu, d, s, 2, DOUBLE, SINGLE);
    clearHigh(d);
  }),
  conversion("CVTSS2SD", "F3 0F 5A /r", [xmm, xmmRm], SSE, M32, (cpu, d, s) =>
    Float.convertFloat(cpu, d, s, 1, SINGLE, DOUBLE),
  ),
  conversion("CVTSD2SS", "F2 0F 5A /r", [xmm, xmmRm], SSE, M64, (cpu, d, s) =>
    Float.convertFloat(cpu, d, s, 1, DOUBLE, SINGLE),
  ),
  conversion("CVTDQ2PS", "NP 0F 5B /r", [xmm, xmmRm], SSE, M128, toSingles(4)),
  conversion("CVTPS2DQ", "66 0F 5B /r", [xmm, xmmRm], SSE, M128, toIntegers(SINGLE, 4, false)),
  conversion("CVTTPS2DQ", "F3 0F 5B /r", [xmm, xmmRm], SSE, M128, toIntegers(SINGLE, 4, true)),
  conversion("CVTTPD2DQ", "66 0F E6 /r", [xmm, xmmRm], SSE, M128, toIntegers(DOUBLE, 2, true, true)),
  conversion("CVTPD2DQ", "F2 0F E6 /r", [xmm, xmmRm], SSE, M128, toIntegers(DOUBLE, 2, false, true)),
  conversion("CVTDQ2PD", "F3 0F E6 /r", [xmm, xmmRm], SSE, M64, toDoubles),
];

type Pair = readonly [Lanes, number, Lanes, number, boolean];
const horizontal = (name: string, format: Format, pairs: (d: Lanes, s: Lanes) => Pair[]) =>
  operate(
    SSE,
    packedHelper(name, (cpu, d, s) => Float.horizontal(cpu, d, format, pairs(d, s))),
    M128,
  );
const alternating = (count: number) => (d: Lanes, s: Lanes) =>
  Array.from({ length: count }, (_, k): Pair => [d, k, s, k, k % 2 === 0]);
const neighbours = (count: number, isSubtraction: boolean) => (d: Lanes, s: Lanes) =>
  [d, s].flatMap((from) =>
    Array.from({ length: count / 2 }, (_, k): Pair => [from, 2 * k, from, 2 * k + 1, isSubtraction]),
  );

const sse3 = [
  insn("ADDSUBPD", "66 0F D0 /r", [xmm, xmmRm], horizontal("ADDSUBPD", DOUBLE, alternating(2))),
  insn("ADDSUBPS", "F2 0F D0 /r", [xmm, xmmRm], horizontal("ADDSUBPS", SINGLE, alternating(4))),
  insn("HADDPD", "66 0F 7C /r", [xmm, xmmRm], horizontal("HADDPD", DOUBLE, neighbours(2, false))),
  insn("HADDPS", "F2 0F 7C /r", [xmm, xmmRm], horizontal("HADDPS", SINGLE, neighbours(4, false))),
  insn("HSUBPD", "66 0F 7D /r", [xmm, xmmRm], horizontal("HSUBPD", DOUBLE, neighbours(2, true))),
  insn("HSUBPS", "F2 0F 7D /r", [xmm, xmmRm], horizontal("HSUBPS", SINGLE, neighbours(4, true))),
];

export const simd = [
  ...INTEGER_OPCODES.flatMap(integerRows),
  ...SHIFT_GROUPS.flatMap(shiftRows),
  ...moves,
  ...shuffles,
  ...arithmeticRows("SQRT", "51"),
  ...approximationRows("RSQRT", "52", true),
  ...approximationRows("RCP", "53", false),
  ...arithmeticRows("ADD", "58"),
  ...arithmeticRows("MUL", "59"),
  ...arithmeticRows("SUB", "5C"),
  ...arithmeticRows("MIN", "5D"),
  ...arithmeticRows("DIV", "5E"),
  ...arithmeticRows("MAX", "5F"),
  ...compareRows(),
  insn("UCOMISS", "NP 0F 2E /r", [xmm, xmmRm], comparison(SINGLE, false, M32)),
  insn("UCOMISD", "66 0F 2E /r", [xmm, xmmRm], comparison(DOUBLE, false, M64)),
  insn("COMISS", "NP 0F 2F /r", [xmm, xmmRm], comparison(SINGLE, true, M32)),
  insn("COMISD", "66 0F 2F /r", [xmm, xmmRm], comparison(DOUBLE, true, M64)),
  ...conversions,
  ...sse3,
];

/** SDM Vol. 2 MOVD, to a general register or memory. */
function movdStore(use: Use): Semantics {
  return (e, i) => {
    admit(e, use);
    if (i.op1.kind === "memory")
      e.call(writePacked, e.number(i.op1), e.effectiveAddress(i.op1), e.const(4), e.const(0), place(e, i.op2));
    else e.write(i.op1, e.call(TO_WORD, place(e, i.op2), e.const(0)));
  };
}
/** SDM Vol. 2 MOVHPS, to memory: the upper half. */
function movhStore(e: Emitter, i: Instruction): void {
  admit(e, SSE);
  const upper = e.add(place(e, i.op2), e.const(8));
  e.call(writePacked, e.number(i.op1), e.effectiveAddress(i.op1), e.const(8), e.const(0), upper);
}
/** SDM Vol. 2 MASKMOVQ, MASKMOVDQU: to DS:EDI. */
function maskMove(use: Use): Semantics {
  return (e, i) => {
    admit(e, use);
    const offset = e.readRegister(Reg.EDI, i.addressSize);
    e.call(maskedMove, e.number(i.dataSegment), offset, place(e, i.op1), place(e, i.op2));
  };
}
/** SDM Vol. 2 EMMS. */
function emms(e: Emitter): void {
  admit(e, MMX);
  e.call(emptyMmx);
}
/** SDM Vol. 2 LDMXCSR. */
function ldmxcsr(e: Emitter, i: Instruction): void {
  admit(e, SSE);
  e.call(loadMxcsr, e.read(i.op1));
}
/** SDM Vol. 2 STMXCSR. */
function stmxcsr(e: Emitter, i: Instruction): void {
  admit(e, SSE);
  e.write(i.op1, e.call(storeMxcsr));
}
