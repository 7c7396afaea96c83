/*
 * The life of a session: initialize, launch, configurationDone, restart, terminate, disconnect.
 *
 *     initialize -> launch (reads files, makes the machine) -> `initialized` -> breakpoints -> configurationDone (the guest starts)
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { checkLaunch } from "../../debugger";
import type { AdapterState } from "../adapter-state";
import { capabilities } from "../capabilities";
import { attachIsNot } from "../errors";

export function initialize(
  state: AdapterState,
  args: DebugProtocol.InitializeRequestArguments & { supportsRing1ReadFile?: boolean },
) {
  state.client = {
    isOurs: args?.supportsRing1ReadFile === true,
    linesStartAt1: args?.linesStartAt1 ?? true,
    columnsStartAt1: args?.columnsStartAt1 ?? true,
    supportsInvalidated: args?.supportsInvalidatedEvent ?? false,
    supportsMemoryEvent: args?.supportsMemoryEvent ?? false,
    supportsProgress: args?.supportsProgressReporting ?? false,
  };
  return capabilities();
}

export async function launch(state: AdapterState, args: unknown): Promise<void> {
  const plan = checkLaunch(args);
  const { connection } = state;
  const progressId = `load-${plan.program}`;
  const hasProgress = state.client.supportsProgress;
  if (hasProgress) connection.event("progressStart", { progressId, title: "Loading the guest", message: plan.program });
  try {
    state.loading = state.dbg.load(plan);
    await state.loading;
  } finally {
    if (hasProgress) connection.event("progressEnd", { progressId });
  }
  const { symbols } = state.dbg.session;
  for (const [id, image] of symbols.images.entries()) {
    connection.event("module", {
      reason: "new",
      module: { id, name: image.path.replace(/^.*[/\\]/, ""), path: image.path },
    });
  }
  connection.afterResponse(() => connection.event("initialized"));
}

export function attach(): never {
  throw attachIsNot();
}

/** A client in a hurry sends this before it has the answer to `launch`. */
export async function configurationDone(state: AdapterState): Promise<void> {
  await state.loading?.catch(() => {});
  void state.dbg.session;
  state.connection.afterResponse(() => state.dbg.start());
}

export async function restart(state: AdapterState, args: { arguments?: unknown } | undefined): Promise<void> {
  const given = args?.arguments as Record<string, unknown> | undefined;
  const plan = given !== undefined && "program" in given ? checkLaunch(given) : undefined;
  state.forget();
  await state.dbg.prepareRestart(plan);
  state.connection.afterResponse(() => state.dbg.start());
}

export async function terminate(state: AdapterState): Promise<void> {
  await state.dbg.halt();
  state.connection.afterResponse(() => state.dbg.terminate());
}

export async function disconnect(state: AdapterState): Promise<void> {
  await state.dbg.halt();
  state.connection.afterResponse(() => {
    state.dbg.terminate();
    state.onDisconnect();
  });
}
