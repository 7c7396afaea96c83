// Values as text and as trees, and text as values: what a person reads in the variables view and types into it.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import {
  ArrayType,
  BaseType,
  EnumType,
  type Location,
  type Member,
  PointerType,
  Storage,
  StructType,
  type Type,
  TypedefType,
  UnknownType,
  ValueNode,
  VOID,
  type Write,
} from "../../src/dwarf";
import { type Bytes, bytes } from "./byte-builder";

const INT = new BaseType("int", 4, "signed", true);
const UNSIGNED = new BaseType("unsigned int", 4, "unsigned", false);
const SHORT = new BaseType("short", 2, "signed", true);
const LONG_LONG = new BaseType("long long", 8, "signed", true);
const CHAR = new BaseType("char", 1, "char", true);
const BYTE = new BaseType("unsigned char", 1, "char", false);
const BOOL = new BaseType("_Bool", 1, "boolean", false);
const FLOAT = new BaseType("float", 4, "float", true);
const DOUBLE = new BaseType("double", 8, "float", true);
const EXTENDED = new BaseType("long double", 12, "float", true);
const COLOR = new EnumType("color", 4, false, () => [
  { name: "RED", value: 0n },
  { name: "GREEN", value: 5n },
]);
const FLAGS = new EnumType("flags", 4, false, () => [
  { name: "NONE", value: 0n },
  { name: "A", value: 1n },
  { name: "B", value: 2n },
  { name: "C", value: 4n },
]);
const pointerTo = (target: Type) => new PointerType(4, "pointer", () => target);
const arrayOf = (element: Type, count?: number) => new ArrayType(() => element, count, 0, undefined, false);
const struct = (name: string, size: number, members: (Partial<Member> & { type: Type })[]) =>
  new StructType("struct", name, size, () => members.map((m) => ({ byteOffset: 0, isInheritance: false, ...m })));

const BASE = 0x1000;
const REGISTERS: Record<number, number> = { 0: 0x11223344, 3: 0x55667788 };

/** A value at BASE in a memory of these bytes, zeros behind them up to one page. */
function node(type: Type, content: Bytes, options = {}): ValueNode {
  const memory = new Uint8Array(0x1000);
  memory.set(content.done());
  return at(type, { kind: "memory", address: BASE }, memory, options);
}

function at(type: Type, location: Location, memory = new Uint8Array(0), options = {}): ValueNode {
  const source = {
    register: (n: number) => REGISTERS[n],
    readMemory: (address: number, length: number) => {
      const offset = address - BASE;
      return offset >= 0 && offset + length <= memory.length ? memory.slice(offset, offset + length) : undefined;
    },
  };
  return new ValueNode("v", type, new Storage(location, source), options);
}

const u32 = (...values: number[]) => bytes().u32(...values);
const reason = (result: { ok: boolean; reason?: string }) => (result.ok ? "it can" : (result.reason ?? ""));

