/**
 * Saving and restoring the floating-point unit: FNINIT, FNSTENV, FNSAVE, FXSAVE and back. SDM Vol. 1, 8.1.8-8.1.11 and 10.5.
 *
 * Instruction and operand pointers are not kept: they are stored as 0. The full tag word is worked out from what the registers hold.
 */
import type { Cpu } from "../../cpu";
import { GuestFault } from "../../fault";
import * as L from "../../state-layout";
import { Cr4, Vector } from "../../state-layout";
import { helper } from "../helper";
import { linearForAccess } from "../segmentation";
import { MXCSR_MASK } from "../simd/registers";
import { EXTENDED, Kind, unpack } from "./soft-float";
import { Destination, readBytes } from "./x87-memory";
import {
  ALL_EXCEPTIONS,
  control,
  readStack,
  Status,
  setControl,
  setStatus,
  setTop,
  status,
  summarize,
  top,
  writeStack,
} from "./x87-state";

/** Values of the two-bit tags. SDM Vol. 1, figure 8-7. */
const Tag = { VALID: 0, ZERO: 1, SPECIAL: 2, EMPTY: 3 } as const;

function fullTags(cpu: Cpu): number {
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const physical = (top(cpu) + i) & 7;
    const value = unpack(readStack(cpu, i), EXTENDED);
    let tag: number = Tag.SPECIAL;
    if (!(cpu.word(L.FPU_TAGS) & (1 << physical))) tag = Tag.EMPTY;
    else if (value.kind === Kind.ZERO) tag = Tag.ZERO;
    else if (value.kind === Kind.NUMBER && !value.isDenormal) tag = Tag.VALID;
    tags |= tag << (physical * 2);
  }
  return tags;
}
function setFullTags(cpu: Cpu, tags: number): void {
  let abridged = 0;
  for (let physical = 0; physical < 8; physical++)
    if (((tags >>> (physical * 2)) & 3) !== Tag.EMPTY) abridged |= 1 << physical;
  cpu.setWord(L.FPU_TAGS, abridged);
}

function initialize(cpu: Cpu): void {
  setControl(cpu, 0x37f);
  setStatus(cpu, 0);
  cpu.setWord(L.FPU_TAGS, 0);
}
export const initializeFpu = helper("initializeFpu", "continue", initialize);

/** FNCLEX. */
export const clearExceptions = helper("clearExceptions", "continue", (cpu) =>
  setStatus(cpu, status(cpu) & ~(ALL_EXCEPTIONS | Status.SF | Status.ES | Status.B)),
);
export const storeControlWord = helper("storeControlWord", "continue", (cpu) => control(cpu));
export const storeStatusWord = helper("storeStatusWord", "continue", (cpu) => status(cpu));
export const loadControlWord = helper("loadControlWord", "continue", (cpu, value) => setControl(cpu, value));

function environmentBytes(size: number): number {
  return size === 4 ? 28 : 14;
}
/** Control, status and tag word; the pointers are 0. In the 32-bit form the upper halves are ones. */
function environmentImage(cpu: Cpu, size: number): bigint {
  const words = [control(cpu), status(cpu), fullTags(cpu)];
  if (size === 2) return words.reduce((image, word, k) => image | (BigInt(word) << BigInt(k * 16)), 0n);
  const image = words.reduce((all, word, k) => all | (BigInt(0xffff0000 + word) << BigInt(k * 32)), 0n);
  return image | (0xffff0000n << 192n);
}
function setEnvironment(cpu: Cpu, image: bigint, size: number): void {
  const word = (k: number) => Number((image >> BigInt(k * size * 8)) & 0xffffn);
  setStatus(cpu, word(1));
  setFullTags(cpu, word(2));
  setControl(cpu, word(0));
}

/** FNSTENV: (segment, offset, operandSize). Masks all exceptions afterwards. */
export const storeEnvironment = helper("storeEnvironment", "continue", (cpu, seg, offset, size) => {
  const destination = new Destination(cpu, seg, offset, environmentBytes(size));
  destination.write(environmentImage(cpu, size));
  setControl(cpu, control(cpu) | ALL_EXCEPTIONS);
});
/** FLDENV: (segment, offset, operandSize). */
export const loadEnvironment = helper("loadEnvironment", "continue", (cpu, seg, offset, size) =>
  setEnvironment(cpu, readBytes(cpu, seg, offset, environmentBytes(size)), size),
);

