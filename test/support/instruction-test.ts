// One instruction in guest terms: state before, state after, on every engine. What `after` does not name must not have changed.
import assert from "node:assert/strict";
import { it } from "mocha";
import { type Cpu, type Engine, Reg, Seg, StateLayout } from "../../src/x86";
import { CODE, ENGINES, flatEngine, poke, STACK_TOP } from "./flat-cpu";

const REGISTERS = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;

export type Registers = Partial<Record<(typeof REGISTERS)[number], number>>;
export interface GuestState extends Registers {
  readonly eflags?: number;
  readonly eip?: number;
  /** Bytes by linear address. */
  readonly memory?: Readonly<Record<number, readonly number[]>>;
}
export interface InstructionCase {
  /** Hex of the instruction. */
  readonly code: string;
  readonly before?: GuestState;
  /** Any further preparation. */
  readonly prepare?: (cpu: Cpu) => void;
  readonly after: GuestState;
  /** EFLAGS bits that the row leaves undefined. */
  readonly undefinedFlags?: number;
  /** Instructions to run; 1 unless said otherwise. */
  readonly count?: number;
  readonly check?: (cpu: Cpu, engine: Engine) => void;
}

/** The low bytes of a value, lowest first. */
export function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** A flat 32-bit ring-0 machine runs the code at CODE; EIP is expected behind it unless `after` says otherwise. */
export function instructionTest(behaviour: string, test: InstructionCase): void {
  for (const name of ENGINES)
    it(`${behaviour} (${name})`, () => {
      const bytes = [...Buffer.from(test.code.replaceAll(" ", ""), "hex")];
      const engine = flatEngine(name, bytes);
      const { cpu } = engine;
      const before = test.before ?? {};
      const expected: Required<Registers> = { eax: 0, ecx: 0, edx: 0, ebx: 0, esp: STACK_TOP, ebp: 0, esi: 0, edi: 0 };
      for (const [number, register] of REGISTERS.entries()) {
        expected[register] = before[register] ?? expected[register];
        cpu.setReg(number, expected[register]);
      }
      cpu.eflags = before.eflags ?? 2;
      for (const [address, content] of Object.entries(before.memory ?? {})) poke(cpu, Number(address), content);
      test.prepare?.(cpu);
      const image = cpu.u8.slice(StateLayout.RAM_BASE);
      const exit = engine.run(test.count ?? 1);
      assert.ok(exit.kind === "budget" || exit.kind === "halted" || exit.kind === "requested", JSON.stringify(exit));

      for (const [number, register] of REGISTERS.entries())
        assert.equal(hex(cpu.reg(number)), hex(test.after[register] ?? expected[register]), register);
      const mask = ~(test.undefinedFlags ?? 0);
      assert.equal(hex(cpu.eflags & mask), hex((test.after.eflags ?? before.eflags ?? 2) & mask), "eflags");
      assert.equal(hex(cpu.eip), hex(test.after.eip ?? CODE + bytes.length), "eip");
      for (const [address, content] of Object.entries(test.after.memory ?? {})) image.set(content, Number(address));
      const ram = cpu.u8.subarray(StateLayout.RAM_BASE);
      const changed = image.findIndex((byte, at) => byte !== ram[at]);
      assert.equal(changed, -1, `memory at ${hex(changed)} is ${hex(ram[changed])}`);
      test.check?.(cpu, engine);
    });
}

function hex(value: number): string {
  return (value >>> 0).toString(16);
}

/** A 16-bit stack segment based at 0. */
export function useStack16(cpu: Cpu): void {
  cpu.setSegment(Seg.SS, 0x18, 0, 0xffff, 0x9300, true);
  cpu.updateMode();
}
export { CODE, Reg, STACK_TOP };
