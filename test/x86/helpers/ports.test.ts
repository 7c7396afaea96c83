// IN and OUT permission. SDM Vol. 1, 18.5.
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "mocha";
import { checkPort, readPort, writePort } from "../../../src/x86/helpers";
import { Flag, Seg, Vector } from "../../../src/x86/state-layout";
import { SystemBuilder, TSS, TSS_SELECTOR } from "../../support/system-builder";

const { GP, PF } = Vector;
const BITMAP = 0x68;

describe("x86/helpers/ports", () => {
  let s: SystemBuilder;
  const written: number[][] = [];
  /** A TSS whose limit is `limit`, all of whose bitmap bits are 0. */
  const withBitmap = (limit: number) => s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, limit, 0x8b00, true);

  beforeEach(() => {
    s = new SystemBuilder();
    written.length = 0;
    s.cpu.ports = {
      read: (port, size) => port * 10 + size,
      write: (port, size, value) => written.push([port, size, value]),
    };
  });

  it("CPL <= IOPL needs no bitmap", () => {
    assert.equal(readPort.run(s.cpu, 0x60, 1), 0x60 * 10 + 1);
    s.enterRing(3);
    s.cpu.eflags = Flag.IOPL | 2;
    writePort.run(s.cpu, 0x80, 2, 0x12345678);
    assert.deepEqual(written, [[0x80, 2, 0x5678]]);
  });
  it("a bitmap base at or beyond the TSS limit forbids every port (lguest: base 104, limit 103)", () => {
    s.enterRing(1);
    for (const port of [0, 0x60, 0xffff]) s.assertFault(() => readPort.run(s.cpu, port, 1), GP, 0);
    assert.equal(written.length, 0);
  });
  it("a 0 bit allows, a 1 bit of any byte of the access forbids", () => {
    s.enterRing(3);
    withBitmap(BITMAP + 0x20);
    s.write16(TSS + BITMAP + 1, 0x0800);
    for (const [port, size, isAllowed] of [
      [0x12, 1, true],
      [0x13, 1, false],
      [0x12, 2, false],
      [0x10, 4, false],
      [0x0f, 4, true],
      [0x14, 4, true],
    ]) {
      if (isAllowed) checkPort.run(s.cpu, Number(port), Number(size));
      else s.assertFault(() => checkPort.run(s.cpu, Number(port), Number(size)), GP, 0);
    }
  });
  it("reads two bytes: both must lie inside the limit", () => {
    s.enterRing(3);
    withBitmap(BITMAP + 2);
    checkPort.run(s.cpu, 0x0f, 1);
    s.assertFault(() => checkPort.run(s.cpu, 0x10, 1), GP, 0);
  });
  it("a 16-bit TSS has no bitmap", () => {
    s.enterRing(3);
    s.cpu.setSegment(Seg.TR, TSS_SELECTOR, TSS, 0xfff, 0x8300, true);
    s.assertFault(() => checkPort.run(s.cpu, 0, 1), GP, 0);
  });
  it("virtual-8086 mode asks the bitmap even with IOPL 3", () => {
    s.enterVirtual8086(3);
    s.assertFault(() => checkPort.run(s.cpu, 0x60, 1), GP, 0);
    withBitmap(BITMAP + 0x20);
    checkPort.run(s.cpu, 0x60, 1);
  });
  it("real mode asks nothing", () => {
    s.enterReal();
    checkPort.run(s.cpu, 0x60, 4);
  });
  it("reads the TSS as supervisor, and a page fault there is the instruction's", () => {
    s.enablePaging().page(TSS, 3).enterRing(3);
    withBitmap(BITMAP + 0x20);
    checkPort.run(s.cpu, 0x60, 1);
    s.page(TSS, 0);
    s.assertFault(() => checkPort.run(s.cpu, 0x60, 1), PF, 0);
  });
});
