/**
 * One interpreter handler: a WebAssembly function (record, budget) -> exit code for one row in one form. Operands come out of the decoded record;
 * at its end the handler tail-calls the next record's handler (threaded code: the wasm stack stays flat, and each handler has its own
 * indirect jump, which the host's branch predictor likes three times better than one central loop: figures in ARCHITECTURE.md).
 *
 * A read of an operand is two loads: the register's address out of the record, then the register.
 */
import { EMPTY_BLOCK, type ModuleWriter, Op } from "../../wasm";
import type { Size, Value } from "../emitter/emitter";
import type { Instruction, Operand, OperandKind, OperandSpec } from "../emitter/operands";
import { WasmEmitter, WasmValue } from "../emitter/wasm-emitter";
import type { Helper } from "../helpers/helper";
import type { Row } from "../instructions/row";
import * as L from "../state-layout";
import { Seg, Vector } from "../state-layout";
import { Exit, RECORD_SIZE, RecordField } from "./record";

/** How a memory operand's linear address is found. "reg": there is none (or it is implicit). */
export type Form =
  | "reg"
  /** Flat segment, base + displacement. */
  | "simple"
  /** Flat segment, base + index << scale + displacement. */
  | "indexed"
  /** Any segment, checked. */
  | "segmented";

export interface HandlerMode {
  readonly isFlat: boolean;
  readonly isStack32: boolean;
  readonly addressSize: 2 | 4;
  /** Implicit data accesses (string source, XLAT, moffs) go through the record's segment with checks. */
  readonly isSegmented: boolean;
}

const RECORD = 0;
const BUDGET = 1;
/** Type of every handler. */
export const HANDLER_TYPE = { params: 2, results: 1 } as const;
const SLOTS = [RecordField.SLOT1, RecordField.SLOT2, RecordField.SLOT3];

interface RecordOperand extends Operand {
  /** Record field with the operand's word, or undefined when fixed. */
  readonly slot: number | undefined;
  /** Number of a fixed register, or a constant. */
  readonly fixed: number;
}

/** Own functions of a handler module (handler-sets.ts). */
export interface CoreFunctions {
  readonly lookup: number;
  readonly segmentRead: number;
  readonly segmentWrite: number;
}

export class HandlerEmitter extends WasmEmitter {
  readonly instruction: Instruction;
  /** The operand size made a difference; else one handler serves both. */
  usesOperandSize = false;
  /** No path falls through to the next instruction. */
  endsBlock = false;
  private readonly cache = new Map<string, Value>();
  private readonly updates = new Map<Operand, { linear: Value; host: Value }>();
  private mustRefetch = false;

  constructor(
    module: ModuleWriter,
    private readonly core: CoreFunctions,
    private readonly row: Row,
    operandSize: 2 | 4,
    private readonly form: Form,
    private readonly mode: HandlerMode,
    repeat: "none" | "rep" | "repne",
  ) {
    super(module, 2);
    const operands = row.operands.map((spec, i) => this.bind(spec, SLOTS[i], operandSize));
    const none: RecordOperand = { kind: "immediate", size: 4, slot: undefined, fixed: 0 };
    const self = this;
    this.instruction = {
      op1: operands[0] ?? none,
      op2: operands[1] ?? none,
      op3: operands[2] ?? none,
      get operandSize() {
        self.usesOperandSize = true;
        return operandSize;
      },
      addressSize: mode.addressSize,
      repeat,
      // One processor: LOCK changes nothing but what the decoder accepts, so locked forms share the handler.
      isLocked: false,
      dataSegment: { kind: "memory", size: 4 },
    };
  }

  /** Writes the whole function; returns its number in the module. */
  build(): number {
    this.module.beginFunction();
    this.row.semantics(this, this.instruction);
    this.endsBlock = this.hasLeft || this.mustRefetch;
    if (!this.hasLeft) {
      if (this.mustRefetch) this.continueAt(this.nextEip(), true);
      else this.dispatchNext();
    }
    this.op(Op.unreachable);
    this.op(Op.end);
    return this.module.endFunction(HANDLER_TYPE, this.locals);
  }

