/*
 * tasks, the part at ring 3: what the tasks do. All use the same code and the same addresses, but each has memory of its
 * own: `work` is another word for each of them.
 */
#include "user.h"

#define WRONG 0xBAD

const u32 user_locals[TASKS + 1] = { 0, 1, 2, 3, 4 };

static volatile u32 work;

static u32 system_call(enum system_call number, u32 argument) {
  u32 result;

  __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(argument) : "memory");
  return result;
}

static _Noreturn void leave(u32 status) {
  for (;;) {
    system_call(CALL_EXIT, status);
  }
}

static void use_local_segment(void) {
  __asm__ volatile("movl %0, %%gs" : : "r"(TLS_SELECTOR(0)));
}

static u32 local(void) {
  u32 value;

  __asm__ volatile("movl %%gs:0, %0" : "=r"(value));
  return value;
}

/* Works until it has had its slices. It never gives the processor away; the timer takes it. */
_Noreturn void user_worker(u32 number) {
  use_local_segment();
  while (system_call(CALL_SLICES, 0) < SLICES) {
    for (u32 i = 0; i < 100; i++) {
      u32 before = work;
      work++;
      if (work != before + 1 || local() != number) {
        leave(WRONG); /* somebody else's memory, or somebody else's segment */
      }
    }
  }
  leave(work);
}

_Noreturn void user_sleeper(u32 number) {
  use_local_segment();
  while (work < NAPS) {
    system_call(CALL_SLEEP, NAP);
    work++;
    if (local() != number) {
      leave(WRONG);
    }
  }
  leave(work);
}
