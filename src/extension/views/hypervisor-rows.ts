/*
 * The Hypervisor view: "what is the host about to do?" Interrupts that wait and why, the timer, calls in the
 * asynchronous ring, shadow slots, what is copied at the next entry, devices, and the reason of the last exit.
 *
 * Rows that wait for something are open from the start; everything else is one line until it is opened.
 */

import { durationText, groupDigits, hex } from "../../base";
import type { DeviceState, HypervisorResponse, RingSlot } from "../../dap";
import { joined, type Row } from "./row";

/** All rows of the view. `now` is the instruction count, for "due in". */
export function hypervisorRows(state: HypervisorResponse, now: number): Row[] {
  const rows: (Row | undefined)[] = [
    state.dead === undefined
      ? undefined
      : { id: "dead", label: "The guest is dead", description: state.dead, icon: "error", color: "ring1.fault" },
    lastExitRow(state),
    interruptsRow(state),
    timerRow(state, now),
    ringRow(state),
    slotsRow(state),
    changedRow(state),
    guestRow(state),
    devicesRow(state),
  ];
  return rows.filter((row) => row !== undefined).map(withSpoken);
}

/** What a screen reader says is what there is to read, with pauses. */
function withSpoken(row: Row): Row {
  return {
    ...row,
    spoken: row.spoken ?? joined([row.label.replace(/ {2,}/g, ", "), row.description], ", "),
    ...(row.children === undefined ? {} : { children: row.children.map(withSpoken) }),
  };
}

function lastExitRow({ lastExit }: HypervisorResponse): Row {
  return lastExit === null
    ? { id: "exit", label: "Last Exit", description: "none yet" }
    : {
        id: "exit",
        label: `Last Exit  ${lastExit.name}`,
        description: lastExit.why === lastExit.name ? "" : lastExit.why,
        icon: "sign-out",
        color: "ring1.host",
        data: { sequence: lastExit.n, value: lastExit.why },
      };
}

function interruptsRow({ interrupts, irqEnabled, waitsBecause, halted }: HypervisorResponse): Row {
  const pending = interrupts.filter((interrupt) => interrupt.pending);
  const summary = pending.length === 0 ? "none pending" : `${pending.map(({ name }) => name).join(", ")} pending`;
  return {
    id: "interrupts",
    label: "Interrupts",
    description: joined([
      summary,
      `guest has them ${irqEnabled === 0 ? "off" : "on"}`,
      halted && "halted",
      waitsBecause,
    ]),
    icon: "bell",
    isOpen: pending.length > 0,
    children: interrupts.map(({ irq, name, pending: isPending, blocked, vector }) => ({
      id: `irq.${irq}`,
      label: `IRQ ${irq}  ${name}`,
      description: joined([isPending ? "pending" : "idle", blocked && "blocked", `vector ${hex(vector, 2)}`]),
      ...(isPending
        ? { icon: "bell-dot", color: "ring1.interrupt" }
        : blocked
          ? { icon: "bell-slash" }
          : { icon: "blank" }),
      data: { vector },
    })),
  };
}

function timerRow({ timer }: HypervisorResponse, now: number): Row {
  if (!timer.armed) {
    return { id: "timer", label: "Timer", description: "off", icon: "watch" };
  }
  const due = joined([
    timer.dueInNanoseconds !== undefined && `due in ${durationText(timer.dueInNanoseconds)}`,
    timer.dueInstruction !== undefined && `${groupDigits(Math.max(0, timer.dueInstruction - now))} instructions`,
  ]);
  return { id: "timer", label: "Timer", description: due || "armed", icon: "watch" };
}

function ringRow({ ring }: HypervisorResponse): Row {
  const pending = ring.slots.filter((slot) => slot.pending);
  return {
    id: "ring",
    label: "Asynchronous Calls",
    description: `${pending.length === 0 ? "none" : pending.length} waiting, next slot ${ring.next} of ${ring.slots.length}`,
    icon: "list-ordered",
    ...(pending.length === 0 ? {} : { children: pending.map(slotRow), isOpen: true }),
  };
}

function slotRow({ index, name, args }: RingSlot): Row {
  return { id: `ring.${index}`, label: `${index}  ${name}`, description: args.map((value) => hex(value)).join(" ") };
}

