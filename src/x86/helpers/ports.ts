/**
 * IN, OUT and the permission to use them: IOPL, and the I/O bitmap of the current TSS. SDM Vol. 1, 18.5 (I/O protection);
 * Vol. 2, IN and OUT.
 *
 * One bit per port, 0 allows. The processor reads two bytes of the bitmap even where one would do, and both must lie inside the
 * TSS: a bitmap base at or beyond the limit therefore forbids every port.
 */
import type { Cpu } from "../cpu";
import { GuestFault } from "../fault";
import { Seg, Vector } from "../state-layout";
import { isProtected, isVirtual8086, SystemType } from "./descriptors";
import { helper } from "./helper";

/** Offset of the bitmap's base in a 32-bit TSS; a 16-bit TSS has no bitmap. */
const BITMAP_BASE = 0x66;

/** @throws GuestFault #GP(0) when the present code may not use `size` ports from `port` on; #PF from the TSS */
export function checkPortAccess(cpu: Cpu, port: number, size: number): void {
  const needsBitmap = isVirtual8086(cpu) || (isProtected(cpu) && cpu.cpl > cpu.iopl);
  if (needsBitmap && !isAllowedByBitmap(cpu, port & 0xffff, size)) throw new GuestFault(Vector.GP, 0);
}

function isAllowedByBitmap(cpu: Cpu, port: number, size: number): boolean {
  const type = (cpu.segmentAttributes(Seg.TR) >>> 8) & 0xf;
  const isTss32 = type === SystemType.TSS32 || type === SystemType.TSS32_BUSY;
  const limit = cpu.segmentLimit(Seg.TR);
  if (!isTss32 || limit < BITMAP_BASE + 1) return false;
  const tss = cpu.segmentBase(Seg.TR);
  const at = cpu.readLinear((tss + BITMAP_BASE) >>> 0, 2, false) + (port >>> 3);
  if (at + 1 > limit) return false;
  const bits = cpu.readLinear((tss + at) >>> 0, 2, false) >>> (port & 7);
  return (bits & ((1 << size) - 1)) === 0;
}

/** For INS and OUTS, before they touch memory: (port, size). */
export const checkPort = helper("checkPort", "continue", (cpu, port, size) => checkPortAccess(cpu, port, size));

/** IN: (port, size) gives the value. A device may ask for an exit or raise an interrupt. */
export const readPort = helper("readPort", "refetch", (cpu, port, size) => {
  checkPortAccess(cpu, port, size);
  return cpu.ports.read(port & 0xffff, size);
});

/** OUT: (port, size, value). */
export const writePort = helper("writePort", "refetch", (cpu, port, size, value) => {
  checkPortAccess(cpu, port, size);
  cpu.ports.write(port & 0xffff, size, size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff));
});
