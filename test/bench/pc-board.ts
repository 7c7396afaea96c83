/**
 * The smallest PC that the benchmark image needs: a Multiboot-like entry (32-bit flat protected mode, paging off), a serial port that is always
 * ready, the E9 debug port. No hypervisor.
 */
import { openElf } from "../../src/elf";
import { Machine } from "../../src/machine";
import { type EngineName, Seg, StateLayout } from "../../src/x86";

const RAM_BYTES = 64 << 20;

/** A machine with the image loaded, about to execute its entry point. `onLine` gets each line that the image prints. */
export function bootImage(image: Uint8Array, engine: EngineName, onLine: (line: string) => void): Machine {
  const machine = new Machine({ ramSize: RAM_BYTES, engine });
  const { cpu } = machine;
  const elf = openElf(image);
  for (const segment of elf.loadSegments)
    cpu.u8.set(elf.segmentBytes(segment), StateLayout.RAM_BASE + segment.physicalAddress);
  cpu.setWord(StateLayout.CR0, 0x11);
  for (const seg of [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) cpu.setSegment(seg, 0x10, 0, 0xffffffff, 0xc09300, true);
  cpu.setSegment(Seg.CS, 8, 0, 0xffffffff, 0xc09b00, true);
  cpu.cpl = 0;
  cpu.updateMode();
  cpu.eflags = 2;
  cpu.eip = elf.entry;
  let line = "";
  machine.ports.attach(0xe9, 1, { name: "debug port", readPort: () => 0xe9, writePort: () => {} });
  machine.ports.attach(0xf4, 1, { name: "exit port", readPort: () => 0, writePort: () => machine.stop("exit port") });
  machine.ports.attach(0x3f8, 8, {
    name: "serial port",
    readPort: (port) => (port === 0x3fd ? 0x20 : 0),
    writePort: (port, _size, value) => {
      if (port !== 0x3f8) return;
      const char = String.fromCharCode(value & 0xff);
      if (char !== "\n") {
        line += char;
        return;
      }
      onLine(line);
      if (line === "DONE") machine.stop("done");
      line = "";
    },
  });
  return machine;
}
