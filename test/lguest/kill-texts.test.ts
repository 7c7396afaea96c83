// What guests die of, end to end: each text that a guest can provoke comes out of a run, character by character, and what real hosts were
// seen to survive is survived. Also guests that mean harm: none of them hangs the machine.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { VirtualMachineOptions } from "../../src/lguest";
import { killAdvice, killText } from "../../src/lguest/host/kill";
import { Asm, type Assembler } from "../../src/x86";
import { begin, finish, hypercall, loadGate, powerOff, reasonOf, runGuest } from "./guest-code";

const { eax, ebx, ecx, edx, esp, al, fs, ptr } = Asm;

/** The reason of a guest that runs this after LGUEST_INIT. */
function reason(
  code: (a: Assembler) => void,
  options: Partial<VirtualMachineOptions> = {},
  fields: Parameters<typeof finish>[1] = {},
): string {
  return reasonOf(
    runGuest((a) => {
      begin(a);
      code(a);
      powerOff(a);
      finish(a, fields);
    }, options).exit,
  );
}
const call =
  (
    number: number,
    arg1: Asm.Displacement | string = 0,
    arg2: Asm.Displacement | string = 0,
    arg3: Asm.Displacement | string = 0,
  ) =>
  (a: Assembler): void =>
    hypercall(a, number, arg1, arg2, arg3);
const ALIVE = "CRASH: bye";

describe("kill texts", () => {
  it("are 29, and format numbers as C does", () => {
    assert.equal(Object.keys(killText).length, 28, "and one for PAE");
    assert.equal(killText.badAddress(0), "Bad address 0x0");
    assert.equal(killText.badReadAddress(0xfffffffc, 128), "bad read address 0xfffffffc len 128");
    assert.equal(killText.badHypercall(0xffffffff), "Bad hypercall -1\n");
    assert.equal(killText.badGuestPage(null), "bad guest page (null)");
    assert.equal(killText.badGuestPage(0x1234), "bad guest page 00001234");
    assert.equal(killText.settingIdtEntry(0xffffffff), "Setting idt entry 4294967295");
  });
  for (const [text, code] of [
    ["already have lguest_data", call(1, "data")],
    ["bad read address 0x7ffff000 len 4", call(4, 0x7ffff000)],
    ["bad read address 0x7fffffc0 len 128", call(2, 0x7fffffc0, 1)],
    ["Bad hypercall -1\n", call(0xffffffff)],
    ["Bad hypercall 13\n", call(13)],
    ["Bad hypercall 20\n", call(20)],
    ["bad stack segment 104", call(7, 0x68, "stack_top", 1)],
    ["bad stack pages 3", call(7, 0x69, "stack_top", 3)],
    ["bad stack pages 4294967295", call(7, 0x69, "stack_top", 0xffffffff)],
    ["bad stack page 0x3fffffff", call(7, 0x69, 0x40000000, 1)],
    ["bad IDT type 5", call(6, 3, 0, 0x8500)],
    ["Setting idt entry 300", call(6, 300, 0, 0x8e00)],
    ["too many gdt entries -16", call(18, 0xfffffff0)],
    ["attempt to access switcher pages", call(14, 0, 0xffc00000, 0x63)],
    ["Bad NOTIFY 0x301000", call(17, 0x301000)],
    ["unhandled trap 0 at", (a: Assembler): void => void a.xor(edx, edx).xor(ecx, ecx).div(ecx)],
    ["unhandled trap 13 at", (a: Assembler): void => void a.hlt()],
    ["unhandled trap 13 at", (a: Assembler): void => void a.cli()],
    ["unhandled trap 13 at", (a: Assembler): void => void a.mov(Asm.cr3, eax)],
    ["unhandled trap 6 at", (a: Assembler): void => void a.bytes(0x0f, 0x01, 0xd9)],
    ["unhandled trap 14 at 0xdeadbee0 (0xdeadbee0)", (a: Assembler): void => void a.mov(eax, 0xdeadbee0).jmp(eax)],
  ] as const)
    it(`"${text.trim()}" comes out of a guest that asks for it`, () => {
      const got = reason(code);
      assert.ok(got === text || (text.endsWith(" at") && got.startsWith(`${text} 0x`)), got);
    });
  it("of memory: a PTE or directory that points outside, a jump to what is not mapped", () => {
    // The first table lies below the directory at the top of RAM.
    assert.equal(
      reason((a) => void a.mov(ptr(0x1fe000 + 0x150 * 4, 0, { size: 4 }), 0x7fff0007).mov(eax, ptr(0x150000))),
      "bad page table entry",
    );
    assert.equal(
      reason((a) => void a.mov(ptr(0x1ff000 + 8 * 4, 0, { size: 4 }), 0x1fe08f).mov(eax, ptr(0x2000000))),
      "bad page directory entry",
    );
    assert.equal(
      reason((a) => void a.mov(esp, 0x40000000).bytes(0x0f, 0x0b), {}, {}),
      "unhandled trap 6 at 0x100020 (0x0)",
    );
    assert.equal(
      reason((a) => {
        loadGate(a, 6, "start", 0xe);
        a.mov(esp, 0x40000000).bytes(0x0f, 0x0b);
      }),
      "Bad address 0x40000000",
    );
    assert.equal(
      reason((a) => void a.mov(eax, ptr(0x3ff000)), { hostMegabytes: 1 }),
      "unhandled trap 14 at 0x10001b (0x3ff000)",
    );
  });
  it("before LGUEST_INIT: other calls, bad data, any trap", () => {
    const early = (code: (a: Assembler) => void): string =>
      reasonOf(
        runGuest((a) => {
          a.mov(esp, "stack_top");
          code(a);
          finish(a);
        }).exit,
      );
    assert.equal(early(call(4)), "hypercall 4 before INIT");
    assert.equal(early(call(1, 0x7ffffff0)), "bad guest page (null)");
    assert.equal(early(call(1, 0x8000)), "bad syscall vector");
    assert.equal(
      early((a) => a.bytes(0xcc)),
      "unhandled trap 13 at 0x100005 (0x1a)",
    );
    assert.equal(
      early((a) => a.in(al, 0x60).int(0x1f)),
      "hypercall 255 before INIT".replace("255", "65535"),
    );
    assert.equal(
      reasonOf(
        runGuest((a) => {
          begin(a);
          finish(a, { kernelAddress: 0xffc00000 });
        }).exit,
      ),
      "bad kernel address 0xffc00000",
    );
  });
  it("single-stepping at ring 1 steps its own handler until the stack is gone", () => {
    const got = reason((a) => {
      loadGate(a, 1, "step", 0xe);
      a.mov(esp, 0x40).pushfd().or(ptr(esp), 0x100).popfd().nop();
      a.label("step").nop().iret();
    });
    assert.equal(got, "bad write address 0xfffffffc len 4");
  });
});

