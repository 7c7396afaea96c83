// One entry of the trap log in words, and how tables sort.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { TrapRow } from "../../src/dap";
import { GDT_COLUMNS, IDT_COLUMNS, sortRows } from "../../src/webview/tables/columns";
import { valueText } from "../../src/webview/trap-log/details";
import { cellText, eventText, sourceText, spokenRow, symbolText } from "../../src/webview/trap-log/row-text";
import { fakeGdt, fakeIdt } from "../extension/fake-tables";

const row = (more: Partial<TrapRow>): TrapRow => ({
  n: 120433,
  ordinal: 120433,
  instructionCount: 48_211_870,
  world: "guest",
  kind: "pageFault",
  vector: 14,
  name: "#PF",
  cpl: 1,
  at: { address: 0xc0100123, symbol: "kernel_main", offset: 0x13, path: "/k/main.c", line: 57 },
  outcome: "demand-paged",
  cost: 655,
  ...more,
});

const plain = (text: string): string => text.replaceAll("\u202f", " ");

describe("an entry of the trap log in words", () => {
  it("a page fault says what was tried, and where", () => {
    assert.equal(eventText(row({ error: 2, cr2: 0xc0104abc })), "#PF write C0104ABC");
    assert.equal(eventText(row({ error: 0x14, cr2: 0x1000 })), "#PF execute 00001000");
    assert.equal(eventText(row({ error: 4, cr2: 0 })), "#PF read 00000000");
  });

  it("a hypercall has its arguments, a system call its name", () => {
    const hypercall = { number: 14, name: "SET_PTE", args: [0x01276000, 0xc0104000], async: false };
    assert.equal(eventText(row({ name: "SET_PTE", vector: 31, hypercall })), "SET_PTE 01276000 C0104000");
    assert.equal(eventText(row({ name: "int 0x80", vector: 128, detail: "4: write" })), "int 0x80 (4: write)");
  });

  it("a place without a symbol is an address", () => {
    assert.equal(symbolText({ address: 0xc0100123 }), "C0100123");
    assert.equal(symbolText({ address: 0xc0100123, symbol: "start", offset: 0 }), "start");
    assert.equal(sourceText({ address: 0, path: "C:\\k\\main.c", line: 3 }), "main.c:3");
  });

  it("what is not known is empty", () => {
    assert.equal(cellText(row({ cost: null, outcome: null }), "cost"), "");
    assert.equal(cellText(row({ outcome: null }), "outcome"), "");
    assert.equal(plain(cellText(row({}), "instruction")), "48 211 870");
  });

  it("a screen reader hears the row in the order of its columns", () => {
    const spoken = spokenRow(row({ error: 2, cr2: 0xc0104abc }));
    assert.equal(
      spoken,
      "120433, guest, #PF write C0104ABC, at kernel_main+0x13, main.c:57, demand-paged, cost 655 instructions",
    );
  });

  it("arguments have their units", () => {
    assert.equal(plain(valueText(10_000_000, "nanoseconds")), "10 ms");
    assert.equal(valueText(2, "pages"), "2 pages");
    assert.equal(valueText(0x69, "selector"), "0069");
    assert.equal(valueText(0x1000, "guestPhysical"), "00001000 physical");
  });
});

describe("the tables of GDT and IDT", () => {
  const gdt = fakeGdt().entries;
  const text = (id: string, index: number): string => GDT_COLUMNS.find((column) => column.id === id)!.text(gdt[index]!);

  it("a descriptor is there as the guest wrote it and as the CPU has it", () => {
    assert.deepEqual([text("guest-dpl", 20), text("cpu-dpl", 20)], ["0", "1"]);
    assert.deepEqual([text("guest-type", 12), text("cpu-type", 12)], ["code32 r-x", "code32 r-x"]);
    assert.equal(text("guest-base", 10), "");
  });

  it("a cell that the host changed is marked, an equal one is not", () => {
    const differs = (id: string, index: number) =>
      GDT_COLUMNS.find((column) => column.id === id)!.differs!(gdt[index]!);
    assert.equal(differs("cpu-dpl", 20), true);
    assert.equal(differs("cpu-dpl", 12), false);
    assert.equal(differs("cpu-dpl", 10), false);
  });

  it("numbers sort as numbers, and empty cells come last in both directions", () => {
    const count = IDT_COLUMNS.find(({ id }) => id === "count")!;
    const name = IDT_COLUMNS.find(({ id }) => id === "name")!;
    const rows = fakeIdt().entries;
    assert.deepEqual(
      sortRows(rows, count, true)
        .slice(0, 3)
        .map(({ vector }) => vector),
      [31, 128, 14],
    );
    assert.equal(sortRows(rows, name, true).at(-1)?.name, undefined);
    assert.equal(sortRows(rows, name, false).at(-1)?.name, undefined);
    assert.equal(sortRows(rows, name, false)[0]?.name, "#AC");
  });
});