  private bind(spec: OperandSpec, slot: number, operandSize: 2 | 4): RecordOperand {
    const size: Size = spec.width === "b" ? 1 : spec.width === "w" ? 2 : spec.width === "d" ? 4 : operandSize;
    const self = this;
    const isVariable = spec.width === "v" || spec.width === "p";
    const make = (kind: OperandKind, where: number | undefined, fixed: number): RecordOperand => ({
      kind,
      get size() {
        if (isVariable) self.usesOperandSize = true;
        return size;
      },
      slot: where,
      fixed,
    });
    const at = (kind: OperandKind): RecordOperand => make(kind, slot, 0);
    switch (spec.where) {
      case "reg":
      case "rmreg":
      case "rmignoringmod":
        return at("register");
      case "rm":
        return at(this.form === "reg" ? "register" : "memory");
      case "mem":
      case "moffs":
        return at("memory");
      case "imm":
        return at("immediate");
      case "rel":
        return at("relative");
      case "far":
        return at("far");
      case "sreg":
        return at("segment");
      case "creg":
        return at("control");
      case "dreg":
        return at("debug");
      case "st":
        return at("st");
      case "mm":
        return at("mmx");
      case "xmm":
        return at("xmm");
      case "mmrm":
        return at(this.form === "reg" ? "mmx" : "memory");
      case "xmmrm":
        return at(this.form === "reg" ? "xmm" : "memory");
      case "fixed":
        return make("register", undefined, spec.value ?? 0);
      case "const":
        return make("immediate", undefined, spec.value ?? 0);
    }
  }

  /** A value computed once, outside of any when(), may be used again anywhere after. */
  private once(key: string, make: () => Value): Value {
    const known = this.cache.get(key);
    if (known) return known;
    const value = make();
    if (this.depth === 0) this.cache.set(key, value);
    return value;
  }
  private field(offset: number): Value {
    return this.once(`field${offset}`, () => {
      this.pushLocal(RECORD);
      this.memory(Op.i32_load, offset);
      return this.pop();
    });
  }
  private registerAddress(operand: RecordOperand): Value {
    return operand.slot === undefined
      ? this.const(this.addressOfRegister(operand.fixed, operand.size))
      : this.field(operand.slot);
  }

  // -- operands -----------------------------------------------------------------------------------------------------------
  read(operand: Operand): Value {
    const o = operand as RecordOperand;
    switch (o.kind) {
      case "register":
        this.push(this.registerAddress(o));
        this.memory(this.loadOpcode(o.size), 0);
        return this.pop();
      case "memory":
        return this.load(o, this.effectiveAddress(o), o.size);
      case "segment":
        this.push(this.field(o.slot as number));
        this.pushConst(5);
        this.op(Op.i32_shl);
        this.memory(Op.i32_load, L.SEGMENTS);
        return this.pop();
      case "immediate":
      case "relative":
      case "far":
        return o.slot === undefined ? this.const(o.fixed) : this.field(o.slot);
      default:
        throw new Error(`${this.row.mnemonic}: ${o.kind} registers are read by a helper`);
    }
  }
  write(operand: Operand, value: Value): void {
    const o = operand as RecordOperand;
    if (o.kind === "register") {
      this.push(this.registerAddress(o));
      this.push(value);
      this.memory(this.storeOpcode(o.size), 0);
    } else if (o.kind === "memory") this.store(o, this.effectiveAddress(o), value, o.size);
    else throw new Error(`${this.row.mnemonic}: a ${o.kind} operand is not written directly`);
  }
  readForUpdate(operand: Operand): Value {
    if (operand.kind !== "memory") return this.read(operand);
    const linear = this.linear(operand, this.effectiveAddress(operand), operand.size, true);
    const { value, host } = this.loadForUpdate(linear, operand.size);
    this.updates.set(operand, { linear, host });
    return value;
  }
  update(operand: Operand, value: Value): void {
    if (operand.kind !== "memory") {
      this.write(operand, value);
      return;
    }
    const prepared = this.updates.get(operand);
    if (!prepared) throw new Error(`${this.row.mnemonic}: update() without readForUpdate()`);
    this.storeAfterUpdate(prepared.linear, prepared.host, value, operand.size);
  }
  number(operand: Operand): Value {
    const o = operand as RecordOperand;
    if (o.kind === "memory") {
      this.pushLocal(RECORD);
      this.memory(Op.i32_load8_u, RecordField.SEGMENT);
      return this.pop();
    }
    if (o.kind === "far") return this.field(RecordField.EXTRA);
    if (o.kind === "register") {
      if (o.slot === undefined) return this.const(o.fixed);
      if (o.size === 1) throw new Error("number() of an 8-bit register");
      return this.shr(this.sub(this.field(o.slot), this.const(L.REGISTERS)), this.const(2));
    }
    return this.field(o.slot as number);
  }

