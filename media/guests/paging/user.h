/*
 * What the two halves of paging know of each other: system calls and addresses. A system call has its number in EAX and
 * arguments in EBX and ECX; the result comes back in EAX.
 */
#include <ring1/types.h>

enum system_call {
  CALL_EXIT,   /* status */
  CALL_FORK,   /* -> 0 in the child, its number in the parent */
  CALL_WAIT,   /* process -> its exit status, or KILLED */
  CALL_CHECK,  /* whether it holds, text */
};

#define KILLED 0xDEAD

/* Pages appear here when they are touched. */
#define HEAP_START  0x10000000
#define HEAP_END    0x10100000
#define STACK_START 0xBFF00000
#define STACK_END   0xC0000000

_Noreturn void user_main(void);

/* kernel.ld: the ring-3 part, as linked and as loaded. The addresses of these are what counts. */
extern u8 user_start[], user_data[], user_end[], user_load[];
