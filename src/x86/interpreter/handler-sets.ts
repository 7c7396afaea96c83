/**
 * Builds the interpreter: one WebAssembly function per row and form, in modules ("sets") by what the mode makes constant.
 *
 * A set is made when a decoded instruction first needs it: integer instructions of the flat 32-bit mode at once, those for checked segments,
 * 16-bit addresses, 16-bit stacks, x87 and SIMD only where a guest uses them. All sets fill one function table. Each set has its own copy of three small
 * functions (record lookup, segment checks), because calls inside a module are several times cheaper than calls between modules.
 */
import { EMPTY_BLOCK, ModuleWriter, Op } from "../../wasm";
import type { Cpu } from "../cpu";
import type { Decoded } from "../decoder";
import type { Helper } from "../helpers/helper";
import { FIRST_FLOATING_ROW, type Row, rows } from "../instructions";
import * as L from "../state-layout";
import { Mode, Seg } from "../state-layout";
import { type CoreFunctions, type Form, HANDLER_TYPE, HandlerEmitter, type HandlerMode } from "./handler-emitter";
import { Exit, PseudoHandler, RecordField } from "./record";

/** A handler: its place in the table and what decoding must know of it. */
export interface Handler {
  readonly index: number;
  /** Nothing falls through to the next record. */
  readonly endsBlock: boolean;
}

/** Functions that generated code calls beside the helpers: slow paths of memory access. */
export type SlowPaths = Record<string, (...args: number[]) => number>;

const TABLE_SIZE = 24576;
const WASM_PAGE = 65536;

