/**
 * Memory writes that are decided now and done later: how a gate delivery or a task switch stays all-or-nothing.
 *
 * Adding a write translates its address, which is the only thing about it that can fail; commit() then stores to physical
 * memory and cannot fault. Nothing may be read back through this list. SDM Vol. 3, 6.5 (faults restart the instruction).
 */
import type { Cpu } from "../cpu";
import { Access } from "../mmu/paging";
import { Attribute, type Descriptor, TYPE_BYTE } from "./descriptors";

export class PendingWrites {
  private readonly physical: number[] = [];
  private readonly sizes: number[] = [];
  private readonly values: number[] = [];

  constructor(private readonly cpu: Cpu) {}

  /** Plans a write of 1, 2 or 4 bytes. @throws GuestFault #PF */
  add(linear: number, size: number, value: number, isUser: boolean): void {
    linear >>>= 0;
    const first = 0x1000 - (linear & 0xfff);
    const low = this.cpu.translateOrFault(linear, Access.WRITE, isUser);
    if (first >= size) {
      this.plan(low, size, value);
      return;
    }
    const high = this.cpu.translateOrFault((linear + first) >>> 0, Access.WRITE, isUser);
    for (let i = 0; i < size; i++) this.plan(i < first ? low + i : high + i - first, 1, value >>> (i * 8));
  }

  /** Plans the accessed bit of a code or data segment, if it is clear: a table of used segments may be read-only. */
  addAccessed(descriptor: Descriptor): void {
    if (descriptor.isSegment && !(descriptor.high & Attribute.ACCESSED))
      this.addType(descriptor, descriptor.typeByte | 1);
  }
  /** Plans a new type byte. */
  addType(descriptor: Descriptor, typeByte: number): void {
    this.add((descriptor.address + TYPE_BYTE) >>> 0, 1, typeByte, false);
  }

  /** Does them all, in order. */
  commit(): void {
    for (let i = 0; i < this.physical.length; i++)
      this.cpu.writePhysical(this.physical[i], this.sizes[i], this.values[i]);
  }

  private plan(physical: number, size: number, value: number): void {
    this.physical.push(physical);
    this.sizes.push(size);
    this.values.push(size === 4 ? value : value & (size === 2 ? 0xffff : 0xff));
  }
}
