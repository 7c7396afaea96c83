/**
 * x87: D8-DF and WAIT. SDM Vol. 1, chapter 8 and 5.2; Vol. 2, appendix A.5 (the escape opcodes).
 *
 * Rows give the encoding; helpers/floating-point does the work, memory operands included, because one instruction may raise
 * exceptions, change the stack and the status word, and round. All but the no-wait forms first report a pending exception (#MF).
 */
import type { Cpu } from "../cpu";
import type { Emitter, Semantics } from "../emitter/emitter";
import { condition, setArithmeticFlags } from "../emitter/flags";
import { fixedWord, mem, type OperandSpec, st } from "../emitter/operands";
import { checkFpu, FpuUse, type Helper, helper } from "../helpers";
import { fromInteger } from "../helpers/floating-point/soft-float";
import * as X from "../helpers/floating-point/x87-arithmetic";
import * as E from "../helpers/floating-point/x87-environment";
import * as M from "../helpers/floating-point/x87-memory";
import * as S from "../helpers/floating-point/x87-state";
import * as T from "../helpers/floating-point/x87-transcendental";
import { insn, type Row } from "./row";

type OnMemory = (cpu: Cpu, seg: number, offset: number, operandSize: number) => void;
type OnStack = (cpu: Cpu, i: number) => void;

/** May the unit be used, and is no exception pending? */
function admit(e: Emitter): void {
  e.call(checkFpu, e.const(FpuUse.X87));
  e.call(S.checkPending);
}
/** For the forms that do not wait. */
function admitWithoutWait(e: Emitter): void {
  e.call(checkFpu, e.const(FpuUse.X87));
}

function withMemory(operation: Helper, waits = true): Semantics {
  return (e, i) => {
    if (waits) admit(e);
    else admitWithoutWait(e);
    e.call(operation, e.number(i.op1), e.effectiveAddress(i.op1), e.const(i.operandSize));
  };
}
function onMemory(name: string, operation: OnMemory): Semantics {
  return withMemory(helper(name, "continue", (cpu, seg, offset, size) => operation(cpu, seg, offset >>> 0, size)));
}
/** The operand is ST(i); without an operand i is 0. */
function onStack(name: string, operation: OnStack): Semantics {
  const call = helper(name, "continue", (cpu, i) => operation(cpu, i));
  return (e, i) => {
    admit(e);
    e.call(call, i.op1.kind === "st" ? e.number(i.op1) : e.const(0));
  };
}
function memoryRow(name: string, encoding: string, operation: OnMemory): Row {
  return insn(name, encoding, [mem.any], onMemory(`${name} ${encoding}`, operation));
}
function stackRow(name: string, encoding: string, operation: OnStack): Row {
  return insn(name, encoding, [st], onStack(`${name} ${encoding}`, operation));
}
function plainRow(name: string, encoding: string, operation: (cpu: Cpu) => void): Row {
  return insn(name, encoding, [], onStack(`${name} ${encoding}`, operation));
}

// -- arithmetic -------------------------------------------------------------------------------------------------------------------
/** ModRM.reg of D8, DA, DC, DE; 2 and 3 are comparisons. */
const ARITHMETIC: readonly (readonly [stem: keyof typeof X.Arithmetic, n: number])[] = [
  ["ADD", 0],
  ["MUL", 1],
  ["SUB", 4],
  ["SUBR", 5],
  ["DIV", 6],
  ["DIVR", 7],
];
/** The register forms of DC and DE swap SUB with SUBR and DIV with DIVR. */
const SWAPPED: Record<keyof typeof X.Arithmetic, keyof typeof X.Arithmetic> = {
  ADD: "ADD",
  MUL: "MUL",
  SUB: "SUBR",
  SUBR: "SUB",
  DIV: "DIVR",
  DIVR: "DIV",
};
const stackForm = (opcode: string, n: number) => `${opcode} ${(0xc0 + n * 8).toString(16).toUpperCase()}+i`;

