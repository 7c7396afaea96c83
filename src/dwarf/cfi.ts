// Call frame information: which function entry (FDE) covers an address, and the rules by which the caller's registers
// are found from there.
//
// .debug_frame and .eh_frame hold the same thing in two dialects. The list of FDEs is read once (a few bytes each); the
// instructions of one FDE are run when an address in it is asked about, and give a row: how to compute the canonical
// frame address (CFA), and for each register where its old value is. DWARF 5, section 6.4; Linux Standard Base Core,
// "Exception Frames" for .eh_frame.

import { FormatError } from "../base";
import { Cfa, Peh } from "./constants";
import { DwarfError } from "./errors";
import { IntervalIndex } from "./interval-index";
import type { DwarfReader } from "./reader";
import type { Sections } from "./sections";

export type CfaRule =
  | { readonly kind: "register"; readonly register: number; readonly offset: number }
  | { readonly kind: "expression"; readonly expression: Uint8Array };

/** Where the caller's value of a register is. */
export type RegisterRule =
  | { readonly kind: "undefined" }
  | { readonly kind: "same" }
  /** Saved at CFA + offset. */
  | { readonly kind: "saved"; readonly offset: number }
  /** Is CFA + offset. */
  | { readonly kind: "value"; readonly offset: number }
  | { readonly kind: "register"; readonly register: number }
  | { readonly kind: "saved-at" | "value-of"; readonly expression: Uint8Array };

export interface UnwindRow {
  readonly cfa: CfaRule;
  readonly rules: ReadonlyMap<number, RegisterRule>;
  readonly returnRegister: number;
  /** The frame of a signal or trap handler: its return address is not behind a call. */
  readonly isSignalFrame: boolean;
  /** The code that the FDE covers. */
  readonly start: number;
  readonly end: number;
}

interface Cie {
  readonly codeAlignment: number;
  readonly dataAlignment: number;
  readonly returnRegister: number;
  readonly pointerEncoding: number;
  readonly hasAugmentationData: boolean;
  readonly isSignalFrame: boolean;
  readonly addressSize: number;
  readonly start: number;
  readonly end: number;
}

interface Fde {
  readonly section: FrameSection;
  readonly cie: Cie;
  readonly low: number;
  readonly high: number;
  readonly start: number;
  readonly end: number;
}

type FrameSection = ".debug_frame" | ".eh_frame";

interface RuleState {
  cfa: CfaRule | undefined;
  rules: Map<number, RegisterRule>;
}

const MAX_REMEMBERED = 256;

export class CallFrameInformation {
  private fdes: Fde[] = [];
  private index: IntervalIndex | undefined;

  constructor(
    private readonly sections: Sections,
    private readonly report: (problem: FormatError) => void,
  ) {}

  /** Whether the file has any. */
  get isPresent(): boolean {
    this.build();
    return this.fdes.length > 0;
  }

  /** The rules at an address; undefined if nothing covers it. Throws a DwarfError if the instructions are malformed. */
  rowAt(address: number): UnwindRow | undefined {
    const position = this.build().at(address);
    return position === undefined ? undefined : this.run(this.fdes[position], address);
  }

  private build(): IntervalIndex {
    if (!this.index) {
      for (const section of [".debug_frame", ".eh_frame"] as const) {
        try {
          if (this.sections.has(section)) this.readSection(section);
        } catch (error) {
          if (!(error instanceof FormatError)) throw error;
          this.report(error);
        }
      }
      this.index = new IntervalIndex(this.fdes.map((f, payload) => ({ start: f.low, end: f.high, payload })));
    }
    return this.index;
  }

  private readSection(section: FrameSection): void {
    const isEh = section === ".eh_frame";
    const r = this.sections.reader(section);
    const { end } = r;
    const cies = new Map<number, Cie>();
    while (r.remaining >= 4) {
      const start = r.offset;
      const entry = r.initialLength();
      // A length of 0 ends .eh_frame, or one of the parts it was linked from.
      if (entry.end === r.offset) continue;
      r.end = entry.end;
      const idAt = r.offset;
      const id = r.offsetOf(isEh ? 4 : entry.offsetSize);
      try {
        const isCie = isEh ? id === 0 : id === 0xffffffff || (entry.offsetSize === 8 && id >= 0xffffffff);
        if (!isCie) {
          const cieOffset = isEh ? idAt - id : id;
          let cie = cies.get(cieOffset);
          if (!cie) {
            cie = this.readCie(section, cieOffset);
            cies.set(cieOffset, cie);
          }
          this.readFde(section, r, cie);
        }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        this.report(error);
      }
      r.end = end;
      r.seek(entry.end);
      if (r.offset <= start) r.fail("an entry does not move on", start);
    }
  }

