/*
 * paging: page tables under a hypervisor. tables.c shows when the host notices a change and when not; process.c has a
 * small process with demand paging, fork and copy on write, which runs the program in user.c.
 */
#include <ring1/kernel.h>

#include "check.h"

static unsigned checks, failures;

void check(bool holds, const char *text) {
  checks++;
  failures += !holds;
  printf("%s %s\n", holds ? "ok  " : "FAIL", text);
}

_Noreturn void check_summary(void) {
  if (failures == 0) {
    printf("paging: all %u checks passed\n", checks);
  } else {
    printf("paging: %u of %u checks FAILED\n", failures, checks);
  }
  power_off();
}

_Noreturn void kernel_main(void) {
  kernel_init();
  check_tables();
  check_processes();
  check_summary();
}
