// Attribute values: how many bytes each form takes, and what it means. Skipping is kept apart from reading and driven
// by a table of sizes, because finding one's way through the entries of a unit is nearly all skipping.
// DWARF 5, section 7.5.6.

import { Form } from "./constants";
import type { DwarfReader } from "./reader";

/** What reading a value depends on, from the unit's header. */
export interface FormContext {
  readonly version: number;
  readonly addressSize: number;
  readonly offsetSize: 4 | 8;
}

/** A value as written; indices are not resolved yet. */
export type FormValue =
  | { readonly kind: "address" | "address-index"; readonly number: number }
  | { readonly kind: "constant"; readonly big: bigint; readonly bits: number; readonly isSigned: boolean }
  | { readonly kind: "flag"; readonly flag: boolean }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "text-offset"; readonly section: string; readonly number: number }
  | { readonly kind: "text-index"; readonly number: number }
  | { readonly kind: "block" | "expression"; readonly bytes: Uint8Array }
  /** `unit`: offset from the unit's header; `info`: offset in .debug_info. */
  | { readonly kind: "unit-reference" | "info-reference"; readonly number: number }
  | { readonly kind: "signature"; readonly big: bigint }
  | { readonly kind: "section-offset" | "list-index"; readonly number: number }
  | { readonly kind: "elsewhere"; readonly reason: string };

const VARIABLE = -1;
const UNKNOWN = -2;
const sizeTables: Int8Array[] = [];

/** Bytes taken by each form below 0x30, VARIABLE or UNKNOWN. */
function sizeTable(c: FormContext): Int8Array {
  const key = (c.version < 3 ? 1 : 0) | (c.addressSize === 8 ? 2 : 0) | (c.offsetSize === 8 ? 4 : 0);
  let table = sizeTables[key];
  if (!table) {
    table = new Int8Array(0x30).fill(UNKNOWN);
    const set = (size: number, ...forms: Form[]) => {
      for (const form of forms) table[form] = size;
    };
    set(c.addressSize, Form.addr);
    set(0, Form.flag_present, Form.implicit_const);
    set(1, Form.data1, Form.flag, Form.ref1, Form.strx1, Form.addrx1);
    set(2, Form.data2, Form.ref2, Form.strx2, Form.addrx2);
    set(3, Form.strx3, Form.addrx3);
    set(4, Form.data4, Form.ref4, Form.strx4, Form.addrx4, Form.ref_sup4);
    set(8, Form.data8, Form.ref8, Form.ref_sig8, Form.ref_sup8);
    set(16, Form.data16);
    set(c.offsetSize, Form.strp, Form.line_strp, Form.strp_sup, Form.sec_offset);
    // A reference to another unit had the size of an address in version 2.
    set(c.version < 3 ? c.addressSize : c.offsetSize, Form.ref_addr);
    set(VARIABLE, Form.block, Form.block1, Form.block2, Form.block4, Form.exprloc, Form.string, Form.indirect);
    set(VARIABLE, Form.sdata, Form.udata, Form.ref_udata, Form.strx, Form.addrx, Form.loclistx, Form.rnglistx);
    sizeTables[key] = table;
  }
  return table;
}

/** Bytes that the values of an entry take together, or -1 if that depends on the data. */
export function fixedSize(forms: readonly Form[], context: FormContext): number {
  const sizes = sizeTable(context);
  let total = 0;
  for (const form of forms) {
    const size = sizes[form] ?? UNKNOWN;
    if (size < 0) return -1;
    total += size;
  }
  return total;
}

/** Steps over the (first) values of an entry. Throws a DwarfError for an unknown form, since its size cannot be known. */
export function skipForms(r: DwarfReader, forms: readonly Form[], context: FormContext, count = forms.length): void {
  const sizes = sizeTable(context);
  for (let i = 0; i < count; i++) {
    const size = sizes[forms[i]];
    if (size >= 0) r.skip(size);
    else skipVariable(r, forms[i], context);
  }
}

function skipVariable(r: DwarfReader, form: Form, context: FormContext): void {
  switch (form) {
    case Form.string:
      r.skipCstring();
      return;
    case Form.block1:
      r.skip(r.u8());
      return;
    case Form.block2:
      r.skip(r.u16());
      return;
    case Form.block4:
      r.skip(r.u32());
      return;
    case Form.block:
    case Form.exprloc:
      r.skip(r.uleb());
      return;
    case Form.sdata:
    case Form.udata:
    case Form.ref_udata:
    case Form.strx:
    case Form.addrx:
    case Form.loclistx:
    case Form.rnglistx:
    case Form.GNU_addr_index:
    case Form.GNU_str_index:
      r.skipLeb();
      return;
    case Form.GNU_ref_alt:
    case Form.GNU_strp_alt:
      r.skip(context.offsetSize);
      return;
    case Form.indirect:
      skipForms(r, [indirectForm(r)], context);
      return;
    default:
      r.fail(`unknown attribute form 0x${form.toString(16)}`);
      return;
  }
}

