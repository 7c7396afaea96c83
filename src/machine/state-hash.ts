/**
 * A hash over everything that a program could observe: registers, segments with hidden parts, control and debug registers, x87/SSE,
 * RAM and the clock. Emulation caches and lazily kept flags are normalised away, so two engines that agree give the same text.
 *
 * 64 bits as two 32-bit multiply-xor lanes over words: fast enough for RAM of tens of megabytes, and any single changed word changes
 * it. Not cryptographic.
 */
import { type Cpu, StateLayout as L } from "../x86";

/** 16 hexadecimal digits. */
export function hashState(cpu: Cpu, now: number): string {
  const hash = new WordHash();
  for (let i = 0; i < 8; i++) hash.add(cpu.reg(i));
  hash.add(cpu.eip);
  hash.add(cpu.eflags);
  hash.add(cpu.cpl);
  for (let at = L.SEGMENTS; at < L.SEGMENTS + 8 * L.SEGMENT_STRIDE; at += 4) hash.add(cpu.u32[at >> 2]);
  for (let at = L.CR0; at < L.MODE; at += 4) hash.add(cpu.u32[at >> 2]);
  hash.add(cpu.u32[L.INTERRUPT_SHADOW >> 2]);
  hash.add(cpu.u32[L.HALTED >> 2]);
  for (let at = L.FPU_CONTROL; at < L.STATE_END; at += 4) hash.add(cpu.u32[at >> 2]);
  hash.add(now >>> 0);
  hash.add(Math.floor(now / 2 ** 32));
  const end = (L.RAM_BASE + cpu.ramSize) >> 2;
  for (let at = L.RAM_BASE >> 2; at < end; at++) hash.add(cpu.u32[at]);
  return hash.text();
}

class WordHash {
  private a = 0x811c9dc5;
  private b = 0x9747b28c;
  add(word: number): void {
    this.a = Math.imul(this.a ^ word, 0x01000193);
    this.b = Math.imul((this.b ^ word) + 0x7ed55d16, 0x85ebca6b);
    this.b ^= this.b >>> 13;
  }
  text(): string {
    return (this.a >>> 0).toString(16).padStart(8, "0") + (this.b >>> 0).toString(16).padStart(8, "0");
  }
}