describe("a value's text", () => {
  it("shows numbers, characters and booleans", () => {
    assert.equal(node(INT, u32(-42)).text, "-42");
    assert.equal(node(UNSIGNED, u32(0xffffffff)).text, "4294967295");
    assert.equal(node(INT, u32(-1), { isHex: true }).text, "0xffffffff");
    assert.equal(node(LONG_LONG, bytes().u64(-5n)).text, "-5");
    assert.equal(node(CHAR, bytes().u8(97)).text, "97 'a'");
    assert.equal(node(CHAR, bytes().u8(10)).text, "10 '\\n'");
    assert.equal(node(CHAR, bytes().u8(39)).text, "39 '\\''");
    assert.equal(node(BYTE, bytes().u8(200)).text, "200 '\\xc8'");
    assert.equal(node(BOOL, bytes().u8(1)).text, "true");
    assert.equal(node(BOOL, bytes().u8(7)).text, "true (7)");
  });

  it("shows floating-point numbers with as many digits as they have", () => {
    const floats = (type: BaseType, ...values: number[]) =>
      values.map((v) => node(type, bytes().add(new Uint8Array(new Float32Array([v]).buffer))).text);
    assert.deepEqual(floats(FLOAT, 3.14, 0.1, 1e30, -0, Infinity, NaN), ["3.14", "0.1", "1e+30", "-0", "inf", "nan"]);
    assert.equal(node(FLOAT, u32(0x40490fdb)).text, "3.1415927");
    assert.equal(
      node(DOUBLE, bytes().add(new Uint8Array(new Float64Array([1 / 3]).buffer))).text,
      "0.3333333333333333",
    );
    assert.equal(node(EXTENDED, bytes().u64(0xc000000000000000n).u16(0x3fff)).text, "1.5");
    assert.equal(node(EXTENDED, bytes().u64(0x8000000000000000n).u16(0xffff)).text, "-inf");
    assert.equal(node(EXTENDED, bytes().u64(0n).u16(0)).text, "0");
  });

  it("shows enumerators by name, and flags or'ed", () => {
    assert.equal(node(COLOR, u32(5)).text, "GREEN");
    assert.equal(node(COLOR, u32(6)).text, "6");
    assert.equal(node(COLOR, u32(5), { isHex: true }).text, "GREEN (0x00000005)");
    assert.equal(node(FLAGS, u32(5)).text, "A | C");
    assert.equal(node(FLAGS, u32(0x14)).text, "C | 0x10");
    assert.equal(node(FLAGS, u32(0)).text, "NONE");
    assert.equal(node(FLAGS, u32(0x20)).text, "32");
  });

  it("shows pointers with what helps: NULL, text, the symbol of a function", () => {
    const symbolize = (a: number) => (a === 0x2000 ? "handler" : "data+4");
    const handler = pointerTo({ kind: "function" } as unknown as Type);
    assert.equal(node(pointerTo(VOID), u32(0)).text, "NULL");
    assert.equal(node(pointerTo(VOID), u32(0xc0100000)).text, "0xc0100000");
    assert.equal(node(handler, u32(0x2000), { symbolize }).text, "0x00002000 <handler>");
    assert.equal(node(pointerTo(INT), u32(0x2004), { symbolize }).text, "0x00002004", "a place inside of something");
    assert.equal(node(pointerTo(CHAR), u32(BASE + 4).text('say "hi"\n')).text, '0x00001004 "say \\"hi\\"\\n"');
    assert.equal(node(pointerTo(CHAR), u32(5)).text, "0x00000005 <memory cannot be read>");
    const long = node(pointerTo(CHAR), u32(BASE + 4).text("x".repeat(1000)));
    assert.equal(long.text, `0x00001004 "${"x".repeat(200)}"...`);
    const end = node(
      pointerTo(CHAR),
      bytes()
        .u32(BASE + 0xffe)
        .zeros(0xffa)
        .add(Buffer.from("ab")),
    );
    assert.equal(end.text, '0x00001ffe "ab"...', "text without an end, as far as it can be read");
    assert.equal(node(pointerTo(BYTE), u32(BASE + 4, 0x04030201)).text, "0x00001004", "bytes that are no text");
  });

  it("shows structures and arrays in one line of bounded length", () => {
    const point = struct("point", 8, [
      { name: "x", type: INT },
      { name: "y", type: INT, byteOffset: 4 },
    ]);
    assert.equal(node(point, u32(3, -4)).text, "{x = 3, y = -4}");
    assert.equal(node(arrayOf(point, 2), u32(1, 2, 3, 4)).text, "{{x = 1, y = 2}, {x = 3, y = 4}}");
    assert.equal(node(arrayOf(INT, 1000), u32()).text, `{${Array(16).fill("0").join(", ")}, ...}`);
    assert.equal(node(arrayOf(CHAR, 8), bytes().text("abc")).text, '"abc"');
    assert.equal(node(arrayOf(CHAR, 3), bytes().add(Buffer.from("abc"))).text, '"abc"');
    assert.equal(node(arrayOf(arrayOf(INT, 2), 2), u32(1, 2, 3, 4)).text, "{{1, 2}, {3, 4}}");
    assert.equal(node(arrayOf(arrayOf(arrayOf(INT, 1), 1), 1), u32(1)).text, "{{{...}}}");
    assert.ok(node(arrayOf(new TypedefType("t", () => point), 1_000_000), u32()).text.length < 400);
  });

  it("says in angle brackets why there is none", () => {
    assert.equal(at(INT, { kind: "memory", address: 0x8000 }).text, "<memory at 0x8000 cannot be read>");
    assert.equal(at(INT, { kind: "register", register: 1 }).text, "<ecx is not known in this frame>");
    const gone: Location = { kind: "unavailable", isOptimizedOut: true, reason: "optimized out" };
    assert.equal(at(INT, gone).text, "<optimized out>");
    assert.equal(node(new UnknownType("tag 0x1234 is not supported"), u32(0)).text, "<tag 0x1234 is not supported>");
    assert.equal(node(arrayOf(INT), u32(1)).text, "<length is not known>");
  });
});

