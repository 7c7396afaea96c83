// PUSH, POP and frames: what the manual says about the stack pointer itself. Everything plain is in the recorded vectors.
import { describe } from "mocha";
import { instructionTest, STACK_TOP, u32, useStack16 } from "../../support/instruction-test";

describe("stack instructions", () => {
  instructionTest("PUSH ESP stores the value ESP had before", {
    code: "54",
    before: { esp: 0x2000 },
    after: { esp: 0x1ffc, memory: { 8188: u32(0x2000) } },
  });
  instructionTest("POP ESP keeps what was popped", {
    code: "5c",
    before: { esp: 0x2000, memory: { 8192: u32(0x1234) } },
    after: { esp: 0x1234 },
  });
  instructionTest("POP [ESP] computes its address with ESP incremented", {
    code: "8f 04 24",
    before: { esp: 0x2000, memory: { 8192: u32(0x55667788) } },
    after: { esp: 0x2004, memory: { 8196: u32(0x55667788) } },
  });
  instructionTest("PUSH on a 16-bit stack wraps SP and keeps the upper half of ESP", {
    code: "50",
    before: { eax: 0x11223344, esp: 0xabcd0000 },
    prepare: useStack16,
    after: { esp: 0xabcdfffc, memory: { 65532: u32(0x11223344) } },
  });
  instructionTest("ENTER copies frame pointers that it has just pushed itself", {
    code: "c8 04 00 02",
    before: { ebp: STACK_TOP, esp: STACK_TOP },
    after: {
      ebp: STACK_TOP - 4,
      esp: STACK_TOP - 16,
      memory: {
        [STACK_TOP - 4]: u32(STACK_TOP),
        [STACK_TOP - 8]: u32(STACK_TOP),
        [STACK_TOP - 12]: u32(STACK_TOP - 4),
      },
    },
  });
  instructionTest("LEAVE takes ESP from EBP", {
    code: "c9",
    before: { ebp: 0x2000, memory: { 8192: u32(0x3000) } },
    after: { esp: 0x2004, ebp: 0x3000 },
  });
});
