/*
 * Memory of the stopped machine in three spaces: linear (as the guest means it, through its own tables), guest-physical
 * and host-physical. A reference is how DAP names a place: `0xC0100000`, `gpa:0x1000`, `hpa:0x1000`.
 *
 * Reading never changes anything: no accessed bit, no TLB entry, no shadow page. While ring-0 code runs, linear
 * addresses that the guest does not map are looked up in the tables that the processor uses then.
 */
import { hex } from "../base";
import type { VirtualMachineInterface } from "../lguest";
import { notAnAddress, UserError, unreadable, unwritable } from "./errors";

export type Space = "linear" | "gpa" | "hpa";

export interface MemoryPlace {
  readonly space: Space;
  readonly address: number;
}

const PAGE = 0x1000;
const MAX_READ = 0x1000000;

export class TargetMemory {
  constructor(private readonly vm: VirtualMachineInterface) {}

  /** As many bytes as can be read, at most `length`. */
  readSome(space: Space, address: number, length: number): Uint8Array {
    const wanted = Math.max(0, Math.min(length, MAX_READ));
    const at = address >>> 0;
    if (space === "gpa") return this.vm.readGuestPhysical(at, wanted);
    if (space === "hpa") return this.vm.readHostPhysical(at, wanted);
    const bytes = this.vm.readLinear(at, wanted);
    if (bytes.length >= wanted || this.vm.world === "user" || this.vm.world === "guest") return bytes;
    const rest = this.readAsProcessor(at + bytes.length, wanted - bytes.length);
    return rest.length === 0 ? bytes : concatenate([bytes, rest]);
  }

  /** Exactly `length` bytes. @throws UserError that names the first address that cannot be read. */
  read(space: Space, address: number, length: number): Uint8Array {
    const bytes = this.readSome(space, address, length);
    if (bytes.length < length) throw unreadable((address + bytes.length) >>> 0, space);
    return bytes;
  }

  /**
   * Writes all bytes. @throws UserError that names the first address that cannot be written; what lies before it is
   * written.
   */
  write(space: Space, address: number, bytes: Uint8Array): void {
    const written = this.writeSome(space, address, bytes);
    if (written < bytes.length) throw unwritable((address + written) >>> 0, space);
  }

  /** Number of bytes that could be written. */
  writeSome(space: Space, address: number, bytes: Uint8Array): number {
    const at = address >>> 0;
    if (space === "gpa") return this.vm.writeGuestPhysical(at, bytes);
    if (space === "hpa") return this.vm.writeHostPhysical(at, bytes);
    return this.vm.writeLinear(at, bytes);
  }

  word(address: number): number | undefined {
    const bytes = this.readSome("linear", address, 4);
    if (bytes.length < 4) return undefined;
    return (bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)) >>> 0;
  }

  /** Through the tables that the processor uses at this moment. SDM Vol. 3, 4.3. */
  private readAsProcessor(address: number, length: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let at = address;
    let left = length;
    while (left > 0 && at < 0x1_0000_0000) {
      const physical = this.walk(at);
      if (physical === undefined) break;
      const part = this.vm.readHostPhysical(physical, Math.min(left, PAGE - (at & (PAGE - 1))));
      if (part.length === 0) break;
      parts.push(part);
      at += part.length;
      left -= part.length;
    }
    return concatenate(parts);
  }

  private walk(linear: number): number | undefined {
    const { cpu } = this.vm.machine;
    const entryAt = (physical: number): number => {
      const bytes = this.vm.readHostPhysical(physical >>> 0, 4);
      return bytes.length < 4 ? 0 : (bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24)) >>> 0;
    };
    const directory = entryAt((cpu.cr3 & ~0xfff) + (linear >>> 22) * 4);
    if (!(directory & 1)) return undefined;
    if (directory & 0x80) return ((directory & 0xffc00000) | (linear & 0x3fffff)) >>> 0;
    const entry = entryAt((directory & ~0xfff) + ((linear >>> 12) & 0x3ff) * 4);
    return entry & 1 ? ((entry & ~0xfff) | (linear & 0xfff)) >>> 0 : undefined;
  }
}

/** Text of a reference. Linear addresses have no prefix, so that other tools understand them. */
export function memoryReference({ space, address }: MemoryPlace): string {
  return `${space === "linear" ? "" : `${space}:`}0x${hex(address)}`;
}

/** Reads a reference: a number with an optional space. Undefined when it is something else (an expression). */
export function parseReference(text: string): MemoryPlace | undefined {
  const match = /^\s*(?:(lin|linear|gpa|hpa):)?\s*(0x[\da-f]{1,8}|\d{1,10})\s*$/i.exec(text);
  if (match === null) return undefined;
  const address = Number(match[2]);
  if (address > 0xffffffff) throw notAnAddress(text);
  const prefix = match[1]?.toLowerCase();
  const space: Space = prefix === "gpa" || prefix === "hpa" ? prefix : "linear";
  return { space, address };
}

/** A length from a request. @throws UserError when it makes no sense. */
export function checkedLength(length: number, what: string): number {
  if (!Number.isInteger(length) || length < 0) throw new UserError(`${what} must be a number of bytes, not ${length}.`);
  return Math.min(length, MAX_READ);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
