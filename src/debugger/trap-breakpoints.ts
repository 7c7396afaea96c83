/*
 * Stops at what happens between guest and host: exceptions as the guest sees them, hypercalls, injected interrupts,
 * every exit, world switches, and the moment before the guest is killed. The guest is stopped before the host (or, for
 * a direct trap, the processor) acts, so the state is that of the instruction that trapped.
 *
 * Whether the guest will see a fault is not known at that moment but can be told: the host's rules are looked up in the
 * tables that it will look at. Filters are asked on every trap, so nothing is computed that no filter needs.
 */
import type { GuestEvent, VirtualMachineInterface } from "../lguest";
import { type Condition, compileCondition, compileHitCount, type TrapNumbers } from "./conditions";
import { UserError } from "./errors";
import type { Cell, Scope } from "./expressions";
import { EXCEPTIONS, HYPERCALL_VECTOR, HYPERCALLS, hypercallNumber, SYSCALL_VECTOR, vectorNumber } from "./traps";

export interface TrapFilterDescription {
  readonly filter: string;
  readonly label: string;
  readonly description: string;
  readonly default?: boolean;
  readonly conditionDescription: string;
}

const CONDITION_HELP =
  "For example: vector == 14 && cr2 >= 0xc0000000, or: hypercall == LHCALL_SET_PTE && arg1 == 0x1000";

/** All filters, as a client lists them. */
export const TRAP_FILTERS: readonly TrapFilterDescription[] = [
  filter("kill", "Before the guest is killed", "Stops while the guest's state is still alive.", true),
  filter("exceptions", "All exceptions", "Each exception that reaches the guest, direct or reflected."),
  ...Object.entries(EXCEPTIONS)
    .filter(([vector]) => !["2", "8", "18"].includes(vector))
    .map(([vector, { name, title }]) =>
      filter(`vector:${vector}`, `${name} ${title}`, `Vector ${vector}, when it reaches the guest.`),
    ),
  filter("syscall", "System calls", "int 0x80 from ring 3."),
  filter("hypercall", "Hypercalls", "Each hypercall, direct ones and those in the ring."),
  filter("interrupt", "Injected interrupts", "Each virtual interrupt that the host delivers to the guest."),
  filter("exit", "Every exit to the host", "Each time the guest leaves to the host, whatever the reason."),
  filter("worldSwitch", "World switches", "Each exit to the host and each entry into the guest."),
];

function filter(id: string, label: string, description: string, isDefault = false): TrapFilterDescription {
  return {
    filter: id,
    label,
    description,
    ...(isDefault ? { default: true } : {}),
    conditionDescription: CONDITION_HELP,
  };
}

interface ActiveFilter {
  readonly id: string;
  readonly condition?: Condition;
  readonly isHit?: (hits: number) => boolean;
  hits: number;
}

export interface FilterRequest {
  readonly filter: string;
  readonly condition?: string;
  readonly hitCondition?: string;
}

export interface TrapBreakpointSets {
  vectors: number[];
  hypercalls: { number: number; name: string }[];
}

export class TrapBreakpoints {
  private active: ActiveFilter[] = [{ id: "kill", hits: 0 }];
  private readonly vectors = new Set<number>();
  private readonly hypercalls = new Set<number>();
  /** Told what goes wrong in a condition. */
  onProblem: (text: string) => void = () => {};

  /** Replaces the filters. The answer says for each whether it could be used. */
  setFilters(requests: readonly FilterRequest[]): { isVerified: boolean; message?: string }[] {
    const next: ActiveFilter[] = [];
    const answers = requests.map((request) => {
      try {
        if (!TRAP_FILTERS.some(({ filter: id }) => id === request.filter))
          throw new UserError(`There is no filter "${request.filter}".`);
        const condition = compileCondition(request.condition);
        next.push({ id: request.filter, condition, isHit: compileHitCount(request.hitCondition), hits: 0 });
        return { isVerified: true };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        return { isVerified: false, message: error.message };
      }
    });
    this.active = next;
    return answers;
  }

