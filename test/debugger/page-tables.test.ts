// Page tables as regions and ranges, guest beside shadow, and what accesses would do. On a made-up machine.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { PageTableReader } from "../../src/debugger/inspection/page-tables";
import { translate } from "../../src/debugger/inspection/translate";
import type { VirtualMachineInterface, WalkResult } from "../../src/lguest";

const HOST_BASE = 0x1000000;
const SWITCHER = 0xffc00000;
const P = 1;
const W = 2;
const U = 4;
const A = 0x20;
const D = 0x40;

/** A machine with 1 MiB of guest memory at host-physical 16 MiB; tables are put into it word by word. */
class FakeMachine {
  private readonly ram = new Uint8Array(HOST_BASE + 0x100000);
  private readonly view = new DataView(this.ram.buffer);
  isLinear = false;
  handler = "host";

  guest(address: number, word: number): void {
    this.view.setUint32(HOST_BASE + address, word, true);
  }
  shadow(address: number, word: number): void {
    this.view.setUint32(address, word, true);
  }
  private walk(directory: number, linear: number, base: number): WalkResult {
    const read = (address: number): number => this.view.getUint32(base + address, true);
    const first = {
      level: "directory" as const,
      index: linear >>> 22,
      entryAddress: directory + (linear >>> 22) * 4,
      entry: 0,
    };
    first.entry = read(first.entryAddress);
    if (!(first.entry & P)) return { steps: [first], physical: null };
    const index = (linear >>> 12) & 0x3ff;
    const second = { level: "table" as const, index, entryAddress: (first.entry & ~0xfff) + index * 4, entry: 0 };
    second.entry = read(second.entryAddress);
    return { steps: [first, second], physical: second.entry & P ? (second.entry & ~0xfff) + (linear & 0xfff) : null };
  }
  get vm(): VirtualMachineInterface {
    const slot = { slot: 0, guestTable: 0x1000, shadowTable: 0x2000, inUse: true };
    const made: Partial<VirtualMachineInterface> = {
      switcherAddress: SWITCHER,
      state: () => ({ slots: [slot], currentSlot: 0, isLinear: this.isLinear, memoryBytes: 0x100000 }) as never,
      idt: () => ({ entries: Array.from({ length: 256 }, () => ({ delivery: this.handler })) }) as never,
      hostPhysical: (address) => (address < 0x100000 ? HOST_BASE + address : null),
      readGuestPhysical: (address, length) => this.ram.subarray(HOST_BASE + address, HOST_BASE + address + length),
      readHostPhysical: (address, length) => this.ram.subarray(address, address + length),
      guestWalk: (linear) => this.walk(0x1000, linear, HOST_BASE),
      shadowWalk: (linear) => this.walk(0x2000, linear, 0),
    };
    return made as VirtualMachineInterface;
  }
}

/** Kernel at 0xC0000000: 16 pages mapped, some of them in the shadow in various states. */
function kernel(): FakeMachine {
  const machine = new FakeMachine();
  machine.guest(0x1000 + 768 * 4, 0x3000 | P | W | A);
  machine.shadow(0x2000 + 768 * 4, 0x4000 | P | W | A);
  for (let i = 0; i < 16; i++) machine.guest(0x3000 + i * 4, (i << 12) | P | W | A | (i < 4 ? D : 0));
  for (let i = 0; i < 4; i++) machine.shadow(0x4000 + i * 4, (HOST_BASE + (i << 12)) | P | W | A | D);
  for (let i = 4; i < 6; i++) machine.shadow(0x4000 + i * 4, (HOST_BASE + (i << 12)) | P | A);
  machine.shadow(0x4000 + 6 * 4, (HOST_BASE + 0x9000) | P | A);
  machine.shadow(0x4000 + 20 * 4, (HOST_BASE + 0x5000) | P | A);
  return machine;
}

