// Call frame information built by hand: the instructions, both dialects, and the step up the stack.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { MemorySource } from "../../src/base";
import { type FrameContext, openDwarf } from "../../src/dwarf";
import { CallFrameInformation } from "../../src/dwarf/cfi";
import { type DwarfInput, memorySections, Sections } from "../../src/dwarf/sections";
import { type Bytes, bytes } from "./byte-builder";

const [ECX, EBX, ESP, EBP, EIP] = [1, 3, 4, 5, 8];

/** A CIE as compilers write it for the i386: CFA = ESP + 4, return address at CFA - 4. */
function cie(
  instructions = (b: Bytes) =>
    b
      .u8(0x0c)
      .uleb(ESP, 4)
      .u8(0x80 | EIP)
      .uleb(1),
): Bytes {
  const body = bytes().u32(0xffffffff).u8(1).text("").uleb(1).sleb(-4).u8(EIP);
  return instructions(body).alignTo(4).withLength();
}

function fde(start: number, size: number, instructions: Bytes): Bytes {
  return bytes().u32(0, start, size).add(instructions).alignTo(4).withLength();
}

function debugFrame(...entries: Bytes[]): DwarfInput {
  return memorySections({
    ".debug_frame": bytes()
      .add(...entries)
      .done(),
  });
}

function information(input: DwarfInput): { cfi: CallFrameInformation; problems: string[] } {
  const problems: string[] = [];
  return { cfi: new CallFrameInformation(new Sections(input), (p) => problems.push(p.message)), problems };
}

describe("call frame information", () => {
  it("gives the row of each address as the prologue goes on", () => {
    const instructions = bytes()
      .u8(0x40 | 1) // push ebp
      .u8(0x0e)
      .uleb(8)
      .u8(0x80 | EBP)
      .uleb(2)
      .u8(0x40 | 2) // mov ebp, esp
      .u8(0x0d)
      .uleb(EBP)
      .u8(0x02, 0x10) // ... leave
      .u8(0xc0 | EBP)
      .u8(0x0c)
      .uleb(ESP, 4);
    const { cfi, problems } = information(debugFrame(cie(), fde(0x1000, 0x20, instructions)));
    const cfa = (address: number) => cfi.rowAt(address)?.cfa;
    assert.deepEqual(cfa(0x1000), { kind: "register", register: ESP, offset: 4 });
    assert.deepEqual(cfa(0x1001), { kind: "register", register: ESP, offset: 8 });
    assert.deepEqual(cfa(0x1002), { kind: "register", register: ESP, offset: 8 });
    assert.deepEqual(cfa(0x1003), { kind: "register", register: EBP, offset: 8 });
    assert.deepEqual(cfi.rowAt(0x1012)?.rules.get(EBP), { kind: "saved", offset: -8 });
    assert.deepEqual(cfa(0x1013), { kind: "register", register: ESP, offset: 4 });
    assert.equal(cfi.rowAt(0x1013)?.rules.get(EBP), undefined, "restored to the rule of the CIE");
    assert.equal(cfi.rowAt(0xfff), undefined);
    assert.equal(cfi.rowAt(0x1020), undefined);
    assert.deepEqual(problems, []);
  });

  it("knows every rule", () => {
    const instructions = bytes()
      .u8(0x05)
      .uleb(EBX, 3) // offset_extended
      .u8(0x11)
      .uleb(ECX)
      .sleb(-2) // offset_extended_sf
      .u8(0x07)
      .uleb(0) // undefined
      .u8(0x08)
      .uleb(6) // same_value
      .u8(0x09)
      .uleb(7, 2) // register
      .u8(0x14)
      .uleb(2, 5) // val_offset
      .u8(0x10)
      .uleb(10, 1)
      .u8(0x31) // expression
      .u8(0x16)
      .uleb(11, 1)
      .u8(0x32) // val_expression
      .u8(0x2e)
      .uleb(12) // GNU_args_size
      .u8(0x2f)
      .uleb(12, 1) // GNU_negative_offset_extended
      .u8(0x0f)
      .uleb(2)
      .u8(0x75, 0x08); // def_cfa_expression
    const row = information(debugFrame(cie(), fde(0, 16, instructions))).cfi.rowAt(0);
    const rule = (n: number) => row?.rules.get(n);
    assert.deepEqual(rule(EBX), { kind: "saved", offset: -12 });
    assert.deepEqual(rule(ECX), { kind: "saved", offset: 8 });
    assert.deepEqual(rule(0), { kind: "undefined" });
    assert.deepEqual(rule(6), { kind: "same" });
    assert.deepEqual(rule(7), { kind: "register", register: 2 });
    assert.deepEqual(rule(2), { kind: "value", offset: -20 });
    assert.equal(rule(10)?.kind, "saved-at");
    assert.equal(rule(11)?.kind, "value-of");
    assert.deepEqual(rule(12), { kind: "saved", offset: 4 });
    assert.equal(row?.cfa.kind, "expression");
  });

  it("remembers and restores states", () => {
    const instructions = bytes()
      .u8(0x0a, 0x0e)
      .uleb(32)
      .u8(0x80 | EBX)
      .uleb(2)
      .u8(0x44, 0x0b);
    const { cfi } = information(debugFrame(cie(), fde(0, 16, instructions)));
    assert.deepEqual(cfi.rowAt(3)?.cfa, { kind: "register", register: ESP, offset: 32 });
    assert.deepEqual(cfi.rowAt(4)?.cfa, { kind: "register", register: ESP, offset: 4 });
    assert.equal(cfi.rowAt(4)?.rules.has(EBX), false);
  });

  it("reads .eh_frame: augmentation, relative pointers, signal frames", () => {
    const cieBody = bytes().u32(0).u8(1).text("zRS").uleb(1).sleb(-4).uleb(EIP).uleb(1).u8(0x1b);
    const cieEntry = cieBody.u8(0x0c).uleb(ESP, 4).alignTo(4).withLength();
    const section = bytes().add(cieEntry);
    const idAt = section.length + 4;
    const pointerAt = idAt + 4;
    // pcrel | sdata4: the function is at 0x1000, the section at 0x5000.
    section.add(
      bytes()
        .u32(idAt, 0x1000 - (0x5000 + pointerAt), 0x10)
        .uleb(0)
        .alignTo(4)
        .withLength(),
    );
    section.u32(0);
    const input: DwarfInput = {
      section: (name) =>
        name === ".eh_frame" ? { bytes: new MemorySource(section.done()), address: 0x5000 } : undefined,
    };
    const { cfi, problems } = information(input);
    const row = cfi.rowAt(0x1004);
    assert.deepEqual(problems, []);
    assert.equal(row?.isSignalFrame, true);
    assert.deepEqual([row?.start, row?.end], [0x1000, 0x1010]);
  });

  it("leaves out what is malformed and keeps the rest", () => {
    const bad = bytes().u32(0x7777, 0x2000, 4).withLength();
    const unknown = fde(0x3000, 4, bytes().u8(0x3f));
    const { cfi, problems } = information(debugFrame(cie(), bad, unknown, fde(0x1000, 4, bytes())));
    assert.ok(cfi.rowAt(0x1000));
    assert.equal(problems.length, 1);
    assert.throws(() => cfi.rowAt(0x3000), /unknown call frame instruction 0x3f/);
    const state = fde(0x1000, 4, bytes().u8(0x0b));
    assert.throws(() => information(debugFrame(cie(), state)).cfi.rowAt(0x1000), /not remembered/);
    const augmented = bytes().u32(0xffffffff).u8(1).text("??").withLength();
    assert.match(information(debugFrame(augmented, fde(0, 4, bytes()))).cfi.isPresent ? "present" : "absent", /absent/);
  });
});

