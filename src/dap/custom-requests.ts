/*
 * Every custom request and custom event of the Ring 1 debug adapter, typed. The views (extension, webviews) and the
 * adapter (dap, debugger) meet here and nowhere else, so these files hold types only and import
 * nothing but each other: -tables (registers, GDT, IDT, paging), -traps (log, hypervisor), and here the rest.
 *
 * Conventions. Addresses, selectors and register values are JS numbers, 0..2^32-1, never strings: layout is the view's.
 * Instruction counts, sequence numbers and sizes are JS numbers below 2^53. A name says which kind an address is:
 * `linear`, `guestPhysical`, `hostPhysical`. Explanations that only the engine knows (`why`, `meaning`, `reason`) are
 * English sentences without a final line break; nothing else is prose. A request that needs a machine fails, as any DAP
 * request does (`success: false`, a message that says what to do), when there is none.
 */

import type { CodeLocation, StepThrough, World } from "./custom-requests-common";
import type {
  GdtResponse,
  IdtResponse,
  PageTablesArguments,
  PageTablesResponse,
  RegistersResponse,
  SetRegisterArguments,
  SetRegisterResponse,
  TranslateArguments,
  TranslateResponse,
} from "./custom-requests-tables";
import type {
  HypervisorResponse,
  TrapDetailsArguments,
  TrapDetailsResponse,
  TrapLinesArguments,
  TrapLinesResponse,
  TrapLogArguments,
  TrapLogResponse,
} from "./custom-requests-traps";

export type * from "./custom-requests-common";
export type * from "./custom-requests-tables";
export type * from "./custom-requests-traps";

// ---------------------------------------------------------------------------------------------------------------
// launch

/** What launch.json holds for type `ring1`. The extension has resolved variables and made paths absolute. */
export interface LaunchAttributes {
  /** ELF32 image or bzImage. A path, or a URI when the workspace is virtual (then see `ring1/readFile`). */
  program: string;
  /** More ELF files whose symbols and lines are wanted, for example ring-3 programs. */
  symbols?: string[];
  /** Guest RAM: a number of MiB (as the lguest launcher took it), or text such as `64M` or `65536K`. Default `64M`. */
  memory?: number | string;
  /** Kernel command line. */
  cmdline?: string;
  initrd?: string;
  /** Block devices, in order. Text may end in `,ro`. */
  disks?: (string | { path: string; readOnly?: boolean })[];
  /** Default `2.6.32`. */
  abi?: "2.6.32" | "3.x";
  /** Default `faithful`. */
  quirks?: "faithful" | "fixed";
  /** Stop before the guest's first instruction. Default false. */
  stopOnEntry?: boolean;
  /** Default `guest`. */
  stepThrough?: StepThrough;
  /** Vectors (`14`, `#PF`) and hypercalls (`SET_PTE`, `hypercall`) to break on from the start. */
  trapBreakpoints?: (number | string)[];
  /** Default `interpreter`. */
  engine?: "direct" | "interpreter";
  /** Source path prefixes: from what the debug information says to what is on this computer. */
  sourceMap?: Record<string, string>;
  /** Seed of the guest's random numbers. Default 0. */
  seed?: number;
  /** Stop for good after this many instructions; 0 is never. Default 0. */
  maxInstructions?: number;
  /** Run without stops. Set by "Run Without Debugging". */
  noDebug?: boolean;
}

/**
 * `ring1/readFile`: the one reverse request. A worker without a file system (in a browser), or one that is given a URI,
 * asks the extension for a file. Never sent to a client that did not say `supportsRing1ReadFile: true` in `initialize`.
 */
export interface ReadFileArguments {
  /** Path or URI. */
  path: string;
}

export interface ReadFileResponse {
  /** The whole file; a structured clone, since the worker's messages are objects. */
  bytes: Uint8Array;
}

// ------------------------------------------------------------------------------------------- console, status, commands

/** `ring1/console`: what a person typed. */
export interface ConsoleInputArguments {
  /** Sent to the guest as UTF-8. */
  text: string;
}

/** `ring1/status`, and the body of the `ring1/status` event. */
export interface StatusBody {
  state: "starting" | "running" | "stopped" | "ended";
  /** The guest waits in HALT for an interrupt. */
  halted: boolean;
  world: World;
  ring: 0 | 1 | 2 | 3;
  instructionCount: number;
  /** Millions of instructions a second over the last moments; 0 while stopped. */
  mips: number;
  /** Newest sequence number of the trap log. */
  lastSequence: number;
  stepThrough: StepThrough;
  /** Where it is; only while stopped. */
  at?: CodeLocation;
}

