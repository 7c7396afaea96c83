// C expressions: parsing, C's arithmetic, pointers, structures, registers, assignment, forms, mistakes. On a made-up
// scope.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import {
  evaluate,
  formatValue,
  INT,
  integerOf,
  parseExpression,
  pointerTo,
  type Scope,
  splitForm,
  UNSIGNED,
  UNSIGNED_CHAR,
  type Value,
  ValueFactory,
} from "../../src/debugger/expressions";
import {
  ArrayType,
  BaseType,
  type Member,
  Storage,
  StructType,
  type Type,
  ValueNode,
  type Write,
} from "../../src/dwarf";

/** 64 KiB of memory from 0x1000 on, a few variables in it, two registers. */
function makeScope(): Scope & { bytes: Uint8Array } {
  const bytes = new Uint8Array(0x10000);
  const view = new DataView(bytes.buffer);
  const values = new ValueFactory({
    register: () => undefined,
    readMemory: (address, length) =>
      address < 0x1000 ? undefined : bytes.subarray(address - 0x1000, address - 0x1000 + length),
  });
  const member = (name: string | undefined, type: Type, byteOffset: number, bits?: [number, number]): Member => ({
    name,
    type,
    byteOffset,
    isInheritance: false,
    ...(bits ? { bitOffset: bits[0], bitSize: bits[1] } : {}),
  });
  const inner = new StructType("struct", undefined, 8, () => [member("left", INT, 0), member("right", INT, 4)]);
  const node: StructType = new StructType("struct", "node", 24, () => [
    member("value", INT, 0),
    member("next", pointerTo(node), 4),
    member("low", UNSIGNED, 8, [0, 4]),
    member("high", UNSIGNED, 8, [4, 4]),
    member(undefined, inner, 12),
  ]);
  const word = new BaseType("short int", 2, "signed", true);
  const variables = new Map<string, Value>([
    ["counter", values.memory(INT, 0x2000, "counter")],
    ["small", values.memory(word, 0x2004, "small")],
    ["byte", values.memory(UNSIGNED_CHAR, 0x2006, "byte")],
    ["table", values.memory(new ArrayType(() => INT, 4, 0, undefined, false), 0x2010, "table")],
    ["first", values.memory(node, 0x3000, "first")],
    ["head", values.memory(pointerTo(node), 0x2030, "head")],
  ]);
  view.setInt32(0x1000, -5, true);
  view.setInt16(0x1004, -2, true);
  view.setUint8(0x1006, 200);
  for (const [i, value] of [10, 20, 30, 40].entries()) view.setInt32(0x1010 + i * 4, value, true);
  view.setUint32(0x1030, 0x3000, true);
  view.setInt32(0x2000, 7, true);
  view.setUint32(0x2004, 0x3100, true);
  view.setUint32(0x2008, 0xa5, true);
  view.setInt32(0x2010, 99, true);
  view.setInt32(0x2100, 8, true);
  let eax = 0xfffffff0n;
  return {
    bytes,
    values,
    register: (name) =>
      name.toLowerCase() === "eax"
        ? values.cell(
            {
              name: "eax",
              get: () => eax,
              set: (value) => {
                eax = BigInt.asUintN(32, value);
              },
            },
            UNSIGNED,
          )
        : name === "cr3"
          ? values.cell({ name: "cr3", get: () => 0x1000n, readOnly: "the host's" }, UNSIGNED)
          : undefined,
    lookup: (name, file) => (file === undefined || file === "main.c" ? variables.get(name) : undefined),
    type: (name, tag) => (tag === "struct" && name === "node" ? node : name === "node_t" ? node : undefined),
    write: (changes: readonly Write[]) => {
      for (const change of changes) if (change.kind === "memory") bytes.set(change.bytes, change.address - 0x1000);
    },
    suggest: () => ["counter"],
  };
}