  // -- addresses ----------------------------------------------------------------------------------------------------------
  effectiveAddress(operand: Operand): Value {
    if (operand.kind !== "memory") throw new Error(`${this.row.mnemonic}: no address`);
    return this.once("address", () => {
      const pushRegister = (field: number) => {
        this.pushLocal(RECORD);
        this.memory(Op.i32_load, field);
        this.memory(Op.i32_load, 0);
      };
      pushRegister(RecordField.BASE);
      if (this.form !== "simple") {
        pushRegister(RecordField.INDEX);
        this.pushLocal(RECORD);
        this.memory(Op.i32_load8_u, RecordField.SCALE);
        this.op(Op.i32_shl);
        this.op(Op.i32_add);
      }
      this.pushLocal(RECORD);
      this.memory(Op.i32_load, RecordField.DISPLACEMENT);
      this.op(Op.i32_add);
      if (this.mode.addressSize === 2) {
        this.pushConst(0xffff);
        this.op(Op.i32_and);
      }
      return this.pop();
    });
  }
  /** Linear address of `bytes` bytes at an offset; checks the segment unless it is known to be flat. */
  private linear(segment: number | Operand, offset: Value, bytes: number, isWrite: boolean): Value {
    if (
      typeof segment === "number"
        ? this.mode.isFlat && isFlatWhenModeIs(segment, isWrite)
        : this.mode.isFlat && !this.isSegmented()
    )
      return offset;
    if (typeof segment === "number") this.pushConst(L.SEGMENTS + segment * L.SEGMENT_STRIDE);
    else {
      this.pushLocal(RECORD);
      this.memory(Op.i32_load8_u, RecordField.SEGMENT);
      this.pushConst(5);
      this.op(Op.i32_shl);
      this.pushConst(L.SEGMENTS);
      this.op(Op.i32_add);
    }
    this.push(offset);
    this.pushConst(bytes - 1);
    this.op(Op.call);
    this.module.callOperand(isWrite ? this.core.segmentWrite : this.core.segmentRead);
    const linear = this.pop();
    this.leaveOnFault();
    return linear;
  }
  private isSegmented(): boolean {
    return this.form === "segmented" || this.mode.isSegmented;
  }
  load(segment: number | Operand, offset: Value, size: Size): Value {
    return this.loadLinear(this.linear(segment, offset, size, false), size);
  }
  store(segment: number | Operand, offset: Value, value: Value, size: Size): void {
    this.storeLinear(this.linear(segment, offset, size, true), value, size);
  }
  probeWrite(segment: number, offset: Value, bytes: number): void {
    this.probeLinear(this.linear(segment, offset, bytes, true), bytes);
  }
  stackPointer(): Value {
    return this.readRegister(4, this.mode.isStack32 ? 4 : 2);
  }
  setStackPointer(value: Value): void {
    this.writeRegister(4, this.mode.isStack32 ? 4 : 2, value);
  }
  private wrapStack(offset: Value): Value {
    return this.mode.isStack32 ? offset : this.zeroExtend(offset, 2);
  }
  loadStack(offset: Value, size: Size): Value {
    return this.load(Seg.SS, this.wrapStack(offset), size);
  }
  storeStack(offset: Value, value: Value, size: Size): void {
    this.store(Seg.SS, this.wrapStack(offset), value, size);
  }

