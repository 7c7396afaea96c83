/**
 * AND OR XOR NOT TEST. SDM Vol. 1, 5.1.4.
 * CF and OF are cleared, AF is undefined (cleared here, as by the recorded silicon); NOT changes no flag.
 */
import type { Emitter, Value } from "../emitter/emitter";
import { setFlagsFromLogic } from "../emitter/flags";
import { acc, type Instruction, imm, reg, rm } from "../emitter/operands";
import { Flag } from "../state-layout";
import { classicForms } from "./arithmetic";
import { insn } from "./row";

const AF_UNDEFINED = { undefinedFlags: Flag.AF };

export const logic = [
  ...classicForms(
    "OR",
    1,
    bitwise((e, a, b) => e.or(a, b)),
    AF_UNDEFINED,
  ),
  ...classicForms(
    "AND",
    4,
    bitwise((e, a, b) => e.and(a, b)),
    AF_UNDEFINED,
  ),
  ...classicForms(
    "XOR",
    6,
    bitwise((e, a, b) => e.xor(a, b)),
    AF_UNDEFINED,
  ),
  insn("NOT", "F6 /2", [rm.b], not, { lockable: true }),
  insn("NOT", "F7 /2", [rm.v], not, { lockable: true }),
  insn("TEST", "84 /r", [rm.b, reg.b], test, AF_UNDEFINED),
  insn("TEST", "85 /r", [rm.v, reg.v], test, AF_UNDEFINED),
  insn("TEST", "A8 ib", [acc.b, imm.b], test, AF_UNDEFINED),
  insn("TEST", "A9 iv", [acc.v, imm.v], test, AF_UNDEFINED),
  insn("TEST", "F6 /0 ib", [rm.b, imm.b], test, AF_UNDEFINED),
  insn("TEST", "F7 /0 iv", [rm.v, imm.v], test, AF_UNDEFINED),
  // /1 is not in the manual's table and works like /0.
  insn("TEST", "F6 /1 ib", [rm.b, imm.b], test, AF_UNDEFINED),
  insn("TEST", "F7 /1 iv", [rm.v, imm.v], test, AF_UNDEFINED),
];

/** SDM Vol. 2 AND, OR, XOR. */
function bitwise(operation: (e: Emitter, a: Value, b: Value) => Value) {
  return (e: Emitter, i: Instruction): void => {
    const b = e.read(i.op2);
    const result = operation(e, e.readForUpdate(i.op1), b);
    e.update(i.op1, result);
    setFlagsFromLogic(e, result, i.op1.size);
  };
}

/** SDM Vol. 2 NOT. */
function not(e: Emitter, i: Instruction): void {
  e.update(i.op1, e.not(e.readForUpdate(i.op1)));
}

/** SDM Vol. 2 TEST. */
function test(e: Emitter, i: Instruction): void {
  setFlagsFromLogic(e, e.and(e.read(i.op1), e.read(i.op2)), i.op1.size);
}
