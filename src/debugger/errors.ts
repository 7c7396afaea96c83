/*
 * What a user can do wrong, one function per mistake: each gives a UserError whose message says what was wrong and,
 * where there is one, the way out. Anything else that is thrown in this folder is a bug of ours and is reported as one.
 *
 * STYLE: "four kinds of wrong, four paths"; this is the third.
 */
import { hex } from "../base";

/** A mistake of the person at the keyboard. `position` counts characters in the text they wrote. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly position?: number,
  ) {
    super(message);
    this.name = "UserError";
  }
}

export const syntaxError = (message: string, position: number): UserError =>
  new UserError(`${message} (at character ${position + 1})`, position);

export const unknownName = (name: string, near: readonly string[] = []): UserError =>
  new UserError(
    `There is no symbol or register "${name}"${near.length > 0 ? `; did you mean ${near.join(", ")}?` : "."}`,
  );

export const unknownType = (name: string): UserError => new UserError(`There is no type "${name}".`);

export const unreadable = (address: number, space = "linear"): UserError =>
  new UserError(`Cannot read ${spaceText(space)} address ${hex(address)}: nothing is mapped there.`);

export const unwritable = (address: number, space = "linear"): UserError =>
  new UserError(`Cannot write ${spaceText(space)} address ${hex(address)}: nothing is mapped there.`);

export const notAnAddress = (text: string): UserError =>
  new UserError(
    `"${text}" is no address. Write a number, a symbol, or gpa:0x1000 (guest-physical), hpa:0x1000 (host-physical).`,
  );

export const notAnLvalue = (): UserError => new UserError("Only a variable, a register or memory can be assigned to.");

export const notInHover = (): UserError => new UserError("Hovering over an assignment does not make it.");

export const optimizedOut = (): UserError => new UserError("The value is optimized out here.");

export const noMember = (type: string, name: string): UserError => new UserError(`${type} has no member "${name}".`);

export const notRunning = (): UserError => new UserError("No guest is running. Start one with F5.");

export const stillRunning = (): UserError => new UserError("The guest is running. Pause it first.");

export const guestHasEnded = (): UserError =>
  new UserError("The guest has ended. Restart it, or look at what led there.");

export const badOption = (name: string, expected: string, found: unknown): UserError =>
  new UserError(`launch.json: "${name}" must be ${expected}, found ${describe(found)}.`);

export const unknownOption = (name: string, near: string | undefined): UserError =>
  new UserError(`launch.json: there is no attribute "${name}"${near ? `; did you mean "${near}"?` : "."}`);

export const cannotRead = (what: string, path: string, reason: string): UserError =>
  new UserError(`Cannot read the ${what} ${path}: ${reason}`);

export const badImage = (path: string, reason: string): UserError => new UserError(`Cannot boot ${path}: ${reason}`);

export const badRegisterValue = (register: string, reason: string): UserError =>
  new UserError(`${register} cannot take that value: ${reason}.`);

export const readOnly = (what: string, why: string): UserError => new UserError(`${what} cannot be changed: ${why}.`);

function spaceText(space: string): string {
  return space === "gpa" ? "guest-physical" : space === "hpa" ? "host-physical" : "linear";
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The names closest to `name`, best first: what a typing mistake or two would reach. */
export function nearestNames(name: string, names: Iterable<string>, most = 3): string[] {
  const limit = Math.max(1, Math.floor(name.length / 3));
  const found: { name: string; distance: number }[] = [];
  for (const candidate of names) {
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), limit);
    if (distance <= limit) found.push({ name: candidate, distance });
  }
  found.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return found.slice(0, most).map((entry) => entry.name);
}

function editDistance(a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + cost);
      least = Math.min(least, next[j]);
    }
    if (least > limit) return limit + 1;
    row = next;
  }
  return row[b.length];
}
