/*
 * Breakpoints at places: by source line, function, instruction, or address. They are addresses that the engine stops
 * at; guest memory is never patched. What cannot be resolved yet (no program, no such line) is kept and resolved again
 * when it can be.
 *
 * A place in a kernel that is loaded elsewhere than it is linked gets both addresses; a stop at the load address counts
 * only if the guest executes that physical place there, so a user program at the same linear address does not hit it.
 */
import type { VirtualMachineInterface } from "../lguest";
import { type Condition, compileCondition, compileHitCount } from "./conditions";
import { UserError } from "./errors";
import type { Symbols } from "./symbols";
import { memoryReference, parseReference } from "./target-memory";

export interface BreakpointOptions {
  readonly condition?: string;
  readonly hitCondition?: string;
  readonly logMessage?: string;
}

export interface SourceBreakpoint extends BreakpointOptions {
  readonly line: number;
  readonly column?: number;
}
export interface FunctionBreakpoint extends BreakpointOptions {
  readonly name: string;
}
export interface InstructionBreakpoint extends BreakpointOptions {
  /** `0xC0100000`, `gpa:0x100000`. */
  readonly reference: string;
  readonly offset?: number;
}

export type BreakpointKind = "source" | "function" | "instruction";

/** One address at which a breakpoint stops. */
interface Place {
  readonly address: number;
  /** The guest-physical address that must be mapped there for the stop to count. */
  readonly guestPhysical?: number;
}

export class Breakpoint {
  places: Place[] = [];
  /** Why it is not (exactly) where it was asked for. */
  message: string | undefined;
  line: number | undefined;
  column: number | undefined;
  hits = 0;
  condition: Condition | undefined;
  isHit: ((hits: number) => boolean) | undefined;

  constructor(
    readonly id: number,
    readonly kind: BreakpointKind,
    /** Path of a source breakpoint, else "". */
    readonly path: string,
    readonly request: SourceBreakpoint | FunctionBreakpoint | InstructionBreakpoint,
  ) {}

  get isVerified(): boolean {
    return this.places.length > 0 && this.problem === undefined;
  }
  /** A mistake in condition or hit count. */
  problem: string | undefined;
}

export class Breakpoints {
  private readonly list: Breakpoint[] = [];
  private byAddress = new Map<number, { breakpoint: Breakpoint; place: Place }[]>();
  private nextId = 1;

  /** @param onChange told when the set of addresses has changed. */
  constructor(
    private symbols: Symbols | undefined,
    private readonly onChange: () => void,
  ) {}

  get all(): readonly Breakpoint[] {
    return this.list;
  }
  get addresses(): ReadonlySet<number> {
    return new Set(this.byAddress.keys());
  }

  /** Other images: everything is resolved again. Gives the breakpoints that changed. */
  useSymbols(symbols: Symbols | undefined): Breakpoint[] {
    this.symbols = symbols;
    const before = this.list.map((breakpoint) => JSON.stringify([breakpoint.places, breakpoint.message]));
    for (const breakpoint of this.list) this.resolve(breakpoint);
    this.index();
    return this.list.filter((breakpoint, i) => before[i] !== JSON.stringify([breakpoint.places, breakpoint.message]));
  }

  setSource(path: string, requests: readonly SourceBreakpoint[]): Breakpoint[] {
    return this.replace("source", path, requests);
  }
  setFunctions(requests: readonly FunctionBreakpoint[]): Breakpoint[] {
    return this.replace("function", "", requests);
  }
  setInstructions(requests: readonly InstructionBreakpoint[]): Breakpoint[] {
    return this.replace("instruction", "", requests);
  }

  /** The breakpoints that count at a linear address now. */
  at(linear: number, vm: VirtualMachineInterface): Breakpoint[] {
    const found = (this.byAddress.get(linear) ?? []).filter(({ place }) => {
      return place.guestPhysical === undefined || vm.guestWalk(linear).physical === place.guestPhysical;
    });
    return [...new Set(found.map(({ breakpoint }) => breakpoint))];
  }

  /** Forgets hits, for a restart. */
  resetHits(): void {
    for (const breakpoint of this.list) breakpoint.hits = 0;
  }

  private replace(kind: BreakpointKind, path: string, requests: readonly Breakpoint["request"][]): Breakpoint[] {
    const old = this.list.filter((breakpoint) => breakpoint.kind === kind && breakpoint.path === path);
    const made = requests.map((request) => {
      // The same place keeps its number and its hits.
      const index = old.findIndex((breakpoint) => isSamePlace(breakpoint.request, request));
      const [known] = index < 0 ? [] : old.splice(index, 1);
      const breakpoint = new Breakpoint(known?.id ?? this.nextId++, kind, path, request);
      if (known !== undefined && JSON.stringify(known.request) === JSON.stringify(request))
        breakpoint.hits = known.hits;
      this.resolve(breakpoint);
      return breakpoint;
    });
    const others = this.list.filter((breakpoint) => breakpoint.kind !== kind || breakpoint.path !== path);
    this.list.splice(0, this.list.length, ...others, ...made);
    this.index();
    return made;
  }

