// Whole machines: small guests from reset to power-off, on both engines; round trips of the specification, section by section.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { GuestEvent, GuestObserver } from "../../src/lguest";
import { Asm, type Assembler } from "../../src/x86";
import {
  begin,
  bootGuest,
  ENGINES,
  finish,
  hypercall,
  loadGate,
  powerOff,
  reasonOf,
  runGuest,
  store,
} from "./guest-code";

const { eax, ebx, ecx, edx, esi, esp, al, dx, ptr } = Asm;

/** Collects what an observer is told. */
function recorder(
  stopAt: (event: GuestEvent) => boolean = () => false,
): GuestObserver & { readonly events: GuestEvent[] } {
  const events: GuestEvent[] = [];
  return {
    events,
    before: (event) => {
      events.push(event);
      return stopAt(event) ? "stop" : undefined;
    },
  };
}
/** Reads EFLAGS and so on into memory. */
function words(a: Assembler, ...labels: string[]): void {
  a.align(4);
  for (const label of labels) a.label(label).dword(0);
}

for (const engine of ENGINES)
  describe(`virtual machine, ${engine} engine`, () => {
    it("boots a guest as the specification says: registers, boot_params, and the first page faults are invisible", () => {
      const { exit, word, vm } = runGuest(
        (a) => {
          a.label("start").mov(ptr("esp0"), esp).mov(ptr("esi0"), esi);
          a.mov(eax, ptr(0x23c)).mov(ptr("subarch"), eax);
          a.mov(eax, ptr(0x2d8)).mov(ptr("memory"), eax);
          a.mov(eax, ptr(0x1000)).mov(ptr("command"), eax);
          a.mov(esp, "stack_top");
          hypercall(a, 1, "data");
          powerOff(a);
          words(a, "esp0", "esi0", "subarch", "memory", "command");
          finish(a);
        },
        { engine, commandLine: "quiet" },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.deepEqual(["esp0", "esi0", "subarch", "memory"].map(word), [0, 0, 1, 0x200000]);
      assert.equal(word("command"), 0x65697571);
      assert.ok((vm.statistics().traps[14] ?? 0) > 3);
    });
    it("runs a 3.x guest: no tables at first, lguest_data 4 bytes shorter", () => {
      const { exit, word } = runGuest(
        (a) => {
          begin(a);
          a.mov(eax, ptr("data", 0)).mov(edx, 0x1234).in(al, dx);
          store(a, "in");
          a.cli();
          powerOff(a);
          words(a, "in");
          finish(a, { abi: "3.x" });
        },
        { engine, abi: "3.x" },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(word("in"), 0xff);
    });
    it("patches VMCALL at its first use", () => {
      const { exit, word, vm } = runGuest(
        (a) => {
          a.label("start").mov(esp, "stack_top").mov(ecx, 2);
          a.mov(eax, 1).mov(ebx, "data").vmcall();
          a.label("again").push(ecx);
          a.mov(eax, 0).label("site").vmcall().pop(ecx).dec(ecx).jcc("nz", "again");
          powerOff(a);
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(word("site") & 0xffffff, 0x901fcd);
      assert.equal(vm.statistics().traps[6], 2, "once for each site");
    });
    it("reflects a fault with CR2 and error code, and the handler returns", () => {
      const { exit, word } = runGuest(
        (a) => {
          begin(a);
          loadGate(a, 14, "fault", 0xe);
          a.mov(eax, ptr(0x40000000));
          powerOff(a);
          a.label("fault").mov(eax, ptr("data", 0)).mov(eax, ptr(Asm.ebx)).jmp("handled");
          a.label("handled").pop(eax);
          store(a, "code");
          a.mov(eax, ptr(new Asm.LabelReference("data", 8)));
          store(a, "cr2");
          // Over the instruction: five bytes.
          a.mov(eax, ptr(esp)).add(eax, 5).mov(ptr(esp), eax).iret();
          words(a, "code", "cr2");
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.deepEqual([word("code"), word("cr2")], [0, 0x40000000]);
    });
    it("wakes HALT by the timer, without spending instructions on the wait", () => {
      const { exit, word, vm } = runGuest(
        (a) => {
          begin(a);
          loadGate(a, 32, "tick", 0xe);
          a.mov(eax, 0).mov(ptr(new Asm.LabelReference("data", 4)), eax);
          hypercall(a, 9, 50_000_000);
          hypercall(a, 10);
          powerOff(a);
          a.label("tick").mov(eax, ptr("data"));
          store(a, "enabled");
          a.mov(eax, ptr(new Asm.LabelReference("data", 0x10)));
          store(a, "nanoseconds");
          a.iret();
          words(a, "enabled", "nanoseconds");
          finish(a);
        },
        { engine, limit: 20_000_000, wallClockSeconds: 1000 },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(word("enabled"), 0, "the gate turned them off");
      assert.ok(word("nanoseconds") >= 50_000_000 && word("nanoseconds") < 51_000_000, `${word("nanoseconds")}`);
      assert.ok(vm.instructionCount > 5_000_000);
      assert.ok(vm.statistics().instructions < 10_000);
      assert.deepEqual(vm.statistics().interrupts, { 0: 1 });
    });
    it("interrupts a guest that spins, though it never makes a hypercall", () => {
      const { exit } = runGuest(
        (a) => {
          begin(a);
          loadGate(a, 32, "tick", 0xe);
          a.mov(eax, 0x200).mov(ptr("data"), eax);
          hypercall(a, 9, 100_000);
          a.label("spin").jmp("spin");
          a.label("tick");
          powerOff(a);
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
    });
    it("tells of an interrupt that waits, and SEND_INTERRUPTS lets it in", () => {
      const { exit, word, vm } = runGuest(
        (a) => {
          begin(a);
          loadGate(a, 32, "tick", 0xe);
          hypercall(a, 9, 1000);
          a.mov(ecx, 200).label("spin").dec(ecx).jcc("nz", "spin");
          a.mov(eax, ptr(new Asm.LabelReference("data", 0x14)));
          store(a, "pending");
          a.mov(eax, 0x200).mov(ptr("data"), eax);
          hypercall(a, 19);
          a.label("never").jmp("never");
          a.label("tick");
          powerOff(a);
          words(a, "pending");
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(word("pending"), 0x200);
      assert.equal(vm.statistics().interrupts[0], 1);
    });
    it("raises #NM while the guest wants TS, and the host's FPU state comes to no harm", () => {
      const { exit, vm } = runGuest(
        (a) => {
          begin(a);
          loadGate(a, 7, "nm", 0xe);
          hypercall(a, 8, 8);
          a.bytes(0x9b);
          powerOff(a);
          a.label("nm");
          hypercall(a, 8, 0);
          a.iret();
          finish(a);
        },
        { engine },
      );
      // FWAIT looks at TS because the host runs with CR0.MP.
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(vm.statistics().traps[7], 2, "one for the guest, one that the host settles silently");
    });
    it("prints early console lines, restarts, and keeps its clock over a restart", () => {
      const { vm, output } = bootGuest(
        (a) => {
          begin(a);
          hypercall(a, 17, "hello");
          hypercall(a, 2, "bye", 2);
          a.label("hello").text("hello ");
          finish(a);
        },
        { engine },
      );
      assert.deepEqual(vm.run(100_000), { kind: "restart", text: "bye" });
      const first = vm.instructionCount;
      assert.deepEqual(vm.run(100_000), { kind: "restart", text: "bye" });
      assert.equal(output(), "hello hello ");
      assert.ok(vm.instructionCount > first);
      assert.equal(vm.statistics().hypercalls.LGUEST_INIT.sync, 2);
    });
    it("gives CPUID, RDTSC and SMSW to the guest as they are, and STR tells the host's TSS", () => {
      const { exit, word } = runGuest(
        (a) => {
          begin(a);
          a.rdtsc();
          store(a, "tsc");
          a.bytes(0x0f, 0x00, 0xc8);
          store(a, "tr");
          a.xor(eax, eax).bytes(0x0f, 0x01, 0xe0);
          store(a, "msw");
          powerOff(a);
          words(a, "tsc", "tr", "msw");
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.ok(word("tsc") > 100 && word("tsc") < 10_000);
      assert.equal(word("tr") & 0xffff, 0x80);
      assert.equal(word("msw") & 1, 1);
    });
    it("moves to another CPU's pages at each tick, and nothing is lost", () => {
      const { exit, word, vm } = runGuest(
        (a) => {
          begin(a);
          loadGate(a, 32, "tick", 0xe);
          loadGate(a, 3, "breakpoint", 0xf, 3);
          a.mov(eax, 0x200).mov(ptr("data"), eax);
          hypercall(a, 9, 1000);
          a.label("spin").bytes(0xcc).mov(eax, ptr("ticks")).cmp(eax, 5).jcc("nz", "spin");
          powerOff(a);
          a.label("breakpoint").iret();
          a.label("tick").mov(eax, ptr("ticks")).inc(eax).mov(ptr("ticks"), eax);
          hypercall(a, 9, 1000);
          a.mov(eax, 0x200).mov(ptr("data"), eax).iret();
          words(a, "ticks");
          finish(a);
        },
        { engine, cpus: 3 },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(word("ticks"), 5);
      assert.equal(vm.state().cpuCount, 3);
      assert.equal(vm.statistics().traps[3], undefined, "the direct gate is on every CPU");
    });
  });

describe("virtual machine: observer", () => {
  const guest = (a: Assembler): void => {
    begin(a);
    loadGate(a, 3, "breakpoint", 0xf, 3);
    loadGate(a, 4, "overflow", 0xe, 3);
    a.bytes(0xcc);
    a.int(4);
    hypercall(a, 99);
    a.label("breakpoint").iret();
    a.label("overflow").iret();
    finish(a);
  };
  it("is told of exits, direct traps and the death, in order and with costs", () => {
    const { vm } = bootGuest(guest);
    const seen = recorder();
    vm.observer = seen;
    assert.deepEqual(vm.run(100_000), { kind: "killed", reason: "Bad hypercall 99\n", isLauncher: false });
    const last = seen.events.slice(-4);
    assert.deepEqual(
      last.map(({ kind, vector, outcome, cost }) => [kind, vector, outcome, cost]),
      [
        ["direct", 3, "direct", 0],
        ["trap", 4, "reflected", 67],
        ["trap", 31, "killed", null],
        ["kill", 31, "killed", null],
      ],
    );
    assert.ok(
      seen.events
        .filter(({ kind, vector }) => kind === "trap" && vector === 31)
        .slice(0, -1)
        .every(({ outcome, cost }) => outcome === "hypercall" && cost !== null && cost > 50),
    );
    const init = seen.events.find(({ hypercall: call }) => call?.name === "LGUEST_INIT");
    assert.equal(init?.hypercall?.args.length, 1);
  });
  it("stops before an event, and the run goes on as if nothing had been", () => {
    const plain = bootGuest(guest).vm;
    const end = plain.run(100_000);
    const { vm } = bootGuest(guest);
    const seen = recorder(() => true);
    vm.observer = seen;
    let stops = 0;
    let exit = vm.run(100_000);
    for (; exit.kind === "event"; exit = vm.run(100_000)) {
      assert.equal(vm.currentEvent, exit.event);
      stops++;
    }
    assert.equal(stops, seen.events.length);
    assert.deepEqual(exit, end);
    assert.equal(vm.instructionCount, plain.instructionCount);
    assert.equal(vm.stateHash(), plain.stateHash());
  });
  it("stops before a kill with the guest's state alive", () => {
    const { vm, symbols } = bootGuest((a) => {
      begin(a);
      a.mov(esi, 0x1234).label("here").bytes(0x0f, 0x0b);
      finish(a);
    });
    vm.observer = recorder(({ kind }) => kind === "kill");
    const exit = vm.run(100_000);
    assert.equal(exit.kind, "event");
    assert.equal(vm.guestRegisters().eip, symbols.get("here"));
    assert.equal(vm.guestRegisters().esi, 0x1234);
    assert.equal(vm.world, "host");
    assert.equal(vm.ended, null);
    const end = vm.run(100_000);
    assert.equal(end.kind, "killed");
    assert.deepEqual(vm.ended, end);
  });
  it("stops before the launcher gives up on a guest too", () => {
    const { vm } = bootGuest((a) => {
      begin(a);
      a.mov(esi, 0x1234);
      hypercall(a, 17, 0x7000_0000);
      finish(a);
    });
    const seen = recorder(({ kind }) => kind === "kill");
    vm.observer = seen;
    const exit = vm.run(100_000);
    assert.equal(exit.kind, "event");
    assert.equal(vm.guestRegisters().esi, 0x1234);
    assert.equal(vm.ended, null);
    const end = vm.run(100_000);
    assert.deepEqual(end, { kind: "killed", reason: "Bad NOTIFY 0x70000000", isLauncher: true });
    assert.deepEqual(vm.run(100_000), end);
    assert.equal(seen.events.filter(({ kind }) => kind === "kill").length, 1);
  });
  it("steps through every instruction of the Switcher, and stops at breakpoints in both worlds", () => {
    const { vm, symbols } = bootGuest((a) => {
      begin(a);
      a.label("here");
      powerOff(a);
      finish(a);
    });
    assert.equal(vm.world, "host");
    assert.equal(vm.stepMachine().kind, "limit");
    assert.equal(vm.world, "switcher");
    const worlds = new Set<string>();
    while (vm.instructionCount < 200) {
      vm.stepMachine();
      worlds.add(vm.world);
    }
    assert.deepEqual([...worlds].sort(), ["guest", "host", "switcher"]);
    const stub = vm.symbols.find(({ name }) => name === "stub_31")?.address as number;
    vm.machine.engine.setBreakpoints(new Set([symbols.get("here") as number, stub]));
    assert.equal(vm.run(100_000).kind, "breakpoint");
    assert.equal(vm.guestRegisters().eip, symbols.get("here"));
    vm.setGuestRegister("esi", 77);
    assert.equal(vm.guestRegisters().esi, 77);
    assert.equal(vm.run(100_000, { ignoreBreakpoint: true }).kind, "breakpoint");
    assert.deepEqual([vm.machine.cpu.eip, vm.world], [stub, "switcher"]);
    vm.machine.engine.setBreakpoints(new Set());
    assert.equal(vm.run(100_000).kind, "powered-off");
  });
});

describe("virtual machine: views", () => {
  it("shows tables on both sides with the reason for each difference", () => {
    const { vm } = runGuest((a) => {
      begin(a);
      loadGate(a, 3, "start", 0xf, 3);
      loadGate(a, 4, "start", 0xe, 3);
      hypercall(a, 18, 20, 0xffff, 0x00cf9200);
      hypercall(a, 18, 16, 0x67, 0xc1008923);
      hypercall(a, 18, 21, 0xffff, 0x00cfb300);
      hypercall(a, 0);
      powerOff(a);
      finish(a);
    });
    const gdt = vm.gdt();
    assert.equal(gdt.base, 0xffc02888);
    assert.deepEqual(
      [gdt.entries[20].state, gdt.entries[16].state, gdt.entries[21].state, gdt.entries[12].state],
      ["fixed", "hostOnly", "same", "same"],
    );
    assert.match(gdt.entries[20].why ?? "", /DPL raised from 0 to 1/);
    const idt = vm.idt();
    assert.equal(idt.base, 0xffc02088);
    assert.deepEqual(
      [3, 4, 14, 31, 2, 8, 33, 100, 0x80, 0].map((vector) => idt.entries[vector].delivery),
      ["direct", "reflected", "kills", "hypercall", "swallowed", "kills", "interrupt", "refused", "refused", "kills"],
    );
    assert.ok(idt.entries.every(({ why }) => why.length > 10));
    const state = vm.state();
    assert.equal(state.isInitialised, true);
    assert.deepEqual(
      state.devices.map(({ name }) => name),
      ["console"],
    );
    assert.deepEqual(
      state.interrupts.map(({ name }) => name),
      ["timer", "console", "console"],
    );
    assert.equal(state.ring.slots.length, 64);
    assert.equal(state.lastExit?.vector, 31);
  });
  it("walks both tables and reads memory by every kind of address", () => {
    const { vm, exit } = runGuest((a) => {
      begin(a);
      powerOff(a);
      finish(a);
    });
    assert.equal(exit.kind, "powered-off");
    const walk = vm.guestWalk(0xc0100000);
    assert.equal(walk.physical, 0x100000);
    assert.deepEqual(
      walk.steps.map(({ level, index }) => [level, index]),
      [
        ["directory", 768],
        ["table", 256],
      ],
    );
    assert.equal(vm.shadowWalk(0x100000).physical, vm.hostPhysical(0x100000));
    assert.equal(vm.shadowWalk(0x50000000).physical, null);
    const bytes = vm.readGuestPhysical(0x100000, 8);
    assert.deepEqual(vm.readLinear(0xc0100000, 8), bytes);
    assert.deepEqual(vm.readHostPhysical(vm.hostPhysical(0x100000) as number, 8), bytes);
    assert.equal(vm.readLinear(0x70000000, 4).length, 0);
    assert.deepEqual([...vm.readLinear(vm.switcherAddress, 2)], [0x06, 0x1e], "push es, push ds");
    assert.equal(vm.writeLinear(0xc0100000, Uint8Array.of(1, 2)), 2);
    assert.deepEqual([...vm.readGuestPhysical(0x100000, 2)], [1, 2]);
  });
});
