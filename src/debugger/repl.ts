/*
 * The Debug Console: expressions, and a few commands that people know from gdb. `help` explains them; a command that is
 * wrong says how it is written. One table: name, usage, what it does, and the function.
 */
import { groupDigits, hex } from "../base";
import { stripped, structDefinition, typeName } from "../dwarf";
import type { Debugger } from "./debugger";
import { notAnAddress, UserError } from "./errors";
import { addressText, evaluate, formatValue, integerOf, parseExpression, splitForm, type Value } from "./expressions";
import type { FrameScope } from "./frame-scope";
import { decodeDescriptor, decodeGate, descriptorText } from "./inspection/descriptors";
import { registersState } from "./inspection/registers-view";
import { translate } from "./inspection/translate";
import { placeText } from "./symbols";
import { type MemoryPlace, parseReference } from "./target-memory";
import { parseFilter } from "./traps";

interface Command {
  readonly name: string;
  readonly usage: string;
  readonly help: string;
  readonly run: (dbg: Debugger, rest: string, scope: FrameScope, suffix: string) => string;
}

const COMMANDS: readonly Command[] = [
  { name: "help", usage: "help", help: "This text.", run: () => helpText() },
  {
    name: "x",
    usage: "x/16xw ADDRESS",
    help: "Memory: count, form (x d u o t c s i) and size (b h w). gpa:0x1000 and hpa:0x1000 are physical.",
    run: examine,
  },
  {
    name: "print",
    usage: "print/x EXPRESSION",
    help: "Value of an expression, as without the word; p for short.",
    run: print,
  },
  { name: "p", usage: "p/x EXPRESSION", help: "The same.", run: print },
  {
    name: "info",
    usage:
      "info registers | gdt | idt | traps [FILTER] | page ADDRESS | symbol ADDRESS | line ADDRESS | breakpoints | hypervisor",
    help: "What there is.",
    run: info,
  },
  { name: "ptype", usage: "ptype TYPE or EXPRESSION", help: "A type, with its members.", run: ptype },
  {
    name: "bt",
    usage: "bt",
    help: "The stack, across worlds.",
    run: (dbg) =>
      dbg
        .stackFrames()
        .map((frame, i) => frameText(i, frame))
        .join("\n"),
  },
  {
    name: "set",
    usage: "set EXPRESSION = VALUE",
    help: "Assigns; the same as the expression alone.",
    run: (_, rest, scope) => valueText(evaluateText(rest.replace(/^var\s+/, ""), scope)),
  },
  { name: "disassemble", usage: "disassemble/8 [ADDRESS]", help: "Instructions; disas for short.", run: disassemble },
  { name: "disas", usage: "disas/8 [ADDRESS]", help: "The same.", run: disassemble },
];
const HIDDEN = new Set(["p", "disas"]);

/**
 * What a line typed by a person gives. A value when it was an expression, text when it was a command. @throws
 * UserError.
 */
