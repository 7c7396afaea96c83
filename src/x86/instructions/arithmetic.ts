/**
 * Addition and subtraction: ADD ADC SUB SBB CMP INC DEC NEG, and the locked kin XADD CMPXCHG CMPXCHG8B. SDM Vol. 1, 5.1.2 and 5.1.1.
 * Each sets all six arithmetic flags from its operands and result (emitter/flags.ts), CMPXCHG8B only ZF.
 */
import type { Emitter, Semantics } from "../emitter/emitter";
import {
  carryFlag,
  setFlagsFromAdd,
  setFlagsFromDec,
  setFlagsFromInc,
  setFlagsFromSub,
  setZeroFlag,
} from "../emitter/flags";
import { acc, type Instruction, imm, imm8, mem, reg, rm } from "../emitter/operands";
import { Reg } from "../state-layout";
import { addressPlus } from "./addressing";
import { hexByte } from "./conditions";
import { insn, type Row, type RowOptions } from "./row";

/** The ten forms that the eight classic operations share: opcodes `8*n` to `8*n+5` and group 80-83 /n. SDM Vol. 2, appendix A, table A-6. */
export function classicForms(mnemonic: string, n: number, meaning: Semantics, options: RowOptions = {}): Row[] {
  const opcode = (form: number) => hexByte(n * 8 + form);
  const toMemory = mnemonic === "CMP" ? options : { ...options, lockable: true };
  return [
    insn(mnemonic, `${opcode(0)} /r`, [rm.b, reg.b], meaning, toMemory),
    insn(mnemonic, `${opcode(1)} /r`, [rm.v, reg.v], meaning, toMemory),
    insn(mnemonic, `${opcode(2)} /r`, [reg.b, rm.b], meaning, options),
    insn(mnemonic, `${opcode(3)} /r`, [reg.v, rm.v], meaning, options),
    insn(mnemonic, `${opcode(4)} ib`, [acc.b, imm.b], meaning, options),
    insn(mnemonic, `${opcode(5)} iv`, [acc.v, imm.v], meaning, options),
    insn(mnemonic, `80 /${n} ib`, [rm.b, imm.b], meaning, toMemory),
    insn(mnemonic, `81 /${n} iv`, [rm.v, imm.v], meaning, toMemory),
    insn(mnemonic, `82 /${n} ib`, [rm.b, imm.b], meaning, toMemory),
    insn(mnemonic, `83 /${n} ib`, [rm.v, imm8.sx], meaning, toMemory),
  ];
}

export const arithmetic = [
  ...classicForms("ADD", 0, add),
  ...classicForms("ADC", 2, adc),
  ...classicForms("SBB", 3, sbb),
  ...classicForms("SUB", 5, sub),
  ...classicForms("CMP", 7, cmp),
  insn("INC", "40+r", [reg.v], inc),
  insn("INC", "FE /0", [rm.b], inc, { lockable: true }),
  insn("INC", "FF /0", [rm.v], inc, { lockable: true }),
  insn("DEC", "48+r", [reg.v], dec),
  insn("DEC", "FE /1", [rm.b], dec, { lockable: true }),
  insn("DEC", "FF /1", [rm.v], dec, { lockable: true }),
  insn("NEG", "F6 /3", [rm.b], neg, { lockable: true }),
  insn("NEG", "F7 /3", [rm.v], neg, { lockable: true }),
  insn("XADD", "0F C0 /r", [rm.b, reg.b], xadd, { lockable: true }),
  insn("XADD", "0F C1 /r", [rm.v, reg.v], xadd, { lockable: true }),
  insn("CMPXCHG", "0F B0 /r", [rm.b, reg.b], cmpxchg, { lockable: true }),
  insn("CMPXCHG", "0F B1 /r", [rm.v, reg.v], cmpxchg, { lockable: true }),
  insn("CMPXCHG8B", "0F C7 /1", [mem.any], cmpxchg8b, { lockable: true }),
];

/** SDM Vol. 2 ADD. */
function add(e: Emitter, i: Instruction): void {
  const b = e.read(i.op2);
  const a = e.readForUpdate(i.op1);
  const result = e.add(a, b);
  e.update(i.op1, result);
  setFlagsFromAdd(e, a, b, result, i.op1.size);
}

