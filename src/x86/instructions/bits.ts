/**
 * Bit tests and bit scans: BT BTS BTR BTC BSF BSR. SDM Vol. 1, 5.1.6.
 *
 * With a register as bit number, a memory operand is a string of bits that reaches 2^31 bits both ways: the word that is accessed
 * lies away from the operand's address (SDM Vol. 1, 3.1.1.9 "Bit(BitBase, BitOffset)" in Vol. 2). With an immediate it is the operand itself.
 */
import type { Emitter, Value } from "../emitter/emitter";
import { setCarry, setFlagsFromLogic } from "../emitter/flags";
import { type Instruction, imm8, reg, rm } from "../emitter/operands";
import { Flag } from "../state-layout";
import { addressPlus } from "./addressing";
import { insn, type Row } from "./row";

type Change = (e: Emitter, word: Value, mask: Value) => Value;

const TEST_UNDEFINED = Flag.OF | Flag.SF | Flag.AF | Flag.PF;
const SCAN_UNDEFINED = { undefinedFlags: TEST_UNDEFINED | Flag.CF };

function bitTestRows(mnemonic: string, opcode: string, n: number, change: Change | undefined): Row[] {
  const options = { undefinedFlags: TEST_UNDEFINED, lockable: change !== undefined };
  return [
    insn(mnemonic, `0F ${opcode} /r`, [rm.v, reg.v], bitTest(change), options),
    insn(mnemonic, `0F BA /${n} ib`, [rm.v, imm8.b], bitTest(change), options),
  ];
}

export const bits = [
  ...bitTestRows("BT", "A3", 4, undefined),
  ...bitTestRows("BTS", "AB", 5, (e, word, mask) => e.or(word, mask)),
  ...bitTestRows("BTR", "B3", 6, (e, word, mask) => e.and(word, e.not(mask))),
  ...bitTestRows("BTC", "BB", 7, (e, word, mask) => e.xor(word, mask)),
  insn("BSF", "0F BC /r", [reg.v, rm.v], bsf, SCAN_UNDEFINED),
  insn("BSR", "0F BD /r", [reg.v, rm.v], bsr, SCAN_UNDEFINED),
];

/** SDM Vol. 2 BT, BTS, BTR, BTC. Only CF is defined; the others stay. */
function bitTest(change: Change | undefined) {
  return (e: Emitter, i: Instruction): void => {
    const size = i.operandSize;
    const position = e.read(i.op2);
    const inWord = e.and(position, e.const(size * 8 - 1));
    const mask = e.shl(e.const(1), inWord);
    if (i.op1.kind === "memory" && i.op2.kind === "register") {
      const words = e.sar(e.signExtend(position, size), e.const(size === 4 ? 5 : 4));
      const distance = e.mul(words, e.const(size));
      const address = addressPlus(e, i, e.effectiveAddress(i.op1), distance);
      if (change) e.probeWrite(i.op1, address, size);
      const word = e.load(i.op1, address, size);
      if (change) e.store(i.op1, address, change(e, word, mask), size);
      setCarry(e, e.and(e.shr(word, inWord), e.const(1)));
      return;
    }
    const word = change ? e.readForUpdate(i.op1) : e.read(i.op1);
    if (change) e.update(i.op1, change(e, word, mask));
    setCarry(e, e.and(e.shr(word, inWord), e.const(1)));
  };
}

/** SDM Vol. 2 BSF. With a zero source the destination stays, as all processors do. */
function bsf(e: Emitter, i: Instruction): void {
  const source = e.read(i.op2);
  e.when(source, () => e.write(i.op1, e.ctz(source)));
  setFlagsFromLogic(e, source, i.operandSize);
}

/** SDM Vol. 2 BSR. */
function bsr(e: Emitter, i: Instruction): void {
  const source = e.read(i.op2);
  e.when(source, () => e.write(i.op1, e.sub(e.const(31), e.clz(source))));
  setFlagsFromLogic(e, source, i.operandSize);
}
