/**
 * The interpreter engine: decodes blocks into records (code-cache.ts) and runs them through generated WebAssembly handlers (handler-sets.ts).
 *
 * TypeScript is entered only on a miss: a new address, a slow memory access, a helper, an exit. Everything between instructions that is not
 * plain dispatch is run-loop.ts.
 */
import type { Cpu } from "../cpu";
import { createDecoder, type Decoded, type Decoder } from "../decoder";
import { GuestFault } from "../fault";
import { linearForAccess } from "../helpers/segmentation";
import { Access, translate } from "../mmu/paging";
import { type Executed, RunLoop } from "../run-loop";
import * as L from "../state-layout";
import { Seg, Vector } from "../state-layout";
import { CodeCache, type CodePage } from "./code-cache";
import { HandlerSets, type SlowPaths } from "./handler-sets";
import { Exit, PseudoHandler, RECORD_SIZE, RecordField } from "./record";

/** Longest block, in instructions. */
const BLOCK_LIMIT = 48;

/** Thrown by the fetch callback where the page ends. */
class PageEnd extends Error {}
const PAGE_END = new PageEnd("page end");

export class Interpreter extends RunLoop {
  readonly name = "interpreter";
  private readonly decoder: Decoder = createDecoder();
  private readonly sets: HandlerSets;
  private readonly cache: CodeCache;
  private breakpoints: ReadonlySet<number> = new Set();
  /** Records of an instruction that is not kept: page-crossing code, code outside RAM, the one under a breakpoint. */
  private readonly scratch: CodePage;

  constructor(cpu: Cpu) {
    super(cpu);
    this.cache = new CodeCache(cpu);
    this.sets = new HandlerSets(
      cpu,
      this.slowPaths(),
      (helper) =>
        (...args) =>
          this.runHelper(helper, args),
    );
    this.scratch = this.cache.scratchPage();
    cpu.code.owner = { invalidateCode: (physical, size) => this.cache.invalidate(physical, size) };
  }

  /** What was generated so far: modules, functions, bytes. */
  get figures() {
    return this.sets.figures;
  }

  setBreakpoints(linear: ReadonlySet<number>): void {
    this.breakpoints = new Set(linear);
    this.flushCode();
  }
  flushCode(): void {
    this.cache.dropAll();
  }

  protected execute(budget: number, ignoreBreakpoint: boolean): Executed {
    const { cpu } = this;
    const u32 = cpu.u32;
    u32[L.BUDGET_START >> 2] = budget;
    u32[L.BUDGET >> 2] = budget;
    cpu.inRun = true;
    try {
      let mustSkip = ignoreBreakpoint;
      for (;;) {
        const record = mustSkip ? this.decodeScratch() : this.resolve();
        if (record === 0) return "fault";
        mustSkip = false;
        let exit = this.sets.run(record, u32[L.BUDGET >> 2]);
        if (exit === Exit.UNCACHED) {
          this.restoreEip();
          exit = this.sets.run(this.decodeScratch(), u32[L.BUDGET >> 2]);
        }
        switch (exit) {
          case Exit.MISS:
            if (u32[L.BUDGET >> 2] === 0) return "boundary";
            break;
          case Exit.BUDGET:
            this.restoreEip();
            return "boundary";
          case Exit.REQUEST:
            return "boundary";
          case Exit.RESTART:
            this.restoreEip();
            return "iteration";
          case Exit.FAULT:
            this.restoreEip();
            return "fault";
          case Exit.BREAKPOINT:
            this.restoreEip();
            return "breakpoint";
          case Exit.UNDEFINED:
            this.restoreEip();
            throw new GuestFault(Vector.UD);
          case Exit.PROTECTION:
            this.restoreEip();
            throw new GuestFault(Vector.GP, 0);
          case Exit.UNCACHED:
            this.restoreEip();
            break;
          default:
            throw new Error(`interpreter: unknown exit ${exit} at EIP ${cpu.eip.toString(16)}`);
        }
      }
    } catch (error) {
      // A device gave up: the record says which instruction it was. A guest fault comes from a helper, before which EIP was stored;
      // after a task switch it is the new task's.
      if (this.isInRecord && !(error instanceof GuestFault)) this.restoreEip();
      throw error;
    } finally {
      this.retired = u32[L.BUDGET_START >> 2] - u32[L.BUDGET >> 2];
      cpu.inRun = false;
    }
  }

  /** CURRENT_RECORD is the instruction at fault, and not a fetch that failed. */
  private isInRecord = false;

  private restoreEip(): void {
    const { u32 } = this.cpu;
    u32[L.EIP >> 2] = u32[(u32[L.CURRENT_RECORD >> 2] + RecordField.EIP) >> 2];
  }

