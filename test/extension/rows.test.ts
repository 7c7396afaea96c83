// The side bar's views as text: what each row says at a stop in a small guest.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { gdtRows } from "../../src/extension/views/gdt-rows";
import { hypervisorRows } from "../../src/extension/views/hypervisor-rows";
import { idtRows } from "../../src/extension/views/idt-rows";
import { regionRows, tablesTitle, walkRow } from "../../src/extension/views/page-tables-rows";
import { registersRows, registerValues } from "../../src/extension/views/registers-rows";
import { contextWords, type Row, rowsText } from "../../src/extension/views/row";
import { fakeHypervisor, fakePageTables, fakeRegisters, fakeWalk } from "./fake-machine";
import { fakeGdt, fakeIdt } from "./fake-tables";

const text = (rows: Row[]): string => rowsText(rows).replaceAll("\u202f", " ");

const find = (rows: Row[], id: string): Row => {
  const all = (list: Row[]): Row[] => list.flatMap((row) => [row, ...all(row.children ?? [])]);
  const row = all(rows).find((candidate) => candidate.id === id);
  assert.ok(row !== undefined, `a row ${id}`);
  return row;
};

describe("the Registers view", () => {
  it("says where the processor is, and what each register means", () => {
    assert.equal(
      text(registersRows(fakeRegisters(), { decimal: true })),
      `guest kernel · ring 1  | instruction 48 211 903
General
  EAX  0000002A  | 42
  ESP  C0234FF0
  EIP  C0100123  | kernel_main+0x13  main.c:57
EFLAGS  00000246  | IF ZF
  IOPL  0  | ring 0 may do I/O  bits 12–13
  IF  1  | interrupts are on  bit 9
  ZF  1  | the result was zero  bit 6
  CF  0  | no carry  bit 0
Segments
  CS  0061  | code32 r-x ring 1 flat
  GS  00D8  | data32 rw- ring 1 base 00001000 limit 0000FFFF  GDT entry differs
Guest Believes
  irq_enabled  00000000  | interrupts are off for the guest while the real IF is on
Control
  CR3  00345000  | shadow slot 1
SSE
  XMM0  00000000000000000000000000000001`,
    );
  });

  it("marks what changed since the last stop, and keeps the old value in the tooltip", () => {
    const previous = registerValues(fakeRegisters());
    const rows = registersRows(fakeRegisters({ EAX: 43 }), { previous });
    const eax = find(rows, "register.EAX");
    assert.deepEqual(eax.changed, [5, 13]);
    assert.match(eax.tooltip ?? "", /It was `0000002A`/);
    assert.match(eax.spoken ?? "", /changed, was 0000002A/);
    assert.equal(find(rows, "register.ESP").changed, undefined);
  });

  it("offers to edit what can be edited, and to go where a register points", () => {
    const rows = registersRows(fakeRegisters());
    assert.deepEqual(contextWords(find(rows, "register.EAX").data), ["address", "value", "editable", "json"]);
    assert.ok(!contextWords(find(rows, "register.CR3").data).includes("editable"));
    assert.deepEqual(contextWords(find(rows, "register.EIP").data).slice(0, 3), ["address", "code", "source"]);
    assert.equal(find(rows, "register.EFLAGS.IF").data?.field, "IF");
  });
});

describe("the GDT view", () => {
  it("has a row for each entry, and one for a run of empty ones", () => {
    const lines = text(gdtRows(fakeGdt()).map((row) => ({ ...row, children: [] }))).split("\n");
    assert.deepEqual(lines, [
      "0  0000 – 9  0048  | empty",
      "10  0050  LGUEST_CS  | code32 r-x ring 0 flat  host's own",
      "11  0058  LGUEST_DS  | data32 rw- ring 0 flat  host's own",
      "12  0060  kernel code  | code32 r-x ring 1 flat  same on the CPU  in CS",
      "13  0068  kernel data  | data32 rw- ring 1 flat  same on the CPU  in DS ES SS",
      "14  0070  user code  | code32 r-x ring 3 flat  changed by the host",
      "15  0078  | empty",
      "16  0080  TSS  | TSS ring 0 base 00002000 limit 00000067  host's own  guest's value kept aside",
      "17  0088 – 19  0098  | empty",
      "20  00A0  | data32 rw- ring 0 base 00001000 limit 0000FFFF  ring 0 → ring 1",
      "21  00A8 – 31  00F8  | empty",
    ]);
  });

  it("opens to both sides and the reason", () => {
    assert.equal(
      text(find(gdtRows(fakeGdt()), "gdt.20").children ?? []),
      `Guest  1000FFFF 00409200  | data32 rw- ring 0 base 00001000 limit 0000FFFF
CPU  1000FFFF 0040B300  | data32 rw- ring 1 base 00001000 limit 0000FFFF
Why  | DPL raised from 0 to 1: a guest has no ring 0. The accessed bit is set as well.`,
    );
  });

  it("narrows to differences, and says how much is hidden", () => {
    const rows = gdtRows(fakeGdt(), { onlyDifferences: true });
    assert.deepEqual(
      rows.map(({ id }) => id),
      ["gdt.10", "gdt.11", "gdt.14", "gdt.16", "gdt.20", "hidden"],
    );
    assert.equal(rows.at(-1)?.label, "27 more hidden by the filter");
  });
});

