// Functions, scopes and places: range lists and location lists of both generations, shadowing, inlined calls, values on
// entry, and the reasons why a variable has no value.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type Dwarf, describeLocation, type FrameContext, openDwarf } from "../../src/dwarf";
import { type Bytes, bytes } from "./byte-builder";
import { At, type Attribute, buildInfo, type Entry, entry, Form, labelled, Tag, type UnitSpec } from "./info-builder";

const name = (text: string): Attribute => [At.name, Form.string, text];
const low = (address: number): Attribute => [At.low_pc, Form.addr, address];
const high = (length: number): Attribute => [At.high_pc, Form.data4, length];
const expression = (b: Bytes): Attribute => [At.location, Form.exprloc, b];
const INT = labelled("int", Tag.base_type, [name("int"), [At.byte_size, Form.data1, 4], [At.encoding, Form.data1, 5]]);
const int: Attribute = [At.type, Form.ref4, { to: "int" }];
const FRAME_BASE: Attribute = [At.frame_base, Form.exprloc, bytes().u8(0x9c)];

function program(
  spec: Partial<UnitSpec>,
  children: Entry[],
  sections: Record<string, Bytes> = {},
  root: Attribute[] = [],
): Dwarf {
  const others = Object.fromEntries(Object.entries(sections).map(([n, b]) => [n, b.done()]));
  const unit = { version: 4, ...spec, root: entry(Tag.compile_unit, root, [INT, ...children]) };
  return openDwarf({ ...buildInfo(unit), ...others });
}

function frame(pc: number, more: Partial<FrameContext> = {}): FrameContext {
  return {
    pc,
    register: (n) => [10, 11, 12, 13, 0x8000, 0x8010, 16, 17][n],
    readMemory: (address, length) => bytes().u32(address).zeros(length).done().subarray(0, length),
    cfa: () => 0x9000,
    ...more,
  };
}

/** The function's variables at an address, as `name=text`. */
function show(dwarf: Dwarf, pc: number, more: Partial<FrameContext> = {}): string[] {
  const [innermost] = dwarf.framesAt(pc);
  return dwarf.variablesOf(innermost, pc).map((v) => `${v.name}=${dwarf.valueOf(v, frame(pc, more)).text}`);
}

describe("the addresses of a function", () => {
  const functionsOf = (dwarf: Dwarf, ...addresses: number[]) => addresses.map((a) => dwarf.functionAt(a)?.name ?? "-");

  it("may be in several pieces: .debug_ranges", () => {
    const ranges = bytes()
      .u32(0x10, 0x20) // from the unit's base
      .u32(0xffffffff, 0x5000) // a new base
      .u32(0x0, 0x8)
      .u32(0x30, 0x30) // empty
      .u32(0, 0);
    const f = entry(Tag.subprogram, [name("f"), [At.ranges, Form.sec_offset, 0]]);
    const dwarf = program({}, [f], { ".debug_ranges": ranges }, [low(0x1000), high(0x6000)]);
    assert.deepEqual(functionsOf(dwarf, 0x100f, 0x1010, 0x101f, 0x1020, 0x5007, 0x5008), [
      "-",
      "f",
      "f",
      "-",
      "f",
      "-",
    ]);
  });

  it("may be in several pieces: .debug_rnglists with every kind of entry", () => {
    const header = bytes().u16(5).u8(4, 0).u32(1);
    const list = bytes()
      .u8(4)
      .uleb(0x10, 0x20) // offset_pair
      .u8(5)
      .u32(0x2000) // base_address
      .u8(4)
      .uleb(0, 4)
      .u8(6)
      .u32(0x3000, 0x3004) // start_end
      .u8(7)
      .u32(0x4000)
      .uleb(4) // start_length
      .u8(1)
      .uleb(0) // base_addressx: 0x5000
      .u8(4)
      .uleb(0, 4)
      .u8(2)
      .uleb(1, 2) // startx_endx: 0x6000 to 0x6004
      .u8(3)
      .uleb(3, 4) // startx_length: 0x7000
      .u8(0);
    const section = header.u32(4).add(list).withLength();
    const addresses = bytes().u16(5).u8(4, 0).u32(0x5000, 0x6000, 0x6004, 0x7000).withLength();
    const f = entry(Tag.subprogram, [name("f"), [At.ranges, Form.rnglistx, 0]]);
    const root: Attribute[] = [
      low(0x1000),
      high(0x7000),
      [At.rnglists_base, Form.sec_offset, 12],
      [At.addr_base, Form.sec_offset, 8],
    ];
    const dwarf = program({ version: 5 }, [f], { ".debug_rnglists": section, ".debug_addr": addresses }, root);
    for (const start of [0x1010, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000]) {
      assert.deepEqual(functionsOf(dwarf, start - 1, start, start + 3), ["-", "f", "f"], start.toString(16));
    }
    assert.deepEqual(dwarf.problems, []);
  });

  it("that are malformed hide that function only", () => {
    const bad = entry(Tag.subprogram, [name("bad"), [At.ranges, Form.sec_offset, 0x1000]]);
    const good = entry(Tag.subprogram, [name("good"), low(0x1000), high(16)]);
    const dwarf = program({}, [bad, good], { ".debug_ranges": bytes().u32(0, 0) });
    assert.equal(dwarf.functionAt(0x1000)?.name, "good");
    assert.match(dwarf.problems[0], /\.debug_ranges\+0x0: offset 0x1000 is outside the data/);
  });
});

