/*
 * traps: provokes each kind of trap, and tells which way it took.
 *
 * Each trap is provoked twice: with an interrupt gate, which the host always reflects, and with a trap gate, which it
 * lets through to the processor where it can. The kernel can tell who made the frame: with (virtual) interrupts off, the
 * host saves EFLAGS with IF = 0, and the processor with the real IF, which is 1. See trap_pushed_eflags.
 */
#include <ring1/kernel.h>

#include "user.h"

enum way { WAY_NONE, WAY_DIRECT, WAY_REFLECTED };

/* What on_trap saw last. */
struct seen {
  enum way way;
  u32 vector;
  u32 error;
  u32 ring;
};

static struct seen seen;

static void on_trap(struct trap_frame *frame) {
  seen = (struct seen){
    .way = trap_pushed_eflags & EFLAGS_IF ? WAY_DIRECT : WAY_REFLECTED,
    .vector = frame->vector,
    .error = frame->error,
    .ring = frame->cs & 3,
  };
  if (frame->vector == TRAP_PROTECTION && frame->error == NOTHING_HAPPENED * 8 + 2 && seen.ring == 3) {
    seen.way = WAY_NONE; /* the program's way of saying that nothing happened */
  }
  trap_escape(frame, 1);
}

/* ---- Things that trap, at ring 1 -------------------------------------------------------------------------------- */

/* GDT entry 20 becomes a segment that is not there; GDT entry 21 stays empty. */
#define ABSENT_SELECTOR (20 << 3 | 1)
#define EMPTY_SELECTOR (21 << 3 | 1)

static void divide_by_zero(void *unused) {
  u32 low = 1, high = 0;
  (void)unused;
  __asm__ volatile("divl %2" : "+a"(low), "+d"(high) : "r"(0) : "cc");
}

static void single_step(void *unused) {
  (void)unused;
  __asm__ volatile("pushfl; orl %0, (%%esp); popfl; nop; nop" : : "i"(EFLAGS_TRAP) : "cc", "memory");
}

static void breakpoint(void *unused) {
  (void)unused;
  __asm__ volatile("int3");
}

static void overflow(void *unused) {
  u32 largest = 0x7FFFFFFF;
  (void)unused;
  __asm__ volatile("addl %0, %0; into" : "+r"(largest) : : "cc");
}

static void out_of_bounds(void *unused) {
  static const i32 bounds[2] = { 1, 2 };
  (void)unused;
  __asm__ volatile("bound %0, %1" : : "r"(3), "m"(bounds));
}

static void undefined(void *unused) {
  (void)unused;
  __asm__ volatile("ud2");
}

static void fpu(void *unused) {
  (void)unused;
  hcall1(LHCALL_TS, 1);
  __asm__ volatile("fninit");
}

/* IRET with the nested-task flag returns to the task named in the TSS; there is none. */
static void nested_return(void *unused) {
  (void)unused;
  __asm__ volatile("pushfl; orl %0, (%%esp); popfl; iret" : : "i"(EFLAGS_NESTED) : "cc", "memory");
}

static void absent_segment(void *unused) {
  (void)unused;
  __asm__ volatile("movl %0, %%fs" : : "r"(ABSENT_SELECTOR));
}

static void absent_stack(void *unused) {
  (void)unused;
  __asm__ volatile("movl %0, %%ss" : : "r"(ABSENT_SELECTOR));
}

static void empty_selector(void *unused) {
  (void)unused;
  __asm__ volatile("movl %0, %%fs" : : "r"(EMPTY_SELECTOR | 2));
}

static void privileged(void *unused) {
  (void)unused;
  __asm__ volatile("hlt");
}

static void forbidden_interrupt(void *unused) {
  (void)unused;
  __asm__ volatile("int $0x21");
}

/* Two pages to fault on: one that is not there, and one that may only be read. */
#define ABSENT_PAGE    0xFB000000
#define READ_ONLY_PAGE 0xFB001000

static void read_absent(void *unused) {
  (void)unused;
  *(volatile u32 *)ABSENT_PAGE;
}

static void write_absent(void *unused) {
  (void)unused;
  *(volatile u32 *)ABSENT_PAGE = 0;
}

/* Reading first makes the host put the page into its shadow; else the error code would say that it is absent. */
static void write_read_only(void *unused) {
  (void)unused;
  *(volatile u32 *)READ_ONLY_PAGE;
  *(volatile u32 *)READ_ONLY_PAGE = 0;
}

/* Goes to ring 3. The way back is trap_escape. Interrupts stay off. */
static void enter_user(void *function) {
  struct trap_frame frame;

  trap_frame_user(&frame, (u32)function, (u32)(user_stack + sizeof(user_stack)));
  frame.eflags &= ~EFLAGS_IF;
  trap_return(&frame);
}

