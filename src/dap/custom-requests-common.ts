/*
 * Shapes that several custom requests share. Conventions and the list of all requests: custom-requests.ts.
 *
 * Locations, worlds and bit fields: what registers, tables and the trap log have in common. Types only; nothing here
 * says how a view lays them out.
 */

/** Whose instructions: ring 3, ring 1, the Switcher in ring 0, the host (TypeScript, no instructions of its own). */
export type World = "user" | "guest" | "switcher" | "host";

/** What stepping goes through: `guest` treats the hypervisor as atomic, `machine` visits each Switcher instruction. */
export type StepThrough = "guest" | "machine";

/** A linear address with what the symbols say about it. */
export interface CodeLocation {
  address: number;
  /** Function or object that contains the address; absent when no symbol does. */
  symbol?: string;
  /** Bytes from the start of `symbol`. */
  offset?: number;
  /** Source path after source mapping, as in DAP `Source.path`. */
  path?: string;
  /** 1-based line in `path`. */
  line?: number;
}

/** One named field of a register, an error code or a page-table entry. */
export interface BitField {
  /** As the manual writes it: `IF`, `IOPL`, `WP`. */
  name: string;
  /** Lowest bit, 0..31. */
  bit: number;
  /** Number of bits. */
  width: number;
  value: number;
  /** What this value means here, for example "interrupts are on". */
  meaning?: string;
}
