/**
 * What differs between generations of the interface, and which known defects are kept: one record of facts, made once from the two
 * options, so that no other file asks for a version. "faithful" hosts behave as real ones were seen to; "fixed" ones have the
 * correction that a later version made, or the obvious one where none did.
 */
import type { Abi, Quirks } from "../api";

/** Offsets in struct lguest_data, which lies in the guest's memory. */
export interface LguestDataLayout {
  readonly irqEnabled: number;
  readonly blockedInterrupts: number;
  readonly cr2: number;
  /** Two words: seconds, nanoseconds. */
  readonly time: number;
  readonly irqPending: number;
  readonly hcallStatus: number;
  readonly hcalls: number;
  readonly reserveMem: number;
  readonly tscKhz: number;
  /** Absent in 3.x. */
  readonly pgdir: number | null;
  readonly noirqStart: number;
  readonly noirqEnd: number;
  readonly kernelAddress: number;
  readonly syscallVec: number;
  readonly size: number;
}

export interface Generation {
  readonly abi: Abi;
  readonly quirks: Quirks;
  readonly data: LguestDataLayout;
  /** The host builds page tables before the guest starts; otherwise linear addresses are guest-physical until the first NEW_PGTABLE. */
  readonly hasInitialTables: boolean;
  /** Emulated CLI at ring 1 is skipped instead of reflected. */
  readonly skipsCli: boolean;
  /** boot_params.kernel_alignment, or 0 when the launcher leaves it. */
  readonly kernelAlignment: number;
  /** Block device offers FLUSH instead of BARRIER. */
  readonly blockHasFlush: boolean;

  // Known defects; true: behaves as the defect does. Numbers are lguest's list of quirks as the manual has them.
  /** 1: IN of a byte sets AX, a 16-bit IN all of EAX. */
  readonly widensIn: boolean;
  /** 3: irq_pending is never cleared. */
  readonly keepsIrqPending: boolean;
  /** 5: an access that ends exactly at the limit is refused. */
  readonly refusesLastByte: boolean;
  /** 7: INT 0x80 through an interrupt gate is lost. */
  readonly swallowsSyscallGate: boolean;
  /** 8: an interrupt without a gate ends HALT all the same. */
  readonly wakesWithoutGate: boolean;
  /** 9: interrupts count as disabled only if irq_enabled is exactly 0. */
  readonly testsWholeIrqEnabled: boolean;
  /** 10: frames are pushed at physically contiguous addresses. */
  readonly pushesPhysically: boolean;
  /** 11: instruction bytes are read physically contiguous. */
  readonly fetchesPhysically: boolean;
  /** 14: SET_PTE does not ask for P. */
  readonly installsAbsentPtes: boolean;
  /** 16: TF, NT, RF, VM survive into a reflected handler. */
  readonly keepsTrapFlag: boolean;
  /** 18: NOTIFY in the ring ends the drain and defers the direct call. */
  readonly defersAfterRingNotify: boolean;
}

/** 2.6.31 to 2.6.33. */
const DATA_2_6_32: LguestDataLayout = {
  irqEnabled: 0x000,
  blockedInterrupts: 0x004,
  cr2: 0x008,
  time: 0x00c,
  irqPending: 0x014,
  hcallStatus: 0x018,
  hcalls: 0x058,
  reserveMem: 0x558,
  tscKhz: 0x55c,
  pgdir: 0x560,
  noirqStart: 0x564,
  noirqEnd: 0x568,
  kernelAddress: 0x56c,
  syscallVec: 0x570,
  size: 0x574,
};
/** From 3.1 on: no pgdir, the rest four bytes lower. */
const DATA_3: LguestDataLayout = {
  ...DATA_2_6_32,
  pgdir: null,
  noirqStart: 0x560,
  noirqEnd: 0x564,
  kernelAddress: 0x568,
  syscallVec: 0x56c,
  size: 0x570,
};

export function makeGeneration(abi: Abi, quirks: Quirks): Generation {
  const is3 = abi === "3.x";
  const isFaithful = quirks === "faithful";
  return {
    abi,
    quirks,
    data: is3 ? DATA_3 : DATA_2_6_32,
    hasInitialTables: !is3,
    skipsCli: is3,
    kernelAlignment: is3 ? 0x1000000 : 0,
    blockHasFlush: is3,
    widensIn: isFaithful && !is3,
    keepsIrqPending: isFaithful,
    refusesLastByte: isFaithful,
    swallowsSyscallGate: isFaithful,
    wakesWithoutGate: isFaithful,
    testsWholeIrqEnabled: isFaithful,
    pushesPhysically: isFaithful,
    fetchesPhysically: isFaithful,
    installsAbsentPtes: isFaithful,
    keepsTrapFlag: isFaithful,
    defersAfterRingNotify: isFaithful,
  };
}

/** Interrupt lines of a guest: bits of one word. */
export const LGUEST_IRQS = 32;
/** First vector of virtual interrupts. */
export const FIRST_EXTERNAL_VECTOR = 32;
/** EFLAGS.IF, also the "on" value of irq_enabled and irq_pending. */
export const X86_EFLAGS_IF = 0x200;