/** Flat or default segments with 32-bit addresses; other segments in a flat mode; 16-bit addresses. */
const Kind = { MAIN: 0, SEGMENTED: 1, ADDRESS16: 2 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

interface HandlerSet {
  /** By rowIndex * 32 + form * 8 + (operandSize == 2) * 4 + repeat. */
  readonly handlers: (Handler | undefined)[];
}

const FORMS: readonly Form[] = ["reg", "simple", "indexed", "segmented"];
const REPEATS = ["none", "rep", "repne"] as const;

export interface BuildFigures {
  sets: number;
  functions: number;
  bytes: number;
}

export class HandlerSets {
  /** Runs from a record: (record, budget) -> Exit. */
  run: (record: number, budget: number) => number = () => Exit.MISS;
  readonly figures: BuildFigures = { sets: 0, functions: 0, bytes: 0 };
  private readonly table: WebAssembly.Table;
  private nextIndex: number = PseudoHandler.COUNT;
  private readonly sets: (HandlerSet | undefined)[] = [];

  constructor(
    private readonly cpu: Cpu,
    private readonly slowPaths: SlowPaths,
    private readonly helperImport: (helper: Helper) => (...args: number[]) => number,
  ) {
    this.table = new WebAssembly.Table({ element: "anyfunc", initial: TABLE_SIZE, maximum: TABLE_SIZE });
    this.buildCore();
  }

  /** The handler for a decoded instruction in the current mode. */
  handlerFor(decoded: Decoded, mode: number): Handler {
    const isFlat = (mode & Mode.FLAT) !== 0;
    const isPlainSegment = decoded.segment === Seg.DS || decoded.segment === Seg.SS || decoded.segment === Seg.ES;
    const kind = decoded.addressSize === 2 ? Kind.ADDRESS16 : isFlat && !isPlainSegment ? Kind.SEGMENTED : Kind.MAIN;
    const isStack32 = (mode & Mode.STACK32) !== 0;
    const isFloating = decoded.rowIndex >= FIRST_FLOATING_ROW;
    const key = kind | (isFlat ? 4 : 0) | (isStack32 ? 8 : 0) | (isFloating ? 16 : 0);
    const set = (this.sets[key] ??= this.buildSet(kind, isFlat, isStack32, isFloating));
    const hasMemory = decoded.modrmIsMemory || hasMemoryOperand(decoded);
    const form: Form = !hasMemory
      ? "reg"
      : kind !== Kind.MAIN || !isFlat
        ? "segmented"
        : decoded.index < 0
          ? "simple"
          : "indexed";
    const handler = set.handlers[slotOf(decoded.rowIndex, form, decoded.operandSize, decoded.repeat)];
    if (handler === undefined)
      throw new Error(`no handler for ${decoded.row.mnemonic} ${decoded.row.encoding} (set ${key}, ${form})`);
    return handler;
  }

  private buildSet(kind: Kind, isFlat: boolean, isStack32: boolean, isFloating: boolean): HandlerSet {
    const module = new ModuleWriter();
    const core = writeCoreFunctions(module);
    const imports = new Map<string, Helper>();
    const mode: HandlerMode = {
      isFlat,
      isStack32,
      addressSize: kind === Kind.ADDRESS16 ? 2 : 4,
      isSegmented: kind !== Kind.MAIN,
    };
    const forms: readonly Form[] = kind === Kind.MAIN && isFlat ? ["reg", "simple", "indexed"] : ["reg", "segmented"];
    const handlers: (Handler | undefined)[] = new Array(rows.length * 32);
    const elements: number[] = [];
    rows.forEach((row, rowIndex) => {
      if (rowIndex >= FIRST_FLOATING_ROW !== isFloating) return;
      for (const form of forms) {
        if (!hasForm(row, form)) continue;
        for (const repeat of row.prefixes === "rep" ? REPEATS : REPEATS.slice(0, 1)) {
          for (const operandSize of [4, 2] as const) {
            if (row.onlyOperandSize !== undefined && row.onlyOperandSize !== operandSize) continue;
            const emitter = new HandlerEmitter(module, core, row, operandSize, form, mode, repeat);
            emitter.onHelper = (helper, args) => {
              const name = `helper:${helper.name}:${args}`;
              if ((imports.get(name) ?? helper) !== helper) throw new Error(`two helpers are called ${helper.name}`);
              imports.set(name, helper);
            };
            elements.push(emitter.build());
            const handler: Handler = { index: this.nextIndex + elements.length - 1, endsBlock: emitter.endsBlock };
            handlers[slotOf(rowIndex, form, operandSize, repeat)] = handler;
            if (emitter.usesOperandSize) continue;
            handlers[slotOf(rowIndex, form, 2, repeat)] = handler;
            break;
          }
        }
      }
    });
    this.instantiate(module, elements, this.nextIndex, imports);
    this.nextIndex += elements.length;
    if (this.nextIndex > TABLE_SIZE) throw new Error(`function table too small: ${this.nextIndex}`);
    return { handlers };
  }

  private buildCore(): void {
    const module = new ModuleWriter();
    const core = writeCoreFunctions(module);
    const elements = writePseudoHandlers(module, core);
    module.exportFunction("run", writeRun(module));
    const instance = this.instantiate(module, elements, 0, new Map());
    this.run = instance.exports.run as (record: number, budget: number) => number;
  }

  private instantiate(
    module: ModuleWriter,
    elements: number[],
    offset: number,
    helpers: Map<string, Helper>,
  ): WebAssembly.Instance {
    module.setElements(offset, elements);
    const bytes = module.finish(this.cpu.memory.buffer.byteLength / WASM_PAGE, TABLE_SIZE);
    const env: Record<string, WebAssembly.ImportValue> = {
      memory: this.cpu.memory,
      table: this.table,
      ...this.slowPaths,
    };
    for (const [name, helper] of helpers) env[name] = this.helperImport(helper);
    this.figures.sets++;
    this.figures.functions += elements.length;
    this.figures.bytes += bytes.length;
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
  }
}

/** moffs, or implicit. */
function hasMemoryOperand({ operands }: Decoded): boolean {
  for (let k = 0; k < operands.length; k++) if (operands[k].kind === "memory") return true;
  return false;
}

function slotOf(rowIndex: number, form: Form, operandSize: 2 | 4, repeat: (typeof REPEATS)[number]): number {
  return rowIndex * 32 + FORMS.indexOf(form) * 8 + (operandSize === 2 ? 4 : 0) + REPEATS.indexOf(repeat);
}

/** Whether a row can be decoded with (or without) a memory operand. */
function hasForm(row: Row, form: Form): boolean {
  const either = row.operands.some(({ where }) => where === "rm" || where === "mmrm" || where === "xmmrm");
  const memory = row.operands.some(({ where }) => where === "mem" || where === "moffs");
  if (form === "reg") return !memory;
  return either || memory;
}

/** Record lookup and the two segment checks. */
function writeCoreFunctions(module: ModuleWriter): CoreFunctions {
  return {
    lookup: writeLookup(module),
    segmentRead: writeSegmentCheck(module, false),
    segmentWrite: writeSegmentCheck(module, true),
  };
}

/** Small assembler for the hand-written functions below. */
class Text {
  constructor(private readonly module: ModuleWriter) {}
  get(local: number): this {
    this.module.code.byte(Op.local_get);
    this.module.code.unsigned(local);
    return this;
  }
  tee(local: number): this {
    this.module.code.byte(Op.local_tee);
    this.module.code.unsigned(local);
    return this;
  }
  set(local: number): this {
    this.module.code.byte(Op.local_set);
    this.module.code.unsigned(local);
    return this;
  }
  const(value: number): this {
    this.module.code.byte(Op.i32_const);
    this.module.code.signed(value);
    return this;
  }
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.module.code.byte(opcode);
    return this;
  }
  memory(opcode: number, offset: number): this {
    this.module.code.byte(opcode);
    this.module.code.byte(0);
    this.module.code.unsigned(offset);
    return this;
  }
  state(offset: number): this {
    return this.const(offset).memory(Op.i32_load, 0);
  }
  if(): this {
    return this.op(Op.if, EMPTY_BLOCK);
  }
  call(own: number): this {
    this.module.code.byte(Op.call);
    this.module.callOperand(own);
    return this;
  }
  tailCallHandler(): this {
    this.op(Op.return_call_indirect);
    this.module.code.unsigned(this.module.typeIndex(HANDLER_TYPE));
    this.module.code.unsigned(0);
    return this;
  }
}

