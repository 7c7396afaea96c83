/**
 * The decoder of the one processor that we have: the tables of all rows, built when first asked for.
 */
import { rows } from "../instructions";
import { Decoder } from "./decode";
import { buildTables, type OpcodeTables } from "./table";

export { type Decoded, type DecodedOperand, Decoder, type Fetch, MAX_LENGTH, type Undecodable } from "./decode";
export { buildTables, type OpcodeTables } from "./table";

let tables: OpcodeTables | undefined;

/** Opcode tables of all rows in instructions/. */
export function i686Tables(): OpcodeTables {
  return (tables ??= buildTables(rows));
}

/** A decoder for all rows; each has its own result object. */
export function createDecoder(): Decoder {
  return new Decoder(i686Tables());
}