export function runLine(
  dbg: Debugger,
  line: string,
  scope: FrameScope,
): { value: Value; form: ReturnType<typeof splitForm>["form"] } | { text: string } {
  const command = /^\s*([a-z]+)(\/\w*)?(?:\s+([\s\S]*))?$/i.exec(line);
  const found = command && COMMANDS.find(({ name }) => name === command[1].toLowerCase());
  // A variable may have the name of a command: `x` alone, `x = 3` and `p->next` are expressions.
  const rest = command?.[3]?.trim() ?? "";
  const isExpression =
    command !== null &&
    command[2] === undefined &&
    (rest === "" ? found?.name === "x" || found?.name === "p" : /^(?:[-+*/%&|^]?=|->|\.|\[)/.test(rest));
  if (found && !isExpression) return { text: found.run(dbg, rest, scope, command?.[2]?.slice(1) ?? "") };
  const { text, form } = splitForm(line);
  return { value: evaluateText(text, scope), form };
}

/** Words that can begin a line, for completions. */
export function commandNames(): readonly string[] {
  return COMMANDS.map(({ name }) => name);
}

function helpText(): string {
  const lines = COMMANDS.filter(({ name }) => !HIDDEN.has(name)).map(({ usage, help }) => `  ${usage}\n      ${help}`);
  return [
    "Anything in C is evaluated in the chosen frame:",
    "  counter          a variable          file.c::counter  the one of that file",
    "  eax, $eip        a register          irq_enabled      what the guest believes",
    "  *(struct page *)0xC0104000           list->next->size, table[3], array@10 (elements from here on)",
    "  x = 5            assigns             value,x          in hexadecimal (also d o b c s)",
    "Commands:",
    ...lines,
  ].join("\n");
}

function evaluateText(text: string, scope: FrameScope): Value {
  return evaluate(parseExpression(text, scope.isTypeName), scope);
}

function valueText(value: Value): string {
  return formatValue(value);
}

function print(_dbg: Debugger, rest: string, scope: FrameScope, suffix: string): string {
  const { text, form } = splitForm(suffix === "" ? rest : `${rest},${suffix}`);
  return formatValue(evaluateText(text, scope), form);
}

/** An address with its space: a reference, or an expression for a linear one. */
export function addressOfText(text: string, scope: FrameScope): MemoryPlace {
  const reference = parseReference(text);
  if (reference !== undefined) return reference;
  const physical = /^\s*(gpa|hpa):(.*)$/i.exec(text);
  const value = evaluateText(physical?.[2] ?? text, scope);
  const kind = stripped(value.node.type).kind;
  const address = kind === "struct" ? value.node.address : Number(BigInt.asUintN(32, integerOf(value)));
  if (address === undefined) throw notAnAddress(text);
  return { space: (physical?.[1].toLowerCase() as "gpa" | "hpa" | undefined) ?? "linear", address };
}

const UNITS: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4 };
const MAX_UNITS = 4096;

function examine(dbg: Debugger, rest: string, scope: FrameScope, suffix: string): string {
  const match = /^(\d*)([xduotcsi]?)([bhw]?)([xduotcsi]?)$/.exec(suffix);
  if (match === null || rest === "")
    throw new UserError("Write x/16xw ADDRESS: how many, in which form (x d u o t c s i), of which size (b h w).");
  const form = match[2] || match[4] || "x";
  const count = Math.min(MAX_UNITS, Number(match[1] || 1));
  const place = addressOfText(rest, scope);
  if (form === "i") return disassemble(dbg, rest, scope, String(count));
  const { memory, symbols } = dbg.session;
  if (form === "s") return strings(dbg, place, count);
  const size = form === "c" ? 1 : UNITS[match[3] || "w"];
  const bytes = memory.read(place.space, place.address, count * size);
  const perLine = form === "t" ? 2 : Math.min(8, 16 / size);
  const lines: string[] = [];
  for (let i = 0; i < count; i += perLine) {
    const address = (place.address + i * size) >>> 0;
    const symbol = place.space === "linear" ? symbols.nameOf(address) : undefined;
    const units = Array.from({ length: Math.min(perLine, count - i) }, (_, k) =>
      unitText(bytes, (i + k) * size, size, form),
    );
    lines.push(`${hex(address)}${symbol ? ` <${symbol}>` : ""}: ${units.join(" ")}`);
  }
  return lines.join("\n");
}

function unitText(bytes: Uint8Array, at: number, size: number, form: string): string {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  switch (form) {
    case "d":
      return String(value >= 2 ** (size * 8 - 1) ? value - 2 ** (size * 8) : value);
    case "u":
      return String(value);
    case "o":
      return `0${value.toString(8)}`;
    case "t":
      return value.toString(2).padStart(size * 8, "0");
    case "c":
      return value >= 32 && value < 127 ? `'${String.fromCharCode(value)}'` : `\\x${hex(value, 2)}`;
    default:
      return hex(value, size * 2);
  }
}