  // -- decoding -----------------------------------------------------------------------------------------------------------
  /** Record for cpu.eip; 0 when fetching it page-faults (FAULT_PENDING). Throws GuestFault beyond the code segment's limit. */
  private resolve(): number {
    this.isInRecord = false;
    const { cpu } = this;
    const eip = cpu.eip;
    if (eip > cpu.segmentLimit(Seg.CS)) throw new GuestFault(Vector.GP, 0);
    const linear = (cpu.segmentBase(Seg.CS) + eip) >>> 0;
    const physical = translate(cpu, linear, Access.EXECUTE, cpu.cpl === 3);
    if (physical < 0) return 0;
    let record: number;
    if ((physical | 0xfff) >>> 0 >= cpu.ramSize) record = this.decodeScratch();
    else {
      if (this.cache.isNearlyFull()) this.cache.dropAll();
      const page = this.cache.pageFor((physical & ~0xfff) >>> 0, (linear & ~0xfff) >>> 0);
      cpu.tlb.fillCode(linear, page.table);
      record = cpu.u32[(page.table >> 2) + (linear & 0xfff)] || this.decodeBlock(page, eip, linear);
    }
    this.isInRecord = true;
    return record;
  }
  private decodeBlock(page: CodePage, startEip: number, startLinear: number): number {
    const { cpu, cache } = this;
    const table = page.table >> 2;
    const host = L.RAM_BASE + page.physical;
    const code32 = { code32: (page.mode & L.Mode.CODE32) !== 0 };
    const limit = cpu.segmentLimit(Seg.CS);
    let offset = startLinear & 0xfff;
    let eip = startEip;
    let first = 0;
    const fetch = (at: number) => {
      if (offset + at > 0xfff) throw PAGE_END;
      return cpu.u8[host + offset + at];
    };
    for (let count = 0; ; count++) {
      const known = cpu.u32[table + offset];
      if (offset > 0xfff || count === BLOCK_LIMIT || known !== 0) {
        const record = cache.newRecord(page, eip);
        this.setPseudo(record, known !== 0 && offset <= 0xfff ? PseudoHandler.LINK : PseudoHandler.LOOKUP, eip, known);
        return first;
      }
      const record = cache.newRecord(page, eip);
      first ||= record;
      cpu.u32[table + offset] = record;
      if (this.breakpoints.size > 0 && this.breakpoints.has((page.linear + offset) >>> 0)) {
        // The next instruction's place is not known without decoding; a block ends here.
        this.setExit(record, eip, Exit.BREAKPOINT);
        cpu.code.markCode(page.physical + offset, 1);
        return first;
      }
      let decoded: ReturnType<Decoder["decode"]>;
      try {
        decoded = this.decoder.decode(fetch, code32);
      } catch (error) {
        if (error === PAGE_END) {
          this.setExit(record, eip, Exit.UNCACHED);
          cpu.code.markCode(page.physical + offset, 0x1000 - offset);
        } else if (error instanceof GuestFault) {
          this.setExit(record, eip, Exit.PROTECTION);
          cpu.code.markCode(page.physical + offset, Math.min(15, 0x1000 - offset));
        } else throw error;
        return first;
      }
      cpu.code.markCode(page.physical + offset, decoded.length);
      if (eip + decoded.length - 1 > limit) {
        this.setExit(record, eip, Exit.PROTECTION);
        return first;
      }
      if (decoded.invalid) {
        this.setExit(record, eip, Exit.UNDEFINED);
        return first;
      }
      if (this.writeRecord(record, decoded, eip, page.mode)) return first;
      offset += decoded.length;
      eip = (eip + decoded.length) >>> 0;
    }
  }

  /** Decodes the instruction at cpu.eip for one execution. Throws GuestFault. */
  private decodeScratch(): number {
    this.isInRecord = false;
    const { cpu } = this;
    const eip = cpu.eip;
    const mode = cpu.word(L.MODE);
    const base = cpu.segmentBase(Seg.CS);
    const limit = cpu.segmentLimit(Seg.CS);
    const isUser = cpu.cpl === 3;
    const fetch = (at: number) => {
      if (eip + at > limit) throw new GuestFault(Vector.GP, 0);
      return cpu.readLinear((base + eip + at) >>> 0, 1, isUser);
    };
    const decoded = this.decoder.decode(fetch, { code32: (mode & L.Mode.CODE32) !== 0 });
    if (decoded.invalid) throw new GuestFault(Vector.UD);
    const record = this.scratch.next;
    cpu.u32.fill(0, record >> 2, (record + 2 * RECORD_SIZE) >> 2);
    this.writeRecord(record, decoded, eip, mode);
    this.setPseudo(record + RECORD_SIZE, PseudoHandler.LOOKUP, (eip + decoded.length) >>> 0, 0);
    cpu.u32[L.CURRENT_RECORD >> 2] = record;
    this.isInRecord = true;
    return record;
  }

