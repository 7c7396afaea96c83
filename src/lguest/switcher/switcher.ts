/**
 * The Switcher: the ring-0 code that takes the processor from the host into the guest and back. Real x86 bytes, made by the assembler,
 * position-independent except for the table of stub addresses, so that it is assembled where the host is linked and copied to where
 * both worlds see it.
 *
 * In:  EAX = linear address of this CPU's struct lguest_pages, EBX = physical address of the shadow page directory, and on the stack
 *      EFLAGS, CS, EIP of the caller (pushf and a far call), interrupts off.
 * Out: the same frame is left by IRET (return_to_host), or the host's own handler is entered on top of it (deliver_to_host), which
 *      leaves by its IRET. struct lguest_regs holds the guest's registers and says why it left.
 */
import { Asm, type AssembledCode, Assembler } from "../../x86";
import {
  hasErrorCode,
  IDT_ENTRIES,
  LGUEST_DS,
  REGS_OFFSET,
  Regs,
  STATE_OFFSET,
  State,
  TSS_BUSY_BIT,
  TSS_BUSY_BYTE,
  TSS_SELECTOR,
} from "./layout";

const { eax, ebx, ecx, edx, esi, edi, ebp, esp, ds, es, fs, gs, ptr } = Asm;

/** The assembled Switcher at its link address. */
export interface Switcher {
  readonly code: AssembledCode;
  /** Addresses of the 256 entry stubs at the link address, in vector order: default_idt_entries before it is relocated. */
  readonly defaultIdtEntries: readonly number[];
}

/** Offsets from struct lguest_pages. */
const state = (offset: number): number => STATE_OFFSET + offset;

/** Assembles it for `origin`. Symbols: switch_to_guest, return_to_host, deliver_to_host, handle_nmi and stub_0 .. stub_255. */
export function assembleSwitcher(origin: number): Switcher {
  const a = new Assembler(origin);
  switchToGuest(a);
  a.align(4);
  returnPath(a, "return_to_host");
  a.remark("pops EIP, CS and EFLAGS of the far call: back in the caller");
  a.iret();
  a.align(4);
  returnPath(a, "deliver_to_host");
  deliver(a);
  a.align(4);
  a.label("handle_nmi");
  a.remark("an NMI is lost: drop trap number and error code, go on");
  a.add(esp, 8).iret();
  for (let vector = 0; vector < IDT_ENTRIES; vector++) stub(a, vector);
  const code = a.finish();
  return {
    code,
    defaultIdtEntries: Array.from({ length: IDT_ENTRIES }, (_, vector) => code.symbols.get(`stub_${vector}`) as number),
  };
}

function switchToGuest(a: Assembler): void {
  a.label("switch_to_guest");
  a.push(es).push(ds).push(gs).push(fs).push(ebp);
  a.mov(ptr(eax, state(State.hostStack)), esp);
  a.remark("an NMI needs a good stack at every moment: the register page, which both worlds have at this address");
  a.mov(edx, eax).add(edx, REGS_OFFSET).mov(esp, edx);
  a.lgdt(ptr(eax, state(State.guestGdtDescriptor)));
  a.lidt(ptr(eax, state(State.guestIdtDescriptor)));
  a.remark("sets the busy bit in the guest's GDT, so it must come while that is writable");
  a.mov(edx, TSS_SELECTOR).ltr(edx);
  a.remark("and the host's TSS must not be busy when it is loaded again");
  a.mov(edx, ptr(eax, state(State.hostGdtDescriptor) + 2));
  a.and(ptr(edx, TSS_BUSY_BYTE, { size: 1 }), ~TSS_BUSY_BIT & 0xff);
  a.remark("the guest's world from here: ESP now points into its own register page");
  a.mov(Asm.cr3, ebx);
  a.pop(eax).pop(ebx).pop(ecx).pop(edx).pop(esi).pop(edi).pop(ebp).pop(gs).pop(fs).pop(ds).pop(es);
  a.remark("over trap number and error code");
  a.add(esp, 8);
  a.iret();
}

/** Steps shared by both ways out, from the stub's pushes to the host's registers. */
function returnPath(a: Assembler, name: string): void {
  a.label(name);
  a.push(es).push(ds).push(fs).push(gs).push(ebp).push(edi).push(esi).push(edx).push(ecx).push(ebx).push(eax);
  a.mov(eax, LGUEST_DS).mov(ds, eax);
  a.remark("struct lguest_pages: also right after a fault in the middle of switch_to_guest");
  a.mov(eax, esp).and(eax, 0xfffff000);
  a.mov(ebx, ptr(eax, REGS_OFFSET + Regs.trapnum));
  a.mov(edx, ptr(eax, state(State.hostCr3))).mov(Asm.cr3, edx);
  a.and(ptr(eax, state(State.guestGdt) + TSS_BUSY_BYTE, { size: 1 }), ~TSS_BUSY_BIT & 0xff);
  a.lgdt(ptr(eax, state(State.hostGdtDescriptor)));
  a.lidt(ptr(eax, state(State.hostIdtDescriptor)));
  a.mov(esp, ptr(eax, state(State.hostStack)));
  a.mov(edx, TSS_SELECTOR).ltr(edx);
  a.pop(ebp).pop(fs).pop(gs).pop(ds).pop(es);
}

/** Enters the host's handler for the vector in EBX, as if the interrupt had hit just after the far call. */
function deliver(a: Assembler): void {
  a.mov(edx, ptr(eax, state(State.hostIdtDescriptor) + 2));
  a.lea(eax, ptr(edx, 0, { index: ebx, scale: 8 }));
  a.movzx(edx, ptr(eax, 0, { size: 2 }));
  a.mov(eax, ptr(eax, 4)).and(eax, 0xffff0000).or(eax, edx);
  a.jmp(eax);
}

function stub(a: Assembler, vector: number): void {
  a.align(4);
  a.label(`stub_${vector}`);
  if (!hasErrorCode(vector)) a.push(0);
  a.push(vector);
  a.jmp(targetOf(vector));
}

/** Where a vector's stub goes. 128 is a system call of the guest, not an interrupt of the host. */
function targetOf(vector: number): "return_to_host" | "deliver_to_host" | "handle_nmi" {
  if (vector === 2) return "handle_nmi";
  return vector < 32 || vector === 128 ? "return_to_host" : "deliver_to_host";
}
