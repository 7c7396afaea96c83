/*
 * The guest's side of the lguest ABI (32-bit x86, without PAE), in the generations of Linux 2.6.31 to 2.6.33
 * ("2.6.32") and of Linux 3.1 and later ("3.x").
 *
 * A guest kernel runs at ring 1. It asks its host for things by hypercalls: the number in EAX, up to four arguments in
 * EBX, ECX, EDX and ESI, then `int $0x1f`. A hypercall returns nothing and never fails: a host that dislikes one ends
 * the guest and says why. What guest and host share otherwise is one structure in the guest's memory, lguest_data.
 *
 * The first part of this file is plain numbers, for C and assembly alike. All addresses are guest-physical unless
 * they say virtual.
 */
#ifndef RING1_LGUEST_H
#define RING1_LGUEST_H

/* ---- Hypercalls: name, arguments -------------------------------------------------------------------------------- */

#define LHCALL_FLUSH_ASYNC      0  /* nothing; but entering the host runs what waits in the asynchronous ring */
#define LHCALL_LGUEST_INIT      1  /* address of struct lguest_data; must be the first call, once */
#define LHCALL_SHUTDOWN         2  /* address of a text (128 bytes are read), LGUEST_SHUTDOWN_* */
#define LHCALL_NEW_PGTABLE      4  /* address of a page directory: what CR3 is on real hardware */
#define LHCALL_FLUSH_TLB        5  /* 0: forget the user half of the present tables, else: forget everything */
#define LHCALL_LOAD_IDT_ENTRY   6  /* vector, low word, high word of the gate */
#define LHCALL_SET_STACK        7  /* SS selector with RPL 1, ESP (virtual), pages to pin below it (at most 2) */
#define LHCALL_TS               8  /* 0: FPU instructions work, else: they raise #NM (CR0.TS) */
#define LHCALL_SET_CLOCKEVENT   9  /* interrupt 0 in so many nanoseconds, once; 0: never mind */
#define LHCALL_HALT            10  /* sleep until an interrupt */
#define LHCALL_SET_PTE         14  /* address of a page directory, virtual address, the new entry */
#define LHCALL_SET_PGD         15  /* address of a page directory, index of the changed entry */
#define LHCALL_LOAD_TLS        16  /* address of three descriptors, for GDT entries 6 to 8 */
#define LHCALL_NOTIFY          17  /* address of a device, of a virtqueue, or of a text for the early console */
#define LHCALL_LOAD_GDT_ENTRY  18  /* index, low word, high word of the descriptor */
#define LHCALL_SEND_INTERRUPTS 19  /* nothing; but entering the host delivers pending interrupts */

#define LGUEST_TRAP_ENTRY    0x1F  /* the vector that makes a hypercall; only ring 1 may */
#define LGUEST_SYSCALL_VEC   0x80  /* the vector for system calls, which can go from ring 3 to ring 1 directly */

#define LGUEST_SHUTDOWN_POWEROFF 1
#define LGUEST_SHUTDOWN_RESTART  2

#define LGUEST_IRQ_VECTOR      32  /* interrupt n arrives at vector 32 + n */
#define LGUEST_IRQ_TIMER        0  /* devices have 1 and up */
#define LGUEST_IRQ_ON       0x200  /* lguest_data.irq_enabled, as bit 9 (IF) of EFLAGS */

/* ---- Where things are ------------------------------------------------------------------------------------------- */

#define KERNEL_BASE  0xC0000000    /* physical memory appears from here up; user programs live below */
#define PAGE_SIZE    4096
#define LGUEST_RING_SIZE  64       /* entries of the asynchronous hypercall ring */
#define LGUEST_FREE     0xFF       /* hcall_status of a free entry; 0 is "please do this" */

/* Which generation of the ABI the host speaks; start.S finds out. See struct lguest_data. */
#define LGUEST_ABI_2_6_32  0
#define LGUEST_ABI_3       3

/* Offsets in struct lguest_data that assembly needs; lguest.c asserts that they are right. */
#define LGUEST_DATA_IRQ_ENABLED  0x000
#define LGUEST_DATA_LATE_2_6_32  0x564  /* the four words noirq_start, noirq_end, kernel_address, syscall_vec */
#define LGUEST_DATA_LATE_3       0x560  /* the same four words, from Linux 3.1 on */

#ifndef __ASSEMBLER__

#include <ring1/types.h>

