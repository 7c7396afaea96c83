/**
 * Runs a row's function to find out what it does, without a guest: values are symbols, and every effect is noted in order.
 *
 * `when` asks for a decision, so one run records one path; recordPaths() runs a row until every path is known. What is derived
 * here need not be annotated in the rows: where it may fault, what it changes, whether it reads flags.
 */
import type { Helper } from "../helpers/helper";
import type { Emitter, Semantics, Size, Value } from "./emitter";
import type { Instruction, Operand } from "./operands";

export type Effect =
  /** Memory is read, or a write is tried: may fault, changes nothing. */
  | { readonly kind: "load" | "probe" | "update-load" }
  /** Memory is written: may fault, unless the place was probed or loaded for update before. */
  | { readonly kind: "store" | "update-store" }
  | { readonly kind: "register"; readonly what: string }
  | { readonly kind: "read-flags" | "write-flags" | "read-system-flags" | "write-system-flags" }
  | { readonly kind: "stack-pointer" }
  | { readonly kind: "check-target" | "jump" | "restart" }
  | { readonly kind: "fault"; readonly vector: number }
  | { readonly kind: "helper"; readonly helper: Helper };

/** What happens on one path through a row. */
export type Path = readonly Effect[];

/** Thrown at the end of a path that does not reach the end of the text. */
class PathEnd {}

/** All paths of a row for one form. */
export function recordPaths(semantics: Semantics, instruction: Instruction): Path[] {
  const paths: Path[] = [];
  const pending: boolean[][] = [[]];
  for (let decisions = pending.pop(); decisions !== undefined; decisions = pending.pop()) {
    const emitter = new RecordingEmitter(decisions);
    try {
      semantics(emitter, instruction);
    } catch (end) {
      if (!(end instanceof PathEnd)) throw end;
    }
    paths.push(emitter.effects);
    // Decisions beyond the given ones were "true"; each has another side.
    for (let k = decisions.length; k < emitter.taken.length; k++) pending.push([...emitter.taken.slice(0, k), false]);
  }
  return paths;
}

export class RecordingEmitter implements Emitter {
  readonly effects: Effect[] = [];
  /** Decisions made at each `when`. */
  readonly taken: boolean[] = [];

  /** @param decisions for the first `when`s; further ones take the first branch */
  constructor(private readonly decisions: readonly boolean[]) {}

  private symbol(): Value {
    return {} as Value;
  }
  private note(effect: Effect): Value {
    this.effects.push(effect);
    return this.symbol();
  }

  // -- arithmetic: symbols from symbols -------------------------------------------------------------------------------------
  const = () => this.symbol();
  add = () => this.symbol();
  sub = () => this.symbol();
  mul = () => this.symbol();
  mulHighUnsigned = () => this.symbol();
  mulHighSigned = () => this.symbol();
  divideWideUnsigned = () => this.symbol();
  remainderWideUnsigned = () => this.symbol();
  divideWideSigned = () => this.symbol();
  divideWideSignedHigh = () => this.symbol();
  remainderWideSigned = () => this.symbol();
  and = () => this.symbol();
  or = () => this.symbol();
  xor = () => this.symbol();
  not = () => this.symbol();
  neg = () => this.symbol();
  shl = () => this.symbol();
  shr = () => this.symbol();
  sar = () => this.symbol();
  rotl = () => this.symbol();
  rotr = () => this.symbol();
  clz = () => this.symbol();
  ctz = () => this.symbol();
  eq = () => this.symbol();
  ne = () => this.symbol();
  ltUnsigned = () => this.symbol();
  ltSigned = () => this.symbol();
  isZero = () => this.symbol();
  select = () => this.symbol();
  signExtend = () => this.symbol();
  zeroExtend = () => this.symbol();
  effectiveAddress = () => this.symbol();
  number = () => this.symbol();
  readRegister = () => this.symbol();
  stackPointer = () => this.symbol();
  nextEip = () => this.symbol();
  currentEip = () => this.symbol();

  // -- effects --------------------------------------------------------------------------------------------------------------
  read(operand: Operand): Value {
    return operand.kind === "memory" ? this.note({ kind: "load" }) : this.symbol();
  }
  write(operand: Operand): void {
    this.note(operand.kind === "memory" ? { kind: "store" } : { kind: "register", what: operand.kind });
  }
  readForUpdate(operand: Operand): Value {
    return operand.kind === "memory" ? this.note({ kind: "update-load" }) : this.symbol();
  }
  update(operand: Operand): void {
    this.note(operand.kind === "memory" ? { kind: "update-store" } : { kind: "register", what: operand.kind });
  }
  writeRegister(index: number, size: Size): void {
    this.note({ kind: "register", what: `${size}-byte ${index}` });
  }
  load(): Value {
    return this.note({ kind: "load" });
  }
  store(): void {
    this.note({ kind: "store" });
  }
  probeWrite(): void {
    this.note({ kind: "probe" });
  }
  setStackPointer(): void {
    this.note({ kind: "stack-pointer" });
  }
  loadStack(): Value {
    return this.note({ kind: "load" });
  }
  storeStack(): void {
    this.note({ kind: "store" });
  }
  flagsResult(): Value {
    return this.note({ kind: "read-flags" });
  }
  flagsCarries(): Value {
    return this.note({ kind: "read-flags" });
  }
  setFlagsResult(): void {
    this.note({ kind: "write-flags" });
  }
  setFlagsCarries(): void {
    this.note({ kind: "write-flags" });
  }
  systemFlags(): Value {
    return this.note({ kind: "read-system-flags" });
  }
  setSystemFlags(): void {
    this.note({ kind: "write-system-flags" });
  }
  when(_condition: Value, then: () => void, otherwise?: () => void): void {
    const isTaken = this.decisions[this.taken.length] ?? true;
    this.taken.push(isTaken);
    if (isTaken) then();
    else otherwise?.();
  }
  jump(): void {
    this.note({ kind: "jump" });
  }
  checkJumpTarget(): void {
    this.note({ kind: "check-target" });
  }
  restart(): void {
    this.note({ kind: "restart" });
  }
  fault(vector: number): void {
    this.note({ kind: "fault", vector });
    throw new PathEnd();
  }
  call(helper: Helper): Value {
    return this.note({ kind: "helper", helper });
  }
}