describe("a value's children", () => {
  const list: StructType = struct("list", 8, [
    { name: "value", type: INT },
    { name: "next", type: new PointerType(4, "pointer", () => list), byteOffset: 4 },
  ]);

  it("are a structure's members, as often as a list goes on", () => {
    const head = node(list, u32(1, BASE + 8, 2, BASE));
    assert.deepEqual(
      head.children().map((c) => [c.name, c.text, c.expression]),
      [
        ["value", "1", "v.value"],
        ["next", "0x00001008", "v.next"],
      ],
    );
    const [value, next] = head.children()[1].children();
    assert.deepEqual([value.text, value.expression, next.expression], ["2", "v.next->value", "v.next->next"]);
    assert.equal(next.childCount, 2);
    let deep: ValueNode = head;
    for (let i = 0; i < 1000; i++) deep = deep.children()[deep.children().length - 1];
    assert.ok(deep.text);
  });

  it("are an array's elements, by page", () => {
    const numbers = node(arrayOf(SHORT, 1000), bytes().u16(...Array.from({ length: 1000 }, (_, i) => i)));
    assert.deepEqual([numbers.childCount, numbers.isIndexed], [1000, true]);
    const page = numbers.children(500, 3);
    assert.deepEqual(
      page.map((c) => [c.name, c.text, c.address]),
      [
        ["[500]", "500", BASE + 1000],
        ["[501]", "501", BASE + 1002],
        ["[502]", "502", BASE + 1004],
      ],
    );
    assert.equal(numbers.children(998, 10).length, 2);
    assert.equal(numbers.element(2)?.expression, "v[2]");
    const matrix = node(arrayOf(arrayOf(INT, 3), 2), u32(1, 2, 3, 4, 5, 6));
    assert.equal(matrix.element(1)?.element(2)?.text, "6");
    assert.equal(matrix.element(1)?.element(2)?.expression, "v[1][2]");
  });

  it("are what a pointer points to, unless that is nothing", () => {
    const toInt = node(pointerTo(INT), u32(BASE + 4, 42));
    assert.deepEqual(
      toInt.children().map((c) => [c.name, c.text]),
      [["*v", "42"]],
    );
    assert.equal(toInt.element(0)?.text, "42");
    for (const none of [node(pointerTo(INT), u32(0)), node(pointerTo(VOID), u32(BASE)), node(INT, u32(1))]) {
      assert.deepEqual([none.childCount, none.children()], [0, []]);
    }
  });

  it("reach through anonymous members by name", () => {
    const inner = new StructType("union", undefined, 4, () => [
      { name: "number", type: INT, byteOffset: 0, isInheritance: false },
      { name: "letter", type: CHAR, byteOffset: 0, isInheritance: false },
    ]);
    const outer = node(
      struct("outer", 8, [
        { name: "tag", type: INT },
        { type: inner, byteOffset: 4 },
      ]),
      u32(1, 65),
    );
    assert.equal(outer.member("letter")?.text, "65 'A'");
    assert.equal(outer.member("letter")?.expression, "v.letter");
    assert.equal(outer.member("nothing"), undefined);
    const [, anonymous] = outer.children();
    assert.equal(anonymous.name, "(anonymous union)");
    assert.equal(anonymous.children()[0].expression, "v.number");
  });

  it("of a structure in registers and pieces are read there", () => {
    const pair = struct("pair", 8, [
      { name: "low", type: INT },
      { name: "high", type: INT, byteOffset: 4 },
    ]);
    const pieces: Location = {
      kind: "pieces",
      pieces: [
        { location: { kind: "register", register: 3 }, bitSize: 32, bitOffset: 0 },
        { location: { kind: "unavailable", isOptimizedOut: true, reason: "optimized out" }, bitSize: 32, bitOffset: 0 },
      ],
    };
    const [low, high] = at(pair, pieces).children();
    assert.equal(low.text, String(0x55667788));
    assert.equal(high.text, "<optimized out>");
    assert.equal(at(SHORT, { kind: "register", register: 0 }).text, String(0x3344));
    assert.match(at(LONG_LONG, { kind: "register", register: 0 }).text, /does not fit eax/);
    assert.equal(
      at(INT, { kind: "value", bytes: Uint8Array.of(7) }).text,
      "7",
      "a short constant is filled with zeros",
    );
  });
});

