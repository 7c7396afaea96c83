/**
 * A processor in flat 32-bit protected mode at ring 0, paging off, with some code at CODE: the least that a test of an engine needs.
 */
import { Cpu, createEngine, type Engine, type EngineName, Seg, StateLayout } from "../../src/x86";

export const CODE = 0x1000;
export const STACK_TOP = 0x9000;
export const ENGINES: readonly EngineName[] = ["direct", "interpreter"];

/** An engine whose processor is about to run `code` at CODE. */
export function flatEngine(name: EngineName, code: readonly number[], ramSize = 1 << 20): Engine {
  const cpu = new Cpu(ramSize);
  cpu.setWord(StateLayout.CR0, 0x11);
  for (const seg of [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) cpu.setSegment(seg, 0x10, 0, 0xffffffff, 0xc09300, true);
  cpu.setSegment(Seg.CS, 8, 0, 0xffffffff, 0xc09b00, true);
  cpu.cpl = 0;
  cpu.updateMode();
  cpu.eflags = 2;
  cpu.eip = CODE;
  cpu.setReg(4, STACK_TOP);
  poke(cpu, CODE, code);
  return createEngine(name, cpu);
}

/** Writes bytes to RAM as a device would: decoded code is dropped. */
export function poke(cpu: Cpu, physical: number, bytes: readonly number[]): void {
  for (const [i, byte] of bytes.entries()) cpu.writePhysical(physical + i, 1, byte);
}

/** Everything that two engines must agree on, except RAM. */
export function architecturalState(cpu: Cpu): Record<string, number | number[]> {
  return {
    regs: Array.from({ length: 8 }, (_, i) => cpu.reg(i)),
    eip: cpu.eip,
    eflags: cpu.eflags,
    cpl: cpu.cpl,
    cr0: cpu.cr0,
    cr2: cpu.cr2,
    cr3: cpu.cr3,
    segments: Array.from({ length: 8 }, (_, i) => [
      cpu.selector(i),
      cpu.segmentBase(i),
      cpu.segmentLimit(i),
      cpu.segmentAttributes(i),
    ]).flat(),
    count: cpu.instructionCount(),
  };
}
