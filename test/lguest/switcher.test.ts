// Rows SW of the hypervisor's checklist: the ring-0 code that goes between the worlds, read in its listing and run on the processor.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { hasErrorCode, NO_TRAP, PAGE_SIZE, Regs, SWITCHER_ADDRESS } from "../../src/lguest/switcher/layout";
import { assembleSwitcher } from "../../src/lguest/switcher/switcher";
import { Asm, type Assembler } from "../../src/x86";
import { begin, bootGuest, ENGINES, finish, hypercall, loadGate, powerOff, reasonOf, runGuest } from "./guest-code";

const { eax, ecx, esi, edi, ebp, ds, fs, gs, ptr } = Asm;
const switcher = assembleSwitcher(SWITCHER_ADDRESS);

/** Instructions from a label on, without remarks. */
function instructions(label: string, count: number): string[] {
  const { listing } = switcher.code;
  const lines = listing.slice(listing.findIndex(({ text }) => text === `${label}:`) + 1);
  return lines
    .filter(({ bytes, text }) => bytes.length > 0 && !text.startsWith("align"))
    .map(({ text }) => text)
    .slice(0, count);
}
const RETURN_PATH = [
  ...["es", "ds", "fs", "gs", "ebp", "edi", "esi", "edx", "ecx", "ebx", "eax"].map((name) => `push ${name}`),
  "mov eax, 0x58",
  "mov ds, eax",
  "mov eax, esp",
  "and eax, 0xfffff000",
  "mov ebx, [eax+0xfe4]",
  "mov edx, [eax+0x1000]",
  "mov cr3, edx",
  "and byte [eax+0x190d], 0xfd",
  "lgdt [eax+0x100a]",
  "lidt [eax+0x1004]",
  "mov esp, [eax+0x1010]",
  "mov edx, 0x80",
  "ltr edx",
  ...["ebp", "fs", "gs", "ds", "es"].map((name) => `pop ${name}`),
];

