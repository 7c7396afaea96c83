/*
 * Segments. The GDT has 32 entries, and the real one belongs to the host: a guest asks for entries by hypercall. The
 * host keeps 10, 11, 16 and 31 to itself, and turns ring 0 into ring 1 in all others.
 */
#ifndef RING1_SEGMENTS_H
#define RING1_SEGMENTS_H

#define KERNEL_CS  0x61   /* GDT entry 12, ring 1: flat, there from the start */
#define KERNEL_DS  0x69   /* GDT entry 13, ring 1: flat, there from the start */
#define USER_CS    0x73   /* GDT entry 14, ring 3: flat, made by segments_init */
#define USER_DS    0x7B   /* GDT entry 15, ring 3: flat, made by segments_init */
#define TLS_SELECTOR(n)  (((6 + (n)) << 3) | 3)  /* GDT entries 6 to 8, for LHCALL_LOAD_TLS */

#ifndef __ASSEMBLER__

#include <ring1/types.h>

/* The access byte of a descriptor: present, code or data, and its kind; or in the ring. */
#define SEGMENT_CODE     0x9B  /* readable, accessed */
#define SEGMENT_DATA     0x93  /* writable, accessed */
#define SEGMENT_PRESENT  0x80
#define SEGMENT_RING(n)  ((n) << 5)

struct descriptor {
  u32 low;
  u32 high;
};

/* A 32-bit segment. The limit counts bytes below 1 MiB, else pages (and is rounded up to one). */
struct descriptor segment_descriptor(u32 base, u32 limit, u8 access);

/* Asks the host to put a descriptor into the GDT. The selector is index * 8, with the ring wanted in the low bits. */
void segment_load(unsigned index, struct descriptor descriptor);

/* Makes the segments for ring 3. */
void segments_init(void);

#endif
#endif
