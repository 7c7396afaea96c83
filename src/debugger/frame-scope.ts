/*
 * What names mean in a frame: its variables first, then globals, enumerators, symbols, and registers as they were in
 * that frame. Trap conditions put the trap's own names (`vector`, `cr2`, `arg1`) in front of all these.
 */
import {
  ArrayType,
  type FrameContext,
  FunctionType,
  I386_REGISTERS,
  type Type,
  type ValueOptions,
  type Variable,
  VOID,
  type Write,
} from "../dwarf";
import { nearestNames, UserError } from "./errors";
import {
  type Cell,
  pointerTo,
  type Scope,
  UNSIGNED,
  UNSIGNED_CHAR,
  UNSIGNED_LONG_LONG,
  UNSIGNED_SHORT,
  type Value,
  ValueFactory,
} from "./expressions";
import type { RegisterCell, Registers } from "./registers";
import type { StackFrame } from "./stack";
import type { Image, Symbols } from "./symbols";
import type { TargetMemory } from "./target-memory";

const CODE = new FunctionType(
  () => VOID,
  () => [],
  false,
  false,
);
const UNTYPED: Readonly<Record<number, Type>> = {
  1: UNSIGNED_CHAR,
  2: UNSIGNED_SHORT,
  4: UNSIGNED,
  8: UNSIGNED_LONG_LONG,
};

/** What is known of data without debug information is its size. */
function untyped(size: number): Type {
  return UNTYPED[size] ?? (size === 0 ? UNSIGNED : new ArrayType(() => UNSIGNED_CHAR, size, 0, undefined, false));
}

const MAX_SUGGESTIONS_FROM = 20_000;

/** Names in a frame; without one, those that mean something everywhere. */
export class FrameScope implements Scope {
  readonly values: ValueFactory;
  private readonly image: Image | undefined;
  private readonly linkedPc: number;
  private readonly context: FrameContext;

  constructor(
    readonly frame: StackFrame | undefined,
    private readonly symbols: Symbols,
    private readonly memory: TargetMemory,
    private readonly registers: Registers,
    /** Told of each change, so that views are refreshed. */
    private readonly onChange: (change: Write) => void = () => {},
    /** Names that hide all others. */
    private readonly extra: ReadonlyMap<string, Cell> = new Map(),
  ) {
    this.context = frame?.context ?? {
      pc: 0,
      register: () => undefined,
      readMemory: (address, length) => memory.readSome("linear", address, length),
    };
    const found = frame === undefined ? undefined : symbols.imageAt(frame.lookupPc);
    this.image = found?.image;
    this.linkedPc = found?.linked ?? 0;
    this.values = new ValueFactory(this.context, this.options);
  }

  get options(): ValueOptions {
    return { symbolize: (address) => this.symbols.nameOf(address) };
  }

  register(name: string): Value | undefined {
    const extra = this.extra.get(name.toLowerCase());
    if (extra !== undefined) return this.values.cell(extra, UNSIGNED);
    const inFrame = this.callersRegister(name.toLowerCase());
    const cell = inFrame ?? this.registers.find(name);
    if (cell === undefined) return undefined;
    if (cell.isAddress) return this.values.cell(cell, cell.name === "eip" ? pointerTo(CODE) : pointerTo(VOID));
    return this.values.cell(
      cell,
      cell.bits <= 8
        ? UNSIGNED_CHAR
        : cell.bits <= 16
          ? UNSIGNED_SHORT
          : cell.bits <= 32
            ? UNSIGNED
            : UNSIGNED_LONG_LONG,
    );
  }

  lookup(name: string, file?: string): Value | undefined {
    if (file !== undefined) return this.inFile(name, file);
    if (this.extra.has(name.toLowerCase())) return this.register(name);
    return this.local(name) ?? this.global(name) ?? this.enumerator(name) ?? this.symbol(name);
  }

  type(name: string, tag?: "struct" | "union" | "enum"): Type | undefined {
    const wanted = tag === undefined ? name : `${tag} ${name}`;
    for (const image of this.imagesInOrder()) {
      const types = image.dwarf.typesNamed(wanted);
      // Without a tag C means a typedef or a base type; C++ and Rust mean any.
      const best = types.find((type) => type.kind === "typedef" || type.kind === "base") ?? types[0];
      if (best !== undefined) return best;
    }
    return undefined;
  }

  write(changes: readonly Write[]): void {
    for (const change of changes) {
      if (change.kind === "memory") this.memory.write("linear", change.address, change.bytes);
      else this.writeRegister(change.name, change.value);
      this.onChange(change);
    }
  }

