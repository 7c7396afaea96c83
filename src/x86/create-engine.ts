/**
 * Which engines exist, in one list.
 */
import type { Cpu } from "./cpu";
import { DirectEngine } from "./direct/direct-engine";
import type { Engine, EngineName } from "./engine";
import { Interpreter } from "./interpreter/interpreter";

/** Makes the engine of that name for a processor. One processor has one engine. */
export function createEngine(name: EngineName, cpu: Cpu): Engine {
  switch (name) {
    case "direct":
      return new DirectEngine(cpu);
    case "interpreter":
      return new Interpreter(cpu);
  }
}
