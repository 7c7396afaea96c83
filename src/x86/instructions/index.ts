/**
 * All instructions that the processor has, by theme. The decoder's tables, the interpreter's handlers and the tests are made of this list.
 */
import { arithmetic } from "./arithmetic";
import { bits } from "./bits";
import { branches } from "./branches";
import { dataTransfer } from "./data-transfer";
import { decimal } from "./decimal";
import { farTransfers } from "./far-transfers";
import { flagControl } from "./flag-control";
import { fpu } from "./fpu";
import { logic } from "./logic";
import { multiplyDivide } from "./multiply-divide";
import type { Row } from "./row";
import { segments } from "./segments";
import { shifts } from "./shifts";
import { simd } from "./simd";
import { stack } from "./stack";
import { strings } from "./strings";
import { system } from "./system";

export type { Row } from "./row";

export const rows: readonly Row[] = [
  ...dataTransfer,
  ...stack,
  ...arithmetic,
  ...logic,
  ...shifts,
  ...bits,
  ...multiplyDivide,
  ...decimal,
  ...branches,
  ...farTransfers,
  ...strings,
  ...flagControl,
  ...segments,
  ...system,
  ...fpu,
  ...simd,
];

/** Rows from here on are x87, MMX and SSE: many, and most kernels never execute one. */
export const FIRST_FLOATING_ROW = rows.length - fpu.length - simd.length;