  /** Break on a vector or a hypercall, beside the filters. @throws UserError for what does not exist. */
  set(what: { vector?: number; hypercall?: number | string }, isEnabled: boolean): void {
    const toggle = (set: Set<number>, value: number): void => void (isEnabled ? set.add(value) : set.delete(value));
    if (what.vector !== undefined) {
      if (!(Number.isInteger(what.vector) && what.vector >= 0 && what.vector <= 255))
        throw new UserError(`There is no vector ${what.vector}; vectors are 0 to 255.`);
      toggle(this.vectors, what.vector);
      return;
    }
    const number = typeof what.hypercall === "string" ? hypercallNumber(what.hypercall) : what.hypercall;
    if (number === undefined || !(Number.isInteger(number) && number >= 0))
      throw new UserError(`There is no hypercall "${what.hypercall}".`);
    toggle(this.hypercalls, number);
  }

  /** An entry of launch.json's `trapBreakpoints`: a vector, `#PF`, `SET_PTE`, or a filter's name. @throws UserError. */
  setByName(what: number | string): void {
    const vector = typeof what === "number" ? what : vectorNumber(what);
    if (vector !== undefined) this.set({ vector }, true);
    else if (TRAP_FILTERS.some(({ filter: id }) => id === what)) this.permanent.add(String(what));
    else if (hypercallNumber(String(what)) !== undefined) this.set({ hypercall: String(what) }, true);
    else
      throw new UserError(
        `launch.json: "trapBreakpoints" has "${what}", which is no vector (14, "#PF"), hypercall ("SET_PTE") or filter ("hypercall", "exit").`,
      );
  }
  private readonly permanent = new Set<string>();

  get sets(): TrapBreakpointSets {
    return {
      vectors: [...this.vectors].sort((a, b) => a - b),
      hypercalls: [...this.hypercalls]
        .sort((a, b) => a - b)
        .map((number) => ({ number, name: HYPERCALLS[number]?.name ?? `hypercall ${number}` })),
    };
  }
  /** Whether entries into the guest are wanted too. */
  get wantsEntries(): boolean {
    return this.active.some(({ id }) => id === "worldSwitch") || this.permanent.has("worldSwitch");
  }

  /**
   * The filter that stops at an event, if one does. `scopeOf` makes the scope for conditions that need more than
   * numbers.
   */
  match(
    event: GuestEvent,
    vm: VirtualMachineInterface,
    scopeOf: (extra: ReadonlyMap<string, Cell>) => Scope,
  ): string | undefined {
    let sees: boolean | undefined;
    const guestSees = (): boolean => (sees ??= willReachGuest(event, vm));
    let numbers: TrapNumbers | undefined;
    for (const filter of this.active) {
      if (!applies(filter.id, event, guestSees)) continue;
      numbers ??= trapNumbers(event);
      if (filter.condition !== undefined && !this.holds(filter.condition, numbers, scopeOf)) continue;
      filter.hits++;
      if (filter.isHit === undefined || filter.isHit(filter.hits)) return filter.id;
    }
    for (const id of this.permanent) if (applies(id, event, guestSees)) return id;
    const call = event.hypercall;
    if (call !== undefined && event.kind !== "kill" && this.hypercalls.has(call.number)) return "hypercall";
    if (this.vectors.has(event.vector) && event.kind !== "kill" && event.kind !== "entry" && event.kind !== "async") {
      if (event.kind === "interrupt" || event.vector === HYPERCALL_VECTOR || guestSees())
        return `vector:${event.vector}`;
    }
    return undefined;
  }

  private holds(
    condition: Condition,
    numbers: TrapNumbers,
    scopeOf: (extra: ReadonlyMap<string, Cell>) => Scope,
  ): boolean {
    if (condition.fast !== undefined) return condition.fast(numbers);
    try {
      return condition.test(scopeOf(trapCells(numbers)));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.onProblem(`The condition "${condition.text}" cannot be evaluated: ${error.message}`);
      return true;
    }
  }
}

