/*
 * Tells whether a file could be a guest kernel from its first bytes, to offer files of the workspace. The engine's own
 * reader decides when it boots; this one only keeps libraries, objects and 64-bit programs off the list. System V ABI,
 * ELF header.
 */

const ELF_EXECUTABLE = 2;
const MACHINE_386 = 3;

/**
 * True for a 32-bit x86 ELF executable and for a Linux bzImage. `head` is at least the first 0x210 bytes, if there are.
 */
export function looksLikeGuest(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length >= 52 && view.getUint32(0, false) === 0x7f454c46) {
    const is32BitLittleEndian = head[4] === 1 && head[5] === 1;
    return (
      is32BitLittleEndian && view.getUint16(16, true) === ELF_EXECUTABLE && view.getUint16(18, true) === MACHINE_386
    );
  }
  return head.length >= 0x206 && view.getUint32(0x202, false) === 0x48647253; // "HdrS"
}
