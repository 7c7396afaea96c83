/*
 * Traps and interrupts, from gate to handler.
 *
 * A trap of a guest takes one of two ways. Direct: the processor enters the guest's handler itself, no host involved.
 * That happens for a trap gate at one of the vectors 0, 1, 3 to 5, 9 to 12, 16 to 30 and 0x80. Reflected: the trap goes
 * to the host, which then builds the frame on the guest's stack as the processor would have done. That happens for all
 * the rest. Vectors 2, 8, 15 and 31 cannot be had at all.
 *
 * Either way trap_entry (trap-entry.S) makes a struct trap_frame and calls the handler with it. What the handler
 * changes in the frame is in force when it returns.
 */
#ifndef RING1_TRAPS_H
#define RING1_TRAPS_H

#include <ring1/types.h>

enum trap {
  TRAP_DIVIDE = 0,
  TRAP_DEBUG = 1,
  TRAP_BREAKPOINT = 3,
  TRAP_OVERFLOW = 4,
  TRAP_BOUND = 5,
  TRAP_INVALID_OPCODE = 6,
  TRAP_NO_DEVICE = 7,
  TRAP_INVALID_TSS = 10,
  TRAP_NOT_PRESENT = 11,
  TRAP_STACK = 12,
  TRAP_PROTECTION = 13,
  TRAP_PAGE_FAULT = 14,
  TRAP_FPU = 16,
  TRAP_ALIGNMENT = 17,
  TRAP_SYSTEM_CALL = 0x80,
};

/* Type of a gate. An interrupt gate turns (virtual) interrupts off, a trap gate leaves them as they are. */
enum gate {
  GATE_NONE = 0,
  GATE_INTERRUPT = 0xE,
  GATE_TRAP = 0xF,
};

#define EFLAGS_CARRY  0x00000001
#define EFLAGS_TRAP   0x00000100
#define EFLAGS_IF     0x00000200
#define EFLAGS_NESTED 0x00004000
#define EFLAGS_FIXED  0x00000002  /* this bit is always set */
#define EFLAGS_ALIGN  0x00040000

/* Error code of a page fault. */
#define FAULT_PRESENT 1  /* the page is there, but not for this */
#define FAULT_WRITE   2
#define FAULT_USER    4  /* by ring 3 */

/* The registers of what was interrupted, in the order in which trap-entry.S pushes them, read upward. */
struct trap_frame {
  u32 gs, fs, es, ds;
  u32 edi, esi, ebp, kernel_esp, ebx, edx, ecx, eax;
  u32 vector;
  u32 error;          /* 0 for vectors without an error code */
  u32 eip, cs, eflags;
  u32 esp, ss;        /* only there if the trap came from ring 3 */
};

typedef void trap_handler(struct trap_frame *frame);

static inline bool trap_from_user(const struct trap_frame *frame) {
  return (frame->cs & 3) == 3;
}

/* The ESP of what was interrupted. Coming from ring 1 the stack was not switched, so it is where the frame ends. */
static inline u32 trap_stack_of(const struct trap_frame *frame) {
  return trap_from_user(frame) ? frame->esp : (u32)&frame->esp;
}

/* Gives every exception an interrupt gate; an exception without handler is the end, with a register dump. */
void traps_init(void);

/*
 * Installs a handler with its gate. `ring` is the outermost ring whose INT, INT3 or INTO may use the gate: 3 for system
 * calls, 0 for what only the processor may raise (an INT to such a vector is a #GP).
 */
void trap_install(unsigned vector, enum gate type, unsigned ring, trap_handler *handler);

/* Installs a handler for interrupt `irq` and unblocks it. It runs with interrupts off. */
void irq_install(unsigned irq, trap_handler *handler);

/*
 * Where ring 3 lands when it traps: the stack that ends at `top`, of which `pages` (1 or 2) pages are kept mapped. The
 * host pins them in the page tables in use, so call it after directory_switch, not before.
 */
#define TRAP_STACK_GAP 16 /* the host looks at the byte where the stack begins, so that must be inside */
void trap_set_stack(void *top, unsigned pages);

/*
 * EFLAGS as they were in the frame of the last trap, before trap_dispatch put the virtual IF there. If interrupts are
 * off (irq_enabled is 0), IF in here tells who made the frame: 1 the processor (direct), 0 the host (reflected).
 */
extern u32 trap_pushed_eflags;

/*
 * Calls a function that may trap. Returns 0 if the function returned, else what the handler gave to trap_escape. The
 * function may also go to ring 3 (by trap_return) and come back by an escape only.
 */
u32 trap_catch(void (*function)(void *), void *argument);

/* For a handler: when it returns, go on after the innermost trap_catch, which returns `value` (not 0). */
void trap_escape(struct trap_frame *frame, u32 value);

/* Fills in a frame for ring 3, with interrupts on. */
void trap_frame_user(struct trap_frame *frame, u32 eip, u32 esp);

/* The short name of an exception, such as "#PF", or "trap". */
const char *trap_name(unsigned vector);

/* Prints the registers. */
void trap_print(const struct trap_frame *frame);

/* trap-entry.S: leaves the kernel with the registers of this frame, which must be all that is left on the stack. */
_Noreturn void trap_return(struct trap_frame *frame);

/*
 * trap-entry.S: saves the registers that a C function must keep, puts the stack pointer into *from, and goes on with
 * the stack `to`, which this function saved earlier. To start something new, prepare a stack with stack_prepare.
 */
void stack_switch(u32 *from, u32 to);

/*
 * Prepares a fresh stack that ends at `top` for stack_switch, so that it enters ring 3 with the given registers.
 * Returns the stack pointer for stack_switch, and where the frame is if `frame` is not NULL.
 */
u32 stack_prepare(void *top, u32 eip, u32 esp, struct trap_frame **frame);

#endif
