// What a person drives: one Debugger per session. Start with debugger.ts; stack.ts, stepping.ts and traps/ are the hearts.
export type { Breakpoint, FunctionBreakpoint, InstructionBreakpoint, SourceBreakpoint } from "./breakpoints";
export type { ConsoleChunk } from "./console-output";
export { Debugger, type DebuggerEvents, type DebuggerStatus, type Session } from "./debugger";
export type { CodeLine } from "./disassembly";
export { UserError } from "./errors";
export * from "./expressions";
export type { FrameScope } from "./frame-scope";
export { checkLaunch, type LaunchPlan } from "./launch-attributes";
export type { FileAccess } from "./program";
export type { Scheduler } from "./run-control";
export type { StackFrame } from "./stack";
export type { Granularity, StepThrough } from "./stepping";
export type { EndReport, StopReport } from "./stop-report";
export { type CodeLocation, placeText } from "./symbols";
export { memoryReference, parseReference, type Space } from "./target-memory";
