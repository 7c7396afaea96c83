/**
 * All instructions that the processor has, by theme. The decoder's tables, the interpreter's handlers and the tests are made of this list.
 */
import { arithmetic } from "./arithmetic";
import { dataTransfer } from "./data-transfer";
import { logic } from "./logic";
import type { Row } from "./row";

export type { Row } from "./row";

export const rows: readonly Row[] = [...dataTransfer, ...arithmetic, ...logic];
