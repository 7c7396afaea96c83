/*
 * Everything a small kernel wants, in one include. A kernel defines kernel_main, which lib/start.S calls once paging is
 * on and the code runs at its own addresses; it must not return.
 */
#ifndef RING1_KERNEL_H
#define RING1_KERNEL_H

#include <ring1/boot.h>
#include <ring1/console.h>
#include <ring1/lguest.h>
#include <ring1/paging.h>
#include <ring1/segments.h>
#include <ring1/time.h>
#include <ring1/traps.h>
#include <ring1/types.h>
#include <ring1/virtio.h>

_Noreturn void kernel_main(void);

/*
 * What most kernels do first, in one call: segments, gates, stack for ring 3, page allocator, no more low mapping,
 * console. hello/main.c does the same step by step.
 */
void kernel_init(void);

/* start.S: the stack that kernel_main runs on. */
#define BOOT_STACK_PAGES 2
extern u8 boot_stack[BOOT_STACK_PAGES * PAGE_SIZE];

#endif
