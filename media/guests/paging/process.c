/*
 * Processes: an address space, a kernel stack, fork and wait. There is no timer here: a process runs until it waits or
 * ends. Pages of a process are shared at a fork, read-only, and copied when one of the two writes (copy on write).
 */
#include <ring1/kernel.h>

#include "check.h"
#include "user.h"

#define PAGE_COPY   PAGE_FREE_1 /* shared since a fork: copy it before a write */
#define PAGE_IMAGE  PAGE_FREE_2 /* part of the loaded kernel image: never to be freed */

#define PROCESSES   4
#define SHARED_MAX  64

enum state { UNUSED, READY, WAITING, ENDED };

struct process {
  enum state state;
  page_entry *directory;
  u32 stack;           /* for stack_switch, while it does not run */
  u32 waiting_for;
  u32 status;          /* once it has ended */
  u32 fault_address;   /* what killed it */
};

static struct process processes[PROCESSES]; /* number 0 is the kernel itself, as kernel_main left it */
static u8 stacks[PROCESSES][2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 current;

/* What happened, for the summary. */
static struct {
  u32 demanded;  /* pages that appeared because they were touched */
  u32 copied;    /* copies on write */
  u32 reused;    /* writes by the last one left, which needed no copy */
  u32 killed;
} counts;

/* ---- Shared pages ----------------------------------------------------------------------------------------------- */

/* How many processes have a page, for pages that more than one has or had. */
static struct {
  u32 page;
  u32 users;
} shared[SHARED_MAX];

static u32 *users_of(u32 page) {
  u32 free_slot = SHARED_MAX;

  for (u32 i = 0; i < SHARED_MAX; i++) {
    if (shared[i].users > 0 && shared[i].page == page) {
      return &shared[i].users;
    }
    if (shared[i].users == 0) {
      free_slot = i;
    }
  }
  if (free_slot == SHARED_MAX) {
    panic("too many shared pages");
  }
  shared[free_slot].page = page;
  shared[free_slot].users = 1;
  return &shared[free_slot].users;
}

/* One process has no more use for a page. */
static void release_page(page_entry entry) {
  u32 page = entry & ~PAGE_FLAGS;
  u32 *users;

  if (!(entry & PAGE_PRESENT) || (entry & PAGE_IMAGE)) {
    return;
  }
  users = users_of(page);
  if (--*users == 0) {
    page_free(virtual(page));
  }
}

/* ---- Address spaces --------------------------------------------------------------------------------------------- */

/* Calls a function for each entry below the kernel that is present. */
static void for_each_entry(page_entry *directory, void (*call)(page_entry *entry, u32 address, void *data), void *data) {
  for (u32 index = 0; index < PAGE_DIRECTORY_INDEX(KERNEL_BASE); index++) {
    if (!(directory[index] & PAGE_PRESENT)) {
      continue;
    }
    page_entry *table = virtual(directory[index] & ~PAGE_FLAGS);
    for (u32 i = 0; i < PAGE_ENTRIES; i++) {
      if (table[i] & PAGE_PRESENT) {
        call(&table[i], index << 22 | i << 12, data);
      }
    }
  }
}

static void share_entry(page_entry *entry, u32 address, void *child_directory) {
  if (!(*entry & PAGE_IMAGE)) {
    ++*users_of(*entry & ~PAGE_FLAGS);
    if (*entry & PAGE_WRITE) {
      *entry = (*entry & ~PAGE_WRITE) | PAGE_COPY;
    }
  }
  *page_lookup(child_directory, address, true) = *entry & ~(PAGE_ACCESSED | PAGE_DIRTY);
}

static void release_entry(page_entry *entry, u32 address, void *unused) {
  (void)address;
  (void)unused;
  release_page(*entry);
  *entry = 0;
}

/* The program's code, shared with the image it was loaded with, and a copy of its data. */
static page_entry *load_program(void) {
  page_entry *directory = directory_new();

  for (u32 address = (u32)user_start; address < (u32)user_end; address += PAGE_SIZE) {
    u32 loaded = address - (u32)user_start + (u32)user_load;
    if (address < (u32)user_data) {
      page_map(directory, address, loaded, PAGE_USER | PAGE_IMAGE);
    } else {
      void *copy = memcpy(page_alloc(), virtual(loaded), PAGE_SIZE);
      page_map(directory, address, physical(copy), PAGE_USER | PAGE_WRITE);
    }
  }
  return directory;
}

/* ---- Processes -------------------------------------------------------------------------------------------------- */

static void *stack_top(u32 number) {
  return stacks[number] + sizeof(stacks[number]);
}

/* Goes on with another process; returns when somebody switches back. */
static void switch_to(u32 next) {
  u32 *from = &processes[current].stack;

  current = next;
  directory_switch(processes[next].directory);
  trap_set_stack(stack_top(next), sizeof(stacks[next]) / PAGE_SIZE); /* now, so that it is pinned in the new tables */
  stack_switch(from, processes[next].stack);
}

/* The next process that can run, else the kernel. */
static u32 choose(void) {
  for (u32 i = 1; i <= PROCESSES; i++) {
    u32 number = (current + i) % PROCESSES;
    if (number != 0 && processes[number].state == READY) {
      return number;
    }
  }
  return 0;
}

static u32 new_process(page_entry *directory) {
  for (u32 number = 1; number < PROCESSES; number++) {
    if (processes[number].state == UNUSED) {
      processes[number] = (struct process){ .state = READY, .directory = directory };
      return number;
    }
  }
  panic("too many processes");
}

static _Noreturn void end_process(u32 status) {
  processes[current].state = ENDED;
  processes[current].status = status;
  for (u32 number = 1; number < PROCESSES; number++) {
    if (processes[number].state == WAITING && processes[number].waiting_for == current) {
      processes[number].state = READY;
    }
  }
  switch_to(choose());
  panic("a process went on after its end");
}

/* Takes the exit status of a process that has ended, and its memory. Not in that process. */
static u32 bury(u32 number) {
  struct process *process = &processes[number];

  for_each_entry(process->directory, release_entry, NULL);
  directory_free(process->directory);
  process->state = UNUSED;
  return process->status;
}

static u32 fork(const struct trap_frame *frame) {
  page_entry *directory = directory_new();
  u32 child = new_process(directory);
  struct trap_frame *child_frame;

  for_each_entry(current_directory, share_entry, directory);
  hcall1(LHCALL_FLUSH_TLB, 0); /* our own pages have become read-only */

  processes[child].stack = stack_prepare(stack_top(child), 0, 0, &child_frame);
  *child_frame = *frame;
  child_frame->eax = 0;
  return child;
}

static u32 wait(u32 number) {
  if (number == 0 || number >= PROCESSES || processes[number].state == UNUSED) {
    return KILLED;
  }
  while (processes[number].state != ENDED) {
    processes[current].state = WAITING;
    processes[current].waiting_for = number;
    switch_to(choose());
  }
  return bury(number);
}

/* ---- Traps from programs ---------------------------------------------------------------------------------------- */

static _Noreturn void kill(const struct trap_frame *frame) {
  counts.killed++;
  printf("     process %u killed: %s, error %x\n", current, trap_name(frame->vector), frame->error);
  end_process(KILLED);
}

static void on_protection(struct trap_frame *frame) {
  kill(frame);
}

static void on_system_call(struct trap_frame *frame) {
  switch (frame->eax) {
    case CALL_EXIT:
      end_process(frame->ebx);
    case CALL_FORK:
      frame->eax = fork(frame);
      break;
    case CALL_WAIT:
      frame->eax = wait(frame->ebx);
      break;
    case CALL_CHECK:
      if (frame->ecx < (u32)user_start || frame->ecx >= (u32)user_data) {
        kill(frame); /* the text is no constant of the program */
      }
      check(frame->ebx, (const char *)frame->ecx);
      break;
    default:
      kill(frame);
  }
}

static void copy_on_write(u32 address, page_entry entry) {
  u32 page = entry & ~PAGE_FLAGS;
  u32 *users = users_of(page);

  if (*users == 1) {
    counts.reused++;
    page_set(current_directory, address, (entry & ~PAGE_COPY) | PAGE_WRITE);
  } else {
    void *copy = memcpy(page_alloc(), virtual(page), PAGE_SIZE);
    counts.copied++;
    --*users;
    page_map(current_directory, address, physical(copy), PAGE_USER | PAGE_WRITE);
  }
}

static bool may_appear(u32 address) {
  return (address >= HEAP_START && address < HEAP_END) || (address >= STACK_START && address < STACK_END);
}

/*
 * The error code says what the shadow was like: a page that the host has not put there yet counts as absent. So the
 * decision is made by our own entry.
 */
static void on_page_fault(struct trap_frame *frame) {
  u32 address = lguest_data.cr2;

  if (!trap_from_user(frame)) {
    trap_print(frame);
    panic("page fault in the kernel at %08x", frame->eip);
  }
  page_entry *entry = page_lookup(current_directory, address, false);
  if (entry && (*entry & PAGE_PRESENT) && (*entry & PAGE_COPY) && (frame->error & FAULT_WRITE)) {
    copy_on_write(address & ~PAGE_FLAGS, *entry);
  } else if ((!entry || !(*entry & PAGE_PRESENT)) && may_appear(address)) {
    /* From absent to present: the host finds out by itself. */
    counts.demanded++;
    *page_lookup(current_directory, address, true) =
        physical(page_alloc()) | PAGE_PRESENT | PAGE_WRITE | PAGE_USER;
  } else {
    processes[current].fault_address = address;
    kill(frame);
  }
}

void check_processes(void) {
  trap_install(TRAP_SYSTEM_CALL, GATE_TRAP, 3, on_system_call);
  trap_install(TRAP_PAGE_FAULT, GATE_INTERRUPT, 0, on_page_fault);
  trap_install(TRAP_PROTECTION, GATE_INTERRUPT, 0, on_protection);

  u32 free_before = pages_free_count();
  processes[0].directory = current_directory;
  u32 first = new_process(load_program());
  processes[first].stack = stack_prepare(stack_top(first), (u32)user_main, STACK_END - 16, NULL);
  switch_to(first);

  check(processes[first].state == ENDED && bury(first) == 7, "the program ends with status 7");
  check(counts.killed == 4, "four children were killed");
  check(counts.copied >= 2, "pages were copied on write");
  check(counts.reused >= 1, "and not copied for the last one that has them");
  check(pages_free_count() == free_before, "all pages are free again");
  printf("     %u pages appeared, %u copied, %u reused, %u processes killed\n", counts.demanded, counts.copied,
         counts.reused, counts.killed);
}
