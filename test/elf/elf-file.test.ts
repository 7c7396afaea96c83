// The ELF reader on files built byte by byte: what it finds, and how it refuses what it cannot use.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { zlibSync } from "fflate";
import { describe, it } from "mocha";
import type { ByteSource } from "../../src/base";
import { ElfError, type ElfErrorCode, openElf } from "../../src/elf";
import { bytes } from "../dwarf/byte-builder";
import { buildElf } from "./elf-builder";

const CODE = bytes().u8(0x90, 0x90, 0xc3).done();
const FIXTURES = join(__dirname, "../../../test/dwarf/fixtures");

function refusal(file: Uint8Array, code: ElfErrorCode, text: RegExp): void {
  assert.throws(
    () => openElf(file),
    (e: ElfError) => {
      assert.ok(e instanceof ElfError, String(e));
      assert.equal(e.code, code);
      assert.match(e.message, text);
      return true;
    },
  );
}

describe("an ELF file", () => {
  it("gives its segments with their bytes and sizes", () => {
    const elf = openElf(
      buildElf({
        entry: 0x100001,
        segments: [
          { address: 0xc0100000, physical: 0x100000, content: CODE, memorySize: 0x1000, flags: 7 },
          { type: 4, address: 0, content: bytes().u32(1).done() },
        ],
      }),
    );
    assert.equal(elf.entry, 0x100001);
    assert.equal(elf.segments.length, 2);
    const [load] = elf.loadSegments;
    assert.equal(elf.loadSegments.length, 1);
    assert.deepEqual([...elf.segmentBytes(load)], [...CODE]);
    assert.deepEqual([load.virtualAddress, load.physicalAddress, load.memorySize], [0xc0100000, 0x100000, 0x1000]);
    assert.deepEqual([load.isReadable, load.isWritable, load.isExecutable], [true, true, true]);
    assert.equal(elf.isMapped(0xc0100fff), true);
    assert.equal(elf.isMapped(0xc0101000), false);
    assert.deepEqual([...(elf.bytesAtAddress(0xc0100002, 3) ?? [])], [0xc3, 0, 0], "zeros behind the file's part");
    assert.equal(elf.bytesAtAddress(0xc0100ffe, 3), undefined);
  });

  it("works without section headers", () => {
    const elf = openElf(buildElf({ segments: [{ address: 0, content: CODE }] }));
    assert.deepEqual(elf.sections, []);
    assert.equal(elf.section(".text"), undefined);
    assert.equal(elf.symbolAt(0), undefined);
    assert.equal(elf.symbol("main"), undefined);
  });

  it("gives sections by name and by address", () => {
    const elf = openElf(
      buildElf({
        segments: [{ address: 0x1000, content: CODE }],
        sections: [
          { name: ".text", flags: 6, address: 0x1000, content: CODE },
          { name: ".bss", type: 8, flags: 3, address: 0x2000, size: 0x10000000 },
        ],
      }),
    );
    const text = elf.section(".text");
    assert.ok(text);
    assert.equal(text.isExecutable, true);
    assert.deepEqual([...elf.sectionBytes(text).read(0, 99)], [...CODE]);
    const bss = elf.section(".bss");
    assert.ok(bss);
    assert.equal(elf.sectionBytes(bss).size, 0, "a section without bytes in the file");
    assert.equal(elf.sectionAt(0x1002)?.name, ".text");
    assert.equal(elf.sectionAt(0x1003), undefined);
    assert.equal(elf.sectionAt(0x10001fff)?.name, ".bss");
  });

  it("inflates compressed sections, new style and old", () => {
    const content = bytes().zeros(500).text("the end").done();
    const packed = zlibSync(content);
    const elf = openElf(
      buildElf({
        segments: [{ address: 0, content: CODE }],
        sections: [
          { name: ".debug_str", flags: 0x800, content: bytes().u32(1, content.length, 1).add(packed).done() },
          {
            name: ".zdebug_line",
            content: bytes().add(Buffer.from("ZLIB")).u32(0).u8(0, 0, 1, 0xfc).add(packed).done(),
          },
          { name: ".debug_zstd", flags: 0x800, content: bytes().u32(2, 10, 1).add(packed).done() },
          { name: ".debug_lie", flags: 0x800, content: bytes().u32(1, 0x3fffffff, 1).add(packed).done() },
          { name: ".debug_bad", flags: 0x800, content: bytes().u32(1, 100, 1).u32(0xdeadbeef, 1, 2).done() },
        ],
      }),
    );
    for (const name of [".debug_str", ".zdebug_line"]) {
      const section = elf.section(name);
      assert.ok(section);
      const source = elf.sectionBytes(section);
      assert.deepEqual(source.read(0, source.size), content, name);
    }
    const read = (name: string) => {
      const section = elf.section(name);
      assert.ok(section);
      elf.sectionBytes(section);
    };
    assert.throws(() => read(".debug_zstd"), /expected zlib compression, found zstd/);
    assert.throws(() => read(".debug_lie"), /size is impossible/);
    assert.throws(() => read(".debug_bad"), ElfError);
  });

  it("reads a large file only where it is looked at", () => {
    const file = readFileSync(join(FIXTURES, "gcc-dwarf5-O0.elf"));
    let total = 0;
    const source: ByteSource = {
      size: file.length,
      read: (offset, length) => {
        total += length;
        return file.subarray(offset, offset + length);
      },
    };
    const elf = openElf(source);
    assert.ok(total < 300, `${total} bytes read to open`);
    assert.equal(elf.symbol("main")?.type, "function");
    assert.ok(total < file.length);
  });
});