function strings(dbg: Debugger, place: MemoryPlace, count: number): string {
  const lines: string[] = [];
  let { address } = place;
  for (let i = 0; i < count; i++) {
    const bytes = dbg.session.memory.readSome(place.space, address, 256);
    if (bytes.length === 0) throw new UserError(`${hex(address)} cannot be read.`);
    const zero = bytes.indexOf(0);
    const text = String.fromCharCode(...(zero < 0 ? bytes : bytes.subarray(0, zero)));
    lines.push(`${hex(address)}: ${JSON.stringify(text)}${zero < 0 ? "..." : ""}`);
    address = (address + text.length + 1) >>> 0;
  }
  return lines.join("\n");
}

function disassemble(dbg: Debugger, rest: string, scope: FrameScope, suffix: string): string {
  const count = Math.min(MAX_UNITS, Number(/\d+/.exec(suffix)?.[0] ?? 8));
  const { symbols, disassembler, registers } = dbg.session;
  const address = rest === "" ? (scope.frame?.pc ?? registers.current().eip) : addressOfText(rest, scope).address;
  return disassembler
    .lines(address, 0, count)
    .map((line) => `${hex(line.address)} ${(symbols.nameOf(line.address) ?? "").padEnd(20)} ${line.text}`)
    .join("\n");
}

function info(dbg: Debugger, rest: string, scope: FrameScope): string {
  const [topic, ...others] = rest.split(/\s+/);
  const argument = others.join(" ");
  const { vm, registers, symbols, queries } = dbg.session;
  switch (topic) {
    case "registers":
    case "reg":
    case "r":
      return registersState(vm, registers, symbols)
        .groups.flatMap(({ rows }) => rows)
        .filter(({ name }) => argument === "" || name.toLowerCase() === argument.replace(/^\$/, "").toLowerCase())
        .map((row) =>
          `${row.name.padEnd(18)} ${row.wide !== undefined ? groupDigits(Number(`0x${row.wide}`)) : hex(row.value, Math.max(1, row.bits / 4))}  ${row.location?.symbol ? placeText(row.location).slice(9) : (row.meaning ?? "")}`.trimEnd(),
        )
        .join("\n");
    case "gdt":
      return vm
        .gdt()
        .entries.filter(({ cpu }) => cpu.low !== 0 || cpu.high !== 0)
        .map(
          ({ index, cpu, role, why }) =>
            `${String(index).padStart(2)} ${hex(index * 8, 4)} ${(role ?? "-").padEnd(16)} ${descriptorText(decodeDescriptor(cpu.low, cpu.high))}${why ? `  (${why})` : ""}`,
        )
        .join("\n");
    case "idt":
      return idtText(dbg);
    case "traps": {
      const filter = argument === "" ? [] : parseFilter(argument);
      const { entries, matching } = queries.query({ filter, count: -20 });
      const rows = entries.map(({ entry }) => {
        const name =
          entry.hypercall === undefined
            ? entry.name
            : `${entry.hypercall.name}(${entry.hypercall.args.map((value) => hex(value)).join(", ")})`;
        return `${String(entry.n).padStart(8)} ${groupDigits(entry.instructionCount).padStart(14)} ${entry.world.padEnd(5)} ${name.padEnd(34)} ${placeText(symbols.locate(entry.eip))}  ${entry.outcome ?? ""}`;
      });
      return [...rows, `${rows.length} of ${groupDigits(matching)} entries`].join("\n");
    }
    case "page": {
      const walk = translate(vm, addressOfText(argument || "eip", scope).address);
      const steps = (name: string, list: typeof walk.guestWalk): string =>
        `${name}: ${list.map((step) => `${step.level}[${step.index}] = ${step.entry === null ? "?" : hex(step.entry)}`).join(" -> ") || "no table"}`;
      const accesses = walk.accesses.map(
        ({ ring, access, result, why }) => `  ring ${ring} ${access.padEnd(8)} ${result.padEnd(12)} ${why}`,
      );
      return [walk.why, steps("guest ", walk.guestWalk), steps("shadow", walk.shadowWalk), ...accesses].join("\n");
    }
    case "symbol":
    case "line":
      return placeText(symbols.locate(addressOfText(argument || "eip", scope).address));
    case "breakpoints":
      return (
        dbg.breakpoints.all
          .map(
            (b) =>
              `${b.id} ${b.kind} ${b.path || ("name" in b.request ? b.request.name : "")}${b.line ? `:${b.line}` : ""} ${b.places.map(({ address }) => hex(address)).join(" ")} ${b.message ?? ""} (${b.hits} hits)`,
          )
          .join("\n") || "There are none."
      );
    case "hypervisor":
      return hypervisorText(dbg);
    default:
      throw new UserError(`Write ${COMMANDS.find(({ name }) => name === "info")!.usage}.`);
  }
}