  // -- control ------------------------------------------------------------------------------------------------------------
  nextEip(): Value {
    return this.field(RecordField.NEXT_EIP);
  }
  currentEip(): Value {
    return this.field(RecordField.EIP);
  }
  checkJumpTarget(target: Value): void {
    if (this.mode.isFlat) return;
    this.pushState(L.SEGMENTS + Seg.CS * L.SEGMENT_STRIDE + L.SegmentField.LIMIT);
    this.push(target);
    this.op(Op.i32_lt_u);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.fault(Vector.GP, 0);
    this.hasLeft = false;
    this.op(Op.end);
  }
  jump(target: Value): void {
    this.checkJumpTarget(target);
    const relative = this.mode.isFlat && this.instruction.op1.kind === "relative";
    if (relative) this.jumpLinked(target);
    else this.continueAt(target, false);
    this.hasLeft = true;
  }
  /** A direct branch inside one code page remembers its target's record. */
  private jumpLinked(target: Value): void {
    const next = this.localCount++;
    this.pushLocal(RECORD);
    this.memory(Op.i32_load, RecordField.LINK);
    this.w.byte(Op.local_tee);
    this.w.unsigned(next);
    this.op(Op.i32_eqz);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.lookup(target, next);
    this.pushLocal(RECORD);
    this.memory(Op.i32_load, RecordField.EIP);
    this.push(target);
    this.op(Op.i32_xor);
    this.pushConst(12);
    this.op(Op.i32_shr_u);
    this.op(Op.i32_eqz);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.pushLocal(RECORD);
    this.pushLocal(next);
    this.memory(Op.i32_store, RecordField.LINK);
    this.op(Op.end);
    this.op(Op.end);
    this.dispatch(next);
  }
  /** Goes on at an EIP; with `mayLeave`, first sees whether somebody wants the run to end. */
  private continueAt(eip: Value, mayLeave: boolean): void {
    if (mayLeave) {
      this.pushState(L.EXIT_REQUEST);
      this.pushState(L.INTERRUPT_SHADOW);
      this.op(Op.i32_or);
      this.op(Op.if);
      this.op(EMPTY_BLOCK);
      this.leaveAt(eip, Exit.REQUEST);
      this.op(Op.end);
    }
    const next = this.localCount++;
    this.lookup(eip, next);
    this.dispatch(next);
  }
  /** Finds the record for an EIP, or leaves with MISS. */
  private lookup(eip: Value, into: number): void {
    this.push(eip);
    this.op(Op.call);
    this.module.callOperand(this.core.lookup);
    this.w.byte(Op.local_tee);
    this.w.unsigned(into);
    this.op(Op.i32_eqz);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.leaveAt(eip, Exit.MISS);
    this.op(Op.end);
  }
  /** The instruction has retired; EIP is where to go on. */
  private leaveAt(eip: Value, exit: number): void {
    this.storeState(L.EIP, eip);
    this.pushConst(L.BUDGET);
    this.pushLocal(BUDGET);
    this.pushConst(1);
    this.op(Op.i32_sub);
    this.memory(Op.i32_store, 0);
    this.pushConst(exit);
    this.op(Op.return);
  }
  private dispatchNext(): void {
    const next = this.localCount++;
    this.pushLocal(RECORD);
    this.pushConst(RECORD_SIZE);
    this.op(Op.i32_add);
    this.setLocal(next);
    this.dispatch(next);
  }
  /** Retires this instruction and runs the record in local `next`. */
  private dispatch(next: number): void {
    this.pushLocal(BUDGET);
    this.pushConst(1);
    this.op(Op.i32_sub);
    this.w.byte(Op.local_tee);
    this.w.unsigned(BUDGET);
    this.op(Op.i32_eqz);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.storeState(L.CURRENT_RECORD, new WasmValue(next, 0) as unknown as Value);
    this.storeState(L.BUDGET, this.const(0));
    this.pushConst(Exit.BUDGET);
    this.op(Op.return);
    this.op(Op.end);
    this.tailCall(next);
  }
  private tailCall(record: number): void {
    this.pushLocal(record);
    this.pushLocal(BUDGET);
    this.pushLocal(record);
    this.memory(Op.i32_load, RecordField.HANDLER);
    this.op(Op.return_call_indirect);
    this.w.unsigned(this.module.typeIndex(HANDLER_TYPE));
    this.w.unsigned(0);
  }
  restart(): void {
    this.pushState(L.EXIT_REQUEST);
    this.op(Op.if);
    this.op(EMPTY_BLOCK);
    this.saveState();
    this.pushConst(Exit.RESTART);
    this.op(Op.return);
    this.op(Op.end);
    this.tailCall(RECORD);
    this.hasLeft = true;
  }
  call(helper: Helper, ...args: Value[]): Value {
    this.saveState();
    this.storeState(L.EIP, this.currentEip());
    for (const arg of args) this.push(arg);
    this.callImport(`helper:${helper.name}:${args.length}`, args.length, 1);
    this.onHelper(helper, args.length);
    const result = this.pop();
    this.reloadBudget();
    if (helper.effect === "refetch") this.mustRefetch = true;
    else if (helper.effect === "transfer") {
      this.pushState(L.EIP);
      const eip = this.pop();
      this.continueAt(eip, true);
      this.hasLeft = true;
    }
    return result;
  }
  /** Set by the set builder: which helpers are imported. */
  onHelper: (helper: Helper, args: number) => void = () => {};

  protected saveState(): void {
    this.pushConst(L.CURRENT_RECORD);
    this.pushLocal(RECORD);
    this.memory(Op.i32_store, 0);
    this.pushConst(L.BUDGET);
    this.pushLocal(BUDGET);
    this.memory(Op.i32_store, 0);
  }
  protected reloadBudget(): void {
    this.pushState(L.BUDGET);
    this.setLocal(BUDGET);
  }
  protected leaveWithFault(): void {
    this.saveState();
    this.pushConst(Exit.FAULT);
    this.op(Op.return);
  }
}

/** In a flat mode these segments need no check (state-layout.ts, Mode.FLAT). */
function isFlatWhenModeIs(segment: number, isWrite: boolean): boolean {
  return segment === Seg.DS || segment === Seg.ES || segment === Seg.SS || (segment === Seg.CS && !isWrite);
}
