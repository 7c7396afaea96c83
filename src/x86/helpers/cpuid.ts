/**
 * What CPUID says. The one place that decides which features this processor admits to: a feature is listed as offered only when
 * its instructions work. What is not offered is also refused elsewhere (reserved bits of CR4 in control.ts).
 *
 * SDM Vol. 2, CPUID; its tables 3-10 and 3-11 name the bits.
 */
import type { Cpu } from "../cpu";
import { Reg } from "../state-layout";
import { helper } from "./helper";

/** Twelve characters, honest: this is nobody's silicon. */
const VENDOR = "Ring1Machine";
const BRAND = "Ring 1 i686 processor";
/** Family 6, model 8, stepping 1: the class of processor that this one behaves like. */
const SIGNATURE = 0x681;

interface Feature {
  readonly name: string;
  readonly register: "edx" | "ecx";
  readonly bit: number;
  readonly isOffered: boolean;
}

/** Leaf 1. Flip `isOffered` when the instructions arrive; FXSR and SSE also need their CR4 bits, which exist. */
export const FEATURES: readonly Feature[] = [
  { name: "FPU", register: "edx", bit: 0, isOffered: true },
  { name: "DE", register: "edx", bit: 2, isOffered: true },
  { name: "PSE", register: "edx", bit: 3, isOffered: true },
  { name: "TSC", register: "edx", bit: 4, isOffered: true },
  { name: "MSR", register: "edx", bit: 5, isOffered: true },
  { name: "CX8", register: "edx", bit: 8, isOffered: true },
  { name: "SEP", register: "edx", bit: 11, isOffered: true },
  { name: "PGE", register: "edx", bit: 13, isOffered: true },
  { name: "CMOV", register: "edx", bit: 15, isOffered: true },
  { name: "MMX", register: "edx", bit: 23, isOffered: true },
  { name: "FXSR", register: "edx", bit: 24, isOffered: true },
  { name: "SSE", register: "edx", bit: 25, isOffered: true },
  { name: "SSE2", register: "edx", bit: 26, isOffered: true },
  { name: "SSE3", register: "ecx", bit: 0, isOffered: true },
];

const HIGHEST_BASIC = 1;
const HIGHEST_EXTENDED = 0x80000004;

/** EAX, EBX, ECX, EDX of a leaf. A leaf beyond the highest gives that of the highest basic one, as on Intel's processors. */
export function cpuidLeaf(leaf: number): readonly [number, number, number, number] {
  switch (leaf >>> 0) {
    case 0:
      return [HIGHEST_BASIC, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)];
    case 0x80000000:
      return [HIGHEST_EXTENDED, 0, 0, 0];
    case 0x80000001:
      return [0, 0, 0, 0];
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = ((leaf >>> 0) - 0x80000002) * 16;
      return [word(BRAND, at), word(BRAND, at + 4), word(BRAND, at + 8), word(BRAND, at + 12)];
    }
    default:
      return [SIGNATURE, 0, features("ecx"), features("edx")];
  }
}

function features(register: Feature["register"]): number {
  return FEATURES.reduce((set, f) => (f.isOffered && f.register === register ? set | (1 << f.bit) : set), 0);
}

/** Four characters of a text as a register holds them; zero beyond its end. */
function word(text: string, at: number): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value |= (at + i < text.length ? text.charCodeAt(at + i) : 0) << (i * 8);
  return value;
}

/** CPUID: leaf in EAX, answers in EAX, EBX, ECX, EDX. Not privileged. */
export const cpuid = helper("cpuid", "continue", (cpu: Cpu) => {
  const [eax, ebx, ecx, edx] = cpuidLeaf(cpu.reg(Reg.EAX));
  cpu.setReg(Reg.EAX, eax);
  cpu.setReg(Reg.EBX, ebx);
  cpu.setReg(Reg.ECX, ecx);
  cpu.setReg(Reg.EDX, edx);
});
