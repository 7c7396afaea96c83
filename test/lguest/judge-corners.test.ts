// Guests that stand in corners of the interface, each on both engines with the same trap log, console, exit and state.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { GuestEvent, VirtualMachineOptions } from "../../src/lguest";
import { Asm, type Assembler } from "../../src/x86";
import { begin, bootGuest, ENGINES, finish, hypercall, loadGate, powerOff, reasonOf } from "./guest-code";

const { eax, ebx, ecx, esp, ptr } = Asm;

/** What can be told of a run from outside. */
function tell(
  build: (a: Assembler) => void,
  options: Partial<VirtualMachineOptions> = {},
): { reason: string; output: string; log: string[] } {
  const runs = ENGINES.map((engine) => {
    const { vm, output } = bootGuest(build, { ...options, engine });
    const events: GuestEvent[] = [];
    vm.observer = { wantsEntries: false, before: (event) => void events.push(event) };
    const exit = vm.run(300_000);
    const log = events.map(({ kind, vector, eip, instructionCount, outcome, detail, cost }) =>
      JSON.stringify([kind, vector, eip, instructionCount, outcome, detail, cost]),
    );
    return { reason: reasonOf(exit), output: output(), log, hash: vm.stateHash() };
  });
  assert.deepEqual(runs[1], runs[0], "engines differ");
  return runs[0];
}
/** A guest between begin() and finish(), with a text to print at "text". */
const guest =
  (body: (a: Assembler) => void, tail: (a: Assembler) => void = () => {}) =>
  (a: Assembler) => {
    begin(a);
    body(a);
    powerOff(a);
    a.label("text").text("hello ");
    tail(a);
    finish(a);
  };

describe("lguest: corners that guests stand in", () => {
  it("makes hypercalls from 16-bit code; VMCALL there is #UD, for the host does not ask for the base of CS", () => {
    const ends = tell(
      guest(
        (a) => {
          hypercall(a, 18, 20, 0x0000ffff, 0x00009a10);
          a.bytes(0xea).dword(0x8000).bytes(0xa1, 0);
        },
        (a) => {
          while (a.here < 0x108000) a.nop();
          // mov eax, 17 ; mov ebx, text ; int 0x1f ; vmcall, all in 16-bit code
          a.bytes(0x66, 0xb8, 17, 0, 0, 0, 0x66, 0xbb).dword(Asm.addressOf("text"));
          a.bytes(0xcd, 0x1f, 0x0f, 0x01, 0xc1);
        },
      ),
    );
    assert.equal(ends.output, "hello ");
    assert.match(ends.reason, /^unhandled trap 6 at 0x800e /);
  });

  it("kills with trap 256 when a segment register holds what the guest has taken out of its GDT", () => {
    const ends = tell(
      guest((a) => {
        hypercall(a, 18, 14, 0xffff, 0x00cff300);
        a.mov(eax, 0x73).bytes(0x8e, 0xe0); // mov fs, ax
        hypercall(a, 18, 14, 0, 0);
      }),
    );
    assert.match(ends.reason, /^unhandled trap 256 at /);
  });

  it("goes one round with trap 80 when the Switcher's IRET finds no code segment (QUIRK-2)", () => {
    const ends = tell(guest((a) => hypercall(a, 18, 12, 0, 0)));
    assert.match(ends.reason, /^unhandled trap 256 at 0x[0-9a-f]+ \(0x1[0-9a-f]{4}\)$/);
    assert.ok(
      ends.log.some((line) => JSON.parse(line)[1] === 80),
      "no trap 80",
    );
  });

  it("faults in the guest when it goes through a call gate that it has put into its GDT", () => {
    const ends = tell(
      guest((a) => {
        hypercall(a, 18, 20, 0x00500000, 0x0010ec00);
        a.bytes(0x9a).dword(0).bytes(0xa0, 0);
      }),
    );
    assert.match(ends.reason, /^unhandled trap 13 at 0x[0-9a-f]+ \(0xa0\)$/);
  });

  it("does not let a guest save its state into the TSS by a task of its own: the page is read-only", () => {
    const ends = tell(
      guest((a) => {
        hypercall(a, 18, 20, 0x80000067, 0x0000e900);
        a.bytes(0x9a).dword(0).bytes(0xa0, 0);
      }),
    );
    assert.match(ends.reason, /^unhandled trap 14 at 0x[0-9a-f]+ \(0xffc02040\)$/);
  });

  it("kills for the fault when a direct trap finds no stack", () => {
    const ends = tell(
      guest(
        (a) => {
          loadGate(a, 3, "handler", 0xf, 1);
          a.mov(esp, 0x70000000).bytes(0xcc);
        },
        (a) => a.label("handler").bytes(0xcf),
      ),
    );
    assert.match(ends.reason, /^unhandled trap 14 at 0x[0-9a-f]+ \(0x6ffffffc\)$/);
  });

  it("runs code that is written over before each time round", () => {
    const ends = tell(
      guest((a) => {
        a.mov(ecx, 200).mov(ebx, 0).label("again");
        a.mov(ptr(Asm.addressOf("patch", 1)), ecx)
          .label("patch")
          .mov(eax, 0)
          .add(ebx, eax);
        a.dec(ecx).jcc("nz", "again");
        a.cmp(ebx, 20100).jcc("z", "good");
        hypercall(a, 99);
        a.label("good");
      }),
    );
    assert.equal(ends.reason, "CRASH: bye");
  });
});
