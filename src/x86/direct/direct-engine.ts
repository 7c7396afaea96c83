/**
 * The direct engine: fetch, decode, do, one instruction at a time, with no cache of any kind. Slow, and easy to believe.
 *
 * The rows are run against DirectEmitter; everything between instructions is run-loop.ts, as for the other engine.
 */
import type { Cpu } from "../cpu";
import { createDecoder, type Decoder, type Fetch } from "../decoder";
import { DirectEmitter } from "../emitter/direct-emitter";
import { GuestFault } from "../fault";
import { Access } from "../mmu/paging";
import { type Executed, RunLoop } from "../run-loop";
import * as L from "../state-layout";
import { Mode, Seg, Vector } from "../state-layout";

export class DirectEngine extends RunLoop {
  readonly name = "direct";
  private readonly decoder: Decoder = createDecoder();
  private readonly emitter: DirectEmitter;
  private readonly fetch: Fetch;
  private readonly mode = { code32: true };
  private breakpoints: ReadonlySet<number> = new Set();

  constructor(cpu: Cpu) {
    super(cpu);
    this.emitter = new DirectEmitter(cpu, (helper, args) => this.runHelper(helper, args));
    this.fetch = (offset) => {
      const eip = cpu.eip + offset;
      if (eip > cpu.segmentLimit(Seg.CS)) throw new GuestFault(Vector.GP, 0);
      const linear = (cpu.segmentBase(Seg.CS) + eip) >>> 0;
      return cpu.readPhysical(cpu.translateOrFault(linear, Access.EXECUTE, cpu.cpl === 3), 1);
    };
  }

  setBreakpoints(linear: ReadonlySet<number>): void {
    this.breakpoints = new Set(linear);
  }
  /** Nothing is kept. */
  flushCode(): void {}

  protected execute(budget: number, ignoreBreakpoint: boolean): Executed {
    const { cpu } = this;
    const { u32 } = cpu;
    u32[L.BUDGET_START >> 2] = budget;
    u32[L.BUDGET >> 2] = budget;
    cpu.inRun = true;
    try {
      for (let left = budget; left > 0; ) {
        if (this.isAtBreakpoint() && !(ignoreBreakpoint && left === budget)) return "breakpoint";
        this.step();
        if (this.emitter.hasRestarted) return "iteration";
        if (!this.emitter.hasTransferred) cpu.eip = this.emitter.target;
        u32[L.BUDGET >> 2] = --left;
        if (u32[L.EXIT_REQUEST >> 2] | u32[L.INTERRUPT_SHADOW >> 2]) break;
      }
      return "boundary";
    } finally {
      this.retired = budget - u32[L.BUDGET >> 2];
      cpu.inRun = false;
    }
  }

  private isAtBreakpoint(): boolean {
    if (this.breakpoints.size === 0) return false;
    return this.breakpoints.has((this.cpu.segmentBase(Seg.CS) + this.cpu.eip) >>> 0);
  }

  /** The instruction at cpu.eip. @throws GuestFault */
  private step(): void {
    this.mode.code32 = (this.cpu.word(L.MODE) & Mode.CODE32) !== 0;
    const decoded = this.decoder.decode(this.fetch, this.mode);
    if (decoded.invalid) throw new GuestFault(Vector.UD);
    this.emitter.execute(decoded);
  }
}
