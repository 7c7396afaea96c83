/*
 * Machine code as text. iced-x86 decodes and formats in AT&T syntax; symbols are added behind addresses, as objdump
 * does.
 *
 * The Disassembly view asks for instructions before an address, but x86 code can only be read forwards. So decoding
 * starts at a place known to begin an instruction (a symbol, a line), or, where there is none, at the start that
 * reaches the address through the most valid instructions. What is not mapped comes out as invalid lines: the count
 * asked for is kept.
 */
import {
  Code,
  Decoder,
  DecoderOptions,
  FlowControl,
  Formatter,
  FormatterSyntax,
  Instruction,
  OpKind,
  Register,
} from "iced-x86";

/** How one instruction continues. */
export type Flow = "next" | "call" | "jump" | "branch" | "return" | "interrupt" | "other";

export interface CodeLine {
  readonly address: number;
  /** Empty where memory cannot be read. */
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly isInvalid: boolean;
  readonly flow: Flow;
  /** Target of a direct call, jump or branch. */
  readonly target?: number;
}

export interface CodeSource {
  /** As many bytes as can be read, at most `length`. */
  read(address: number, length: number): Uint8Array;
  /** `kernel_main+0x13`, or undefined. */
  symbolAt(address: number): string | undefined;
  /** The last address at or before this one that surely begins an instruction, no further back than `most` bytes. */
  boundaryBefore(address: number, most: number): number | undefined;
}

export const MAX_INSTRUCTION = 15;
const SYNC_BYTES = 64;

export class Disassembler {
  private readonly formatter: Formatter;

  constructor(private readonly source: CodeSource) {
    this.formatter = new Formatter(FormatterSyntax.Gas);
    this.formatter.uppercaseHex = false;
    this.formatter.gasSpaceAfterMemoryOperandComma = false;
    this.formatter.spaceAfterOperandSeparator = true;
  }

  /** Exactly `count` lines, the first one `offset` instructions after (before, when negative) the one at `address`. */
  lines(address: number, offset: number, count: number, bitness: 16 | 32 = 32): CodeLine[] {
    let result: CodeLine[] = [];
    if (offset < 0) {
      const before = this.before(address, -offset, bitness);
      result = before.slice(0, count);
      if (result.length < count) result.push(...this.forwards(address, count - result.length, bitness));
      return result;
    }
    return this.forwards(address, offset + count, bitness).slice(offset);
  }

  /** The instruction at an address; invalid when it cannot be read or is none. */
  at(address: number, bitness: 16 | 32 = 32): CodeLine {
    return this.forwards(address, 1, bitness)[0];
  }

  private forwards(start: number, count: number, bitness: number): CodeLine[] {
    const lines: CodeLine[] = [];
    let at = start >>> 0;
    while (lines.length < count) {
      const want = Math.min(4096, (count - lines.length) * MAX_INSTRUCTION);
      const bytes = this.source.read(at, want);
      if (bytes.length === 0) {
        lines.push(unmapped(at));
        at = (at + 1) >>> 0;
        continue;
      }
      const decoded = this.decode(
        bytes,
        at,
        count - lines.length,
        bitness,
        bytes.length === want && want >= MAX_INSTRUCTION * 2,
      );
      lines.push(...decoded);
      at = (at + decoded.reduce((sum, line) => sum + line.bytes.length, 0)) >>> 0;
    }
    return lines;
  }

  /**
   * Decodes; with `mayStop` the last fifteen bytes are left for the next round, where their instructions may be whole.
   */
  private decode(bytes: Uint8Array, address: number, most: number, bitness: number, mayStop: boolean): CodeLine[] {
    const decoder = new Decoder(bitness, bytes, DecoderOptions.None);
    const instruction = new Instruction();
    const lines: CodeLine[] = [];
    try {
      decoder.ip = BigInt(address);
      while (decoder.canDecode && lines.length < most) {
        const position = decoder.position;
        if (mayStop && lines.length > 0 && bytes.length - position < MAX_INSTRUCTION) break;
        decoder.decodeOut(instruction);
        const isInvalid = instruction.code === Code.INVALID;
        const length = isInvalid ? 1 : instruction.length;
        if (isInvalid) {
          decoder.position = position + 1;
          decoder.ip = BigInt(address + position + 1);
        }
        lines.push({
          address: (address + position) >>> 0,
          bytes: bytes.slice(position, position + length),
          text: isInvalid ? "(bad)" : this.textOf(instruction),
          isInvalid,
          flow: isInvalid ? "other" : flowOf(instruction),
          target: isInvalid ? undefined : targetOf(instruction),
        });
      }
      return lines;
    } finally {
      instruction.free();
      decoder.free();
    }
  }

