// Asks a program's debug information everything there is to ask, for the tests that feed it nonsense: whatever the data,
// nothing may be thrown and nothing may take long.
import { type Dwarf, type FrameContext, openDwarf, stripped, structDefinition, type ValueNode } from "../../src/dwarf";
import type { ElfFile } from "../../src/elf";

/** Looks at a value, some of its children, and changes it. */
function look(node: ValueNode, depth = 0): number {
  let seen = node.text.length + node.typeName.length + node.expression.length;
  if (node.isWritable) seen += node.encode("1").ok ? 1 : 0;
  seen += node.number.ok ? 1 : 0;
  if (depth < 3) for (const child of node.children(0, 5)) seen += look(child, depth + 1);
  return seen;
}

function frameAt(elf: ElfFile, pc: number): FrameContext {
  return {
    pc,
    register: (n) => (n < 9 ? 0xbfff_0000 + n * 64 : undefined),
    readMemory: (address, length) =>
      address >= 0xbfff_0000 ? new Uint8Array(length).fill(address & 0xff) : elf.bytesAtAddress(address, length),
    caller: () => undefined,
  };
}

export function exerciseElf(elf: ElfFile): void {
  for (const section of elf.sectionsProblem === undefined ? elf.sections : []) elf.sectionAt(section.address);
  for (const name of ["main", "leaf", "", "nothing"]) elf.symbol(name);
  for (let address = 0x8048000; address < 0x8049000; address += 97) elf.symbolAt(address);
  for (const symbol of elf.symbols) if (symbol.name === "never") throw new Error("never");
}

export function exerciseDwarf(elf: ElfFile, names: readonly string[], addresses: readonly number[]): Dwarf {
  const dwarf = openDwarf(elf);
  dwarf.summary();
  for (const address of addresses) {
    const frame = frameAt(elf, address);
    dwarf.lineAt(address);
    dwarf.functionAt(address);
    dwarf.unwind(frame);
    for (const f of dwarf.framesAt(address)) {
      dwarf.prologueEnd(f.function);
      for (const variable of dwarf.variablesOf(f, address)) look(dwarf.valueOf(variable, frame));
    }
  }
  for (const file of dwarf.sourceFiles().slice(0, 10)) {
    for (let line = 1; line < 150; line += 7) dwarf.addressesOf(file, line);
    dwarf.breakpointLocations(file, 1, 200);
  }
  dwarf.filesMatching("shapes.c");
  while (!dwarf.names.step(100));
  const frame = frameAt(elf, addresses[0]);
  for (const variable of dwarf.globalsAt(addresses[0]).slice(0, 50)) look(dwarf.valueOf(variable, frame));
  for (const name of names) {
    dwarf.functionsNamed(name);
    dwarf.functionBreakpoints(name);
    dwarf.enumeratorsNamed(name);
    for (const variable of dwarf.globalsNamed(name)) look(dwarf.valueOf(variable, frame));
    for (const type of dwarf.typesNamed(name)) {
      const t = stripped(type);
      if (t.kind === "struct") structDefinition(t);
      look(dwarf.valueAt("x", type, addresses[0], frame));
    }
  }
  dwarf.names.complete("type", "", 100);
  return dwarf;
}