/** What a comparison or operation takes from memory, by opcode. */
const MEMORY_VALUES = {
  D8: (cpu: Cpu, seg: number, offset: number) => M.readReal(cpu, seg, offset, "single"),
  DC: (cpu: Cpu, seg: number, offset: number) => M.readReal(cpu, seg, offset, "double"),
  DA: (cpu: Cpu, seg: number, offset: number) => fromInteger(M.readSigned(cpu, seg, offset, 4)),
  DE: (cpu: Cpu, seg: number, offset: number) => fromInteger(M.readSigned(cpu, seg, offset, 2)),
};
type MemoryOpcode = keyof typeof MEMORY_VALUES;

function arithmeticRows(): Row[] {
  return ARITHMETIC.flatMap(([stem, n]) => {
    const swapped = SWAPPED[stem];
    const operation = X.Arithmetic[stem];
    const toOther = X.Arithmetic[swapped];
    return [
      ...(Object.keys(MEMORY_VALUES) as MemoryOpcode[]).map((opcode) =>
        memoryRow(`${opcode === "DA" || opcode === "DE" ? "FI" : "F"}${stem}`, `${opcode} /${n}`, (cpu, seg, offset) =>
          X.arithmetic(cpu, 0, MEMORY_VALUES[opcode](cpu, seg, offset), operation),
        ),
      ),
      stackRow(`F${stem}`, stackForm("D8", n), (cpu, i) => X.arithmetic(cpu, 0, X.valueOrEmpty(cpu, i), operation)),
      stackRow(`F${swapped}`, stackForm("DC", n), (cpu, i) => X.arithmetic(cpu, i, X.valueOrEmpty(cpu, 0), toOther)),
      stackRow(`F${swapped}P`, stackForm("DE", n), (cpu, i) =>
        X.arithmetic(cpu, i, X.valueOrEmpty(cpu, 0), toOther, true),
      ),
    ];
  });
}

function compareRows(): Row[] {
  const memory = (Object.keys(MEMORY_VALUES) as MemoryOpcode[]).flatMap((opcode) => {
    const stem = opcode === "DA" || opcode === "DE" ? "FICOM" : "FCOM";
    return [0, 1].map((pops) =>
      memoryRow(pops ? `${stem}P` : stem, `${opcode} /${2 + pops}`, (cpu, seg, offset) =>
        X.compareStack(cpu, MEMORY_VALUES[opcode](cpu, seg, offset), false, pops),
      ),
    );
  });
  const register = (name: string, encoding: string, isQuiet: boolean, pops: number) =>
    stackRow(name, encoding, (cpu, i) => X.compareStack(cpu, X.valueOrEmpty(cpu, i), isQuiet, pops));
  return [
    ...memory,
    register("FCOM", "D8 D0+i", false, 0),
    register("FCOMP", "D8 D8+i", false, 1),
    // Other encodings that processors take for the same.
    register("FCOM", "DC D0+i", false, 0),
    register("FCOMP", "DC D8+i", false, 1),
    register("FCOMP", "DE D0+i", false, 1),
    register("FUCOM", "DD E0+i", true, 0),
    register("FUCOMP", "DD E8+i", true, 1),
    plainRow("FUCOMPP", "DA E9", (cpu) => X.compareStack(cpu, X.valueOrEmpty(cpu, 1), true, 2)),
    plainRow("FCOMPP", "DE D9", (cpu) => X.compareStack(cpu, X.valueOrEmpty(cpu, 1), false, 2)),
    plainRow("FTST", "D9 E4", (cpu) => X.compareStack(cpu, fromInteger(0n), false, 0)),
    flagRow("FUCOMI", "DB E8+i", true, false),
    flagRow("FCOMI", "DB F0+i", false, false),
    flagRow("FUCOMIP", "DF E8+i", true, true),
    flagRow("FCOMIP", "DF F0+i", false, true),
  ];
}
/** FCOMI and kin answer in EFLAGS. An unmasked exception leaves EFLAGS as an unordered result would. */
function flagRow(name: string, encoding: string, isQuiet: boolean, pops: boolean): Row {
  const call = helper(name, "continue", (cpu, i) => X.compareToFlags(cpu, i, isQuiet, pops));
  return insn(name, encoding, [st], (e, i) => {
    admit(e);
    setArithmeticFlags(e, e.call(call, e.number(i.op1)));
  });
}

