// Builds small ELF32 files for tests: header, program headers, contents, symbols, section headers, in this order.
import { type Bytes, bytes } from "../dwarf/byte-builder";

export interface SegmentSpec {
  type?: number;
  address: number;
  physical?: number;
  content: Uint8Array;
  memorySize?: number;
  flags?: number;
}

export interface SectionSpec {
  name: string;
  type?: number;
  flags?: number;
  address?: number;
  content?: Uint8Array;
  size?: number;
  link?: number;
}

export interface SymbolSpec {
  name: string;
  value: number;
  size?: number;
  /** Binding * 16 + type. */
  info?: number;
  section?: number;
}

export interface ElfSpec {
  ident?: number[];
  type?: number;
  machine?: number;
  entry?: number;
  segments?: SegmentSpec[];
  sections?: SectionSpec[];
  symbols?: SymbolSpec[];
}

const EHDR = 52;

/** The bytes of a file; sections get indices from 1, .symtab, .strtab and .shstrtab come after them. */
export function buildElf(spec: ElfSpec): Uint8Array {
  const segments = spec.segments ?? [];
  const out: { at: number; data: Uint8Array }[] = [];
  let end = EHDR + segments.length * 32;
  const place = (data: Uint8Array): number => {
    const at = end;
    out.push({ at, data });
    end += data.length;
    return at;
  };
  const programHeaders = bytes();
  for (const s of segments) {
    const at = place(s.content);
    programHeaders.u32(s.type ?? 1, at, s.address, s.physical ?? s.address);
    programHeaders.u32(s.content.length, s.memorySize ?? s.content.length, s.flags ?? 5, 4096);
  }
  const sections: SectionSpec[] = [...(spec.sections ?? [])];
  if (spec.symbols) {
    const names = bytes().text("");
    const table = bytes().zeros(16);
    for (const s of spec.symbols) {
      table.u32(names.length, s.value, s.size ?? 0).u8(s.info ?? 0x12, 0);
      table.u16(s.section ?? 1);
      names.text(s.name);
    }
    sections.push({ name: ".symtab", type: 2, content: table.done(), link: sections.length + 2 });
    sections.push({ name: ".strtab", type: 3, content: names.done() });
  }
  const headers = bytes();
  const sectionNames = bytes().text("");
  if (sections.length > 0) {
    headers.zeros(40);
    const nameTable = sections.reduce((b: Bytes, s) => b.text(s.name), bytes().text("")).text(".shstrtab");
    for (const s of [...sections, { name: ".shstrtab", type: 3, content: nameTable.done() }] as SectionSpec[]) {
      const content = s.content ?? new Uint8Array(0);
      headers.u32(
        sectionNames.length,
        s.type ?? 1,
        s.flags ?? 0,
        s.address ?? 0,
        place(content),
        s.size ?? content.length,
      );
      headers.u32(s.link ?? 0, 0, 1, 0);
      sectionNames.text(s.name);
    }
  }
  const sectionCount = sections.length > 0 ? sections.length + 2 : 0;
  const header = bytes()
    .u8(...(spec.ident ?? [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]))
    .alignTo(16)
    .u16(spec.type ?? 2, spec.machine ?? 3)
    .u32(1, spec.entry ?? 0, segments.length > 0 ? EHDR : 0, sectionCount > 0 ? end : 0, 0)
    .u16(EHDR, 32, segments.length, 40, sectionCount, Math.max(0, sectionCount - 1));
  const file = new Uint8Array(end + headers.length);
  file.set(header.add(programHeaders).done());
  for (const { at, data } of out) file.set(data, at);
  file.set(headers.done(), end);
  return file;
}
