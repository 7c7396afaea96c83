/*
 * tasks: four programs at ring 3 that share the processor. A timer interrupt every TICK takes it from one and gives it to
 * the next; when all sleep, the kernel does too, in HALT.
 *
 * Each task has its own page tables, its own stack in the kernel, and its own segment for GS. The four hypercalls of a
 * switch go through the asynchronous ring, so a switch costs one trap to the host: see switch_to.
 */
#include <ring1/kernel.h>

#include "user.h"

#define TICK (MILLISECOND / 5)

enum state { READY, SLEEPING, ENDED };

struct task {
  const char *name;
  enum state state;
  page_entry *directory;
  u32 stack;                 /* for stack_switch, while it does not run */
  struct descriptor tls[3];  /* for LOAD_TLS */
  u32 wake_at;               /* the tick at which it has slept enough */
  u32 slices;                /* timer interrupts that found it running */
  u32 calls;                 /* system calls */
  u32 status;                /* once it has ended */
};

/* Task 0 is the kernel's own: it is what runs when nothing else can, on the boot stack. */
static struct task tasks[TASKS + 1] = {
  { .name = "idle" }, { .name = "alpha" }, { .name = "beta" }, { .name = "gamma" }, { .name = "delta" },
};

static u8 stacks[TASKS + 1][2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 current;
static u32 alive;
static u32 ticks, switches, halts;

static void *stack_top(u32 number) {
  return stacks[number] + sizeof(stacks[number]);
}

/*
 * Goes on with another task; returns when somebody switches back. Interrupts are off. First the page tables and then the
 * stack, because the host pins the stack in the tables that are in use.
 */
static void switch_to(u32 next) {
  struct task *task = &tasks[next];
  u32 *from = &tasks[current].stack;

  current = next;
  switches++;
  current_directory = task->directory;
  hcall_async(LHCALL_NEW_PGTABLE, physical(task->directory), 0, 0, 0);
  hcall_async(LHCALL_SET_STACK, KERNEL_DS, (u32)stack_top(next) - TRAP_STACK_GAP, sizeof(stacks[next]) / PAGE_SIZE, 0);
  hcall_async(LHCALL_LOAD_TLS, physical(task->tls), 0, 0, 0);
  hcall0(LHCALL_FLUSH_ASYNC);
  stack_switch(from, task->stack);
}

/* Round robin: the next one that can run, else idle. */
static void schedule(void) {
  u32 next = 0;

  for (u32 i = 1; i <= TASKS && next == 0; i++) {
    u32 number = (current + i - 1) % TASKS + 1;
    if (tasks[number].state == READY) {
      next = number;
    }
  }
  if (next != current) {
    switch_to(next);
  }
}

static void on_timer(struct trap_frame *frame) {
  (void)frame;
  timer_set(TICK);
  ticks++;
  tasks[current].slices++;
  for (u32 number = 1; number <= TASKS; number++) {
    if (tasks[number].state == SLEEPING && tasks[number].wake_at <= ticks) {
      tasks[number].state = READY;
    }
  }
  schedule();
}

/* The gate is a trap gate: interrupts are on when this is called, and will be as they were when it returns. */
static void on_system_call(struct trap_frame *frame) {
  irq_disable();
  struct task *task = &tasks[current];
  task->calls++;
  switch (frame->eax) {
    case CALL_EXIT:
      task->state = ENDED;
      task->status = frame->ebx;
      alive--;
      schedule();
      panic("%s went on after its end", task->name);
    case CALL_SLICES:
      frame->eax = task->slices;
      break;
    case CALL_SLEEP:
      task->state = SLEEPING;
      task->wake_at = ticks + frame->ebx;
      schedule();
      break;
    default:
      panic("%s made system call %u", task->name, frame->eax);
  }
}

/* The program's code is shared; data and stack are the task's own. */
static page_entry *load_program(u32 number) {
  page_entry *directory = directory_new();
  u32 *stack = page_alloc();

  for (u32 address = (u32)user_start; address < (u32)user_end; address += PAGE_SIZE) {
    u32 loaded = address - (u32)user_start + (u32)user_load;
    if (address < (u32)user_data) {
      page_map(directory, address, loaded, PAGE_USER);
    } else {
      void *copy = memcpy(page_alloc(), virtual(loaded), PAGE_SIZE);
      page_map(directory, address, physical(copy), PAGE_USER | PAGE_WRITE);
    }
  }
  stack[PAGE_ENTRIES - 1] = number; /* the argument; below it the return address, which nobody uses */
  page_map(directory, STACK_PAGE, physical(stack), PAGE_USER | PAGE_WRITE);
  return directory;
}

static void create(u32 number, void (*program)(u32)) {
  struct task *task = &tasks[number];
  u32 stack_pointer = STACK_PAGE + PAGE_SIZE - 2 * sizeof(u32);

  task->directory = load_program(number);
  task->stack = stack_prepare(stack_top(number), (u32)program, stack_pointer, NULL);
  task->tls[0] = segment_descriptor((u32)&user_locals[number], sizeof(u32) - 1, SEGMENT_DATA | SEGMENT_RING(3));
  task->state = READY;
  alive++;
}

/* What the kernel does when there is nothing to do. See console_read_char for how to wait. */
static void idle(void) {
  irq_disable();
  while (alive > 0) {
    halts++;
    halt();
    irq_disable();
  }
}

static bool report(void) {
  bool good = true;

  printf("task    slices   calls  status\n");
  for (u32 number = 1; number <= TASKS; number++) {
    const struct task *task = &tasks[number];
    bool worker = number < TASKS;
    printf("%-6s  %6u  %6u  %6u\n", task->name, task->slices, task->calls, task->status);
    good = good && (worker ? task->slices == SLICES && task->status >= 100 && task->status % 100 == 0
                           : task->status == NAPS && task->calls == NAPS + 1);
  }
  printf("idle    %6u ticks, %u halts, %u switches\n", tasks[0].slices, halts, switches);
  return good && tasks[0].slices > 0 && ticks >= 3 * SLICES;
}

_Noreturn void kernel_main(void) {
  kernel_init();
  tasks[0].directory = current_directory;
  for (u32 number = 1; number <= TASKS; number++) {
    create(number, number < TASKS ? user_worker : user_sleeper);
  }
  trap_install(TRAP_SYSTEM_CALL, GATE_TRAP, 3, on_system_call);
  timer_init(on_timer);

  printf("tasks: %u tasks, a tick every %u us\n", TASKS, TICK / 1000);
  timer_set(TICK);
  idle();
  timer_cancel();
  printf("tasks: %s\n", report() ? "all as expected" : "FAILED");
  power_off();
}
