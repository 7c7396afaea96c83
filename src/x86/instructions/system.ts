/**
 * What operating systems use: control and debug registers, descriptor tables, MSRs and counters, ports, HLT, CPUID, SYSENTER, fences.
 * SDM Vol. 3, 2.8; Vol. 2 per instruction. All of it is done by helpers; privilege is checked before memory is read.
 */
import type { Emitter } from "../emitter/emitter";
import { acc, creg, dreg, dx, type Instruction, imm8, mem, rm, rmIgnoringMod } from "../emitter/operands";
import {
  clearTaskSwitched,
  cpuid,
  halt,
  helper,
  invalidateCaches,
  invalidatePage,
  loadDescriptorTable,
  loadMachineStatusWord,
  readControl,
  readDebug,
  readMsr,
  readPerformanceCounter,
  readPort,
  readTimeStamp,
  requirePrivilege,
  storeDescriptorTable,
  storeMachineStatusWord,
  sysenter,
  sysexit,
  writeControl,
  writeDebug,
  writeMsr,
  writePort,
} from "../helpers";
import { Vector } from "../state-layout";
import { addressPlus } from "./addressing";
import { insn } from "./row";
import { writeShort } from "./segments";

const GDT = 0;
const IDT = 1;
/** Part numbers of storeDescriptorTable. */
const LIMIT = 0;
const BASE = 1;

export const system = [
  insn("SGDT", "0F 01 /0", [mem.any], storeTable(GDT)),
  insn("SIDT", "0F 01 /1", [mem.any], storeTable(IDT)),
  insn("LGDT", "0F 01 /2", [mem.any], loadTable(GDT)),
  insn("LIDT", "0F 01 /3", [mem.any], loadTable(IDT)),
  insn("SMSW", "0F 01 /4", [rm.v], (e, i) => writeShort(e, i.op1, e.call(storeMachineStatusWord))),
  insn("LMSW", "0F 01 /6", [rm.w], lmsw),
  insn("INVLPG", "0F 01 /7", [mem.any], invlpg),
  insn("CLTS", "0F 06", [], (e) => e.call(clearTaskSwitched)),
  insn("INVD", "0F 08", [], (e) => e.call(invalidateCaches)),
  insn("WBINVD", "0F 09", [], (e) => e.call(invalidateCaches)),
  insn("UD2", "0F 0B", [], (e) => e.fault(Vector.UD)),
  insn("MOV", "0F 20 /r", [rmIgnoringMod, creg], (e, i) => e.write(i.op1, e.call(readControl, e.number(i.op2)))),
  insn("MOV", "0F 21 /r", [rmIgnoringMod, dreg], (e, i) => e.write(i.op1, e.call(readDebug, e.number(i.op2)))),
  insn("MOV", "0F 22 /r", [creg, rmIgnoringMod], (e, i) => e.call(writeControl, e.number(i.op1), e.read(i.op2))),
  insn("MOV", "0F 23 /r", [dreg, rmIgnoringMod], (e, i) => e.call(writeDebug, e.number(i.op1), e.read(i.op2))),
  insn("WRMSR", "0F 30", [], (e) => e.call(writeMsr)),
  insn("RDTSC", "0F 31", [], (e) => e.call(readTimeStamp)),
  insn("RDMSR", "0F 32", [], (e) => e.call(readMsr)),
  insn("RDPMC", "0F 33", [], (e) => e.call(readPerformanceCounter)),
  insn("SYSENTER", "0F 34", [], (e) => e.call(sysenter)),
  insn("SYSEXIT", "0F 35", [], (e) => e.call(sysexit)),
  insn("CPUID", "0F A2", [], (e) => e.call(cpuid)),
  insn("IN", "E4 ib", [acc.b, imm8.b], input),
  insn("IN", "E5 ib", [acc.v, imm8.b], input),
  insn("IN", "EC", [acc.b, dx], input),
  insn("IN", "ED", [acc.v, dx], input),
  insn("OUT", "E6 ib", [imm8.b, acc.b], output),
  insn("OUT", "E7 ib", [imm8.b, acc.v], output),
  insn("OUT", "EE", [dx, acc.b], output),
  insn("OUT", "EF", [dx, acc.v], output),
  insn("HLT", "F4", [], (e) => e.call(halt)),
  // One processor, in order: memory order needs no fence, and there is no cache to flush. ModRM.rm is ignored.
  insn("LFENCE", "NP 0F AE E8+i", [], () => {}),
  insn("MFENCE", "NP 0F AE F0+i", [], () => {}),
  insn("SFENCE", "NP 0F AE F8+i", [], () => {}),
  insn("CLFLUSH", "NP 0F AE /7", [mem.b], (e, i) => e.read(i.op1)),
];

/** SDM Vol. 2 SGDT, SIDT: six bytes, whatever the operand size. */
function storeTable(table: number) {
  return (e: Emitter, i: Instruction): void => {
    const address = e.effectiveAddress(i.op1);
    e.probeWrite(i.op1, address, 6);
    const limit = e.call(storeDescriptorTable, e.const(table), e.const(LIMIT));
    const base = e.call(storeDescriptorTable, e.const(table), e.const(BASE));
    e.store(i.op1, address, limit, 2);
    e.store(i.op1, addressPlus(e, i, address, e.const(2)), base, 4);
  };
}

/** SDM Vol. 2 LGDT/LIDT. A 16-bit operand size takes 24 bits of base. */
function loadTable(table: number) {
  return (e: Emitter, i: Instruction): void => {
    e.call(requirePrivilege);
    const address = e.effectiveAddress(i.op1);
    const limit = e.load(i.op1, address, 2);
    const base = e.load(i.op1, addressPlus(e, i, address, e.const(2)), 4);
    const used = i.operandSize === 2 ? e.and(base, e.const(0xffffff)) : base;
    e.call(loadDescriptorTable, e.const(table), used, limit);
  };
}

/** SDM Vol. 2 LMSW. */
function lmsw(e: Emitter, i: Instruction): void {
  e.call(requirePrivilege);
  e.call(loadMachineStatusWord, e.read(i.op1));
}

/** Segment base plus offset, unchecked: INVLPG accesses nothing. */
const linearAddress = helper("linearAddress", "continue", (cpu, seg, offset) => cpu.segmentBase(seg) + offset);

/** SDM Vol. 2 INVLPG. */
function invlpg(e: Emitter, i: Instruction): void {
  e.call(invalidatePage, e.call(linearAddress, e.number(i.op1), e.effectiveAddress(i.op1)));
}

/** SDM Vol. 2 IN. */
function input(e: Emitter, i: Instruction): void {
  e.write(i.op1, e.call(readPort, e.read(i.op2), e.const(i.op1.size)));
}
/** SDM Vol. 2 OUT. */
function output(e: Emitter, i: Instruction): void {
  e.call(writePort, e.read(i.op1), e.const(i.op2.size), e.read(i.op2));
}
