/**
 * Puts a WebAssembly module together: types, imports (one memory, one table, functions), functions, exports, one element segment.
 *
 * Function indexes: imports come first and may be added while code is written; calls to the module's own functions are written padded
 * and patched at the end, when the number of imports is known. Specification section 5.5.
 */
import { ByteWriter } from "./byte-writer";
import { ValueType } from "./opcodes";

export interface FunctionType {
  /** Numbers of i32 parameters and results. */
  readonly params: number;
  readonly results: number;
}

interface Definition {
  readonly type: number;
  /** Extra i32 locals beside the parameters. */
  readonly locals: number;
  readonly start: number;
  readonly end: number;
}

export class ModuleWriter {
  /** Bodies are written here, one after the other, between beginFunction() and endFunction(). */
  readonly code = new ByteWriter(1 << 16);
  private readonly types: FunctionType[] = [];
  private readonly imports: { name: string; type: number }[] = [];
  private readonly functions: Definition[] = [];
  private readonly fixups: { at: number; index: number }[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  private elements: { offset: number; indexes: number[] } = { offset: 0, indexes: [] };
  private start = 0;

  typeIndex(type: FunctionType): number {
    const found = this.types.findIndex((known) => known.params === type.params && known.results === type.results);
    return found >= 0 ? found : this.types.push(type) - 1;
  }
  /** An imported function env.name; its index is final. */
  importFunction(name: string, type: FunctionType): number {
    const found = this.imports.findIndex((known) => known.name === name);
    return found >= 0 ? found : this.imports.push({ name, type: this.typeIndex(type) }) - 1;
  }
  /** Number the next function defined will have among the module's own. */
  get nextFunction(): number {
    return this.functions.length;
  }
  beginFunction(): void {
    this.start = this.code.length;
  }
  /** @returns the function's number among the module's own functions. */
  endFunction(type: FunctionType, locals: number): number {
    return this.functions.push({ type: this.typeIndex(type), locals, start: this.start, end: this.code.length }) - 1;
  }
  /** Writes the operand of a `call` to one of the module's own functions. */
  callOperand(index: number): void {
    this.fixups.push({ at: this.code.length, index });
    this.code.padded(0);
  }
  exportFunction(name: string, index: number): void {
    this.exports.push({ name, index });
  }
  /** Own functions to be placed in the imported table from `offset` on. */
  setElements(offset: number, indexes: number[]): void {
    this.elements = { offset, indexes };
  }

  /** The module's bytes. Imports are env.memory, env.table and the functions. */
  finish(memoryPages: number, tableSize: number): Uint8Array<ArrayBuffer> {
    for (const { at, index } of this.fixups) this.code.patchPadded(at, this.imports.length + index);
    const out = new ByteWriter(this.code.length + 4096 + this.functions.length * 16);
    for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.byte(byte);
    section(out, 1, (s) => {
      s.unsigned(this.types.length);
      for (const type of this.types) {
        s.byte(0x60);
        for (const count of [type.params, type.results]) {
          s.unsigned(count);
          for (let i = 0; i < count; i++) s.byte(ValueType.i32);
        }
      }
    });
    section(out, 2, (s) => {
      s.unsigned(this.imports.length + 2);
      s.name("env");
      s.name("memory");
      s.byte(2);
      s.byte(1);
      s.unsigned(memoryPages);
      s.unsigned(memoryPages);
      s.name("env");
      s.name("table");
      s.byte(1);
      s.byte(0x70);
      s.byte(0);
      s.unsigned(tableSize);
      for (const { name, type } of this.imports) {
        s.name("env");
        s.name(name);
        s.byte(0);
        s.unsigned(type);
      }
    });
    section(out, 3, (s) => {
      s.unsigned(this.functions.length);
      for (const { type } of this.functions) s.unsigned(type);
    });
    section(out, 7, (s) => {
      s.unsigned(this.exports.length);
      for (const { name, index } of this.exports) {
        s.name(name);
        s.byte(0);
        s.unsigned(this.imports.length + index);
      }
    });
    if (this.elements.indexes.length > 0) {
      section(out, 9, (s) => {
        s.unsigned(1);
        s.unsigned(0);
        s.byte(0x41);
        s.signed(this.elements.offset);
        s.byte(0x0b);
        s.unsigned(this.elements.indexes.length);
        for (const index of this.elements.indexes) s.unsigned(this.imports.length + index);
      });
    }
    section(out, 10, (s) => {
      s.unsigned(this.functions.length);
      const body = new ByteWriter(4096);
      const code = this.code.view();
      for (const { locals, start, end } of this.functions) {
        body.clear();
        if (locals > 0) {
          body.unsigned(1);
          body.unsigned(locals);
          body.byte(ValueType.i32);
        } else body.unsigned(0);
        s.unsigned(body.length + end - start);
        s.append(body);
        s.appendBytes(code.subarray(start, end));
      }
    });
    return out.view().slice();
  }
}

function section(out: ByteWriter, id: number, write: (section: ByteWriter) => void): void {
  const content = new ByteWriter(4096);
  write(content);
  out.byte(id);
  out.unsigned(content.length);
  out.append(content);
}
