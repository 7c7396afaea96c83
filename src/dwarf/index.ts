// DWARF 2 to 5 for the i386: source lines, functions, variables and their types, stack unwinding.
//
//   const dwarf = openDwarf(elf);                          // an ElfFile; never throws about the data
//   const line = dwarf.lineAt(0xc0100123);                 // { ok: true, value: { file, line, column, stretch } }
//   if (!line.ok) show(line.reason);                       // "no line information: ..."
//   dwarf.addressesOf("main.c", 57);                       // breakpoints; says if it had to snap to a later line
//   for (const f of dwarf.framesAt(pc)) f.name, f.position // inlined calls first, then the function
//   for (const v of dwarf.variablesOf(f, pc)) { const node = dwarf.valueOf(v, frame); node.text; node.children(); }
//   dwarf.unwind(frame);                                   // the caller's registers; `frame` is a FrameContext

import type { ElfFile } from "../elf";
import { Dwarf } from "./dwarf";
import { type DwarfInput, memorySections, sectionsOf } from "./sections";

export { I386_REGISTERS } from "./constants";
export { Dwarf, type DwarfSummary, type EnumConstant, type FunctionBreakpoint, type SourceLocation } from "./dwarf";
export { DwarfError, type Lookup, type Refusal } from "./errors";
export type { DwarfFunction, FunctionFrame } from "./functions";
export type { LineRow, SourceFile, SourcePosition } from "./lines";
export { describeLocation, type FrameContext, type Location, type Piece } from "./location";
export type { NameIndex, NameKind } from "./names";
export type { AddressRange } from "./ranges";
export { type DwarfInput, memorySections, sectionsOf } from "./sections";
export type { BreakpointLocation, LineAddress, LineAddresses } from "./source-lines";
export { Storage, type ValueSource, type Write } from "./storage";
export { declarationOf, structDefinition, typeName } from "./type-names";
export {
  ArrayType,
  BaseType,
  type Enumerator,
  EnumType,
  FunctionType,
  type Member,
  PointerType,
  QualifiedType,
  StructType,
  sizeOf,
  stripped,
  type Type,
  TypedefType,
  UnknownType,
  unqualified,
  VOID,
  VoidType,
} from "./types";
export type { UnwoundFrame } from "./unwind";
export { encodeText, type NameResolver, parseNumber } from "./value-encode";
export type { FormatOptions } from "./value-format";
export { ValueNode, type ValueOptions } from "./values";
export type { Variable } from "./variables";

/** Opens the debug information of an ELF file, or of sections given by name. It may well be empty: see `summary()`. */
export function openDwarf(from: ElfFile | DwarfInput | Readonly<Record<string, Uint8Array>>): Dwarf {
  if ("sectionBytes" in from) return new Dwarf(sectionsOf(from as ElfFile));
  if (typeof from.section === "function") return new Dwarf(from as DwarfInput);
  return new Dwarf(memorySections(from as Readonly<Record<string, Uint8Array>>));
}
