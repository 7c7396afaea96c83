// Registers, page tables, a walk and the hypervisor's state as the adapter gives them at a stop in a small guest.
import type {
  HypervisorResponse,
  PageFlags,
  PageTablesArguments,
  PageTablesResponse,
  RegistersResponse,
  TranslateResponse,
} from "../../src/dap";
import { descriptorOf } from "./fake-tables";

const KERNEL_MAIN = { address: 0xc0100123, symbol: "kernel_main", offset: 0x13, path: "/k/main.c", line: 57 };

/** `ring1/registers`. `more` replaces values by name. */
export function fakeRegisters(more: Record<string, number> = {}): RegistersResponse {
  const plain = (name: string, value: number) => ({ name, value: more[name] ?? value, bits: 32, editable: true });
  const bit = (name: string, at: number, value: number, meaning: string) => ({
    name,
    bit: at,
    width: 1,
    value,
    meaning,
  });
  return {
    instructionCount: 48_211_903,
    world: "guest",
    ring: 1,
    groups: [
      {
        id: "general",
        rows: [
          plain("EAX", 42),
          plain("ESP", 0xc0234ff0),
          { ...plain("EIP", KERNEL_MAIN.address), location: KERNEL_MAIN },
        ],
      },
      {
        id: "flags",
        rows: [
          {
            ...plain("EFLAGS", 0x246),
            fields: [
              { name: "IOPL", bit: 12, width: 2, value: 0, meaning: "ring 0 may do I/O" },
              bit("IF", 9, 1, "interrupts are on"),
              bit("ZF", 6, 1, "the result was zero"),
              bit("CF", 0, 0, "no carry"),
            ],
          },
        ],
      },
      {
        id: "segments",
        rows: [
          {
            ...plain("CS", 0x61),
            bits: 16,
            segment: { selector: 0x61, hidden: descriptorOf(0x0000ffff, 0x00cfbb00) },
          },
          {
            ...plain("GS", 0xd8),
            bits: 16,
            segment: {
              selector: 0xd8,
              hidden: descriptorOf(0x1000ffff, 0x0040b300),
              table: descriptorOf(0, 0),
              why: "the entry was changed after GS was loaded",
            },
          },
        ],
      },
      {
        id: "believes",
        rows: [{ ...plain("irq_enabled", 0), meaning: "interrupts are off for the guest while the real IF is on" }],
      },
      { id: "control", rows: [{ ...plain("CR3", 0x00345000), editable: false, meaning: "shadow slot 1" }] },
      {
        id: "sse",
        rows: [{ name: "XMM0", value: 1, wide: "00000000000000000000000000000001", bits: 128, editable: true }],
      },
    ],
  };
}

function flags(text: string): PageFlags {
  return {
    present: text.includes("p"),
    writable: text.includes("w"),
    user: text.includes("u"),
    accessed: text.includes("a"),
    dirty: text.includes("d"),
    global: false,
    large: false,
  };
}

const SLOTS = [
  { slot: 0, guestTable: 0x01276000, shadowTable: 0x00345000, inUse: true },
  { slot: 1, guestTable: null, shadowTable: null, inUse: false },
  { slot: 2, guestTable: null, shadowTable: null, inUse: false },
  { slot: 3, guestTable: null, shadowTable: null, inUse: false },
];

/** `ring1/pageTables`. */
export function fakePageTables({ directory }: PageTablesArguments): PageTablesResponse {
  const empty = { guestEntry: 0, shadowEntry: 0, guestPages: 0, shadowPages: 0, differences: 0 };
  return {
    slots: SLOTS,
    slot: 0,
    kernelAddress: 0xc0000000,
    switcherAddress: 0xffc00000,
    isLinear: false,
    regions: directory
      ? []
      : [
          { ...empty, start: 0, end: 0xbfffffff, first: 0, last: 767, kind: "hole" },
          {
            start: 0xc0000000,
            end: 0xc03fffff,
            first: 768,
            last: 768,
            kind: "mapped",
            guestFlags: flags("pwa"),
            shadowFlags: flags("pwa"),
            guestEntry: 0x01277067,
            shadowEntry: 0x00346067,
            guestPhysical: 0,
            guestPages: 1024,
            shadowPages: 312,
            differences: 4,
          },
          { ...empty, start: 0xc0400000, end: 0xffbfffff, first: 769, last: 1022, kind: "hole" },
          { ...empty, start: 0xffc00000, end: 0xffffffff, first: 1023, last: 1023, kind: "switcher", shadowPages: 2 },
        ],
    ranges: directory
      ? [
          {
            start: 0xc0000000,
            end: 0xc0103fff,
            guest: { physical: 0, flags: flags("pa"), entry: 0x21 },
            shadow: { physical: 0x00800000, flags: flags("pa"), entry: 0x00800021 },
            state: "same",
          },
          {
            start: 0xc0104000,
            end: 0xc0107fff,
            guest: { physical: 0x00104000, flags: flags("pwa"), entry: 0x00104023 },
            shadow: { physical: 0x00904000, flags: flags("pa"), entry: 0x00904021 },
            state: "readOnly",
          },
          {
            start: 0xc0108000,
            end: 0xc03fffff,
            guest: { physical: 0x00108000, flags: flags("pw"), entry: 0x00108003 },
            shadow: null,
            state: "notFilled",
          },
        ]
      : [],
  };
}

