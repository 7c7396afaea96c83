// Line tables built by hand: the opcodes, the file tables of old and new versions, and the questions asked of them.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type Dwarf, openDwarf } from "../../src/dwarf";
import { joinPath } from "../../src/dwarf/line-program";
import { type Bytes, bytes } from "./byte-builder";
import { At, type Attribute, buildInfo, type Entry, entry, Form, Tag } from "./info-builder";

interface TableSpec {
  version: number;
  minimumInstructionLength?: number;
  maximumOperations?: number;
  lineRange?: number;
}

const OPERANDS = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];

/** A line table with files a.c (1) and b.h (2, in inc); version 5 counts from 0. */
function lineTable(spec: TableSpec, program: Bytes): Uint8Array {
  const header = bytes().u8(spec.minimumInstructionLength ?? 1);
  if (spec.version >= 4) header.u8(spec.maximumOperations ?? 1);
  header.u8(1, -5, spec.lineRange ?? 14, 13, ...OPERANDS);
  if (spec.version >= 5) {
    header.u8(1).uleb(1, Form.string).uleb(2).text("/src", "inc");
    header.u8(2).uleb(1, Form.string, 2, Form.udata).uleb(3);
    header.text("a.c").uleb(0).text("a.c").uleb(0).text("b.h").uleb(1);
  } else {
    header.text("inc", "").text("a.c").uleb(0, 0, 0).text("b.h").uleb(1, 0, 0).text("");
  }
  const body = bytes().u16(spec.version);
  if (spec.version >= 5) body.u8(4, 0);
  return body.u32(header.length).add(header, program).withLength().done();
}

const setAddress = (address: number) => bytes().u8(0, 5, 2).u32(address);
const endSequence = () => bytes().u8(0, 1, 1);
/** Special opcode: address += a, line += l, emit; the line is advanced apart where the opcode cannot. */
const special = (a: number, l: number): Bytes =>
  l >= -5 && l <= 8 ? bytes().u8(13 + a * 14 + (l + 5)) : bytes().u8(3).sleb(l).add(special(a, 0));

interface OpenOptions {
  isMapped?(address: number): boolean;
  attributes?: Attribute[];
  children?: Entry[];
}

function open(spec: TableSpec, program: Bytes, options: OpenOptions = {}): Dwarf {
  const attributes: Attribute[] = [
    [At.name, Form.string, "a.c"],
    [At.comp_dir, Form.string, "/src"],
    [At.stmt_list, spec.version >= 4 ? Form.sec_offset : Form.data4, 0],
    ...(options.attributes ?? []),
  ];
  const root = entry(Tag.compile_unit, attributes, options.children);
  const sections: Record<string, Uint8Array> = {
    ...buildInfo({ version: spec.version, root }),
    ".debug_line": lineTable(spec, program),
  };
  return openDwarf({
    section: (name) => {
      const content = sections[name];
      return content && { bytes: { size: content.length, read: (o, l) => content.subarray(o, o + l) }, address: 0 };
    },
    isMapped: options.isMapped,
  });
}

function at(dwarf: Dwarf, address: number): string {
  const line = dwarf.lineAt(address);
  return line.ok ? `${line.value.file.name}:${line.value.line}:${line.value.column}` : line.reason;
}