  /** Fills a record; true when the block ends with it. */
  private writeRecord(record: number, decoded: Decoded, eip: number, mode: number): boolean {
    const { u32, u8 } = this.cpu;
    const handler = this.sets.handlerFor(decoded, mode);
    const at = record >> 2;
    const next = (eip + decoded.length) >>> 0;
    u32[at] = handler.index;
    u32[at + (RecordField.EIP >> 2)] = eip;
    // With a 16-bit code segment EIP would run past FFFF; the limit check has refused that already.
    u32[at + (RecordField.NEXT_EIP >> 2)] = next;
    const { operands } = decoded;
    for (let k = 0; k < operands.length; k++) {
      const operand = operands[k];
      let word: number;
      switch (operand.kind) {
        case "register":
          word =
            operand.size === 1
              ? L.REGISTERS + (operand.register & 3) * 4 + (operand.register >> 2)
              : L.REGISTERS + operand.register * 4;
          break;
        case "relative":
          word = next + operand.value;
          if (decoded.operandSize === 2) word &= 0xffff;
          break;
        case "immediate":
          word = operand.value;
          break;
        case "far":
          word = operand.value;
          u32[at + (RecordField.EXTRA >> 2)] = operand.selector;
          break;
        case "memory":
          continue;
        default:
          word = operand.register;
      }
      u32[at + (SLOT_WORDS[k] as number)] = word;
    }
    u32[at + (RecordField.BASE >> 2)] = decoded.base < 0 ? L.ZERO_SLOT : L.REGISTERS + decoded.base * 4;
    u32[at + (RecordField.INDEX >> 2)] = decoded.index < 0 ? L.ZERO_SLOT : L.REGISTERS + decoded.index * 4;
    u32[at + (RecordField.DISPLACEMENT >> 2)] = decoded.displacement;
    u8[record + RecordField.SCALE] = decoded.scale;
    u8[record + RecordField.SEGMENT] = decoded.segment;
    u8[record + RecordField.LENGTH] = decoded.length;
    return handler.endsBlock;
  }
  private setPseudo(record: number, handler: number, eip: number, link: number): void {
    const { u32 } = this.cpu;
    u32[(record + RecordField.HANDLER) >> 2] = handler;
    u32[(record + RecordField.EIP) >> 2] = eip;
    u32[(record + RecordField.LINK) >> 2] = link;
  }
  private setExit(record: number, eip: number, exit: number): void {
    this.setPseudo(record, PseudoHandler.EXIT, eip, 0);
    this.cpu.u32[(record + RecordField.SLOT1) >> 2] = exit;
  }

  // -- slow memory access from generated code: FAULT_PENDING instead of exceptions --------------------------------------
  private slowPaths(): SlowPaths {
    const { cpu } = this;
    const guarded = (access: () => number): number => {
      try {
        return access();
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error;
        cpu.u32[L.FAULT_VECTOR >> 2] = error.vector;
        cpu.u32[L.FAULT_ERROR >> 2] = error.errorCode ?? 0;
        cpu.u32[L.FAULT_PENDING >> 2] = 1;
        return 0;
      }
    };
    const paths: SlowPaths = {
      slowProbe: (linear, bytes) =>
        guarded(() => {
          cpu.probeWriteLinear(linear, bytes);
          return 0;
        }),
      slowSegment: (segment, offset, last, isWrite) =>
        guarded(() =>
          linearForAccess(cpu, (segment - L.SEGMENTS) / L.SEGMENT_STRIDE, offset >>> 0, last + 1, isWrite !== 0),
        ),
    };
    for (const size of [1, 2, 4]) {
      // Inside one page and, where alignment is checked, aligned.
      const isSimple = (linear: number) =>
        (linear & 0xfff) + size <= 0x1000 &&
        (cpu.u32[L.TLB_CURRENT >> 2] !== L.TLB_CHECKED || (linear & (size - 1)) === 0);
      paths[`slowLoad${size}`] = (linear) => {
        if (!isSimple(linear)) return guarded(() => cpu.readLinear(linear, size));
        const physical = translate(cpu, linear, Access.READ, cpu.cpl === 3);
        if (physical < 0) return 0;
        const value = cpu.readPhysical(physical, size);
        cpu.code.wasRead(physical, size);
        return value;
      };
      paths[`slowStore${size}`] = (linear, value) => {
        if (!isSimple(linear))
          return guarded(() => {
            cpu.writeLinear(linear, size, value);
            return 0;
          });
        const physical = translate(cpu, linear, Access.WRITE, cpu.cpl === 3);
        if (physical >= 0) cpu.writePhysical(physical, size, value);
        return 0;
      };
      paths[`slowUpdate${size}`] = (linear) => {
        if (!isSimple(linear))
          return guarded(() => {
            cpu.probeWriteLinear(linear, size);
            return cpu.readLinear(linear, size);
          });
        const physical = translate(cpu, linear, Access.WRITE, cpu.cpl === 3);
        if (physical < 0) return 0;
        const value = cpu.readPhysical(physical, size);
        cpu.code.wasRead(physical, size);
        return value;
      };
    }
    return paths;
  }
}

const SLOT_WORDS = [RecordField.SLOT1 >> 2, RecordField.SLOT2 >> 2, RecordField.SLOT3 >> 2];
