// What gcc and clang write, at several optimisation levels and in all DWARF versions, read by us and compared with what
// gdb and readelf made of the same files (test/dwarf/fixtures/README.md tells how those were recorded).
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "mocha";
import { type Dwarf, type FrameContext, I386_REGISTERS, openDwarf, stripped, type ValueNode } from "../../src/dwarf";
import { RowFlag } from "../../src/dwarf/line-program";
import type { Lines } from "../../src/dwarf/lines";
import type { UnitList } from "../../src/dwarf/unit-list";
import { openElf } from "../../src/elf";

const FOLDER = join(__dirname, "../../../test/dwarf/fixtures");

type Canonical = string | readonly (Canonical | readonly [string, Canonical])[];

interface GoldenFrame {
  name: string;
  inlined: boolean;
  pc: number;
  line: number;
  file: string;
  registers: Record<string, number | string>;
  variables: Record<string, { type: string; value: Canonical }>;
}

interface Golden {
  lines: Record<string, Record<string, number[]>>;
  breakpoints: Record<string, number[]>;
  layouts: Record<string, [string, number, number, string, number][]>;
  globals: Record<string, { type: string; size: number; value: Canonical }>;
  stops: { frames: GoldenFrame[]; memory: [number, string][] }[];
  addresses: [number, number, string | null][];
  end: number;
}

function load(name: string) {
  const elf = openElf(readFileSync(join(FOLDER, `${name}.elf`)));
  const golden = JSON.parse(readFileSync(join(FOLDER, `${name}.gdb.txt`), "utf8")) as Golden;
  return { elf, golden, dwarf: openDwarf(elf) };
}

/** A value in the form in which record.py wrote gdb's. */
function canonical(node: ValueNode): Canonical {
  const t = stripped(node.type);
  if (/^<optimized out/.test(node.text)) return "<optimized out>";
  if (t.kind === "struct") return node.children().map((c) => [c.name.startsWith("(") ? "" : c.name, canonical(c)]);
  if (t.kind === "array") return node.children(0, 12).map(canonical);
  if (t.kind === "base" && t.encoding === "float") return node.text;
  const number = node.number;
  if (!number.ok) return `<${number.reason}>`;
  return t.kind === "pointer" ? `0x${number.value.toString(16)}` : `${number.value}`;
}

/** gdb spells a float's value with a double's digits; numbers are compared as numbers. */
function normalise(value: Canonical): unknown {
  if (typeof value !== "string") return value.map((v) => normalise(v as Canonical));
  if (/^<.*memory/i.test(value)) return "<memory>";
  if (value.startsWith("<optimized out")) return "<optimized out>";
  return /^-?\d*\.\d+$/.test(value) ? Math.fround(Number(value)) : value;
}

/** gdb has its own spellings of C's base types. */
function names(type: string): string {
  return type
    .replaceAll(/\b(short|long) int\b/g, "$1")
    .replace(/\b(short|long long) unsigned int\b/, "unsigned $1")
    .replace("[variable length]", "[]");
}

/** The machine as it was recorded. */
function memoryOf(stop: Golden["stops"][number], image: (address: number, length: number) => Uint8Array | undefined) {
  const parts = stop.memory.map(([address, hex]) => ({ address, bytes: Buffer.from(hex, "hex") }));
  return (address: number, length: number): Uint8Array | undefined => {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      const at = address + i;
      const part = parts.find((p) => at >= p.address && at < p.address + p.bytes.length);
      const byte = part ? part.bytes[at - part.address] : at < 0x0900_0000 ? image(at, 1)?.[0] : undefined;
      if (byte === undefined) return undefined;
      out[i] = byte;
    }
    // Parts that are all zero were not written down, so .data and .bss start from zero where no part says otherwise.
    return out;
  };
}

/** All frames by call frame information, as the debugger will walk them. */
function walk(dwarf: Dwarf, stop: Golden["stops"][number], readMemory: FrameContext["readMemory"]): FrameContext[] {
  const make = (registers: ReadonlyMap<number, number>, pc: number): FrameContext => {
    const frame: FrameContext = {
      pc,
      readMemory,
      register: (n) => registers.get(n),
      caller: () => {
        const up = dwarf.unwind(frame);
        if (!up.ok || !up.value.returnAddress) return undefined;
        return make(up.value.registers, up.value.returnAddress - 1);
      },
    };
    return frame;
  };
  const first = stop.frames[0].registers;
  const registers = new Map<number, number>();
  I386_REGISTERS.forEach((name, n) => {
    if (typeof first[name] === "number") registers.set(n, first[name]);
  });
  const frames = [make(registers, stop.frames[0].pc)];
  while (frames.length < 12) {
    const caller = frames[frames.length - 1].caller?.();
    if (!caller || !dwarf.functionAt(caller.pc)) break;
    frames.push(caller);
  }
  return frames;
}

const fixtures = readdirSync(FOLDER)
  .filter((f) => f.endsWith(".elf") && existsSync(join(FOLDER, f.replace(".elf", ".gdb.txt"))))
  .map((f) => f.replace(".elf", ""));

