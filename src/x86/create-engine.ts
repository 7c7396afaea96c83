/**
 * Which engines exist, in one list: the only place that names them all.
 * A new engine extends RunLoop (run-loop.ts), gets a name in engine.ts and a line here; every test then runs it too.
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
