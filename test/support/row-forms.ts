// Every form in which a row can be met (memory or register, sizes, repeat prefix), as the Instruction that its function gets.
import type { Size } from "../../src/x86/emitter/emitter";
import type { Instruction, Operand, OperandKind, OperandSpec } from "../../src/x86/emitter/operands";
import type { Row } from "../../src/x86/instructions";

const KINDS: Record<OperandSpec["where"], readonly OperandKind[]> = {
  reg: ["register"],
  rm: ["register", "memory"],
  mem: ["memory"],
  rmreg: ["register"],
  rmignoringmod: ["register"],
  imm: ["immediate"],
  rel: ["relative"],
  far: ["far"],
  moffs: ["memory"],
  sreg: ["segment"],
  creg: ["control"],
  dreg: ["debug"],
  st: ["st"],
  mm: ["mmx"],
  mmrm: ["mmx", "memory"],
  xmm: ["xmm"],
  xmmrm: ["xmm", "memory"],
  fixed: ["register"],
  const: ["immediate"],
};

function operandOf(spec: OperandSpec | undefined, operandSize: 2 | 4, isMemory: boolean): Operand {
  if (spec === undefined) return { kind: "immediate", size: 4 };
  const kinds = spec.isRegisterOnly ? [KINDS[spec.where][0]] : KINDS[spec.where];
  const size: Size = spec.width === "b" ? 1 : spec.width === "w" ? 2 : spec.width === "d" ? 4 : operandSize;
  return { kind: kinds[isMemory ? kinds.length - 1 : 0], size };
}

/** All forms of a row. */
export function formsOf(row: Row): Instruction[] {
  const forms: Instruction[] = [];
  const repeats = row.prefixes === "rep" ? (["none", "rep", "repne"] as const) : (["none"] as const);
  for (const operandSize of row.onlyOperandSize ? [row.onlyOperandSize] : ([2, 4] as const))
    for (const addressSize of [2, 4] as const)
      for (const isMemory of [false, true])
        for (const repeat of repeats) {
          const operand = (k: number) => operandOf(row.operands[k], operandSize, isMemory);
          forms.push({
            op1: operand(0),
            op2: operand(1),
            op3: operand(2),
            operandSize,
            addressSize,
            repeat,
            isLocked: false,
            dataSegment: { kind: "memory", size: 4 },
          });
        }
  return forms;
}
