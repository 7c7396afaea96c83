/**
 * Opcode tables, built once from the rows. A row's encoding is the manual's notation (SDM Vol. 2, 3.1.1.1 and appendix A):
 *
 *     [NP | 66 | F2 | F3] [0F] opcode[+r] [/r | /0../7 | ModRM byte[+i]] [ib iw iv | cb cv | cp]
 *
 * A first table answers (map, prefix, opcode, operand size): a row, "undefined", or the number of a second table that is
 * indexed with the whole ModRM byte. So memory-only forms, groups and x87's register forms are all the same look-up. A row without
 * prefix holds for every prefix that no other row claims; "NP" means that 66, F2 and F3 make something undefined of it.
 */
import type { OperandSpec } from "../emitter/operands";
import type { Row } from "../instructions/row";

/** Prefix class: which mandatory prefix an opcode stands under. */
export const PrefixClass = { NONE: 0, OPERAND_SIZE: 1, REPNE: 2, REP: 3 } as const;

/** "No such instruction". */
export const UNDEFINED = -1;

/** What decode() needs to know of a row, worked out in advance. */
export interface RowFacts {
  readonly hasModrm: boolean;
  readonly isLockable: boolean;
  readonly isRepeatable: boolean;
  /** ModRM.rm is a register whatever ModRM.mod says. */
  readonly isModIgnored: boolean;
  /** POP to memory: ESP as base of the operand's address counts as already incremented. */
  readonly isAddressAfterPop: boolean;
  /** Operands are fetched and classified by these. */
  readonly operands: readonly OperandSpec[];
}

export interface OpcodeTables {
  readonly rows: readonly Row[];
  readonly facts: readonly RowFacts[];
  /** Index: ((map * 4 + prefix) * 256 + opcode) * 2 + (operand size is 2 ? 1 : 0). Row, UNDEFINED, or -2 - number of a ModRM table. */
  readonly first: Int16Array;
  /** Index: table number * 256 + ModRM byte. Row or UNDEFINED. */
  readonly modrm: Int16Array;
}

interface Encoding {
  /** Undefined: the row holds for all prefixes. */
  readonly prefix: number | undefined;
  readonly map: 0 | 1;
  readonly opcodes: readonly number[];
  /** ModRM bytes that select the row; undefined: the row has no ModRM byte. */
  readonly modrm: readonly number[] | undefined;
}

const PREFIXES: Readonly<Record<string, number>> = { NP: 0, "66": 1, F2: 2, F3: 3 };
const MODRM_OPERANDS = new Set([
  "rm",
  "mem",
  "rmreg",
  "rmignoringmod",
  "st",
  "mmrm",
  "xmmrm",
  "creg",
  "dreg",
  "mm",
  "xmm",
]);

/** The bytes that follow opcode and ModRM, in the notation of the manual. */
function immediateLetters(operand: OperandSpec): string | undefined {
  switch (operand.where) {
    case "imm":
      return `i${operand.encoded ?? operand.width}`;
    case "rel":
      return `c${operand.encoded ?? operand.width}`;
    case "far":
      return "cp";
    default:
      return undefined;
  }
}

/** ModRM bytes that fit `accepts`. */
function modrmBytes(accepts: (modrm: number) => boolean): number[] {
  return Array.from({ length: 256 }, (_, byte) => byte).filter(accepts);
}

