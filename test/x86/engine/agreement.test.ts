/**
 * The engines run random programs on random systems and must agree on everything: why each run ended, every register with its hidden parts,
 * and memory. Rows, decoder and helpers are common to both, so a difference is one of the emitters, of the decoded-code cache or of the TLB.
 *
 * A round is a processor seated from a number: ring, 16- or 32-bit code, segments with limits, pages with permissions, code that faults,
 * repeats, pushes, and writes over itself. RING1_FUZZ_ROUNDS and RING1_FUZZ_SEED make it longer and other. What differs is told as
 * the one instruction after which it does.
 */
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { Cpu, createEngine, type Engine, type RunExit } from "../../../src/x86";
import * as L from "../../../src/x86/state-layout";
import { Flag, Reg, Seg } from "../../../src/x86/state-layout";
import { CODE, CS0, FREE, SystemBuilder, Type } from "../../support/system-builder";

const ROUNDS = Number(process.env.RING1_FUZZ_ROUNDS ?? 150);
const SEED = Number(process.env.RING1_FUZZ_SEED ?? 1);
const RAM_SIZE = 0x100000;
const CODE_BYTES = 0x180;
const HANDLERS = 0x30000;
/** Where most memory operands point. */
const DATA = 0x40000;
const DATA_PAGES = 8;
/** Instructions of one round at most. */
const INSTRUCTIONS = 400;

type Random = (below: number) => number;
/** A linear congruential generator: the same round from the same number. */
function generator(seed: number): Random {
  let state = (Math.imul(seed, 2654435761) ^ 0x5bd1e995) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x100000000) * below);
  };
}
const pick = <T>(random: Random, values: readonly T[]): T => values[random(values.length)];

const PREFIXES = [0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3];
/** Strings, stack, far transfers, shifts, BCD, and what changes flags or segments: what random bytes meet too seldom. */
const FAVOURITES = [
  0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x60, 0x61, 0xc8, 0xc9, 0x9c, 0x9d, 0x8e, 0x8f, 0xff,
  0xd1, 0xd3, 0xc1,
];

function randomInstruction(random: Random): number[] {
  const bytes: number[] = [];
  for (let left = random(4) === 0 ? 1 + random(2) : 0; left > 0; left--) bytes.push(pick(random, PREFIXES));
  const kind = random(8);
  if (kind === 0) bytes.push(pick(random, FAVOURITES));
  else if (kind < 3) bytes.push(0x0f, random(256));
  else bytes.push(random(256));
  // A ModRM byte where there is one: [register + disp8] and registers, mostly.
  bytes.push(pick(random, [0x00, 0x40, 0x40, 0x80, 0xc0, 0xc0]) | random(64));
  for (let left = random(5); left > 0; left--) bytes.push(random(3) ? random(16) : random(256));
  return bytes;
}
/** Writes over code that is near, and goes back there: c6 05 address byte; jmp short backwards. */
function selfModification(random: Random): number[] {
  const address = CODE + random(CODE_BYTES);
  const target = [address & 0xff, (address >>> 8) & 0xff, (address >>> 16) & 0xff, 0];
  return [
    0xc6,
    0x05,
    ...target,
    random(3) ? 0x40 + random(8) : random(256),
    ...(random(3) ? [] : [0xeb, 0x80 + random(0x70)]),
  ];
}

interface Round {
  readonly engine: Engine;
  /** Whether the next runs end by themselves. */
  readonly budgets: readonly number[];
  readonly interruptAt: number;
}