describe("a line table", () => {
  const program = () =>
    bytes()
      .add(setAddress(0x1000))
      .u8(5, 3) // column 3
      .add(special(0, 9)) // 1000: line 10 (from 1)
      .add(special(4, 1)) // 1004: line 11
      .u8(4, 2, 3) // file 2, line +
      .sleb(20)
      .u8(2, 4, 1) // 1008: b.h:31
      .u8(4, 1, 3)
      .sleb(-19)
      .u8(9)
      .u16(8)
      .u8(1) // 1010: a.c:12
      .u8(2, 8)
      .add(endSequence());

  it("reads the same in every version", () => {
    for (const version of [2, 3, 4, 5]) {
      const dwarf = open({ version }, program());
      assert.equal(at(dwarf, 0x1000), "a.c:10:3", `version ${version}`);
      assert.equal(at(dwarf, 0x1003), "a.c:10:3");
      assert.equal(at(dwarf, 0x1004), "a.c:11:3");
      assert.equal(at(dwarf, 0x100f), "b.h:31:3");
      assert.equal(at(dwarf, 0x1017), "a.c:12:3");
      assert.match(at(dwarf, 0x1018), /no line information for 0x1018/);
      assert.match(at(dwarf, 0xfff), /no line information for 0xfff/);
      assert.deepEqual(
        dwarf.sourceFiles().map((f) => f.path),
        ["/src/a.c", "/src/inc/b.h"],
      );
      assert.deepEqual(dwarf.problems, []);
    }
  });

  it("has the other opcodes too", () => {
    const dwarf = open(
      { version: 3 },
      bytes()
        .add(setAddress(0x2000))
        .u8(6, 7, 11, 12, 5) // not a statement, block, epilogue, isa
        .add(special(0, 1))
        .u8(6, 10) // statement again, prologue end
        .u8(8) // const_add_pc: (255 - 13) / 14 = 17
        .add(special(0, 1))
        .u8(0, 2, 4, 9) // discriminator
        .u8(0, 3, 0x80, 1, 2) // unknown extended opcode
        .u8(2, 16)
        .add(endSequence()),
    );
    const first = dwarf.lineAt(0x2000);
    const second = dwarf.lineAt(0x2011);
    assert.ok(first.ok && second.ok);
    assert.deepEqual([first.value.line, first.value.isStmt, first.value.isPrologueEnd], [2, false, false]);
    assert.deepEqual([second.value.line, second.value.isStmt, second.value.isPrologueEnd], [3, true, true]);
    assert.deepEqual([first.value.start, first.value.end], [0x2000, 0x2011]);
  });

  it("advances by instructions of more than one byte, and by operations", () => {
    const steps = () => bytes().add(setAddress(0x1000), special(0, 1), special(3, 1)).u8(2, 5).add(endSequence());
    assert.equal(at(open({ version: 4, minimumInstructionLength: 4 }, steps()), 0x100c), "a.c:3:0");
    // Two operations in an instruction: three operations on is one instruction and a half.
    assert.equal(at(open({ version: 4, maximumOperations: 2 }, steps()), 0x1001), "a.c:3:0");
  });

  it("gives the last row of several at one address, statements first", () => {
    const rows = bytes()
      .add(setAddress(0x1000), special(0, 1), special(0, 1))
      .u8(6)
      .add(special(0, 1))
      .u8(2, 4)
      .add(endSequence());
    assert.equal(at(open({ version: 4 }, rows), 0x1000), "a.c:3:0");
  });

  it("gives code without a line the line before it, and says that it is a guess", () => {
    const rows = bytes()
      .add(setAddress(0x1000), special(0, 4), special(4, -5), special(4, 5))
      .u8(2, 4)
      .add(endSequence());
    const dwarf = open({ version: 4 }, rows);
    const guess = dwarf.lineAt(0x1005);
    assert.ok(guess.ok);
    assert.deepEqual([guess.value.line, guess.value.isExact], [5, false]);
    assert.deepEqual(guess.value.stretch, { start: 0x1000, end: 0x100c }, "the same line goes on behind it");
  });

  it("drops sequences of code that is not in the program", () => {
    const sequence = (address: number) => bytes().add(setAddress(address), special(0, 9)).u8(2, 8).add(endSequence());
    const both = bytes().add(sequence(0), sequence(0x1000));
    const dwarf = open({ version: 4 }, both, { isMapped: (address) => address >= 0x1000 });
    assert.match(at(dwarf, 4), /no line information/);
    const found = dwarf.addressesOf("a.c", 10);
    assert.deepEqual(found.ok && found.value.addresses.map((a) => a.address), [0x1000]);
  });

  it("that is damaged gives the sequences before the damage, and says what is wrong", () => {
    const good = bytes().add(setAddress(0x1000), special(0, 9)).u8(2, 8).add(endSequence());
    const dwarf = open({ version: 4 }, bytes().add(good).u8(0, 200, 2));
    assert.equal(at(dwarf, 0x1001), "a.c:10:0");
    assert.match(dwarf.problems[0], /\.debug_line\+0x\w+: an extended opcode reaches beyond the program/);
    const zero = open({ version: 4, lineRange: 0 }, bytes().add(good));
    assert.match(at(zero, 0x1001), /no line information/);
    assert.match(zero.problems[0], /line range is 0/);
    const future = open({ version: 4 }, good);
    assert.equal(at(future, 0x1001), "a.c:10:0");
  });

  it("of an unknown version is refused by name", () => {
    const root = entry(Tag.compile_unit, [
      [At.stmt_list, Form.sec_offset, 0],
      [At.low_pc, Form.addr, 0x1000],
      [At.high_pc, Form.data4, 16],
    ]);
    const dwarf = openDwarf({ ...buildInfo({ root }), ".debug_line": bytes().u16(9).zeros(20).withLength().done() });
    const line = dwarf.lineAt(0x1000);
    assert.match(line.ok ? "" : line.reason, /no line information/);
    assert.match(dwarf.problems[0], /line table version 9 is not supported/);
  });
});

