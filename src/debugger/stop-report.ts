/*
 * Stops and ends in words. A stop says what happened, where, and what comes next if the guest goes on; an end says why,
 * with the exit status that the command line would give.
 */
import { hex } from "../base";
import { type GuestEvent, killAdvice, type VirtualMachine, type VmExit } from "../lguest";
import type { Stop } from "./run-control";
import { placeText, type Symbols } from "./symbols";
import { willReachGuest } from "./trap-breakpoints";
import { EXCEPTIONS, errorCodeText } from "./traps";

export type StopKind =
  | "breakpoint"
  | "function breakpoint"
  | "instruction breakpoint"
  | "data breakpoint"
  | "exception"
  | "step"
  | "pause"
  | "entry"
  | "goto";

export interface StopReport {
  readonly kind: StopKind;
  /** Short, for the call stack: `Paused on #PF`. */
  readonly description: string;
  /** A sentence, for the exception's widget. */
  readonly text?: string;
  readonly breakpointIds: readonly number[];
  readonly event?: GuestEvent;
  /** The filter that stopped it. */
  readonly filter?: string;
}

export interface EndReport {
  readonly cause: "poweredOff" | "killed" | "restarted" | "instructionLimit" | "terminated" | "failed";
  readonly reason: string;
  readonly exitStatus: number;
  readonly instructionCount: number;
}

export function describeStop(
  stop: Exclude<Stop, { kind: "ended" | "limit" }>,
  vm: VirtualMachine,
  symbols: Symbols,
): StopReport {
  switch (stop.kind) {
    case "breakpoint": {
      const [first] = stop.breakpoints;
      const kind =
        first.kind === "source"
          ? "breakpoint"
          : first.kind === "function"
            ? "function breakpoint"
            : "instruction breakpoint";
      return { kind, description: `Paused on ${kind}`, breakpointIds: stop.breakpoints.map(({ id }) => id) };
    }
    case "data":
      return {
        kind: "data breakpoint",
        description: "Paused on data breakpoint",
        text: stop.text,
        breakpointIds: stop.ids,
      };
    case "event":
      return {
        kind: "exception",
        ...eventText(stop.event, vm, symbols),
        breakpointIds: [],
        event: stop.event,
        filter: stop.filter,
      };
    case "unimplemented":
      return {
        kind: "exception",
        description: "Paused: the processor lacks an instruction",
        text: `The guest executes ${stop.feature}, which the emulated processor does not have yet.`,
        breakpointIds: [],
      };
    default:
      return {
        kind: stop.kind,
        description: { step: "Paused on step", pause: "Paused", entry: "Paused on entry", goto: "Paused on goto" }[
          stop.kind
        ],
        breakpointIds: [],
      };
  }
}

/** `#PF at kernel_main+0x13: write to C0400000, page not present; reflected to the guest`. */
export function eventText(
  event: GuestEvent,
  vm: VirtualMachine,
  symbols: Symbols,
): { description: string; text: string } {
  const place = placeText(symbols.locate(event.eip));
  const who = event.world === "user" ? "ring 3" : "the guest kernel";
  switch (event.kind) {
    case "kill": {
      const advice = killAdvice(event.reason ?? "", vm.state().abi);
      return {
        description: "Paused before the guest is killed",
        text: `The host is about to kill the guest: ${(event.reason ?? "").trim()} (at ${place}).${advice ? ` Perhaps ${advice}.` : ""}`,
      };
    }
    case "interrupt":
      return {
        description: `Paused on ${event.name}`,
        text: `The host is about to deliver ${event.name} (vector ${event.vector}) at ${place}.`,
      };
    case "entry":
      return { description: "Paused on world switch", text: `The host is about to enter the guest at ${place}.` };
    default: {
      const call = event.hypercall;
      if (call !== undefined) {
        const args = call.args.map((value) => hex(value)).join(", ");
        return {
          description: `Paused on ${call.name}`,
          text: `Hypercall ${call.name}(${args})${call.async ? " from the ring" : ""}, made at ${place}.`,
        };
      }
      return { description: `Paused on ${event.name}`, text: `${trapText(event, place, who)}; ${fate(event, vm)}.` };
    }
  }
}

function trapText(event: GuestEvent, place: string, who: string): string {
  const title = EXCEPTIONS[event.vector]?.title;
  const name = title === undefined ? event.name : `${event.name} (${title})`;
  const details: string[] = [];
  if (event.cr2 !== undefined) details.push(`address ${hex(event.cr2)}`);
  if (event.errorCode !== undefined && event.vector < 32) details.push(errorCodeText(event.vector, event.errorCode));
  return `${name} in ${who} at ${place}${details.length > 0 ? `: ${details.join(", ")}` : ""}`;
}

function fate(event: GuestEvent, vm: VirtualMachine): string {
  if (event.kind === "direct") return "the processor enters the guest's handler directly";
  if (event.vector >= 32) return "a matter of the host, the guest will not notice";
  if (!willReachGuest(event, vm))
    return event.vector === 14 ? "the host will fill the shadow page table" : "the host will handle it";
  const delivery = vm.idt().entries[event.vector]?.delivery;
  return delivery === "kills"
    ? "the guest has no handler and will be killed"
    : "the host will pass it to the guest's handler";
}

export function describeEnd(stop: Extract<Stop, { kind: "ended" | "limit" }>, vm: VirtualMachine): EndReport {
  const instructionCount = vm.instructionCount;
  if (stop.kind === "limit") {
    return {
      cause: "instructionLimit",
      reason: `The limit of ${instructionCount} instructions is reached.`,
      exitStatus: 3,
      instructionCount,
    };
  }
  return { ...endText(stop.exit), instructionCount };
}

function endText(exit: VmExit): Omit<EndReport, "instructionCount"> {
  switch (exit.kind) {
    case "powered-off":
      return {
        cause: "poweredOff",
        reason: `The guest powered off${exit.text ? `: ${exit.text.trim()}` : ""}.`,
        exitStatus: 0,
      };
    case "killed":
      return { cause: "killed", reason: `The guest was killed: ${exit.reason.trim()}.`, exitStatus: 1 };
    case "shutdown":
      return {
        cause: "failed",
        reason: `The emulated processor shut down: ${exit.reason}. This is a defect of Ring 1.`,
        exitStatus: 1,
      };
    default:
      return { cause: "failed", reason: `The machine ended (${exit.kind}).`, exitStatus: 1 };
  }
}