  suggest(name: string): readonly string[] {
    const names = new Set<string>(this.variables().map((variable) => variable.name));
    for (const cell of this.registers.all()) names.add(cell.name);
    for (const symbol of this.symbols.allNames()) {
      if (names.size > MAX_SUGGESTIONS_FROM) break;
      names.add(symbol);
    }
    return nearestNames(name, names);
  }

  /** Arguments and locals of the frame. */
  variables(): readonly Variable[] {
    if (this.frame?.fn === undefined || this.image === undefined) return [];
    return this.image.dwarf.variablesOf(this.frame.fn, this.linkedPc);
  }

  /** File-level variables around the frame. */
  globals(): readonly Variable[] {
    return this.image?.dwarf.globalsAt(this.linkedPc) ?? [];
  }

  /** A variable's value in this frame. */
  valueOf(variable: Variable): Value {
    return { node: this.image!.dwarf.valueOf(variable, this.context, this.options) };
  }

  isTypeName = (name: string): boolean => {
    if (this.local(name) !== undefined) return false;
    return this.type(name) !== undefined || /^u?int\d+_t$|^[us](?:8|16|32|64)$/.test(name);
  };

  private local(name: string): Value | undefined {
    const variable = this.variables().find((v) => v.name === name && !v.isShadowed);
    return variable && this.valueOf(variable);
  }

  private global(name: string): Value | undefined {
    for (const image of this.imagesInOrder()) {
      const [variable] = image.dwarf.globalsNamed(name, image === this.image ? this.linkedPc : undefined);
      if (variable !== undefined) return { node: image.dwarf.valueOf(variable, this.context, this.options) };
    }
    return undefined;
  }

  private enumerator(name: string): Value | undefined {
    for (const image of this.imagesInOrder()) {
      const [constant] = image.dwarf.enumeratorsNamed(name);
      if (constant !== undefined) return this.values.integer(constant.value, constant.type);
    }
    return undefined;
  }

  /** A symbol without a type: code is a function, data a number of its size or bytes. */
  private symbol(name: string): Value | undefined {
    const symbol = this.symbols.find(name);
    if (symbol === undefined) return undefined;
    for (const image of this.imagesInOrder()) {
      const [fn] = image.dwarf.functionsNamed(name);
      if (fn !== undefined) return this.values.memory(CODE, fn.entry, name);
    }
    const type = symbol.type === "object" ? untyped(symbol.size) : CODE;
    return this.values.memory(type, symbol.address, name);
  }

  private inFile(name: string, file: string): Value | undefined {
    for (const image of this.symbols.images) {
      for (const variable of image.dwarf.globalsNamed(name)) {
        const path = variable.declaration?.file.path ?? "";
        if (path === file || path.endsWith(`/${file.replace(/^\.?\//, "")}`)) {
          return { node: image.dwarf.valueOf(variable, this.context, this.options) };
        }
      }
    }
    return undefined;
  }

  /** The frame's own image first. */
  private imagesInOrder(): readonly Image[] {
    const { images } = this.symbols;
    return this.image === undefined ? images : [this.image, ...images.filter((image) => image !== this.image)];
  }

  /** In a caller's frame the general registers have the values they had there. */
  private callersRegister(name: string): RegisterCell | undefined {
    const { frame } = this;
    if (frame?.registers === undefined || frame.depth === 0) return undefined;
    const plain = { pc: "eip", sp: "esp", fp: "ebp" }[name] ?? name;
    const number = I386_REGISTERS.indexOf(plain);
    if (number < 0 || number > 9) return undefined;
    const value = frame.registers.get(number);
    const slot = frame.savedAt?.get(number);
    const cell = { name: plain, group: "general" as const, bits: 32, isAddress: ["eip", "esp", "ebp"].includes(plain) };
    return {
      ...cell,
      get: () => {
        if (value === undefined) throw new UserError(`${plain} was not saved; its value in this frame is lost.`);
        return BigInt(value >>> 0);
      },
      ...(slot === undefined
        ? { readOnly: "it is not kept in memory in this frame" }
        : { set: (next: bigint) => this.memory.write("linear", slot, wordBytes(next)) }),
    };
  }

  private writeRegister(name: string, value: number): void {
    const cell = this.callersRegister(name) ?? this.registers.find(name);
    if (cell?.set === undefined) throw new UserError(`${name} cannot be changed in this frame.`);
    cell.set(BigInt(value >>> 0));
  }
}

function wordBytes(value: bigint): Uint8Array {
  const word = Number(BigInt.asUintN(32, value));
  return Uint8Array.of(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24);
}
