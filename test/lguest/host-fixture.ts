// A host with its module loaded and one guest, without launcher and without running anything: for tests that call the host's functions
// directly. Guest RAM is 1 MiB at a host-physical address that is nobody's multiple of anything, so that mixing up addresses shows.
import assert from "node:assert/strict";
import type { Abi, Quirks } from "../../src/lguest";
import { LguestModule, type ModuleOptions, pagesPhysical } from "../../src/lguest/host/core";
import { makeGeneration } from "../../src/lguest/host/generation";
import type { EventFd, Guest, Vcpu } from "../../src/lguest/host/guest";
import { type HostFeatures, HostKernel } from "../../src/lguest/host/host-kernel";
import { initialize } from "../../src/lguest/host/hypercalls";
import { LguestDevice } from "../../src/lguest/host/lguest-user";
import { Random } from "../../src/lguest/host/random";
import { Regs, State } from "../../src/lguest/switcher/layout";
import { type EngineName, Machine } from "../../src/machine";

export const MEGABYTE = 0x100000;
const HOST_BYTES = MEGABYTE;
/** Guest-physical addresses that tests use. */
export const LGUEST_DATA = 0x8000;
export const STACK_TOP = 0xa000;
export const CODE = 0x10000;

export interface FixtureOptions {
  abi?: Abi;
  quirks?: Quirks;
  cpus?: number;
  features?: Partial<HostFeatures>;
  module?: Partial<ModuleOptions>;
  /** Pages that the guest may touch beyond what is mapped. */
  extraPages?: number;
  hostBytes?: number;
  engine?: EngineName;
}

export interface HostOnly {
  readonly machine: Machine;
  readonly kernel: HostKernel;
  readonly module: LguestModule;
  readonly eventFds: EventFd[];
}
export interface Fixture extends HostOnly {
  readonly device: LguestDevice;
  readonly guest: Guest;
  readonly cpu: Vcpu;
  /** Words and bytes of guest memory. */
  read(address: number): number;
  write(address: number, ...words: number[]): void;
  bytes(address: number, ...bytes: number[]): void;
  /** Word of struct lguest_ro_state of a CPU. */
  state(offset: number, cpu?: number): number;
  /** The reason of death. */
  deathText(): string | undefined;
}

/** A host; the module is made and not loaded. */
export function makeHost(options: FixtureOptions = {}): HostOnly {
  const hostBytes = options.hostBytes ?? HOST_BYTES;
  const machine = new Machine({ ramSize: hostBytes + 3 * MEGABYTE, engine: options.engine ?? "direct" });
  const features: HostFeatures = { hasPge: true, hasSep: true, hasStableTsc: true, ...options.features };
  const kernel = new HostKernel(machine, options.cpus ?? 1, hostBytes, features);
  const module = new LguestModule(kernel, {
    generation: makeGeneration(options.abi ?? "2.6.32", options.quirks ?? "faithful"),
    random: new Random(1),
    tscKhz: 100_000,
    wallClock: () => ({ seconds: 1000, nanoseconds: 77 }),
    instructionsFor: (nanoseconds) => Math.ceil(nanoseconds / 10),
    ...options.module,
  });
  return { machine, kernel, module, eventFds: [] };
}

/** A host with the module loaded and a guest that has not started. */
export function makeGuest(options: FixtureOptions = {}): Fixture {
  const host = makeHost(options);
  assert.equal(host.module.init(), 0);
  const base = (options.hostBytes ?? HOST_BYTES) + 0x5000;
  const device = new LguestDevice(
    host.module,
    { base, size: MEGABYTE },
    (descriptor) => host.eventFds[descriptor] ?? null,
  );
  const { cpu: processor } = host.machine;
  const write = (address: number, ...words: number[]): void =>
    words.forEach((word, i) => {
      processor.writePhysical(base + address + 4 * i, 4, word);
    });
  write(0x2d8, MEGABYTE);
  assert.equal(device.write([0, base, MEGABYTE / 0x1000 + (options.extraPages ?? 0), CODE]), 12);
  const guest = device.guest as Guest;
  return {
    ...host,
    device,
    guest,
    cpu: guest.cpu,
    read: (address) => processor.readPhysical(base + address, 4),
    write,
    bytes: (address, ...bytes) =>
      bytes.forEach((byte, i) => {
        processor.writePhysical(base + address + i, 1, byte);
      }),
    state: (offset, cpu = 0) => host.kernel.read32(pagesPhysical(host.module, cpu).state + offset),
    deathText: () =>
      guest.dead?.kind === "killed" || guest.dead?.kind === "powered-off" ? guest.dead.text : undefined,
  };
}

/** What a guest publishes before LGUEST_INIT; 2.6.32 layout. */
export function publish(
  fixture: Fixture,
  fields: { kernelAddress?: number; noirq?: [number, number]; syscallVector?: number; blocked?: number } = {},
): void {
  const { data } = fixture.module.generation;
  for (let i = 0; i < 64; i += 4) fixture.write(LGUEST_DATA + data.hcallStatus + i, 0xffffffff);
  fixture.write(LGUEST_DATA + data.blockedInterrupts, fields.blocked ?? 0);
  fixture.write(LGUEST_DATA + data.noirqStart, fields.noirq?.[0] ?? 0);
  fixture.write(LGUEST_DATA + data.noirqEnd, fields.noirq?.[1] ?? 0);
  fixture.write(LGUEST_DATA + data.kernelAddress, fields.kernelAddress ?? 0xc0000000);
  fixture.write(LGUEST_DATA + data.syscallVec, fields.syscallVector ?? 0x80);
}

/** A guest after a good LGUEST_INIT. */
export function makeRunningGuest(options: FixtureOptions = {}, fields: Parameters<typeof publish>[1] = {}): Fixture {
  const fixture = makeGuest(options);
  publish(fixture, fields);
  fixture.cpu.setReg(Regs.eax, 1);
  fixture.cpu.setReg(Regs.ebx, LGUEST_DATA);
  initialize(fixture.cpu);
  assert.equal(fixture.deathText(), undefined);
  fixture.cpu.setReg(Regs.eip, 0xc0000000 + CODE);
  fixture.cpu.setReg(Regs.esp, 0xc0000000 + STACK_TOP);
  return fixture;
}

/** A gate as a guest writes it. */
export function gate(handler: number, type: 0xe | 0xf, dpl = 0): [number, number] {
  return [(0x60 << 16) | (handler & 0xffff), ((handler & 0xffff0000) | 0x8000 | (dpl << 13) | (type << 8)) >>> 0];
}
/** Word of lguest_data. */
export function dataWord(
  fixture: Fixture,
  field: "irqEnabled" | "blockedInterrupts" | "cr2" | "time" | "irqPending" | "reserveMem" | "tscKhz" | "kernelAddress",
): number {
  return fixture.read(LGUEST_DATA + fixture.module.generation.data[field]);
}
export function setDataWord(
  fixture: Fixture,
  field: "irqEnabled" | "blockedInterrupts" | "irqPending",
  value: number,
): void {
  fixture.write(LGUEST_DATA + fixture.module.generation.data[field], value);
}
/** Gate or descriptor that the processor has. */
export function cpuGate(fixture: Fixture, vector: number, cpu = 0): [number, number] {
  return [fixture.state(State.guestIdt + vector * 8, cpu), fixture.state(State.guestIdt + vector * 8 + 4, cpu)];
}
export function cpuDescriptor(fixture: Fixture, index: number, cpu = 0): [number, number] {
  return [fixture.state(State.guestGdt + index * 8, cpu), fixture.state(State.guestGdt + index * 8 + 4, cpu)];
}
