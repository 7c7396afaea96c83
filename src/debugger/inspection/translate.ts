/*
 * One linear address through both sets of tables, step by step, and what a read, a write and an execution from ring 1
 * and from ring 3 would do: the processor looks at the shadow; when that refuses, the host looks at the guest's tables
 * and fills the shadow, passes the fault on, or kills the guest.
 *
 * SDM Vol. 3, 4.6 (access rights), 4.7 (error code); lguest's demand_page for the rest.
 */
import { hex } from "../../base";
import type { VirtualMachineInterface, WalkEntry, WalkResult } from "../../lguest";
import { pageFlags } from "./flag-fields";

export interface WalkStep {
  level: "directory" | "table";
  index: number;
  entryAddress: number;
  entry: number | null;
  flags: ReturnType<typeof pageFlags> | null;
  physical: number | null;
  why?: string;
}

export interface AccessOutcome {
  ring: 1 | 3;
  access: "read" | "write" | "execute";
  result: "allowed" | "demandPaged" | "faults" | "kills";
  errorCode?: number;
  why: string;
}

export interface Translation {
  slot: number;
  guestWalk: WalkStep[];
  shadowWalk: WalkStep[];
  guestPhysical: number | null;
  hostPhysical: number | null;
  accesses: AccessOutcome[];
  why: string;
}

const PRESENT = 1;
const WRITABLE = 2;
const USER = 4;
const LARGE = 0x80;
/** Flags that lguest allows in a directory entry. */
const DIRECTORY_FLAGS = 0x067;

export function translate(vm: VirtualMachineInterface, linear: number, slot?: number): Translation {
  const state = vm.state();
  const guest = vm.guestWalk(linear, slot);
  const shadow = vm.shadowWalk(linear, slot);
  const accesses = ([1, 3] as const).flatMap((ring) =>
    (["read", "write", "execute"] as const).map((access) => outcome(vm, linear, guest, shadow, ring, access)),
  );
  return {
    slot: slot ?? state.currentSlot,
    guestWalk: guest.steps.map((step) => describe(step, "guest")),
    shadowWalk: shadow.steps.map((step) => describe(step, "shadow")),
    guestPhysical: guest.physical,
    hostPhysical: shadow.physical ?? (guest.physical === null ? null : vm.hostPhysical(guest.physical)),
    accesses,
    why: summary(vm, linear, guest, shadow, accesses, state.isLinear),
  };
}

/** What one access would do. */
export function outcome(
  vm: VirtualMachineInterface,
  linear: number,
  guest: WalkResult,
  shadow: WalkResult,
  ring: 1 | 3,
  access: AccessOutcome["access"],
): AccessOutcome {
  const isUser = ring === 3;
  const isWrite = access === "write";
  const [shadowDirectory, shadowEntry] = entries(shadow);
  const isThere = (shadowDirectory & shadowEntry & PRESENT) !== 0;
  const rights = shadowDirectory & shadowEntry;
  const result = (kind: AccessOutcome["result"], why: string): AccessOutcome => {
    const errorCode = (isThere ? 1 : 0) | (isWrite ? 2 : 0) | (isUser ? 4 : 0);
    return kind === "allowed" ? { ring, access, result: kind, why } : { ring, access, result: kind, errorCode, why };
  };
  if (isThere && (!isUser || rights & USER) && (!isWrite || rights & WRITABLE))
    return result("allowed", "The shadow allows it; nothing traps.");
  return judge(vm, linear, guest, { isUser, isWrite }, result);
}

/** What the host's demand_page makes of a fault. */
function judge(
  vm: VirtualMachineInterface,
  linear: number,
  guest: WalkResult,
  { isUser, isWrite }: { isUser: boolean; isWrite: boolean },
  result: (kind: AccessOutcome["result"], why: string) => AccessOutcome,
): AccessOutcome {
  const faults = (why: string): AccessOutcome => {
    const handler = vm.idt().entries[14];
    if (handler?.delivery === "kills")
      return result("kills", `${why} The guest has no handler for page faults and dies.`);
    return result("faults", why);
  };
  const [directory, entry] = entries(guest);
  if (vm.state().isLinear && linear < vm.switcherAddress) {
    return vm.hostPhysical(linear) === null
      ? result("kills", "It is beyond the guest's memory.")
      : result("demandPaged", "The host maps it at the first touch.");
  }
  if (!(directory & PRESENT)) return faults("The guest's directory entry is not present.");
  if (linear >= vm.switcherAddress) return result("kills", "The guest would touch the Switcher's pages.");
  if (directory & 0xfff & ~DIRECTORY_FLAGS)
    return result("kills", "The host does not accept the flags of the directory entry.");
  if (!(entry & PRESENT)) return faults("The guest's table entry is not present.");
  if (isWrite && !(entry & WRITABLE)) return faults("The guest's table entry is read-only; that binds ring 1 too.");
  if (isUser && !(entry & USER)) return faults("The guest's table entry is for the kernel only.");
  if (entry & LARGE || vm.hostPhysical((entry & ~0xfff) >>> 0) === null) {
    return result(
      "kills",
      "The host does not accept the table entry: its flags, or memory that the guest does not have.",
    );
  }
  const isForbiddenAbove = (isUser && !(directory & USER)) || (isWrite && !(directory & WRITABLE));
  if (isForbiddenAbove) {
    return result(
      "demandPaged",
      "The host fills the shadow, but the directory entry forbids the access: the guest traps for ever.",
    );
  }
  return result(
    "demandPaged",
    isWrite
      ? "It traps once: the host sets D and makes the shadow writable."
      : "It traps once: the host fills the shadow.",
  );
}

function entries(walk: WalkResult): [directory: number, table: number] {
  const directory = walk.steps.find((step) => step.level === "directory")?.entry ?? 0;
  const table = walk.steps.find((step) => step.level === "table");
  // A 4 MiB page ends at the directory.
  return [directory, table === undefined && walk.physical !== null ? directory : (table?.entry ?? 0)];
}

function describe(step: WalkEntry, side: "guest" | "shadow"): WalkStep {
  const { entry } = step;
  const flags = entry === null ? null : pageFlags(entry);
  const physical = entry === null || !(entry & PRESENT) ? null : (entry & ~0xfff) >>> 0;
  let why: string | undefined;
  if (entry === null) why = "It lies outside the guest's memory.";
  else if (!(entry & PRESENT))
    why = side === "guest" ? "Not present: the walk ends here." : "Not filled: the processor's walk ends here.";
  else if (step.level === "directory" && entry & LARGE) why = "A 4 MiB page.";
  return { ...step, flags, physical, ...(why ? { why } : {}) };
}

function summary(
  vm: VirtualMachineInterface,
  linear: number,
  guest: WalkResult,
  shadow: WalkResult,
  accesses: readonly AccessOutcome[],
  isLinear: boolean,
): string {
  const at = hex(linear);
  if (linear >= vm.switcherAddress) return `${at} belongs to the Switcher.`;
  if (isLinear) return `${at}: the guest has no page tables yet, linear addresses are guest-physical ones.`;
  if (guest.physical === null) return `${at} is not mapped by the guest.`;
  const write = accesses.find((access) => access.ring === 1 && access.access === "write")!;
  const writes = {
    allowed: "is allowed",
    demandPaged: "traps once, then is allowed",
    faults: "faults",
    kills: "kills the guest",
  }[write.result];
  const inShadow = shadow.physical === null ? "not in the shadow yet" : `in the shadow at ${hex(shadow.physical)}`;
  return `${at} is guest-physical ${hex(guest.physical)}, ${inShadow}; a write from ring 1 ${writes}.`;
}
