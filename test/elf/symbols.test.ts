// Symbols by name and by address.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { openElf } from "../../src/elf";
import { bytes } from "../dwarf/byte-builder";
import { buildElf, type SymbolSpec } from "./elf-builder";

const GLOBAL_FUNCTION = 0x12;
const LOCAL_FUNCTION = 0x02;
const GLOBAL_OBJECT = 0x11;
const LOCAL_LABEL = 0x00;
const GLOBAL_LABEL = 0x10;
const WEAK_FUNCTION = 0x22;

function elfWith(symbols: SymbolSpec[]) {
  return openElf(
    buildElf({
      segments: [{ address: 0x1000, content: bytes().zeros(0x100).done() }],
      sections: [
        { name: ".text", flags: 6, address: 0x1000, content: bytes().zeros(0x100).done() },
        { name: ".data", flags: 3, address: 0x2000, content: bytes().zeros(0x100).done() },
      ],
      symbols,
    }),
  );
}

function at(symbols: SymbolSpec[], address: number): string {
  const found = elfWith(symbols).symbolAt(address);
  if (!found) return "nothing";
  return `${found.symbol.name}+${found.offset}${found.isInside ? "" : " (outside)"}`;
}

describe("the symbol of an address", () => {
  it("is the one whose size covers it", () => {
    const symbols = [
      { name: "first", value: 0x1000, size: 0x10 },
      { name: "second", value: 0x1010, size: 0x20 },
    ];
    assert.equal(at(symbols, 0x100f), "first+15");
    assert.equal(at(symbols, 0x1010), "second+0");
    assert.equal(at(symbols, 0xfff), "nothing");
  });

  it("is the one before it in a gap, and that is said", () => {
    assert.equal(at([{ name: "f", value: 0x1000, size: 4 }], 0x1008), "f+8 (outside)");
  });

  it("is a function rather than a label inside of it", () => {
    const symbols = [
      { name: "f", value: 0x1000, size: 0x40, info: GLOBAL_FUNCTION },
      { name: "label", value: 0x1010, info: LOCAL_LABEL },
    ];
    assert.equal(at(symbols, 0x1020), "f+32");
  });

  it("is the innermost of nested ones", () => {
    const symbols = [
      { name: "outer", value: 0x1000, size: 0x80 },
      { name: "inner", value: 0x1010, size: 0x10 },
    ];
    assert.equal(at(symbols, 0x1018), "inner+8");
    assert.equal(at(symbols, 0x1028), "outer+40");
  });

  it("is a label where assembly has no sizes, up to the end of its section", () => {
    const symbols = [
      { name: "start", value: 0x1000, info: GLOBAL_LABEL },
      { name: "loop", value: 0x1020, info: LOCAL_LABEL },
    ];
    assert.equal(at(symbols, 0x101f), "start+31");
    assert.equal(at(symbols, 0x10ff), "loop+223");
    assert.equal(at(symbols, 0x1100), "loop+224 (outside)");
  });

  it("is the function of several names at one place, and the global of two functions", () => {
    const symbols = [
      { name: "global", value: 0x1000, size: 8, info: GLOBAL_FUNCTION },
      { name: "weak", value: 0x1000, size: 8, info: WEAK_FUNCTION },
      { name: "local", value: 0x1000, size: 8, info: LOCAL_FUNCTION },
      { name: "object", value: 0x1000, size: 8, info: GLOBAL_OBJECT },
      { name: "label", value: 0x1000, info: GLOBAL_LABEL },
    ];
    assert.equal(at(symbols, 0x1004), "global+4");
    assert.equal(at([...symbols].reverse(), 0x1004), "global+4");
  });

  it("is not one of a file, of a section, undefined or absolute", () => {
    const symbols = [
      { name: "file.c", value: 0x1000, info: 4, section: 0xfff1 },
      { name: "section", value: 0x1000, info: 3 },
      { name: "extern", value: 0x1000, info: 0x10, section: 0 },
      { name: "CONSTANT", value: 0x1000, info: 0x10, section: 0xfff1 },
    ];
    assert.equal(at(symbols, 0x1004), "nothing");
  });

  it("is found quickly among many", () => {
    const symbols = Array.from({ length: 5000 }, (_, i) => ({ name: `f${i}`, value: 0x1000 + i * 16, size: 16 }));
    const elf = elfWith(symbols);
    for (let i = 0; i < 5000; i += 7) assert.equal(elf.symbolAt(0x1000 + i * 16 + 5)?.symbol.name, `f${i}`);
  });
});

describe("a symbol by name", () => {
  const elf = elfWith([
    { name: "twice", value: 0x1000, info: LOCAL_FUNCTION },
    { name: "twice", value: 0x1010, info: GLOBAL_FUNCTION },
    { name: "data", value: 0x2000, size: 4, info: GLOBAL_OBJECT, section: 2 },
    { name: "gone", value: 0, info: 0x10, section: 0 },
    { name: "CONSTANT", value: 42, info: 0x10, section: 0xfff1 },
  ]);

  it("is the global one if there are several", () => {
    assert.equal(elf.symbol("twice")?.address, 0x1010);
    assert.deepEqual(
      elf.symbols.named("twice").map((s) => s.binding),
      ["global", "local"],
    );
  });

  it("tells type, size and section", () => {
    const { address, size, type, binding, sectionIndex } = elf.symbol("data") ?? assert.fail();
    assert.deepEqual([address, size, type, binding, sectionIndex], [0x2000, 4, "object", "global", 2]);
  });

  it("may be an absolute one, but not an undefined one", () => {
    assert.equal(elf.symbol("CONSTANT")?.address, 42);
    assert.equal(elf.symbol("gone"), undefined);
  });
});
