// The board: events at exact counts, ports, interrupts, the gate, sleep, stopping.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { EventQueue, HOST_GATE_PORT, Journal, Machine, PortBus } from "../../src/machine";
import { Asm, Assembler, Cr0, StateLayout as L, Seg } from "../../src/x86";

const { eax, ecx, edx, dx } = Asm;
const CODE = 0x1000;

/** A machine in flat protected mode without paging, at ring 0, with this code. */
function makeMachine(build: (a: Assembler) => void, engine: "direct" | "interpreter" = "direct"): Machine {
  const machine = new Machine({ ramSize: 0x10000, engine });
  const { cpu } = machine;
  const a = new Assembler(CODE);
  build(a);
  cpu.u8.set(a.finish().bytes, L.RAM_BASE + CODE);
  cpu.setWord(L.CR0, Cr0.PE | Cr0.ET | Cr0.NE);
  for (const seg of [Seg.ES, Seg.SS, Seg.DS]) cpu.setSegment(seg, 0x10, 0, 0xffffffff, 0xc09300, true);
  cpu.setSegment(Seg.CS, 0x08, 0, 0xffffffff, 0xc09b00, true);
  cpu.updateMode();
  cpu.setReg(4, 0x8000);
  cpu.eip = CODE;
  return machine;
}
const spin = (a: Assembler): void => void a.label("spin").inc(eax).jmp("spin");

describe("event queue", () => {
  it("fires in order of time, and of scheduling where times are equal", () => {
    const queue = new EventQueue();
    const fired: string[] = [];
    const add = (at: number, name: string) => queue.schedule(at, name, () => fired.push(name));
    add(20, "c");
    add(10, "a");
    const cancelled = add(15, "x");
    add(20, "d");
    add(10, "b");
    queue.cancel(cancelled);
    assert.equal(queue.nextAt, 10);
    queue.fireDue(9);
    assert.deepEqual(fired, []);
    queue.fireDue(20);
    assert.deepEqual(fired, ["a", "b", "c", "d"]);
    assert.equal(queue.nextAt, Number.POSITIVE_INFINITY);
  });
  it("lets an event schedule the next one, due at once or later", () => {
    const queue = new EventQueue();
    let count = 0;
    const again = (): void => {
      if (++count < 3) queue.schedule(5, "again", again);
    };
    queue.schedule(5, "again", again);
    queue.fireDue(5);
    assert.equal(count, 3);
  });
});

describe("port bus", () => {
  it("finds the device of a port, and reports a port without one once", () => {
    const bus = new PortBus();
    const missing: [number, boolean][] = [];
    bus.onUnclaimed = (port, isWrite) => missing.push([port, isWrite]);
    const written: number[] = [];
    const device = {
      name: "test",
      readPort: () => 7,
      writePort: (_port: number, _size: number, value: number) => void written.push(value),
    };
    bus.attach(0x10, 2, device);
    assert.throws(() => bus.attach(0x11, 1, device), /port 11 of test already belongs to test/);
    bus.write(0x11, 1, 5);
    assert.deepEqual([bus.read(0x10, 1), written], [7, [5]]);
    assert.deepEqual([bus.read(0x20, 1), bus.read(0x20, 2), bus.read(0x20, 4)], [0xff, 0xffff, 0xffffffff]);
    bus.write(0x21, 1, 0);
    assert.deepEqual(missing, [
      [0x20, false],
      [0x21, true],
    ]);
  });
});

describe("journal", () => {
  it("notes live input and hands it out again at the same counts", () => {
    const live = new Journal();
    live.record(5, "console", Uint8Array.of(1, 2, 255));
    live.record(9, "console", Uint8Array.of());
    const replay = new Journal(Journal.parse(live.toText()));
    assert.equal(replay.nextAt, 5);
    assert.equal(replay.due(4), undefined);
    assert.deepEqual(replay.due(5), { at: 5, channel: "console", data: Uint8Array.of(1, 2, 255) });
    assert.equal(replay.due(5), undefined);
    assert.deepEqual(replay.due(100)?.at, 9);
    assert.equal(replay.toText(), live.toText());
  });
  it("says which line is not an entry", () => {
    assert.throws(
      () => Journal.parse('{"at":1,"channel":"a","data":""}\n{"at":"x"}\n'),
      /line 2 is not a journal entry/,
    );
  });
});

