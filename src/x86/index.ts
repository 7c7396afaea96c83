/**
 * The processor: an i686 that knows nothing of boards, hypervisors or debuggers. Other folders enter here.
 * Start with emitter/emitter.ts (the language of instructions), instructions/ (the rows), cpu.ts (state), engine.ts (running it).
 */
export * as Asm from "./assembler";
export { type AssembledCode, type AssembledLine, Assembler } from "./assembler";
export { Cpu, type Delivery, type Ports, type SlowMemory } from "./cpu";
export { createEngine } from "./create-engine";
export type { Engine, EngineName, PendingDelivery, RunExit } from "./engine";
export { GuestFault, Unimplemented } from "./fault";
export type { Watchpoint } from "./mmu/code-watch";
export { Access, PageFaultError, Pte, translate } from "./mmu/paging";
export * as StateLayout from "./state-layout";
export { Cr0, Cr4, Flag, Mode, Reg, Seg, Vector } from "./state-layout";
export { createVectorMachine, runVectors, type VectorFailure, type VectorReport } from "./vectors/run-vectors";
export { parseVectors, type Vector as ProcessorVector } from "./vectors/vector";
export type { VectorMachine } from "./vectors/vector-machine";