/** Seats a processor. All that happens is decided by `seed`. */
function seat(engine: Engine, seed: number): Round {
  const random = generator(seed);
  const { cpu } = engine;
  const s = new SystemBuilder(cpu);
  const put = (at: number, bytes: readonly number[]): void => cpu.u8.set(bytes, L.RAM_BASE + at);
  const code: number[] = [];
  while (code.length < CODE_BYTES)
    code.push(...(random(16) === 0 ? selfModification(random) : randomInstruction(random)));
  put(CODE, code);
  for (let i = 0; i < DATA_PAGES * 1024; i++)
    s.cpu.u32[(L.RAM_BASE + DATA + i * 4) >> 2] = random(4) ? random(0x100000000) : random(64);
  // Handlers: some halt, which ends the round; some drop what they may find and go on behind the present instruction.
  const goesOn = random(4) > 0;
  for (let vector = 0; vector < 256; vector++) {
    const type = pick(random, [14, 14, 15, 6]);
    s.idtGate(vector, type, CS0, HANDLERS + vector * 16, random(3) ? 3 : 0);
    const hasError = vector === 8 || (vector >= 10 && vector <= 14) || vector === 17;
    // add dword [esp+(4)], 1..3; (add esp, 4); iret; what cannot be returned from ends in a #DF, whose handler halts.
    const back = [...(hasError ? [0x83, 0xc4, 4] : []), 0x83, 0x04, 0x24, 1 + random(3), 0xcf];
    put(HANDLERS + vector * 16, goesOn && type !== 6 && vector !== 8 ? back : [0xf4]);
  }
  for (let index = FREE >> 3; index < 32; index++)
    s.segment(index * 8, {
      type: pick(random, [Type.DATA_RW, Type.DATA_RO, Type.DATA_DOWN_RW, Type.CODE_RX, Type.CONFORMING_RX]),
      dpl: random(4),
      isPresent: random(8) > 0,
      isBig: random(3) > 0,
      limit: random(2) ? 0xffffffff : DATA + random(0x8000),
      base: random(2) ? 0 : random(0x1000),
    });
  s.enterRing(pick(random, [0, 0, 1, 3, 3]));
  if (random(3) === 0) limitSegments(cpu, random);
  if (random(4) === 0) enterCode16(cpu, random);
  // Always on: outside of the megabyte is a page fault, not four thousand million bytes of nothing.
  s.enablePaging();
  if (random(2)) restrictPages(s, random);
  cpu.setWord(L.CR0, cpu.cr0 | (random(4) ? 0 : L.Cr0.AM) | (random(8) ? 0 : L.Cr0.TS));
  cpu.setWord(L.CR4, random(4) ? 0 : 0x600);
  cpu.eflags =
    2 |
    (random(0x1000) & 0xcd5) |
    (random(2) ? Flag.IF : 0) |
    (random(4) << 12) |
    (random(16) ? 0 : Flag.TF) |
    (random(8) ? 0 : Flag.AC);
  for (let i = 0; i < 8; i++)
    if (i !== Reg.ESP)
      cpu.setReg(
        i,
        random(4)
          ? DATA + random(DATA_PAGES * 0x1000)
          : pick(random, [0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, random(0x100000000), DATA + 0xffe]),
      );
  if (random(8)) cpu.setReg(Reg.ECX, random(random(8) ? 60 : 0x2000));
  cpu.interruptLine = false;
  cpu.acknowledgeInterrupt = () => {
    cpu.interruptLine = false;
    return 0x40 + (seed & 0xf);
  };
  cpu.tlb.flushAll();
  engine.flushCode();
  const budgets: number[] = [];
  for (let sum = 0; sum < INSTRUCTIONS; sum += budgets[budgets.length - 1])
    budgets.push(1 + random(pick(random, [3, 40, 200])));
  return { engine, budgets, interruptAt: random(3) ? -1 : random(budgets.length) };
}
/** Segment registers with bases, limits, types that a program can fall out of. */
function limitSegments(cpu: Cpu, random: Random): void {
  for (const seg of [Seg.ES, Seg.DS, Seg.FS, Seg.GS]) {
    if (random(2)) continue;
    const attributes = pick(random, [0x409300, 0x409100, 0x409700, 0x9700, 0x409b00]) | (cpu.cpl << 13);
    const base = random(2) ? 0 : random(0x40);
    cpu.setSegment(
      seg,
      FREE + 8 * random(8) + cpu.cpl,
      base,
      DATA + random(DATA_PAGES * 0x1000),
      attributes,
      random(8) > 0,
    );
  }
  if (random(3) === 0)
    cpu.setSegment(
      Seg.SS,
      cpu.selector(Seg.SS),
      0,
      0xfff + random(0xb000),
      (random(2) ? 0x409300 : 0x9300) | (cpu.cpl << 13),
      true,
    );
  cpu.updateMode();
}
/** 16-bit code, with and without a base, and perhaps a 16-bit stack. */
function enterCode16(cpu: Cpu, random: Random): void {
  const dpl = cpu.cpl << 13;
  cpu.setSegment(Seg.CS, cpu.selector(Seg.CS), CODE, pick(random, [0xffff, CODE_BYTES, 0xfffff]), 0x9b00 | dpl, true);
  cpu.eip = 0;
  if (random(2)) cpu.setSegment(Seg.SS, cpu.selector(Seg.SS), 0, 0xffff, 0x9300 | dpl, true);
  if (random(2))
    for (const seg of [Seg.DS, Seg.ES]) cpu.setSegment(seg, cpu.selector(seg), DATA, 0xffff, 0x9300 | dpl, true);
  cpu.updateMode();
}
function restrictPages(s: SystemBuilder, random: Random): void {
  if (random(3) === 0) s.cpu.setWord(L.CR0, s.cpu.cr0 & ~L.Cr0.WP);
  for (let page = 0; page < DATA_PAGES; page++)
    if (random(3) === 0) s.page(DATA + page * 0x1000, pick(random, [0, 1, 3, 5, 7, 0x27, 0x67]));
  if (random(6) === 0) s.page(CODE, pick(random, [1, 5, 3]));
  if (random(6) === 0) s.page(s.cpu.reg(Reg.ESP) & ~0xfff, pick(random, [0, 1, 5]));
}

