/*
 * shell: a small monitor on the console. Type `help`.
 *
 * Input comes by interrupt; while there is none, the kernel sleeps in HALT. Whatever a command does wrong, including a
 * wild pointer, is caught by on_trap, and the prompt comes back.
 */
#include <ring1/kernel.h>

#define LINE_SIZE 80
#define MAX_WORDS 4

struct command {
  const char *name;
  const char *usage;
  const char *help;
  void (*run)(unsigned count, char **words);
};

/* ---- Traps ------------------------------------------------------------------------------------------------------ */

static bool quiet; /* the command says itself what went wrong */

static void on_trap(struct trap_frame *frame) {
  if (!quiet) {
    printf("trap %u (%s), error %x, at %08x", frame->vector, trap_name(frame->vector), frame->error, frame->eip);
    if (frame->vector == TRAP_PAGE_FAULT) {
      printf(", address %08x", lguest_data.cr2);
    }
    printf("\n");
  }
  trap_escape(frame, 1);
}

struct access {
  volatile u32 *address;
  u32 value;
};

static void read_word(void *argument) {
  struct access *access = argument;
  access->value = *access->address;
}

static void write_word(void *argument) {
  struct access *access = argument;
  *access->address = access->value;
}

/* Accesses memory; false if that is a page fault. */
static bool try_access(void (*how)(void *), struct access *access) {
  quiet = true;
  bool done = trap_catch(how, access) == 0;
  quiet = false;
  return done;
}

/* ---- Provoking traps -------------------------------------------------------------------------------------------- */

static void divide_by_zero(void *argument) {
  (void)argument;
  u32 low = 1, high = 0;
  __asm__ volatile("divl %2" : "+a"(low), "+d"(high) : "r"(0) : "cc");
}

static void break_point(void *argument) {
  (void)argument;
  __asm__ volatile("int3");
}

static void overflow(void *argument) {
  (void)argument;
  u32 largest = 0x7FFFFFFF;
  __asm__ volatile("addl %0, %0; into" : "+r"(largest) : : "cc");
}

static void out_of_bounds(void *argument) {
  static const i32 bounds[2] = { 1, 2 };
  (void)argument;
  __asm__ volatile("bound %0, %1" : : "r"(3), "m"(bounds));
}

static void undefined(void *argument) {
  (void)argument;
  __asm__ volatile("ud2");
}

static void privileged(void *argument) {
  (void)argument;
  __asm__ volatile("hlt");
}

static void page_fault(void *argument) {
  (void)argument;
  *(volatile u32 *)0 = 0;
}

/* INT with any vector. There is no such instruction with a variable, so one is written on the spot. */
static void interrupt(void *argument) {
  static u8 code[3];
  code[0] = 0xCD; /* INT */
  code[1] = (u8)(u32)argument;
  code[2] = 0xC3; /* RET */
  barrier();
  ((void (*)(void))code)();
}

static void (*provocation(u32 vector))(void *) {
  switch (vector) {
    case TRAP_DIVIDE: return divide_by_zero;
    case TRAP_BREAKPOINT: return break_point;
    case TRAP_OVERFLOW: return overflow;
    case TRAP_BOUND: return out_of_bounds;
    case TRAP_INVALID_OPCODE: return undefined;
    case TRAP_PROTECTION: return privileged;
    case TRAP_PAGE_FAULT: return page_fault;
    default: return interrupt;
  }
}

/* ---- Words and numbers ------------------------------------------------------------------------------------------ */

static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Hexadecimal with 0x or in `base` 16, else decimal. False if it is no number. */
static bool parse(const char *text, u32 base, u32 *number) {
  if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    text += 2;
    base = 16;
  }
  if (!*text) {
    return false;
  }
  for (*number = 0; *text; text++) {
    int digit = digit_value(*text);
    if (digit < 0 || (u32)digit >= base) {
      return false;
    }
    *number = *number * base + (u32)digit;
  }
  return true;
}

/* The number in words[index]; complains if it is none. */
static bool argument(char **words, unsigned index, u32 base, u32 *number) {
  if (parse(words[index], base, number)) {
    return true;
  }
  printf("%s: \"%s\" is no number\n", words[0], words[index]);
  return false;
}

/* ---- Commands --------------------------------------------------------------------------------------------------- */