  private textOf(instruction: Instruction): string {
    const text = this.formatter.format(instruction);
    const address = targetOf(instruction) ?? absoluteMemory(instruction);
    const symbol = address === undefined ? undefined : this.source.symbolAt(address);
    return symbol === undefined ? text : `${text} <${symbol}>`;
  }

  /** The `count` instructions before an address, padded with invalid ones where there are no more. */
  private before(address: number, count: number, bitness: number): CodeLine[] {
    const found: CodeLine[] = [];
    let end = address;
    while (found.length < count && end > 0) {
      const chunk = this.chunkBefore(end, (count - found.length) * MAX_INSTRUCTION + SYNC_BYTES, bitness);
      if (chunk.length === 0) break;
      found.unshift(...chunk);
      end = chunk[0].address;
    }
    while (found.length < count && end > 0) {
      end--;
      found.unshift(unmapped(end));
    }
    while (found.length < count) found.unshift(unmapped(0));
    return found.slice(found.length - count);
  }

  /** Instructions that end exactly at `end`, as far back as one look goes. */
  private chunkBefore(end: number, most: number, bitness: number): CodeLine[] {
    const boundary = this.source.boundaryBefore(end - 1, Math.max(most, 4096));
    if (boundary !== undefined && boundary < end) {
      const lines = this.upTo(boundary, end, bitness);
      if (lines !== undefined) return lines;
    }
    let best: CodeLine[] = [];
    let bestBad = Number.POSITIVE_INFINITY;
    let furthest = Math.max(0, end - Math.min(most, 512));
    if (this.source.read(furthest, end - furthest).length < end - furthest) {
      furthest = Math.max(furthest, ((end - 1) & ~0xfff) >>> 0);
    }
    for (let start = furthest; start < Math.min(furthest + MAX_INSTRUCTION, end); start++) {
      const lines = this.upTo(start, end, bitness);
      if (lines === undefined) continue;
      const bad = lines.filter((line) => line.isInvalid).length;
      if (bad < bestBad) {
        best = lines;
        bestBad = bad;
      }
    }
    return best;
  }

  private upTo(start: number, end: number, bitness: number): CodeLine[] | undefined {
    const bytes = this.source.read(start, end - start);
    if (bytes.length < end - start) return undefined;
    const lines = this.decode(bytes, start, Number.POSITIVE_INFINITY, bitness, false);
    const last = lines.at(-1);
    return last !== undefined && last.address + last.bytes.length === end ? lines : undefined;
  }
}

function unmapped(address: number): CodeLine {
  return { address, bytes: new Uint8Array(0), text: "?? (not mapped)", isInvalid: true, flow: "other" };
}

function flowOf(instruction: Instruction): Flow {
  switch (instruction.flowControl) {
    case FlowControl.Next:
      return "next";
    case FlowControl.Call:
    case FlowControl.IndirectCall:
      return "call";
    case FlowControl.UnconditionalBranch:
    case FlowControl.IndirectBranch:
      return "jump";
    case FlowControl.ConditionalBranch:
      return "branch";
    case FlowControl.Return:
      return "return";
    case FlowControl.Interrupt:
      return "interrupt";
    default:
      return "other";
  }
}

function targetOf(instruction: Instruction): number | undefined {
  if (instruction.opCount === 0) return undefined;
  const kind = instruction.opKind(0);
  if (kind === OpKind.NearBranch16 || kind === OpKind.NearBranch32)
    return Number(instruction.nearBranchTarget & 0xffffffffn);
  if (kind === OpKind.FarBranch32) return instruction.farBranch32;
  return undefined;
}

/** The address of a memory operand without registers. */
function absoluteMemory(instruction: Instruction): number | undefined {
  for (let i = 0; i < instruction.opCount; i++) {
    if (instruction.opKind(i) !== OpKind.Memory) continue;
    const isPlain = instruction.memoryBase === Register.None && instruction.memoryIndex === Register.None;
    return isPlain && instruction.segmentPrefix === Register.None
      ? Number(instruction.memoryDisplacement & 0xffffffffn)
      : undefined;
  }
  return undefined;
}
