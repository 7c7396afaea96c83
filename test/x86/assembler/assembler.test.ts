// The assembler's bytes are compared with an independent disassembler, line by line, and with the manual where it has a choice.
import assert from "node:assert/strict";
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { describe, it } from "mocha";
import { Asm, Assembler } from "../../../src/x86";

const { eax, ecx, edx, ebx, esp, ebp, esi, edi, ax, al, cl, dx, ds, es, fs, gs, ss, cr0, cr3, ptr } = Asm;

/** What the disassembler reads, without spaces around commas and with hexadecimal as in C. */
function disassemble(bytes: Uint8Array, origin: number): string[] {
  const decoder = new Decoder(32, bytes, DecoderOptions.None);
  decoder.ip = BigInt(origin);
  const formatter = new Formatter(FormatterSyntax.Nasm);
  formatter.hexPrefix = "0x";
  formatter.hexSuffix = "";
  formatter.uppercaseHex = false;
  formatter.branchLeadingZeros = false;
  formatter.spaceAfterOperandSeparator = true;
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    lines.push(formatter.format(instruction));
    instruction.free();
  }
  formatter.free();
  decoder.free();
  return lines;
}
function reads(build: (a: Assembler) => void, ...lines: string[]): void {
  const a = new Assembler(0x1000);
  build(a);
  assert.deepEqual(disassemble(a.finish().bytes, 0x1000), lines);
}

