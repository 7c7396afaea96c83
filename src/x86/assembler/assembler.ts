/**
 * A small assembler for 32-bit code: one method per instruction, operands in Intel order, labels by name. It emits the bytes as it is
 * called and fills in labels at the end; what it cannot encode is an error, never a guess. It serves the Switcher, the host's entry
 * stubs and tests, so it knows what they need and not the whole processor: bytes() takes the rest.
 *
 *     const a = new Assembler(0x1000);
 *     a.label("loop").dec(ecx).jcc("nz", "loop").ret();
 *     const { bytes, symbols, listing } = a.finish();
 *
 * Encodings: SDM Vol. 2. Jumps to labels behind take the short form where it reaches, jumps ahead the long one.
 */
import {
  ControlRegister,
  type Displacement,
  LabelReference,
  Memory,
  numberText,
  Register,
  SegmentRegister,
} from "./operands";

export interface AssembledLine {
  readonly address: number;
  readonly bytes: readonly number[];
  readonly text: string;
}
export interface AssembledCode {
  readonly origin: number;
  readonly bytes: Uint8Array;
  readonly symbols: ReadonlyMap<string, number>;
  readonly listing: readonly AssembledLine[];
}

export type Immediate = Displacement | string;
export type RegisterOrMemory = Register | Memory;

