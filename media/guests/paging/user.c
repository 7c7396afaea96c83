/*
 * paging, the part at ring 3: a program that uses memory in every way, forks, and checks what it sees.
 */
#include "user.h"

static u32 system_call(enum system_call number, u32 first, u32 second) {
  u32 result;

  __asm__ volatile("int $0x80" : "=a"(result) : "0"(number), "b"(first), "c"(second) : "memory");
  return result;
}

static _Noreturn void leave(u32 status) {
  for (;;) {
    system_call(CALL_EXIT, status, 0);
  }
}

static void check(bool holds, const char *text) {
  system_call(CALL_CHECK, holds, (u32)text);
}

static u32 my_ring(void) {
  u32 cs;

  __asm__("movl %%cs, %0" : "=r"(cs));
  return cs & 3;
}

static volatile u32 word = 1;
static volatile u32 *const heap = (volatile u32 *)HEAP_START;

/* Uses a page of stack per level. */
static __attribute__((noinline)) u32 deep(u32 levels) {
  volatile u8 room[4096];

  __asm__ volatile("" : : "r"(room) : "memory"); /* so that the compiler really makes room */
  room[0] = (u8)levels;
  u32 below = levels == 0 ? 0 : deep(levels - 1);
  return below + (room[0] == (u8)levels);
}

static void use_memory(void) {
  check(heap[0] == 0 && heap[5 * 1024] == 0, "pages of the heap appear when touched, and are zero");
  heap[0] = 0x12345678;
  check(heap[0] == 0x12345678, "the heap keeps what is written");
  check(deep(19) == 20, "the stack grows by 20 pages");
}

static void fork_and_write(void) {
  word = 100;
  u32 child = system_call(CALL_FORK, 0, 0);
  if (child == 0) {
    check(word == 100, "the child sees what was there at the fork, though the parent has written since");
    word = 200;
    heap[0] = 200;
    check(word == 200 && heap[0] == 200, "the child sees what it writes itself");
    leave(42);
  }
  word = 150; /* the child has not run yet */
  check(system_call(CALL_WAIT, child, 0) == 42, "the child's exit status arrives");
  check(word == 150 && heap[0] == 0x12345678, "the parent does not see what the child has written");
}

/* Runs a function in a child that should not survive it. */
static void dies(void (*function)(void), const char *text) {
  u32 child = system_call(CALL_FORK, 0, 0);

  if (child == 0) {
    function();
    leave(0);
  }
  check(system_call(CALL_WAIT, child, 0) == KILLED, text);
}

static void read_kernel(void) {
  *(volatile u32 *)0xC0100000;
}

static void write_null(void) {
  *(volatile u32 *)0 = 1;
}

static void write_text(void) {
  *(volatile u8 *)(u32)read_kernel = 0;
}

static void hypercall(void) {
  __asm__ volatile("int $0x1f" : : "a"(0) : "memory");
}

_Noreturn void user_main(void) {
  check(my_ring() == 3, "the program runs at ring 3");
  use_memory();
  fork_and_write();
  dies(read_kernel, "a program that reads the kernel is killed");
  dies(write_null, "a program that writes through a null pointer is killed");
  dies(write_text, "a program that writes to its own code is killed");
  dies(hypercall, "a program that makes a hypercall is killed");
  leave(7);
}
