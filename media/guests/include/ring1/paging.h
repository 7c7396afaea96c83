/*
 * Page tables: two levels, 4 KiB pages.
 *
 * The processor never sees the guest's tables. The host keeps shadows of them, and fills these page by page when
 * something is touched. Therefore: a page that becomes present needs no hypercall (the host looks when it faults); any
 * other change does, or the shadow stays as it was. The host sets the accessed and dirty bits in the guest's entries.
 */
#ifndef RING1_PAGING_H
#define RING1_PAGING_H

#include <ring1/lguest.h>
#include <ring1/types.h>

#define PAGE_PRESENT   0x001
#define PAGE_WRITE     0x002
#define PAGE_USER      0x004
#define PAGE_ACCESSED  0x020
#define PAGE_DIRTY     0x040
#define PAGE_FREE_1    0x200  /* bits 9 to 11 are for the kernel to use as it likes */
#define PAGE_FREE_2    0x400
#define PAGE_FLAGS     0xFFF

/* A directory may have no flags but these. */
#define PAGE_TABLE_KERNEL (PAGE_PRESENT | PAGE_WRITE | PAGE_ACCESSED | PAGE_DIRTY)
#define PAGE_TABLE_USER   (PAGE_TABLE_KERNEL | PAGE_USER)

#define PAGE_ENTRIES 1024
#define PAGE_DIRECTORY_INDEX(address) ((u32)(address) >> 22)
#define PAGE_TABLE_INDEX(address) (((u32)(address) >> 12) & 1023)

/* Kernel addresses for devices, above the linear mapping of RAM. */
#define DEVICE_WINDOW  0xF8000000

typedef u32 page_entry;

/* The directory the kernel starts with (made by start.S), and the one in use. */
extern page_entry boot_directory[PAGE_ENTRIES];
extern page_entry *current_directory;

/* Physical pages. A page comes zeroed; page_alloc panics when there are none left. */
void pages_init(void);
void *page_alloc(void);
void page_free(void *page);
u32 pages_free_count(void);
u32 pages_total(void);

/* The entry for an address, or NULL if there is no table for it. With `create`, a table is made where none is. */
page_entry *page_lookup(page_entry *directory, u32 address, bool create);

/* Writes an entry and tells the host. */
void page_set(page_entry *directory, u32 address, page_entry entry);

/* Maps a physical page. */
void page_map(page_entry *directory, u32 address, u32 physical_address, u32 flags);

/* A new directory with the kernel in it and nothing below KERNEL_BASE. */
page_entry *directory_new(void);

/* Frees a directory and the tables below KERNEL_BASE, not the pages they name. Not the one in use. */
void directory_free(page_entry *directory);

/* What loading CR3 is on real hardware. */
void directory_switch(page_entry *directory);

/* Takes away the mapping of low addresses that start.S needed, so that a null pointer faults. */
void paging_drop_identity(void);

/* Makes device memory visible to the kernel. Before the first directory_new, so that every directory has it. */
void *device_map(u32 physical_address, unsigned pages);

#endif