const CONDITIONS = ["o", "no", "b", "ae", "z", "nz", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"] as const;
const CONDITION_NAMES: Readonly<Record<string, number>> = {
  ...Object.fromEntries(CONDITIONS.map((name, i) => [name, i])),
  c: 2,
  nc: 3,
  e: 4,
  ne: 5,
};
export type Condition = (typeof CONDITIONS)[number] | "c" | "nc" | "e" | "ne";

interface Fixup {
  readonly at: number;
  readonly reference: LabelReference;
  /** Relative to the address after these 4 bytes, or absolute. */
  readonly isRelative: boolean;
}
interface Line {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export class Assembler {
  private readonly code: number[] = [];
  private readonly fixups: Fixup[] = [];
  private readonly lines: Line[] = [];
  private readonly labels = new Map<string, number>();

  /** @param origin linear address of the first byte. */
  constructor(readonly origin: number) {}

  /** Address of the next byte. */
  get here(): number {
    return this.origin + this.code.length;
  }

  /** Ends the work. @throws Error naming a label that was used and never defined. */
  finish(): AssembledCode {
    const bytes = Uint8Array.from(this.code);
    const view = new DataView(bytes.buffer);
    for (const { at, reference, isRelative } of this.fixups) {
      const target = this.labels.get(reference.label);
      if (target === undefined) throw new Error(`label ${reference.label} is not defined`);
      view.setUint32(at, target + reference.addend - (isRelative ? this.origin + at + 4 : 0), true);
    }
    const listing = this.lines.map(({ start, end, text }) => ({
      address: this.origin + start,
      bytes: [...bytes.subarray(start, end)],
      text,
    }));
    return { origin: this.origin, bytes, symbols: new Map(this.labels), listing };
  }

  // -- labels and data --------------------------------------------------------------------------------------------------
  label(name: string): this {
    if (this.labels.has(name)) throw new Error(`label ${name} is defined twice`);
    this.labels.set(name, this.here);
    this.lines.push({ start: this.code.length, end: this.code.length, text: `${name}:` });
    return this;
  }
  /** A remark on a line of its own in the listing. */
  remark(text: string): this {
    this.lines.push({ start: this.code.length, end: this.code.length, text: `; ${text}` });
    return this;
  }
  bytes(...values: number[]): this {
    return this.line(`db ${values.map((value) => numberText(value)).join(", ")}`, () => this.put(...values));
  }
  word(...values: number[]): this {
    return this.line(`dw ${values.map((value) => numberText(value)).join(", ")}`, () => {
      for (const value of values) this.put16(value);
    });
  }
  dword(...values: Immediate[]): this {
    return this.line(`dd ${values.map(immediateText).join(", ")}`, () => {
      for (const value of values) this.put32(value);
    });
  }
  /** The text's bytes and a zero. */
  text(text: string): this {
    return this.line(`db ${JSON.stringify(text)}, 0`, () => this.put(...new TextEncoder().encode(text), 0));
  }
  zero(count: number): this {
    return this.line(`resb ${count}`, () => {
      for (let i = 0; i < count; i++) this.code.push(0);
    });
  }
  /** Pads so that the next address is a multiple. */
  align(multiple: number, filler = 0x90): this {
    if (this.here % multiple === 0) return this;
    return this.line(`align ${multiple}`, () => {
      while (this.here % multiple !== 0) this.code.push(filler);
    });
  }

  // -- moving data ------------------------------------------------------------------------------------------------------
  mov(
    to: RegisterOrMemory | SegmentRegister | ControlRegister,
    from: RegisterOrMemory | SegmentRegister | ControlRegister | Immediate,
  ): this {
    return this.line(`mov ${operandText(to)}, ${operandText(from)}`, () => {
      if (to instanceof SegmentRegister) {
        if (!(from instanceof Register || from instanceof Memory))
          throw new Error("a segment register is loaded from a register or memory");
        this.modrm([0x8e], to.code, from);
      } else if (to instanceof ControlRegister || from instanceof ControlRegister) {
        const [control, general, opcode] =
          to instanceof ControlRegister ? [to, from, 0x22] : [from as ControlRegister, to, 0x20];
        if (!(general instanceof Register)) throw new Error("a control register moves from or to a general register");
        this.put(0x0f, opcode, 0xc0 | (control.code << 3) | general.code);
      } else if (from instanceof SegmentRegister) this.modrm([0x8c], from.code, to);
      else if (from instanceof Register) this.sized(to instanceof Memory ? from.size : to.size, 0x88, from.code, to);
      else if (from instanceof Memory) {
        if (!(to instanceof Register)) throw new Error("mov needs a register on one side");
        this.sized(to.size, 0x8a, to.code, from);
      } else if (to instanceof Register) {
        if (to.size === 2) this.put(0x66);
        this.put((to.size === 1 ? 0xb0 : 0xb8) + to.code);
        this.immediate(from, to.size);
      } else {
        this.sized(sizeOf(to), 0xc6, 0, to);
        this.immediate(from, sizeOf(to));
      }
    });
  }
  movzx(to: Register, from: RegisterOrMemory): this {
    return this.line(`movzx ${to.name}, ${operandText(from)}`, () =>
      this.modrm([0x0f, sizeOf(from) === 1 ? 0xb6 : 0xb7], to.code, from),
    );
  }
  lea(to: Register, from: Memory): this {
    return this.line(`lea ${to.name}, ${from.text()}`, () => this.modrm([0x8d], to.code, from));
  }
  xchg(a: RegisterOrMemory, b: Register): this {
    return this.line(`xchg ${operandText(a)}, ${b.name}`, () => this.sized(b.size, 0x86, b.code, a));
  }
  push(what: RegisterOrMemory | SegmentRegister | Immediate): this {
    return this.line(`push ${operandText(what)}`, () => {
      if (what instanceof Register) this.put(...(what.size === 2 ? [0x66] : []), 0x50 + what.code);
      else if (what instanceof SegmentRegister)
        this.put(...(what.code < 4 ? [0x06 | (what.code << 3)] : [0x0f, 0x80 | (what.code << 3)]));
      else if (what instanceof Memory) this.sized(sizeOf(what), 0xfe, 6, what);
      else if (typeof what === "number" && what >= -128 && what <= 127) this.put(0x6a, what);
      else {
        this.put(0x68);
        this.put32(what);
      }
    });
  }
  pop(what: RegisterOrMemory | SegmentRegister): this {
    return this.line(`pop ${operandText(what)}`, () => {
      if (what instanceof Register) this.put(...(what.size === 2 ? [0x66] : []), 0x58 + what.code);
      else if (what instanceof SegmentRegister)
        this.put(...(what.code < 4 ? [0x07 | (what.code << 3)] : [0x0f, 0x81 | (what.code << 3)]));
      else this.sized(sizeOf(what), 0x8e, 0, what);
    });
  }

  // -- arithmetic ---------------------------------------------------------------------------------------------------------
  add(to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.alu("add", 0, to, from);
  }
  or(to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.alu("or", 1, to, from);
  }
  and(to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.alu("and", 4, to, from);
  }
  sub(to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.alu("sub", 5, to, from);
  }
  xor(to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.alu("xor", 6, to, from);
  }
  cmp(to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.alu("cmp", 7, to, from);
  }
  test(a: RegisterOrMemory, b: Register | Immediate): this {
    return this.line(`test ${operandText(a)}, ${operandText(b)}`, () => {
      if (b instanceof Register) this.sized(b.size, 0x84, b.code, a);
      else {
        this.sized(sizeOf(a), 0xf6, 0, a);
        this.immediate(b, sizeOf(a));
      }
    });
  }
  inc(what: RegisterOrMemory): this {
    return this.line(`inc ${operandText(what)}`, () => this.sized(sizeOf(what), 0xfe, 0, what));
  }
  dec(what: RegisterOrMemory): this {
    return this.line(`dec ${operandText(what)}`, () => this.sized(sizeOf(what), 0xfe, 1, what));
  }
  div(what: RegisterOrMemory): this {
    return this.line(`div ${operandText(what)}`, () => this.sized(sizeOf(what), 0xf6, 6, what));
  }
  shl(what: RegisterOrMemory, count: number): this {
    return this.shift("shl", 4, what, count);
  }
  shr(what: RegisterOrMemory, count: number): this {
    return this.shift("shr", 5, what, count);
  }

  // -- control flow -------------------------------------------------------------------------------------------------------
  jmp(target: string | RegisterOrMemory): this {
    if (typeof target !== "string") return this.line(`jmp ${operandText(target)}`, () => this.modrm([0xff], 4, target));
    return this.line(`jmp ${target}`, () => this.branch([0xeb], [0xe9], target));
  }
  jcc(condition: Condition, target: string): this {
    const code = CONDITION_NAMES[condition];
    return this.line(`j${condition} ${target}`, () => this.branch([0x70 + code], [0x0f, 0x80 + code], target));
  }
  loop(target: string): this {
    return this.line(`loop ${target}`, () => {
      const distance = this.distanceBack(target, 2);
      if (distance === null) throw new Error(`loop reaches ${target} only if it is defined before and near`);
      this.put(0xe2, distance);
    });
  }
  call(target: string | RegisterOrMemory): this {
    if (typeof target !== "string")
      return this.line(`call ${operandText(target)}`, () => this.modrm([0xff], 2, target));
    return this.line(`call ${target}`, () => {
      this.put(0xe8);
      this.reference(new LabelReference(target), true);
    });
  }
  /** Far call through a 6-byte pointer in memory. */
  callFar(pointer: Memory): this {
    return this.line(`call far ${pointer.text()}`, () => this.modrm([0xff], 3, pointer));
  }
  jmpFar(selector: number, target: Immediate): this {
    return this.line(`jmp ${numberText(selector)}:${immediateText(target)}`, () => {
      this.put(0xea);
      this.put32(target);
      this.put16(selector);
    });
  }
  ret(): this {
    return this.simple("ret", 0xc3);
  }
  iret(): this {
    return this.simple("iretd", 0xcf);
  }
  int(vector: number): this {
    return this.line(`int ${numberText(vector)}`, () => this.put(0xcd, vector));
  }

  // -- system -------------------------------------------------------------------------------------------------------------
  lgdt(from: Memory): this {
    return this.line(`lgdt ${from.text()}`, () => this.modrm([0x0f, 0x01], 2, from));
  }
  lidt(from: Memory): this {
    return this.line(`lidt ${from.text()}`, () => this.modrm([0x0f, 0x01], 3, from));
  }
  sgdt(to: Memory): this {
    return this.line(`sgdt ${to.text()}`, () => this.modrm([0x0f, 0x01], 0, to));
  }
  sidt(to: Memory): this {
    return this.line(`sidt ${to.text()}`, () => this.modrm([0x0f, 0x01], 1, to));
  }
  ltr(from: Register): this {
    return this.line(`ltr ${from.name}`, () => this.modrm([0x0f, 0x00], 3, from));
  }
  /** IN AL/AX/EAX from a port number or DX. */
  in(to: Register, port: number | Register): this {
    return this.line(`in ${to.name}, ${operandText(port)}`, () => this.port(to, port, 0xe4));
  }
  out(port: number | Register, from: Register): this {
    return this.line(`out ${operandText(port)}, ${from.name}`, () => this.port(from, port, 0xe6));
  }
  pushfd(): this {
    return this.simple("pushfd", 0x9c);
  }
  popfd(): this {
    return this.simple("popfd", 0x9d);
  }
  cli(): this {
    return this.simple("cli", 0xfa);
  }
  sti(): this {
    return this.simple("sti", 0xfb);
  }
  cld(): this {
    return this.simple("cld", 0xfc);
  }
  hlt(): this {
    return this.simple("hlt", 0xf4);
  }
  nop(): this {
    return this.simple("nop", 0x90);
  }
  clts(): this {
    return this.simple("clts", 0x0f, 0x06);
  }
  rdtsc(): this {
    return this.simple("rdtsc", 0x0f, 0x31);
  }
  cpuid(): this {
    return this.simple("cpuid", 0x0f, 0xa2);
  }
  vmcall(): this {
    return this.simple("vmcall", 0x0f, 0x01, 0xc1);
  }
  repStosd(): this {
    return this.simple("rep stosd", 0xf3, 0xab);
  }
  repMovsd(): this {
    return this.simple("rep movsd", 0xf3, 0xa5);
  }

  // -- encoding -------------------------------------------------------------------------------------------------------------
  private line(text: string, emit: () => void): this {
    const start = this.code.length;
    emit();
    this.lines.push({ start, end: this.code.length, text });
    return this;
  }
  private simple(text: string, ...bytes: number[]): this {
    return this.line(text, () => this.put(...bytes));
  }
  private alu(name: string, group: number, to: RegisterOrMemory, from: RegisterOrMemory | Immediate): this {
    return this.line(`${name} ${operandText(to)}, ${operandText(from)}`, () => {
      if (from instanceof Register) this.sized(from.size, group << 3, from.code, to);
      else if (from instanceof Memory) {
        if (!(to instanceof Register)) throw new Error(`${name} needs a register on one side`);
        this.sized(to.size, (group << 3) | 2, to.code, from);
      } else {
        const size = sizeOf(to);
        const isShort =
          size !== 1 && typeof from === "number" && ((from << 24) >> 24 === from || from >>> 0 >= 0xffffff80);
        if (isShort) {
          if (size === 2) this.put(0x66);
          this.modrm([0x83], group, to);
          this.put(from as number);
        } else {
          this.sized(size, 0x80, group, to);
          this.immediate(from, size);
        }
      }
    });
  }
  private shift(name: string, group: number, what: RegisterOrMemory, count: number): this {
    return this.line(`${name} ${operandText(what)}, ${count}`, () => {
      this.sized(sizeOf(what), 0xc0, group, what);
      this.put(count);
    });
  }
  private port(register: Register, port: number | Register, opcode: number): void {
    if (register.code !== 0) throw new Error("ports are read and written through AL, AX or EAX");
    if (register.size === 2) this.put(0x66);
    const wide = register.size === 1 ? 0 : 1;
    if (typeof port === "number") this.put(opcode | wide, port);
    else this.put(opcode | 8 | wide);
  }
  /** An opcode whose lowest bit says "not a byte", with the 16-bit prefix where needed. */
  private sized(size: 1 | 2 | 4, opcode: number, registerField: number, operand: RegisterOrMemory): void {
    if (size === 2) this.put(0x66);
    this.modrm([size === 1 ? opcode : opcode | 1], registerField, operand);
  }
  private modrm(opcode: readonly number[], registerField: number, operand: RegisterOrMemory): void {
    if (operand instanceof Register) {
      this.put(...opcode, 0xc0 | (registerField << 3) | operand.code);
      return;
    }
    const { base, displacement, options } = operand;
    if (options.segment) this.put(options.segment.prefix);
    this.put(...opcode);
    const field = registerField << 3;
    const needsSib = options.index !== undefined || base?.code === 4;
    if (options.index?.code === 4) throw new Error("esp is never an index");
    const sib =
      ({ 1: 0, 2: 0x40, 4: 0x80, 8: 0xc0 }[options.scale ?? 1] ?? 0) |
      ((options.index?.code ?? 4) << 3) |
      (base?.code ?? 5);
    if (base === null) {
      this.put(field | (needsSib ? 4 : 5), ...(needsSib ? [sib] : []));
      this.put32(displacement);
      return;
    }
    const isByte = typeof displacement === "number" && displacement >= -128 && displacement <= 127;
    const mode = displacement === 0 && base.code !== 5 ? 0 : isByte ? 0x40 : 0x80;
    this.put(mode | field | (needsSib ? 4 : base.code), ...(needsSib ? [sib] : []));
    if (mode === 0x40) this.put(displacement as number);
    else if (mode === 0x80) this.put32(displacement);
  }
  private branch(short: readonly number[], long: readonly number[], target: string): void {
    const distance = this.distanceBack(target, short.length + 1);
    if (distance !== null) {
      this.put(...short, distance);
      return;
    }
    this.put(...long);
    this.reference(new LabelReference(target), true);
  }
  /** Distance to a label that is defined already, from after an instruction of `length` bytes, if a signed byte holds it. */
  private distanceBack(target: string, length: number): number | null {
    const address = this.labels.get(target);
    if (address === undefined) return null;
    const distance = address - (this.here + length);
    return distance >= -128 ? distance : null;
  }
  private immediate(value: Immediate, size: 1 | 2 | 4): void {
    if (size === 4) this.put32(value);
    else if (typeof value !== "number") throw new Error("an address needs four bytes");
    else if (size === 2) this.put16(value);
    else this.put(value);
  }
  private reference(reference: LabelReference, isRelative: boolean): void {
    this.fixups.push({ at: this.code.length, reference, isRelative });
    this.code.push(0, 0, 0, 0);
  }
  private put(...bytes: number[]): void {
    for (const byte of bytes) this.code.push(byte & 0xff);
  }
  private put16(value: number): void {
    this.put(value, value >>> 8);
  }
  private put32(value: Immediate): void {
    if (typeof value === "number") this.put(value, value >>> 8, value >>> 16, value >>> 24);
    else this.reference(typeof value === "string" ? new LabelReference(value) : value, false);
  }
}

type AnyOperand = RegisterOrMemory | SegmentRegister | ControlRegister | Immediate;

function sizeOf(operand: RegisterOrMemory): 1 | 2 | 4 {
  return operand instanceof Register ? operand.size : (operand.options.size ?? 4);
}
function operandText(operand: AnyOperand): string {
  if (operand instanceof Memory) return operand.text();
  if (operand instanceof Register || operand instanceof SegmentRegister || operand instanceof ControlRegister)
    return operand.name;
  return immediateText(operand);
}
function immediateText(value: Immediate): string {
  return typeof value === "string" ? value : numberText(value);
}
