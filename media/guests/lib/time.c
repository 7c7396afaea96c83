/*
 * The timer and the clocks.
 */
#include <ring1/lguest.h>
#include <ring1/time.h>

void timer_init(trap_handler *handler) {
  irq_install(LGUEST_IRQ_TIMER, handler);
}

void timer_set(u32 nanoseconds) {
  hcall1(LHCALL_SET_CLOCKEVENT, nanoseconds);
}

void timer_cancel(void) {
  hcall1(LHCALL_SET_CLOCKEVENT, 0);
}

u64 read_tsc(void) {
  u64 value;

  __asm__ volatile("rdtsc" : "=A"(value));
  return value;
}

u32 uptime_ms(void) {
  static u64 start_tsc;
  static i32 start_seconds;

  if (!start_seconds) {
    start_tsc = read_tsc();
    start_seconds = lguest_data.time_seconds;
  }
  if (lguest_data.tsc_khz) {
    return divide(read_tsc() - start_tsc, lguest_data.tsc_khz);
  }
  return (u32)(lguest_data.time_seconds - start_seconds) * 1000 + (u32)lguest_data.time_nanoseconds / 1000000;
}
