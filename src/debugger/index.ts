// What a person drives: one Debugger per session. Start with debugger.ts; stack.ts, stepping.ts and traps/ are the
// hearts.
export {
  type Breakpoint,
  type FunctionBreakpoint,
  type InstructionBreakpoint,
  placeReference,
  type SourceBreakpoint,
} from "./breakpoints";
export { type Completion, completionsAt } from "./completions";
export type { ConsoleChunk } from "./console-output";
export { Debugger, type DebuggerEvents, type DebuggerStatus, type Session } from "./debugger";
export type { CodeLine } from "./disassembly";
export { notInHover, UserError } from "./errors";
export * from "./expressions";
export type { FrameScope } from "./frame-scope";
export { PageTableReader } from "./inspection/page-tables";
export { registersState } from "./inspection/registers-view";
export { gdtState, hypervisorState, idtState } from "./inspection/tables-view";
export { translate } from "./inspection/translate";
export { trapDetails, trapRow } from "./inspection/trap-details";
export { checkLaunch, type LaunchPlan } from "./launch-attributes";
export type { FileAccess } from "./program";
export { addressOfText, runLine } from "./repl";
export type { Scheduler } from "./run-control";
export { numberOf, type ScopeTree, scopesOf, setField, setValue, type TreeNode, valueNode } from "./scopes";
export type { StackFrame } from "./stack";
export type { Granularity, StepThrough } from "./stepping";
export type { EndReport, StopReport } from "./stop-report";
export { type CodeLocation, placeText } from "./symbols";
export { type MemoryPlace, memoryReference, parseReference, type Space } from "./target-memory";
export { TRAP_FILTERS } from "./trap-breakpoints";
export { EXCEPTIONS, errorCodeText, type TrapFilterTerm } from "./traps";
export { type DataAccess, dataIdOf } from "./watchpoints";