/** `ring1/translate`. */
export function fakeWalk(address = 0xc0104abc): TranslateResponse {
  const kernel = flags("pwa");
  const why = "The page is mapped, and the shadow keeps it read-only until it is first written.";
  return {
    linear: { address, symbol: "counter", offset: 0 },
    slot: 0,
    guestWalk: [
      {
        level: "directory",
        index: 768,
        entryAddress: 0x01276c00,
        entry: 0x01277067,
        flags: kernel,
        physical: 0x01277000,
      },
      { level: "table", index: 260, entryAddress: 0x01277410, entry: 0x00104063, flags: kernel, physical: 0x00104000 },
    ],
    shadowWalk: [
      {
        level: "directory",
        index: 768,
        entryAddress: 0x00345c00,
        entry: 0x00346067,
        flags: kernel,
        physical: 0x00346000,
      },
      {
        level: "table",
        index: 260,
        entryAddress: 0x00346410,
        entry: 0x00904021,
        flags: flags("pa"),
        physical: 0x00904000,
      },
    ],
    guestPhysical: 0x00104abc,
    hostPhysical: 0x00904abc,
    accesses: [
      { ring: 1, access: "read", result: "allowed", why: "" },
      { ring: 1, access: "write", result: "demandPaged", errorCode: 3, why: "the host sets the dirty bit" },
      { ring: 1, access: "execute", result: "allowed", why: "" },
      { ring: 3, access: "read", result: "faults", errorCode: 5, why: "the page is the kernel's" },
      { ring: 3, access: "write", result: "faults", errorCode: 7, why: "the page is the kernel's" },
      { ring: 3, access: "execute", result: "faults", errorCode: 5, why: "the page is the kernel's" },
    ],
    why,
  };
}

/** `ring1/hypervisor`. */
export function fakeHypervisor(): HypervisorResponse {
  return {
    abi: "2.6.32",
    quirks: "faithful",
    initialised: true,
    lguestData: 0x00102000,
    kernelAddress: 0xc0000000,
    noirq: { start: 0xc0100040, end: 0xc0100060 },
    halted: false,
    irqEnabled: 0,
    irqPending: 0x200,
    interrupts: [
      { irq: 0, name: "timer", pending: true, blocked: false, vector: 32 },
      { irq: 1, name: "console input", pending: false, blocked: true, vector: 33 },
    ],
    waitsBecause: "the guest has interrupts off (irq_enabled is 0)",
    timer: { armed: true, dueInstruction: 48_300_000, dueInNanoseconds: 1_500_000 },
    ring: {
      next: 3,
      slots: Array.from({ length: 64 }, (_, index) => ({
        index,
        pending: index === 3,
        number: 14,
        name: "SET_PTE",
        args: [0x01276000, 0xc0104000, 0x00104063],
      })),
    },
    slots: SLOTS,
    changed: { idt: false, gdt: true, tls: false },
    stack: { ss1: 0x69, esp1: 0xc0234ff8, pages: 2 },
    ts: true,
    cpu: 0,
    lastCpu: 0,
    cpuCount: 1,
    devices: [
      {
        name: "console",
        type: 3,
        guestPhysical: 0x04000000,
        status: 7,
        statusBits: [{ name: "DRIVER_OK", bit: 2, width: 1, value: 1 }],
        features: 0,
        ackedFeatures: 0,
        queues: [{ index: 0, irq: 1, guestPhysical: 0x04001000, size: 256, available: 4, used: 0 }],
      },
    ],
    lastExit: { n: 120_434, vector: 14, name: "#PF", why: "A write to a page that the shadow had read-only." },
  };
}