// -- moves --------------------------------------------------------------------------------------------------------------------------
function exchange(cpu: Cpu, i: number): void {
  const isFaulty = S.isEmpty(cpu, 0) || S.isEmpty(cpu, i);
  if (isFaulty && S.stackFault(cpu, false)) return;
  const value = (k: number) => (S.isEmpty(cpu, k) ? S.INDEFINITE_80 : S.readStack(cpu, k));
  const [a, b] = [value(0), value(i)];
  S.writeStack(cpu, 0, b);
  S.writeStack(cpu, i, a);
  if (!isFaulty) S.setConditions(cpu, 0, S.Status.C1);
}
function copyToStack(cpu: Cpu, i: number): void {
  if (S.isEmpty(cpu, i)) {
    if (!S.stackFault(cpu, false)) {
      S.setTop(cpu, S.top(cpu) - 1);
      S.writeStack(cpu, 0, S.INDEFINITE_80);
    }
    return;
  }
  S.push(cpu, S.readStack(cpu, i));
}
function copyFromStack(cpu: Cpu, i: number, pops: boolean): void {
  if (S.isEmpty(cpu, 0)) {
    if (S.stackFault(cpu, false)) return;
    S.writeStack(cpu, i, S.INDEFINITE_80);
  } else {
    S.setConditions(cpu, 0, S.Status.C1);
    S.writeStack(cpu, i, S.readStack(cpu, 0));
  }
  if (pops) S.pop(cpu);
}
/** FCMOVcc: the condition is a flag, so the row asks for it and the helper gets 0 or 1. */
function moveRows(): Row[] {
  const move = helper("fcmov", "continue", (cpu, i, holds) => {
    if (S.isEmpty(cpu, 0) || S.isEmpty(cpu, i)) {
      if (!S.stackFault(cpu, false)) S.writeStack(cpu, 0, S.INDEFINITE_80);
      return;
    }
    if (holds) S.writeStack(cpu, 0, S.readStack(cpu, i));
  });
  const conditions = [
    ["B", 2],
    ["E", 4],
    ["BE", 6],
    ["U", 10],
  ] as const;
  return conditions.flatMap(([name, code], n) =>
    ["DA", "DB"].map((opcode, negation) =>
      insn(`FCMOV${negation ? "N" : ""}${name}`, stackForm(opcode, n), [st], (e, i) => {
        admit(e);
        const holds = e.ne(condition(e, code + negation), e.const(0));
        e.call(move, e.number(i.op1), holds);
      }),
    ),
  );
}

/** Constants, rounded to nearest: FLD1 and FLDZ are exact, the others depend on the rounding control. SDM Vol. 2, FLDPI. */
const CONSTANTS: readonly (readonly [name: string, modrm: string, nearest: bigint, down: bigint, up: bigint])[] = [
  ["FLD1", "E8", 0x3fff8000000000000000n, 0n, 0n],
  ["FLDL2T", "E9", 0x4000d49a784bcd1b8afen, 0n, 1n],
  ["FLDL2E", "EA", 0x3fffb8aa3b295c17f0bcn, -1n, 0n],
  ["FLDPI", "EB", 0x4000c90fdaa22168c235n, -1n, 0n],
  ["FLDLG2", "EC", 0x3ffd9a209a84fbcff799n, -1n, 0n],
  ["FLDLN2", "ED", 0x3ffeb17217f7d1cf79acn, -1n, 0n],
  ["FLDZ", "EE", 0n, 0n, 0n],
];
function constantRows(): Row[] {
  return CONSTANTS.map(([name, modrm, nearest, down, up]) =>
    plainRow(name, `D9 ${modrm}`, (cpu) => S.push(cpu, nearest + [0n, down, up, down][(S.control(cpu) >>> 10) & 3])),
  );
}

