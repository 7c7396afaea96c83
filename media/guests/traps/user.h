/* What the two halves of traps know of each other: names, and the vector that means "nothing happened". */
#include <ring1/types.h>

#define NOTHING_HAPPENED 0x21

void user_system_call(void);
void user_divide(void);
void user_breakpoint(void);
void user_vmcall(void);
void user_hypercall(void);
void user_in(void);
void user_read_kernel(void);
void user_misaligned(void);

extern u8 user_stack[4096];

/* kernel.ld: the ring-3 part, as linked and as loaded. The addresses of these are what counts. */
extern u8 user_start[], user_end[], user_load[];
