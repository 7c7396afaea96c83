// Rows PT of the hypervisor's checklist: shadow page tables, without PAE.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { pagesPhysical } from "../../src/lguest/host/core";
import {
  checkGpgd,
  checkGpte,
  demandPage,
  findPgdir,
  flushUserMappings,
  freeGuestPagetable,
  freePagetables,
  getPfn,
  gpgdAddress,
  gpteAddress,
  gpteToSpte,
  guestNewPagetable,
  guestPa,
  guestPagetableClearAll,
  guestPagetableFlushUser,
  guestSetPgd,
  guestSetPte,
  initPagetables,
  mapSwitcherInGuest,
  newPgdir,
  pageWritable,
  pinPage,
  populateSwitcherPtePage,
  releaseAllPagetables,
  releasePgd,
  releasePte,
  setupPagetables,
  spgdAddress,
  spteAddress,
} from "../../src/lguest/host/page-tables";
import { type Fixture, MEGABYTE, makeGuest, makeHost, makeRunningGuest } from "./host-fixture";

/** Where the host puts the first tables of a guest with 1 MiB. */
const DIRECTORY = MEGABYTE - 0x1000;
const TABLE = MEGABYTE - 0x2000;

/** The shadow's PTE for an address, 0 where there is no table. */
function shadow(fixture: Fixture, linear: number, slot = fixture.cpu.cpuPgd): number {
  const spgd = fixture.kernel.read32(fixture.guest.pgdirs[slot].pgdir + (linear >>> 22) * 4);
  return spgd & 1 ? fixture.kernel.read32((spgd & ~0xfff) + ((linear >>> 12) & 0x3ff) * 4) : 0;
}
/** The guest's PTE in its first table. */
function setGuestPte(fixture: Fixture, page: number, value: number): void {
  fixture.write(TABLE + page * 4, value);
}
/** Slots 0 to n - 1 get tables of their own, with the kernel's entry of the first directory. */
function fillSlots(fixture: Fixture): void {
  for (let slot = 0; slot < 4; slot++) {
    const directory = 0x20000 + slot * 0x1000;
    fixture.write(directory, TABLE | 7);
    fixture.write(directory + 768 * 4, TABLE | 7);
    const { pgdirs } = fixture.guest;
    pgdirs[slot].gpgdir = directory;
    if (pgdirs[slot].pgdir === 0) pgdirs[slot].pgdir = fixture.kernel.pages.allocate();
  }
}