describe("assembler", () => {
  it("moves between registers, memory, segments and control registers", () => {
    reads(
      (a) => a.mov(eax, ebx).mov(ecx, ptr(edx, 8)).mov(ptr(ebp), esi),
      "mov eax, ebx",
      "mov ecx, [edx+8]",
      "mov [ebp], esi",
    );
    reads(
      (a) => a.mov(ds, eax).mov(eax, fs).mov(cr3, ebx).mov(edx, cr0),
      "mov ds, eax",
      "mov eax, fs",
      "mov cr3, ebx",
      "mov edx, cr0",
    );
    reads(
      (a) => a.mov(al, 5).mov(ax, 0x1234).mov(eax, 0xffffffff),
      "mov al, 5",
      "mov ax, 0x1234",
      "mov eax, 0xffffffff",
    );
    reads(
      (a) => a.mov(ptr(0x1234, 0, { size: 4 }), 7).mov(ptr(eax, 0, { size: 1 }), 7),
      "mov dword [0x1234], 7",
      "mov byte [eax], 7",
    );
    reads(
      (a) =>
        a
          .movzx(eax, cl)
          .movzx(edx, ptr(eax, 0, { size: 2 }))
          .xchg(eax, ecx),
      "movzx eax, cl",
      "movzx edx, word [eax]",
      "xchg ecx, eax",
    );
  });
  it("encodes every kind of address", () => {
    reads(
      (a) =>
        a.lea(eax, ptr(esp)).lea(eax, ptr(esp, 4)).lea(eax, ptr(ebp)).lea(eax, ptr(ebx, 0x1234)).lea(eax, ptr(ebx, -4)),
      "lea eax, [esp]",
      "lea eax, [esp+4]",
      "lea eax, [ebp]",
      "lea eax, [ebx+0x1234]",
      "lea eax, [ebx-4]",
    );
    reads(
      (a) =>
        a
          .lea(eax, ptr(edx, 0, { index: ebx, scale: 8 }))
          .lea(eax, ptr(0x1000, 0, { index: edi, scale: 4 }))
          .mov(eax, ptr(esi, 0, { segment: gs })),
      "lea eax, [edx+ebx*8]",
      "lea eax, [edi*4+0x1000]",
      "mov eax, [gs:esi]",
    );
    assert.throws(() => new Assembler(0).lea(eax, ptr(ebx, 0, { index: esp })), /esp is never an index/);
  });
  it("pushes and pops registers, segments, memory and numbers in their shortest form", () => {
    reads(
      (a) => a.push(eax).push(ds).push(fs).push(5).push(0x80).push(ptr(eax)),
      "push eax",
      "push ds",
      "push fs",
      "push 5",
      "push 0x80",
      "push dword [eax]",
    );
    reads(
      (a) => a.pop(edi).pop(es).pop(ss).pop(gs).pop(ptr(eax, 4)),
      "pop edi",
      "pop es",
      "pop ss",
      "pop gs",
      "pop dword [eax+4]",
    );
    assert.equal(new Assembler(0).push(127).finish().bytes.length, 2);
    assert.equal(new Assembler(0).push(128).finish().bytes.length, 5);
  });
  it("does arithmetic with short immediates where they fit", () => {
    reads(
      (a) =>
        a
          .add(eax, 8)
          .sub(ecx, 0x1234)
          .and(esp, 0xfffff000)
          .or(ptr(edx, 5, { size: 1 }), 2),
      "add eax, 8",
      "sub ecx, 0x1234",
      "and esp, 0xfffff000",
      "or byte [edx+5], 2",
    );
    reads(
      (a) => a.xor(eax, eax).cmp(ebx, ptr(ecx)).test(al, 1).test(eax, ebx),
      "xor eax, eax",
      "cmp ebx, [ecx]",
      "test al, 1",
      "test eax, ebx",
    );
    reads(
      (a) => a.inc(eax).dec(ptr(ebx)).div(ecx).shl(eax, 4).shr(edx, 1),
      "inc eax",
      "dec dword [ebx]",
      "div ecx",
      "shl eax, 4",
      "shr edx, 1",
    );
    assert.equal(new Assembler(0).add(eax, 0xfffffff8).finish().bytes.length, 3, "sign-extended");
    assert.equal(new Assembler(0).cmp(eax, 0x80).finish().bytes.length, 6);
  });
  it("jumps short behind and long ahead, calls, and goes far", () => {
    reads(
      (a) =>
        a
          .label("loop")
          .dec(ecx)
          .jcc("nz", "loop")
          .jmp("loop")
          .loop("loop")
          .jmp("end")
          .jcc("e", "end")
          .call("loop")
          .label("end"),
      "dec ecx",
      "jne short 0x1000",
      "jmp short 0x1000",
      "loop 0x1000",
      "jmp 0x1018",
      "je near 0x1018",
      "call 0x1000",
    );
    reads(
      (a) => a.callFar(ptr(0x4c00)).jmp(eax).call(ptr(ebx)).jmpFar(0x60, 0x2000),
      "call far [0x4c00]",
      "jmp eax",
      "call dword [ebx]",
      "jmp 0x60:0x2000",
    );
    reads((a) => a.ret().iret().int(0x1f), "ret", "iret", "int 0x1f");
  });
  it("has the system instructions of the Switcher", () => {
    reads(
      (a) => a.lgdt(ptr(eax, 0x1a)).lidt(ptr(eax)).sgdt(ptr(eax)).sidt(ptr(eax)).ltr(edx),
      "lgdt [eax+0x1a]",
      "lidt [eax]",
      "sgdt [eax]",
      "sidt [eax]",
      "ltr dx",
    );
    reads(
      (a) => a.in(al, 0x60).in(eax, dx).out(0x80, al).out(dx, ax),
      "in al, 0x60",
      "in eax, dx",
      "out 0x80, al",
      "out dx, ax",
    );
    reads(
      (a) => a.pushfd().popfd().cli().sti().cld().hlt().nop().clts().rdtsc().cpuid().vmcall(),
      "pushf",
      "popf",
      "cli",
      "sti",
      "cld",
      "hlt",
      "nop",
      "clts",
      "rdtsc",
      "cpuid",
      "vmcall",
    );
  });
  it("fills labels into data and instructions, aligns, and lists what it made", () => {
    const a = new Assembler(0x1000);
    a.mov(eax, "table")
      .label("here")
      .align(8)
      .label("table")
      .dword("here", Asm.addressOf("here", 2))
      .word(1, 2)
      .text("ab")
      .zero(1);
    const { bytes, symbols, listing, origin } = a.finish();
    assert.equal(origin, 0x1000);
    assert.deepEqual(
      [...symbols],
      [
        ["here", 0x1005],
        ["table", 0x1008],
      ],
    );
    assert.deepEqual(
      [...bytes],
      [0xb8, 8, 0x10, 0, 0, 0x90, 0x90, 0x90, 5, 0x10, 0, 0, 7, 0x10, 0, 0, 1, 0, 2, 0, 0x61, 0x62, 0, 0],
    );
    assert.deepEqual(listing[0], { address: 0x1000, bytes: [0xb8, 8, 0x10, 0, 0], text: "mov eax, table" });
    assert.deepEqual(listing[1], { address: 0x1005, bytes: [], text: "here:" });
  });
  it("refuses what it cannot encode, and names the label that is missing or twice there", () => {
    assert.throws(() => new Assembler(0).jmp("nowhere").finish(), /label nowhere is not defined/);
    assert.throws(() => new Assembler(0).label("a").label("a"), /label a is defined twice/);
    assert.throws(() => new Assembler(0).mov(ptr(eax), ptr(ebx)), /register on one side/);
    assert.throws(() => new Assembler(0).in(ebx, 0x60), /AL, AX or EAX/);
    assert.throws(() => new Assembler(0).mov(ax, "label").finish(), /an address needs four bytes/);
  });
});
