// Types: their C spelling, the places of bit-fields in old and new style, arrays, enumerations, and names across units.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type Dwarf, declarationOf, openDwarf, stripped, structDefinition, type Type, typeName } from "../../src/dwarf";
import { bytes } from "./byte-builder";
import { At, type Attribute, buildInfo, type Entry, entry, Form, labelled, Tag } from "./info-builder";

const name = (text: string): Attribute => [At.name, Form.string, text];
const type = (to: string): Attribute => [At.type, Form.ref4, { to }];
const size = (n: number): Attribute => [At.byte_size, Form.data1, n];
const pointer = (label: string, ...to: string[]): Entry =>
  labelled(label, Tag.pointer_type, [size(4), ...to.map(type)]);

const INT = labelled("int", Tag.base_type, [name("int"), size(4), [At.encoding, Form.data1, 5]]);
const CHAR = labelled("char", Tag.base_type, [name("char"), size(1), [At.encoding, Form.data1, 6]]);
const range = (count?: number, form = Form.data1): Entry =>
  entry(Tag.subrange_type, count === undefined ? [] : [[At.upper_bound, form, count]]);

/** A program whose only unit has these entries, and a variable for each type that is asked for. */
function program(entries: readonly Entry[], version = 4): Dwarf {
  return openDwarf(buildInfo({ version, root: entry(Tag.compile_unit, [], [INT, CHAR, ...entries]) }));
}

function typeOf(label: string, entries: readonly Entry[], version = 4): Type {
  const location: Attribute = [At.location, version < 4 ? Form.block1 : Form.exprloc, bytes().u8(3).u32(0)];
  const variable = entry(Tag.variable, [name("v"), location, ...(label === "" ? [] : [type(label)])]);
  return program([...entries, variable], version).globalsNamed("v")[0].type;
}

describe("a type's name", () => {
  const spelled = (label: string, ...entries: Entry[]) => typeName(typeOf(label, entries));

  it("is spelled as C does", () => {
    assert.equal(spelled("int"), "int");
    assert.equal(spelled("p", pointer("p")), "void *");
    assert.equal(spelled("pp", pointer("p", "char"), pointer("pp", "p")), "char **");
    assert.equal(spelled("a", labelled("a", Tag.array_type, [type("int")], [range(1), range(2)])), "int [2][3]");
    assert.equal(spelled("a", labelled("a", Tag.array_type, [type("int")], [range()])), "int []");
    const names = labelled("a", Tag.array_type, [type("p")], [range(3)]);
    assert.equal(spelled("a", pointer("p", "char"), names), "char *[4]");
    const row = labelled("a", Tag.array_type, [type("int")], [range(2)]);
    assert.equal(spelled("p", row, pointer("p", "a")), "int (*)[3]");
  });

  it("puts qualifiers where they belong", () => {
    const constChar = labelled("cc", Tag.const_type, [type("char")]);
    const volatileConst = labelled("vc", Tag.volatile_type, [type("cc")]);
    assert.equal(spelled("p", constChar, pointer("p", "cc")), "const char *");
    assert.equal(spelled("vc", constChar, volatileConst), "const volatile char");
    const constPointer = labelled("cp", Tag.const_type, [type("p")]);
    assert.equal(spelled("cp", constChar, pointer("p", "cc"), constPointer), "const char * const");
    assert.equal(
      spelled("pp", constChar, pointer("p", "cc"), constPointer, pointer("pp", "cp")),
      "const char * const*",
    );
    assert.equal(spelled("c", labelled("c", Tag.const_type, [])), "const void");
  });

  it("turns functions inside out", () => {
    const handler = labelled(
      "f",
      Tag.subroutine_type,
      [[At.prototyped, Form.flag_present]],
      [entry(Tag.formal_parameter, [type("int")]), entry(Tag.unspecified_parameters, [])],
    );
    const none = labelled("n", Tag.subroutine_type, [[At.prototyped, Form.flag_present], type("int")]);
    const table = labelled("a", Tag.array_type, [type("p")], [range(1)]);
    assert.equal(spelled("p", handler, pointer("p", "f")), "void (*)(int, ...)");
    assert.equal(spelled("a", none, pointer("p", "n"), table), "int (*[2])(void)");
    assert.equal(declarationOf(typeOf("p", [handler, pointer("p", "f")]), "on_trap"), "void (*on_trap)(int, ...)");
  });

  it("has an end even if the type has none", () => {
    const f = labelled(
      "f",
      Tag.subroutine_type,
      [[At.prototyped, Form.flag_present]],
      [entry(Tag.formal_parameter, [type("p")]), entry(Tag.formal_parameter, [type("p")])],
    );
    assert.ok(spelled("p", f, pointer("p", "f")).length < 5000);
  });

  it("tells structures, classes, enumerations and references", () => {
    assert.equal(spelled("s", labelled("s", Tag.structure_type, [name("page")])), "struct page");
    assert.equal(spelled("s", labelled("s", Tag.structure_type, [])), "struct {...}");
    assert.equal(spelled("u", labelled("u", Tag.union_type, [name("word")])), "union word");
    assert.equal(spelled("e", labelled("e", Tag.enumeration_type, [name("color")])), "enum color");
    const nested = entry(Tag.namespace, [name("ns")], [labelled("c", Tag.class_type, [name("stack")])]);
    assert.equal(spelled("c", nested), "class ns::stack");
    assert.equal(spelled("r", labelled("r", Tag.reference_type, [type("int")])), "int &");
    assert.equal(spelled("r", labelled("r", Tag.rvalue_reference_type, [type("int")])), "int &&");
  });
});