describe("Switcher: its text", () => {
  it("SW-01 switch_to_guest takes its twelve steps in order, with a good stack all the way", () => {
    assert.deepEqual(instructions("switch_to_guest", 27), [
      ...["es", "ds", "gs", "fs", "ebp"].map((name) => `push ${name}`),
      "mov [eax+0x1010], esp",
      "mov edx, eax",
      "add edx, 0xfb8",
      "mov esp, edx",
      "lgdt [eax+0x101a]",
      "lidt [eax+0x1014]",
      "mov edx, 0x80",
      "ltr edx",
      "mov edx, [eax+0x100c]",
      "and byte [edx+0x85], 0xfd",
      "mov cr3, ebx",
      ...["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "gs", "fs", "ds", "es"].map((name) => `pop ${name}`),
    ]);
    assert.deepEqual(instructions("switch_to_guest", 29).slice(27), ["add esp, 8", "iretd"]);
  });
  it("SW-02 the common return path takes its ten steps in order and finds its page by rounding ESP", () => {
    for (const label of ["return_to_host", "deliver_to_host"])
      assert.deepEqual(instructions(label, RETURN_PATH.length), RETURN_PATH);
  });
  it("SW-03 return_to_host ends with IRET into the caller", () => {
    assert.deepEqual(instructions("return_to_host", RETURN_PATH.length + 1).at(-1), "iretd");
  });
  it("SW-04 deliver_to_host jumps to the handler in the host's IDT", () => {
    assert.deepEqual(instructions("deliver_to_host", RETURN_PATH.length + 7).slice(RETURN_PATH.length), [
      "mov edx, [eax+0x1006]",
      "lea eax, [edx+ebx*8]",
      "movzx edx, word [eax]",
      "mov eax, [eax+4]",
      "and eax, 0xffff0000",
      "or eax, edx",
      "jmp eax",
    ]);
  });
  it("SW-05 a stub pushes 0 where the processor pushes no error code, its number, and jumps to its target", () => {
    for (let vector = 0; vector < 256; vector++) {
      const target = vector === 2 ? "handle_nmi" : vector < 32 || vector === 128 ? "return_to_host" : "deliver_to_host";
      const lines = instructions(`stub_${vector}`, 3);
      const number = vector < 10 ? `${vector}` : `0x${vector.toString(16)}`;
      const expected = [...(hasErrorCode(vector) ? [] : ["push 0"]), `push ${number}`, `jmp ${target}`];
      assert.deepEqual(lines.slice(0, expected.length), expected);
    }
    assert.deepEqual(
      Array.from({ length: 256 }, (_, vector) => vector).filter(hasErrorCode),
      [8, 10, 11, 12, 13, 14, 17],
    );
  });
  it("SW-06 default_idt_entries has the 256 stubs in vector order, and all code fits into one page", () => {
    assert.equal(switcher.defaultIdtEntries.length, 256);
    switcher.defaultIdtEntries.forEach((address, vector) => {
      assert.equal(address, switcher.code.symbols.get(`stub_${vector}`));
      assert.equal(address % 4, 0);
    });
    assert.ok(switcher.code.bytes.length <= PAGE_SIZE, `${switcher.code.bytes.length} bytes`);
  });
  it("SW-07 handle_nmi drops two words and goes back to the guest", () => {
    assert.deepEqual(instructions("handle_nmi", 2), ["add esp, 8", "iretd"]);
  });
});

for (const engine of ENGINES)
  describe(`Switcher: running, ${engine} engine`, () => {
    it("SW-01 every register of the guest arrives as the host set it, and SW-02 comes back as the guest left it", () => {
      const { vm, exit } = runGuest(
        (a) => {
          begin(a);
          a.mov(esi, 0x55667788).mov(edi, 0x99aabbcc).mov(ebp, 0xddeeff00);
          powerOff(a);
          finish(a);
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      const registers = vm.guestRegisters();
      assert.deepEqual(
        [registers.eax, registers.ecx, registers.edx, registers.esi, registers.edi, registers.ebp],
        [2, 1, 0, 0x55667788, 0x99aabbcc, 0xddeeff00],
      );
      assert.deepEqual([registers.cs, registers.ss, registers.ds, registers.es], [0x61, 0x69, 0x69, 0x69]);
    });
    it("SW-03 a trap comes back behind the far call with the host's stack, segments and tables", () => {
      const { vm } = runGuest(
        (a) => {
          begin(a);
          powerOff(a);
          finish(a);
        },
        { engine },
      );
      const { cpu } = vm.machine;
      assert.equal(cpu.cpl, 0);
      assert.equal(cpu.cr3, vm.module.kernel.pageDirectory);
      assert.deepEqual(
        [0, 1, 3].map((segment) => cpu.selector(segment)),
        [0x68, 0x60, 0x68],
      );
      assert.equal(vm.guest.cpu.reg(Regs.trapnum), 31);
    });
    it("SW-04 a hardware interrupt enters the host's handler and the guest goes on", () => {
      const { vm, exit } = runGuest(
        (a) => {
          begin(a);
          hypercall(a, 9, 1000);
          a.mov(ecx, 1000).label("spin").dec(ecx).jcc("nz", "spin");
          powerOff(a);
          finish(a, { blocked: 1 });
        },
        { engine },
      );
      assert.equal(reasonOf(exit), "CRASH: bye");
      assert.equal(vm.statistics().traps[48], 1, "the guest's timer makes it leave");
    });
    it("SW-05 the error code of the processor arrives, and 0 where there is none", () => {
      const codes = (code: (a: Assembler) => void) => {
        const { vm } = runGuest(
          (a) => {
            begin(a);
            code(a);
            finish(a);
          },
          { engine },
        );
        return [vm.state().lastExit?.vector, vm.state().lastExit?.errorCode];
      };
      assert.deepEqual(
        codes((a) => a.int(0x21)),
        [13, 0x10a],
      );
      assert.deepEqual(
        codes((a) => a.bytes(0x0f, 0x0b)),
        [6, 0],
      );
      assert.deepEqual(
        codes((a) => a.mov(eax, 0xa0).mov(fs, eax)),
        [13, 0xa0],
      );
    });
    it("SW-06 a gate of the processor's IDT leads to the stub of its vector", () => {
      const { vm } = bootGuest((a) => {
        begin(a);
        finish(a);
      });
      const stub = vm.symbols.find(({ name }) => name === "stub_200");
      const { cpu } = vm.idt().entries[200];
      assert.equal(((cpu.low & 0xffff) | (cpu.high & 0xffff0000)) >>> 0, stub?.address);
    });
    it("SW-07 an NMI is lost and the guest never knows", () => {
      const { vm } = bootGuest(
        (a) => {
          a.label("start").mov(ecx, 50).label("spin").dec(ecx).jcc("nz", "spin").jmp("start");
          finish(a);
        },
        { engine },
      );
      vm.run(1000);
      assert.equal(vm.world, "guest");
      const before = vm.guestRegisters();
      const { cpu } = vm.machine;
      // As the processor delivers an NMI: the frame on the stack of the TSS, and the gate's stub.
      const top = 0xffc02000;
      const frame = [before.eip, before.cs, before.eflags, before.esp, before.ss];
      frame.forEach((word, i) => {
        cpu.writeLinear(top - 20 + 4 * i, 4, word, false);
      });
      const stub = vm.symbols.find(({ name }) => name === "stub_2")?.address as number;
      cpu.setSegment(1, 0x50, 0, 0xffffffff, 0xc09b00, true);
      cpu.setSegment(2, 0x58, 0, 0xffffffff, 0xc09300, true);
      cpu.cpl = 0;
      cpu.setReg(4, top - 20);
      cpu.eip = stub;
      cpu.updateMode();
      const start = vm.instructionCount;
      vm.run(start + 5);
      assert.equal(vm.world, "guest");
      assert.deepEqual(vm.guestRegisters(), before);
      assert.equal(vm.statistics().traps[2], undefined);
    });
    it("SW-08 a segment that faults while the guest is entered is trap 256 and kills", () => {
      const { exit } = runGuest(
        (a) => {
          begin(a);
          // GS holds TLS 1 while that entry becomes a system descriptor.
          hypercall(a, 18, 6, 0xffff, 0x00cff300);
          a.mov(eax, 0x33).mov(gs, eax);
          hypercall(a, 18, 6, 0xffff, 0x00cfe200);
          a.label("never").jmp("never");
          finish(a);
        },
        { engine },
      );
      assert.match(reasonOf(exit), /^unhandled trap 256 at 0x[0-9a-f]+ \(0(x[0-9a-f]+)?\)$/);
      assert.equal(NO_TRAP, 256);
    });
    it("SW-08 a bad CS at the final IRET costs one bogus round and then kills with trap 256", () => {
      const { vm, exit } = runGuest(
        (a) => {
          begin(a);
          // The code segment becomes data: IRET to it faults.
          hypercall(a, 18, 12, 0xffff, 0x00cfb300);
          finish(a);
        },
        { engine },
      );
      assert.match(reasonOf(exit), /^unhandled trap 256 /);
      assert.equal(vm.statistics().traps[80], 1, "the overwritten trap number");
    });
    it("SW-02 ring 3 leaves through the same door, and a system call through a trap gate does not leave at all", () => {
      const { vm, exit, word } = runGuest(
        (a) => {
          begin(a);
          hypercall(a, 18, 14, 0xffff, 0x00cffb00);
          hypercall(a, 18, 15, 0xffff, 0x00cff300);
          loadGate(a, 0x80, "syscall", 0xf, 3);
          hypercall(a, 7, 0x69, "stack_top", 1);
          a.push(0x7b).push("user_stack").push(0x202).push(0x73).push("user").iret();
          a.label("user").mov(eax, 0x1234).int(0x80).int(0x80);
          a.mov(eax, 1).int(0x1f);
          a.label("syscall");
          // DS was of ring 1 and is null now.
          a.mov(ecx, eax).mov(eax, 0x69).mov(ds, eax).mov(ptr("seen"), ecx);
          a.mov(ecx, ptr("count")).inc(ecx).mov(ptr("count"), ecx);
          a.mov(eax, ptr("seen")).iret();
          a.align(4).label("seen").dword(0).label("count").dword(0);
          a.zero(256).label("user_stack").dword(0);
          finish(a);
        },
        { engine },
      );
      assert.equal(word("seen"), 0x1234);
      assert.equal(word("count"), 2);
      assert.match(reasonOf(exit), /^unhandled trap 13 at 0x[0-9a-f]+ \(0xfa\)$/, "a hypercall from ring 3");
      assert.equal(vm.statistics().traps[128], undefined);
      assert.equal(vm.guestRegisters().cs, 0x73);
    });
  });