/* ---- What is provoked, and what should happen ------------------------------------------------------------------- */

enum { BOTH_GATES, TRAP_GATE_ONLY, OPTIONAL };

struct provocation {
  u32 vector;
  u32 error;
  const char *how;
  void (*run)(void *);      /* at ring 1 */
  void (*program)(void);    /* or at ring 3 */
  int gates;
};

static const struct provocation provocations[] = {
  { TRAP_DIVIDE, 0, "divide by zero", divide_by_zero, NULL, BOTH_GATES },
  /* A reflected #DB leaves TF on, so its handler would be stepped as well, and again. */
  { TRAP_DEBUG, 0, "single step", single_step, NULL, TRAP_GATE_ONLY },
  { TRAP_BREAKPOINT, 0, "int3", breakpoint, NULL, BOTH_GATES },
  { TRAP_OVERFLOW, 0, "into", overflow, NULL, BOTH_GATES },
  { TRAP_BOUND, 0, "bound", out_of_bounds, NULL, BOTH_GATES },
  { TRAP_INVALID_OPCODE, 0, "ud2", undefined, NULL, BOTH_GATES },
  { TRAP_NO_DEVICE, 0, "fninit with TS set", fpu, NULL, BOTH_GATES },
  /* Likewise: a reflected #TS leaves NT on. */
  { TRAP_INVALID_TSS, 0, "iret with NT set", nested_return, NULL, TRAP_GATE_ONLY },
  { TRAP_NOT_PRESENT, ABSENT_SELECTOR & ~3, "load fs, absent", absent_segment, NULL, BOTH_GATES },
  { TRAP_STACK, ABSENT_SELECTOR & ~3, "load ss, absent", absent_stack, NULL, BOTH_GATES },
  { TRAP_PROTECTION, EMPTY_SELECTOR & ~3, "load fs, empty", empty_selector, NULL, BOTH_GATES },
  { TRAP_PROTECTION, 0, "hlt", privileged, NULL, BOTH_GATES },
  { TRAP_PROTECTION, 0x21 * 8 + 2, "int 0x21", forbidden_interrupt, NULL, BOTH_GATES },
  { TRAP_PAGE_FAULT, 0, "read, absent", read_absent, NULL, BOTH_GATES },
  { TRAP_PAGE_FAULT, FAULT_WRITE, "write, absent", write_absent, NULL, BOTH_GATES },
  { TRAP_PAGE_FAULT, FAULT_WRITE | FAULT_PRESENT, "write, read-only", write_read_only, NULL, BOTH_GATES },
  { TRAP_DIVIDE, 0, "divide by zero", NULL, user_divide, BOTH_GATES },
  { TRAP_BREAKPOINT, 0, "int3", NULL, user_breakpoint, BOTH_GATES },
  { TRAP_INVALID_OPCODE, 0, "vmcall", NULL, user_vmcall, BOTH_GATES },
  { TRAP_PROTECTION, LGUEST_TRAP_ENTRY * 8 + 2, "int 0x1f", NULL, user_hypercall, BOTH_GATES },
  { TRAP_PROTECTION, 0, "in", NULL, user_in, BOTH_GATES },
  { TRAP_PAGE_FAULT, FAULT_USER | FAULT_PRESENT, "read the kernel", NULL, user_read_kernel, BOTH_GATES },
  /* Only where the host has set CR0.AM. */
  { TRAP_ALIGNMENT, 0, "misaligned read", NULL, user_misaligned, OPTIONAL },
  { TRAP_SYSTEM_CALL, 0, "int 0x80", NULL, user_system_call, BOTH_GATES },
};

/* The host wants to see these itself, whatever gate they have: paging, I/O, FPU and VMCALL depend on them. */
static bool can_be_direct(u32 vector) {
  return vector != TRAP_INVALID_OPCODE && vector != TRAP_NO_DEVICE && vector != TRAP_PROTECTION &&
         vector != TRAP_PAGE_FAULT;
}

static enum way expected_way(u32 vector, enum gate gate) {
  if (gate == GATE_TRAP) {
    return can_be_direct(vector) ? WAY_DIRECT : WAY_REFLECTED;
  }
  return WAY_REFLECTED;
}

/* A host takes an INT 0x80 that comes to it for a hardware interrupt, and forgets it (unless this was corrected). */
static bool may_be_lost(const struct provocation *p, enum gate gate) {
  return p->gates == OPTIONAL || (p->vector == TRAP_SYSTEM_CALL && gate == GATE_INTERRUPT);
}

static const char *way_name(enum way way) {
  return way == WAY_DIRECT ? "direct" : way == WAY_REFLECTED ? "reflected" : "nothing";
}

static unsigned direct, reflected, nothing, surprises;

