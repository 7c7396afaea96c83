// How this folder says no.
//
// Inside it, malformed data throws a DwarfError with section and offset. Out of its public
// functions come Lookups: an answer, or a reason that can be shown to a person as it stands.

import { FormatError } from "../base";

/** Debug information that is malformed, truncated or of an unknown version. */
export class DwarfError extends FormatError {}

/** An answer, or the reason why there is none. */
export type Lookup<T> = { readonly ok: true; readonly value: T } | Refusal;

export interface Refusal {
  readonly ok: false;
  readonly reason: string;
}

export function found<T>(value: T): Lookup<T> {
  return { ok: true, value };
}

export function refused(reason: string): Refusal {
  return { ok: false, reason };
}

/** Runs a reader; what it throws about the data becomes a reason (and is told to `note`). Errors of our own go through. */
export function attempt<T>(read: () => Lookup<T>, note?: (problem: string) => void): Lookup<T> {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    note?.(error.message);
    return refused(error.message);
  }
}
