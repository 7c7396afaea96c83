// Abbreviation tables: the shapes of debugging entries. An entry in .debug_info names its shape by a number, and the
// table says which tag, attributes and forms that means. A table is shared by many units and read once.
// DWARF 5, section 7.5.3.

import type { At, Tag } from "./constants";
import { Form } from "./constants";
import type { Sections } from "./sections";

export interface Abbrev {
  readonly code: number;
  readonly tag: Tag;
  readonly hasChildren: boolean;
  readonly attributes: readonly At[];
  readonly forms: readonly Form[];
  /** Values of DW_FORM_implicit_const, by position. */
  readonly implicit: readonly (bigint | undefined)[] | undefined;
}

export interface AbbrevTable {
  readonly dense: readonly (Abbrev | undefined)[];
  readonly sparse?: ReadonlyMap<number, Abbrev>;
}

/** Codes up to here are looked up in an array; compilers number from 1, so in practice all are. */
const MAX_DENSE_CODE = 0x4000;

/** The table's entry for a code. */
export function abbrevOf(table: AbbrevTable, code: number): Abbrev | undefined {
  return table.dense[code] ?? table.sparse?.get(code);
}

/** Reads and keeps the tables of .debug_abbrev, by offset. */
export class AbbrevCache {
  private readonly tables = new Map<number, AbbrevTable>();

  constructor(private readonly sections: Sections) {}

  /** Throws a DwarfError if the table at this offset is malformed. */
  table(offset: number): AbbrevTable {
    let table = this.tables.get(offset);
    if (!table) {
      table = this.read(offset);
      this.tables.set(offset, table);
    }
    return table;
  }

  private read(offset: number): AbbrevTable {
    const r = this.sections.reader(".debug_abbrev", offset);
    const dense: (Abbrev | undefined)[] = [];
    let sparse: Map<number, Abbrev> | undefined;
    for (let code = r.uleb(); code !== 0; code = r.uleb()) {
      const tag = r.uleb();
      const hasChildren = r.u8() !== 0;
      const attributes: At[] = [];
      const forms: Form[] = [];
      let implicit: (bigint | undefined)[] | undefined;
      for (;;) {
        const attribute = r.uleb();
        const form: Form = r.uleb();
        if (form === Form.implicit_const) (implicit ??= [])[forms.length] = r.slebBig();
        if (attribute === 0 && (form as number) === 0) break;
        attributes.push(attribute);
        forms.push(form);
      }
      const abbrev = { code, tag, hasChildren, attributes, forms, implicit };
      if (code <= MAX_DENSE_CODE) dense[code] = abbrev;
      else (sparse ??= new Map()).set(code, abbrev);
    }
    return { dense, sparse };
  }
}