describe("what a guest survives", () => {
  for (const [what, code] of [
    ["SET_PGD with a huge index", call(15, 0x1ff000, 5000)],
    [
      "SET_PGD and SET_PTE for a directory that nobody has",
      (a: Assembler): void => {
        hypercall(a, 15, 0x9000, 3);
        hypercall(a, 14, 0x9000, 0x1000, 0x1063);
      },
    ],
    [
      "gates 2, 8, 15 and 31 of any type",
      (a: Assembler): void => {
        for (const vector of [2, 8, 15, 31]) hypercall(a, 6, vector, 0xf80000, 0x8500);
      },
    ],
    ["NOTIFY in the device area where nothing is", call(17, 0x2ff000)],
    ["SHUTDOWN's text right below the end", (a: Assembler): void => void a.nop()],
    ["VMCALL long after LGUEST_INIT", (a: Assembler): void => void a.mov(eax, 0).vmcall()],
    [
      "port output, and input of every width",
      (a: Assembler): void => void a.mov(edx, 0x1f0e).in(al, Asm.dx).in(eax, Asm.dx).out(Asm.dx, eax).out(0x80, al),
    ],
    [
      "POPF and PUSHF",
      (a: Assembler): void =>
        void a
          .push(0x3002)
          .popfd()
          .pushfd()
          .pop(eax)
          .mov(ptr("data"), eax)
          .mov(ptr("data", 0, { size: 4 }), 0),
    ],
  ] as const)
    it(what, () => {
      assert.equal(reason(code), ALIVE);
    });
  it("a hypercall leaves all its registers alone", () => {
    const { vm } = runGuest((a) => {
      begin(a);
      hypercall(a, 8, 0x11, 0x22, 0x33);
      a.cmp(eax, 8)
        .jcc("nz", "wrong")
        .cmp(ebx, 0x11)
        .jcc("nz", "wrong")
        .cmp(ecx, 0x22)
        .jcc("nz", "wrong")
        .cmp(edx, 0x33)
        .jcc("nz", "wrong");
      powerOff(a);
      a.label("wrong").bytes(0x0f, 0x0b);
      finish(a);
    });
    assert.equal(vm.ended?.kind, "powered-off");
  });
});