describe("page tables: entries", () => {
  it("PT-01 spgd_addr is the shadow's top-level entry; the Switcher's kills and gives entry 0", () => {
    const fixture = makeGuest();
    const { pgdir } = fixture.guest.pgdirs[0];
    assert.equal(spgdAddress(fixture.cpu, 0, 0xc0123456), pgdir + 768 * 4);
    assert.equal(spgdAddress(fixture.cpu, 0, 0xffbfffff), pgdir + 1022 * 4);
    assert.equal(fixture.guest.dead, null);
    assert.equal(spgdAddress(fixture.cpu, 0, 0xffc00000), pgdir);
    assert.equal(fixture.deathText(), "attempt to access switcher pages");
  });
  it("PT-03 spte_addr is the entry in the table that the shadow's top level names", () => {
    assert.equal(spteAddress(0x345067, 0xc0123456), 0x345000 + 0x123 * 4);
  });
  it("PT-04 the guest's entries have guest-physical addresses", () => {
    const { cpu, guest } = makeGuest();
    assert.equal(guest.pgdirs[0].gpgdir, DIRECTORY);
    assert.equal(gpgdAddress(cpu, 0xc0123456), DIRECTORY + 768 * 4);
    assert.equal(gpteAddress(0x9a067, 0xc0123456), 0x9a000 + 0x123 * 4);
  });
  it("PT-05 get_pfn gives the launcher's page, takes a reference and knows the intent to write", () => {
    const { guest } = makeGuest();
    assert.equal(getPfn(guest, 5, false), guest.memBase / 0x1000 + 5);
    assert.deepEqual([guest.pageReferences.countOf(5), guest.pageReferences.wasWritten(5)], [1, false]);
    getPfn(guest, 5, true);
    assert.deepEqual([guest.pageReferences.countOf(5), guest.pageReferences.wasWritten(5)], [2, true]);
    assert.equal(getPfn(guest, 256, false), null);
  });
  it("PT-06 gpte_to_spte keeps the flags but G, and kills where there is no page", () => {
    const fixture = makeGuest({ extraPages: 16 });
    assert.equal(gpteToSpte(fixture.guest, 0x5167, true), fixture.guest.memBase + 0x5067);
    assert.equal(gpteToSpte(fixture.guest, 0x100067, false), 0);
    assert.equal(fixture.deathText(), "failed to get page 256");
  });
  it("PT-07 release_pte drops the reference if the entry was present", () => {
    const { guest } = makeGuest();
    const spte = gpteToSpte(guest, 0x5067, true);
    releasePte(guest, spte & ~1);
    assert.equal(guest.pageReferences.countOf(5), 1);
    releasePte(guest, spte);
    assert.equal(guest.pageReferences.countOf(5), 0);
  });
  it("PT-08 bit 7 and pages beyond the limit are bad in a PTE; in a directory everything outside 0x67 is", () => {
    const verdict = (check: (fixture: Fixture) => void): string | undefined => {
      const fixture = makeGuest();
      check(fixture);
      return fixture.deathText();
    };
    assert.equal(
      verdict(({ guest }) => checkGpte(guest, 0xff97f)),
      undefined,
      "all other flags are allowed",
    );
    assert.equal(
      verdict(({ guest }) => checkGpte(guest, 0x5087)),
      "bad page table entry",
    );
    assert.equal(
      verdict(({ guest }) => checkGpte(guest, 0x100007)),
      "bad page table entry",
    );
    assert.equal(
      verdict(({ guest }) => checkGpgd(guest, 0x5067)),
      undefined,
    );
    for (const bad of [0x5087, 0x500f, 0x5107, 0x100007])
      assert.equal(
        verdict(({ guest }) => checkGpgd(guest, bad)),
        "bad page directory entry",
      );
  });
});

