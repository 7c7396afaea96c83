// What our grammars colour: lines as people write them, with the scope of each part.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "mocha";
import { compile, expressionsOf, readGrammar, tokenize } from "./tokenize";

/** `text/scope` of each token, the scope without its last part (`.asm`, `.ld`). */
function scopes(grammar: string, text: string): string[] {
  return tokenize(readGrammar(grammar), text).map((token) => `${token.text}/${token.scope.replace(/\.[\w-]+$/, "")}`);
}

describe("the grammar of GNU assembly", () => {
  it("colours AT&T syntax", () => {
    assert.deepEqual(scopes("gas", "1:  movl $0x1000, %eax   # the command line"), [
      "1/entity.name.function.label",
      ":/punctuation.separator.label",
      "movl/keyword.mnemonic",
      "$0x1000/constant.numeric.hex",
      "%eax/variable.language.register",
      "# the command line/comment.line",
    ]);
  });

  it("tells the guest's special instructions from others", () => {
    assert.deepEqual(scopes("gas", "vmcall; hlt; iret; int $0x1f"), [
      "vmcall/keyword.control.hypercall",
      "hlt/keyword.other.privileged",
      "iret/keyword.control.flow",
      "int/keyword.control.flow",
      "$0x1f/constant.numeric.hex",
    ]);
  });

  it("knows directives, macros and the C preprocessor", () => {
    assert.deepEqual(
      scopes("gas", '#include <ring1/traps.h>\n.global start\n.macro stub n\npushl \\n\n.ascii "a\\n"'),
      [
        "#include/keyword.control.directive",
        "<ring1/traps.h>/entity.name.other.preprocessor",
        ".global/keyword.directive",
        "start/entity.name.function",
        ".macro/keyword.directive.macro",
        "stub/entity.name.function.macro",
        "pushl/keyword.mnemonic",
        "\\n/variable.parameter.macro",
        ".ascii/keyword.directive",
        '"/string.quoted.double',
        "a/string.quoted.double",
        "\\n/constant.character.escape",
        '"/string.quoted.double',
      ],
    );
  });

  it("changes to Intel syntax and back", () => {
    assert.deepEqual(
      scopes("gas", ".intel_syntax noprefix\nmov eax, dword ptr [esp+4]\n.att_syntax\nmovl (%esp), %eax"),
      [
        ".intel_syntax/keyword.directive.syntax",
        "noprefix/keyword.directive.syntax",
        "mov/keyword.mnemonic",
        "eax/variable.language.register",
        ",/meta.intel-syntax",
        "dword ptr/storage.type.size",
        "[/meta.intel-syntax",
        "esp/variable.language.register",
        "+/meta.intel-syntax",
        "4/constant.numeric.decimal",
        "]/meta.intel-syntax",
        ".att_syntax/keyword.directive.syntax",
        "movl/keyword.mnemonic",
        "%esp/variable.language.register",
        "%eax/variable.language.register",
      ],
    );
  });

  it("a block comment goes over lines", () => {
    assert.deepEqual(scopes("gas", "/* one\n movl two */ ret"), [
      "/*/comment.block",
      "one/comment.block",
      "movl two/comment.block",
      "*//comment.block",
      "ret/keyword.control.flow",
    ]);
  });
});

describe("the grammar of NASM", () => {
  it("colours labels, data, sizes and numbers", () => {
    assert.deepEqual(scopes("nasm", "start: mov dword [eax+0FFh], 'x' ; note\n.msg db `a\\n`, 0b101"), [
      "start/entity.name.function.label",
      ":/punctuation.separator.label",
      "mov/keyword.mnemonic",
      "dword/storage.type.size",
      "eax/variable.language.register",
      "0FFh/constant.numeric.hex",
      "'x'/string.quoted.single",
      "; note/comment.line",
      "db/storage.type.data",
      "`/string.quoted.other",
      "a/string.quoted.other",
      "\\n/constant.character.escape",
      "`/string.quoted.other",
      "0b101/constant.numeric.binary",
    ]);
  });

  it("knows macros and directives", () => {
    assert.deepEqual(scopes("nasm", "%macro stub 1\nbits 32\nglobal start\npush %1"), [
      "%macro/keyword.control.directive",
      "stub/entity.name.function.macro",
      "1/constant.numeric.decimal",
      "bits/keyword.directive",
      "32/constant.numeric.decimal",
      "global/keyword.directive",
      "start/entity.name.function",
      "push/keyword.mnemonic",
      "%1/variable.parameter.macro",
    ]);
  });
});

