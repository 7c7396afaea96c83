// Disassembly: symbols, negative offsets, holes, exact counts.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type CodeSource, Disassembler } from "../../src/debugger/disassembly";

const BASE = 0xc0100000;
const CODE = Uint8Array.from([
  0x55, // push %ebp
  0x89,
  0xe5, // mov %esp,%ebp
  0xe8,
  0x04,
  0x00,
  0x00,
  0x00, // call BASE+12
  0xcd,
  0x1f, // int $0x1f
  0xc9, // leave
  0xc3, // ret
  0xa1,
  0x00,
  0x20,
  0x10,
  0xc0, // mov 0xc0102000,%eax
  0xc3,
]);

const source = (boundary?: number): CodeSource => ({
  read: (address, length) =>
    address < BASE ? new Uint8Array(0) : CODE.subarray(address - BASE, address - BASE + length),
  symbolAt: (address) => (address === BASE + 12 ? "callee" : address === 0xc0102000 ? "counter" : undefined),
  boundaryBefore: () => boundary,
});

describe("disassembly", () => {
  it("names the targets of calls and the addresses of memory", () => {
    const lines = new Disassembler(source()).lines(BASE, 0, 7);
    assert.equal(lines[2].text, "call 0xc010000c <callee>");
    assert.equal(lines[2].flow, "call");
    assert.equal(lines[6].text, "mov 0xc0102000, %eax <counter>");
    assert.deepEqual(
      lines.map((line) => line.address - BASE),
      [0, 1, 3, 8, 10, 11, 12],
    );
  });

  it("finds the instructions before an address from a known boundary", () => {
    const lines = new Disassembler(source(BASE)).lines(BASE + 8, -2, 3);
    assert.deepEqual(
      lines.map((line) => line.address - BASE),
      [1, 3, 8],
    );
  });

  it("finds them without a boundary too", () => {
    const lines = new Disassembler(source()).lines(BASE + 8, -1, 2);
    assert.deepEqual(
      lines.map((line) => line.address - BASE),
      [3, 8],
    );
  });

  it("gives exactly as many lines as asked, invalid ones for what is not mapped", () => {
    const lines = new Disassembler(source(BASE)).lines(BASE + 17, -12, 20);
    assert.equal(lines.length, 20);
    assert.ok(lines[0].isInvalid);
    assert.equal(lines[12].text, "ret");
    assert.ok(lines[13].isInvalid);
    assert.equal(lines[13].address, BASE + 18);
  });

  it("shows bytes that are no instruction as bad and goes on behind them", () => {
    const bytes = Uint8Array.from([0x0f, 0xff, 0x90]);
    const lines = new Disassembler({ ...source(), read: (at, n) => bytes.subarray(at, at + n) }).lines(0, 0, 3);
    assert.ok(lines[0].isInvalid || lines[0].text.startsWith("ud0"));
  });
});
