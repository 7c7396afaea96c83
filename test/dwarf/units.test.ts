// Units, entries and attribute values: every form, every header, references across units, and damage.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { FormatError } from "../../src/base";
import { openDwarf, stripped, typeName } from "../../src/dwarf";
import { memorySections, Sections } from "../../src/dwarf/sections";
import { UnitList } from "../../src/dwarf/unit-list";
import { bytes } from "./byte-builder";
import { At, buildInfo, entry, Form, labelled, Tag, type UnitSpec, UnitType } from "./info-builder";

function listOf(sections: Readonly<Record<string, Uint8Array>>): { list: UnitList; problems: string[] } {
  const problems: string[] = [];
  return { list: new UnitList(new Sections(memorySections(sections)), (p) => problems.push(p.message)), problems };
}

const UNKNOWN_FORM = 0x77 as Form;

describe("attribute values", () => {
  const strings = bytes().text("", "from .debug_str").done();
  const lineStrings = bytes().text("", "from .debug_line_str").done();
  const block = bytes().u8(1, 2, 3);

  it("are found behind values of every form", () => {
    const forms: [Form, number | string | Uint8Array][] = [
      [Form.addr, 1],
      [Form.block1, block.done()],
      [Form.block2, block.done()],
      [Form.block4, block.done()],
      [Form.block, block.done()],
      [Form.exprloc, block.done()],
      [Form.data1, 1],
      [Form.data2, 1],
      [Form.data4, 1],
      [Form.data8, 1],
      [Form.data16, bytes().zeros(16).done()],
      [Form.sdata, -300],
      [Form.udata, 300],
      [Form.implicit_const, 5],
      [Form.string, "text"],
      [Form.strp, 1],
      [Form.line_strp, 1],
      [Form.strx, 200],
      [Form.strx1, 1],
      [Form.strx2, 1],
      [Form.strx3, 1],
      [Form.strx4, 1],
      [Form.addrx, 200],
      [Form.addrx1, 1],
      [Form.addrx2, 1],
      [Form.addrx3, 1],
      [Form.addrx4, 1],
      [Form.flag, 1],
      [Form.flag_present, 1],
      [Form.ref1, 1],
      [Form.ref2, 1],
      [Form.ref4, 1],
      [Form.ref8, 1],
      [Form.ref_udata, 1],
      [Form.ref_addr, 1],
      [Form.ref_sig8, 1],
      [Form.sec_offset, 1],
      [Form.loclistx, 200],
      [Form.rnglistx, 200],
    ];
    for (const version of [2, 3, 4, 5]) {
      for (const is64 of [false, true]) {
        const children = forms.map(([form, value]) =>
          entry(Tag.variable, [
            [At.encoding, form, value],
            [At.decl_line, Form.data1, 42],
          ]),
        );
        const { list, problems } = listOf(buildInfo({ version, is64, root: entry(Tag.compile_unit, [], children) }));
        const lines = [...list.units[0].root.children()].map((die) => die.number(At.decl_line));
        assert.deepEqual(lines, Array(forms.length).fill(42), `version ${version}`);
        assert.deepEqual(problems, []);
      }
    }
  });

  it("mean what their form says", () => {
    const offsets = bytes().u32(12).u16(5, 0).u32(0, 1).done();
    const addresses = bytes().u32(12).u16(5).u8(4, 0).u32(0x1111, 0xc0100000).done();
    const root = entry(
      Tag.compile_unit,
      [
        [At.str_offsets_base, Form.sec_offset, 8],
        [At.addr_base, Form.sec_offset, 8],
        [At.name, Form.strx1, 1],
      ],
      [
        labelled("target", Tag.base_type, [[At.name, Form.line_strp, 1]]),
        entry(Tag.variable, [
          [At.name, Form.strp, 1],
          [At.type, Form.ref4, { to: "target" }],
          [At.low_pc, Form.addrx, 1],
          [At.const_value, Form.sdata, -5n],
          [At.upper_bound, Form.implicit_const, -7],
          [At.count, Form.data8, 0xffffffffffffffffn],
          [At.external, Form.flag_present],
          [At.declaration, Form.flag, false],
          [At.location, Form.exprloc, bytes().u8(0x50)],
        ]),
      ],
    );
    const { list } = listOf({
      ...buildInfo({ version: 5, root }),
      ".debug_str": strings,
      ".debug_line_str": lineStrings,
      ".debug_str_offsets": offsets,
      ".debug_addr": addresses,
    });
    const [, die] = [...list.units[0].root.children()];
    assert.equal(list.units[0].name, "from .debug_str");
    assert.equal(die.name, "from .debug_str");
    assert.equal(die.reference(At.type)?.name, "from .debug_line_str");
    assert.equal(die.address(At.low_pc), 0xc0100000);
    assert.equal(die.number(At.const_value), -5);
    assert.equal(die.number(At.upper_bound), -7);
    const count = die.value(At.count);
    assert.equal(count?.kind === "constant" && count.big, 0xffffffffffffffffn);
    assert.deepEqual([die.flag(At.external), die.flag(At.declaration)], [true, false]);
    assert.deepEqual([...(die.expression(At.location) ?? [])], [0x50]);
  });

  it("of an unknown form end the unit, and what came before stays", () => {
    const root = entry(
      Tag.compile_unit,
      [],
      [entry(Tag.variable, [[At.name, Form.string, "good"]]), entry(Tag.variable, [[At.name, Form.string, "bad"]])],
    );
    const sections = { ...buildInfo({ root }) };
    const abbrevs = Uint8Array.from(sections[".debug_abbrev"]);
    abbrevs[abbrevs.lastIndexOf(Form.string)] = UNKNOWN_FORM;
    const { list, problems } = listOf({ ...sections, ".debug_abbrev": abbrevs });
    assert.deepEqual(
      [...list.units[0].root.children()].map((d) => d.name),
      ["good"],
    );
    assert.match(problems[0], /^\.debug_info\+0x\w+: unknown attribute form 0x77$/);
  });
});