const REGIONS: readonly (readonly [from: number, to: number])[] = [
  [L.REGISTERS, L.REGISTERS + 32],
  [L.EIP, L.EIP + 4],
  [L.EFLAGS_SYSTEM, L.EFLAGS_SYSTEM + 8],
  [L.SEGMENTS, L.SEGMENTS + 8 * L.SEGMENT_STRIDE],
  [L.CR0, L.MODE],
  [L.INTERRUPT_SHADOW, L.INTERRUPT_SHADOW + 4],
  [L.HALTED, L.HALTED + 4],
  [L.FPU_CONTROL, L.PACKED_SCRATCH],
];
/** The first thing that differs, or null. Flags are compared as EFLAGS: engines may keep them in different lazy forms. */
function difference(a: Cpu, b: Cpu): string | null {
  for (const [from, to] of REGIONS)
    for (let at = from; at < to; at += 4)
      if (a.word(at) !== b.word(at)) return `state word 0x${at.toString(16)}: ${hex(a.word(at))} or ${hex(b.word(at))}`;
  if (a.eflags !== b.eflags) return `EFLAGS: ${hex(a.eflags)} or ${hex(b.eflags)}`;
  if (a.instructionCount() !== b.instructionCount()) return `count: ${a.instructionCount()} or ${b.instructionCount()}`;
  const [ramA, ramB] = [a, b].map((cpu) => Buffer.from(cpu.memory.buffer, L.RAM_BASE, RAM_SIZE));
  if (ramA.equals(ramB)) return null;
  const at = ramA.findIndex((byte, i) => byte !== ramB[i]);
  return `memory at 0x${at.toString(16)}: ${hex(ramA[at])} or ${hex(ramB[at])}`;
}
const hex = (value: number): string => `0x${value.toString(16)}`;

function step(round: Round, index: number, budget: number): RunExit {
  const { engine } = round;
  if (index === round.interruptAt) engine.cpu.interruptLine = true;
  return engine.run(budget);
}
const isOver = (exit: RunExit): boolean => exit.kind !== "budget" && exit.kind !== "requested";

/** Runs a round on both. The complaint, or null. `single`: instruction by instruction, to find the first that differs. */
function compareRound(engines: readonly Engine[], seed: number, isSingle: boolean): string | null {
  const [a, b] = engines.map((engine) => seat(engine, seed));
  const budgets = isSingle ? new Array<number>(INSTRUCTIONS).fill(1) : a.budgets;
  for (const [index, budget] of budgets.entries()) {
    const { cpu } = a.engine;
    const at = (cpu.segmentBase(Seg.CS) + cpu.eip) >>> 0;
    const bytes = [...cpu.u8.subarray(L.RAM_BASE + at, L.RAM_BASE + at + 15)]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join(" ");
    const exits = [step(a, index, budget), step(b, index, budget)];
    const told = exits.map((exit) => JSON.stringify(exit));
    const found = told[0] === told[1] ? difference(a.engine.cpu, b.engine.cpu) : `exits ${told.join(" or ")}`;
    if (found !== null)
      return `round ${seed}, run ${index} of ${budget}, at ${hex(at)} ring ${cpu.cpl}: ${bytes}: ${found}`;
    if (isOver(exits[0])) return null;
  }
  return null;
}

describe("x86: engines agree on random programs", () => {
  it(`${ROUNDS} rounds from ${SEED} on end the same on direct and interpreter`, function () {
    this.timeout(0);
    const engines = [createEngine("direct", new Cpu(RAM_SIZE)), createEngine("interpreter", new Cpu(RAM_SIZE))];
    let instructions = 0;
    for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
      const complaint = compareRound(engines, seed, false);
      if (complaint !== null)
        assert.fail(`${complaint}\nalone: ${compareRound(engines, seed, true) ?? "agree when run singly"}`);
      instructions += engines[0].cpu.instructionCount();
    }
    assert.ok(instructions > ROUNDS * 20, `only ${instructions} instructions were run: the rounds end too soon`);
  });
});
