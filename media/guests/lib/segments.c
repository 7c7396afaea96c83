/*
 * Descriptors, and asking the host for them. Intel SDM volume 3, section 3.4.5 draws a descriptor.
 */
#include <ring1/lguest.h>
#include <ring1/segments.h>

#define GRANULARITY_PAGES 0x00800000
#define SEGMENT_32_BIT    0x00400000

struct descriptor segment_descriptor(u32 base, u32 limit, u8 access) {
  u32 flags = SEGMENT_32_BIT;

  if (limit >= 1 << 20) {
    limit >>= 12;
    flags |= GRANULARITY_PAGES;
  }
  return (struct descriptor){
    .low = (base << 16) | (limit & 0xFFFF),
    .high = (base & 0xFF000000) | flags | (limit & 0x000F0000) | ((u32)access << 8) | ((base >> 16) & 0xFF),
  };
}

void segment_load(unsigned index, struct descriptor descriptor) {
  hcall3(LHCALL_LOAD_GDT_ENTRY, index, descriptor.low, descriptor.high);
}

void segments_init(void) {
  segment_load(USER_CS >> 3, segment_descriptor(0, 0xFFFFFFFF, SEGMENT_CODE | SEGMENT_RING(3)));
  segment_load(USER_DS >> 3, segment_descriptor(0, 0xFFFFFFFF, SEGMENT_DATA | SEGMENT_RING(3)));
}
