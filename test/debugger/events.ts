// Makes guest events for tests of what listens to them.
import type { GuestEvent, GuestRegisters } from "../../src/lguest";

export const registers: GuestRegisters = {
  eax: 1,
  ebx: 2,
  ecx: 3,
  edx: 4,
  esi: 5,
  edi: 6,
  ebp: 0xc0200ff0,
  esp: 0xc0200fe0,
  eip: 0xc0100010,
  eflags: 0x202,
  cs: 0x61,
  ss: 0x69,
  ds: 0x69,
  es: 0x69,
  fs: 0,
  gs: 0,
};

export function trapEvent(given: Partial<GuestEvent> = {}): GuestEvent {
  return {
    kind: "trap",
    instructionCount: 1000,
    world: "guest",
    vector: 14,
    name: "#PF",
    cpl: 1,
    eip: 0xc0100010,
    registers,
    outcome: undefined,
    detail: "",
    cost: null,
    ...given,
  };
}