/* What a guest publishes before LGUEST_INIT; the host reads it then, and never again. */
struct lguest_published {
  u32 noirq_start;     /* no interrupt is delivered while noirq_start <= EIP < noirq_end: see interrupt_return */
  u32 noirq_end;
  u32 kernel_address;  /* virtual addresses from here up are the kernel's and the same in every page directory */
  u32 syscall_vec;     /* LGUEST_SYSCALL_VEC */
};

/* The memory that guest and host share. Who writes a field is said beside it. */
struct lguest_data {
  volatile u32 irq_enabled;         /* both: LGUEST_IRQ_ON or 0. The guest's idea of IF; the real IF is always 1 */
  volatile u32 blocked_interrupts;  /* guest: bit n set masks interrupt n */
  volatile u32 cr2;                 /* host: the address of the last page fault passed to the guest */
  volatile i32 time_seconds;        /* host: the wall clock when the last interrupt was delivered */
  volatile i32 time_nanoseconds;
  volatile u32 irq_pending;         /* host: LGUEST_IRQ_ON if an interrupt waits because irq_enabled was 0 */
  volatile u8 hcall_status[LGUEST_RING_SIZE]; /* both: the asynchronous ring, see hcall_async */
  volatile u32 hcalls[LGUEST_RING_SIZE][5];   /* guest: number and four arguments */
  u32 reserve_mem;                  /* host, at INIT: bytes at the top of virtual memory that are not ours */
  u32 tsc_khz;                      /* host, at INIT: speed of the time stamp counter, 0 if it is no clock */
  union {
    struct {
      u32 pgdir;                    /* host, at INIT: the page directory the guest was started with */
      struct lguest_published published;
    } v2_6_32;
    struct {                        /* from Linux 3.1 on there is none, and what follows moved up */
      struct lguest_published published;
      u32 unused;
    } v3;
  } late;
};

extern struct lguest_data lguest_data;

/* LGUEST_ABI_2_6_32 or LGUEST_ABI_3. */
extern u32 lguest_abi;

/* Kernel virtual address to guest-physical and back, for memory in the linear mapping (all RAM up to 896 MiB). */
static inline u32 physical(const volatile void *address) {
  return (u32)address - KERNEL_BASE;
}

static inline void *virtual(u32 physical_address) {
  return (void *)(physical_address + KERNEL_BASE);
}

/* Makes a hypercall and returns when the host has done it. */
static inline void hcall(u32 number, u32 arg1, u32 arg2, u32 arg3, u32 arg4) {
  __asm__ volatile("int $0x1f" : "+a"(number) : "b"(arg1), "c"(arg2), "d"(arg3), "S"(arg4) : "memory", "cc");
}

static inline void hcall0(u32 number) {
  hcall(number, 0, 0, 0, 0);
}

static inline void hcall1(u32 number, u32 arg1) {
  hcall(number, arg1, 0, 0, 0);
}

static inline void hcall2(u32 number, u32 arg1, u32 arg2) {
  hcall(number, arg1, arg2, 0, 0);
}

static inline void hcall3(u32 number, u32 arg1, u32 arg2, u32 arg3) {
  hcall(number, arg1, arg2, arg3, 0);
}

/*
 * Puts a hypercall into the ring. The host runs the ring, in order, before the next direct hypercall, so one
 * hcall0(LHCALL_FLUSH_ASYNC) does them all for the price of one trap. Call it with interrupts off. Never for NOTIFY.
 */
void hcall_async(u32 number, u32 arg1, u32 arg2, u32 arg3, u32 arg4);

/* Ends the machine. The text is what the host prints as the reason. */
_Noreturn void power_off(void);
_Noreturn void reboot(void);

/* Prints a message in the manner of printf and ends the machine with it as the reason. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Interrupts, as the guest believes in them ------------------------------------------------------------------ */

static inline void irq_disable(void) {
  lguest_data.irq_enabled = 0;
}

/* Turns interrupts on, and lets in what has been waiting. */
void irq_enable(void);

/* Turns interrupts off and returns what to give to irq_restore. */
static inline u32 irq_save(void) {
  u32 saved = lguest_data.irq_enabled & LGUEST_IRQ_ON;
  irq_disable();
  return saved;
}

static inline void irq_restore(u32 saved) {
  if (saved) {
    irq_enable();
  }
}

/* Sleeps until an interrupt has been handled. To wait for a condition, see console_read_char in console.c. */
static inline void halt(void) {
  hcall0(LHCALL_HALT);
}

#endif /* __ASSEMBLER__ */
#endif
