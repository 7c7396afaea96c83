// Small guests for tests: code by the assembler, wrapped into an ELF file, run on a whole virtual machine. A guest starts at physical 1 MiB
// with identity and 0xC0000000 mappings (2.6.32) and ends by SHUTDOWN or by being killed.
import { VirtualMachine, type VirtualMachineOptions, type VmExit } from "../../src/lguest";
import { Asm, Assembler } from "../../src/x86";

const { eax, ebx, ecx, edx, esp, ptr } = Asm;

export const ENGINES = ["direct", "interpreter"] as const;
export const LOAD_ADDRESS = 0x100000;

/** An ELF32 executable with one segment, loaded and entered at its first byte. */
export function elfImage(code: Uint8Array, address = LOAD_ADDRESS, entry = address): Uint8Array {
  const image = new Uint8Array(0x1000 + code.length);
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, entry, true);
  view.setUint32(28, 52, true);
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 1, true);
  [1, 0x1000, address, address, code.length, code.length, 7, 0x1000].forEach((word, i) => {
    view.setUint32(52 + 4 * i, word, true);
  });
  image.set(code, 0x1000);
  return image;
}

/** A hypercall through INT 0x1F with constant arguments. */
export function hypercall(
  a: Assembler,
  number: number,
  arg1: Asm.Displacement | string = 0,
  arg2: Asm.Displacement | string = 0,
  arg3: Asm.Displacement | string = 0,
): void {
  a.mov(eax, number).mov(ebx, arg1).mov(ecx, arg2).mov(edx, arg3).int(0x1f);
}
/** LOAD_IDT_ENTRY for a handler at a label. */
export function loadGate(a: Assembler, vector: number, handler: string, type: 0xe | 0xf, dpl = 0): void {
  a.mov(eax, 6).mov(ebx, vector);
  a.mov(ecx, handler).and(ecx, 0xffff).or(ecx, 0x600000);
  a.mov(edx, handler)
    .and(edx, 0xffff0000)
    .or(edx, 0x8000 | (dpl << 13) | (type << 8));
  a.int(0x1f);
}
/** SHUTDOWN with the text at a label. */
export function powerOff(a: Assembler, label = "bye"): void {
  hypercall(a, 2, label, 1);
}

/** Begins a guest: stack, LGUEST_INIT. The 2.6.32 layout of lguest_data is at label "data", the texts and the stack behind. */
export function begin(a: Assembler): void {
  a.label("start");
  a.mov(esp, "stack_top");
  hypercall(a, 1, "data");
}
/** Ends it: the data that begin() and powerOff() need. */
export function finish(
  a: Assembler,
  fields: { kernelAddress?: number; blocked?: number; abi?: "2.6.32" | "3.x"; noirq?: [string, string] } = {},
): void {
  a.align(4).label("bye").text("bye");
  a.align(4096, 0).label("data");
  a.dword(0, fields.blocked ?? 0, 0, 0, 0, 0);
  for (let i = 0; i < 16; i++) a.dword(0xffffffff);
  a.zero(1280).dword(0, 0);
  if (fields.abi !== "3.x") a.dword(0);
  a.dword(fields.noirq?.[0] ?? 0, fields.noirq?.[1] ?? 0, fields.kernelAddress ?? 0x80000000, 0x80);
  if (fields.abi === "3.x") a.dword(0);
  a.align(4096, 0).zero(4096).label("stack_top").dword(0, 0, 0, 0);
}

export interface GuestRun {
  readonly vm: VirtualMachine;
  readonly exit: VmExit;
  readonly output: string;
  /** Guest word at a label. */
  word(label: string): number;
}

/** Assembles and boots; not run yet. */
export function bootGuest(
  build: (a: Assembler) => void,
  options: Partial<VirtualMachineOptions> = {},
): { vm: VirtualMachine; symbols: ReadonlyMap<string, number>; output: () => string } {
  const a = new Assembler(LOAD_ADDRESS);
  build(a);
  const code = a.finish();
  const vm = new VirtualMachine({
    image: elfImage(code.bytes),
    memoryMegabytes: 2,
    hostMegabytes: 1,
    engine: "direct",
    ...options,
  });
  let output = "";
  vm.onConsoleOutput = (bytes) => {
    output += new TextDecoder().decode(bytes);
  };
  return { vm, symbols: code.symbols, output: () => output };
}

/** Assembles, boots and runs until something other than a restart ends it. */
export function runGuest(
  build: (a: Assembler) => void,
  options: Partial<VirtualMachineOptions> & { limit?: number } = {},
): GuestRun {
  const { vm, symbols, output } = bootGuest(build, options);
  const exit = vm.run(options.limit ?? 1_000_000);
  return {
    vm,
    exit,
    output: output(),
    word: (label) => new DataView(vm.readGuestPhysical(symbols.get(label) as number, 4).buffer).getUint32(0, true),
  };
}

/** Stores EAX at a label. */
export function store(a: Assembler, label: string): void {
  a.mov(ptr(label), eax);
}

/** The text of an exit that is a death. */
export function reasonOf(exit: VmExit): string {
  return exit.kind === "killed" || exit.kind === "powered-off" ? exit.reason : exit.kind;
}
