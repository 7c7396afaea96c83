/*
 * Variables, and expressions that give variables: what is shown in the Variables view, in watches, in hovers and in the
 * console. A tree is opened level by level; each level's numbers (variablesReference) hold until the guest moves on.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import {
  addressOfText,
  changesSomething,
  completionsAt,
  evaluate as evaluateTree,
  type Form,
  type FrameScope,
  memoryReference,
  notInHover,
  parseExpression,
  runLine,
  sentence,
  setValue,
  splitForm,
  type TreeNode,
  UserError,
  type Value,
  valueNode,
} from "../../debugger";
import type { AdapterState } from "../adapter-state";
import { noSuchMember, noSuchVariable } from "../errors";

/** Children without a given number: enough for a person, few enough for a client. */
const DEFAULT_PAGE = 1000;

export function variables(state: AdapterState, args: DebugProtocol.VariablesArguments) {
  const form = state.form(args.format);
  const start = args.start ?? 0;
  const count = args.count || DEFAULT_PAGE;
  const nodes = childrenOf(state, args.variablesReference, form, start, count);
  return { variables: nodes.map((node) => describeNode(state, node)) };
}

function childrenOf(
  state: AdapterState,
  reference: number,
  form: Form,
  start = 0,
  count = Number.POSITIVE_INFINITY,
): TreeNode[] {
  const source = state.variables.get(reference);
  if (source === undefined) throw noSuchVariable(reference);
  return source.kind === "scope"
    ? source.scope.children(form).slice(start, start + count)
    : source.node.children(start, count);
}

/** A child by its name. */
export function nodeOf(state: AdapterState, reference: number, name: string): TreeNode | undefined {
  const index = /^\[(\d+)\]$/.exec(name);
  if (index !== null) {
    const [child] = childrenOf(state, reference, "natural", Number(index[1]), 1);
    if (child?.name === name) return child;
  }
  return childrenOf(state, reference, "natural").find((node) => node.name === name);
}

function describeNode(state: AdapterState, node: TreeNode): DebugProtocol.Variable {
  const hasChildren = node.namedChildren + node.indexedChildren > 0;
  return {
    name: node.name,
    value: node.text,
    ...(node.type === undefined ? {} : { type: node.type }),
    ...(node.evaluateName === undefined ? {} : { evaluateName: node.evaluateName }),
    variablesReference: hasChildren ? state.variables.add({ kind: "node", node }) : 0,
    ...(node.namedChildren > 0 ? { namedVariables: node.namedChildren } : {}),
    ...(node.indexedChildren > 0 ? { indexedVariables: node.indexedChildren } : {}),
    ...(node.address === undefined
      ? {}
      : { memoryReference: memoryReference({ space: "linear", address: node.address }) }),
    ...(node.isReadOnly ? { presentationHint: { attributes: ["readOnly"] } } : {}),
  };
}

export function setVariable(state: AdapterState, args: DebugProtocol.SetVariableArguments) {
  void state.dbg.stoppedSession;
  const node = nodeOf(state, args.variablesReference, args.name);
  if (node === undefined) throw noSuchMember(args.name);
  const value = node.set(args.value);
  const after = nodeOf(state, args.variablesReference, args.name);
  state.dbg.edited();
  return after === undefined ? { value } : withoutName(describeNode(state, after));
}

export function setExpression(state: AdapterState, args: DebugProtocol.SetExpressionArguments) {
  void state.dbg.stoppedSession;
  const scope = state.scope(args.frameId);
  const { text, form } = splitForm(args.expression);
  const target = resultOf(text, scope);
  setValue(target, args.value, scope, form);
  state.dbg.edited();
  return withoutName(describeNode(state, valueNode(text, resultOf(text, scope), scope, form, text)));
}

function withoutName({ name: _name, evaluateName: _evaluateName, ...rest }: DebugProtocol.Variable) {
  return rest;
}

export function evaluate(state: AdapterState, args: DebugProtocol.EvaluateArguments) {
  const scope = state.scope(args.frameId);
  if (args.context === "repl") return evaluateLine(state, args, scope);
  const { text, form: given } = splitForm(args.expression);
  if (args.context === "hover" && changesSomething(parseExpression(text, scope.isTypeName))) throw notInHover();
  const form = given === "natural" ? state.form(args.format) : given;
  return describeResult(state, text, readable(resultOf(text, scope)), scope, form);
}

/** A number in memory that cannot be read is a mistake in the expression; a variable that is optimized out is not. */
function readable(value: Value): Value {
  const { number, storage, byteSize } = value.node;
  if (storage.location.kind === "memory" && byteSize !== undefined && byteSize <= 8) {
    const bytes = storage.read(byteSize);
    if (!bytes.ok && !number.ok) throw new UserError(sentence(bytes.reason));
  }
  return value;
}

function evaluateLine(state: AdapterState, args: DebugProtocol.EvaluateArguments, scope: FrameScope) {
  if (args.expression.trim() === "") return { result: "", variablesReference: 0 };
  const result = runLine(state.dbg, args.expression, scope);
  if ("text" in result) return { result: result.text, variablesReference: 0 };
  return describeResult(state, splitForm(args.expression).text, readable(result.value), scope, result.form);
}

function describeResult(state: AdapterState, text: string, value: Value, scope: FrameScope, form: Form) {
  const {
    name: _name,
    value: result,
    evaluateName: _evaluateName,
    ...rest
  } = describeNode(state, valueNode(text, value, scope, form, text));
  return { result, ...rest };
}

function resultOf(text: string, scope: FrameScope): Value {
  return evaluateTree(parseExpression(text, scope.isTypeName), scope);
}

export function completions(state: AdapterState, args: DebugProtocol.CompletionsArguments) {
  const lines = args.text.split("\n");
  const line = lines[(args.line ?? 1) - (state.client.linesStartAt1 ? 1 : 0)] ?? "";
  const at = args.column - (state.client.columnsStartAt1 ? 1 : 0);
  let scope: FrameScope;
  try {
    scope = state.scope(args.frameId);
  } catch (error) {
    if (error instanceof UserError) return { targets: [] };
    throw error;
  }
  const found = completionsAt(state.dbg, line, Math.min(Math.max(at, 0), line.length), scope);
  return {
    targets: found.map(({ label, kind, start, length }) => ({
      label,
      type: kind,
      start: start,
      length,
    })),
  };
}

export function locate(state: AdapterState, args: { expression: string }) {
  const scope = state.dbg.isRunning ? state.dbg.scope() : state.scope(undefined);
  return state.dbg.session.symbols.locate(addressOfText(args.expression, scope).address);
}