describe("expressions", () => {
  const scope = makeScope();
  const value = (text: string): Value =>
    evaluate(
      parseExpression(text, (name) => name === "node_t"),
      scope,
    );
  const number = (text: string): number => Number(integerOf(value(text)));
  const text = (expression: string): string => {
    const { text: plain, form } = splitForm(expression);
    return formatValue(value(plain), form);
  };

  it("has C's precedence and associativity", () => {
    assert.equal(number("2 + 3 * 4"), 14);
    assert.equal(number("10 - 4 - 3"), 3);
    assert.equal(number("1 << 2 + 1"), 8);
    assert.equal(number("7 & 3 == 3"), 1);
    assert.equal(number("1 ? 2 : 0 ? 3 : 4"), 2);
    assert.equal(number("!0 && ~0"), 1);
    assert.equal(number("-3 % 2"), -1);
  });

  it("has C's widths and signs", () => {
    assert.equal(number("0xffffffff + 1"), 0);
    assert.equal(number("4294967295 + 1"), 4294967296);
    assert.equal(number("counter < 0"), 1);
    assert.equal(number("counter > 0u"), 1);
    assert.equal(number("byte + 100"), 300);
    assert.equal(number("(unsigned char)300"), 44);
    assert.equal(number("(short)0x8000"), -32768);
    assert.equal(number("small >> 1"), -1);
    assert.equal(number("1.5 * 4 == 6"), 1);
  });

  it("reads numbers in all of C's spellings", () => {
    assert.equal(number("0x1F + 0b101 + 017 + 'a' + '\\n' + 10u"), 31 + 5 + 15 + 97 + 10 + 10);
    assert.throws(() => number("089"), /no octal number/);
    assert.throws(() => number("12ab"), /"12ab" is no number/);
  });

  it("indexes arrays and adds to pointers in elements", () => {
    assert.equal(number("table[2]"), 30);
    assert.equal(number("*(table + 1)"), 20);
    assert.equal(number("&table[3] - table"), 3);
    assert.equal(number("sizeof(table) / sizeof table[0]"), 4);
    assert.equal(text("table[1]@2"), "{20, 30}");
    assert.equal(number("2[table]"), 30);
  });

  it("follows members, pointers and anonymous structures", () => {
    assert.equal(number("head->value"), 7);
    assert.equal(number("head->next->value"), 8);
    assert.equal(number("(*head).value"), 7);
    assert.equal(number("head.value"), 7);
    assert.equal(number("first.right"), 99);
    assert.equal(number("first.low"), 5);
    assert.equal(number("first.high"), 10);
    assert.equal(number("((struct node *)0x3100)->value"), 8);
    assert.equal(number("((node_t *)0x3100)->value"), 8);
    assert.equal(number("(counter)+1"), -4);
  });

  it("knows registers with and without a dollar, and in AT&T's way", () => {
    assert.equal(number("$eax"), 0xfffffff0);
    assert.equal(number("eax & 0xff"), 0xf0);
    assert.equal(number("%eax"), 0xfffffff0);
    assert.equal(number("7 %eax"), 7);
    assert.equal(text("$eax"), "0xFFFFFFF0");
    assert.equal(number("main.c::counter"), -5);
  });

  it("assigns to variables, bit-fields and registers", () => {
    value("counter = 41");
    value("counter += 1");
    assert.equal(number("counter"), 42);
    value("first.high = 3");
    assert.equal(number("first.low * 100 + first.high"), 503);
    value("table[0] = table[1] = 5");
    assert.equal(number("table[0] + table[1]"), 10);
    value("$eax = 0x10");
    assert.equal(number("eax"), 16);
    assert.throws(() => value("byte = 300"), /300|fit/);
    assert.throws(() => value("1 = 2"), /can be assigned to/);
    assert.throws(() => value("cr3 = 5"), /cr3 cannot be changed: the host's/);
  });

  it("shows values in the form that is asked for", () => {
    value("byte = 65");
    assert.equal(text("byte"), "65 'A'");
    assert.equal(text("byte,x"), "0x41 'A'");
    assert.equal(text("table[2],x"), "0x0000001E");
    assert.equal(text("table[2],b"), "0b11110");
    assert.equal(text("table[2],o"), "036");
    assert.equal(text("eax,d"), "16");
    assert.match(text("first"), /^\{value = 7, next = 0x00003100/);
  });

  it("says where a mistake is, and what it is", () => {
    assert.throws(() => value("1 +"), /An expression is missing \(at character 4\)/);
    assert.throws(() => value("(1"), /"\)" is missing/);
    assert.throws(() => value("1 2"), /"2" does not belong here/);
    assert.throws(() => value("a ` b"), /"`" does not belong/);
    assert.throws(() => value("countr"), /no symbol or register "countr"; did you mean counter/);
    assert.throws(() => value("head->nothing"), /struct node has no member "nothing"/);
    assert.throws(() => value("counter.value"), /int has no members/);
    assert.throws(() => value("*first"), /no pointer/);
    assert.throws(() => value("&5"), /in memory has an address/);
    assert.throws(() => value("&first.low"), /address|memory/);
    assert.throws(() => number("*(int *)16"), /cannot be read/i);
    assert.throws(() => number("1 << 99"), /shift by 99/);
    assert.throws(() => value("counter()"), /cannot be called/);
  });

  it("reads a structure of zero size, a storage that is lost, and a void pointer without harm", () => {
    const lost = new ValueNode(
      "lost",
      INT,
      new Storage({ kind: "unavailable", isOptimizedOut: true, reason: "optimized out" }, scope.values.source),
    );
    assert.equal(formatValue({ node: lost }), "<optimized out>");
    assert.throws(() => integerOf({ node: lost }), /Optimized out/);
    assert.throws(() => value("*(void *)5"), /void pointer/);
  });
});