describe("page tables", () => {
  it("cover the address space with one region per run of equal entries", () => {
    const regions = new PageTableReader(kernel().vm).regions();
    assert.deepEqual(
      regions.map(({ first, last, kind }) => [first, last, kind]),
      [
        [0, 767, "hole"],
        [768, 768, "mapped"],
        [769, 1022, "hole"],
        [1023, 1023, "switcher"],
      ],
    );
    const [, mapped] = regions;
    assert.equal(mapped.guestPages, 16);
    assert.equal(mapped.shadowPages, 8);
    assert.equal(mapped.guestPhysical, 0);
    assert.equal(mapped.differences, 2);
  });

  it("say for each page how the shadow stands to the guest's table", () => {
    const ranges = new PageTableReader(kernel().vm).ranges(768, 768);
    assert.deepEqual(
      ranges.map(({ start, end, state }) => [start - 0xc0000000, end - 0xc0000000, state]),
      [
        [0, 0x3fff, "same"],
        [0x4000, 0x5fff, "readOnly"],
        [0x6000, 0x6fff, "stale"],
        [0x7000, 0xffff, "notFilled"],
        [0x10000, 0x13fff, "hole"],
        [0x14000, 0x14fff, "stale"],
        [0x15000, 0x3fffff, "hole"],
      ],
    );
    assert.equal(ranges[0].guest!.physical, 0);
    assert.equal(ranges[0].shadow!.physical, HOST_BASE);
    assert.match(ranges[1].why!, /until the first write/);
  });

  it("are linear before the guest has any", () => {
    const machine = new FakeMachine();
    machine.isLinear = true;
    const [first] = new PageTableReader(machine.vm).regions();
    assert.equal(first.kind, "mapped");
    assert.equal(first.guestPhysical, 0);
  });

  it("refuse a slot or directory entries that do not exist", () => {
    assert.throws(() => new PageTableReader(kernel().vm, 3), /no shadow slot 3/);
    assert.throws(() => new PageTableReader(kernel().vm).ranges(1000, 1024), /entries 0 to 1023/);
  });
});

describe("translation", () => {
  const results = (machine: FakeMachine, linear: number): string =>
    translate(machine.vm, linear)
      .accesses.map(({ result }) => result)
      .join(" ");

  it("tells what accesses do: at once, after one trap, never", () => {
    const machine = kernel();
    assert.equal(results(machine, 0xc0000000), "allowed allowed allowed faults faults faults");
    assert.equal(results(machine, 0xc0004000), "allowed demandPaged allowed faults faults faults");
    assert.equal(results(machine, 0xc0007000), "demandPaged demandPaged demandPaged faults faults faults");
    assert.equal(results(machine, 0xc0100000), "faults faults faults faults faults faults");
    machine.handler = "kills";
    assert.equal(results(machine, 0xc0100000), "kills kills kills kills kills kills");
  });

  it("gives the error code that the trap would have", () => {
    const machine = kernel();
    const write = (linear: number) =>
      translate(machine.vm, linear).accesses.find((a) => a.ring === 1 && a.access === "write")!;
    assert.equal(write(0xc0004000).errorCode, 3);
    assert.equal(write(0xc0007000).errorCode, 2);
    assert.equal(write(0xc0000000).errorCode, undefined);
  });

  it("sees that a directory entry can forbid what the table allows", () => {
    const machine = kernel();
    machine.guest(0x1000, 0x5000 | P | A);
    machine.guest(0x5000, 0x8000 | P | W | U | A);
    const user = translate(machine.vm, 0).accesses.find((a) => a.ring === 3 && a.access === "read")!;
    assert.match(user.why, /traps for ever/);
  });

  it("knows entries that kill", () => {
    const machine = kernel();
    machine.guest(0x3000 + 8 * 4, 0x70000000 | P | W);
    assert.equal(translate(machine.vm, 0xc0008000).accesses[0].result, "kills");
    machine.guest(0x1000 + 900 * 4, 0x3000 | P | W | 0x100);
    assert.equal(translate(machine.vm, (900 << 22) >>> 0).accesses[0].result, "kills");
  });
});