describe("units", () => {
  const named = (name: string, more: Partial<UnitSpec> = {}): UnitSpec => ({
    ...more,
    root: entry(Tag.compile_unit, [[At.name, Form.string, name]]),
  });

  it("of all versions stand side by side", () => {
    const specs = [2, 3, 4, 5].flatMap((version) => [
      named(`v${version}`, { version }),
      named(`v${version} in 64-bit format`, { version, is64: true }),
    ]);
    const { list, problems } = listOf(buildInfo(...specs));
    assert.deepEqual(
      list.units.map((u) => u.name),
      specs.map((s) => s.root.attributes[0][2]),
    );
    assert.deepEqual(problems, []);
  });

  it("of unknown versions are left out, and that is said", () => {
    const { list, problems } = listOf(buildInfo(named("a"), named("b", { version: 6 }), named("c")));
    assert.deepEqual(
      list.units.map((u) => u.name),
      ["a", "c"],
    );
    assert.match(problems[0], /DWARF version 6 is not supported/);
    const alone = openDwarf({ ...buildInfo(named("b", { version: 6 })) }).lineAt(0);
    assert.match(alone.ok ? "" : alone.reason, /^no line information: .*version 6 is not supported$/);
  });

  it("whose details are in other files say so", () => {
    const { problems } = listOf(buildInfo(named("a", { version: 5, type: UnitType.skeleton })));
    assert.match(problems[0], /separate \.dwo files.*-gsplit-dwarf/);
  });

  it("that are cut short are left out", () => {
    const whole = buildInfo(named("a"), named("b"));
    const cut = { ...whole, ".debug_info": whole[".debug_info"].subarray(0, -1) };
    const { list, problems } = listOf(cut);
    assert.deepEqual(
      list.units.map((u) => u.name),
      ["a"],
    );
    assert.match(problems[0], /but only \d+ are left/);
  });

  it("refer to each other's entries", () => {
    const { list } = listOf(
      buildInfo(
        {
          version: 2,
          root: entry(Tag.compile_unit, [], [labelled("int", Tag.base_type, [[At.name, Form.string, "int"]])]),
        },
        {
          version: 4,
          root: entry(Tag.compile_unit, [], [entry(Tag.variable, [[At.type, Form.ref_addr, { to: "int" }]])]),
        },
      ),
    );
    assert.equal([...list.units[1].root.children()][0].reference(At.type)?.name, "int");
    assert.equal(list.entryAtInfoOffset(0x7fffffff), undefined);
  });

  it("find types of type units by signature, in both places", () => {
    for (const version of [4, 5]) {
      const struct = labelled("s", Tag.structure_type, [
        [At.name, Form.string, "far"],
        [At.byte_size, Form.data1, 12],
      ]);
      const dwarf = openDwarf({
        ...buildInfo(
          {
            version,
            root: entry(
              Tag.compile_unit,
              [],
              [
                entry(Tag.variable, [
                  [At.name, Form.string, "v"],
                  [At.location, version < 4 ? Form.block1 : Form.exprloc, bytes().u8(3).u32(0)],
                  [At.type, Form.ref_sig8, 0x1122334455667788n],
                ]),
              ],
            ),
          },
          {
            version,
            type: UnitType.type,
            signature: 0x1122334455667788n,
            typeLabel: "s",
            root: entry(Tag.type_unit, [], [struct]),
          },
        ),
      });
      const [variable] = dwarf.globalsNamed("v");
      assert.equal(typeName(variable.type), "struct far", `version ${version}`);
      assert.equal(stripped(variable.type).byteSize, 12);
    }
  });

  it("survive references that lead nowhere or in a circle", () => {
    const dwarf = openDwarf({
      ...buildInfo({
        root: entry(
          Tag.compile_unit,
          [],
          [
            labelled("loop", Tag.typedef, [
              [At.name, Form.string, "loop"],
              [At.type, Form.ref4, { to: "loop" }],
            ]),
            labelled("const", Tag.const_type, [[At.type, Form.ref4, { to: "const" }]]),
            labelled("origin", Tag.variable, [
              [At.specification, Form.ref4, { to: "origin" }],
              [At.location, Form.exprloc, bytes().u8(3).u32(0)],
            ]),
            entry(Tag.variable, [
              [At.name, Form.string, "nowhere"],
              [At.location, Form.exprloc, bytes().u8(3).u32(0)],
              [At.type, Form.ref4, 3],
            ]),
            entry(Tag.variable, [
              [At.name, Form.string, "constant"],
              [At.location, Form.exprloc, bytes().u8(3).u32(0)],
              [At.type, Form.ref4, { to: "const" }],
            ]),
          ],
        ),
      }),
    });
    const frame = { pc: 0, register: () => 0, readMemory: () => new Uint8Array(4) };
    assert.match(dwarf.valueOf(dwarf.globalsNamed("nowhere")[0], frame).text, /points to no type/);
    assert.match(dwarf.valueOf(dwarf.globalsNamed("constant")[0], frame).text, /defined by itself/);
    assert.equal(typeName(dwarf.typesNamed("loop")[0]), "loop");
    assert.ok(typeName(dwarf.globalsNamed("constant")[0].type).length < 200);
  });

  it("in a section that cannot be read give its reason, and it is tried once", () => {
    let tries = 0;
    const dwarf = openDwarf({
      section: (name) => {
        if (name !== ".debug_info") return undefined;
        tries++;
        throw new FormatError("its compressed bytes cannot be read", name, 0);
      },
    });
    for (let i = 0; i < 3; i++) {
      const line = dwarf.lineAt(i);
      assert.match(line.ok ? "" : line.reason, /^no line information: .*compressed bytes cannot be read$/);
    }
    assert.equal(tries, 1);
  });

  it("may be absent: every question has an answer", () => {
    const dwarf = openDwarf({});
    const line = dwarf.lineAt(0x1000);
    assert.match(line.ok ? "" : line.reason, /built without debug information/);
    const addresses = dwarf.addressesOf("main.c", 1);
    assert.match(addresses.ok ? "" : addresses.reason, /built without debug information/);
    assert.deepEqual(dwarf.framesAt(0), []);
    assert.deepEqual(dwarf.sourceFiles(), []);
    assert.deepEqual(dwarf.functionsNamed("main"), []);
    assert.deepEqual(dwarf.breakpointLocations("main.c", 1, 9), []);
    assert.equal(dwarf.unwind({ pc: 0, register: () => 0, readMemory: () => undefined }).ok, false);
    const summary = dwarf.summary();
    assert.deepEqual([summary.unitCount, summary.versions, summary.hasCallFrames], [0, [], false]);
  });
});
