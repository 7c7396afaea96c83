/*
 * What the answers of one session share: the debugger, the connection, the numbers that were given out, and what the
 * client said about itself. The long answers (requests/) take this and their arguments, and nothing else.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import {
  type Debugger,
  evaluate,
  type Form,
  type FrameScope,
  parseExpression,
  type ScopeTree,
  type StackFrame,
  type TreeNode,
  valueNode,
} from "../debugger";
import { noSuchFrame } from "./errors";
import { Handles } from "./handles";
import type { ProtocolConnection } from "./protocol-connection";

export const THREAD_ID = 1;
/** The Switcher's listing, a virtual document. */
export const LISTING_REFERENCE = 1;

export interface ClientFacts {
  /** It is our extension: it takes console output from custom events and gives files. */
  readonly isOurs: boolean;
  readonly linesStartAt1: boolean;
  readonly columnsStartAt1: boolean;
  readonly supportsInvalidated: boolean;
  readonly supportsMemoryEvent: boolean;
  readonly supportsProgress: boolean;
}

/** Where children of a variables reference come from. */
export type VariableSource =
  | { readonly kind: "scope"; readonly scope: ScopeTree }
  | { readonly kind: "node"; readonly node: TreeNode };

export class AdapterState {
  readonly frames = new Handles<StackFrame>();
  readonly variables = new Handles<VariableSource>();
  readonly gotoTargets = new Handles<number>();
  readonly stepTargets = new Handles<number>();
  /** The launch that is under way, or was. */
  loading: Promise<void> | undefined;
  client: ClientFacts = {
    isOurs: false,
    linesStartAt1: true,
    columnsStartAt1: true,
    supportsInvalidated: false,
    supportsMemoryEvent: false,
    supportsProgress: false,
  };

  constructor(
    readonly dbg: Debugger,
    readonly connection: ProtocolConnection,
    /** The client is done. */
    readonly onDisconnect: () => void,
  ) {}

  /** The guest has moved on: numbers that were given out mean nothing any more. */
  forget(): void {
    this.frames.clear();
    this.variables.clear();
    this.gotoTargets.clear();
    this.stepTargets.clear();
  }

  /** The names of a frame; without a number those of the innermost one with code. @throws UserError. */
  scope(frameId: number | undefined): FrameScope {
    if (frameId === undefined) return this.dbg.scope();
    const frame = this.frames.get(frameId);
    if (frame === undefined) throw noSuchFrame(frameId);
    return this.dbg.scope(frame);
  }

  /** The bytes behind an expression, for a data breakpoint; undefined when it is not in memory. */
  watchableExpression(text: string, frameId: number | undefined): { address: number; length: number } | undefined {
    const scope = this.scope(frameId);
    const value = evaluate(parseExpression(text, scope.isTypeName), scope);
    return valueNode(text, value, scope, "natural", text).watchable;
  }

  clientLine(line: number): number {
    return this.client.linesStartAt1 ? line : line - 1;
  }
  ourLine(line: number): number {
    return this.client.linesStartAt1 ? line : line + 1;
  }
  clientColumn(column: number): number {
    return this.client.columnsStartAt1 ? column : column - 1;
  }
  ourColumn(column: number | undefined): number | undefined {
    return column === undefined ? undefined : this.client.columnsStartAt1 ? column : column + 1;
  }

  form(format: DebugProtocol.ValueFormat | undefined): Form {
    return format?.hex ? "hex" : "natural";
  }
}
