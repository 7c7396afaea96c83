// Guests made at random: hypercalls with wild arguments, rings, gates, virtqueues, memory writes, bytes that are no program. Each must end,
// wait or reach its limit; the machine never throws, shuts down or hangs, and both engines agree on every bit. A failure names its seed.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { VirtualMachine } from "../../src/lguest";
import { Random } from "../../src/lguest/host/random";
import { Asm, type Assembler } from "../../src/x86";
import { begin, bootGuest, finish, hypercall, loadGate } from "./guest-code";

const { eax, ebx, ecx, edx, esi, ptr } = Asm;
const GUESTS = 10;
const SLICE = 2500;

/** Draws everything about a guest from a seed. */
class Dice {
  private readonly random: Random;
  constructor(seed: number) {
    this.random = new Random(seed);
  }
  word(): number {
    return this.random.next();
  }
  below(limit: number): number {
    return this.word() % limit;
  }
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
  address(): number {
    const known = [0, 0x1000, 0x100000, 0x1fe000, 0x1ff000, 0x1fffff, 0x200000, 0x201000, 0x204000, 0x207000, 0x301000];
    return this.pick([...known, 0xc0000000, 0xc0100000, 0xffc00000, 0xffffffff, this.word(), this.below(0x200000)]);
  }
}

function build(a: Assembler, dice: Dice, abi: "2.6.32" | "3.x"): void {
  begin(a);
  for (let vector = 0; vector < 20; vector++) {
    if (dice.below(2))
      loadGate(a, vector, dice.pick(["start", "middle"]), dice.pick([0xe, 0xf] as const), dice.below(4));
  }
  a.label("middle");
  for (let i = 0; i < 30; i++) step(a, dice);
  a.jmp("middle");
  finish(a, { abi });
}

function step(a: Assembler, dice: Dice): void {
  switch (dice.below(6)) {
    case 0:
    case 1:
      a.mov(eax, dice.below(25)).mov(ebx, dice.address());
      a.mov(ecx, dice.pick([dice.address(), dice.below(1100)])).mov(edx, dice.pick([dice.address(), dice.word()]));
      a.mov(esi, dice.word()).int(0x1f);
      break;
    case 2: {
      const index = dice.below(8);
      for (let k = 0; k < 4; k++)
        a.mov(eax, k === 0 ? dice.below(20) : dice.address()).mov(
          ptr(Asm.addressOf("data", 0x58 + 20 * index + 4 * k)),
          eax,
        );
      a.mov(ptr(Asm.addressOf("data", 0x18 + index), 0, { size: 1 }), 0);
      break;
    }
    case 3:
      a.mov(eax, dice.word()).mov(ptr(dice.address()), eax);
      break;
    case 4:
      a.bytes(...Array.from({ length: 1 + dice.below(6) }, () => dice.below(256)));
      break;
    default:
      virtqueues(a, dice);
  }
}
/** Rings of both console queues, mapped and filled with anything. */
function virtqueues(a: Assembler, dice: Dice): void {
  for (const page of [0x201, 0x202, 0x204, 0x205]) a.mov(ptr(0x1fe000 + page * 4, 0, { size: 4 }), page * 0x1000 + 7);
  for (const queue of [0x201000, 0x204000]) {
    a.mov(eax, dice.address()).mov(ptr(queue), eax);
    a.mov(eax, dice.below(0x2000)).mov(ptr(queue + 8), eax);
    a.mov(eax, dice.word() & 0x30003).mov(ptr(queue + 12), eax);
    a.mov(eax, dice.below(4) << 16).mov(ptr(queue + 0x1000), eax);
    hypercall(a, 17, queue);
  }
}

/** What happened: exits, counts and hashes. */
function story(seed: number, engine: "direct" | "interpreter"): string[] {
  const dice = new Dice(seed);
  const abi = dice.pick(["2.6.32", "3.x"] as const);
  const options = { engine, abi, quirks: dice.pick(["faithful", "fixed"] as const), cpus: 1 + dice.below(3), seed };
  const { vm } = bootGuest((a) => build(a, dice, abi), options);
  const lines: string[] = [];
  for (let slice = 0; slice < 4 && vm.ended === null; slice++) {
    const exit = vm.run(vm.instructionCount + SLICE);
    assert.notEqual(exit.kind, "shutdown");
    lines.push(`${JSON.stringify(exit)} ${vm.instructionCount} ${vm.stateHash()}`);
    look(vm);
    if (exit.kind === "waiting-for-input") vm.consoleInput(Uint8Array.of(65));
  }
  return lines;
}
/** Views of a machine in any state. */
function look(vm: VirtualMachine): void {
  vm.state();
  vm.gdt();
  vm.idt();
  vm.guestWalk(0xc0000000);
  vm.shadowWalk(0xc0000000);
  vm.readLinear(vm.guestRegisters().eip, 16);
}

describe("guests made at random", function () {
  this.timeout(60_000);
  for (let seed = 1; seed <= GUESTS; seed++)
    it(`do no harm, and are the same on both engines: seed ${seed}`, () => {
      assert.deepEqual(story(seed, "interpreter"), story(seed, "direct"));
    });
});