for (const engine of ["direct", "interpreter"] as const)
  describe(`machine, ${engine} engine`, () => {
    it("runs to exactly the count that it is given", () => {
      const machine = makeMachine(spin, engine);
      assert.deepEqual(machine.run(777), { kind: "limit" });
      assert.equal(machine.now, 777);
      assert.deepEqual(machine.run(700), { kind: "limit" });
      assert.equal(machine.now, 777);
    });
    it("fires events at exactly their counts", () => {
      const machine = makeMachine(spin, engine);
      const seen: number[] = [];
      for (const at of [500, 3, 500, 77]) machine.events.schedule(at, "test", () => seen.push(machine.now));
      machine.run(1000);
      assert.deepEqual(seen, [3, 77, 500, 500]);
    });
    it("comes back when ring 0 writes to the gate, after the instruction, with the value", () => {
      const machine = makeMachine((a) => {
        a.mov(edx, HOST_GATE_PORT).mov(eax, 42).out(dx, eax).mov(ecx, 5);
        spin(a);
      }, engine);
      assert.deepEqual(machine.run(1000), { kind: "host-gate", value: 42 });
      assert.equal(machine.now, 3);
      assert.equal(machine.cpu.reg(1), 0);
      machine.run(4);
      assert.equal(machine.cpu.reg(1), 5);
    });
    it("stops when somebody asks, once, and forgets it when told to", () => {
      const machine = makeMachine(spin, engine);
      machine.events.schedule(50, "test", () => machine.stop("enough"));
      assert.deepEqual(machine.run(1000), { kind: "stopped", reason: "enough" });
      assert.equal(machine.now, 50);
      machine.stop("again");
      machine.cancelStop();
      assert.deepEqual(machine.run(1000), { kind: "limit" });
    });
    it("sleeps without instructions, through the events that are due", () => {
      const machine = makeMachine(spin, engine);
      let fired = 0;
      machine.events.schedule(100, "test", () => fired++);
      machine.sleepUntil(99);
      assert.equal(fired, 0);
      machine.sleepUntil(100);
      assert.deepEqual([fired, machine.now, machine.slept], [1, 100, 100]);
      machine.sleepUntil(10);
      assert.equal(machine.now, 100);
      machine.run(150);
      assert.deepEqual([machine.now, machine.slept], [150, 100]);
    });
    it("is idle when the processor halts for good", () => {
      const machine = makeMachine((a) => void a.hlt().nop(), engine);
      assert.deepEqual(machine.run(1000), { kind: "idle" });
    });
    it("takes the lowest vector of the controller first, and withdraws what is lowered", () => {
      const machine = makeMachine(spin, engine);
      for (const vector of [50, 48, 49]) machine.interrupts.raise(vector);
      machine.interrupts.lower(49);
      assert.deepEqual(machine.interrupts.pending, [48, 50]);
      assert.equal(machine.cpu.acknowledgeInterrupt(), 48);
      assert.equal(machine.cpu.acknowledgeInterrupt(), 50);
      assert.equal(machine.cpu.interruptLine, false);
    });
    it("has a hash that sees every register, every byte of RAM and the clock", () => {
      const machine = makeMachine(spin, engine);
      const hashes = [machine.stateHash()];
      machine.cpu.setReg(7, 1);
      hashes.push(machine.stateHash());
      machine.cpu.writePhysical(0xfff0, 1, 1);
      hashes.push(machine.stateHash());
      machine.sleepUntil(1);
      hashes.push(machine.stateHash());
      assert.equal(new Set(hashes).size, 4);
    });
  });