/** Parses a row's encoding and checks it against the operands. @throws Error for a row that contradicts itself. */
export function parseEncoding(row: Row): Encoding {
  const fail = (why: string): never => {
    throw new Error(`row ${row.mnemonic} "${row.encoding}": ${why}`);
  };
  const tokens = row.encoding.split(" ");
  const prefix = PREFIXES[tokens[0]];
  if (prefix !== undefined) tokens.shift();
  const map = tokens[0] === "0F" ? 1 : 0;
  if (map === 1) tokens.shift();
  const match = /^([0-9A-F]{2})(\+r)?$/.exec(tokens.shift() ?? "") ?? fail("no opcode");
  const opcode = parseInt(match[1], 16);
  const opcodes = match[2] ? Array.from({ length: 8 }, (_, r) => opcode + r) : [opcode];

  const operands = row.operands;
  const inMemory = operands.some((o) => o.where === "mem");
  const inRegister = operands.some((o) => o.where === "rmreg" || o.where === "st" || o.isRegisterOnly);
  const modFits = (byte: number) => (inMemory ? byte < 0xc0 : inRegister ? byte >= 0xc0 : true);
  let modrm: number[] | undefined;
  const form = tokens[0] ?? "";
  const fixed = /^([0-9A-F]{2})(\+i)?$/.exec(form);
  if (form === "/r") modrm = modrmBytes(modFits);
  else if (/^\/[0-7]$/.test(form)) modrm = modrmBytes((byte) => ((byte >> 3) & 7) === Number(form[1]) && modFits(byte));
  else if (fixed) {
    const byte = parseInt(fixed[1], 16);
    modrm = fixed[2] ? modrmBytes((other) => other >= byte && other < byte + 8) : [byte];
  }
  if (modrm !== undefined) tokens.shift();
  else if (operands.some((o) => MODRM_OPERANDS.has(o.where))) fail("an operand needs ModRM");
  const letters = operands.map(immediateLetters).filter((one) => one !== undefined);
  if (letters.join(" ") !== tokens.join(" ")) fail(`operands say "${letters.join(" ")}" follows`);
  return { prefix, map, opcodes, modrm };
}

/** Builds the tables. @throws Error when two rows claim the same encoding. */
export function buildTables(rows: readonly Row[]): OpcodeTables {
  const cellCount = 2 * 4 * 256 * 2;
  /** Every ModRM byte spelled out, 1 + row (0: undefined); only for opcodes that need it. */
  const cells = new Map<number, Int16Array>();
  const claimed = new Map<number, Uint8Array>();
  const claim = (cell: number, modrm: readonly number[] | undefined, index: number, isExplicit: boolean): void => {
    let content = cells.get(cell);
    let marks = claimed.get(cell);
    if (content === undefined || marks === undefined) {
      cells.set(cell, (content = new Int16Array(256).fill(UNDEFINED)));
      claimed.set(cell, (marks = new Uint8Array(256)));
    }
    const mark = isExplicit ? 2 : 1;
    for (let k = 0; k < (modrm?.length ?? 256); k++) {
      const byte = modrm === undefined ? k : modrm[k];
      if (marks[byte] & mark) {
        const other = rows[content[byte]];
        throw new Error(
          `rows overlap: ${rows[index].mnemonic} "${rows[index].encoding}" and ${other.mnemonic} "${other.encoding}"`,
        );
      }
      marks[byte] |= mark;
      content[byte] = index;
    }
  };
  const encodings = rows.map(parseEncoding);
  // Rows that name a prefix go last: they take their prefix away from rows that name none.
  for (const isExplicit of [false, true]) {
    encodings.forEach((encoding, index) => {
      if ((encoding.prefix !== undefined) !== isExplicit) return;
      const prefixes = encoding.prefix === undefined ? [0, 1, 2, 3] : [encoding.prefix];
      const only = rows[index].onlyOperandSize;
      for (const prefix of prefixes)
        for (const opcode of encoding.opcodes)
          for (const narrow of only === undefined ? [0, 1] : [only === 2 ? 1 : 0])
            claim(((encoding.map * 4 + prefix) * 256 + opcode) * 2 + narrow, encoding.modrm, index, isExplicit);
    });
  }
  const first = new Int16Array(cellCount).fill(UNDEFINED);
  const second: Int16Array[] = [];
  const known = new Map<string, number>();
  for (const [cell, content] of cells) {
    if (content.every((row) => row === content[0])) {
      first[cell] = content[0];
      continue;
    }
    const key = content.join();
    let number = known.get(key);
    if (number === undefined) {
      number = second.length;
      second.push(content);
      known.set(key, number);
    }
    first[cell] = -2 - number;
  }
  const modrm = new Int16Array(second.length * 256);
  for (const [number, content] of second.entries()) modrm.set(content, number * 256);
  const facts = rows.map((row, index) => ({
    hasModrm: encodings[index].modrm !== undefined,
    isLockable: row.lockable === true,
    isRepeatable: row.prefixes === "rep",
    isModIgnored: row.operands.some((o) => o.where === "rmignoringmod"),
    isAddressAfterPop: row.addressAfterPop === true,
    operands: row.operands,
  }));
  return { rows, facts, first, modrm };
}