describe("guests that mean harm", () => {
  it("cannot write the Switcher, its tables or host memory, but may read them", () => {
    for (const address of [0xffc00000, 0xffc02000, 0xffc02020, 0xffc02088, 0xffc02888]) {
      const got = reason((a) => void a.mov(eax, ptr(address)).mov(ptr(address), eax));
      assert.match(
        got,
        new RegExp(
          `^attempt to access switcher pages|^unhandled trap 14 .*0x${address.toString(16)}|^bad read address`,
        ),
        got,
      );
    }
    assert.equal(
      reason((a) => void a.mov(eax, ptr(0xffc02000)).mov(eax, ptr(0xffc01000))),
      ALIVE,
    );
    // Its own registers page is writable, and gives it nothing.
    assert.equal(
      reason((a) => void a.mov(ptr(0xffc01000), eax)),
      ALIVE,
    );
  });
  it("get no ring 0 through call gates, task gates or TSS descriptors in the GDT", () => {
    for (const high of [0xec00, 0x8c00, 0xe400, 0xe500, 0x8900, 0xe900, 0x8b00]) {
      const got = reason((a) => {
        hypercall(a, 18, 20, 0x00500000, high);
        hypercall(a, 18, 21, 0x00a00067, high);
        a.bytes(0x9a, 0, 0, 0, 0, 0xa1, 0);
      });
      assert.match(got, /^unhandled trap (13|10|11|14|12|8) /, high.toString(16));
    }
  });
  it("cannot load the host's selectors or raise the host's vectors", () => {
    assert.match(
      reason((a) => void a.mov(eax, 0x58).mov(fs, eax)),
      /^unhandled trap 13 .*\(0x58\)/,
    );
    assert.match(
      reason((a) => void a.int(48)),
      /^unhandled trap 13 .*\(0x182\)/,
    );
    assert.match(
      reason((a) => void a.int(2)),
      /^unhandled trap 13 .*\(0x12\)/,
    );
    assert.match(
      reason((a) => void a.mov(eax, 0).bytes(0x0f, 0x34)),
      /^unhandled trap 13 .*\(0x0\)/,
      "SYSENTER",
    );
  });
  it("die of a stack that is not there when a direct trap needs it", () => {
    const got = reason((a) => {
      hypercall(a, 18, 14, 0xffff, 0x00cffb00);
      hypercall(a, 18, 15, 0xffff, 0x00cff300);
      loadGate(a, 0x80, "start", 0xf, 3);
      hypercall(a, 7, 0x69, 0x40000000, 0);
      a.push(0x7b).push("stack_top").push(0x202).push(0x73).push("user").iret();
      a.label("user").int(0x80);
    });
    // The push faults: two faults in a row, but only a page fault after a page fault would be a double fault.
    assert.match(got, /^unhandled trap 14 at 0x[0-9a-f]+ \(0x3ffffffc\)$/);
  });
  it("may call the host as often as they like, with the shortest timer, and the machine still stops at its limit", () => {
    const { exit } = runGuest(
      (a) => {
        begin(a);
        loadGate(a, 32, "tick", 0xe);
        a.mov(ptr("data", 0, { size: 4 }), 0x200);
        hypercall(a, 9, 1);
        a.label("spin").jmp("spin");
        a.label("tick");
        hypercall(a, 9, 1);
        a.mov(ptr("data", 0, { size: 4 }), 0x200).iret();
        finish(a);
      },
      { limit: 50_000 },
    );
    assert.equal(exit.kind, "limit");
  });
  it("cannot stop time with a handler that faults at its first instruction", () => {
    const { exit, vm } = runGuest(
      (a) => {
        begin(a);
        loadGate(a, 0, "again", 0xf);
        a.mov(esp, 0x1e0000).xor(edx, edx).xor(ecx, ecx);
        a.label("again").div(ecx);
        finish(a);
      },
      { limit: 3000 },
    );
    assert.equal(exit.kind, "limit");
    assert.equal(vm.instructionCount, 3000);
  });
  it("run out of the host's memory and die of it", () => {
    const got = reason(
      (a) => {
        // Every directory entry points to the first table, and each 4 MiB that is touched takes a page of the host.
        a.mov(ecx, 0x1ff000 + 2 * 4);
        a.label("fill")
          .mov(eax, 0x1fe007)
          .mov(ptr(ecx), eax)
          .add(ecx, 4)
          .cmp(ecx, 0x1ff000 + 1020 * 4)
          .jcc("nz", "fill");
        a.mov(ecx, 0x800000);
        a.label("touch").mov(eax, ptr(ecx)).add(ecx, 0x400000).cmp(ecx, 0xfec00000).jcc("nz", "touch");
      },
      { hostMegabytes: 1 },
    );
    assert.equal(got, "out of memory allocating pte page");
  });
});

describe("advice on a kill", () => {
  it("names the other generation for a syscall vector that is not where this one has it", () => {
    assert.match(killAdvice("bad syscall vector", "2.6.32") ?? "", /3\.x/);
    assert.match(killAdvice("bad syscall vector", "3.x") ?? "", /2\.6\.32/);
    assert.equal(killAdvice("bad page table entry", "2.6.32"), undefined);
  });
});