static void peek(unsigned count, char **words) {
  u32 address, length = 4;

  if (!argument(words, 1, 16, &address) || (count > 2 && !argument(words, 2, 10, &length))) {
    return;
  }
  for (u32 i = 0; i < length; i++) {
    struct access access = { .address = (u32 *)address + i };
    if (i % 4 == 0) {
      printf("%s%08x ", i ? "\n" : "", address + i * 4);
    }
    if (try_access(read_word, &access)) {
      printf(" %08x", access.value);
    } else {
      printf(" cannot be read");
      break;
    }
  }
  printf("\n");
}

static void poke(unsigned count, char **words) {
  u32 address, value;

  (void)count;
  if (argument(words, 1, 16, &address) && argument(words, 2, 16, &value)) {
    struct access access = { .address = (u32 *)address, .value = value };
    if (!try_access(write_word, &access)) {
      printf("%08x cannot be written\n", address);
    }
  }
}

static void trap(unsigned count, char **words) {
  u32 vector;

  (void)count;
  if (!argument(words, 1, 10, &vector)) {
    return;
  }
  if (vector > 255 || vector == LGUEST_TRAP_ENTRY) {
    printf("trap: 0 to 255, and not %u, which is for hypercalls\n", LGUEST_TRAP_ENTRY);
    return;
  }
  if (trap_catch(provocation(vector), (void *)vector) == 0) {
    printf("no trap\n");
  }
}

static void print_range(u32 start, u32 end, page_entry entry) {
  printf("%08x-%08x -> %08x  %s %s\n", start, end - 1, entry & ~PAGE_FLAGS, entry & PAGE_USER ? "user  " : "kernel",
         entry & PAGE_WRITE ? "rw" : "r-");
}

/* All that is mapped, neighbours with equal rights together. */
static void list_pages(void) {
  u32 start = 0;
  page_entry first = 0, previous = 0;

  for (u32 number = 0; number < 0x100000; number++) {
    u32 address = number * PAGE_SIZE;
    page_entry *entry = page_lookup(current_directory, address, false);
    if (!entry && !(previous & PAGE_PRESENT)) {
      number |= PAGE_ENTRIES - 1; /* no table, so on to the next */
      continue;
    }
    page_entry value = entry ? *entry & ~(PAGE_ACCESSED | PAGE_DIRTY) : 0;
    if (!(value & PAGE_PRESENT)) {
      value = 0;
    }
    if (previous && value == previous + PAGE_SIZE) {
      previous = value;
      continue;
    }
    if (previous) {
      print_range(start, address, first);
    }
    start = address;
    first = previous = value;
  }
}

static void pages(unsigned count, char **words) {
  u32 address;

  if (count < 2) {
    list_pages();
    return;
  }
  if (!argument(words, 1, 16, &address)) {
    return;
  }
  u32 index = PAGE_DIRECTORY_INDEX(address);
  printf("directory %08x [%u] = %08x\n", physical(current_directory), index, current_directory[index]);
  page_entry *entry = page_lookup(current_directory, address, false);
  if (!entry) {
    printf("%08x has no page table\n", address);
    return;
  }
  printf("table     %08x [%u] = %08x\n", current_directory[index] & ~PAGE_FLAGS, PAGE_TABLE_INDEX(address), *entry);
  if (*entry & PAGE_PRESENT) {
    printf("%08x is physical %08x:%s%s%s%s\n", address, (*entry & ~PAGE_FLAGS) | (address & PAGE_FLAGS),
           *entry & PAGE_USER ? " user" : " kernel", *entry & PAGE_WRITE ? " writable" : " read-only",
           *entry & PAGE_ACCESSED ? " accessed" : "", *entry & PAGE_DIRTY ? " dirty" : "");
  } else {
    printf("%08x is not mapped\n", address);
  }
}

static void memory(unsigned count, char **words) {
  (void)count;
  (void)words;
  printf("%u MiB of RAM, %u of %u pages free, %u KiB of addresses at the top are the host's\n",
         boot_memory_size() >> 20, pages_free_count(), pages_total(), lguest_data.reserve_mem >> 10);
}

static void uptime(unsigned count, char **words) {
  u32 ms = uptime_ms();

  (void)count;
  (void)words;
  printf("%u.%03u seconds\n", ms / 1000, ms % 1000);
}