describe("page tables: demand_page", () => {
  it("PT-09 a read fills the shadow read-only and sets A in the guest's entry; a write sets D and allows writing", () => {
    const fixture = makeGuest();
    assert.equal(demandPage(fixture.cpu, 0xc0003123, 0), true);
    assert.equal(fixture.read(TABLE + 3 * 4), 0x3027);
    assert.equal(shadow(fixture, 0xc0003000), fixture.guest.memBase + 0x3025);
    assert.equal(demandPage(fixture.cpu, 0xc0003123, 2), true);
    assert.equal(fixture.read(TABLE + 3 * 4), 0x3067);
    assert.equal(shadow(fixture, 0xc0003000), fixture.guest.memBase + 0x3067);
    assert.equal(fixture.guest.pageReferences.countOf(3), 1, "the old reference was given back");
    const spgd = fixture.kernel.read32(fixture.guest.pgdirs[0].pgdir + 768 * 4);
    assert.equal(spgd & 0xfff, 7, "the directory entry has the guest's flags");
  });
  it("PT-09 absent entries, writes to read-only pages and user access to kernel pages are the guest's faults", () => {
    const fixture = makeGuest();
    assert.equal(demandPage(fixture.cpu, 0x40000000, 0), false, "no directory entry");
    setGuestPte(fixture, 5, 0);
    assert.equal(demandPage(fixture.cpu, 0x5000, 0), false, "no page");
    setGuestPte(fixture, 5, 0x5005);
    assert.equal(demandPage(fixture.cpu, 0x5000, 2), false, "read-only, also for ring 1");
    setGuestPte(fixture, 5, 0x5003);
    assert.equal(demandPage(fixture.cpu, 0x5000, 4), false, "not the user's");
    assert.equal(demandPage(fixture.cpu, 0x5000, 0), true);
    assert.equal(fixture.guest.dead, null);
  });
  it("PT-09 bad entries kill, the Switcher's place kills, and so does running out of memory", () => {
    const text = (prepare: (fixture: Fixture) => void, linear = 0x5000): string | undefined => {
      const fixture = makeGuest();
      prepare(fixture);
      demandPage(fixture.cpu, linear, 0);
      return fixture.deathText();
    };
    assert.equal(
      text((fixture) => setGuestPte(fixture, 5, 0x5087)),
      "bad page table entry",
    );
    assert.equal(
      text((fixture) => fixture.write(DIRECTORY, TABLE | 0x87)),
      "bad page directory entry",
    );
    const intoSwitcher = (fixture: Fixture): void => {
      fixture.guest.pgdirs[0].gpgdir = 0x20000;
      fixture.write(0x20000 + 1023 * 4, TABLE | 7);
    };
    assert.equal(text(intoSwitcher, 0xffc00000), "attempt to access switcher pages");
    assert.equal(
      text((fixture) => {
        while (fixture.kernel.pages.allocate() !== 0);
      }),
      "out of memory allocating pte page",
    );
  });
  it("PT-09 a 3.x guest without tables sees its physical memory", () => {
    const fixture = makeGuest({ abi: "3.x" });
    assert.equal(fixture.cpu.linearPages, true);
    assert.equal(demandPage(fixture.cpu, 0x5000, 2), true);
    assert.equal(shadow(fixture, 0x5000) & ~0xfff, fixture.guest.memBase + 0x5000);
    assert.equal(guestPa(fixture.cpu, 0x5123), 0x5123);
    guestNewPagetable(fixture.cpu, 0x20000);
    assert.equal(fixture.cpu.linearPages, false);
    assert.equal(fixture.guest.pageReferences.total, 0, "nothing of it stays");
    const beyond = makeGuest({ abi: "3.x" });
    demandPage(beyond.cpu, 0x70000000, 0);
    assert.equal(beyond.deathText(), "bad page table entry");
  });
  it("PT-10 page_writable asks for present and writable in the shadow", () => {
    const { cpu } = makeGuest();
    assert.equal(pageWritable(cpu, 0x5000), false);
    demandPage(cpu, 0x5000, 0);
    assert.equal(pageWritable(cpu, 0x5000), false);
    demandPage(cpu, 0x5000, 2);
    assert.equal(pageWritable(cpu, 0x5000), true);
  });
  it("PT-11 pin_page makes a page writable or kills", () => {
    const fixture = makeGuest();
    pinPage(fixture.cpu, 0x5fff);
    assert.equal(pageWritable(fixture.cpu, 0x5000), true);
    setGuestPte(fixture, 6, 0x6005);
    pinPage(fixture.cpu, 0x6fff);
    assert.equal(fixture.deathText(), "bad stack page 0x6fff");
  });
  it("PT-15 guest_pa walks the guest's tables, whatever they allow; what they do not map kills", () => {
    const fixture = makeGuest();
    setGuestPte(fixture, 5, 0x7001);
    assert.equal(guestPa(fixture.cpu, 0xc0005123), 0x7123);
    assert.equal(guestPa(fixture.cpu, 0x40000000), 0xffffffff);
    assert.equal(fixture.deathText(), "Bad address 0x40000000");
    const page = makeGuest();
    setGuestPte(page, 5, 0x7000);
    assert.equal(guestPa(page.cpu, 0x5123), 0x7123, "it goes on, dead");
    assert.equal(page.deathText(), "Bad address 0x5123");
  });
});

