// Registers in lines of assembly, for the hover.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { registerAt } from "../../src/extension/register-name";

describe("a register under the mouse", () => {
  const at = (line: string, part: string): string | undefined => registerAt(line, line.indexOf(part))?.expression;

  it("is found in AT&T and in Intel syntax", () => {
    assert.equal(at("movl %eax, 4(%ebp)", "%ebp"), "$ebp");
    assert.equal(at("mov dword [esp+4], AL", "AL"), "$al");
    assert.equal(at("movl %cr3, %ecx", "cr3"), "$cr3");
    assert.equal(at("pushw %ds", "ds"), "$ds");
  });

  it("is taken with its whole name", () => {
    assert.deepEqual(registerAt("movl %eax, %ebx", 7), { start: 5, end: 9, expression: "$eax" });
  });

  it("is not found in other words, nor in comments", () => {
    assert.equal(at("call axis", "axis"), undefined);
    assert.equal(at("movl $1, %eax # into eax", "into eax"), undefined);
    assert.equal(at("mov eax, 1 ; eax", "; eax"), undefined);
  });
});
