// System instructions at ring 0: what no vector of a user program can show.
import assert from "node:assert/strict";
import { describe } from "mocha";
import { StateLayout } from "../../../src/x86";
import { instructionTest, u32 } from "../../support/instruction-test";

describe("system instructions", () => {
  instructionTest("LGDT takes limit and base", {
    code: "0f 01 10",
    before: { eax: 0x3000, memory: { 12288: [0xff, 0x07, ...u32(0x12345678)] } },
    after: {},
    check: (cpu) => {
      assert.equal(cpu.word(StateLayout.GDTR_BASE), 0x12345678);
      assert.equal(cpu.word(StateLayout.GDTR_LIMIT), 0x7ff);
    },
  });
  instructionTest("LGDT with a 16-bit operand takes 24 bits of base", {
    code: "66 0f 01 10",
    before: { eax: 0x3000, memory: { 12288: [0xff, 0x07, ...u32(0x12345678)] } },
    after: {},
    check: (cpu) => assert.equal(cpu.word(StateLayout.GDTR_BASE), 0x345678),
  });
  instructionTest("SGDT stores six bytes", {
    code: "0f 01 00",
    before: { eax: 0x3000 },
    prepare: (cpu) => {
      cpu.setWord(StateLayout.GDTR_BASE, 0xc0001000);
      cpu.setWord(StateLayout.GDTR_LIMIT, 0x3f);
    },
    after: { memory: { 12288: [0x3f, 0, ...u32(0xc0001000)] } },
  });
  instructionTest("SMSW writes all of CR0 to a 32-bit register", {
    code: "0f 01 e0",
    after: { eax: 0x11 },
  });
  instructionTest("MOV to CR2 takes any value, and ModRM.mod does not matter", {
    code: "0f 22 10",
    before: { eax: 0xdeadbeef },
    after: {},
    check: (cpu) => assert.equal(cpu.cr2, 0xdeadbeef),
  });
  instructionTest("IN reads the port with the operand's size", {
    code: "66 ed",
    before: { eax: 0xffffffff, edx: 0x3f8 },
    prepare: (cpu) => {
      cpu.ports = { read: (port, size) => port + size, write: () => {} };
    },
    after: { eax: 0xffff03fa },
  });
  instructionTest("CMPXCHG8B stores ECX:EBX when EDX:EAX is what memory holds", {
    code: "0f c7 0e",
    before: { eax: 1, edx: 2, ebx: 3, ecx: 4, esi: 0x3000, memory: { 12288: [...u32(1), ...u32(2)] } },
    after: { eflags: 0x42, memory: { 12288: [...u32(3), ...u32(4)] } },
  });
});