describe("page tables: flushing", () => {
  it("PT-12 releasing a top-level entry frees its table and gives all references back", () => {
    const fixture = makeGuest();
    const before = fixture.kernel.pages.inUse;
    for (let page = 3; page < 10; page++) demandPage(fixture.cpu, page * 0x1000, 2);
    assert.equal(fixture.guest.pageReferences.total, 7);
    releasePgd(fixture.guest, fixture.guest.pgdirs[0].pgdir);
    assert.equal(fixture.guest.pageReferences.total, 0);
    assert.equal(fixture.kernel.pages.inUse, before);
    releasePgd(fixture.guest, fixture.guest.pgdirs[0].pgdir);
  });
  it("PT-13 flush_user_mappings releases below kernel_address", () => {
    const fixture = makeRunningGuest();
    demandPage(fixture.cpu, 0x3000, 0);
    demandPage(fixture.cpu, 0xc0003000, 0);
    flushUserMappings(fixture.guest, 0);
    assert.equal(shadow(fixture, 0x3000), 0);
    assert.notEqual(shadow(fixture, 0xc0003000), 0);
  });
  it("PT-14 FLUSH_TLB(0) is about the current slot only", () => {
    const fixture = makeRunningGuest();
    fillSlots(fixture);
    for (const slot of [0, 1]) {
      fixture.cpu.cpuPgd = slot;
      demandPage(fixture.cpu, 0x3000, 0);
    }
    guestPagetableFlushUser(fixture.cpu);
    assert.notEqual(shadow(fixture, 0x3000, 0), 0);
    assert.equal(shadow(fixture, 0x3000, 1), 0);
  });
  it("PT-19 release_all_pagetables leaves the Switcher's entry alone", () => {
    const fixture = makeRunningGuest();
    fillSlots(fixture);
    for (const slot of [0, 3]) {
      fixture.cpu.cpuPgd = slot;
      mapSwitcherInGuest(fixture.cpu, 0);
      demandPage(fixture.cpu, 0xc0003000, 0);
    }
    releaseAllPagetables(fixture.guest);
    for (const slot of [0, 3]) {
      assert.equal(shadow(fixture, 0xc0003000, slot), 0);
      assert.notEqual(fixture.kernel.read32(fixture.guest.pgdirs[slot].pgdir + 1023 * 4), 0);
    }
  });
  it("PT-20 dropping everything pins the kernel stack again", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.esp1 = 0xc0009000;
    fixture.guest.stackPages = 1;
    demandPage(fixture.cpu, 0xc0003000, 0);
    guestPagetableClearAll(fixture.cpu);
    assert.equal(shadow(fixture, 0xc0003000), 0);
    assert.equal(pageWritable(fixture.cpu, 0xc0008000), true);
  });
});

describe("page tables: announcements", () => {
  it("PT-21 SET_PTE installs what has A or D, whether P is set or not, and else clears", () => {
    const fixture = makeRunningGuest();
    demandPage(fixture.cpu, 0xc0003000, 0);
    const set = (value: number): number => {
      guestSetPte(fixture.cpu, DIRECTORY, 0xc0004000, value);
      return shadow(fixture, 0xc0004000);
    };
    assert.equal(set(0x5063), fixture.guest.memBase + 0x5063);
    assert.equal(set(0x5023), fixture.guest.memBase + 0x5023, "writable without D");
    assert.equal(set(0x5007), 0);
    assert.equal(set(0x5040), fixture.guest.memBase + 0x5040, "QUIRK-14");
    guestSetPte(fixture.cpu, DIRECTORY, 0x80000000, 0x5063);
    assert.equal(fixture.guest.dead, null, "no table there: nothing");
    guestSetPte(fixture.cpu, DIRECTORY, 0xc0004000, 0x5000063);
    assert.equal(fixture.deathText(), "bad page table entry");
    const corrected = makeRunningGuest({ quirks: "fixed" });
    demandPage(corrected.cpu, 0xc0003000, 0);
    guestSetPte(corrected.cpu, DIRECTORY, 0xc0004000, 0x5040);
    assert.equal(shadow(corrected, 0xc0004000), 0);
  });
  it("PT-22 a kernel address changes in all slots, a user address in the slot of that directory", () => {
    const fixture = makeRunningGuest();
    fillSlots(fixture);
    for (const slot of [0, 1, 2, 3]) {
      fixture.cpu.cpuPgd = slot;
      demandPage(fixture.cpu, 0xc0003000, 0);
      demandPage(fixture.cpu, 0x3000, 0);
    }
    guestSetPte(fixture.cpu, 0x20000, 0xc0003000, 0);
    assert.deepEqual(
      [0, 1, 2, 3].map((slot) => shadow(fixture, 0xc0003000, slot)),
      [0, 0, 0, 0],
    );
    guestSetPte(fixture.cpu, 0x21000, 0x3000, 0);
    assert.deepEqual(
      [0, 1, 2, 3].map((slot) => shadow(fixture, 0x3000, slot) !== 0),
      [true, false, true, true],
    );
    guestSetPte(fixture.cpu, 0x99000, 0x3000, 0);
    assert.equal(fixture.guest.dead, null, "an unknown directory: nothing");
    guestSetPte(fixture.cpu, 0x20000, 0xffc00000, 0);
    assert.equal(fixture.deathText(), "attempt to access switcher pages");
  });
  it("PT-23 SET_PGD releases one entry; the Switcher's index, larger ones and unknown directories are ignored", () => {
    const fixture = makeRunningGuest();
    demandPage(fixture.cpu, 0x3000, 0);
    for (const index of [1023, 5000, 0xffffffff]) guestSetPgd(fixture.guest, DIRECTORY, index);
    guestSetPgd(fixture.guest, 0x99000, 0);
    assert.notEqual(shadow(fixture, 0x3000), 0);
    guestSetPgd(fixture.guest, DIRECTORY, 0);
    assert.equal(shadow(fixture, 0x3000), 0);
    assert.equal(fixture.guest.dead, null);
  });
});