function slotsRow({ slots }: HypervisorResponse): Row {
  const used = slots.filter((slot) => slot.guestTable !== null).length;
  return {
    id: "slots",
    label: "Shadow Tables",
    description: `${used} of ${slots.length} slots`,
    icon: "layers",
    children: slots.map(({ slot, guestTable, shadowTable, inUse }) => ({
      id: `slot.${slot}`,
      label: `Slot ${slot + 1}${inUse ? "  in use" : ""}`,
      description:
        guestTable === null
          ? "free"
          : joined([`guest ${hex(guestTable)}`, shadowTable === null ? "no shadow" : `shadow ${hex(shadowTable)}`]),
      icon: inUse ? "arrow-right" : "blank",
    })),
  };
}

function changedRow({ changed, cpu, lastCpu, cpuCount }: HypervisorResponse): Row {
  const parts = joined([changed.idt && "IDT", changed.gdt && "GDT", changed.tls && "TLS"], ", ");
  const pages =
    lastCpu === null || lastCpu === cpu ? "" : `the guest last ran on CPU ${lastCpu}, so everything is copied`;
  return {
    id: "changed",
    label: "Copied Before the Next Entry",
    description: joined([parts || "nothing", `CPU ${cpu} of ${cpuCount}`, pages]),
    icon: "copy",
  };
}

function guestRow(state: HypervisorResponse): Row {
  const { initialised, lguestData, kernelAddress, noirq, stack, ts, abi, quirks, irqPending, irqEnabled } = state;
  const rows: Row[] = [
    { id: "abi", label: "ABI", description: joined([abi, `quirks ${quirks}`]) },
    {
      id: "data",
      label: "lguest_data",
      description: lguestData === null ? "none yet" : `guest-physical ${hex(lguestData)}`,
    },
    { id: "irq", label: "irq_enabled, irq_pending", description: `${hex(irqEnabled, 3)}, ${hex(irqPending, 3)}` },
    { id: "kernel", label: "Kernel From", description: kernelAddress === null ? "not declared" : hex(kernelAddress) },
    {
      id: "noirq",
      label: "No Interrupt Between",
      description: noirq === null ? "no range" : `${hex(noirq.start)} and ${hex(noirq.end)}`,
    },
    {
      id: "stack",
      label: "Kernel Stack",
      description: `${hex(stack.ss1, 4)}:${hex(stack.esp1)}  ${stack.pages} pages pinned`,
      data: { address: stack.esp1 },
    },
    { id: "ts", label: "Task Switched (TS)", description: ts ? "set" : "clear" },
  ];
  return {
    id: "guest",
    label: "What the Guest Declared",
    description: initialised ? "after LGUEST_INIT" : "before LGUEST_INIT",
    icon: "vm",
    children: rows.map((row) => ({ ...row, id: `guest.${row.id}` })),
  };
}

function devicesRow({ devices }: HypervisorResponse): Row {
  return {
    id: "devices",
    label: "Devices",
    description: devices.map(({ name }) => name).join(", ") || "none",
    icon: "plug",
    ...(devices.length === 0 ? {} : { children: devices.map(deviceRow) }),
  };
}

function deviceRow(device: DeviceState, index: number): Row {
  const { name, type, guestPhysical, status, statusBits, features, ackedFeatures, queues } = device;
  const set = statusBits.filter((bit) => bit.value !== 0).map((bit) => bit.name);
  return {
    id: `device.${index}`,
    label: name,
    description: joined([`type ${type}`, `at ${hex(guestPhysical)}`, `status ${hex(status, 2)} ${set.join(" ")}`]),
    children: [
      {
        id: `device.${index}.features`,
        label: "Features",
        description: `offered ${hex(features)}, taken ${hex(ackedFeatures)}`,
      },
      ...queues.map((queue) => ({
        id: `device.${index}.queue.${queue.index}`,
        label: `Queue ${queue.index}`,
        description: joined([
          `IRQ ${queue.irq}`,
          `${queue.size} descriptors at ${hex(queue.guestPhysical)}`,
          `available ${queue.available}, used ${queue.used}`,
        ]),
      })),
    ],
    data: { json: device },
  };
}
