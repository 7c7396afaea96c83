/**
 * What a guest finds at physical 0: Linux's boot_params (the "zero page"), with one range of RAM, the command line's address, the
 * initrd, and the mark that says "you run under lguest". Linux Documentation/x86/zero-page.
 */
import { PAGE_SIZE } from "../switcher/layout";
import { UnusableInput } from "./errors";
import type { LauncherMemory } from "./launcher-memory";

/** Offsets in boot_params. */
export const BootParams = {
  E820_ENTRIES: 0x1e8,
  VERSION: 0x206,
  TYPE_OF_LOADER: 0x210,
  LOADFLAGS: 0x211,
  RAMDISK_IMAGE: 0x218,
  RAMDISK_SIZE: 0x21c,
  CMD_LINE_PTR: 0x228,
  KERNEL_ALIGNMENT: 0x230,
  HARDWARE_SUBARCH: 0x23c,
  E820_MAP: 0x2d0,
} as const;
export const COMMAND_LINE_ADDRESS = 0x1000;
/** What Linux copies, with the NUL. */
const COMMAND_LINE_SIZE = 2048;
const KEEP_SEGMENTS = 0x40;
const SUBARCH_LGUEST = 1;
const E820_RAM = 1;

export interface BootInformation {
  readonly commandLine: string;
  readonly initrd: Uint8Array | undefined;
  /** Or 0. */
  readonly kernelAlignment: number;
}

/** Size that the guest is told: whole pages. */
export function initrdSize(initrd: Uint8Array | undefined): number {
  return initrd === undefined ? 0 : Math.ceil(initrd.length / PAGE_SIZE) * PAGE_SIZE;
}

/** Writes boot_params, command line and initrd. @throws UnusableInput for a command line that is too long. */
export function writeBootParameters(
  memory: LauncherMemory,
  { commandLine, initrd, kernelAlignment }: BootInformation,
): void {
  const text = new TextEncoder().encode(commandLine);
  if (text.length >= COMMAND_LINE_SIZE)
    throw new UnusableInput(
      `the command line is too long: expected at most ${COMMAND_LINE_SIZE - 1} bytes, found ${text.length}`,
    );
  if (initrd !== undefined && initrd.length > 0) {
    const size = initrdSize(initrd);
    memory.write(memory.ramBytes - size, initrd);
    memory.write32(BootParams.RAMDISK_IMAGE, memory.ramBytes - size);
    memory.write32(BootParams.RAMDISK_SIZE, size);
    memory.write8(BootParams.TYPE_OF_LOADER, 0xff);
  }
  memory.write8(BootParams.E820_ENTRIES, 1);
  memory.write32(BootParams.E820_MAP + 8, memory.ramBytes);
  memory.write32(BootParams.E820_MAP + 16, E820_RAM);
  memory.write16(BootParams.VERSION, 0x0207);
  memory.write8(BootParams.LOADFLAGS, KEEP_SEGMENTS);
  memory.write32(BootParams.CMD_LINE_PTR, COMMAND_LINE_ADDRESS);
  memory.write32(BootParams.KERNEL_ALIGNMENT, kernelAlignment);
  memory.write32(BootParams.HARDWARE_SUBARCH, SUBARCH_LGUEST);
  memory.write(COMMAND_LINE_ADDRESS, text);
}