describe("page tables: slots", () => {
  it("PT-16 find_pgdir finds a slot by its directory", () => {
    const fixture = makeGuest();
    assert.equal(findPgdir(fixture.guest, DIRECTORY), 0);
    assert.equal(findPgdir(fixture.guest, 0), -1, "an empty slot is no match");
    fillSlots(fixture);
    assert.equal(findPgdir(fixture.guest, 0x22000), 2);
  });
  it("PT-17 new_pgdir takes a random slot, says whether it was blank, and keeps the kernel's part of an old owner", () => {
    const fixture = makeRunningGuest();
    const seen = new Set<number>();
    const blank = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const made = newPgdir(fixture.cpu, 0x20000 + i * 0x1000);
      if (made.blank) blank.add(made.slot);
      seen.add(made.slot);
      assert.equal(fixture.guest.pgdirs[made.slot].gpgdir, 0x20000 + i * 0x1000);
    }
    assert.deepEqual([...seen].sort(), [0, 1, 2, 3]);
    assert.deepEqual([...blank].sort(), [1, 2, 3]);
    demandPageIn(fixture, 0xc0003000);
    const { slot } = newPgdirAt(fixture, fixture.cpu.cpuPgd);
    assert.notEqual(shadow(fixture, 0xc0003000, slot), 0);
    const poor = makeRunningGuest();
    while (poor.kernel.pages.allocate() !== 0);
    for (let i = 0; i < 10; i++) assert.equal(newPgdir(poor.cpu, 0x20000).slot, 0, "no memory: the current one");
  });
  it("PT-18 NEW_PGTABLE finds or makes a slot, and pins the stack in a blank one", () => {
    const fixture = makeRunningGuest();
    fixture.cpu.esp1 = 0xc0009000;
    fixture.guest.stackPages = 1;
    let directory = 0x20000;
    for (; fixture.cpu.cpuPgd === 0; directory += 0x1000) {
      fixture.write(directory + 768 * 4, TABLE | 7);
      guestNewPagetable(fixture.cpu, directory);
    }
    directory -= 0x1000;
    assert.equal(pageWritable(fixture.cpu, 0xc0008000), true);
    const slot = fixture.cpu.cpuPgd;
    guestNewPagetable(fixture.cpu, directory);
    assert.equal(fixture.cpu.cpuPgd, slot, "found again");
  });
  it("PT-25 setup_pagetables maps memory at 0 and at 0xC0000000, below the initrd, or fails", () => {
    const fixture = makeGuest();
    assert.equal(fixture.read(DIRECTORY), TABLE | 7);
    assert.equal(fixture.read(DIRECTORY + 768 * 4), TABLE | 7);
    assert.equal(fixture.read(DIRECTORY + 4), 0);
    assert.deepEqual(
      [0, 1, 255].map((i) => fixture.read(TABLE + i * 4)),
      [0x7, 0x1007, 0xff007],
    );
    assert.equal(fixture.read(TABLE + 256 * 4), 0, "only RAM");
    assert.equal(setupPagetables(fixture.guest, MEGABYTE, 0x3000), DIRECTORY - 0x3000);
    assert.equal(setupPagetables(fixture.guest, 16 * MEGABYTE, 0), null);
    assert.equal(setupPagetables(fixture.guest, 0x1000, 0x5000), null);
  });
  it("PT-26 a new guest has slot 0 with an empty shadow", () => {
    const { guest, cpu, kernel } = makeGuest();
    assert.equal(guest.pgdirs[0].gpgdir, DIRECTORY);
    assert.equal(cpu.cpuPgd, 0);
    assert.deepEqual(
      Array.from({ length: 1024 }, (_, i) => kernel.read32(guest.pgdirs[0].pgdir + i * 4)).filter(
        (entry) => entry !== 0,
      ),
      [],
    );
    assert.deepEqual(
      guest.pgdirs.slice(1).map(({ pgdir }) => pgdir),
      [0, 0, 0],
    );
  });
  it("PT-27 LGUEST_INIT learns kernel_address and tells reserve_mem and pgdir", () => {
    const fixture = makeRunningGuest({}, { kernelAddress: 0x80000000 });
    assert.equal(fixture.guest.kernelAddress, 0x80000000);
    assert.deepEqual([fixture.read(0x8000 + 0x558), fixture.read(0x8000 + 0x560)], [0x400000, DIRECTORY]);
  });
  it("PT-28 the end of a guest gives all its pages back", () => {
    const fixture = makeGuest();
    const before = fixture.kernel.pages.inUse;
    fillSlots(fixture);
    demandPage(fixture.cpu, 0xc0003000, 0);
    freeGuestPagetable(fixture.guest);
    assert.equal(fixture.kernel.pages.inUse, before - 1, "slot 0's directory too");
    assert.deepEqual(
      fixture.guest.pgdirs.map(({ pgdir }) => pgdir),
      [0, 0, 0, 0],
    );
  });
});

