/**
 * How a guest dies: the host writes a reason, the first one wins, and the main loop notices. A hostile or broken guest gets this and
 * nothing else; there are no error returns to a guest. The texts are lguest's own, character by character.
 */

/** `text` is what lguest's launcher would print; a restart is a death with a special code there, and here too. */
export type KillReason =
  | { readonly kind: "killed"; readonly text: string }
  | { readonly kind: "powered-off"; readonly text: string; readonly message: string }
  | { readonly kind: "restart"; readonly message: string };

/** The kernel's %#lx. Unlike C's it puts the prefix before 0 too: real hosts print "unhandled trap 13 at 0x1000b1 (0x0)". */
const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const signed = (value: number): string => String(value | 0);
const unsigned = (value: number): string => String(value >>> 0);
/** The kernel's %p. */
const pointer = (value: number | null): string =>
  value === null ? "(null)" : (value >>> 0).toString(16).padStart(8, "0");

/** Every text there is. */
export const killText = {
  badReadAddress: (address: number, length: number) => `bad read address ${hex(address)} len ${unsigned(length)}`,
  badWriteAddress: (address: number, length: number) => `bad write address ${hex(address)} len ${unsigned(length)}`,
  alreadyInitialised: () => "already have lguest_data",
  crash: (message: string) => `CRASH: ${message}`,
  badHypercall: (number: number) => `Bad hypercall ${signed(number)}\n`,
  fetchingAsync: () => "Fetching async hypercalls",
  writingAsyncResult: () => "Writing result for async hypercall",
  hypercallBeforeInit: (number: number) => `hypercall ${signed(number)} before INIT`,
  badGuestPage: (address: number | null) => `bad guest page ${pointer(address)}`,
  writingTimestamp: () => "Writing timestamp",
  badSyscallVector: () => "bad syscall vector",
  badKernelAddress: (address: number) => `bad kernel address ${hex(address)}`,
  disablingInterrupts: () => "Disabling interrupts",
  reenablingInterrupts: () => "Re-enabling interrupts",
  badStackSegment: (selector: number) => `bad stack segment ${signed(selector)}`,
  badStackPages: (pages: number) => `bad stack pages ${unsigned(pages)}`,
  badStackPage: (address: number) => `bad stack page ${hex(address)}`,
  badIdtType: (type: number) => `bad IDT type ${signed(type)}`,
  settingIdtEntry: (vector: number) => `Setting idt entry ${unsigned(vector)}`,
  tooManyGdtEntries: (index: number) => `too many gdt entries ${signed(index)}`,
  switcherPages: () => "attempt to access switcher pages",
  failedToGetPage: (pfn: number) => `failed to get page ${unsigned(pfn)}`,
  badPageTableEntry: () => "bad page table entry",
  badPageDirectoryEntry: () => "bad page directory entry",
  outOfMemory: () => "out of memory allocating pte page",
  badAddress: (address: number) => `Bad address ${hex(address)}`,
  writingCr2: () => "Writing cr2",
  unhandledTrap: (trap: number, eip: number, code: number) =>
    `unhandled trap ${signed(trap)} at ${hex(eip)} (${hex(code)})`,
} as const;

/** What to try when a guest died of this, where the reason is likely to be the other generation of the interface. */
export function killAdvice(reason: string, abi: "2.6.32" | "3.x"): string | undefined {
  if (reason !== killText.badSyscallVector()) return undefined;
  return abi === "2.6.32"
    ? 'a kernel of Linux 2.6.34 to 3.19 needs the other interface: set abi to "3.x"'
    : 'a kernel of Linux 2.6.31 to 2.6.33 needs the other interface: set abi to "2.6.32"';
}