describe("a base type", () => {
  it("is found in every spelling, and is known if the program does not use it", () => {
    const gcc = program([entry(Tag.base_type, [name("long unsigned int"), size(4), [At.encoding, Form.data1, 7]])]);
    const clang = program([entry(Tag.base_type, [name("unsigned long"), size(4), [At.encoding, Form.data1, 7]])]);
    for (const spelling of ["unsigned long", "long unsigned int", "unsigned long int", " unsigned   long "]) {
      assert.equal(typeName(gcc.typesNamed(spelling)[0]), "long unsigned int", spelling);
      assert.equal(typeName(clang.typesNamed(spelling)[0]), "unsigned long", spelling);
    }
    const sizes = ["short", "signed char", "long long unsigned int", "unsigned", "long double", "bool", "signed"].map(
      (n) => {
        const [t] = gcc.typesNamed(n).map(stripped);
        return t.kind === "base" ? [t.name, t.byteSize, t.isSigned] : [];
      },
    );
    assert.deepEqual(sizes, [
      ["short", 2, true],
      ["signed char", 1, true],
      ["unsigned long long", 8, false],
      ["unsigned int", 4, false],
      ["long double", 12, true],
      ["bool", 1, false],
      ["int", 4, true],
    ]);
    assert.deepEqual(gcc.typesNamed("fish"), []);
    assert.deepEqual(gcc.typesNamed("toString"), []);
    assert.equal(typeName(gcc.typesNamed("void")[0]), "void");
  });
});

