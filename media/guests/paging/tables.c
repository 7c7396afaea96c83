/*
 * What page tables do under lguest, seen from ring 1.
 *
 * The processor uses shadow tables of the host. So a change of an entry that is present does nothing until the host is
 * told; then it is in force at once. On real hardware this is the TLB, and the habit the same: change, then flush.
 */
#include <ring1/kernel.h>

#include "check.h"

/* Kernel addresses and user addresses to play with, each in a table of its own. */
#define KERNEL_PLACE 0xFB000000
#define USER_PLACE   0x20000000
#define DIRECTORIES  6 /* the host keeps shadows of four */

struct attempt {
  volatile u32 *address;
  u32 value;
};

static u32 fault_address, fault_error;

static void on_page_fault(struct trap_frame *frame) {
  fault_address = lguest_data.cr2;
  fault_error = frame->error;
  trap_escape(frame, 1);
}

static void read_word(void *argument) {
  struct attempt *attempt = argument;
  attempt->value = *attempt->address;
}

static void write_word(void *argument) {
  struct attempt *attempt = argument;
  *attempt->address = attempt->value;
}

/* Does reading (or writing) this address fault? */
static bool faults(void (*how)(void *), u32 address) {
  struct attempt attempt = { .address = (u32 *)address };

  fault_address = fault_error = 0;
  return trap_catch(how, &attempt) != 0 && fault_address == address;
}

static u32 read_at(u32 address) {
  return *(volatile u32 *)address;
}

/* A page that begins with this word. */
static u32 page_with(u32 word) {
  u32 *page = page_alloc();

  *page = word;
  return physical(page);
}

/* Changes an entry behind the host's back. */
static void set_silently(u32 address, u32 page) {
  *page_lookup(current_directory, address, true) = page | PAGE_PRESENT | PAGE_WRITE;
}

static void check_accessed_and_dirty(void) {
  page_map(current_directory, KERNEL_PLACE, page_with(1), PAGE_WRITE);
  page_entry *entry = page_lookup(current_directory, KERNEL_PLACE, false);

  check((*entry & (PAGE_ACCESSED | PAGE_DIRTY)) == 0, "a fresh entry is neither accessed nor dirty");
  read_at(KERNEL_PLACE);
  check((*entry & (PAGE_ACCESSED | PAGE_DIRTY)) == PAGE_ACCESSED, "reading sets the accessed bit only");
  *(volatile u32 *)KERNEL_PLACE = 2;
  check((*entry & (PAGE_ACCESSED | PAGE_DIRTY)) == (PAGE_ACCESSED | PAGE_DIRTY), "writing sets the dirty bit");
}

static void check_changes(void) {
  u32 first = page_with(0x1111), second = page_with(0x2222);

  page_map(current_directory, KERNEL_PLACE, first, PAGE_WRITE);
  check(read_at(KERNEL_PLACE) == 0x1111, "SET_PTE puts a page in place of another");
  page_map(current_directory, KERNEL_PLACE, second, PAGE_WRITE);
  check(read_at(KERNEL_PLACE) == 0x2222, "and back");

  set_silently(KERNEL_PLACE, first);
  check(read_at(KERNEL_PLACE) == 0x2222, "a change that the host was not told of is not seen");
  hcall1(LHCALL_FLUSH_TLB, 0);
  check(read_at(KERNEL_PLACE) == 0x2222, "FLUSH_TLB(0) leaves kernel addresses alone");
  hcall1(LHCALL_FLUSH_TLB, 1);
  check(read_at(KERNEL_PLACE) == 0x1111, "FLUSH_TLB(1) brings it to light");

  set_silently(USER_PLACE, first);
  read_at(USER_PLACE);
  set_silently(USER_PLACE, second);
  check(read_at(USER_PLACE) == 0x1111, "the same for a low address");
  hcall1(LHCALL_FLUSH_TLB, 0);
  check(read_at(USER_PLACE) == 0x2222, "where FLUSH_TLB(0) is enough");
}

static void check_faults(void) {
  page_set(current_directory, KERNEL_PLACE, 0);
  check(faults(read_word, KERNEL_PLACE) && fault_error == 0, "an entry of 0 faults, error 0");
  check(faults(write_word, KERNEL_PLACE) && fault_error == FAULT_WRITE, "writing there faults, error 2");

  page_map(current_directory, KERNEL_PLACE, page_with(0x3333), 0);
  check(!faults(read_word, KERNEL_PLACE), "a read-only page can be read");
  check(faults(write_word, KERNEL_PLACE) && fault_error == (FAULT_WRITE | FAULT_PRESENT),
        "not even ring 1 can write to it, error 3");
  page_map(current_directory, KERNEL_PLACE, page_with(0x4444), PAGE_WRITE);
  check(!faults(write_word, KERNEL_PLACE), "until it is made writable");

  u32 index = PAGE_DIRECTORY_INDEX(USER_PLACE);
  page_entry table = current_directory[index];
  current_directory[index] = 0;
  hcall2(LHCALL_SET_PGD, physical(current_directory), index);
  check(faults(read_word, USER_PLACE), "SET_PGD takes away 4 MiB at once");
  current_directory[index] = table;
  hcall2(LHCALL_SET_PGD, physical(current_directory), index);
  check(!faults(read_word, USER_PLACE), "and gives them back");
}

/* More directories than the host has shadows for; each must keep its own idea of an address. */
static void check_directories(void) {
  page_entry *directories[DIRECTORIES];
  page_entry *before = current_directory;
  u32 right = 0, written = 0;

  for (u32 i = 0; i < DIRECTORIES; i++) {
    directories[i] = directory_new();
    page_map(directories[i], USER_PLACE, page_with(i), PAGE_WRITE);
  }
  for (u32 round = 0; round < 2; round++) {
    for (u32 i = 0; i < DIRECTORIES; i++) {
      directory_switch(directories[i]);
      right += read_at(USER_PLACE) == i + round * 100;
      *(volatile u32 *)USER_PLACE += 100;
      written += read_at(USER_PLACE) == i + round * 100 + 100;
    }
  }
  check(right == 2 * DIRECTORIES && written == 2 * DIRECTORIES, "six directories, twice around: each has its own page");

  directory_switch(directories[0]);
  page_map(directories[0], KERNEL_PLACE, page_with(0x5555), PAGE_WRITE);
  directory_switch(directories[1]);
  check(read_at(KERNEL_PLACE) == 0x5555, "a kernel address is the same in all directories");

  directory_switch(before);
  for (u32 i = 0; i < DIRECTORIES; i++) {
    page_free(virtual(*page_lookup(directories[i], USER_PLACE, false) & ~PAGE_FLAGS));
    directory_free(directories[i]);
  }
}

void check_tables(void) {
  trap_install(TRAP_PAGE_FAULT, GATE_INTERRUPT, 0, on_page_fault);
  page_lookup(boot_directory, KERNEL_PLACE, true); /* its table must be there before directories are copied */
  directory_switch(directory_new());
  check(current_directory != boot_directory, "the kernel runs on with a directory of its own");
  check_accessed_and_dirty();
  check_changes();
  check_faults();
  check_directories();
}