describe("a typed value", () => {
  const written = (n: ValueNode, text: string): number[] | string => {
    const result = n.encode(text);
    if (!result.ok) return result.reason;
    const [write] = result.value as [Write];
    return write.kind === "memory" ? [...write.bytes] : [write.value];
  };

  it("may be written in every way that C knows, and as values are shown", () => {
    for (const text of ["65", "0x41", "0b1000001", "0101", "'A'", "65 'A'", "+65", " 65 "]) {
      assert.deepEqual(written(node(CHAR, u32(0)), text), [65], text);
    }
    assert.deepEqual(written(node(INT, u32(0)), "-1"), [255, 255, 255, 255]);
    assert.deepEqual(written(node(INT, u32(0)), "0xffffffff"), [255, 255, 255, 255]);
    assert.deepEqual(written(node(UNSIGNED, u32(0)), "1'000'000"), [0x40, 0x42, 0x0f, 0]);
    assert.deepEqual(written(node(LONG_LONG, u32(0)), "-2"), [254, 255, 255, 255, 255, 255, 255, 255]);
    assert.deepEqual(written(node(CHAR, u32(0)), "'\\n'"), [10]);
    assert.deepEqual(written(node(CHAR, u32(0)), "'\\x1b'"), [27]);
    assert.deepEqual(written(node(BOOL, u32(0)), "true"), [1]);
    assert.deepEqual(written(node(FLOAT, u32(0)), "1.5"), [0, 0, 0xc0, 0x3f]);
    assert.deepEqual(written(node(DOUBLE, u32(0)), "-inf"), [0, 0, 0, 0, 0, 0, 0xf0, 0xff]);
    assert.deepEqual(written(node(pointerTo(VOID), u32(1)), "NULL"), [0, 0, 0, 0]);
    const resolve = (name: string) => (name === "handler" ? 0x2000n : undefined);
    assert.deepEqual(written(node(pointerTo(VOID), u32(1), { resolve }), "handler"), [0, 0x20, 0, 0]);
    assert.deepEqual(written(node(arrayOf(CHAR, 6), u32(1)), '"a\\tb"'), [97, 9, 98, 0, 0, 0]);
  });

  it("may be enumerators, or'ed too", () => {
    assert.deepEqual(written(node(COLOR, u32(0)), "GREEN"), [5, 0, 0, 0]);
    assert.deepEqual(written(node(FLAGS, u32(0)), "A | C | 0x10"), [0x15, 0, 0, 0]);
    assert.match(
      String(written(node(COLOR, u32(0)), "BLUE")),
      /BLUE is not a value of enum color: expected RED, GREEN/,
    );
  });

  it("that does not fit is refused with the limit", () => {
    const refused = (type: Type, text: string, pattern: RegExp) =>
      assert.match(reason(node(type, u32(0)).encode(text)), pattern);
    refused(CHAR, "256", /256 does not fit char: the highest is 127/);
    refused(CHAR, "-129", /lowest is -128/);
    refused(INT, "0x100000000", /highest is 2147483647/);
    refused(UNSIGNED, "-2147483649", /lowest is 0/);
    refused(BOOL, "2", /neither true nor false/);
    refused(INT, "fish", /expected a number for int/);
    refused(INT, "", /a value is expected/);
    refused(INT, "1.5", /expected a number/);
    refused(FLOAT, "one", /expected a number for float/);
    refused(arrayOf(CHAR, 2), '"abc"', /3 bytes, the array only 2/);
    refused(arrayOf(INT, 2), "1", /set its elements/);
    refused(struct("s", 4, []), "1", /set its members/);
    refused(VOID, "1", /cannot be set/);
  });

  it("of a bit-field leaves its neighbours alone", () => {
    const bits = struct("bits", 4, [
      { name: "low", type: UNSIGNED, bitSize: 3, bitOffset: 0 },
      { name: "mid", type: INT, bitSize: 7, bitOffset: 3 },
      { name: "wide", type: UNSIGNED, byteOffset: 1, bitSize: 20, bitOffset: 2 },
    ]);
    const [low, mid, wide] = node(bits, u32(0xffffffff)).children();
    assert.deepEqual([low.text, mid.text, wide.text], ["7", "-1", "1048575"]);
    assert.equal(mid.typeName, "int : 7");
    assert.deepEqual(written(low, "5"), [0xfd]);
    assert.deepEqual(written(mid, "-64"), [0x07, 0xfe]);
    assert.deepEqual(written(wide, "0"), [0x03, 0x00, 0xc0]);
    assert.match(String(written(low, "8")), /8 does not fit a field of 3 bits: the highest is 7/);
    assert.match(String(written(mid, "-65")), /lowest is -64/);
  });

  it("goes into registers and pieces, and nowhere if it is stored nowhere", () => {
    const register = at(SHORT, { kind: "register", register: 0 });
    assert.equal(register.isWritable, true);
    const result = register.encode("0x7fff");
    assert.deepEqual(result.ok && result.value, [{ kind: "register", register: 0, name: "eax", value: 0x11227fff }]);
    const wide = at(LONG_LONG, {
      kind: "pieces",
      pieces: [
        { location: { kind: "register", register: 0 }, bitSize: 32, bitOffset: 0 },
        { location: { kind: "memory", address: 0x2000 }, bitSize: 32, bitOffset: 0 },
      ],
    }).encode("-1");
    assert.deepEqual(wide.ok && wide.value, [
      { kind: "register", register: 0, name: "eax", value: 0xffffffff },
      { kind: "memory", address: 0x2000, bytes: Uint8Array.of(255, 255, 255, 255) },
    ]);
    const constant = at(INT, { kind: "value", bytes: u32(1).done() });
    assert.equal(constant.isWritable, false);
    assert.match(reason(constant.encode("2")), /stored nowhere/);
    assert.match(reason(at(INT, { kind: "register", register: 1 }).encode("2")), /ecx cannot be changed/);
  });
});
