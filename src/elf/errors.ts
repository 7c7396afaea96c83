// What can be wrong with an ELF file.
//
// `code` is for programs, `message` is a sentence for people: what was expected,
// what was found, and, where there is one, the remedy.

import { FormatError } from "../base";

export type ElfErrorCode =
  | "not-elf"
  | "wrong-class"
  | "wrong-byte-order"
  | "wrong-machine"
  | "wrong-type"
  | "truncated"
  | "no-load-segment"
  | "malformed"
  | "unsupported-compression";

/** An ELF file that cannot be used, with the section and the offset at which that showed. */
export class ElfError extends FormatError {
  constructor(
    readonly code: ElfErrorCode,
    reason: string,
    where = "ELF file",
    offset = 0,
  ) {
    super(reason, where, offset);
    this.message = reason;
  }
}