describe("a line of a file", () => {
  const rows = (...list: [number, number, number?][]) => {
    const program = bytes();
    let [address, line] = [0x1000, 1];
    program.add(setAddress(address));
    for (const [toAddress, toLine, column] of list) {
      program
        .u8(5)
        .uleb(column ?? 0)
        .u8(2)
        .uleb(toAddress - address)
        .u8(3)
        .sleb(toLine - line)
        .u8(1);
      [address, line] = [toAddress, toLine];
    }
    return program.u8(2, 4).add(endSequence());
  };
  const starts = (dwarf: Dwarf, line: number, column?: number) => {
    const found = dwarf.addressesOf("a.c", line, column);
    return found.ok ? found.value.addresses.map((a) => a.start) : found.reason;
  };

  it("without code snaps to the next one that has some", () => {
    const dwarf = open({ version: 4 }, rows([0x1000, 10], [0x1010, 20], [0x1020, 15]));
    const found = dwarf.addressesOf("a.c", 11);
    assert.ok(found.ok);
    assert.deepEqual([found.value.requestedLine, found.value.line, found.value.isSnapped], [11, 15, true]);
    assert.deepEqual(
      found.value.addresses.map((a) => [a.start, a.end]),
      [[0x1020, 0x1024]],
    );
    assert.match(String(starts(dwarf, 21)), /no code for line 21 or any line after it in \/src\/a\.c/);
  });

  it("with several stretches of code outside of functions has an address for each", () => {
    const dwarf = open({ version: 4 }, rows([0x1000, 10, 1], [0x1004, 10, 7], [0x1008, 11], [0x1010, 10, 9]));
    assert.deepEqual(starts(dwarf, 10), [0x1000, 0x1010]);
    assert.deepEqual(starts(dwarf, 10, 9), [0x1010]);
    assert.deepEqual(starts(dwarf, 10, 5), [0x1000, 0x1010], "a column without code of its own is not asked for");
    assert.deepEqual(dwarf.breakpointLocations("a.c", 10, 11), [
      { line: 10, column: 1, address: 0x1000 },
      { line: 10, column: 7, address: 0x1004 },
      { line: 10, column: 9, address: 0x1010 },
      { line: 11, column: 0, address: 0x1008 },
    ]);
  });

  it("is found by the tail of its path, in any case if need be", () => {
    const dwarf = open({ version: 5 }, rows([0x1000, 10]));
    const names = (path: string) => dwarf.filesMatching(path).map((f) => f.path);
    assert.deepEqual(names("/src/a.c"), ["/src/a.c"]);
    assert.deepEqual(names("/home/me/project/src/a.c"), ["/src/a.c"]);
    assert.deepEqual(names("C:\\project\\inc\\B.H"), ["/src/inc/b.h"]);
    assert.deepEqual(names("other.c"), []);
    const found = dwarf.addressesOf("other.c", 1);
    assert.match(found.ok ? "" : found.reason, /no code comes from other\.c/);
  });
});

describe("a breakpoint on a function", () => {
  const program = (second: Bytes, options: { attributes?: Attribute[]; children?: Entry[] } = {}) => {
    const rows = bytes().add(setAddress(0x1000), special(0, 9), second, special(4, 1), endSequence());
    const f = entry(
      Tag.subprogram,
      [
        [At.name, Form.string, "f"],
        [At.low_pc, Form.addr, 0x1000],
        [At.high_pc, Form.data4, 0x20],
      ],
      options.children,
    );
    return open({ version: 4 }, rows, { attributes: options.attributes, children: [f] });
  };
  const stop = (dwarf: Dwarf) => dwarf.functionBreakpoints("f").map((p) => p.address);

  it("is at its second row, behind the prologue", () => {
    const dwarf = program(special(6, 1));
    assert.deepEqual(stop(dwarf), [0x1006]);
    const line = dwarf.addressesOf("a.c", 10);
    assert.deepEqual(line.ok && line.value.addresses.map((a) => [a.start, a.address]), [[0x1000, 0x1006]]);
  });

  it("is at the row that the compiler marked", () => {
    assert.deepEqual(stop(program(bytes().add(special(3, 0)).u8(10).add(special(5, 1)))), [0x1008]);
  });

  it("is at the entry if the second row is there too", () => {
    assert.deepEqual(stop(program(special(0, 1))), [0x1000]);
  });

  it("is at the entry of assembly and of optimised code", () => {
    assert.deepEqual(stop(program(special(6, 1), { attributes: [[At.language, Form.data2, 0x8001]] })), [0x1000]);
    const optimised: Attribute[] = [[At.producer, Form.string, "GNU C17 12.2.0 -m32 -O2 -g"]];
    assert.deepEqual(stop(program(special(6, 1), { attributes: optimised })), [0x1000]);
    const moving = entry(Tag.variable, [[At.location, Form.sec_offset, 0]]);
    assert.deepEqual(stop(program(special(6, 1), { children: [moving] })), [0x1000]);
  });
});

describe("joinPath", () => {
  it("joins and tidies", () => {
    assert.equal(joinPath("/a/b", "../c.c"), "/a/c.c");
    assert.equal(joinPath("/a", "./b//c.c"), "/a/b/c.c");
    assert.equal(joinPath("/a", "/b/c.c"), "/b/c.c");
    assert.equal(joinPath("", "a/../../b.c"), "../b.c");
    assert.equal(joinPath("/", "../../b.c"), "/b.c");
    assert.equal(joinPath("C:\\x", "y\\z.c"), "C:/x/y/z.c");
    assert.equal(joinPath("/a", "C:/y.c"), "C:/y.c");
  });
});
