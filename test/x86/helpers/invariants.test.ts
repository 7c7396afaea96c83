// Random descriptors, gates and stacks: a privileged transfer either happens whole and leaves a lawful state, or not at all.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { Cpu } from "../../../src/x86/cpu";
import { GuestFault } from "../../../src/x86/fault";
import {
  deliverInterrupt,
  farCall,
  farJump,
  farReturn,
  interruptReturn,
  loadSegment,
  softwareInterrupt,
} from "../../../src/x86/helpers";
import * as L from "../../../src/x86/state-layout";
import { Flag, Reg, Seg } from "../../../src/x86/state-layout";
import { CODE, SystemBuilder, TSS, TSS_SELECTOR } from "../../support/system-builder";

/** A linear congruential generator: the same systems in every run. */
function generator(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 0x100000000) * below);
  };
}

/** Gate types that do not switch tasks. */
const GATES = [4, 12, 6, 7, 14, 15];

/** A system whose GDT, IDT, TSS and stack hold plausible and implausible things, most of them usable. */
function randomSystem(cpu: Cpu, random: (below: number) => number): SystemBuilder {
  const s = new SystemBuilder(cpu);
  const selector = () => random(26) * 8 + random(4);
  for (let index = 12; index < 26; index++) {
    if (random(3) === 0)
      s.gate(index * 8, GATES[random(6)], selector(), random(0x30000), random(4), random(5), random(8) > 0);
    else
      s.segment(index * 8, {
        type: random(16),
        dpl: random(4),
        isPresent: random(8) > 0,
        isBig: random(4) > 0,
        limit: random(3) ? 0xffffffff : random(0x20000),
        base: random(3) ? 0 : random(0x1000),
      });
  }
  for (let vector = 0; vector < 8; vector++) {
    const target = random(2) ? selector() : random(4) * 16 + 8;
    s.idtGate(vector, GATES[random(6)], target, random(0x30000), random(4), random(8) > 0);
  }
  for (let ring = 0; ring < 3; ring++) {
    if (random(3) === 0) s.write16(TSS + 8 + ring * 8, selector());
    if (random(4) === 0) s.write32(TSS + 4 + ring * 8, random(0x40));
  }
  if (random(8) === 0) s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, random(0x20), 0x8b00, true);
  s.enterRing(random(4));
  s.cpu.eflags = (random(4) << 12) | Flag.IF | 2;
  const ring = s.cpu.cpl;
  const code = () => (random(2) ? random(4) * 16 + 8 + random(4) : selector());
  const outer = ring + random(4 - ring);
  const frame = random(2)
    ? [CODE, outer * 16 + 8 + outer, random(0x10000) & ~Flag.NT, 0x9800, outer * 16 + 16 + outer]
    : [random(0x40000), code(), random(0x400000) & ~(Flag.NT | Flag.VM), 0x9800, selector()];
  s.stackWords(...frame);
  if (random(3) === 0) {
    s.enablePaging();
    for (const page of [0x1000, 0x3000, 0x7000, 0x8000, 0x9000, 0xa000])
      if (random(4) === 0) s.page(page, [0, 1, 3, 5, 7][random(5)]);
  }
  return s;
}

/** Any selector, a ring's code segment more often. */
function target(random: (below: number) => number): number {
  return random(2) ? random(4) * 16 + 8 + random(4) : random(27) * 8 + random(4);
}

function assertLawful(s: SystemBuilder, what: string): void {
  const { cpu } = s;
  const attributes = (seg: number) => cpu.segmentAttributes(seg);
  const dpl = (seg: number) => (attributes(seg) >>> 13) & 3;
  const isConforming = (attributes(Seg.CS) & 0xc00) === 0xc00;
  assert.equal(cpu.selector(Seg.CS) & 3, cpu.cpl, `${what}: RPL of CS is CPL`);
  assert.ok(isConforming ? dpl(Seg.CS) <= cpu.cpl : dpl(Seg.CS) === cpu.cpl, `${what}: DPL of CS`);
  assert.equal(attributes(Seg.CS) & 0x9900, 0x9900, `${what}: CS is present, accessed code`);
  assert.equal(cpu.selector(Seg.SS) & 3, cpu.cpl, `${what}: RPL of SS is CPL`);
  assert.equal(dpl(Seg.SS), cpu.cpl, `${what}: DPL of SS is CPL`);
  assert.equal(attributes(Seg.SS) & 0x9b00, 0x9300, `${what}: SS is present, writable data`);
  assert.ok(cpu.eip <= cpu.segmentLimit(Seg.CS), `${what}: EIP inside the limit`);
  assert.equal(cpu.word(L.TLB_CURRENT), cpu.tlb.set(cpu.cpl === 3), `${what}: TLB set`);
}

describe("x86/helpers: every transfer is whole and lawful, or has not happened (SDM Vol. 3, 5.8, 6.5, 6.12)", () => {
  const actions: Record<string, (s: SystemBuilder, random: (below: number) => number) => void> = {
    deliverInterrupt: (s, random) =>
      deliverInterrupt(
        s.cpu,
        random(9),
        random(2) ? random(0x10000) : undefined,
        random(2) ? "exception" : "external",
        CODE,
      ),
    softwareInterrupt: (s, random) => void softwareInterrupt.run(s.cpu, random(8), CODE + 2, random(3)),
    interruptReturn: (s) => void interruptReturn.run(s.cpu, 4, CODE + 1),
    farCall: (s, random) => void farCall.run(s.cpu, target(random), random(0x30000), 4, CODE + 7),
    farJump: (s, random) => void farJump.run(s.cpu, target(random), random(0x30000), 4, CODE + 7),
    farReturn: (s) => void farReturn.run(s.cpu, 4, 0),
    loadSegment: (s, random) =>
      void loadSegment.run(s.cpu, [Seg.ES, Seg.SS, Seg.DS][random(3)], random(27) * 8 + random(4)),
  };
  for (const [name, action] of Object.entries(actions))
    it(name, () => {
      const random = generator(name.length * 7919);
      const cpu = new Cpu(0x100000);
      let succeeded = 0;
      const vectors = new Set<number>();
      for (let round = 0; round < 500; round++) {
        const s = randomSystem(cpu, random);
        if (name === "farReturn") {
          const at = s.cpu.reg(Reg.ESP);
          s.cpu.writePhysical(at + 12, 4, s.read32(at + 16));
          s.cpu.writePhysical(at + 8, 4, 0x9800);
        }
        const before = s.snapshot();
        try {
          action(s, random);
          succeeded++;
          assertLawful(s, `round ${round}`);
        } catch (fault) {
          if (!(fault instanceof GuestFault)) throw fault;
          vectors.add(fault.vector);
          assert.ok(before.equals(s.snapshot()), `round ${round}: vector ${fault.vector} after a change`);
        }
      }
      assert.ok(succeeded > 10, `only ${succeeded} succeeded`);
      assert.ok(vectors.size >= 2, `only vectors ${[...vectors]}`);
    });
});
