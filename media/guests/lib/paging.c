/*
 * Page tables and physical pages. See ring1/paging.h for when the host must be told.
 */
#include <ring1/boot.h>
#include <ring1/lguest.h>
#include <ring1/paging.h>

#define LINEAR_LIMIT 0x38000000 /* as in start.S */
#define KERNEL_INDEX PAGE_DIRECTORY_INDEX(KERNEL_BASE)

page_entry *current_directory = boot_directory;

/* Set by start.S: what is free begins after the kernel and its first page tables. */
u32 first_free_page;

/* Free pages are a list, linked through their first word, and what lies between two addresses. */
static void *free_list;
static u32 never_used, never_used_end;
static u32 free_count, total;

void pages_init(void) {
  const struct boot_params *boot = boot_params();

  never_used = first_free_page;
  never_used_end = boot_memory_size();
  if (boot->ramdisk_size) {
    never_used_end = boot->ramdisk_image;
  }
  if (never_used_end > LINEAR_LIMIT) {
    never_used_end = LINEAR_LIMIT;
  }
  total = free_count = (never_used_end - never_used) / PAGE_SIZE;
}

void *page_alloc(void) {
  void *page = free_list;

  if (page) {
    free_list = *(void **)page;
  } else if (never_used < never_used_end) {
    page = virtual(never_used);
    never_used += PAGE_SIZE;
  } else {
    panic("out of memory");
  }
  free_count--;
  return memset(page, 0, PAGE_SIZE);
}

void page_free(void *page) {
  *(void **)page = free_list;
  free_list = page;
  free_count++;
}

u32 pages_free_count(void) {
  return free_count;
}

u32 pages_total(void) {
  return total;
}

page_entry *page_lookup(page_entry *directory, u32 address, bool create) {
  page_entry *slot = &directory[PAGE_DIRECTORY_INDEX(address)];

  if (!(*slot & PAGE_PRESENT)) {
    if (!create) {
      return NULL;
    }
    *slot = physical(page_alloc()) | (address < KERNEL_BASE ? PAGE_TABLE_USER : PAGE_TABLE_KERNEL);
  }
  page_entry *table = virtual(*slot & ~PAGE_FLAGS);
  return &table[PAGE_TABLE_INDEX(address)];
}

void page_set(page_entry *directory, u32 address, page_entry entry) {
  *page_lookup(directory, address, true) = entry;
  hcall3(LHCALL_SET_PTE, physical(directory), address, entry);
}

void page_map(page_entry *directory, u32 address, u32 physical_address, u32 flags) {
  page_set(directory, address, physical_address | flags | PAGE_PRESENT);
}

page_entry *directory_new(void) {
  page_entry *directory = page_alloc();

  memcpy(&directory[KERNEL_INDEX], &boot_directory[KERNEL_INDEX], (PAGE_ENTRIES - KERNEL_INDEX) * sizeof(page_entry));
  return directory;
}

void directory_free(page_entry *directory) {
  for (u32 index = 0; index < KERNEL_INDEX; index++) {
    page_entry entry = directory[index];
    if (entry & PAGE_PRESENT) {
      /* The page will serve again, perhaps as a directory, so the host must forget what it knows of this one. */
      directory[index] = 0;
      hcall2(LHCALL_SET_PGD, physical(directory), index);
      page_free(virtual(entry & ~PAGE_FLAGS));
    }
  }
  page_free(directory);
}

void directory_switch(page_entry *directory) {
  current_directory = directory;
  hcall1(LHCALL_NEW_PGTABLE, physical(directory));
}

void paging_drop_identity(void) {
  memset(boot_directory, 0, KERNEL_INDEX * sizeof(page_entry));
  hcall1(LHCALL_FLUSH_TLB, 0);
}

void *device_map(u32 physical_address, unsigned pages) {
  static u32 next = DEVICE_WINDOW;
  u32 start = next;

  for (unsigned page = 0; page < pages; page++) {
    /* The entries were not present, so there is nothing to tell. */
    *page_lookup(boot_directory, next, true) = (physical_address + page * PAGE_SIZE) | PAGE_TABLE_KERNEL;
    next += PAGE_SIZE;
  }
  return (void *)start;
}
