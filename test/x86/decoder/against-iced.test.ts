// Lengths and mnemonics of many encodings compared with an independent disassembler (iced-x86, which knows every extension).
import assert from "node:assert/strict";
import { CpuidFeature, DecoderOptions, Decoder as Iced, Mnemonic } from "iced-x86";
import { describe, it } from "mocha";
import { createDecoder } from "../../../src/x86/decoder";

/** What the processor is: anything iced attributes only to these must decode. */
const OURS = new Set(
  (
    "INTEL8086 INTEL8086_ONLY INTEL186 INTEL286 INTEL286_ONLY INTEL386 INTEL386_ONLY INTEL486 FPU FPU287 FPU387 FPU_SSE3 CPUID CX8 CMOV MMX SSE SSE2 " +
    "SSE3 FXSR SEP TSC MSR CLFSH PAUSE MULTIBYTENOP RDPMC"
  ).split(" "),
);
/** Made to be undefined, of system management mode, or reserved where a hint NOP was later put. */
const UNDEFINED_ANYWAY = new Set(["Ud0", "Ud1", "Rsm", "Reservednop"]);

/** One thing under two names. */
const ALIASES: Record<string, readonly string[]> = {
  BSF: ["Tzcnt"],
  BSR: ["Lzcnt"],
  FNOP: ["Fneni", "Fndisi", "Fnsetpm"],
  FSTP: ["Fstpnce"],
  JCXZ: ["Jecxz"],
  LOOPE: ["Loopne"],
  LOOPNE: ["Loope"],
  NOP: ["Cldemote", "Endbr32", "Endbr64", "Rdsspd", "Reservednop"],
  PREFETCH: ["Reservednop"],
  WBINVD: ["Wbnoinvd"],
};
const nameOf = Object.fromEntries(Object.entries(Mnemonic).map(([name, value]) => [value, name]));
const featureName = Object.fromEntries(Object.entries(CpuidFeature).map(([name, value]) => [value, name]));

function isSameName(ours: string, theirs: string): boolean {
  // The size suffix of strings, PUSHAD, IRETD is a name of its own elsewhere.
  return theirs.toUpperCase().startsWith(ours) || ALIASES[ours]?.includes(theirs) === true;
}

/** Opcode bytes, then ModRM in steps, then fixed bytes: a SIB, displacement and immediate that differ from each other. */
function* encodings(prefix: readonly number[], step: number): Generator<number[]> {
  const tail = [0x35, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x11];
  const prefixes = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);
  for (const map of [[], [0x0f]])
    for (let opcode = 0; opcode < 256; opcode++) {
      if (map.length === 0 && (opcode === 0x0f || prefixes.has(opcode))) continue;
      for (let modrm = 0; modrm < 256; modrm += step) yield [...prefix, ...map, opcode, modrm, ...tail];
    }
}

describe("decoder against iced-x86", () => {
  const decoder = createDecoder();
  for (const bits of [32, 16])
    for (const prefix of [[], [0x66], [0x67], [0xf3], [0xf2]])
      it(`agrees in ${bits}-bit code with prefix ${prefix.map((byte) => byte.toString(16)).join() || "none"}`, () => {
        for (const bytes of encodings(prefix, 19)) {
          const text = Buffer.from(bytes).toString("hex");
          const ours = decoder.decode((at) => bytes[at] ?? 0, { code32: bits === 32 });
          const iced = new Iced(bits, Uint8Array.from(bytes), DecoderOptions.None);
          const theirs = iced.decode();
          const name = nameOf[theirs.mnemonic];
          if (ours.invalid) {
            const features = [...theirs.cpuidFeatures()].map((feature) => featureName[feature]);
            const isOurs = theirs.code !== 0 && features.every((feature) => OURS.has(feature));
            assert.ok(!isOurs || UNDEFINED_ANYWAY.has(name), `${text} is ${name} (${features.join()})`);
          } else {
            assert.equal(ours.length, theirs.length, `length of ${text}: ${ours.row.mnemonic}, ${name}`);
            assert.ok(isSameName(ours.row.mnemonic, name), `${text}: ${ours.row.mnemonic}, ${name}`);
          }
          theirs.free();
          iced.free();
        }
      });
});
