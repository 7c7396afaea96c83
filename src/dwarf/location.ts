// Where a variable is, once its expression has been evaluated, and what evaluation needs to know of the frame.
// The debugger makes a FrameContext for each frame that it shows; expression.ts turns expressions into Locations;
// storage.ts reads and writes the bytes there. DWARF 5, section 2.6.

/** What a frame can tell; the debugger makes one for each frame it shows. */
export interface FrameContext {
  /** Where the frame stands. For a caller's frame: the return address less one, so that the call's own line and scopes apply. */
  readonly pc: number;
  /** Value of a register by its DWARF number; undefined where it was not saved. */
  register(number: number): number | undefined;
  /** Bytes of memory; undefined (or fewer) where it cannot be read. */
  readMemory(address: number, length: number): Uint8Array | undefined;
  /** The canonical frame address, if the caller of this knows it; otherwise the call frame information is asked. */
  cfa?(): number | undefined;
  /** The frame base, if it should not be found from the function's own description. */
  frameBase?(): number | undefined;
  /** The frame that called this one, to tell what registers held on entry. */
  caller?(): FrameContext | undefined;
}

export interface Piece {
  readonly location: Location;
  readonly bitSize: number;
  /** Bits to skip at the low end of the location. */
  readonly bitOffset: number;
}

export type Location =
  | { readonly kind: "memory"; readonly address: number }
  | { readonly kind: "register"; readonly register: number }
  /** The value itself, little-endian; it lives nowhere and cannot be changed. */
  | { readonly kind: "value"; readonly bytes: Uint8Array }
  | { readonly kind: "pieces"; readonly pieces: readonly Piece[] }
  /** A pointer that was optimised away; `target` is the key of the entry it would point to. */
  | { readonly kind: "implicit-pointer"; readonly target: number; readonly offset: number }
  | { readonly kind: "unavailable"; readonly isOptimizedOut: boolean; readonly reason: string };

export function optimizedOut(reason: string): Location {
  return { kind: "unavailable", isOptimizedOut: true, reason };
}

export function unavailable(reason: string): Location {
  return { kind: "unavailable", isOptimizedOut: false, reason };
}

/** The location in words, for a tooltip: `at 0xc0100000`, `in eax`. */
export function describeLocation(location: Location, nameOfRegister: (n: number) => string): string {
  switch (location.kind) {
    case "memory":
      return `at 0x${location.address.toString(16)}`;
    case "register":
      return `in ${nameOfRegister(location.register)}`;
    case "value":
      return "a value that is stored nowhere";
    case "pieces":
      return location.pieces
        .map(
          (p) =>
            `${p.bitSize % 8 === 0 ? `${p.bitSize / 8} bytes` : `${p.bitSize} bits`} ${describeLocation(p.location, nameOfRegister)}`,
        )
        .join(", ");
    case "implicit-pointer":
      return "a pointer that was optimized away";
    case "unavailable":
      return location.reason;
  }
}