  private resolve(breakpoint: Breakpoint): void {
    const { request } = breakpoint;
    breakpoint.places = [];
    breakpoint.message = undefined;
    breakpoint.problem = undefined;
    try {
      breakpoint.condition = compileCondition(request.condition);
      breakpoint.isHit = compileHitCount(request.hitCondition);
      this.place(breakpoint);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      breakpoint.problem = error.message;
      breakpoint.message = error.message;
    }
  }

  private place(breakpoint: Breakpoint): void {
    const { request, symbols } = { request: breakpoint.request, symbols: this.symbols };
    if ("reference" in request) {
      breakpoint.places = this.instructionPlaces(request);
      return;
    }
    if (symbols === undefined) {
      breakpoint.message = "It is set as soon as a program is loaded.";
      return;
    }
    const addresses =
      "name" in request
        ? this.functionPlaces(breakpoint, request.name, symbols)
        : this.linePlaces(breakpoint, request, symbols);
    breakpoint.places = addresses.flatMap((address) => [{ address }, ...aliases(address, symbols)]);
  }

  private linePlaces(breakpoint: Breakpoint, request: SourceBreakpoint, symbols: Symbols): number[] {
    const found = symbols.addressesOfLine(breakpoint.path, request.line, request.column);
    breakpoint.line = request.line;
    if (!found.ok) {
      breakpoint.message = `${found.reason.charAt(0).toUpperCase()}${found.reason.slice(1)}.`;
      return [];
    }
    breakpoint.line = found.value.line;
    breakpoint.column = found.value.addresses[0].column || undefined;
    if (found.value.isSnapped)
      breakpoint.message = `Line ${request.line} has no code; the next line that has is ${found.value.line}.`;
    return found.value.addresses.map(({ address }) => address);
  }

  private functionPlaces(breakpoint: Breakpoint, name: string, symbols: Symbols): number[] {
    const text = name.trim();
    const reference = parseReference(text.replace(/^\*/, ""));
    if (reference?.space === "linear") return [reference.address];
    const addresses = symbols.functionAddresses(text);
    if (addresses.length === 0) breakpoint.message = `There is no function "${text}".`;
    const place = addresses.length > 0 ? symbols.locate(addresses[0]) : undefined;
    breakpoint.line = place?.line;
    return addresses;
  }

  /** A guest-physical place may be executed at several linear addresses: itself, and where the images say. */
  private instructionPlaces(request: InstructionBreakpoint): Place[] {
    const reference = parseReference(request.reference);
    if (reference === undefined) throw new UserError(`"${request.reference}" is no address.`);
    const address = (reference.address + (request.offset ?? 0)) >>> 0;
    if (reference.space === "linear") return [{ address }];
    if (reference.space === "hpa")
      throw new UserError(
        "Code runs at linear addresses; a host-physical one cannot be stopped at. Use gpa: or a linear address.",
      );
    const linked = this.symbols?.imageAt(address)?.linked;
    const candidates = new Set([address, ...(linked === undefined ? [] : [linked]), (address + 0xc0000000) >>> 0]);
    return [...candidates].map((linear) => ({ address: linear, guestPhysical: address }));
  }

  private index(): void {
    this.byAddress = new Map();
    for (const breakpoint of this.list) {
      if (!breakpoint.isVerified) continue;
      for (const place of breakpoint.places) {
        const known = this.byAddress.get(place.address);
        if (known) known.push({ breakpoint, place });
        else this.byAddress.set(place.address, [{ breakpoint, place }]);
      }
    }
    this.onChange();
  }
}

function aliases(address: number, symbols: Symbols): Place[] {
  return symbols.aliasesOf(address).map((alias) => ({ address: alias, guestPhysical: alias }));
}

function isSamePlace(a: Breakpoint["request"], b: Breakpoint["request"]): boolean {
  if ("line" in a && "line" in b) return a.line === b.line && a.column === b.column;
  if ("name" in a && "name" in b) return a.name === b.name;
  return "reference" in a && "reference" in b && a.reference === b.reference && (a.offset ?? 0) === (b.offset ?? 0);
}

/** The reference that an instruction breakpoint answers with. */
export function placeReference(breakpoint: Breakpoint): string | undefined {
  const [place] = breakpoint.places;
  return place && memoryReference({ space: "linear", address: place.address });
}