  private readCie(section: FrameSection, offset: number): Cie {
    const r = this.sections.reader(section, offset);
    const { end, offsetSize } = r.initialLength();
    r.end = end;
    const id = section === ".eh_frame" ? r.u32() : offsetSize === 4 ? r.u32() : Number(BigInt.asUintN(32, r.u64Big()));
    if (id !== (section === ".eh_frame" ? 0 : 0xffffffff))
      r.fail("an entry refers to something that is not a CIE", offset);
    const version = r.u8();
    if (version !== 1 && version !== 3 && version !== 4) r.fail(`CIE version ${version} is not supported`, offset);
    const augmentation = r.cstring();
    let addressSize = 4;
    if (version === 4) {
      addressSize = r.u8();
      if (r.u8() !== 0) r.fail("segment selectors are not supported");
    }
    if (augmentation.startsWith("eh")) r.skip(addressSize);
    const codeAlignment = r.uleb();
    const dataAlignment = r.sleb();
    const returnRegister = version === 1 ? r.u8() : r.uleb();
    let pointerEncoding: number = Peh.absptr;
    let isSignalFrame = false;
    let instructions = r.offset;
    const hasAugmentationData = augmentation.startsWith("z");
    if (hasAugmentationData) {
      const length = r.uleb();
      instructions = r.offset + length;
      for (const letter of augmentation.slice(1)) {
        if (letter === "R") pointerEncoding = r.u8();
        else if (letter === "P") this.skipPointer(r, r.u8(), addressSize);
        else if (letter === "L") r.skip(1);
        else if (letter === "S") isSignalFrame = true;
        else if (letter !== "B") break;
      }
    } else if (augmentation !== "" && augmentation !== "eh") {
      r.fail(`augmentation "${augmentation}" is not supported`, offset);
    }
    r.seek(instructions);
    return {
      codeAlignment,
      dataAlignment,
      returnRegister,
      pointerEncoding,
      hasAugmentationData,
      isSignalFrame,
      addressSize,
      start: instructions,
      end,
    };
  }

  private readFde(section: FrameSection, r: DwarfReader, cie: Cie): void {
    const low = this.pointer(section, r, cie.pointerEncoding, cie.addressSize);
    const length = this.pointer(section, r, cie.pointerEncoding & 0x0f, cie.addressSize);
    if (cie.hasAugmentationData) r.skip(r.uleb());
    if (length === 0 || !this.sections.isMapped(low)) return;
    this.fdes.push({ section, cie, low, high: low + length, start: r.offset, end: r.end });
  }

  private skipPointer(r: DwarfReader, encoding: number, addressSize: number): void {
    if (encoding !== Peh.omit) this.rawPointer(r, encoding, addressSize);
  }

  private pointer(section: FrameSection, r: DwarfReader, encoding: number, addressSize: number): number {
    if (section === ".debug_frame") return r.unsigned(addressSize);
    const at = r.offset;
    const value = this.rawPointer(r, encoding, addressSize);
    const sectionAddress = this.sections.get(section)?.address ?? 0;
    switch (encoding & 0x70) {
      case Peh.absptr:
        return value >>> 0;
      case Peh.pcrel:
        return (sectionAddress + at + value) >>> 0;
      case Peh.datarel: {
        const base = this.sections.get(".got")?.address ?? this.sections.get(".got.plt")?.address;
        if (base === undefined) r.fail("a pointer relative to a table that the file does not have", at);
        return (base + value) >>> 0;
      }
      default:
        return r.fail(`pointer encoding 0x${encoding.toString(16)} is not supported`, at);
    }
  }

  private rawPointer(r: DwarfReader, encoding: number, addressSize: number): number {
    switch (encoding & 0x0f) {
      case Peh.absptr:
        return r.unsigned(addressSize);
      case Peh.uleb128:
        return r.uleb();
      case Peh.udata2:
        return r.u16();
      case Peh.udata4:
        return r.u32();
      case Peh.sleb128:
        return r.sleb();
      case Peh.sdata2:
        return r.i16();
      case Peh.sdata4:
        return r.i32();
      case Peh.udata8:
      case Peh.sdata8:
        return Number(BigInt.asIntN(53, r.u64Big()));
      default:
        return r.fail(`pointer encoding 0x${encoding.toString(16)} is not supported`);
    }
  }

  private run(fde: Fde, address: number): UnwindRow {
    const state: RuleState = { cfa: undefined, rules: new Map() };
    this.execute(fde, fde.cie.start, fde.cie.end, Number.POSITIVE_INFINITY, state, new Map());
    const initial = new Map(state.rules);
    this.execute(fde, fde.start, fde.end, address, state, initial);
    if (!state.cfa) throw new DwarfError("there is no rule for the frame address", fde.section, fde.start);
    return {
      cfa: state.cfa,
      rules: state.rules,
      returnRegister: fde.cie.returnRegister,
      isSignalFrame: fde.cie.isSignalFrame,
      start: fde.low,
      end: fde.high,
    };
  }