describe("the IDT view", () => {
  const rows = idtRows(fakeIdt());
  const line = (id: string): string => text([{ ...find(rows, id), children: [] }]);

  it("says for each vector who handles it and what will happen", () => {
    assert.equal(line("idt.14"), "0E  #PF  | host first  655 times  C01004E0 page_fault  interrupt gate DPL 0");
    assert.equal(line("idt.128"), "80  system call  | direct  1 024 times  C0100C00 trap_128  trap gate DPL 3");
    assert.equal(line("idt.8"), "08  #DF  | guest dies  (none)");
  });

  it("folds neighbours that say the same", async () => {
    assert.equal(line("idt.34-"), "22 – 7F  | swallowed  (none)");
    assert.equal((await find(rows, "idt.34-").load?.())?.length, 94);
    assert.equal(line("idt.18-"), "12 – 1E  | guest dies  (none)");
  });

  it("offers to break on a vector, or to stop that", () => {
    assert.ok(contextWords(find(rows, "idt.14").data).includes("vectorOff"));
    assert.ok(contextWords(find(rows, "idt.13").data).includes("vectorOn"));
  });

  it("explains a vector in its tooltip, bit by bit on both sides", () => {
    const { tooltip } = find(rows, "idt.3");
    assert.match(tooltip ?? "", /selector \| `0061` \| `0050` ◂/);
  });
});

describe("the Page Tables view", () => {
  const load = async () => fakePageTables({ directory: { first: 768, last: 768 } }).ranges;

  it("covers the address space in a few rows", () => {
    const tables = fakePageTables({});
    assert.equal(tablesTitle(tables), "Guest 01276000 · slot 1 of 4 · shadow 00345000");
    assert.equal(
      text(regionRows(tables, load)),
      `00000000–BFFFFFFF  | not mapped
C0000000–C03FFFFF → 00000000  | kernel rw A  1 024 pages, 312 in the shadow  4 differ
C0400000–FFBFFFFF  | not mapped
FFC00000–FFFFFFFF  | Switcher (2 pages; the guest's own entry is ignored)`,
    );
  });

  it("opens a region to ranges that say what the shadow holds", async () => {
    const region = regionRows(fakePageTables({}), load)[1]!;
    assert.equal(
      text((await region.load?.()) ?? []),
      `C0000000–C0103FFF → 00000000  | kernel r- A  shadow: the same
C0104000–C0107FFF → 00104000  | kernel rw A  shadow: read-only until first written (dirty tracking)
C0108000–C03FFFFF → 00108000  | kernel rw  shadow: not filled, first touch will trap`,
    );
  });

  it("narrows to differences, at the top and inside", async () => {
    const rows = regionRows(fakePageTables({}), load, { onlyDifferences: true });
    assert.equal(rows[0]?.id, "region.C0000000");
    assert.equal((await rows[0]?.load?.())?.length, 2);
  });

  it("a walk has each step, and what an access would do", () => {
    const row = walkRow(fakeWalk());
    assert.equal(row.label, "Walk of C0104ABC → 00104ABC");
    assert.equal(
      text(row.children ?? []),
      `Guest's tables  | directory[768] = 01277067 → table[260] = 00104063 → 00104ABC guest-physical
  directory[768] = 01277067  | → 01277000  kernel rw A  at 01276C00
  table[260] = 00104063  | → 00104000  kernel rw A  at 01277410
Shadow tables  | directory[768] = 00346067 → table[260] = 00904021 → 00904ABC host-physical
  directory[768] = 00346067  | → 00346000  kernel rw A  at 00345C00
  table[260] = 00904021  | → 00904000  kernel r- A  at 00346410
ring 1 read  | allowed
ring 1 write  | would trap once, then allowed  #PF error 3  the host sets the dirty bit
ring 1 execute  | allowed
ring 3 read  | page fault for the guest  #PF error 5  the page is the kernel's
ring 3 write  | page fault for the guest  #PF error 7  the page is the kernel's
ring 3 execute  | page fault for the guest  #PF error 5  the page is the kernel's`,
    );
  });
});

describe("the Hypervisor view", () => {
  it("says what waits, why, and what the host is about to do", () => {
    const rows = hypervisorRows(fakeHypervisor(), 48_211_903);
    const lines = text(rows).split("\n");
    assert.equal(lines[0], "Last Exit  #PF  | A write to a page that the shadow had read-only.");
    assert.equal(
      lines[1],
      "Interrupts  | timer pending  guest has them off  the guest has interrupts off (irq_enabled is 0)",
    );
    assert.ok(lines.includes("Timer  | due in 1.5 ms  88 097 instructions"));
    assert.ok(lines.includes("  3  SET_PTE  | 01276000 C0104000 00104063"));
    assert.ok(lines.includes("Copied Before the Next Entry  | GDT  CPU 0 of 1"));
    assert.ok(lines.includes("  Slot 1  in use  | guest 01276000  shadow 00345000"));
    assert.ok(lines.includes("    Queue 0  | IRQ 1  256 descriptors at 04001000  available 4, used 0"));
  });

  it("begins with the end when the guest is dead", () => {
    const rows = hypervisorRows({ ...fakeHypervisor(), dead: "Bad hypercall 13" }, 0);
    assert.equal(text(rows.slice(0, 1)), "The guest is dead  | Bad hypercall 13");
  });

  it("every row of every view can be spoken", () => {
    const all = (list: Row[]): Row[] => list.flatMap((row) => [row, ...all(row.children ?? [])]);
    const rows = all([
      ...registersRows(fakeRegisters()),
      ...gdtRows(fakeGdt()),
      ...idtRows(fakeIdt()),
      ...hypervisorRows(fakeHypervisor(), 0),
      walkRow(fakeWalk()),
    ]);
    assert.deepEqual(
      rows
        .filter(({ spoken, label, description }) => (spoken ?? `${label}${description}`).trim() === "")
        .map(({ id }) => id),
      [],
    );
    const ids = rows.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, "ids are unique");
  });
});
