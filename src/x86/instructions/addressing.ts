/**
 * Sums of offsets, wrapped to the address size: what instructions need that touch more than one place (far pointers, bit strings,
 * descriptor table images). The emitters wrap only the operand's own address. SDM Vol. 1, 3.7.5.
 */
import type { Emitter, Value } from "../emitter/emitter";
import type { Instruction } from "../emitter/operands";

/** offset + delta, wrapped to the address size. */
export function addressPlus(e: Emitter, i: Instruction, offset: Value, delta: Value): Value {
  const sum = e.add(offset, delta);
  return i.addressSize === 2 ? e.zeroExtend(sum, 2) : sum;
}
