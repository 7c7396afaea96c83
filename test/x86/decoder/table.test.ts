// The opcode tables: what a set of rows must and must not look like.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { buildTables } from "../../../src/x86/decoder";
import { imm, mem, reg, rm } from "../../../src/x86/emitter/operands";
import { insn } from "../../../src/x86/instructions/row";

const nothing = () => {};

describe("opcode tables", () => {
  it("reject rows that overlap", () => {
    const rows = [insn("AAA", "50+r", [reg.v], nothing), insn("BBB", "57", [], nothing)];
    assert.throws(() => buildTables(rows), /rows overlap: BBB "57" and AAA "50\+r"/);
    const groups = [insn("AAA", "FF /6", [rm.v], nothing), insn("BBB", "FF /r", [mem.any], nothing)];
    assert.throws(() => buildTables(groups), /rows overlap/);
  });
  it("let memory and register forms, operand sizes and mandatory prefixes share an opcode", () => {
    buildTables([
      insn("AAA", "0F 12 /r", [mem.any], nothing),
      insn("BBB", "F3 0F 12 /r", [rm.d], nothing),
      insn("CCC", "98", [], nothing, { onlyOperandSize: 2 }),
      insn("DDD", "98", [], nothing, { onlyOperandSize: 4 }),
    ]);
  });
  it("reject a row whose encoding does not say what its operands need", () => {
    assert.throws(() => buildTables([insn("AAA", "05", [reg.v, imm.v], nothing)]), /operands say "iv" follows/);
    assert.throws(() => buildTables([insn("AAA", "05", [rm.v], nothing)]), /an operand needs ModRM/);
  });
});
