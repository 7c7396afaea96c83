/*
 * What this adapter can do, as `initialize` answers: the list that a client draws its buttons and its breakpoint
 * filters from. A line here goes with a line in session.ts's table of routes. DAP specification, "Capabilities".
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { TRAP_FILTERS } from "../debugger";

export function capabilities(): DebugProtocol.Capabilities {
  return {
    supportsConfigurationDoneRequest: true,
    supportsFunctionBreakpoints: true,
    supportsConditionalBreakpoints: true,
    supportsHitConditionalBreakpoints: true,
    supportsLogPoints: true,
    supportsEvaluateForHovers: true,
    supportsExceptionFilterOptions: true,
    supportsExceptionInfoRequest: true,
    exceptionBreakpointFilters: TRAP_FILTERS.map(
      ({ filter, label, description, conditionDescription, default: isDefault }) => ({
        filter,
        label,
        description,
        default: isDefault ?? false,
        supportsCondition: true,
        conditionDescription,
      }),
    ),
    supportsSetVariable: true,
    supportsSetExpression: true,
    supportsGotoTargetsRequest: true,
    supportsStepInTargetsRequest: true,
    supportsCompletionsRequest: true,
    completionTriggerCharacters: [".", ">", "$", "%"],
    supportsModulesRequest: true,
    additionalModuleColumns: [{ attributeName: "range", label: "Addresses", type: "string" }],
    supportsRestartRequest: true,
    supportsValueFormattingOptions: true,
    supportTerminateDebuggee: true,
    supportsTerminateRequest: true,
    supportsDelayedStackTraceLoading: true,
    supportsLoadedSourcesRequest: true,
    supportsDataBreakpoints: true,
    supportsDataBreakpointBytes: true,
    supportsReadMemoryRequest: true,
    supportsWriteMemoryRequest: true,
    supportsDisassembleRequest: true,
    supportsInstructionBreakpoints: true,
    supportsSteppingGranularity: true,
    supportsCancelRequest: true,
    supportsBreakpointLocationsRequest: true,
    supportsClipboardContext: true,
  };
}