/** `ring1/setTrapBreakpoint`: break on a vector or a hypercall, beside the exception filters. Give one of the two. */
export interface SetTrapBreakpointArguments {
  vector?: number;
  /** Number or name (`SET_PTE`, `LHCALL_SET_PTE`). */
  hypercall?: number | string;
  enabled: boolean;
}

/** `ring1/trapBreakpoints`, and the answer to `ring1/setTrapBreakpoint`: all that are set. */
export interface TrapBreakpointsResponse {
  vectors: number[];
  hypercalls: { number: number; name: string }[];
}

/** `ring1/setStepThrough`. */
export interface SetStepThroughArguments {
  mode: StepThrough;
}

/** `ring1/locate`: symbol and line of an expression's value. */
export interface LocateArguments {
  expression: string;
}

// -------------------------------------------------------------------------------------------------------------- events

/** `ring1/console`: output of the guest, early console and device in one stream. */
export interface ConsoleBody {
  /** Decoded as UTF-8; an incomplete sequence waits for its rest. */
  text: string;
  source: "early" | "device";
  /** Characters left out because the guest floods the console. */
  dropped?: number;
}

/** `ring1/trapLogChanged`: at most ten a second, and once at each stop. */
export interface TrapLogChangedBody {
  total: number;
  firstSequence: number;
  lastSequence: number;
}

/**
 * `ring1/killed`: the host kills the guest. With the "before the guest is killed" filter a `stopped` event comes too.
 */
export interface KilledBody {
  /** The kill text, as lguest writes it. */
  reason: string;
  /** One sentence that explains it. */
  why?: string;
  at: CodeLocation;
  /** Trap-log entry that led to it; 0 when none did. */
  sequence: number;
  /** The machine is stopped and its state is alive. */
  stopped: boolean;
}

/** `ring1/ended`: comes before DAP's `terminated`. */
export interface EndedBody {
  cause: "poweredOff" | "killed" | "restarted" | "instructionLimit" | "terminated" | "failed";
  /** One sentence, for example "The guest powered off: bye." */
  reason: string;
  /** As the command line's exit status. */
  exitStatus: number;
  instructionCount: number;
}

// ----------------------------------------------------------------------------------------------------------- the lists

/** Every custom request: its command, its arguments and the body of its answer. */
export interface CustomRequests {
  "ring1/registers": { arguments: undefined; response: RegistersResponse };
  "ring1/setRegister": { arguments: SetRegisterArguments; response: SetRegisterResponse };
  "ring1/gdt": { arguments: undefined; response: GdtResponse };
  "ring1/idt": { arguments: undefined; response: IdtResponse };
  "ring1/pageTables": { arguments: PageTablesArguments; response: PageTablesResponse };
  "ring1/translate": { arguments: TranslateArguments; response: TranslateResponse };
  "ring1/trapLog": { arguments: TrapLogArguments; response: TrapLogResponse };
  "ring1/trapDetails": { arguments: TrapDetailsArguments; response: TrapDetailsResponse };
  "ring1/trapLines": { arguments: TrapLinesArguments; response: TrapLinesResponse };
  "ring1/hypervisor": { arguments: undefined; response: HypervisorResponse };
  "ring1/console": { arguments: ConsoleInputArguments; response: undefined };
  "ring1/status": { arguments: undefined; response: StatusBody };
  "ring1/trapBreakpoints": { arguments: undefined; response: TrapBreakpointsResponse };
  "ring1/setTrapBreakpoint": { arguments: SetTrapBreakpointArguments; response: TrapBreakpointsResponse };
  "ring1/setStepThrough": { arguments: SetStepThroughArguments; response: StatusBody };
  "ring1/locate": { arguments: LocateArguments; response: CodeLocation };
}

/** Requests from the adapter to the extension. */
export interface ReverseRequests {
  "ring1/readFile": { arguments: ReadFileArguments; response: ReadFileResponse };
}

/** Every custom event and its body. */
export interface CustomEvents {
  "ring1/console": ConsoleBody;
  "ring1/status": StatusBody;
  "ring1/trapLogChanged": TrapLogChangedBody;
  "ring1/killed": KilledBody;
  "ring1/ended": EndedBody;
}

/** Name of a custom request. */
export type CustomRequestName = keyof CustomRequests;

/** Name of a custom event. */
export type CustomEventName = keyof CustomEvents;