describe("the grammar of linker scripts", () => {
  it("colours sections, symbols, functions and sizes", () => {
    const script = ".text : AT(ADDR(.text) - BASE) { *(.text.start) } :text\n. = ALIGN(4K);";
    assert.deepEqual(scopes("linker-script", script), [
      ".text/entity.name.section",
      ":/keyword.operator",
      "AT/keyword.other",
      "ADDR/support.function",
      ".text/entity.name.section",
      "-/keyword.operator",
      "*/keyword.operator",
      ".text.start/entity.name.section",
      ":/keyword.operator",
      "./variable.other.assignment",
      "=/keyword.operator.assignment",
      "ALIGN/support.function",
      "4K/constant.numeric",
    ]);
  });

  it("knows the commands of our own linker script", () => {
    const script = readFileSync(join("media", "guests", "kernel.ld"), "utf8");
    const commands = tokenize(readGrammar("linker-script"), script).filter(({ scope }) =>
      scope.startsWith("keyword.control.command"),
    );
    assert.deepEqual([...new Set(commands.map(({ text }) => text))].sort(), [
      "ENTRY",
      "OUTPUT_ARCH",
      "OUTPUT_FORMAT",
      "PHDRS",
      "SECTIONS",
    ]);
  });
});

describe("the grammars of what we write ourselves", () => {
  it("a disassembly has addresses, bytes, labels and instructions", () => {
    assert.deepEqual(
      scopes("disassembly", "kernel_main:\n; main.c:57\nC0100123  B8 2A 00 00 00            mov eax, 2Ah"),
      [
        "kernel_main/entity.name.function.label",
        ":/punctuation.separator.label",
        "; main.c:57/comment.line.source",
        "C0100123/constant.other.address",
        "B8 2A 00 00 00/comment.bytes",
        "mov/keyword.mnemonic",
        "eax/variable.language.register",
        "2Ah/constant.numeric.hex",
      ],
    );
  });

  it("a trap log has worlds, outcomes and names", () => {
    const line = '{"n":7,"world":"guest","name":"#PF","outcome":"killed","cost":null}';
    const tokens = tokenize(readGrammar("trap-log"), line).map(({ text, scope }) => `${text} ${scope}`);
    assert.ok(tokens.includes('"guest" constant.language.world.trap-log'), tokens.join("\n"));
    assert.ok(tokens.includes('"#PF" entity.name.function.trap-log'));
    assert.ok(tokens.includes('"killed" invalid.killed.trap-log'));
    assert.ok(tokens.includes("7 constant.numeric.json"));
  });
});

describe("all grammars", () => {
  const names = readdirSync("syntaxes")
    .filter((name) => name.endsWith(".tmLanguage.json"))
    .map((name) => name.replace(".tmLanguage.json", ""));

  it("have expressions that compile and match no empty text", () => {
    for (const name of names) {
      for (const expression of expressionsOf(readGrammar(name))) {
        const compiled = compile(expression);
        assert.notEqual(compiled.exec("")?.[0], "", `${name}: ${expression}`);
      }
    }
  });

  it("know the assembly of our own samples", () => {
    const lib = join("media", "guests", "lib");
    for (const file of readdirSync(lib).filter((name) => name.endsWith(".S"))) {
      const tokens = tokenize(readGrammar("gas"), readFileSync(join(lib, file), "utf8"));
      assert.ok(tokens.length > 20, `${file}: ${tokens.length} tokens`);
    }
  });
});