describe("the variables of a frame", () => {
  const variable = (text: string, location?: Bytes): Entry =>
    entry(Tag.variable, [name(text), int, ...(location ? [expression(location)] : [])]);
  const fbreg = (offset: number) => bytes().u8(0x91).sleb(offset);

  it("are those of the blocks around the address; inner ones hide outer ones", () => {
    const f = entry(
      Tag.subprogram,
      [name("f"), low(0x1000), high(0x40), FRAME_BASE],
      [
        entry(Tag.formal_parameter, [name("a"), int, expression(fbreg(0))]),
        variable("x", fbreg(-8)),
        entry(
          Tag.lexical_block,
          [low(0x1010), high(0x10)],
          [
            variable("x", fbreg(-12)),
            entry(Tag.lexical_block, [low(0x1018), high(4)], [variable("y", bytes().u8(0x53))]),
          ],
        ),
        entry(Tag.lexical_block, [low(0x1020), high(0x10)], [variable("z", fbreg(-16))]),
      ],
    );
    const dwarf = program({}, [f]);
    assert.deepEqual(show(dwarf, 0x1000), [`a=${0x9000}`, `x=${0x8ff8}`]);
    assert.deepEqual(show(dwarf, 0x1018), [`a=${0x9000}`, `x=${0x8ff8}`, `x=${0x8ff4}`, "y=13"]);
    assert.deepEqual(show(dwarf, 0x1024), [`a=${0x9000}`, `x=${0x8ff8}`, `z=${0x8ff0}`]);
    const [here] = dwarf.framesAt(0x1018);
    assert.deepEqual(
      dwarf.variablesOf(here, 0x1018).map((v) => [v.name, v.kind, v.depth, v.isShadowed]),
      [
        ["a", "argument", 0, false],
        ["x", "local", 0, true],
        ["x", "local", 1, false],
        ["y", "local", 2, false],
      ],
    );
  });

  it("have constants, static places, or a reason why they have no value", () => {
    const f = entry(
      Tag.subprogram,
      [name("f"), low(0x1000), high(0x40)],
      [
        entry(Tag.variable, [name("constant"), int, [At.const_value, Form.sdata, -5]]),
        entry(Tag.variable, [name("block"), int, [At.const_value, Form.block1, bytes().u32(7)]]),
        variable("counter", bytes().u8(3).u32(0x2000)),
        variable("gone"),
        variable("empty", bytes()),
        variable("based", bytes().u8(0x91, 0)),
        variable("unsaved", bytes().u8(0x90).uleb(20)),
      ],
    );
    const dwarf = program({}, [f]);
    assert.deepEqual(show(dwarf, 0x1000, { cfa: () => undefined }), [
      "constant=-5",
      "block=7",
      `counter=${0x2000}`,
      "gone=<optimized out>",
      "empty=<optimized out>",
      "based=<the function's frame base is not known at this address>",
      "unsaved=<register 20 is not known in this frame>",
    ]);
    const [here] = dwarf.framesAt(0x1000);
    const counter = dwarf.variablesOf(here, 0x1000)[2];
    assert.equal(counter.kind, "static");
    assert.equal(
      describeLocation(dwarf.locate(counter, frame(0x1000)), (n) => `r${n}`),
      "at 0x2000",
    );
  });

  it("are where a location list says for the address: .debug_loc", () => {
    const list = bytes()
      .u32(0x0, 0x8)
      .u16(1)
      .u8(0x50) // eax
      .u32(0x8, 0x10)
      .u16(2)
      .u8(0x3a, 0x9f) // the value 10
      .u32(0xffffffff, 0x1000)
      .u32(0x20, 0x24)
      .u16(0) // empty: optimized out
      .u32(0, 0);
    const f = entry(
      Tag.subprogram,
      [name("f"), low(0x1000), high(0x40)],
      [entry(Tag.variable, [name("v"), int, [At.location, Form.data4, 0]])],
    );
    const dwarf = program({ version: 3 }, [f], { ".debug_loc": list }, [low(0x1000), [At.high_pc, Form.addr, 0x1040]]);
    // Version 3 has no DW_FORM_exprloc and no lengths for DW_AT_high_pc, but readers take what they get.
    assert.deepEqual(show(dwarf, 0x1000), ["v=10"]);
    assert.deepEqual(show(dwarf, 0x1008), ["v=10"]);
    assert.match(
      show(dwarf, 0x1010)[0],
      /^v=<optimized out here \(it has a value at 0x1000\.\.0x1008, 0x1008\.\.0x1010\)>$/,
    );
    assert.match(show(dwarf, 0x1020)[0], /^v=<optimized out/);
  });

  it("are where a location list says for the address: .debug_loclists with every kind of entry", () => {
    const value = (n: number) =>
      bytes()
        .uleb(2)
        .u8(0x30 + n, 0x9f);
    const list = bytes()
      .u8(9)
      .uleb(1, 2) // a view pair
      .u8(4)
      .uleb(0, 4)
      .add(value(1)) // offset_pair
      .u8(6)
      .u32(0x1010)
      .u8(4)
      .uleb(0, 4)
      .add(value(2)) // base_address
      .u8(7)
      .u32(0x1020, 0x1024)
      .add(value(3)) // start_end
      .u8(8)
      .u32(0x1028)
      .uleb(4)
      .add(value(4)) // start_length
      .u8(1)
      .uleb(0)
      .u8(4)
      .uleb(0, 4)
      .add(value(5)) // base_addressx: 0x1030
      .u8(2)
      .uleb(1, 2)
      .add(value(6)) // startx_endx: 0x1034 to 0x1038
      .u8(3)
      .uleb(2, 4)
      .add(value(7)) // startx_length: 0x1038
      .u8(5)
      .add(value(9)) // default
      .u8(0);
    const section = bytes().u16(5).u8(4, 0).u32(1, 4).add(list).withLength();
    const addresses = bytes().u16(5).u8(4, 0).u32(0x1030, 0x1034, 0x1038).withLength();
    const f = entry(
      Tag.subprogram,
      [name("f"), low(0x1000), high(0x80)],
      [entry(Tag.variable, [name("v"), int, [At.location, Form.loclistx, 0]])],
    );
    const root: Attribute[] = [
      low(0x1000),
      high(0x80),
      [At.loclists_base, Form.sec_offset, 12],
      [At.addr_base, Form.sec_offset, 8],
    ];
    const dwarf = program({ version: 5 }, [f], { ".debug_loclists": section, ".debug_addr": addresses }, root);
    const expected = { 4096: 1, 4112: 2, 4128: 3, 4136: 4, 4144: 5, 4148: 6, 4152: 7, 4176: 9 };
    for (const [address, n] of Object.entries(expected)) assert.deepEqual(show(dwarf, Number(address)), [`v=${n}`]);
    assert.deepEqual(dwarf.problems, []);
  });

  it("of an inlined call belong to its own frame; what it lost is shown as optimized out", () => {
    const abstract = labelled(
      "abstract",
      Tag.subprogram,
      [name("inner"), [At.inline, Form.data1, 1]],
      [labelled("p", Tag.formal_parameter, [name("p"), int]), labelled("lost", Tag.variable, [name("lost"), int])],
    );
    const call: Attribute[] = [
      [At.call_file, Form.data1, 1],
      [At.call_line, Form.data1, 42],
    ];
    const inlined = entry(
      Tag.inlined_subroutine,
      [[At.abstract_origin, Form.ref4, { to: "abstract" }], low(0x1010), high(8), ...call],
      [entry(Tag.formal_parameter, [[At.abstract_origin, Form.ref4, { to: "p" }], expression(bytes().u8(0x37, 0x9f))])],
    );
    const outer = entry(
      Tag.subprogram,
      [name("outer"), low(0x1000), high(0x40)],
      [variable("own", bytes().u8(0x50)), inlined],
    );
    const line = bytes()
      .u8(1, 1, -5, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1)
      .text("")
      .text("a.c")
      .uleb(0, 0, 0)
      .text("");
    const table = bytes().u16(3).u32(line.length).add(line);
    const root: Attribute[] = [[At.stmt_list, Form.sec_offset, 0], low(0x1000), high(0x40)];
    const dwarf = program({}, [abstract, outer], { ".debug_line": table.withLength() }, root);
    const frames = dwarf.framesAt(0x1012);
    assert.deepEqual(
      frames.map((f) => [f.name, f.isInlined, f.callSite?.line, f.position?.line]),
      [
        ["inner", true, 42, undefined],
        ["outer", false, undefined, 42],
      ],
    );
    const texts = (i: number) =>
      dwarf.variablesOf(frames[i], 0x1012).map((v) => `${v.name}=${dwarf.valueOf(v, frame(0x1012)).text}`);
    assert.deepEqual(texts(0), ["p=7", "lost=<optimized out>"]);
    assert.deepEqual(texts(1), ["own=10"]);
  });

  it("passed in registers are recovered from the caller's call site", () => {
    for (const [version, site, parameter, returnAt, valueAt, op] of [
      [5, Tag.call_site, Tag.call_site_parameter, At.call_return_pc, At.call_value, 0xa3],
      [4, Tag.GNU_call_site, Tag.GNU_call_site_parameter, At.low_pc, At.GNU_call_site_value, 0xf3],
    ] as const) {
      const callee = entry(
        Tag.subprogram,
        [name("callee"), low(0x1000), high(0x10)],
        [
          entry(Tag.formal_parameter, [name("a"), int, expression(bytes().u8(op).uleb(1).u8(0x50, 0x9f))]),
          entry(Tag.formal_parameter, [name("b"), int, expression(bytes().u8(op).uleb(1).u8(0x51, 0x9f))]),
        ],
      );
      const caller = entry(
        Tag.subprogram,
        [name("caller"), low(0x1010), high(0x20)],
        [
          entry(
            site,
            [[returnAt, Form.addr, 0x1018]],
            [entry(parameter, [expression(bytes().u8(0x50)), [valueAt, Form.exprloc, bytes().u8(0x73).sleb(30)]])],
          ),
        ],
      );
      const dwarf = program({ version }, [callee, caller]);
      const up = (pc: number) => ({ caller: () => frame(pc) });
      assert.deepEqual(show(dwarf, 0x1004, up(0x1017)), [
        "a=43",
        "b=<optimized out: its value on entry is lost (the caller does not say what it passed)>",
      ]);
      assert.match(show(dwarf, 0x1004, up(0x101f))[0], /the compiler described no call there/);
      assert.match(show(dwarf, 0x1004)[0], /the caller is not known/);
    }
  });

  it("that are only declared are found where they are defined", () => {
    const f = entry(
      Tag.subprogram,
      [name("f"), low(0x1000), high(0x10)],
      [
        entry(Tag.variable, [
          name("elsewhere"),
          int,
          [At.declaration, Form.flag_present],
          [At.external, Form.flag_present],
        ]),
      ],
    );
    const dwarf = program({}, [f, variable("elsewhere", bytes().u8(3).u32(0x3000))]);
    assert.deepEqual(show(dwarf, 0x1000), [`elsewhere=${0x3000}`]);
    assert.equal(dwarf.variablesOf(dwarf.framesAt(0x1000)[0], 0x1000)[0].kind, "global");
    assert.deepEqual(
      dwarf.globalsAt(0x1000).map((v) => v.name),
      ["elsewhere"],
    );
  });
});