describe("a structure", () => {
  const members = (version: number, ...list: Attribute[][]) => {
    const struct = labelled(
      "s",
      Tag.structure_type,
      [name("s"), size(8)],
      list.map((m) => entry(Tag.member, m)),
    );
    const t = stripped(typeOf("s", [struct], version));
    assert.equal(t.kind, "struct");
    return t.kind === "struct" ? t.members : [];
  };
  const at = (n: number): Attribute => [At.data_member_location, Form.data1, n];

  it("has bit-fields counted from the low bit, as version 4 and 5 write them", () => {
    const [a, b] = members(
      5,
      [name("a"), type("int"), [At.bit_size, Form.data1, 3], [At.data_bit_offset, Form.data1, 5]],
      [name("b"), type("int"), [At.bit_size, Form.data1, 7], [At.data_bit_offset, Form.data1, 29]],
    );
    assert.deepEqual([a.byteOffset, a.bitOffset, a.bitSize], [0, 5, 3]);
    assert.deepEqual([b.byteOffset, b.bitOffset, b.bitSize], [3, 5, 7]);
  });

  it("has bit-fields counted from the high bit, as versions 2 and 3 write them", () => {
    const place: Attribute = [At.data_member_location, Form.block1, bytes().u8(0x23).uleb(4)];
    const [a, b] = members(
      2,
      [name("a"), type("int"), size(4), [At.bit_size, Form.data1, 3], [At.bit_offset, Form.data1, 24], place],
      [name("b"), type("int"), size(1), [At.bit_size, Form.data1, 1], [At.bit_offset, Form.data1, 7], place],
    );
    assert.deepEqual([a.byteOffset, a.bitOffset, a.bitSize], [4, 5, 3]);
    assert.deepEqual([b.byteOffset, b.bitOffset], [4, 0]);
  });

  it("has places as constants and as expressions; a place known only at run time is said to be so", () => {
    const [a, b, c] = members(
      3,
      [name("a"), type("int"), at(4)],
      [name("b"), type("int"), [At.data_member_location, Form.block1, bytes().u8(0x23).uleb(300)]],
      [name("c"), type("int"), [At.data_member_location, Form.block1, bytes().u8(0x12, 0x06)]],
    );
    assert.deepEqual([a.byteOffset, b.byteOffset], [4, 300]);
    assert.match(c.problem ?? "", /run time/);
  });

  it("leaves out static members and shows base classes", () => {
    const base = labelled("base", Tag.class_type, [name("base"), size(4)]);
    const derived = labelled(
      "d",
      Tag.class_type,
      [name("derived"), size(8)],
      [
        entry(Tag.inheritance, [type("base"), at(0)]),
        entry(Tag.member, [name("own"), type("int"), at(4)]),
        entry(Tag.member, [name("shared"), type("int"), [At.declaration, Form.flag_present]]),
      ],
    );
    const t = stripped(typeOf("d", [base, derived]));
    assert.deepEqual(t.kind === "struct" && t.members.map((m) => [m.name, m.isInheritance]), [
      [undefined, true],
      ["own", false],
    ]);
  });

  it("can be printed as its definition", () => {
    const struct = labelled(
      "s",
      Tag.structure_type,
      [name("s"), size(8)],
      [
        entry(Tag.member, [
          name("a"),
          type("int"),
          at(0),
          [At.bit_size, Form.data1, 3],
          [At.data_bit_offset, Form.data1, 2],
        ]),
        entry(Tag.member, [name("next"), type("p"), at(4)]),
      ],
    );
    const t = stripped(typeOf("s", [pointer("p", "s"), struct]));
    assert.equal(
      t.kind === "struct" ? structDefinition(t) : "",
      "struct s {\n  int a : 3;  /* 0:2, 4 */\n  struct s *next;  /* 4, 4 */\n}",
    );
  });

  it("that is only declared is found where another unit defines it", () => {
    const use = labelled("v", Tag.variable, [
      name("v"),
      [At.location, Form.exprloc, bytes().u8(3).u32(0)],
      [At.type, Form.ref4, { to: "declared" }],
    ]);
    const declared = labelled("declared", Tag.structure_type, [name("far"), [At.declaration, Form.flag_present]]);
    const defined = entry(Tag.structure_type, [name("far"), size(24)]);
    const decoy = entry(Tag.union_type, [name("far"), size(99)]);
    const dwarf = openDwarf(
      buildInfo(
        { root: entry(Tag.compile_unit, [], [declared, use]) },
        { root: entry(Tag.compile_unit, [], [decoy, defined]) },
      ),
    );
    const t = stripped(dwarf.globalsNamed("v")[0].type);
    assert.equal(t.kind === "struct" && t.isPending, true, "it is looked for when it is needed, and not before");
    assert.equal(typeName(t), "struct far");
    assert.equal(t.byteSize, 24);
    assert.equal(t.kind === "struct" && t.isPending, false);
    assert.equal(dwarf.typesNamed("union far").length, 1);
    assert.equal(dwarf.typesNamed("far").length, 2);
  });
});

describe("an array", () => {
  const counts = (...dimensions: Entry[]) => {
    const found: (number | undefined)[] = [];
    let t = stripped(typeOf("a", [labelled("a", Tag.array_type, [type("int")], dimensions)]));
    while (t.kind === "array") {
      found.push(t.count);
      t = stripped(t.element);
    }
    return found;
  };

  it("has as many elements as its bound says, in every form", () => {
    assert.deepEqual(counts(range(255)), [256], "a byte of ones is a bound like any other");
    assert.deepEqual(counts(range(0xffff, Form.data2)), [0x10000]);
    assert.deepEqual(counts(range(0xffffffff, Form.data4)), [0], "gcc's [0]");
    assert.deepEqual(counts(range(-1, Form.sdata)), [0]);
    assert.deepEqual(counts(entry(Tag.subrange_type, [[At.count, Form.data1, 5]])), [5]);
    assert.deepEqual(counts(range(1), range()), [2, undefined]);
    const fortran = entry(Tag.subrange_type, [
      [At.lower_bound, Form.sdata, -2],
      [At.upper_bound, Form.sdata, 2],
    ]);
    assert.deepEqual(counts(fortran), [5]);
  });
});

