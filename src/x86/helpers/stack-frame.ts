/**
 * A stack while a transfer of control is being worked out: the current one, or the one that a gate switches to.
 *
 * It knows base, limit and width of its segment, so pushes and pops check what the processor checks, and it changes only its
 * own `pointer`. The caller stores that into ESP when everything has succeeded. SDM Vol. 1, 6.2; Vol. 3, 5.8.5.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import { Reg, Seg, Vector } from "../state-layout";
import { Attribute, type Descriptor, isInsideLimit } from "./descriptors";
import type { PendingWrites } from "./pending-writes";

export class StackFrame {
  private constructor(
    private readonly cpu: Cpu,
    private readonly base: number,
    private readonly limit: number,
    private readonly attributes: number,
    /** ESP; with a 16-bit segment only its low half moves. */
    public pointer: number,
    private readonly isUser: boolean,
    /** Error code of #SS when the frame does not fit. */
    private readonly errorCode: number,
  ) {}

  /** The stack in use. */
  static current(cpu: Cpu, errorCode = 0): StackFrame {
    return new StackFrame(
      cpu,
      cpu.segmentBase(Seg.SS),
      cpu.segmentLimit(Seg.SS),
      cpu.segmentAttributes(Seg.SS),
      cpu.reg(Reg.ESP),
      cpu.cpl === 3,
      errorCode,
    );
  }
  /** The stack of privilege level `cpl` that a descriptor describes. */
  static of(cpu: Cpu, segment: Descriptor, pointer: number, cpl: number, errorCode: number): StackFrame {
    return new StackFrame(cpu, segment.base, segment.limit, segment.attributes, pointer, cpl === 3, errorCode);
  }

  /** Plans a push. @throws GuestFault #SS, #PF */
  push(writes: PendingWrites, value: number, size: number): void {
    const top = this.wrap(this.pointer - size);
    writes.add(this.linear(top, size), size, value, this.isUser);
    this.pointer = this.withOffset(top);
  }
  /** Takes the top element. @throws GuestFault #SS, #PF */
  pop(size: number): number {
    const value = this.peek(0, size);
    this.release(size);
    return value;
  }
  /** Reads the element `distance` bytes above the top. @throws GuestFault #SS, #PF */
  peek(distance: number, size: number): number {
    return this.cpu.readLinear(this.linear(this.wrap(this.pointer + distance), size), size, this.isUser);
  }
  /** Moves the pointer up. */
  release(bytes: number): void {
    this.pointer = this.withOffset(this.wrap(this.pointer + bytes));
  }
  /** Checks that the topmost `count` elements lie inside the segment. @throws GuestFault #SS */
  checkPop(count: number, size: number): void {
    for (let i = 0; i < count; i++) this.linear(this.wrap(this.pointer + i * size), size);
  }
  /** Checks that there is room for `count` more elements. @throws GuestFault #SS */
  checkPush(count: number, size: number): void {
    for (let i = 1; i <= count; i++) this.linear(this.wrap(this.pointer - i * size), size);
  }

  private linear(offset: number, size: number): number {
    if (!isInsideLimit(this.attributes, this.limit, offset, size)) throw new GuestFault(Vector.SS, this.errorCode);
    return (this.base + offset) >>> 0;
  }
  private wrap(offset: number): number {
    return this.attributes & Attribute.BIG ? offset >>> 0 : offset & 0xffff;
  }
  private withOffset(offset: number): number {
    return this.attributes & Attribute.BIG ? offset : ((this.pointer & 0xffff0000) | offset) >>> 0;
  }
}