for (const name of fixtures) {
  describe(`DWARF fixture ${name}`, function () {
    this.timeout(30_000);
    const { elf, golden, dwarf } = load(name);

    it("has nothing to complain about", () => {
      dwarf.sourceFiles();
      while (!dwarf.names.step());
      assert.deepEqual(dwarf.problems, []);
      assert.equal(dwarf.summary().noLines, undefined);
    });

    it("gives the rows that readelf decodes", () => {
      const { lines, list } = dwarf as unknown as { lines: Lines; list: UnitList };
      const ours: string[] = [];
      for (const unit of list.units) {
        const table = lines.tableOf(unit);
        if (!table) continue;
        const rows = table.rows();
        for (let i = 0; i < rows.count; i++) {
          const file = table.header.files[rows.files[i]]?.name ?? "?";
          const isEnd = (rows.flags[i] & RowFlag.endSequence) !== 0;
          const line = isEnd ? "-" : rows.lines[i];
          const isStmt = !isEnd && rows.flags[i] & RowFlag.isStmt ? "x" : "";
          ours.push(`${file.split("/").pop()} ${line} 0x${rows.addresses[i].toString(16)} ${isStmt}`);
        }
      }
      const theirs = readFileSync(join(FOLDER, `${name}.lines.txt`), "utf8")
        .trimEnd()
        .split("\n");
      assert.deepEqual(
        ours.map((l) => l.trim()),
        theirs.map((l) => l.trim()),
      );
    });

    it("finds the line of each address that gdb finds", () => {
      const runs: [number, number, string | null][] = [];
      for (let address = golden.addresses[0][0]; address < golden.end; address++) {
        const line = dwarf.lineAt(address);
        const answer: [number, string | null] = line.ok ? [line.value.line, line.value.file.name] : [0, null];
        const last = runs[runs.length - 1];
        if (!last || last[1] !== answer[0] || last[2] !== answer[1]) runs.push([address, ...answer]);
      }
      assert.deepEqual(
        runs,
        golden.addresses.map(([a, l, f]) => [a, l, l === 0 ? null : f]),
      );
    });

    it("finds the addresses of each line that gdb finds", () => {
      const ours: Record<string, Record<string, number[]>> = {};
      for (const [file, lines] of Object.entries(golden.lines)) {
        ours[file] = {};
        for (let line = 1; line < 160; line++) {
          const found = dwarf.addressesOf(file, line);
          if (!found.ok || found.value.isSnapped) continue;
          // A call of an inlined function has a row that the function's own first row covers. gdb does not count it;
          // we do, so that such a line can have a breakpoint.
          const start = dwarf.lineAt(found.value.addresses[0].start);
          if (!lines[line] && start.ok && start.value.file.name !== file) continue;
          ours[file][line] = found.value.addresses.map((a) => a.start).sort((a, b) => a - b);
        }
        assert.deepEqual(ours[file], lines, file);
      }
    });

    it("stops functions where gdb does", () => {
      const ours = Object.keys(golden.breakpoints).map((fn) => {
        return [fn, dwarf.functionBreakpoints(fn).map((p) => p.address)];
      });
      assert.deepEqual(Object.fromEntries(ours), golden.breakpoints);
    });

    it("lays out structures as gdb does", () => {
      for (const [type, fields] of Object.entries(golden.layouts)) {
        const t = stripped(dwarf.typesNamed(type)[0]);
        assert.equal(t.kind, "struct");
        if (t.kind !== "struct") continue;
        const ours = t.members.map((m) => [m.name ?? "", m.byteOffset * 8 + (m.bitOffset ?? 0), m.bitSize ?? 0]);
        assert.deepEqual(
          ours,
          fields.map((f) => f.slice(0, 3)),
          type,
        );
      }
    });

    it("reads global variables of every type", () => {
      const stop = golden.stops[golden.stops.length - 1];
      const readMemory = memoryOf(stop, (a, n) => elf.bytesAtAddress(a, n));
      const frame: FrameContext = { pc: stop.frames[0].pc, register: () => undefined, readMemory };
      for (const [variable, expected] of Object.entries(golden.globals)) {
        const [found] = dwarf.globalsNamed(variable, frame.pc);
        assert.ok(found, variable);
        const node = dwarf.valueOf(found, frame);
        assert.equal(names(node.typeName), names(expected.type), variable);
        assert.equal(node.byteSize, expected.size, variable);
        assert.deepEqual(normalise(canonical(node)), normalise(expected.value), variable);
      }
    });

    golden.stops.forEach((stop, index) => {
      it(`walks the stack and reads the variables at stop ${index} in ${stop.frames[0].name}`, () => {
        const readMemory = memoryOf(stop, (a, n) => elf.bytesAtAddress(a, n));
        const contexts = walk(dwarf, stop, readMemory);
        const ours = contexts.flatMap((context) => dwarf.framesAt(context.pc).map((frame) => ({ frame, context })));
        assert.deepEqual(
          ours.map(({ frame }) => [frame.name, frame.isInlined, frame.position?.line]),
          stop.frames.map((f) => [f.name, f.inlined, f.line]),
        );
        ours.forEach(({ frame, context }, i) => {
          const expected = stop.frames[i];
          for (const register of ["esp", "ebp", "ebx", "esi", "edi"]) {
            const value = context.register(I386_REGISTERS.indexOf(register));
            assert.equal(value, expected.registers[register], `${frame.name}: ${register}`);
          }
          const variables = dwarf.variablesOf(frame, context.pc).filter((v) => !v.isShadowed);
          assert.deepEqual(variables.map((v) => v.name).sort(), Object.keys(expected.variables).sort(), frame.name);
          for (const variable of variables) {
            const node = dwarf.valueOf(variable, context);
            const { type, value } = expected.variables[variable.name];
            assert.equal(names(node.typeName), names(type), `${frame.name}: ${variable.name}`);
            // gdb takes it that calls change no register; we say that we do not know. It has no value for a pointer
            // that was optimized out, even where it knows what it would point to.
            if (/is not known in this frame|points to/.test(node.text)) continue;
            assert.deepEqual(
              normalise(canonical(node)),
              normalise(value),
              `${frame.name}: ${variable.name}: ${node.text}`,
            );
          }
        });
      });
    });
  });
}
