/**
 * Kernel images: an ELF32 executable is loaded segment by segment where its physical addresses say, a Linux bzImage goes to 1 MiB. What
 * cannot work is refused here, before anything runs, with a sentence that says what was expected and what was found.
 * Linux Documentation/x86/boot, "The real-mode kernel header".
 */
import { ElfError, openElf } from "../../elf";
import { PAGE_SIZE } from "../switcher/layout";
import { UnusableInput } from "./errors";
import type { LauncherMemory } from "./launcher-memory";

const MEGABYTE = 0x100000;
/** Where a bzImage's protected-mode part goes. */
const BZIMAGE_ADDRESS = 0x100000;
const Header = { SETUP_SECTORS: 0x1f1, MAGIC: 0x202, CODE32_START: 0x214 } as const;
const HDRS = 0x53726448;

/** A piece to load. */
interface Piece {
  readonly physicalAddress: number;
  readonly bytes: Uint8Array;
  readonly memorySize: number;
}
export interface LoadedImage {
  /** First instruction, guest-physical. */
  readonly entry: number;
  readonly format: "elf" | "bzImage";
}

/**
 * Puts an image into memory. `reservedEnd` is the first address at the top of RAM that is taken (initrd, first page tables).
 * @throws UnusableInput
 */
export function loadImage(image: Uint8Array, name: string, memory: LauncherMemory, reservedEnd: number): LoadedImage {
  const { pieces, entry, format } = isElf(image) ? readElf(image, name) : readBzImage(image, name);
  const megabytes = memory.ramBytes / MEGABYTE;
  for (const { physicalAddress, bytes, memorySize } of pieces) {
    const end = physicalAddress + memorySize;
    if (end > memory.ramBytes)
      throw new UnusableInput(
        `${name} does not fit: expected every segment to lie below ${hex(memory.ramBytes)} (${megabytes} MiB of memory), found one at physical ${hex(physicalAddress)} that ends at ${hex(end)}. ${advice(end, physicalAddress)}`,
      );
    if (end > reservedEnd)
      throw new UnusableInput(
        `${name} leaves no room: expected it to end below ${hex(reservedEnd)}, where the initrd and the first page tables lie, found a segment that ends at ${hex(end)}. Give the guest more than ${megabytes} MiB of memory`,
      );
    memory.write(physicalAddress, bytes);
  }
  if (entry >= memory.ramBytes)
    throw new UnusableInput(
      `${name} has its entry point at ${hex(entry)}, outside the guest's memory of ${megabytes} MiB: expected a physical address (link the kernel so that e_entry is one, for instance with ENTRY(start - 0xC0000000))`,
    );
  return { entry, format };
}

function advice(end: number, start: number): string {
  if (start >= 0xc0000000)
    return "Its physical address looks like a virtual one: set the load address in the linker script, for instance with AT(ADDR(.text) - 0xC0000000)";
  return `Give the guest at least ${Math.ceil(end / MEGABYTE) + 1} MiB`;
}

function isElf(image: Uint8Array): boolean {
  return image[0] === 0x7f && image[1] === 0x45 && image[2] === 0x4c && image[3] === 0x46;
}
function readElf(image: Uint8Array, name: string): { pieces: Piece[]; entry: number; format: "elf" } {
  try {
    const elf = openElf(image);
    const pieces = elf.loadSegments.map((segment) => ({
      physicalAddress: segment.physicalAddress,
      bytes: elf.segmentBytes(segment),
      memorySize: segment.memorySize,
    }));
    return { pieces, entry: elf.entry, format: "elf" };
  } catch (error) {
    if (error instanceof ElfError) throw new UnusableInput(`${name} cannot be booted: ${error.message}`);
    throw error;
  }
}

function readBzImage(image: Uint8Array, name: string): { pieces: Piece[]; entry: number; format: "bzImage" } {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (image.length < PAGE_SIZE || view.getUint32(Header.MAGIC, true) !== HDRS) {
    const found =
      image.length === 0
        ? "an empty file"
        : `a file that begins with ${[...image.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`;
    throw new UnusableInput(
      `${name} cannot be booted: expected an ELF executable (7f 45 4c 46 at its start) or a Linux bzImage ("HdrS" at offset 0x202), found ${found}`,
    );
  }
  const start = (image[Header.SETUP_SECTORS] + 1) * 512;
  const bytes = image.subarray(start);
  if (bytes.length === 0)
    throw new UnusableInput(
      `${name} cannot be booted: expected a kernel after ${start} bytes of setup code, found the end of the file`,
    );
  return {
    pieces: [{ physicalAddress: BZIMAGE_ADDRESS, bytes, memorySize: bytes.length }],
    entry: view.getUint32(Header.CODE32_START, true),
    format: "bzImage",
  };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