/** SDM Vol. 2 ADC. */
function adc(e: Emitter, i: Instruction): void {
  const b = e.read(i.op2);
  const a = e.readForUpdate(i.op1);
  const result = e.add(e.add(a, b), carryFlag(e));
  e.update(i.op1, result);
  setFlagsFromAdd(e, a, b, result, i.op1.size);
}

/** SDM Vol. 2 SUB. */
function sub(e: Emitter, i: Instruction): void {
  const b = e.read(i.op2);
  const a = e.readForUpdate(i.op1);
  const result = e.sub(a, b);
  e.update(i.op1, result);
  setFlagsFromSub(e, a, b, result, i.op1.size);
}

/** SDM Vol. 2 SBB. */
function sbb(e: Emitter, i: Instruction): void {
  const b = e.read(i.op2);
  const a = e.readForUpdate(i.op1);
  const result = e.sub(e.sub(a, b), carryFlag(e));
  e.update(i.op1, result);
  setFlagsFromSub(e, a, b, result, i.op1.size);
}

/** SDM Vol. 2 CMP. */
function cmp(e: Emitter, i: Instruction): void {
  const a = e.read(i.op1);
  const b = e.read(i.op2);
  setFlagsFromSub(e, a, b, e.sub(a, b), i.op1.size);
}

/** SDM Vol. 2 INC. CF stays. */
function inc(e: Emitter, i: Instruction): void {
  const a = e.readForUpdate(i.op1);
  const result = e.add(a, e.const(1));
  e.update(i.op1, result);
  setFlagsFromInc(e, a, result, i.op1.size);
}

/** SDM Vol. 2 DEC. CF stays. */
function dec(e: Emitter, i: Instruction): void {
  const a = e.readForUpdate(i.op1);
  const result = e.sub(a, e.const(1));
  e.update(i.op1, result);
  setFlagsFromDec(e, a, result, i.op1.size);
}

/** SDM Vol. 2 NEG. */
function neg(e: Emitter, i: Instruction): void {
  const a = e.readForUpdate(i.op1);
  const result = e.neg(a);
  e.update(i.op1, result);
  setFlagsFromSub(e, e.const(0), a, result, i.op1.size);
}

/** SDM Vol. 2 XADD. The source is written first: with one register for both, the sum stays. */
function xadd(e: Emitter, i: Instruction): void {
  const a = e.readForUpdate(i.op1);
  const b = e.read(i.op2);
  const result = e.add(a, b);
  e.write(i.op2, a);
  e.update(i.op1, result);
  setFlagsFromAdd(e, a, b, result, i.op1.size);
}

/** SDM Vol. 2 CMPXCHG. The destination is always written. The accumulator goes first: it may be the destination. */
function cmpxchg(e: Emitter, i: Instruction): void {
  const size = i.op1.size;
  const destination = e.readForUpdate(i.op1);
  const source = e.read(i.op2);
  const accumulator = e.readRegister(Reg.EAX, size);
  const isEqual = e.eq(accumulator, destination);
  e.writeRegister(Reg.EAX, size, e.select(isEqual, accumulator, destination));
  e.update(i.op1, e.select(isEqual, source, destination));
  setFlagsFromSub(e, accumulator, destination, e.sub(accumulator, destination), size);
}

/** SDM Vol. 2 CMPXCHG8B. Memory is always written; only ZF changes. */
function cmpxchg8b(e: Emitter, i: Instruction): void {
  const address = e.effectiveAddress(i.op1);
  const upperAddress = addressPlus(e, i, address, e.const(4));
  e.probeWrite(i.op1, address, 8);
  const low = e.load(i.op1, address, 4);
  const high = e.load(i.op1, upperAddress, 4);
  const eax = e.readRegister(Reg.EAX, 4);
  const edx = e.readRegister(Reg.EDX, 4);
  const isEqual = e.and(e.eq(low, eax), e.eq(high, edx));
  e.store(i.op1, address, e.select(isEqual, e.readRegister(Reg.EBX, 4), low), 4);
  e.store(i.op1, upperAddress, e.select(isEqual, e.readRegister(Reg.ECX, 4), high), 4);
  e.writeRegister(Reg.EAX, 4, e.select(isEqual, eax, low));
  e.writeRegister(Reg.EDX, 4, e.select(isEqual, edx, high));
  setZeroFlag(e, isEqual);
}