  /** Runs instructions up to the row that covers `address`. */
  private execute(
    fde: Fde,
    start: number,
    end: number,
    address: number,
    state: RuleState,
    initial: ReadonlyMap<number, RegisterRule>,
  ): void {
    const { codeAlignment, dataAlignment, addressSize, pointerEncoding } = fde.cie;
    const r: DwarfReader = this.sections.reader(fde.section, start);
    r.end = end;
    const remembered: RuleState[] = [];
    let location = fde.low;
    const set = (register: number, rule: RegisterRule) => state.rules.set(register, rule);
    const restore = (register: number) => {
      const rule = initial.get(register);
      if (rule) state.rules.set(register, rule);
      else state.rules.delete(register);
    };
    const defineCfa = (register: number, offset: number) => (state.cfa = { kind: "register", register, offset });
    const changeCfa = (register: number | undefined, offset: number | undefined) => {
      if (state.cfa?.kind !== "register") r.fail("a frame address rule changes what is not there");
      defineCfa(register ?? state.cfa.register, offset ?? state.cfa.offset);
    };
    while (!r.atEnd) {
      const byte = r.u8();
      const low = byte & 0x3f;
      const isPacked = (byte & 0xc0) !== 0;
      const op = isPacked ? ((byte & 0xc0) as Cfa) : (byte as Cfa);
      switch (op) {
        case Cfa.advance_loc:
          location += low * codeAlignment;
          break;
        case Cfa.advance_loc1:
          location += r.u8() * codeAlignment;
          break;
        case Cfa.advance_loc2:
          location += r.u16() * codeAlignment;
          break;
        case Cfa.advance_loc4:
          location += r.u32() * codeAlignment;
          break;
        case Cfa.set_loc:
          location = this.pointer(fde.section, r, pointerEncoding, addressSize);
          break;
        case Cfa.offset:
          set(low, { kind: "saved", offset: r.uleb() * dataAlignment });
          break;
        case Cfa.offset_extended: {
          const register = r.uleb();
          set(register, { kind: "saved", offset: r.uleb() * dataAlignment });
          break;
        }
        case Cfa.offset_extended_sf: {
          const register = r.uleb();
          set(register, { kind: "saved", offset: r.sleb() * dataAlignment });
          break;
        }
        case Cfa.GNU_negative_offset_extended: {
          const register = r.uleb();
          set(register, { kind: "saved", offset: -r.uleb() * dataAlignment });
          break;
        }
        case Cfa.val_offset: {
          const register = r.uleb();
          set(register, { kind: "value", offset: r.uleb() * dataAlignment });
          break;
        }
        case Cfa.val_offset_sf: {
          const register = r.uleb();
          set(register, { kind: "value", offset: r.sleb() * dataAlignment });
          break;
        }
        case Cfa.restore:
          restore(low);
          break;
        case Cfa.restore_extended:
          restore(r.uleb());
          break;
        case Cfa.undefined:
          set(r.uleb(), { kind: "undefined" });
          break;
        case Cfa.same_value:
          set(r.uleb(), { kind: "same" });
          break;
        case Cfa.register: {
          const register = r.uleb();
          set(register, { kind: "register", register: r.uleb() });
          break;
        }
        case Cfa.remember_state:
          if (remembered.length >= MAX_REMEMBERED) r.fail("too many remembered states");
          remembered.push({ cfa: state.cfa, rules: new Map(state.rules) });
          break;
        case Cfa.restore_state: {
          const old = remembered.pop() ?? r.fail("a state is restored that was not remembered");
          state.cfa = old.cfa;
          state.rules = old.rules;
          break;
        }
        case Cfa.def_cfa: {
          const register = r.uleb();
          defineCfa(register, r.uleb());
          break;
        }
        case Cfa.def_cfa_sf: {
          const register = r.uleb();
          defineCfa(register, r.sleb() * dataAlignment);
          break;
        }
        case Cfa.def_cfa_register:
          changeCfa(r.uleb(), undefined);
          break;
        case Cfa.def_cfa_offset:
          changeCfa(undefined, r.uleb());
          break;
        case Cfa.def_cfa_offset_sf:
          changeCfa(undefined, r.sleb() * dataAlignment);
          break;
        case Cfa.def_cfa_expression:
          state.cfa = { kind: "expression", expression: r.view(r.uleb()) };
          break;
        case Cfa.expression: {
          const register = r.uleb();
          set(register, { kind: "saved-at", expression: r.view(r.uleb()) });
          break;
        }
        case Cfa.val_expression: {
          const register = r.uleb();
          set(register, { kind: "value-of", expression: r.view(r.uleb()) });
          break;
        }
        case Cfa.GNU_args_size:
          r.skipLeb();
          break;
        case Cfa.nop:
        case Cfa.GNU_window_save:
          break;
        default:
          r.fail(`unknown call frame instruction 0x${byte.toString(16)}`, r.offset - 1);
      }
      // The rules so far are those of the addresses before the new location.
      if (location > address) return;
    }
  }
}