const SIGN = 1n << 79n;
function changeSign(cpu: Cpu, change: (bits: bigint) => bigint): void {
  if (S.isEmpty(cpu, 0)) {
    if (!S.stackFault(cpu, false)) S.writeStack(cpu, 0, S.INDEFINITE_80);
    return;
  }
  S.setConditions(cpu, 0, S.Status.C1);
  S.writeStack(cpu, 0, change(S.readStack(cpu, 0)));
}
function turnStack(cpu: Cpu, by: number): void {
  S.setConditions(cpu, 0, S.Status.C1);
  S.setTop(cpu, S.top(cpu) + by);
}

const moves = [
  memoryRow("FLD", "D9 /0", (cpu, seg, offset) => M.loadReal(cpu, seg, offset, "single")),
  memoryRow("FLD", "DD /0", (cpu, seg, offset) => M.loadReal(cpu, seg, offset, "double")),
  memoryRow("FLD", "DB /5", (cpu, seg, offset) => M.loadExtended(cpu, seg, offset)),
  stackRow("FLD", "D9 C0+i", copyToStack),
  memoryRow("FST", "D9 /2", (cpu, seg, offset) => M.storeReal(cpu, seg, offset, "single", false)),
  memoryRow("FSTP", "D9 /3", (cpu, seg, offset) => M.storeReal(cpu, seg, offset, "single", true)),
  memoryRow("FST", "DD /2", (cpu, seg, offset) => M.storeReal(cpu, seg, offset, "double", false)),
  memoryRow("FSTP", "DD /3", (cpu, seg, offset) => M.storeReal(cpu, seg, offset, "double", true)),
  memoryRow("FSTP", "DB /7", (cpu, seg, offset) => M.storeExtended(cpu, seg, offset)),
  stackRow("FST", "DD D0+i", (cpu, i) => copyFromStack(cpu, i, false)),
  stackRow("FSTP", "DD D8+i", (cpu, i) => copyFromStack(cpu, i, true)),
  stackRow("FSTP", "D9 D8+i", (cpu, i) => copyFromStack(cpu, i, true)),
  stackRow("FSTP", "DF D0+i", (cpu, i) => copyFromStack(cpu, i, true)),
  stackRow("FSTP", "DF D8+i", (cpu, i) => copyFromStack(cpu, i, true)),
  memoryRow("FILD", "DF /0", (cpu, seg, offset) => M.loadInteger(cpu, seg, offset, 2)),
  memoryRow("FILD", "DB /0", (cpu, seg, offset) => M.loadInteger(cpu, seg, offset, 4)),
  memoryRow("FILD", "DF /5", (cpu, seg, offset) => M.loadInteger(cpu, seg, offset, 8)),
  ...integerStores(
    "FIST",
    [
      ["DF /2", 2],
      ["DB /2", 4],
    ],
    false,
    false,
  ),
  ...integerStores(
    "FISTP",
    [
      ["DF /3", 2],
      ["DB /3", 4],
      ["DF /7", 8],
    ],
    true,
    false,
  ),
  ...integerStores(
    "FISTTP",
    [
      ["DF /1", 2],
      ["DB /1", 4],
      ["DD /1", 8],
    ],
    true,
    true,
  ),
  memoryRow("FBLD", "DF /4", (cpu, seg, offset) => M.loadDecimal(cpu, seg, offset)),
  memoryRow("FBSTP", "DF /6", (cpu, seg, offset) => M.storeDecimal(cpu, seg, offset)),
  stackRow("FXCH", "D9 C8+i", exchange),
  stackRow("FXCH", "DD C8+i", exchange),
  stackRow("FXCH", "DF C8+i", exchange),
  stackRow("FFREE", "DD C0+i", (cpu, i) => S.setEmpty(cpu, i)),
  stackRow("FFREEP", "DF C0+i", freeAndPop),
  ...moveRows(),
  ...constantRows(),
];
function integerStores(
  name: string,
  forms: readonly (readonly [encoding: string, bytes: number])[],
  pops: boolean,
  truncates: boolean,
): Row[] {
  return forms.map(([encoding, bytes]) =>
    memoryRow(name, encoding, (cpu, seg, offset) => M.storeInteger(cpu, seg, offset, bytes, pops, truncates)),
  );
}
function freeAndPop(cpu: Cpu, i: number): void {
  S.setEmpty(cpu, i);
  S.pop(cpu);
}

