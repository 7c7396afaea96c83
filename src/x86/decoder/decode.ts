/**
 * Bytes to a decoded instruction: prefixes, opcode, ModRM, SIB, displacement, immediates. SDM Vol. 2, chapter 2.
 *
 * Everything is a look-up in the tables of table.ts. The result is one object per Decoder that the next decode() overwrites: decoding
 * happens on every miss of an engine's cache and must not make garbage. Copy what you keep.
 * A decoded instruction is at the same time the Instruction that a row's function gets.
 */
import type { Size } from "../emitter/emitter";
import type { Instruction, Operand, OperandKind, OperandSpec } from "../emitter/operands";
import { GuestFault } from "../fault";
import type { Row } from "../instructions/row";
import { Reg, Seg, Vector } from "../state-layout";
import { type OpcodeTables, PrefixClass } from "./table";

/** SDM Vol. 2, 2.3.11: longer is #GP(0). */
export const MAX_LENGTH = 15;

export interface DecodedOperand extends Operand {
  readonly kind: OperandKind;
  readonly size: Size;
  /** Number of the register of any kind; 0-7 for 1-byte registers means AL CL DL BL AH CH DH BH. */
  readonly register: number;
  /** Immediate after extension, zero-extended from its size; for a relative operand the signed displacement; for a far one the offset. */
  readonly value: number;
  /** Selector of a far operand. */
  readonly selector: number;
}

export interface Decoded extends Instruction {
  readonly invalid: false;
  readonly row: Row;
  readonly rowIndex: number;
  /** Bytes, 1-15. */
  readonly length: number;
  /** Segment (Seg.*) of the memory operand or of the implicit data address, after override. */
  readonly segment: number;
  readonly segmentOverridden: boolean;
  readonly modrmIsMemory: boolean;
  /** Registers of the address, or -1. In 16-bit addressing too (BX BP SI DI, to be used as 16 bits). */
  readonly base: number;
  readonly index: number;
  /** Shift of the index, 0-3. */
  readonly scale: number;
  /** Signed; sums wrap to the address size. */
  readonly displacement: number;
  readonly operands: readonly DecodedOperand[];
}

/** No instruction: #UD. */
export interface Undecodable {
  readonly invalid: true;
  /** Bytes read until that was clear. */
  readonly length: number;
}

/** One byte at EIP + offset; throws GuestFault where it cannot be fetched. */
export type Fetch = (offset: number) => number;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const Prefix = { NONE: 0, SEGMENT: 1, OPERAND_SIZE: 2, ADDRESS_SIZE: 3, LOCK: 4, REPNE: 5, REP: 6 } as const;

/** What each byte is as a prefix; segment overrides carry the segment in the upper bits. */
const PREFIX_OF = new Uint8Array(256);
for (const [byte, seg] of [
  [0x26, Seg.ES],
  [0x2e, Seg.CS],
  [0x36, Seg.SS],
  [0x3e, Seg.DS],
  [0x64, Seg.FS],
  [0x65, Seg.GS],
])
  PREFIX_OF[byte] = Prefix.SEGMENT | (seg << 4);
PREFIX_OF[0x66] = Prefix.OPERAND_SIZE;
PREFIX_OF[0x67] = Prefix.ADDRESS_SIZE;
PREFIX_OF[0xf0] = Prefix.LOCK;
PREFIX_OF[0xf2] = Prefix.REPNE;
PREFIX_OF[0xf3] = Prefix.REP;

/** 16-bit addressing, by ModRM.rm. SDM Vol. 2, table 2-1. */
const BASE_16 = [Reg.EBX, Reg.EBX, Reg.EBP, Reg.EBP, Reg.ESI, Reg.EDI, Reg.EBP, Reg.EBX];
const INDEX_16 = [Reg.ESI, Reg.EDI, Reg.ESI, Reg.EDI, -1, -1, -1, -1];

const REPEATS = ["none", "none", "repne", "rep"] as const;

function newOperand(): Mutable<DecodedOperand> {
  return { kind: "immediate", size: 4, register: 0, value: 0, selector: 0 };
}

/** An operand that the row does not have reads as the constant 0. */
function setAbsent(o: Mutable<DecodedOperand>): void {
  o.kind = "immediate";
  o.size = 4;
  o.value = 0;
}

/** Decodes with one set of tables. */
export class Decoder {
  private readonly slots = [newOperand(), newOperand(), newOperand()];
  private readonly lists = [0, 1, 2, 3].map((count) => this.slots.slice(0, count));
  private readonly result: Mutable<Decoded>;
  private readonly undecodable: Mutable<Undecodable> = { invalid: true, length: 0 };
  private readonly modrmTables: Int16Array;
  private readonly firstTable: Int16Array;
  /** State of the decode under way. */
  private fetch: Fetch = () => 0;
  private at = 0;
  private modrm = 0;
  private defaultSegment = 0;

