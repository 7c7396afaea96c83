/*
 * Time. The host offers a one-shot timer, which raises interrupt 0; the wall clock, written whenever an interrupt is
 * delivered; and the time stamp counter with its speed, where that is steady.
 */
#ifndef RING1_TIME_H
#define RING1_TIME_H

#include <ring1/traps.h>
#include <ring1/types.h>

#define MILLISECOND 1000000u  /* in nanoseconds */

/* Installs the handler for the timer interrupt. */
void timer_init(trap_handler *handler);

/* One timer interrupt in so many nanoseconds (at least 100). */
void timer_set(u32 nanoseconds);
void timer_cancel(void);

u64 read_tsc(void);

/* Milliseconds since the kernel started. */
u32 uptime_ms(void);

/* 64 by 32 bits, since there is no compiler library. The quotient must fit in 32 bits. */
static inline u32 divide(u64 dividend, u32 divisor) {
  u32 quotient, remainder;
  __asm__("divl %4" : "=a"(quotient), "=d"(remainder) : "a"((u32)dividend), "d"((u32)(dividend >> 32)), "rm"(divisor));
  return quotient;
}

#endif