describe("a file that cannot be loaded is refused", () => {
  const segments = [{ address: 0x1000, content: CODE }];

  it("if it is no ELF file", () => {
    refusal(new Uint8Array(0), "not-elf", /found an empty file/);
    refusal(Buffer.from("#!/bin/sh\n"), "not-elf", /found the bytes 23 21 2f 62/);
  });

  it("if it is for 64 bits, another byte order or another machine", () => {
    refusal(buildElf({ ident: [0x7f, 0x45, 0x4c, 0x46, 2, 1], segments }), "wrong-class", /found a 64-bit one.*-m32/);
    refusal(buildElf({ ident: [0x7f, 0x45, 0x4c, 0x46, 9, 1], segments }), "malformed", /class 9/);
    refusal(buildElf({ ident: [0x7f, 0x45, 0x4c, 0x46, 1, 2], segments }), "wrong-byte-order", /big-endian/);
    refusal(buildElf({ machine: 40, segments }), "wrong-machine", /found one for ARM/);
    refusal(buildElf({ machine: 999, segments }), "wrong-machine", /machine number 999/);
  });

  it("if it is not linked, or position-independent", () => {
    refusal(buildElf({ type: 1, segments }), "wrong-type", /relocatable object.*link it first/);
    refusal(buildElf({ type: 3, segments }), "wrong-type", /ET_DYN.*-no-pie/);
    assert.equal(openElf(buildElf({ type: 3, segments }), { symbolsOnly: true }).type, 3);
  });

  it("if it has nothing to load", () => {
    refusal(buildElf({}), "no-load-segment", /PT_LOAD/);
    refusal(buildElf({ segments: [{ type: 4, address: 0, content: CODE }] }), "no-load-segment", /PT_LOAD/);
    assert.equal(openElf(buildElf({}), { symbolsOnly: true }).segments.length, 0);
  });

  it("if it is cut short, wherever", () => {
    const file = buildElf({ segments });
    refusal(file.subarray(0, 30), "truncated", /header of 52 bytes, found a file of 30/);
    refusal(file.subarray(0, 60), "truncated", /program headers/);
    refusal(file.subarray(0, file.length - 1), "truncated", /segment at 0x1000: expected 3 bytes at 0x54/);
  });

  it("if a segment makes no sense", () => {
    const tooSmall = [{ address: 0, content: CODE, memorySize: 2 }];
    refusal(buildElf({ segments: tooSmall }), "malformed", /3 bytes in the file but only 2 in memory/);
    const tooHigh = [{ address: 0xffffffff, content: CODE }];
    refusal(buildElf({ segments: tooHigh }), "malformed", /beyond 4 GiB/);
  });

  it("but not for broken section headers, which only symbols need", () => {
    const file = buildElf({ segments, sections: [{ name: ".text", content: CODE }], symbols: [] });
    const elf = openElf(file.subarray(0, file.length - 10));
    assert.equal(elf.loadSegments.length, 1);
    assert.equal(elf.section(".text"), undefined);
    assert.match(elf.sectionsProblem ?? "", /section headers: expected/);
    assert.equal(elf.symbols.count, 0);
  });
});