  constructor(private readonly tables: OpcodeTables) {
    this.firstTable = tables.first;
    this.modrmTables = tables.modrm;
    this.result = {
      invalid: false,
      row: tables.rows[0],
      rowIndex: 0,
      length: 0,
      operandSize: 4,
      addressSize: 4,
      repeat: "none",
      isLocked: false,
      segment: Seg.DS,
      segmentOverridden: false,
      modrmIsMemory: false,
      base: -1,
      index: -1,
      scale: 0,
      displacement: 0,
      operands: this.lists[0],
      op1: this.slots[0],
      op2: this.slots[1],
      op3: this.slots[2],
      dataSegment: { ...newOperand(), kind: "memory" },
    };
  }

  /**
   * Decodes one instruction. The answer is valid until the next call.
   * @param fetch the instruction's bytes
   * @param mode code32: CS.D, the default of operand and address size
   * @throws GuestFault whatever fetch throws, and #GP(0) for more than 15 bytes
   */
  decode(fetch: Fetch, mode: { readonly code32: boolean }): Decoded | Undecodable {
    this.fetch = fetch;
    this.at = 0;
    const d = this.result;
    let isOperandSizeFlipped = false;
    let isAddressSizeFlipped = false;
    let isLocked = false;
    let override = -1;
    let repeat: number = PrefixClass.NONE;
    let byte = this.byte();
    for (let prefix = PREFIX_OF[byte]; prefix !== Prefix.NONE; prefix = PREFIX_OF[byte]) {
      switch (prefix & 15) {
        case Prefix.SEGMENT:
          override = prefix >> 4;
          break;
        case Prefix.OPERAND_SIZE:
          isOperandSizeFlipped = true;
          break;
        case Prefix.ADDRESS_SIZE:
          isAddressSizeFlipped = true;
          break;
        case Prefix.LOCK:
          isLocked = true;
          break;
        case Prefix.REPNE:
          repeat = PrefixClass.REPNE;
          break;
        default:
          repeat = PrefixClass.REP;
      }
      byte = this.byte();
    }
    const map = byte === 0x0f ? 1 : 0;
    if (map === 1) byte = this.byte();
    d.operandSize = isOperandSizeFlipped === mode.code32 ? 2 : 4;
    d.addressSize = isAddressSizeFlipped === mode.code32 ? 2 : 4;
    // F2 and F3 win over 66 as mandatory prefixes. SDM Vol. 2, 2.1.2.
    const prefixClass =
      repeat !== PrefixClass.NONE ? repeat : isOperandSizeFlipped ? PrefixClass.OPERAND_SIZE : PrefixClass.NONE;
    let row = this.firstTable[((map * 4 + prefixClass) * 256 + byte) * 2 + (d.operandSize === 2 ? 1 : 0)];
    const opcode = byte;
    let hasModrm = false;
    if (row < -1) {
      this.modrm = this.byte();
      hasModrm = true;
      row = this.modrmTables[(-2 - row) * 256 + this.modrm];
    }
    if (row < 0) return this.refuse();
    const facts = this.tables.facts[row];
    d.row = this.tables.rows[row];
    d.rowIndex = row;
    d.isLocked = isLocked;
    d.repeat = facts.isRepeatable ? REPEATS[repeat] : "none";
    d.base = -1;
    d.index = -1;
    d.scale = 0;
    d.displacement = 0;
    d.modrmIsMemory = false;
    this.defaultSegment = Seg.DS;
    if (facts.hasModrm) {
      if (!hasModrm) this.modrm = this.byte();
      if (this.modrm < 0xc0 && !facts.isModIgnored) {
        d.modrmIsMemory = true;
        if (d.addressSize === 4) this.address32();
        else this.address16();
        if (facts.isAddressAfterPop && d.base === Reg.ESP) d.displacement = (d.displacement + d.operandSize) | 0;
      }
    }
    if (isLocked && !(facts.isLockable && d.modrmIsMemory)) return this.refuse();
    const specs = facts.operands;
    for (let k = 0; k < specs.length; k++) if (!this.operand(this.slots[k], specs[k], opcode)) return this.refuse();
    for (let k = specs.length; k < 3; k++) setAbsent(this.slots[k]);
    d.operands = this.lists[specs.length];
    d.segment = override >= 0 ? override : this.defaultSegment;
    d.segmentOverridden = override >= 0;
    d.length = this.at;
    return d;
  }

  private refuse(): Undecodable {
    this.undecodable.length = this.at;
    return this.undecodable;
  }