describe("an enumeration", () => {
  const enumeration = (attributes: Attribute[], ...values: [string, Form, number | bigint][]) => {
    const children = values.map(([n, form, v]) => entry(Tag.enumerator, [name(n), [At.const_value, form, v]]));
    const t = stripped(
      typeOf("e", [labelled("e", Tag.enumeration_type, [name("e"), size(4), ...attributes], children)]),
    );
    assert.ok(t.kind === "enum");
    return t;
  };

  it("has signed values if one is negative, or if its base type is", () => {
    const signed = enumeration([], ["MINUS", Form.sdata, -1], ["ONE", Form.data1, 1]);
    assert.deepEqual(
      signed.enumerators.map((e) => e.value),
      [-1n, 1n],
    );
    const unsigned = enumeration([], ["ALL", Form.data4, 0xffffffff]);
    assert.deepEqual([unsigned.isSigned, unsigned.enumerators[0].value], [false, 0xffffffffn]);
    assert.equal(enumeration([type("int")], ["ONE", Form.data1, 1]).isSigned, true);
  });

  it("is one of flags if its values are single bits", () => {
    const flags = enumeration([], ["NONE", Form.data1, 0], ["A", Form.data1, 1], ["B", Form.data1, 8]);
    assert.equal(flags.isFlags, true);
    assert.equal(enumeration([], ["A", Form.data1, 1], ["B", Form.data1, 3]).isFlags, false);
  });

  it("gives its enumerators by name", () => {
    const dwarf = program([
      entry(
        Tag.enumeration_type,
        [name("calls"), size(4)],
        [entry(Tag.enumerator, [name("LHCALL_SET_PTE"), [At.const_value, Form.data1, 14]])],
      ),
    ]);
    const [found] = dwarf.enumeratorsNamed("LHCALL_SET_PTE");
    assert.deepEqual([found.name, found.value, typeName(found.type)], ["LHCALL_SET_PTE", 14n, "enum calls"]);
  });
});

describe("the index of names", () => {
  const units = Array.from({ length: 20 }, (_, i) => ({
    root: entry(
      Tag.compile_unit,
      [],
      [
        entry(Tag.structure_type, [name("shared"), size(4)]),
        entry(Tag.subprogram, [
          name(`function_${i}`),
          [At.low_pc, Form.addr, 0x1000 + i * 16],
          [At.high_pc, Form.data4, 16],
        ]),
        entry(Tag.subprogram, [
          name("static_one"),
          [At.low_pc, Form.addr, 0x3000 + i * 16],
          [At.high_pc, Form.data4, 16],
        ]),
        entry(Tag.subprogram, [name("declared"), [At.declaration, Form.flag_present]]),
      ],
    ),
  }));

  it("is built in steps, and completed by the first question", () => {
    const dwarf = openDwarf(buildInfo(...units));
    assert.equal(dwarf.names.isComplete, false);
    let steps = 0;
    while (!dwarf.names.step(10)) {
      steps++;
      assert.ok(dwarf.names.progress > 0 && dwarf.names.progress < 1);
    }
    assert.ok(steps > 5, `${steps} steps`);
    const asked = openDwarf(buildInfo(...units));
    assert.equal(asked.functionsNamed("function_7")[0].entry, 0x1070);
    assert.equal(asked.names.isComplete, true);
  });

  it("has every function, a few of equal types, and no declarations", () => {
    const dwarf = openDwarf(buildInfo(...units));
    assert.equal(dwarf.functionsNamed("static_one").length, 20);
    assert.deepEqual(dwarf.functionsNamed("declared"), []);
    assert.equal(dwarf.typesNamed("struct shared").length, 4);
    assert.deepEqual(dwarf.names.complete("function", "function_1", 3), ["function_1", "function_10", "function_11"]);
  });

  it("finds what is in namespaces and classes by its full name, and by the linker's", () => {
    const dwarf = openDwarf(
      buildInfo({
        root: entry(
          Tag.compile_unit,
          [],
          [
            entry(
              Tag.namespace,
              [name("ns")],
              [
                entry(
                  Tag.class_type,
                  [name("queue")],
                  [
                    labelled("method", Tag.subprogram, [
                      name("push"),
                      [At.linkage_name, Form.string, "_ZN2ns5queue4pushEv"],
                      [At.declaration, Form.flag_present],
                    ]),
                  ],
                ),
              ],
            ),
            entry(Tag.subprogram, [
              [At.specification, Form.ref4, { to: "method" }],
              [At.low_pc, Form.addr, 0x1000],
              [At.high_pc, Form.addr, 0x1010],
            ]),
          ],
        ),
      }),
    );
    for (const wanted of ["push", "ns::queue::push", "_ZN2ns5queue4pushEv"]) {
      assert.equal(dwarf.functionsNamed(wanted)[0]?.qualifiedName, "ns::queue::push", wanted);
    }
    assert.equal(dwarf.typesNamed("ns::queue").length, 1);
    assert.equal(dwarf.functionAt(0x100f)?.linkageName, "_ZN2ns5queue4pushEv");
  });
});