/** The form that DW_FORM_indirect names in the data; it must not be another indirection. */
function indirectForm(r: DwarfReader): Form {
  const form: Form = r.uleb();
  if (form === Form.indirect || form === Form.implicit_const) r.fail("DW_FORM_indirect leads nowhere");
  return form;
}

/** Reads one value. Throws a DwarfError if it is cut short or of an unknown form. */
export function readForm(r: DwarfReader, form: Form, c: FormContext, implicit?: bigint): FormValue {
  switch (form) {
    case Form.addr:
      return { kind: "address", number: r.unsigned(c.addressSize) };
    case Form.addrx:
    case Form.GNU_addr_index:
      return { kind: "address-index", number: r.uleb() };
    case Form.addrx1:
    case Form.addrx2:
    case Form.addrx3:
    case Form.addrx4:
      return { kind: "address-index", number: r.unsigned(form - Form.addrx1 + 1) };
    case Form.data1:
      return constant(BigInt(r.u8()), 8);
    case Form.data2:
      return constant(BigInt(r.u16()), 16);
    case Form.data4:
      return constant(BigInt(r.u32()), 32);
    case Form.data8:
      return constant(r.u64Big(), 64);
    case Form.udata:
      return constant(r.ulebBig(), 64);
    case Form.sdata:
      return constant(r.slebBig(), 64, true);
    case Form.implicit_const:
      return constant(implicit ?? 0n, 64, true);
    case Form.data16:
      return { kind: "block", bytes: r.view(16) };
    case Form.flag:
      return { kind: "flag", flag: r.u8() !== 0 };
    case Form.flag_present:
      return { kind: "flag", flag: true };
    case Form.block1:
      return { kind: "block", bytes: r.view(r.u8()) };
    case Form.block2:
      return { kind: "block", bytes: r.view(r.u16()) };
    case Form.block4:
      return { kind: "block", bytes: r.view(r.u32()) };
    case Form.block:
      return { kind: "block", bytes: r.view(r.uleb()) };
    case Form.exprloc:
      return { kind: "expression", bytes: r.view(r.uleb()) };
    case Form.string:
      return { kind: "text", text: r.cstring() };
    case Form.strp:
      return { kind: "text-offset", section: ".debug_str", number: r.offsetOf(c.offsetSize) };
    case Form.line_strp:
      return { kind: "text-offset", section: ".debug_line_str", number: r.offsetOf(c.offsetSize) };
    case Form.strx:
    case Form.GNU_str_index:
      return { kind: "text-index", number: r.uleb() };
    case Form.strx1:
    case Form.strx2:
    case Form.strx3:
    case Form.strx4:
      return { kind: "text-index", number: r.unsigned(form - Form.strx1 + 1) };
    case Form.ref1:
      return { kind: "unit-reference", number: r.u8() };
    case Form.ref2:
      return { kind: "unit-reference", number: r.u16() };
    case Form.ref4:
      return { kind: "unit-reference", number: r.u32() };
    case Form.ref8:
      return { kind: "unit-reference", number: r.u64() };
    case Form.ref_udata:
      return { kind: "unit-reference", number: r.uleb() };
    case Form.ref_addr:
      return { kind: "info-reference", number: c.version < 3 ? r.unsigned(c.addressSize) : r.offsetOf(c.offsetSize) };
    case Form.ref_sig8:
      return { kind: "signature", big: r.u64Big() };
    case Form.sec_offset:
      return { kind: "section-offset", number: r.offsetOf(c.offsetSize) };
    case Form.loclistx:
    case Form.rnglistx:
      return { kind: "list-index", number: r.uleb() };
    case Form.indirect:
      return readForm(r, indirectForm(r), c);
    case Form.ref_sup4:
    case Form.ref_sup8:
      r.skip(form === Form.ref_sup4 ? 4 : 8);
      return { kind: "elsewhere", reason: "it is in a supplementary debug file" };
    case Form.strp_sup:
    case Form.GNU_ref_alt:
    case Form.GNU_strp_alt:
      r.skip(c.offsetSize);
      return { kind: "elsewhere", reason: "it is in a supplementary debug file" };
    default:
      return r.fail(`unknown attribute form 0x${(form as number).toString(16)}`);
  }
}

function constant(big: bigint, bits: number, isSigned = false): FormValue {
  return { kind: "constant", big, bits, isSigned };
}
