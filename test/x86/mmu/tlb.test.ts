/**
 * Translations are kept across CR3 loads (mmu/tlb.ts). What must hold all the same: after a CR3 load or INVLPG, the page tables in memory decide.
 */
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { Access, GuestFault, StateLayout as L, Pte } from "../../../src/x86";
import { invalidatePage, writeControl } from "../../../src/x86/helpers";
import { PAGE_DIRECTORY, PAGE_TABLE, SystemBuilder } from "../../support/system-builder";

const PRESENT = Pte.P | Pte.RW | Pte.US;
/** Free pages of the test system, for more tables. */
const SPARE = 0xa0000;

function paged() {
  return new SystemBuilder().enablePaging();
}
const physicalOf = (s: SystemBuilder, linear: number, access = Access.READ) =>
  s.cpu.translateOrFault(linear, access, false);
const loadCr3 = (s: SystemBuilder, value: number) => writeControl.run(s.cpu, 3, value);
/** A second directory with its own table that maps 0x40000 to `page`, and everything else as the first does. */
function secondDirectory(s: SystemBuilder, at: number, page: number): number {
  for (let i = 0; i < 256; i++) s.cpu.writePhysical(at + 0x1000 + i * 4, 4, (i << 12) | PRESENT);
  s.cpu.writePhysical(at + 0x1000 + 0x40 * 4, 4, page | PRESENT);
  s.cpu.writePhysical(at, 4, (at + 0x1000) | PRESENT);
  return at;
}

describe("x86/mmu/tlb", () => {
  it("sees a changed entry after reloading the same CR3", () => {
    const s = paged();
    assert.equal(physicalOf(s, 0x40123), 0x40123);
    s.cpu.writePhysical(PAGE_TABLE + 0x40 * 4, 4, 0x50000 | PRESENT);
    loadCr3(s, PAGE_DIRECTORY);
    assert.equal(physicalOf(s, 0x40123), 0x50123);
  });

  it("keeps directories apart and finds each again as it was", () => {
    const s = paged();
    const other = secondDirectory(s, SPARE, 0x55000);
    assert.equal(physicalOf(s, 0x40000), 0x40000);
    loadCr3(s, other);
    assert.equal(physicalOf(s, 0x40000), 0x55000);
    loadCr3(s, PAGE_DIRECTORY);
    assert.equal(physicalOf(s, 0x40000), 0x40000);
    loadCr3(s, other);
    assert.equal(physicalOf(s, 0x40000), 0x55000);
  });

  it("sees entries that were changed while another directory was in use", () => {
    const s = paged();
    const other = secondDirectory(s, SPARE, 0x55000);
    loadCr3(s, other);
    physicalOf(s, 0x40000);
    loadCr3(s, PAGE_DIRECTORY);
    s.cpu.writePhysical(other + 0x1000 + 0x40 * 4, 4, 0x66000 | PRESENT);
    loadCr3(s, other);
    assert.equal(physicalOf(s, 0x40000), 0x66000);
  });

  it("sees a directory entry that was pointed elsewhere", () => {
    const s = paged();
    const other = secondDirectory(s, SPARE, 0x55000);
    physicalOf(s, 0x40000);
    s.cpu.writePhysical(PAGE_DIRECTORY, 4, (other + 0x1000) | PRESENT);
    loadCr3(s, PAGE_DIRECTORY);
    assert.equal(physicalOf(s, 0x40000), 0x55000);
    // The new table is watched too.
    s.cpu.writePhysical(other + 0x1000 + 0x40 * 4, 4, 0x77000 | PRESENT);
    loadCr3(s, PAGE_DIRECTORY);
    assert.equal(physicalOf(s, 0x40000), 0x77000);
  });

  it("sees a change through either of two directories that share a table", () => {
    const s = paged();
    const other = SPARE;
    s.cpu.writePhysical(other, 4, PAGE_TABLE | PRESENT);
    s.cpu.writePhysical(other + 4, 4, PAGE_TABLE | PRESENT);
    physicalOf(s, 0x40000);
    loadCr3(s, other);
    physicalOf(s, 0x40000);
    assert.equal(physicalOf(s, 0x440000), 0x40000);
    s.cpu.writePhysical(PAGE_TABLE + 0x40 * 4, 4, 0x50000 | PRESENT);
    loadCr3(s, other);
    assert.deepEqual([physicalOf(s, 0x40000), physicalOf(s, 0x440000)], [0x50000, 0x50000]);
    loadCr3(s, PAGE_DIRECTORY);
    assert.equal(physicalOf(s, 0x40000), 0x50000);
  });

  it("survives more directories than it keeps", () => {
    const s = paged();
    const all = Array.from({ length: L.TLB_CONTEXTS + 3 }, (_, i) =>
      secondDirectory(s, SPARE + i * 0x2000, 0x50000 + i * 0x1000),
    );
    for (let round = 0; round < 3; round++)
      for (const [i, directory] of all.entries()) {
        loadCr3(s, directory);
        assert.equal(physicalOf(s, 0x40000), 0x50000 + i * 0x1000);
      }
  });

  it("takes away a right at once, and sets A and D again when software cleared them", () => {
    const s = paged();
    const entry = PAGE_TABLE + 0x40 * 4;
    physicalOf(s, 0x40000, Access.WRITE);
    assert.equal(s.cpu.readPhysical(entry, 4) & (Pte.A | Pte.D), Pte.A | Pte.D);
    s.cpu.writePhysical(entry, 4, 0x40000 | PRESENT);
    loadCr3(s, PAGE_DIRECTORY);
    physicalOf(s, 0x40000);
    assert.equal(s.cpu.readPhysical(entry, 4) & (Pte.A | Pte.D), Pte.A);
    physicalOf(s, 0x40000, Access.WRITE);
    assert.equal(s.cpu.readPhysical(entry, 4) & (Pte.A | Pte.D), Pte.A | Pte.D);
    s.cpu.writePhysical(entry, 4, 0x40000 | Pte.P | Pte.US);
    loadCr3(s, PAGE_DIRECTORY);
    assert.throws(() => physicalOf(s, 0x40000, Access.WRITE), GuestFault);
  });

  it("drops one page on INVLPG", () => {
    const s = paged();
    physicalOf(s, 0x40000);
    s.cpu.writePhysical(PAGE_TABLE + 0x40 * 4, 4, 0x50000 | PRESENT);
    invalidatePage.run(s.cpu, 0x40000);
    assert.equal(physicalOf(s, 0x40000), 0x50000);
  });

  it("does not take a byte written into an entry for nothing", () => {
    const s = paged();
    physicalOf(s, 0x40000);
    s.cpu.writePhysical(PAGE_TABLE + 0x40 * 4 + 2, 1, 0x05);
    loadCr3(s, PAGE_DIRECTORY);
    assert.equal(physicalOf(s, 0x40000), 0x50000);
  });
});