function hypervisorText(dbg: Debugger): string {
  const state = dbg.session.vm.state();
  const rows: [string, unknown][] = [
    ["ABI", state.abi],
    ["initialised", state.isInitialised ? "yes" : "no"],
    ["halted", state.isHalted ? "yes" : "no"],
    ["irq_enabled", hex(state.irqEnabled)],
    ["pending", hex(state.pendingInterrupts)],
    ["blocked", hex(state.blockedInterrupts)],
    ["shadow slot", state.currentSlot],
    ["timer", state.timerDueAt === null ? "off" : `due at instruction ${groupDigits(state.timerDueAt)}`],
    ["last exit", state.lastExit === null ? "none" : `${state.lastExit.name} at ${hex(state.lastExit.eip)}`],
  ];
  return rows.map(([name, value]) => `${name.padEnd(14)} ${String(value)}`).join("\n");
}

function idtText(dbg: Debugger): string {
  const { vm, symbols, log } = dbg.session;
  const rows: string[] = [];
  let last = "";
  for (const entry of vm.idt().entries) {
    const guest = entry.guest === null ? undefined : decodeGate(entry.guest.low, entry.guest.high);
    const count = log.vectorCounts[entry.index];
    const text = `${(entry.name ?? "").padEnd(18)} ${guest?.present ? placeText(symbols.locate(guest.offset)) : "(none)"}  ${entry.delivery}: ${entry.why}${count ? ` · ${count} times` : ""}`;
    const key = text.replace(/^.{18}/, "");
    if (key === last) continue;
    last = key;
    rows.push(`${String(entry.index).padStart(3)} ${text}`);
  }
  return rows.join("\n");
}

function ptype(_dbg: Debugger, rest: string, scope: FrameScope): string {
  const tagged = /^(struct|union|enum)\s+(\w+)$/.exec(rest);
  const type = tagged
    ? scope.type(tagged[2], tagged[1] as "struct")
    : (scope.type(rest) ?? evaluateText(rest, scope).node.type);
  if (type === undefined) throw new UserError(`There is no type "${rest}".`);
  const inner = stripped(type);
  if (inner.kind === "struct") return structDefinition(inner);
  if (inner.kind === "enum")
    return `enum ${inner.name ?? ""} {\n${inner.enumerators.map((e) => `  ${e.name} = ${e.value},`).join("\n")}\n}`;
  return formatType(type);
}

function formatType(type: Parameters<typeof stripped>[0]): string {
  return type.kind === "typedef" ? `${type.name} = ${formatType(type.target)}` : typeName(type);
}

function frameText(index: number, frame: ReturnType<Debugger["stackFrames"]>[number]): string {
  if (frame.kind === "separator") return `    -- ${frame.name} --`;
  const where =
    frame.kind === "host"
      ? "host"
      : `${addressText(frame.pc)}${frame.place?.line ? ` ${frame.place.path?.replace(/^.*\//, "")}:${frame.place.line}` : ""}`;
  return `#${index}  ${frame.name}  ${where}`;
}