describe("one step up the stack", () => {
  const stack = new Map([
    [0x8ff8, 0xbeef], // saved ebp
    [0x8ffc, 0x4321], // return address
    [0x8ff4, 0x5555], // saved ebx
  ]);
  const readMemory: FrameContext["readMemory"] = (address) => {
    const word = stack.get(address);
    return word === undefined ? undefined : bytes().u32(word).done();
  };
  const frame = (registers: Record<number, number>): FrameContext => ({
    pc: 0x1008,
    register: (n) => registers[n],
    readMemory,
  });
  const framed = bytes()
    .u8(0x0c)
    .uleb(EBP, 8)
    .u8(0x80 | EBP)
    .uleb(2)
    .u8(0x80 | EBX)
    .uleb(3);

  it("gives the caller's registers and where they were saved", () => {
    const dwarf = openDwarf(debugFrame(cie(), fde(0x1000, 0x20, framed)));
    const up = dwarf.unwind(frame({ [EBP]: 0x8ff8, [ESP]: 0x8fe0, [ECX]: 1, 6: 66, 7: 77 }));
    assert.ok(up.ok, JSON.stringify(up));
    assert.equal(up.value.cfa, 0x9000);
    assert.equal(up.value.returnAddress, 0x4321);
    const { registers, savedAt } = up.value;
    assert.deepEqual(
      [registers.get(EBP), registers.get(EBX), registers.get(ESP), registers.get(EIP)],
      [0xbeef, 0x5555, 0x9000, 0x4321],
    );
    assert.deepEqual([registers.get(6), registers.get(7)], [66, 77], "callee-saved registers stay");
    assert.equal(registers.has(ECX), false, "a caller-saved register is not known any more");
    assert.equal(savedAt.get(EBX), 0x8ff4);
  });

  it("says why it cannot", () => {
    const dwarf = openDwarf(debugFrame(cie(), fde(0x1000, 0x20, framed)));
    const reason = (context: FrameContext) => {
      const up = dwarf.unwind(context);
      return up.ok ? "it could" : up.reason;
    };
    assert.match(reason(frame({})), /ebp is not known/);
    assert.match(reason(frame({ [EBP]: 0x100 })), /return address cannot be read/);
    assert.match(reason({ ...frame({}), pc: 0x5000 }), /no call frame information covers 0x5000/);
    const broken = openDwarf(debugFrame(cie(), fde(0x1000, 0x20, bytes().u8(0x3e)))).unwind(frame({}));
    assert.match(broken.ok ? "" : broken.reason, /unknown call frame instruction/);
  });

  it("ends at a frame whose return address is undefined", () => {
    const outermost = bytes().u8(0x07).uleb(EIP);
    const up = openDwarf(debugFrame(cie(), fde(0x1000, 0x20, outermost))).unwind(frame({ [ESP]: 0x8ff8 }));
    assert.ok(up.ok);
    assert.equal(up.value.returnAddress, undefined);
  });
});