  private byte(): number {
    if (this.at >= MAX_LENGTH) throw new GuestFault(Vector.GP, 0);
    return this.fetch(this.at++);
  }
  private word(): number {
    const low = this.byte();
    return low | (this.byte() << 8);
  }
  private dword(): number {
    const low = this.word();
    return low | (this.word() << 16);
  }
  private signedByte(): number {
    return (this.byte() << 24) >> 24;
  }

  /** SDM Vol. 2, tables 2-2 and 2-3. */
  private address32(): void {
    const d = this.result;
    const mod = this.modrm >> 6;
    let base = this.modrm & 7;
    if (base === 4) {
      const sib = this.byte();
      base = sib & 7;
      const index = (sib >> 3) & 7;
      if (index !== 4) {
        d.index = index;
        d.scale = sib >> 6;
      }
    }
    if (mod === 0 && base === Reg.EBP) {
      d.displacement = this.dword();
      return;
    }
    d.base = base;
    if (base === Reg.ESP || base === Reg.EBP) this.defaultSegment = Seg.SS;
    if (mod === 1) d.displacement = this.signedByte();
    else if (mod === 2) d.displacement = this.dword();
  }

  /** SDM Vol. 2, table 2-1. */
  private address16(): void {
    const d = this.result;
    const mod = this.modrm >> 6;
    const rm = this.modrm & 7;
    if (mod === 0 && rm === 6) {
      d.displacement = (this.word() << 16) >> 16;
      return;
    }
    d.base = BASE_16[rm];
    d.index = INDEX_16[rm];
    if (d.base === Reg.EBP) this.defaultSegment = Seg.SS;
    if (mod === 1) d.displacement = this.signedByte();
    else if (mod === 2) d.displacement = (this.word() << 16) >> 16;
  }

  /** Fills in one operand; false when the encoding names a register that does not exist. */
  private operand(o: Mutable<DecodedOperand>, spec: OperandSpec, opcode: number): boolean {
    const d = this.result;
    const v = d.operandSize;
    const width = spec.width;
    o.size = width === "b" ? 1 : width === "w" ? 2 : width === "v" || width === "p" ? v : 4;
    o.register = 0;
    o.value = 0;
    o.selector = 0;
    const regField = (this.modrm >> 3) & 7;
    const rmField = this.modrm & 7;
    switch (spec.where) {
      case "reg":
        o.kind = "register";
        o.register = this.tables.facts[d.rowIndex].hasModrm ? regField : opcode & 7;
        return true;
      case "rm":
        if (d.modrmIsMemory) o.kind = "memory";
        else {
          o.kind = "register";
          o.register = rmField;
        }
        return true;
      case "mem":
        o.kind = "memory";
        return true;
      case "rmreg":
      case "rmignoringmod":
        o.kind = "register";
        o.register = rmField;
        return true;
      case "imm":
        this.immediate(o, spec);
        return true;
      case "rel":
        o.kind = "relative";
        o.value = spec.encoded === "b" ? this.signedByte() : v === 4 ? this.dword() : (this.word() << 16) >> 16;
        return true;
      case "far":
        o.kind = "far";
        o.value = v === 4 ? this.dword() >>> 0 : this.word();
        o.selector = this.word();
        return true;
      case "moffs":
        o.kind = "memory";
        d.displacement = d.addressSize === 4 ? this.dword() : this.word();
        return true;
      case "sreg":
        o.kind = "segment";
        o.register = spec.value ?? regField;
        return spec.value !== undefined || regField <= Seg.GS;
      case "creg":
        o.kind = "control";
        o.register = regField;
        return regField !== 1 && regField <= 4;
      case "dreg":
        o.kind = "debug";
        o.register = regField;
        return true;
      case "st":
        o.kind = "st";
        o.register = rmField;
        return true;
      case "mm":
        o.kind = "mmx";
        o.register = regField;
        return true;
      case "xmm":
        o.kind = "xmm";
        o.register = regField;
        return true;
      case "mmrm":
      case "xmmrm":
        o.kind = d.modrmIsMemory ? "memory" : spec.where === "mmrm" ? "mmx" : "xmm";
        o.register = rmField;
        return true;
      case "fixed":
        o.kind = "register";
        o.register = spec.value ?? 0;
        return true;
      case "const":
        o.kind = "immediate";
        o.value = spec.value ?? 0;
        return true;
    }
  }

  private immediate(o: Mutable<DecodedOperand>, spec: OperandSpec): void {
    o.kind = "immediate";
    const encoded = spec.encoded ?? spec.width;
    let value: number;
    if (encoded === "b") value = spec.signExtend ? this.signedByte() : this.byte();
    else if (encoded === "w" || o.size === 2) value = this.word();
    else value = this.dword();
    o.value = o.size === 4 ? value >>> 0 : o.size === 2 ? value & 0xffff : value & 0xff;
  }
}
