/**
 * The board around the processor. Start with machine.ts.
 */

export type { EngineName } from "../x86";
export {
  createVectorMachine,
  type ProcessorVector,
  parseVectors,
  runVectors,
  type VectorFailure,
  type VectorReport,
} from "../x86";
export { HOST_GATE_PORT } from "./devices/host-gate";
export { InterruptController } from "./devices/interrupt-controller";
export { EventQueue, type ScheduledEvent } from "./event-queue";
export { Journal, type JournalEntry } from "./journal";
export { Machine, type MachineExit, type MachineOptions } from "./machine";
export { PortBus, type PortDevice } from "./port-bus";
export { hashState } from "./state-hash";