/** FNSAVE: environment, then ST(0) to ST(7), ten bytes each; then as FNINIT. */
export const saveFpu = helper("saveFpu", "continue", (cpu, seg, offset, size) => {
  const head = environmentBytes(size);
  const destination = new Destination(cpu, seg, offset, head + 80);
  let image = environmentImage(cpu, size);
  for (let i = 0; i < 8; i++) image |= readStack(cpu, i) << BigInt((head + i * 10) * 8);
  destination.write(image);
  initialize(cpu);
});
/** FRSTOR. */
export const restoreFpu = helper("restoreFpu", "continue", (cpu, seg, offset, size) => {
  const head = environmentBytes(size);
  const image = readBytes(cpu, seg, offset, head + 80);
  setEnvironment(cpu, image & ((1n << BigInt(head * 8)) - 1n), size);
  const tags = cpu.word(L.FPU_TAGS);
  for (let i = 0; i < 8; i++) writeStack(cpu, i, (image >> BigInt((head + i * 10) * 8)) & ((1n << 80n) - 1n));
  cpu.setWord(L.FPU_TAGS, tags);
});

/** Layout of the FXSAVE image. SDM Vol. 1, table 10-2. */
const Fx = { CONTROL: 0, STATUS: 2, TAGS: 4, MXCSR: 24, MXCSR_MASK: 28, ST: 32, XMM: 160, SIZE: 512 } as const;

function checkAligned(cpu: Cpu, seg: number, offset: number, isWrite: boolean): void {
  if (linearForAccess(cpu, seg, offset, Fx.SIZE, isWrite) & 15) throw new GuestFault(Vector.GP, 0);
}
const hasSse = (cpu: Cpu) => (cpu.cr4 & Cr4.OSFXSR) !== 0;

/** FXSAVE: (segment, offset). Bytes that mean nothing stay as they are. */
export const saveExtendedState = helper("saveExtendedState", "continue", (cpu, seg, offset) => {
  checkAligned(cpu, seg, offset, true);
  const destination = new Destination(cpu, seg, offset, hasSse(cpu) ? Fx.XMM + 128 : Fx.XMM);
  const at = (bytes: number) => BigInt(bytes * 8);
  let image = BigInt(control(cpu)) | (BigInt(status(cpu)) << at(Fx.STATUS));
  image |= BigInt(cpu.word(L.FPU_TAGS)) << at(Fx.TAGS);
  image |= (BigInt(cpu.word(L.MXCSR)) << at(Fx.MXCSR)) | (BigInt(MXCSR_MASK) << at(Fx.MXCSR_MASK));
  for (let i = 0; i < 8; i++) image |= readStack(cpu, i) << at(Fx.ST + i * 16);
  if (hasSse(cpu))
    for (let i = 0; i < 8; i++) {
      const place = L.XMM_REGISTERS + i * 16;
      const low = cpu.view.getBigUint64(place, true);
      image |= (low | (cpu.view.getBigUint64(place + 8, true) << 64n)) << at(Fx.XMM + i * 16);
    }
  destination.write(image);
});
/** FXRSTOR: (segment, offset). @throws GuestFault #GP(0) for bits that MXCSR does not have */
export const restoreExtendedState = helper("restoreExtendedState", "continue", (cpu, seg, offset) => {
  checkAligned(cpu, seg, offset, false);
  const image = readBytes(cpu, seg, offset, Fx.XMM + 128);
  const word = (at: number, bits: number) => Number((image >> BigInt(at * 8)) & ((1n << BigInt(bits)) - 1n));
  const mxcsr = word(Fx.MXCSR, 32);
  if (hasSse(cpu) && mxcsr & ~MXCSR_MASK) throw new GuestFault(Vector.GP, 0);
  setStatus(cpu, word(Fx.STATUS, 16));
  setTop(cpu, (word(Fx.STATUS, 16) & Status.TOP) >>> 11);
  for (let i = 0; i < 8; i++) writeStack(cpu, i, (image >> BigInt((Fx.ST + i * 16) * 8)) & ((1n << 80n) - 1n));
  cpu.setWord(L.FPU_TAGS, word(Fx.TAGS, 8));
  setControl(cpu, word(Fx.CONTROL, 16));
  summarize(cpu);
  if (!hasSse(cpu)) return;
  cpu.setWord(L.MXCSR, mxcsr);
  for (let i = 0; i < 8; i++) {
    const value = image >> BigInt((Fx.XMM + i * 16) * 8);
    cpu.view.setBigUint64(L.XMM_REGISTERS + i * 16, value & 0xffffffffffffffffn, true);
    cpu.view.setBigUint64(L.XMM_REGISTERS + i * 16 + 8, (value >> 64n) & 0xffffffffffffffffn, true);
  }
});
