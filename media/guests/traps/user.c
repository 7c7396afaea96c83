/*
 * traps, the part at ring 3: functions that trap, each in its own way. They are linked at their own low addresses (see
 * ../kernel.ld) and must not touch the kernel. Each ends by saying that nothing happened.
 */
#include <ring1/lguest.h>

#include "user.h"

/* INT to a vector that no program may use is a #GP whose error code names the vector: the kernel's sign for "done". */
static void nothing_happened(void) {
  for (;;) {
    __asm__ volatile("int %0" : : "i"(NOTHING_HAPPENED));
  }
}

void user_system_call(void) {
  __asm__ volatile("int $0x80" : : "a"(0) : "memory");
  nothing_happened();
}

void user_divide(void) {
  u32 low = 1, high = 0;
  __asm__ volatile("divl %2" : "+a"(low), "+d"(high) : "r"(0) : "cc");
  nothing_happened();
}

void user_breakpoint(void) {
  __asm__ volatile("int3");
  nothing_happened();
}

void user_vmcall(void) {
  __asm__ volatile(".byte 0x0F, 0x01, 0xC1" : : "a"(0) : "memory");
  nothing_happened();
}

void user_hypercall(void) {
  __asm__ volatile("int $0x1f" : : "a"(0) : "memory");
  nothing_happened();
}

void user_in(void) {
  u32 value;
  __asm__ volatile("inb $0x80, %%al" : "=a"(value));
  nothing_happened();
}

void user_read_kernel(void) {
  lguest_data.irq_enabled;
  nothing_happened();
}

/* Alignment is checked at ring 3 only, and only if the host has set CR0.AM. */
void user_misaligned(void) {
  static u32 words[2];
  __asm__ volatile("pushfl; orl $0x40000, (%%esp); popfl; movl (%0), %%eax" : : "r"((u8 *)words + 1) : "eax", "cc");
  nothing_happened();
}

u8 user_stack[4096];
