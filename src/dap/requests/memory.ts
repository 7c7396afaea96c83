/*
 * Memory and machine code by reference. A reference is a linear address, or a physical one with its space in front
 * (`gpa:0x1000`, `hpa:0x1000`).
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { hex } from "../../base";
import { type MemoryPlace, memoryReference, parseReference } from "../../debugger";
import type { AdapterState } from "../adapter-state";
import { badArgument } from "../errors";
import { sourceOf } from "./sources";

const MAX_BYTES = 1 << 24;
const MAX_INSTRUCTIONS = 100_000;
const PAGE = 0x1000;
const SPACE_END = 0x1_0000_0000;

function placeOf(reference: string, offset = 0): MemoryPlace {
  const place = parseReference(reference);
  if (place === undefined)
    throw badArgument("memoryReference", "an address such as 0xC0100000 or gpa:0x1000", reference);
  return { space: place.space, address: place.address + offset };
}

export function readMemory(state: AdapterState, args: DebugProtocol.ReadMemoryArguments) {
  const place = placeOf(args.memoryReference, args.offset);
  if (!(Number.isInteger(args.count) && args.count >= 0)) throw badArgument("count", "a number of bytes", args.count);
  const address = memoryReference(place);
  // Beyond the ends of the address space there is nothing.
  if (place.address < 0 || place.address >= SPACE_END) return { address, unreadableBytes: args.count };
  const count = Math.min(args.count, MAX_BYTES, SPACE_END - place.address);
  const bytes = state.dbg.session.memory.readSome(place.space, place.address, count);
  const unreadable = bytes.length < count ? unreadableFrom(state, place, bytes.length, count) : args.count - count;
  return {
    address,
    ...(bytes.length > 0 ? { data: toBase64(bytes) } : {}),
    ...(unreadable > 0 ? { unreadableBytes: unreadable } : {}),
  };
}

/** How many bytes behind the first `good` ones cannot be read: up to the next page that can. */
function unreadableFrom(state: AdapterState, place: MemoryPlace, good: number, count: number): number {
  let at = place.address + good;
  const end = place.address + count;
  while (at < end) {
    const next = Math.min(end, (Math.floor(at / PAGE) + 1) * PAGE);
    if (next >= end || state.dbg.session.memory.readSome(place.space, next, 1).length === 1)
      return next - place.address - good;
    at = next;
  }
  return count - good;
}

export function writeMemory(state: AdapterState, args: DebugProtocol.WriteMemoryArguments) {
  const place = placeOf(args.memoryReference, args.offset);
  const { memory } = state.dbg.stoppedSession;
  const bytes = fromBase64(args.data);
  state.dbg.data.isMuted = true;
  try {
    if (args.allowPartial) {
      const bytesWritten = memory.writeSome(place.space, place.address, bytes);
      state.dbg.edited({ address: place.address, length: bytesWritten });
      return { bytesWritten };
    }
    memory.write(place.space, place.address, bytes);
  } finally {
    state.dbg.data.isMuted = false;
  }
  state.dbg.edited({ address: place.address, length: bytes.length });
  return { bytesWritten: bytes.length };
}

export function disassemble(state: AdapterState, args: DebugProtocol.DisassembleArguments) {
  const place = placeOf(args.memoryReference, args.offset);
  const { symbols, disassembler } = state.dbg.session;
  const count = Math.min(Math.max(0, args.instructionCount), MAX_INSTRUCTIONS);
  const lines = disassembler.lines(place.address >>> 0, args.instructionOffset ?? 0, count);
  return {
    instructions: lines.map((line): DebugProtocol.DisassembledInstruction => {
      const where = line.bytes.length === 0 ? undefined : symbols.locate(line.address);
      const { source, line: sourceLine } = sourceOf(state, where);
      const isStart = where?.symbol !== undefined && where.offset === 0;
      return {
        address: `0x${hex(line.address)}`,
        instruction: line.text,
        ...(line.bytes.length === 0 ? {} : { instructionBytes: [...line.bytes].map((byte) => hex(byte, 2)).join(" ") }),
        ...(isStart ? { symbol: where.symbol } : {}),
        ...(source === undefined ? {} : { location: source, line: sourceLine }),
        ...(line.isInvalid ? { presentationHint: "invalid" } : {}),
      };
    }),
  };
}

const CHUNK = 0x8000;

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  let decoded: string;
  try {
    decoded = atob(text);
  } catch {
    throw badArgument("data", "bytes in base64", text.slice(0, 40));
  }
  return Uint8Array.from(decoded, (c) => c.charCodeAt(0));
}
