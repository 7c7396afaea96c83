// Builds .debug_info and .debug_abbrev from a tree of entries. Attributes are written as [attribute, form, value]; a value
// may be a reference to an entry by its label. Each entry gets an abbreviation of its own.
import { At, Form, Tag, UnitType } from "../../src/dwarf/constants";
import { type Bytes, bytes } from "./byte-builder";

export { At, Form, Tag, UnitType };

export type AttributeValue = number | bigint | string | boolean | Uint8Array | Bytes | { readonly to: string };
export type Attribute = readonly [At, Form, AttributeValue?];

export interface Entry {
  readonly tag: Tag;
  readonly attributes: readonly Attribute[];
  readonly children: readonly Entry[];
  readonly label?: string;
}

export function entry(
  tag: Tag,
  attributes: readonly Attribute[],
  children: readonly Entry[] = [],
  label?: string,
): Entry {
  return { tag, attributes, children, label };
}

/** An entry that others refer to. */
export function labelled(
  label: string,
  tag: Tag,
  attributes: readonly Attribute[],
  children: readonly Entry[] = [],
): Entry {
  return entry(tag, attributes, children, label);
}

export interface UnitSpec {
  readonly version?: number;
  readonly is64?: boolean;
  readonly type?: UnitType;
  readonly signature?: bigint;
  /** Label of the type that a type unit defines. */
  readonly typeLabel?: string;
  readonly root: Entry;
}

export type InfoSections = Readonly<Record<".debug_info" | ".debug_types" | ".debug_abbrev", Uint8Array>>;

/** Writes units; those that are type units of version 4 go to .debug_types. */
export function buildInfo(...units: readonly UnitSpec[]): InfoSections {
  // Once to learn where everything is, and once more with the references filled in.
  const labels = new Map<string, { unit: number; section: number }>();
  write(units, labels);
  return write(units, labels);
}

function write(units: readonly UnitSpec[], labels: Map<string, { unit: number; section: number }>): InfoSections {
  const info = bytes();
  const types = bytes();
  const abbrevs = bytes();
  let code = 0;
  for (const spec of units) {
    const version = spec.version ?? 4;
    const isTypeUnit = spec.type === UnitType.type;
    const section = isTypeUnit && version < 5 ? types : info;
    const offset = (b: Bytes, value: number) => (spec.is64 ? b.u64(BigInt(value)) : b.u32(value));
    const headerStart = section.length;
    const unitBase = headerStart + (spec.is64 ? 12 : 4);
    const body = bytes().u16(version);
    if (version >= 5) offset(body.u8(spec.type ?? UnitType.compile, 4), 0);
    else offset(body, 0).u8(4);
    const position = () => unitBase - headerStart + body.length;
    if (isTypeUnit || spec.type === UnitType.skeleton) body.u64(spec.signature ?? 0n);
    if (isTypeUnit) offset(body, labels.get(spec.typeLabel ?? "")?.unit ?? 0);
    const writeValue = (form: Form, value: AttributeValue) => {
      const reference = typeof value === "object" && "to" in value ? labels.get(value.to) : undefined;
      const number = typeof value === "bigint" ? value : BigInt(typeof value === "number" ? value : 0);
      const block =
        value instanceof Uint8Array ? value : "done" in Object(value) ? (value as Bytes).done() : new Uint8Array(0);
      switch (form) {
        case Form.addr:
        case Form.data4:
        case Form.strx4:
        case Form.addrx4:
          return body.u32(Number(number));
        case Form.ref4:
          return body.u32(reference?.unit ?? Number(number));
        case Form.data1:
        case Form.strx1:
        case Form.addrx1:
          return body.u8(Number(number));
        case Form.ref1:
          return body.u8(reference?.unit ?? 0);
        case Form.flag:
          return body.u8(value ? 1 : 0);
        case Form.data2:
        case Form.strx2:
        case Form.addrx2:
          return body.u16(Number(number));
        case Form.ref2:
          return body.u16(reference?.unit ?? 0);
        case Form.strx3:
        case Form.addrx3:
          return body.u16(Number(number)).u8(Number(number) >> 16);
        case Form.data8:
        case Form.ref_sig8:
          return body.u64(number);
        case Form.ref8:
          return body.u64(BigInt(reference?.unit ?? 0));
        case Form.ref_udata:
          return body.uleb(reference?.unit ?? 0);
        case Form.udata:
        case Form.strx:
        case Form.addrx:
        case Form.loclistx:
        case Form.rnglistx:
          return body.uleb(number);
        case Form.sdata:
          return body.sleb(number);
        case Form.string:
          return body.text(String(value));
        case Form.strp:
        case Form.line_strp:
        case Form.sec_offset:
          return offset(body, Number(number));
        case Form.ref_addr:
          return version < 3 ? body.u32(reference?.section ?? 0) : offset(body, reference?.section ?? 0);
        case Form.block1:
          return body.u8(block.length).add(block);
        case Form.block2:
          return body.u16(block.length).add(block);
        case Form.block4:
          return body.u32(block.length).add(block);
        case Form.block:
        case Form.exprloc:
          return body.uleb(block.length).add(block);
        case Form.data16:
          return body.add(block);
        case Form.flag_present:
        case Form.implicit_const:
          return body;
        default:
          throw new Error(`form 0x${form.toString(16)} is not built`);
      }
    };
    const writeEntry = (e: Entry) => {
      if (e.label !== undefined) labels.set(e.label, { unit: position(), section: headerStart + position() });
      body.uleb(++code);
      abbrevs.uleb(code, e.tag).u8(e.children.length > 0 ? 1 : 0);
      for (const [attribute, form, value] of e.attributes) {
        abbrevs.uleb(attribute, form);
        if (form === Form.implicit_const) abbrevs.sleb(Number(value));
        writeValue(form, value ?? true);
      }
      abbrevs.uleb(0, 0);
      for (const child of e.children) writeEntry(child);
      if (e.children.length > 0) body.u8(0);
    };
    writeEntry(spec.root);
    if (spec.is64) section.u32(0xffffffff).u64(BigInt(body.length));
    else section.u32(body.length);
    section.add(body);
  }
  return { ".debug_info": info.done(), ".debug_types": types.done(), ".debug_abbrev": abbrevs.u8(0).done() };
}
