/**
 * Operands of the assembler: registers by name, memory as base + index * scale + displacement, and references to labels that are
 * resolved at the end. Names and sizes as in Intel syntax. SDM Vol. 2, 2.1.
 */

/** A general register. `code` is its number in an encoding. */
export class Register {
  constructor(
    readonly name: string,
    readonly code: number,
    readonly size: 1 | 2 | 4,
  ) {}
}

export class SegmentRegister {
  constructor(
    readonly name: string,
    readonly code: number,
    /** Override prefix. */
    readonly prefix: number,
  ) {}
}

/** A control register. */
export class ControlRegister {
  constructor(
    readonly name: string,
    readonly code: number,
  ) {}
}

/** The address of a label, plus something. */
export class LabelReference {
  constructor(
    readonly label: string,
    readonly addend = 0,
  ) {}
}

export type Displacement = number | LabelReference;

/** A memory operand. */
export class Memory {
  constructor(
    readonly base: Register | null,
    readonly displacement: Displacement,
    readonly options: {
      readonly index?: Register;
      readonly scale?: 1 | 2 | 4 | 8;
      readonly segment?: SegmentRegister;
      /** Operand size in bytes where no register says it. Default 4. */
      readonly size?: 1 | 2 | 4;
    } = {},
  ) {}

  text(): string {
    const { index, scale = 1, segment, size } = this.options;
    const parts: string[] = [];
    if (this.base) parts.push(this.base.name);
    if (index) parts.push(scale === 1 ? index.name : `${index.name}*${scale}`);
    if (typeof this.displacement !== "number" || this.displacement !== 0 || parts.length === 0)
      parts.push(numberText(this.displacement));
    const prefix = size === 1 ? "byte " : size === 2 ? "word " : size === 4 ? "dword " : "";
    return `${prefix}[${segment ? `${segment.name}:` : ""}${parts.join("+").replaceAll("+-", "-")}]`;
  }
}

/** How an immediate or a displacement is written in a listing. */
export function numberText(value: Displacement): string {
  if (typeof value === "number")
    return value < 0 ? `-0x${(-value).toString(16)}` : value < 10 ? `${value}` : `0x${value.toString(16)}`;
  return value.addend === 0 ? value.label : `${value.label}${value.addend < 0 ? "-" : "+"}${Math.abs(value.addend)}`;
}

const general = (names: string, size: 1 | 2 | 4): Register[] =>
  names.split(" ").map((name, code) => new Register(name, code, size));

export const [eax, ecx, edx, ebx, esp, ebp, esi, edi] = general("eax ecx edx ebx esp ebp esi edi", 4);
export const [ax, cx, dx, bx, sp, bp, si, di] = general("ax cx dx bx sp bp si di", 2);
export const [al, cl, dl, bl, ah, ch, dh, bh] = general("al cl dl bl ah ch dh bh", 1);
export const es = new SegmentRegister("es", 0, 0x26);
export const cs = new SegmentRegister("cs", 1, 0x2e);
export const ss = new SegmentRegister("ss", 2, 0x36);
export const ds = new SegmentRegister("ds", 3, 0x3e);
export const fs = new SegmentRegister("fs", 4, 0x64);
export const gs = new SegmentRegister("gs", 5, 0x65);
export const [cr0, , cr2, cr3, cr4] = [0, 1, 2, 3, 4].map((code) => new ControlRegister(`cr${code}`, code));

/** Memory at `base + displacement`, or at an absolute address or label. */
export function ptr(
  base: Register | Displacement | string,
  displacement: Displacement | string = 0,
  options: Memory["options"] = {},
): Memory {
  const at = typeof displacement === "string" ? new LabelReference(displacement) : displacement;
  if (base instanceof Register) return new Memory(base, at, options);
  return new Memory(null, typeof base === "string" ? new LabelReference(base) : base, options);
}
/** The address of a label as a number. */
export function addressOf(label: string, addend = 0): LabelReference {
  return new LabelReference(label, addend);
}
