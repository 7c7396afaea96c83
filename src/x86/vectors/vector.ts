/**
 * The format of recorded processor vectors: state before, code, state after, one JSON object a line (test/x86/vectors/data/FORMAT.md).
 *
 * Everything optional has its default filled in by the functions here, so that the rest of the runner deals with whole states only.
 */

/** Floating-point state, sparse. */
export interface SparseFloat {
  readonly cw?: number;
  readonly sw?: number;
  readonly tw?: number;
  readonly mx?: number;
  /** ST(k) as 10 bytes of little-endian hex. */
  readonly st?: Readonly<Record<string, string>>;
  readonly xmm?: Readonly<Record<string, string>>;
}

type Bytes = readonly (readonly [address: number, hex: string])[];

/** One line of a file. Field names are the format's. */
export interface Vector {
  readonly id: string;
  readonly n: string;
  readonly b: string;
  readonly i: {
    readonly r: readonly number[];
    readonly f: number;
    readonly ip?: number;
    readonly lin?: number;
    readonly s?: Readonly<Record<string, number>>;
    readonly m?: Bytes;
    readonly x?: SparseFloat;
  };
  readonly o: {
    readonly ip: number;
    readonly f: number;
    readonly r?: Readonly<Record<string, number>>;
    readonly s?: Readonly<Record<string, number>>;
    readonly m?: Bytes;
    readonly x?: SparseFloat;
    readonly t?: number;
    readonly e?: number;
    readonly a?: number;
  };
  readonly fm?: number;
  readonly sm?: number;
  readonly mu?: readonly (readonly [address: number, length: number])[];
  readonly rm?: Readonly<Record<string, number>>;
  readonly soft?: string;
  readonly tol?: "x87t" | "rcp12";
}

/** Where `b` goes and execution starts. */
export const CODE_ENTRY = 0x10009800;
/** Compared bits of EFLAGS: all but RF and VM. */
export const ALL_FLAGS = 0x00247fd7;
/** Selectors of ES CS SS DS FS GS. */
export const DEFAULT_SELECTORS = [0x2b, 0x23, 0x2b, 0x2b, 0x2b, 0x2b];

/** The pages of the machine: linear address, count, byte that fills them ("address": each byte is the low 8 bits of its address). */
export const PAGES: readonly (readonly [linear: number, count: number, fill: number | "address"])[] = [
  [0x00008000, 1, 0x00],
  [0x00009000, 1, 0xcc],
  [0x10008000, 3, 0xcc],
  [0x20202000, 2, 0x00],
  [0x20204000, 1, "address"],
  [0x30303000, 2, 0x00],
];
export const READ_ONLY_PAGE = 0x20204000;

/** Whole floating-point state; hex strings as in the format. */
export interface FloatState {
  cw: number;
  sw: number;
  tw: number;
  mx: number;
  st: string[];
  xmm: string[];
}

/** What a run is judged by. */
export interface Outcome {
  /** Exception number, or undefined when the code ran to its end. */
  readonly trap: number | undefined;
  readonly error: number;
  readonly cr2: number;
  readonly eip: number;
  readonly eflags: number;
  readonly registers: readonly number[];
  readonly selectors: readonly number[];
  readonly float: FloatState | undefined;
}

/** Parses a file's text. @throws SyntaxError for a line that is not JSON */
export function* parseVectors(text: string): Generator<Vector> {
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    if (end > start) yield JSON.parse(text.slice(start, end)) as Vector;
    start = end + 1;
  }
}

function applied<T>(base: readonly T[], changes: Readonly<Record<string, T>> | undefined): T[] {
  const all = [...base];
  for (const key in changes) all[Number(key)] = changes[key];
  return all;
}

export function initialSelectors(vector: Vector): number[] {
  return applied(DEFAULT_SELECTORS, vector.i.s);
}

const EMPTY_FLOAT: FloatState = {
  cw: 0x37f,
  sw: 0,
  tw: 0,
  mx: 0x1f80,
  st: Array<string>(8).fill("00".repeat(10)),
  xmm: Array<string>(8).fill("00".repeat(16)),
};

function withFloat(base: FloatState, x: SparseFloat): FloatState {
  return {
    cw: x.cw ?? base.cw,
    sw: x.sw ?? base.sw,
    tw: x.tw ?? base.tw,
    mx: x.mx ?? base.mx,
    st: applied(base.st, x.st),
    xmm: applied(base.xmm, x.xmm),
  };
}

/** Floating-point state to start with, or undefined when the vector does not care. */
export function initialFloat(vector: Vector): FloatState | undefined {
  return vector.i.x && withFloat(EMPTY_FLOAT, vector.i.x);
}

/** What silicon did. */
export function expectedOutcome(vector: Vector): Outcome {
  const { i, o } = vector;
  const float = initialFloat(vector);
  return {
    trap: o.t,
    error: o.e ?? 0,
    cr2: o.a ?? 0,
    eip: o.ip,
    eflags: o.f,
    registers: applied(i.r, o.r),
    selectors: applied(initialSelectors(vector), o.s),
    float: float && withFloat(float, o.x ?? {}),
  };
}