const functions = [
  plainRow("FNOP", "D9 D0", () => {}),
  plainRow("FCHS", "D9 E0", (cpu) => changeSign(cpu, (bits) => bits ^ SIGN)),
  plainRow("FABS", "D9 E1", (cpu) => changeSign(cpu, (bits) => bits & ~SIGN)),
  plainRow("FXAM", "D9 E5", X.examine),
  plainRow("FXTRACT", "D9 F4", X.extract),
  plainRow("FPREM1", "D9 F5", (cpu) => X.remainder(cpu, true)),
  plainRow("FDECSTP", "D9 F6", (cpu) => turnStack(cpu, -1)),
  plainRow("FINCSTP", "D9 F7", (cpu) => turnStack(cpu, 1)),
  plainRow("FPREM", "D9 F8", (cpu) => X.remainder(cpu, false)),
  plainRow("FSQRT", "D9 FA", X.squareRootOf),
  plainRow("FRNDINT", "D9 FC", X.roundToInteger),
  plainRow("FSCALE", "D9 FD", X.scale),
  plainRow("F2XM1", "D9 F0", T.twoToXMinus1),
  plainRow("FYL2X", "D9 F1", T.yLog2X),
  plainRow("FPTAN", "D9 F2", T.tangentOfStack),
  plainRow("FPATAN", "D9 F3", T.arcTangentOfStack),
  plainRow("FYL2XP1", "D9 F9", T.yLog2XPlus1),
  plainRow("FSINCOS", "D9 FB", T.sineAndCosineOfStack),
  plainRow("FSIN", "D9 FE", T.sineOfStack),
  plainRow("FCOS", "D9 FF", T.cosineOfStack),
];

// -- control ------------------------------------------------------------------------------------------------------------------------
const AX: OperandSpec = fixedWord(0);
function storeWord(word: Helper): Semantics {
  return (e, i) => {
    admitWithoutWait(e);
    e.write(i.op1, e.call(word));
  };
}
function plainControl(operation: Helper): Semantics {
  return (e) => {
    admitWithoutWait(e);
    e.call(operation);
  };
}
const control = [
  insn("WAIT", "9B", [], (e) => {
    e.call(checkFpu, e.const(FpuUse.WAIT));
    e.call(S.checkPending);
  }),
  insn("FLDCW", "D9 /5", [mem.w], (e, i) => {
    admit(e);
    e.call(E.loadControlWord, e.read(i.op1));
  }),
  insn("FNSTCW", "D9 /7", [mem.w], storeWord(E.storeControlWord)),
  insn("FNSTSW", "DD /7", [mem.w], storeWord(E.storeStatusWord)),
  insn("FNSTSW", "DF E0", [AX], storeWord(E.storeStatusWord)),
  insn("FLDENV", "D9 /4", [mem.any], withMemory(E.loadEnvironment)),
  insn("FNSTENV", "D9 /6", [mem.any], withMemory(E.storeEnvironment, false)),
  insn("FRSTOR", "DD /4", [mem.any], withMemory(E.restoreFpu)),
  insn("FNSAVE", "DD /6", [mem.any], withMemory(E.saveFpu, false)),
  insn("FNCLEX", "DB E2", [], plainControl(E.clearExceptions)),
  insn("FNINIT", "DB E3", [], plainControl(E.initializeFpu)),
  // What the 8087 and 80287 had: nothing since then.
  ...["E0", "E1", "E4"].map((modrm) => insn("FNOP", `DB ${modrm}`, [], (e) => admitWithoutWait(e))),
  insn("FXSAVE", "NP 0F AE /0", [mem.any], withMemory(E.saveExtendedState, false)),
  insn("FXRSTOR", "NP 0F AE /1", [mem.any], withMemory(E.restoreExtendedState, false)),
];

export const fpu: Row[] = [...arithmeticRows(), ...compareRows(), ...moves, ...functions, ...control];
