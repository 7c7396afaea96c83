/*
 * hello: the smallest guest kernel that is good for something. It greets, says what it found, and powers off.
 *
 * A good one to step through: press F5, stop at kernel_main, step. What happened before is in ../lib/start.S.
 */
#include <ring1/kernel.h>

/* What there is to say about this machine. */
struct machine {
  u32 memory_size;          /* bytes of RAM */
  u32 reserved;             /* bytes at the top of virtual memory that belong to the host */
  u32 tsc_khz;              /* 0: the time stamp counter is no clock */
  const char *command_line;
  const char *abi;          /* which generation of hosts this is */
};

static struct machine machine;

static void look_around(struct machine *found) {
  found->memory_size = boot_memory_size();
  found->reserved = lguest_data.reserve_mem;
  found->tsc_khz = lguest_data.tsc_khz;
  found->command_line = boot_command_line();
  found->abi = lguest_abi == LGUEST_ABI_2_6_32 ? "2.6.32" : "3.x";
}

/* A breakpoint instruction traps to the host, which hands it to us. */
static unsigned breakpoints_seen;

static void on_breakpoint(struct trap_frame *frame) {
  breakpoints_seen++;
  printf("a breakpoint at %08x, ring %u\n", frame->eip, frame->cs & 3);
}

static void greet(const struct machine *found) {
  struct descriptor code = segment_descriptor(0, 0xFFFFFFFF, SEGMENT_CODE | SEGMENT_RING(1));
  u16 cs;

  __asm__("movw %%cs, %0" : "=r"(cs));
  printf("Hello from ring %u!\n", cs & 3);
  printf("memory        %u MiB\n", found->memory_size >> 20);
  printf("command line  \"%s\"\n", found->command_line);
  printf("reserved      %u KiB at the top of the address space\n", found->reserved >> 10);
  printf("tsc           %u kHz\n", found->tsc_khz);
  printf("host ABI      %s\n", found->abi);
  printf("my code       cs %04x, descriptor %08x %08x\n", cs, code.low, code.high);
}

_Noreturn void kernel_main(void) {
  /* The early console needs nothing but a hypercall. */
  early_print("hello: early console\n");

  segments_init();          /* the GDT: code and data for ring 3; those for ring 1 were there */
  traps_init();             /* the IDT, and the stack for traps from ring 3 */
  pages_init();             /* physical memory that is free */
  paging_drop_identity();   /* from here on a null pointer is a fault */

  if (!console_init()) {
    early_print("hello: no console device\n");
  }

  look_around(&machine);
  greet(&machine);

  trap_install(TRAP_BREAKPOINT, GATE_INTERRUPT, 3, on_breakpoint);
  __asm__ volatile("int3");
  printf("%u breakpoint seen, good bye\n", breakpoints_seen);

  power_off();
}