function applies(id: string, event: GuestEvent, guestSees: () => boolean): boolean {
  const { kind, vector } = event;
  const isTrap = kind === "trap" || kind === "direct";
  const isException = isTrap && vector < 32 && vector !== HYPERCALL_VECTOR;
  switch (id) {
    case "kill":
      return kind === "kill";
    case "exceptions":
      return isException && guestSees();
    case "syscall":
      return isTrap && vector === SYSCALL_VECTOR;
    case "hypercall":
      return event.hypercall !== undefined && kind !== "kill";
    case "interrupt":
      return kind === "interrupt";
    case "exit":
      return kind === "trap";
    case "worldSwitch":
      return kind === "trap" || kind === "entry";
    default:
      return isException && id === `vector:${vector}` && guestSees();
  }
}

/** Numbers of the instructions that the host emulates at #GP (IN, OUT), by the low seven bits of the opcode's pair. */
const IO_OPCODES = new Set([0xe4, 0xec, 0xe6, 0xee]);
const CLI = 0xfa;

/** Whether an exception will be delivered to the guest, by the host's own rules. */
export function willReachGuest(event: GuestEvent, vm: VirtualMachineInterface): boolean {
  if (event.kind === "direct") return true;
  if (event.kind !== "trap" || event.vector >= 32 || event.vector === HYPERCALL_VECTOR) return false;
  switch (event.vector) {
    case 14:
      return !willBeDemandPaged(event, vm);
    case 13: {
      if (event.errorCode !== 0 || event.world !== "guest") return true;
      const code = vm.readLinear(event.eip, 2);
      const opcode = code[0] === 0x66 ? code[1] : code[0];
      return !IO_OPCODES.has(opcode & 0xfe) && !(opcode === CLI && vm.options.abi === "3.x");
    }
    case 6: {
      const code = vm.readLinear(event.eip, 3);
      return !(event.world === "guest" && code[0] === 0x0f && code[1] === 0x01 && code[2] === 0xc1);
    }
    case 7:
      return vm.state().ts;
    default:
      return true;
  }
}

function willBeDemandPaged(event: GuestEvent, vm: VirtualMachineInterface): boolean {
  const linear = event.cr2 ?? 0;
  const error = event.errorCode ?? 0;
  const state = vm.state();
  if (state.isLinear) return linear < vm.switcherAddress;
  const walk = vm.guestWalk(linear);
  const [directory, table] = walk.steps;
  if (!directory?.entry || !(directory.entry & 1) || !table?.entry || !(table.entry & 1)) return false;
  return !(error & 2 && !(table.entry & 2)) && !(error & 4 && !(table.entry & 4));
}

/** The numbers that a condition can name. */
export function trapNumbers(event: GuestEvent): TrapNumbers {
  const numbers: Record<string, number | undefined> = {
    ...LHCALLS,
    ...event.registers,
    vector: event.vector,
    error: event.errorCode,
    cpl: event.cpl,
    eip: event.eip,
    cr2: event.cr2,
    irq: event.irq,
    icount: event.instructionCount,
  };
  if (event.hypercall !== undefined) {
    numbers.hypercall = event.hypercall.number;
    numbers.is_async = event.hypercall.async ? 1 : 0;
    event.hypercall.args.forEach((value, i) => {
      numbers[`arg${i + 1}`] = value >>> 0;
    });
  }
  return numbers;
}

const LHCALLS: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(HYPERCALLS).map(([number, { name }]) => [`lhcall_${name.toLowerCase()}`, Number(number)]),
);

function trapCells(numbers: TrapNumbers): ReadonlyMap<string, Cell> {
  const cells = new Map<string, Cell>();
  for (const [name, value] of Object.entries(numbers)) {
    if (value !== undefined) cells.set(name, { name, get: () => BigInt(value), readOnly: "it describes the trap" });
  }
  return cells;
}
