/*
 * What guest and host share, and the calls that are more than a hypercall.
 */
#include <ring1/console.h>
#include <ring1/lguest.h>

/* All interrupts are blocked until somebody installs a handler; all ring entries are free. */
struct lguest_data lguest_data __attribute__((aligned(4))) = {
  .blocked_interrupts = ~0u,
  .hcall_status = { [0 ... LGUEST_RING_SIZE - 1] = LGUEST_FREE },
};

u32 lguest_abi;

_Static_assert(offsetof(struct lguest_data, irq_enabled) == LGUEST_DATA_IRQ_ENABLED, "lguest_data.irq_enabled");
_Static_assert(offsetof(struct lguest_data, hcalls) == 0x058, "lguest_data.hcalls");
_Static_assert(offsetof(struct lguest_data, reserve_mem) == 0x558, "lguest_data.reserve_mem");
_Static_assert(offsetof(struct lguest_data, late.v2_6_32.published) == LGUEST_DATA_LATE_2_6_32, "2.6.32 fields");
_Static_assert(offsetof(struct lguest_data, late.v3.published) == LGUEST_DATA_LATE_3, "3.x fields");
_Static_assert(sizeof(struct lguest_data) == 0x574, "lguest_data");

void irq_enable(void) {
  lguest_data.irq_enabled = LGUEST_IRQ_ON;
  barrier();
  if (lguest_data.irq_pending) {
    /* Hosts set this word but never clear it again; doing it here saves a hypercall each time from now on. */
    lguest_data.irq_pending = 0;
    hcall0(LHCALL_SEND_INTERRUPTS);
  }
}

/* The host reads the ring in the same order, from 0 and round and round, so both sides know the next entry. */
void hcall_async(u32 number, u32 arg1, u32 arg2, u32 arg3, u32 arg4) {
  static u32 next;
  u32 saved = irq_save();

  if (lguest_data.hcall_status[next] != LGUEST_FREE) {
    /* The ring is full. A direct call empties it before it does its own work, so the order is kept. */
    hcall(number, arg1, arg2, arg3, arg4);
  } else {
    lguest_data.hcalls[next][0] = number;
    lguest_data.hcalls[next][1] = arg1;
    lguest_data.hcalls[next][2] = arg2;
    lguest_data.hcalls[next][3] = arg3;
    lguest_data.hcalls[next][4] = arg4;
    barrier();
    lguest_data.hcall_status[next] = 0;
    next = (next + 1) % LGUEST_RING_SIZE;
  }
  irq_restore(saved);
}

/* The host reads 128 bytes, wherever the text ends. */
static char shutdown_text[128];

static _Noreturn void shutdown(u32 reason) {
  for (;;) {
    hcall2(LHCALL_SHUTDOWN, physical(shutdown_text), reason);
  }
}

_Noreturn void power_off(void) {
  snprintf(shutdown_text, sizeof(shutdown_text), "Power down");
  shutdown(LGUEST_SHUTDOWN_POWEROFF);
}

_Noreturn void reboot(void) {
  snprintf(shutdown_text, sizeof(shutdown_text), "Restart");
  shutdown(LGUEST_SHUTDOWN_RESTART);
}

_Noreturn void panic(const char *format, ...) {
  va_list arguments;

  irq_disable();
  va_start(arguments, format);
  vsnprintf(shutdown_text, sizeof(shutdown_text), format, arguments);
  va_end(arguments);
  early_print("panic: ");
  early_print(shutdown_text);
  early_print("\n");
  shutdown(LGUEST_SHUTDOWN_POWEROFF);
}