static void echo(unsigned count, char **words) {
  for (unsigned i = 1; i < count; i++) {
    printf("%s%s", i > 1 ? " " : "", words[i]);
  }
  printf("\n");
}

static void sleep(unsigned count, char **words) {
  (void)count;
  (void)words;
  printf("sleeping until an interrupt\n");
  halt();
  printf("awake\n");
}

static void restart(unsigned count, char **words) {
  (void)count;
  (void)words;
  reboot();
}

static void quit(unsigned count, char **words) {
  (void)count;
  (void)words;
  printf("bye\n");
  power_off();
}

static void help(unsigned count, char **words);

static const struct command commands[] = {
  { "help", "help", "this list", help },
  { "peek", "peek ADDR [COUNT]", "show words of memory", peek },
  { "poke", "poke ADDR VALUE", "change a word of memory", poke },
  { "trap", "trap N", "provoke trap N, or do INT N", trap },
  { "pages", "pages [ADDR]", "what is mapped, or the walk for an address", pages },
  { "mem", "mem", "physical memory", memory },
  { "uptime", "uptime", "time since the start", uptime },
  { "echo", "echo TEXT", "say it again", echo },
  { "halt", "halt", "sleep until an interrupt, such as a key", sleep },
  { "reboot", "reboot", "start again", restart },
  { "quit", "quit", "power off", quit },
};

static void help(unsigned count, char **words) {
  (void)count;
  (void)words;
  for (unsigned i = 0; i < LENGTH(commands); i++) {
    printf("%-18s %s\n", commands[i].usage, commands[i].help);
  }
}

/* How many words a command must have: those of its usage that are not in brackets. */
static unsigned words_needed(const char *usage) {
  unsigned count = 1;

  for (; *usage && *usage != '['; usage++) {
    if (*usage == ' ' && usage[1] != '[') {
      count++;
    }
  }
  return count;
}

static void run_line(void *argument) {
  char *line = argument;
  char *words[MAX_WORDS];
  unsigned count = 0;

  for (char *p = line; *p;) {
    while (*p == ' ') {
      *p++ = 0;
    }
    if (!*p || count == MAX_WORDS) {
      break;
    }
    words[count++] = p;
    while (*p && (*p != ' ' || count == MAX_WORDS)) {
      p++;
    }
  }
  if (count == 0) {
    return;
  }
  for (unsigned i = 0; i < LENGTH(commands); i++) {
    if (strcmp(words[0], commands[i].name) == 0) {
      if (count < words_needed(commands[i].usage)) {
        printf("usage: %s\n", commands[i].usage);
      } else {
        commands[i].run(count, words);
      }
      return;
    }
  }
  printf("%s: no such command, try help\n", words[0]);
}

/* Reads a line, with echo and backspace. CR or LF ends it; of a CR LF pair the LF is skipped. */
static void read_line(char *line) {
  static bool after_return;
  unsigned length = 0;

  for (;;) {
    char c = (char)console_read_char();
    bool pair = after_return && c == '\n';
    after_return = c == '\r';
    if (pair) {
      continue;
    }
    if (c == '\r' || c == '\n') {
      break;
    }
    if (c == '\b' || c == 127) {
      if (length > 0) {
        length--;
        printf("\b \b");
      }
    } else if (c >= ' ' && c < 127 && length < LINE_SIZE - 1) {
      line[length++] = c;
      printf("%c", c);
    }
  }
  line[length] = 0;
  printf("\n");
}

_Noreturn void kernel_main(void) {
  static char line[LINE_SIZE];

  kernel_init();
  for (unsigned vector = 0; vector < 32; vector++) {
    if (vector != 2 && vector != 8 && vector != 15 && vector != LGUEST_TRAP_ENTRY) {
      trap_install(vector, GATE_INTERRUPT, vector == TRAP_BREAKPOINT || vector == TRAP_OVERFLOW ? 3 : 0, on_trap);
    }
  }
  uptime_ms(); /* the clock starts now */
  console_input_init();
  irq_enable();

  printf("shell: a monitor at ring 1, try help\n");
  for (;;) {
    printf("ring1> ");
    read_line(line);
    trap_catch(run_line, line);
  }
}