static unsigned ring_of(const struct provocation *p) {
  return p->program ? 3 : 1;
}

static unsigned outermost_ring(u32 vector) {
  return vector == TRAP_BREAKPOINT || vector == TRAP_OVERFLOW || vector == TRAP_SYSTEM_CALL ? 3 : 0;
}

/* Provokes a trap through one kind of gate, and prints the way it took. */
static void provoke(const struct provocation *p, enum gate gate) {
  enum way expected = expected_way(p->vector, gate);

  trap_install(p->vector, gate, outermost_ring(p->vector), on_trap);
  seen = (struct seen){ .way = WAY_NONE };
  irq_disable();
  if (p->program) {
    trap_catch(enter_user, p->program);
  } else {
    trap_catch(p->run, NULL);
  }
  hcall1(LHCALL_TS, 0);
  trap_install(p->vector, GATE_INTERRUPT, outermost_ring(p->vector), on_trap);

  printf(gate == GATE_INTERRUPT ? "  %-9s" : "  %s", way_name(seen.way));
  if (p->gates != OPTIONAL) {
    direct += seen.way == WAY_DIRECT;
    reflected += seen.way == WAY_REFLECTED;
    nothing += seen.way == WAY_NONE;
  }
  if (seen.way == WAY_NONE && may_be_lost(p, gate)) {
    return;
  }
  if (seen.way != expected || seen.vector != p->vector || seen.error != p->error || seen.ring != ring_of(p)) {
    surprises++;
    printf(" (vector %u error %x ring %u)", seen.vector, seen.error, seen.ring);
  }
}

static void run_provocations(void) {
  printf("vector     ring provoked by          error  interrupt  trap gate\n");
  for (unsigned i = 0; i < LENGTH(provocations); i++) {
    const struct provocation *p = &provocations[i];
    const char *name = p->vector == TRAP_SYSTEM_CALL ? "int 80" : trap_name(p->vector);
    printf("%3u %-6s    %u %-20s %5x", p->vector, name, ring_of(p), p->how, p->error);
    if (p->gates == TRAP_GATE_ONLY) {
      printf("  %-9s", "-");
    } else {
      provoke(p, GATE_INTERRUPT);
    }
    provoke(p, GATE_TRAP);
    printf("\n");
  }
}

/* ---- What traps to the host and never comes to us --------------------------------------------------------------- */

extern const volatile u8 vmcall_place[]; /* the host changes it */

static void print_vmcall_bytes(const char *when) {
  printf("vmcall %s: %02x %02x %02x\n", when, vmcall_place[0], vmcall_place[1], vmcall_place[2]);
}

static void run_emulated(void) {
  u32 byte = 0x55555555, word = 0x55555555, both = 0x55555555;

  __asm__ volatile("inb $0x80, %%al" : "+a"(byte));
  __asm__ volatile("inw $0x80, %%ax" : "+a"(word));
  __asm__ volatile("inl $0x80, %%eax" : "+a"(both));
  __asm__ volatile("outb %%al, $0x80" : : "a"(0));
  printf("in: 55555555 becomes %08x (byte), %08x (word), %08x (double word); out: nothing\n", byte, word, both);

  /* The host replaces a VMCALL by INT 0x1F and a NOP the first time it meets it. */
  print_vmcall_bytes("before");
  __asm__ volatile(".globl vmcall_place\nvmcall_place: .byte 0x0F, 0x01, 0xC1"
                   :
                   : "a"(LHCALL_FLUSH_ASYNC), "b"(0), "c"(0), "d"(0)
                   : "memory");
  print_vmcall_bytes("after ");
}

/* The pages of the programs, and those to fault on. */
static void map_pages(void) {
  for (u32 offset = 0; offset < (u32)(user_end - user_start); offset += PAGE_SIZE) {
    page_map(boot_directory, (u32)user_start + offset, (u32)user_load + offset, PAGE_USER | PAGE_WRITE);
  }
  page_map(boot_directory, READ_ONLY_PAGE, physical(page_alloc()), 0);
}

_Noreturn void kernel_main(void) {
  kernel_init();
  map_pages();
  segment_load(ABSENT_SELECTOR >> 3, segment_descriptor(0, 0xFFFFFFFF, SEGMENT_DATA & ~SEGMENT_PRESENT));
  for (unsigned vector = 0; vector < 32; vector++) {
    if (vector != 2 && vector != 8 && vector != 15 && vector != LGUEST_TRAP_ENTRY) {
      trap_install(vector, GATE_INTERRUPT, outermost_ring(vector), on_trap);
    }
  }

  run_provocations();
  run_emulated();
  printf("traps: %u direct, %u reflected, %u nothing, %u surprises\n", direct, reflected, nothing, surprises);
  power_off();
}
