// One step up the stack by call frame information: the rules of a row applied to a frame's registers.
// On the i386 a function that says nothing about ESP leaves its caller's ESP at the CFA, and EBX, ESI, EDI, EBP are kept
// by whoever is called. DWARF 5, section 6.4.4; System V ABI, Intel386 supplement, section 2.2.1.

import type { RegisterRule, UnwindRow } from "./cfi";
import { EIP, ESP, registerName } from "./constants";
import { found, type Lookup, refused } from "./errors";
import { evaluateNumber, littleEndian, PLAIN_SCOPE, type Refused } from "./expression";
import type { FrameContext } from "./location";

export interface UnwoundFrame {
  /** The canonical frame address: the caller's ESP before the call pushed the return address. */
  readonly cfa: number;
  /** The caller's registers by DWARF number; those that cannot be known are missing. */
  readonly registers: ReadonlyMap<number, number>;
  /** Where each saved register was found in memory, so that it can be changed there. */
  readonly savedAt: ReadonlyMap<number, number>;
  /** The caller's EIP. Undefined marks the outermost frame. */
  readonly returnAddress: number | undefined;
  /** The frame is that of a trap or signal handler: the return address is an interrupted instruction, not behind a call. */
  readonly isSignalFrame: boolean;
}

/** EAX, ECX and EDX belong to whoever is called; their old values are lost unless a rule says otherwise. */
const CALLEE_SAVED = [3, 5, 6, 7];
const GENERAL_REGISTERS = [0, 1, 2, 3, 5, 6, 7];

/** The canonical frame address that a row gives. */
export function cfaOf(row: UnwindRow, frame: FrameContext): number | Refused {
  if (row.cfa.kind === "expression") return evaluateNumber(row.cfa.expression, PLAIN_SCOPE, frame);
  const base = frame.register(row.cfa.register);
  if (base === undefined) return { reason: `${registerName(row.cfa.register)} is not known in this frame` };
  return (base + row.cfa.offset) >>> 0;
}

/** The caller's registers. */
export function unwind(row: UnwindRow, frame: FrameContext): Lookup<UnwoundFrame> {
  const cfa = cfaOf(row, frame);
  if (typeof cfa !== "number") return refused(`the frame address cannot be computed: ${cfa.reason}`);
  const registers = new Map<number, number>();
  const savedAt = new Map<number, number>();
  const apply = (register: number, rule: RegisterRule | undefined) => {
    const value = oldValueOf(register, rule, row, cfa, frame, savedAt);
    if (value !== undefined) registers.set(register, value >>> 0);
  };
  for (const register of GENERAL_REGISTERS) apply(register, row.rules.get(register));
  for (const [register, rule] of row.rules) if (!GENERAL_REGISTERS.includes(register)) apply(register, rule);
  if (!row.rules.has(ESP)) registers.set(ESP, cfa);
  const returnRule = row.rules.get(row.returnRegister);
  const returnAddress = registers.get(row.returnRegister);
  if (returnRule && returnRule.kind !== "undefined" && returnAddress === undefined) {
    return refused("the return address cannot be read from the stack");
  }
  if (returnAddress !== undefined) registers.set(EIP, returnAddress);
  return found({ cfa, registers, savedAt, returnAddress, isSignalFrame: row.isSignalFrame });
}

function oldValueOf(
  register: number,
  rule: RegisterRule | undefined,
  row: UnwindRow,
  cfa: number,
  frame: FrameContext,
  savedAt: Map<number, number>,
): number | undefined {
  const load = (address: number) => {
    savedAt.set(register, address >>> 0);
    const bytes = frame.readMemory(address >>> 0, 4);
    return bytes && bytes.length >= 4 ? Number(littleEndian(bytes.subarray(0, 4))) : undefined;
  };
  const evaluate = (expression: Uint8Array) => {
    const value = evaluateNumber(expression, PLAIN_SCOPE, frame, [cfa]);
    return typeof value === "number" ? value : undefined;
  };
  if (!rule) return CALLEE_SAVED.includes(register) || row.isSignalFrame ? frame.register(register) : undefined;
  switch (rule.kind) {
    case "undefined":
      return undefined;
    case "same":
      return frame.register(register);
    case "saved":
      return load(cfa + rule.offset);
    case "value":
      return cfa + rule.offset;
    case "register":
      return frame.register(rule.register);
    case "saved-at": {
      const address = evaluate(rule.expression);
      return address === undefined ? undefined : load(address);
    }
    case "value-of":
      return evaluate(rule.expression);
  }
}
