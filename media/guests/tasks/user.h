/*
 * What the two halves of tasks know of each other: system calls and addresses. A system call has its number in EAX and
 * an argument in EBX; the result comes back in EAX.
 */
#include <ring1/segments.h>
#include <ring1/types.h>

enum system_call {
  CALL_EXIT,    /* status */
  CALL_SLICES,  /* -> how often the timer has found this task running */
  CALL_SLEEP,   /* ticks */
};

#define TASKS  4
#define SLICES 6   /* how long a worker works */
#define NAPS   4   /* how often the sleeper sleeps */
#define NAP    7   /* ticks */

#define STACK_PAGE 0x00800000

/* A task starts here, with its number as argument. */
_Noreturn void user_worker(u32 number);
_Noreturn void user_sleeper(u32 number);

/* Each task has a segment of its own for its word in here, selector TLS_SELECTOR(0). */
extern const u32 user_locals[TASKS + 1];

/* kernel.ld: the ring-3 part, as linked and as loaded. The addresses of these are what counts. */
extern u8 user_start[], user_data[], user_end[], user_load[];
