/*
 * Gates, handlers, and what happens between trap_entry and a handler.
 */
#include <ring1/console.h>
#include <ring1/kernel.h>
#include <ring1/traps.h>

#define STUBS 64

extern const u32 trap_stubs[STUBS + 1];
extern const u8 trap_exit[];
extern const u8 trap_caught[]; /* catch.S */
extern const u32 catch_stack;

u32 trap_pushed_eflags;

static trap_handler *handlers[256];
static u8 gate_types[256];

/* Where ring 3 lands unless the kernel says otherwise. */
static u8 trap_stack[2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static const char *const names[] = {
  "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "trap", "#TS", "#NP", "#SS", "#GP", "#PF", "trap",
  "#MF", "#AC", "#MC",
};

const char *trap_name(unsigned vector) {
  return vector < LENGTH(names) ? names[vector] : "trap";
}

void trap_print(const struct trap_frame *frame) {
  bool user = trap_from_user(frame);

  printf("vector %u (%s) error %x cr2 %08x\n", frame->vector, trap_name(frame->vector), frame->error,
         lguest_data.cr2);
  printf("eip %04x:%08x eflags %08x esp %04x:%08x\n", frame->cs & 0xFFFF, frame->eip, frame->eflags,
         user ? frame->ss & 0xFFFF : KERNEL_DS, trap_stack_of(frame));
  printf("eax %08x ebx %08x ecx %08x edx %08x\n", frame->eax, frame->ebx, frame->ecx, frame->edx);
  printf("esi %08x edi %08x ebp %08x ds %04x es %04x fs %04x gs %04x\n", frame->esi, frame->edi, frame->ebp,
         frame->ds & 0xFFFF, frame->es & 0xFFFF, frame->fs & 0xFFFF, frame->gs & 0xFFFF);
}

/* Called by trap_entry. Virtual interrupts are off if the gate is an interrupt gate, else as they were. */
void trap_dispatch(struct trap_frame *frame) {
  trap_handler *handler = handlers[frame->vector];

  trap_pushed_eflags = frame->eflags;
  if (gate_types[frame->vector] == GATE_TRAP) {
    /* If this came directly, the processor saved the real IF, which is always set. Put the virtual one in its place. */
    frame->eflags = (frame->eflags & ~EFLAGS_IF) | (lguest_data.irq_enabled & EFLAGS_IF);
  }
  if (!handler) {
    trap_print(frame);
    panic("unhandled %s at %08x", trap_name(frame->vector), frame->eip);
  }
  handler(frame);

  if ((frame->eflags & EFLAGS_IF) && lguest_data.irq_pending) {
    /* Let in now what would otherwise have to wait for the next trap into the host. */
    irq_enable();
    irq_disable();
  }
}

static void load_gate(unsigned vector, enum gate type, unsigned ring) {
  u32 stub = trap_stubs[vector < STUBS ? vector : STUBS];
  u32 low = (KERNEL_CS << 16) | (stub & 0xFFFF);
  u32 high = (stub & 0xFFFF0000) | SEGMENT_PRESENT << 8 | ring << 13 | type << 8;

  gate_types[vector] = type;
  hcall3(LHCALL_LOAD_IDT_ENTRY, vector, low, high);
}

void trap_install(unsigned vector, enum gate type, unsigned ring, trap_handler *handler) {
  if (vector >= STUBS && vector != LGUEST_SYSCALL_VEC) {
    panic("vector %u has no stub", vector);
  }
  handlers[vector] = handler;
  load_gate(vector, type, ring);
}

void irq_install(unsigned irq, trap_handler *handler) {
  trap_install(LGUEST_IRQ_VECTOR + irq, GATE_INTERRUPT, 0, handler);
  lguest_data.blocked_interrupts &= ~(1u << irq);
}

void trap_set_stack(void *top, unsigned pages) {
  hcall3(LHCALL_SET_STACK, KERNEL_DS, (u32)top - TRAP_STACK_GAP, pages);
}

void traps_init(void) {
  for (unsigned vector = 0; vector < 32; vector++) {
    if (vector != 2 && vector != 8 && vector != 15 && vector != LGUEST_TRAP_ENTRY) {
      load_gate(vector, GATE_INTERRUPT, vector == TRAP_BREAKPOINT || vector == TRAP_OVERFLOW ? 3 : 0);
    }
  }
  trap_set_stack(trap_stack + sizeof(trap_stack), sizeof(trap_stack) / PAGE_SIZE);
}

void trap_escape(struct trap_frame *frame, u32 value) {
  if (!catch_stack) {
    trap_print(frame);
    panic("%s at %08x, with nothing to catch it", trap_name(frame->vector), frame->eip);
  }
  frame->eax = value;
  frame->eip = (u32)trap_caught;
  frame->cs = KERNEL_CS; /* a return to ring 1 does not touch SS and ESP; trap_caught knows the stack */
  frame->ds = frame->es = KERNEL_DS;
  frame->fs = frame->gs = 0;
  frame->eflags &= ~(EFLAGS_TRAP | EFLAGS_NESTED | EFLAGS_ALIGN);
}

void trap_frame_user(struct trap_frame *frame, u32 eip, u32 esp) {
  *frame = (struct trap_frame){
    .es = USER_DS,
    .ds = USER_DS,
    .eip = eip,
    .cs = USER_CS,
    .eflags = EFLAGS_IF | EFLAGS_FIXED,
    .esp = esp,
    .ss = USER_DS,
  };
}

u32 stack_prepare(void *top, u32 eip, u32 esp, struct trap_frame **frame_out) {
  struct trap_frame *frame = (struct trap_frame *)((u32)top - TRAP_STACK_GAP) - 1;
  u32 *stack = (u32 *)frame;

  trap_frame_user(frame, eip, esp);
  *--stack = (u32)trap_exit; /* stack_switch returns to it */
  for (int saved = 0; saved < 4; saved++) {
    *--stack = 0; /* EBP, EBX, ESI, EDI */
  }
  if (frame_out) {
    *frame_out = frame;
  }
  return (u32)stack;
}

void kernel_init(void) {
  segments_init();
  traps_init();
  pages_init();
  paging_drop_identity();
  console_init();
}
