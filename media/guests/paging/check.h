/* Checks: each prints a line and is counted. */
#include <ring1/types.h>

void check(bool holds, const char *text);
_Noreturn void check_summary(void);

/* tables.c: what page tables do, seen from ring 1. process.c: processes that share pages. */
void check_tables(void);
void check_processes(void);