/** (eip) -> record, or 0 when it is not known at the current privilege, mapping and mode. */
function writeLookup(module: ModuleWriter): number {
  const [EIP, LINEAR, ENTRY] = [0, 1, 2];
  module.beginFunction();
  new Text(module)
    .get(EIP)
    .state(L.SEGMENTS + Seg.CS * L.SEGMENT_STRIDE + L.SegmentField.BASE)
    .op(Op.i32_add)
    .tee(LINEAR)
    .const(12)
    .op(Op.i32_shr_u)
    .const(L.CODE_TLB_ENTRIES - 1)
    .op(Op.i32_and)
    .const(3)
    .op(Op.i32_shl)
    .state(L.TLB_CURRENT)
    .op(Op.i32_add)
    .tee(ENTRY)
    .memory(Op.i32_load, L.CODE_TLB)
    .get(LINEAR)
    .const(~0xfff)
    .op(Op.i32_and, Op.i32_ne)
    .if()
    .const(0)
    .op(Op.return, Op.end)
    .get(ENTRY)
    .memory(Op.i32_load, L.CODE_TLB + 4)
    .get(LINEAR)
    .const(0xfff)
    .op(Op.i32_and)
    .const(2)
    .op(Op.i32_shl, Op.i32_add)
    .memory(Op.i32_load, 0)
    .op(Op.end);
  return module.endFunction({ params: 1, results: 1 }, 2);
}

