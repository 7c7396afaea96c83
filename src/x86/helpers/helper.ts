/**
 * A helper: a piece of the processor written once in TypeScript that every engine calls, for what changes privilege, loads a
 * segment, walks a descriptor table or needs a loop. It may throw GuestFault before it has changed anything.
 *
 * The one exception is a task switch, which may fault when it is already the new task: then cpu.eip is the new task's.
 */
import type { Cpu } from "../cpu";

export interface Helper {
  readonly name: string;
  /** Arguments and result are 32-bit words (signed or unsigned, both accepted). */
  // biome-ignore lint/suspicious/noConfusingVoidType: most helpers give nothing
  readonly run: (cpu: Cpu, ...args: number[]) => number | void;
  /**
   * "continue": execution goes on at the next instruction and nothing that decoding depends on has changed.
   * "refetch": goes on at the next instruction, but mode, mapping, interrupts or an exit request may have changed.
   * "transfer": the helper has set EIP itself (cpu.eip).
   */
  readonly effect: "continue" | "refetch" | "transfer";
}

export function helper(name: string, effect: Helper["effect"], run: Helper["run"]): Helper {
  return { name, effect, run };
}
