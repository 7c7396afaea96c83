// What decode() says about one instruction: addressing, prefixes, immediates, refusals. SDM Vol. 2, chapter 2.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { GuestFault } from "../../../src/x86";
import { createDecoder, type Decoded } from "../../../src/x86/decoder";
import { Reg, Seg, Vector } from "../../../src/x86/state-layout";

const decoder = createDecoder();

function decodeHex(hex: string, code32 = true) {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  return decoder.decode((offset) => bytes[offset] ?? 0x90, { code32 });
}
function decoded(hex: string, code32 = true): Decoded {
  const result = decodeHex(hex, code32);
  assert.ok(!result.invalid, `${hex} is refused`);
  return result;
}
function address(d: Decoded) {
  const { base, index, scale, displacement, segment } = d;
  return { base, index, scale, displacement, segment };
}

describe("decode", () => {
  it("takes apart base, scaled index and 8-bit displacement", () => {
    const d = decoded("8b 44 b3 f0");
    assert.deepEqual(address(d), { base: Reg.EBX, index: Reg.ESI, scale: 2, displacement: -16, segment: Seg.DS });
    assert.equal(d.length, 4);
  });
  it("uses SS by default when the base is ESP or EBP", () => {
    assert.equal(decoded("8b 04 24").segment, Seg.SS);
    assert.equal(decoded("8b 45 00").segment, Seg.SS);
    assert.equal(decoded("8b 04 2b").segment, Seg.DS, "EBP as an index does not count");
    assert.equal(decoded("3e 8b 45 00").segment, Seg.DS);
  });
  it("knows that a SIB without base has a 32-bit displacement", () => {
    const d = decoded("8b 04 8d 78 56 34 12");
    assert.deepEqual(address(d), { base: -1, index: Reg.ECX, scale: 2, displacement: 0x12345678, segment: Seg.DS });
  });
  it("gives 16-bit addresses as pairs of registers", () => {
    const d = decoded("8b 42 fe", false);
    assert.deepEqual(address(d), { base: Reg.EBP, index: Reg.ESI, scale: 0, displacement: -2, segment: Seg.SS });
    assert.equal(d.addressSize, 2);
    assert.equal(decoded("67 8b 06 34 12").displacement, 0x1234);
  });
  it("extends an 8-bit immediate to the operand size", () => {
    assert.equal(decoded("83 c0 ff").operands[1].value, 0xffffffff);
    assert.equal(decoded("66 83 c0 ff").operands[1].value, 0xffff);
    assert.equal(decoded("c1 e0 ff").operands[1].value, 0xff);
  });
  it("gives a relative operand as a signed displacement, a far one as offset and selector", () => {
    assert.equal(decoded("eb fe").operands[0].value, -2);
    const far = decoded("ea 78 56 34 12 08 00").operands[0];
    assert.deepEqual([far.value, far.selector], [0x12345678, 8]);
  });
  it("lets the last of several overrides win, and F2 and F3 over 66 as mandatory prefixes", () => {
    assert.equal(decoded("2e 64 8b 00").segment, Seg.FS);
    assert.equal(decoded("66 f3 0f 10 c1").row.mnemonic, "MOVSS");
  });
  it("tells repeated string instructions, and ignores the prefix elsewhere", () => {
    assert.equal(decoded("f3 a4").repeat, "rep");
    assert.equal(decoded("f2 a6").repeat, "repne");
    assert.equal(decoded("f3 40").repeat, "none");
  });
  it("tells memory forms from register forms, and groups by ModRM.reg", () => {
    assert.equal(decoded("0f 01 38").row.mnemonic, "INVLPG");
    assert.equal(decoded("0f c7 09").row.mnemonic, "CMPXCHG8B");
    assert.equal(decodeHex("0f 01 c1").invalid, true, "VMCALL does not exist");
    assert.equal(decodeHex("8d c0").invalid, true, "LEA of a register");
    assert.equal(decodeHex("0f c7 c9").invalid, true);
  });
  it("refuses LOCK but on memory destinations of certain instructions", () => {
    assert.equal(decoded("f0 01 00").isLocked, true);
    assert.equal(decodeHex("f0 01 c0").invalid, true);
    assert.equal(decodeHex("f0 39 00").invalid, true, "CMP writes nothing");
    assert.equal(decodeHex("f0 90").invalid, true);
  });
  it("refuses segment and control registers that do not exist", () => {
    assert.equal(decodeHex("8e c8").invalid, true, "MOV CS");
    assert.equal(decodeHex("8c f0").invalid, true, "segment register 6");
    assert.equal(decodeHex("0f 20 c8").invalid, true, "CR1");
    assert.equal(decoded("0f 20 18").row.mnemonic, "MOV", "ModRM.mod does not matter");
  });
  it("raises #GP(0) for an instruction of more than 15 bytes, and passes on a fault of the fetch", () => {
    assert.throws(
      () => decodeHex("66".repeat(14) + "0fafc1"),
      (fault: unknown) => fault instanceof GuestFault && fault.vector === Vector.GP && fault.errorCode === 0,
    );
    assert.equal(decoded("66".repeat(12) + "0fafc1").length, 15);
    const pageFault = new GuestFault(Vector.PF, 4);
    const fetch = (offset: number) => {
      if (offset === 2) throw pageFault;
      return [0x81, 0xc0][offset];
    };
    assert.throws(
      () => decoder.decode(fetch, { code32: true }),
      (fault: unknown) => fault === pageFault,
    );
  });
  it("counts ESP of POP [ESP] after the increment", () => {
    assert.equal(decoded("8f 44 24 08").displacement, 12);
    assert.equal(decoded("8f 40 08").displacement, 8);
  });
});
