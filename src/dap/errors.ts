/*
 * What a client can do wrong, one function per mistake, and how any error becomes a response. A person's mistake
 * (UserError) is shown as its sentence; a bug of ours says that it is one, with where it happened, and the session goes
 * on.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { UserError } from "../debugger";

/** Numbers of DAP's error messages: stable, so that clients and tests can tell them apart. */
const USER_MISTAKE = 1001;
const OUR_BUG = 1002;

export const unknownRequest = (command: string): UserError =>
  new UserError(`The Ring 1 debug adapter has no request "${command}".`);

export const noSuchFrame = (id: unknown): UserError =>
  new UserError(`There is no stack frame ${String(id)}; the guest has moved on since it was shown.`);

export const noSuchVariable = (reference: unknown): UserError =>
  new UserError(`There is no variable ${String(reference)}; the guest has moved on since it was shown.`);

export const noSuchMember = (name: string): UserError => new UserError(`There is nothing called "${name}" here.`);

export const badArgument = (name: string, expected: string, found: unknown): UserError =>
  new UserError(`"${name}" must be ${expected}, found ${JSON.stringify(found) ?? String(found)}.`);

export const noSuchSource = (reference: unknown): UserError =>
  new UserError(`There is no source ${String(reference)}. The Switcher's listing is source 1.`);

export const noSuchTarget = (id: unknown): UserError =>
  new UserError(`There is no target ${String(id)}; ask for the targets again.`);

export const noCodeHere = (line: number): UserError => new UserError(`Line ${line} has no code to go to.`);

export const nothingToExplain = (): UserError => new UserError("The guest did not stop at an exception.");

export const attachIsNot = (): UserError =>
  new UserError('A guest lives inside the debugger; there is nothing to attach to. Use "request": "launch".');

export const noFiles = (path: string): UserError =>
  new UserError(`${path} cannot be read here: this client gives no files to the debug adapter.`);

export const noEntry = (n: unknown): UserError => new UserError(`The trap log has no entry ${String(n)} (any more).`);

/** The message and body of a failed response. */
export function toErrorBody(
  error: unknown,
  command: string,
): { message: string; body: { error: DebugProtocol.Message } } {
  if (error instanceof UserError) {
    // Hover and watch fail all the time while a person types; nobody wants a dialog for that.
    const showUser = command !== "evaluate" && command !== "completions";
    return {
      message: error.message,
      body: { error: { id: USER_MISTAKE, format: escapeFormat(error.message), showUser } },
    };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = `Ring 1 has made a mistake of its own in "${command}": ${text.split("\n").slice(0, 3).join(" ")}`;
  return {
    message,
    body: { error: { id: OUR_BUG, format: escapeFormat(message), showUser: true, sendTelemetry: false } },
  };
}

/** In DAP's formats `{name}` is a place to fill. */
function escapeFormat(text: string): string {
  return text.replace(/[{}]/g, (brace) => (brace === "{" ? "(" : ")"));
}