describe("page tables: the Switcher's part", () => {
  it("PT-29 before an entry the top entry is set and the register page takes the stack page's place", () => {
    const fixture = makeGuest({ cpus: 2 });
    mapSwitcherInGuest(fixture.cpu, 1);
    const table = fixture.module.switcherPtePages[1];
    assert.equal(fixture.kernel.read32(fixture.guest.pgdirs[0].pgdir + 1023 * 4), table | 0x163);
    assert.equal(fixture.kernel.read32(table + 3 * 4), fixture.cpu.regsPage | 0x163);
  });
  it("PT-30 a CPU's table has the code and its own two pages with flags 0x21 and 0x23, and nothing of other CPUs", () => {
    const { module, kernel } = makeGuest({ cpus: 2 });
    populateSwitcherPtePage(module, 1);
    const table = module.switcherPtePages[1];
    const pages = pagesPhysical(module, 1);
    const entries = Array.from({ length: 1024 }, (_, i) => kernel.read32(table + i * 4));
    assert.deepEqual(entries.slice(0, 5), [
      module.switcherPages[0] | 0x21,
      0,
      0,
      pages.stack | 0x23,
      pages.state | 0x21,
    ]);
    assert.ok(entries.slice(5).every((entry) => entry === 0));
  });
  it("PT-31 there is one table for each CPU, and they are given back", () => {
    const { module, kernel } = makeHost({ cpus: 3 });
    module.switcherPages = Array.from({ length: 7 }, () => kernel.pages.allocate());
    assert.equal(initPagetables(module), 0);
    assert.equal(module.switcherPtePages.length, 3);
    freePagetables(module);
    assert.deepEqual(module.switcherPtePages, []);
    assert.equal(kernel.pages.inUse, 7);
  });
});

/** Fills an address of the current slot whose guest directory may be empty. */
function demandPageIn(fixture: Fixture, linear: number): void {
  fixture.write(fixture.guest.pgdirs[fixture.cpu.cpuPgd].gpgdir + (linear >>> 22) * 4, TABLE | 7);
  assert.equal(demandPage(fixture.cpu, linear, 0), true);
}
/** Makes directories until a certain slot loses its place. */
function newPgdirAt(fixture: Fixture, wanted: number): { slot: number } {
  for (let i = 0; ; i++) {
    const made = newPgdir(fixture.cpu, 0x80000 + i * 0x1000);
    if (made.slot === wanted) return made;
  }
}
