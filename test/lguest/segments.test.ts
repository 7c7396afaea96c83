// Rows SEG of the hypervisor's checklist: the guest's GDT.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { pagesPhysical } from "../../src/lguest/host/core";
import { Changed } from "../../src/lguest/host/guest";
import {
  copyGdt,
  copyGdtTls,
  fixupGdtTable,
  guestLoadTls,
  ignoredGdt,
  loadGuestGdtEntry,
  setupDefaultGdtEntries,
  setupGuestGdt,
} from "../../src/lguest/host/segments";
import { cpuDescriptor, makeGuest, makeRunningGuest } from "./host-fixture";

const ENTRIES = Array.from({ length: 32 }, (_, i) => i);

describe("segments", () => {
  it("SEG-01 entries 10, 11, 16 and 31 are the host's", () => {
    assert.deepEqual(ENTRIES.filter(ignoredGdt), [10, 11, 16, 31]);
  });
  it("SEG-02 fix-up raises DPL 0 to 1, leaves 2 and 3, sets the accessed bit, and skips the host's entries", () => {
    const { cpu } = makeGuest();
    const high = (dpl: number) => 0x00cf9200 | (dpl << 13);
    [20, 21, 22, 23].forEach((index, dpl) => {
      cpu.gdt[2 * index + 1] = high(dpl);
    });
    cpu.gdt[2 * 16 + 1] = high(0);
    fixupGdtTable(cpu, 0, 32);
    assert.deepEqual(
      [20, 21, 22, 23].map((index) => cpu.gdt[2 * index + 1]),
      [1, 1, 2, 3].map((dpl) => high(dpl) | 0x100),
    );
    assert.equal(cpu.gdt[2 * 16 + 1], high(0));
    assert.equal(cpu.gdt[1], 0x2100, "the null entry too (QUIRK-20)");
  });
  it("SEG-03 every CPU's table begins with the host's two segments and the TSS, and nothing else", () => {
    const fixture = makeGuest();
    const { state } = pagesPhysical(fixture.module, 0);
    fixture.kernel.writeDescriptor(state + 0x888 + 20 * 8, 1, 2);
    setupDefaultGdtEntries(fixture.kernel, state, 0xffc02020);
    assert.deepEqual(cpuDescriptor(fixture, 10), [0xffff, 0x00cf9b00]);
    assert.deepEqual(cpuDescriptor(fixture, 11), [0xffff, 0x00cf9300]);
    assert.deepEqual(cpuDescriptor(fixture, 16), [0x20200067, 0xff0089c0]);
    assert.ok(
      ENTRIES.filter((i) => ![10, 11, 16].includes(i)).every((i) =>
        cpuDescriptor(fixture, i).every((word) => word === 0),
      ),
    );
  });
  it("SEG-04 a guest boots with entries 12 and 13, flat and DPL 1", () => {
    const { cpu } = makeGuest();
    cpu.gdt[2 * 20] = 5;
    setupGuestGdt(cpu);
    assert.deepEqual([cpu.gdt[24], cpu.gdt[25], cpu.gdt[26], cpu.gdt[27]], [0xffff, 0x00cfbb00, 0xffff, 0x00cfb300]);
    assert.equal(cpu.gdt[40], 0);
  });
  it("SEG-05 the short copy takes entries 6 to 8 only", () => {
    const fixture = makeGuest();
    ENTRIES.forEach((i) => {
      fixture.cpu.gdt[2 * i] = i + 1;
    });
    copyGdtTls(fixture.cpu, pagesPhysical(fixture.module, 0).state);
    assert.deepEqual(
      [5, 6, 7, 8, 9].map((i) => cpuDescriptor(fixture, i)[0]),
      [0, 7, 8, 9, 0],
    );
  });
  it("SEG-06 the full copy takes all but the host's", () => {
    const fixture = makeGuest();
    ENTRIES.forEach((i) => {
      fixture.cpu.gdt[2 * i] = i + 1;
    });
    copyGdt(fixture.cpu, pagesPhysical(fixture.module, 0).state);
    assert.deepEqual(
      ENTRIES.filter((i) => cpuDescriptor(fixture, i)[0] === i + 1),
      ENTRIES.filter((i) => !ignoredGdt(i)),
    );
    assert.equal(cpuDescriptor(fixture, 31)[0], 0);
  });
  it("SEG-07 LOAD_GDT_ENTRY checks the index, stores, fixes up and marks; the host's entries are kept aside", () => {
    const { cpu, guest } = makeRunningGuest();
    cpu.changed = 0;
    loadGuestGdtEntry(cpu, 27, 0x1234ffff, 0x00cf9200);
    assert.deepEqual([cpu.gdt[54], cpu.gdt[55], cpu.changed], [0x1234ffff, 0x00cfb300, Changed.GDT]);
    loadGuestGdtEntry(cpu, 16, 0x11, 0xc1008923);
    assert.deepEqual([cpu.gdt[32], cpu.gdt[33]], [0x11, 0xc1008923]);
    assert.equal(guest.dead, null);
    for (const [index, text] of [
      [32, "32"],
      [0xfffffff0, "-16"],
    ] as const) {
      const bad = makeRunningGuest();
      loadGuestGdtEntry(bad.cpu, index, 0, 0);
      assert.equal(bad.deathText(), `too many gdt entries ${text}`);
    }
  });
  it("SEG-08 LOAD_TLS reads 24 bytes, fixes them up and marks TLS; a bad address kills", () => {
    const fixture = makeRunningGuest();
    const { cpu } = fixture;
    cpu.changed = 0;
    fixture.write(0x9000, 1, 0x00cf9200, 2, 0x00cff200, 3, 0x00cff300, 4, 4);
    guestLoadTls(cpu, 0x9000);
    assert.deepEqual([...cpu.gdt.slice(12, 20)], [1, 0x00cfb300, 2, 0x00cff300, 3, 0x00cff300, 0, 0]);
    assert.equal(cpu.changed, Changed.GDT_TLS);
    guestLoadTls(cpu, 0x7fffffff);
    assert.equal(fixture.deathText(), "bad read address 0x7fffffff len 24");
  });
});
