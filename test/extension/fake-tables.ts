// A GDT and an IDT as a small guest would have them, with each kind of difference between guest and CPU once.
import type { Descriptor, Gate, GdtResponse, GdtRow, IdtResponse, IdtRow, TrapDelivery } from "../../src/dap";

/** Decodes the two words of a descriptor, as the engine does. */
export function descriptorOf(low: number, high: number): Descriptor {
  const type = (high >>> 8) & 0x1f;
  const isSegment = (type & 0x10) !== 0;
  const isCode = isSegment && (type & 8) !== 0;
  const isPageGranular = (high & 0x0080_0000) !== 0;
  const rawLimit = ((high & 0x000f_0000) | (low & 0xffff)) >>> 0;
  const system = { 1: "tss16", 3: "tss16", 2: "ldt", 9: "tss32", 11: "tss32" } as const;
  return {
    low,
    high,
    kind: low === 0 && high === 0 ? "null" : isCode ? "code" : isSegment ? "data" : (system[type as 9] ?? "reserved"),
    base: (((low >>> 16) & 0xffff) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0,
    limit: isPageGranular ? (rawLimit * 4096 + 4095) >>> 0 : rawLimit,
    dpl: ((high >>> 13) & 3) as Descriptor["dpl"],
    present: (high & 0x8000) !== 0,
    is32Bit: (high & 0x0040_0000) !== 0,
    isPageGranular,
    isReadable: isSegment && (!isCode || (type & 2) !== 0),
    isWritable: isSegment && !isCode && (type & 2) !== 0,
    isConforming: isCode && (type & 4) !== 0,
    isExpandDown: isSegment && !isCode && (type & 4) !== 0,
    isAccessed: (type & 1) !== 0,
  };
}

function entry(
  index: number,
  guest: [number, number] | null,
  cpu: [number, number],
  more: Partial<GdtRow> = {},
): GdtRow {
  return {
    index,
    selector: index * 8,
    guest: guest && descriptorOf(...guest),
    cpu: descriptorOf(...cpu),
    state: "same",
    ...more,
  };
}

/** `ring1/gdt`. */
export function fakeGdt(): GdtResponse {
  const special: GdtRow[] = [
    entry(10, null, [0x0000ffff, 0x00cf9b00], {
      role: "LGUEST_CS",
      state: "hostOnly",
      why: "The Switcher's code segment. A guest cannot set it.",
    }),
    entry(11, null, [0x0000ffff, 0x00cf9300], {
      role: "LGUEST_DS",
      state: "hostOnly",
      why: "The Switcher's data segment. A guest cannot set it.",
    }),
    entry(12, [0x0000ffff, 0x00cfbb00], [0x0000ffff, 0x00cfbb00], { role: "kernel code", usedBy: ["CS"] }),
    entry(13, [0x0000ffff, 0x00cfb300], [0x0000ffff, 0x00cfb300], { role: "kernel data", usedBy: ["DS", "ES", "SS"] }),
    entry(14, [0x0000ffff, 0x00cffa00], [0x0000ffff, 0x00cffb00], {
      role: "user code",
      state: "fixed",
      why: "The host sets the accessed bit, because the processor may not write to the guest's GDT.",
    }),
    entry(16, [0x20000067, 0x00008900], [0x20200067, 0xff0089c0], {
      role: "TSS",
      state: "hostOnly",
      why: "The processor's TSS is the host's. The guest's value is kept aside and never used.",
    }),
    entry(20, [0x1000ffff, 0x00409200], [0x1000ffff, 0x0040b300], {
      state: "fixed",
      why: "DPL raised from 0 to 1: a guest has no ring 0. The accessed bit is set as well.",
    }),
  ];
  const entries = Array.from(
    { length: 32 },
    (_, index) => special.find((row) => row.index === index) ?? entry(index, null, [0, 0]),
  );
  return { base: 0xffc02888, limit: 0xff, entries };
}

const NAMES: Readonly<Record<number, string>> = {
  0: "#DE",
  1: "#DB",
  2: "NMI",
  3: "#BP",
  4: "#OF",
  5: "#BR",
  6: "#UD",
  7: "#NM",
  8: "#DF",
  10: "#TS",
  11: "#NP",
  12: "#SS",
  13: "#GP",
  14: "#PF",
  16: "#MF",
  17: "#AC",
  31: "hypercall",
  32: "IRQ 0 (timer)",
  33: "IRQ 1 (console)",
  128: "system call",
};

function gate(
  vector: number,
  address: number,
  symbol: string | undefined,
  kind: Gate["kind"],
  dpl: Gate["dpl"],
  selector = 0x61,
): Gate {
  const type = kind === "trap32" ? 0xf : 0xe;
  return {
    low: ((selector << 16) | (address & 0xffff)) >>> 0,
    high: ((address & 0xffff0000) | 0x8000 | (dpl << 13) | (type << 8)) >>> 0,
    kind,
    selector,
    target: { address, ...(symbol === undefined ? {} : { symbol, path: "/k/trap-entry.S", line: 20 + vector }) },
    dpl,
    present: true,
  };
}

/** `ring1/idt`. */
export function fakeIdt(): IdtResponse {
  const entries = Array.from({ length: 256 }, (_, vector): IdtRow => {
    const stub = (0xffc00200 + vector * 12) >>> 0;
    const isSyscall = vector === 0x80;
    const handled = [0, 3, 6, 13, 14, 32, 33, 128].includes(vector);
    const kind = isSyscall ? "trap32" : "interrupt32";
    const dpl = isSyscall || vector === 3 ? 3 : 0;
    const guest = handled
      ? gate(vector, 0xc0100400 + vector * 16, vector === 14 ? "page_fault" : `trap_${vector}`, kind, dpl)
      : null;
    const delivery: TrapDelivery = isSyscall
      ? "direct"
      : vector === 31
        ? "hypercall"
        : [6, 7, 13, 14].includes(vector)
          ? "host"
          : vector >= 32
            ? handled
              ? "interrupt"
              : "swallowed"
            : handled
              ? "reflected"
              : "kills";
    const why: Partial<Record<TrapDelivery, string>> = {
      direct: "A trap gate for the system-call vector: ring 3 enters ring 1 without the host.",
      host: "The host looks first: it is needed for shadow paging, I/O, TS or VMCALL.",
      hypercall: "Vector 31 is the hypercall; its gate is the host's.",
      reflected: "An interrupt gate would clear the real IF, so the host builds the frame.",
      interrupt: "A virtual interrupt: the host injects it.",
      swallowed: "A hardware interrupt of the host; the guest never learns of it.",
      kills: `The guest has no handler: it dies with "unhandled trap ${vector}".`,
    };
    return {
      vector,
      ...(NAMES[vector] === undefined ? {} : { name: NAMES[vector] }),
      guest,
      cpu:
        guest !== null && isSyscall ? guest : gate(vector, stub, undefined, "interrupt32", vector === 31 ? 1 : 0, 0x50),
      delivery,
      why: why[delivery] ?? "",
      count: isSyscall ? 1024 : vector === 14 ? 655 : vector === 31 ? 12408 : 0,
      breaks: vector === 13,
    };
  });
  return { base: 0xffc02088, limit: 0x7ff, entries };
}