/** (address of the segment register, offset, bytes - 1) -> linear; FAULT_PENDING when refused. */
function writeSegmentCheck(module: ModuleWriter, isWrite: boolean): number {
  const [SEGMENT, OFFSET, LAST, END] = [0, 1, 2, 3];
  module.beginFunction();
  new Text(module)
    .get(SEGMENT)
    .memory(Op.i32_load, L.SegmentField.FAST)
    .const(isWrite ? 2 : 1)
    .op(Op.i32_and)
    .if()
    // offset + (bytes - 1) neither wraps nor exceeds the limit
    .get(OFFSET)
    .get(LAST)
    .op(Op.i32_add)
    .tee(END)
    .get(OFFSET)
    .op(Op.i32_ge_u)
    .get(END)
    .get(SEGMENT)
    .memory(Op.i32_load, L.SegmentField.LIMIT)
    .op(Op.i32_le_u, Op.i32_and)
    .if()
    .get(OFFSET)
    .get(SEGMENT)
    .memory(Op.i32_load, L.SegmentField.BASE)
    .op(Op.i32_add, Op.return, Op.end, Op.end)
    .get(SEGMENT)
    .get(OFFSET)
    .get(LAST)
    .const(isWrite ? 1 : 0)
    .op(Op.call);
  module.code.unsigned(module.importFunction("slowSegment", { params: 4, results: 1 }));
  module.code.byte(Op.end);
  return module.endFunction({ params: 3, results: 1 }, 1);
}

/** In the order of PseudoHandler. */
function writePseudoHandlers(module: ModuleWriter, core: CoreFunctions): number[] {
  const [RECORD, BUDGET, NEXT] = [0, 1, 2];
  const save = (offset: number, text: Text, value: (text: Text) => Text) =>
    value(text.const(offset)).memory(Op.i32_store, 0);
  module.beginFunction();
  const lookup = new Text(module)
    .get(RECORD)
    .memory(Op.i32_load, RecordField.EIP)
    .call(core.lookup)
    .tee(NEXT)
    .op(Op.i32_eqz)
    .if();
  save(L.EIP, lookup, (t) => t.get(RECORD).memory(Op.i32_load, RecordField.EIP));
  save(L.BUDGET, lookup, (t) => t.get(BUDGET));
  lookup
    .const(Exit.MISS)
    .op(Op.return, Op.end)
    .get(NEXT)
    .get(BUDGET)
    .get(NEXT)
    .memory(Op.i32_load, 0)
    .tailCallHandler()
    .op(Op.end);
  const lookupIndex = module.endFunction(HANDLER_TYPE, 1);

  module.beginFunction();
  new Text(module)
    .get(RECORD)
    .memory(Op.i32_load, RecordField.LINK)
    .tee(NEXT)
    .get(BUDGET)
    .get(NEXT)
    .memory(Op.i32_load, 0)
    .tailCallHandler()
    .op(Op.end);
  const linkIndex = module.endFunction(HANDLER_TYPE, 1);

  module.beginFunction();
  const exit = new Text(module);
  save(L.CURRENT_RECORD, exit, (t) => t.get(RECORD));
  save(L.BUDGET, exit, (t) => t.get(BUDGET));
  exit.get(RECORD).memory(Op.i32_load, RecordField.SLOT1).op(Op.end);
  const exitIndex = module.endFunction(HANDLER_TYPE, 0);
  return [lookupIndex, linkIndex, exitIndex];
}

/** The one way in: (record, budget) -> Exit. */
function writeRun(module: ModuleWriter): number {
  module.beginFunction();
  new Text(module).get(0).get(1).get(0).memory(Op.i32_load, RecordField.HANDLER).op(Op.call_indirect);
  module.code.unsigned(module.typeIndex(HANDLER_TYPE));
  module.code.unsigned(0);
  module.code.byte(Op.end);
  return module.endFunction(HANDLER_TYPE, 0);
}
