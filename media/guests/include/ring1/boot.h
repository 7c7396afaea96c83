/*
 * What the launcher leaves in memory for the kernel: a "zero page" of boot parameters at guest-physical 0, with the
 * layout of the Linux x86 boot protocol, and the command line. Only the fields that lguest fills are named here.
 */
#ifndef RING1_BOOT_H
#define RING1_BOOT_H

#include <ring1/lguest.h>
#include <ring1/types.h>

#define BOOT_E820_RAM          1
#define BOOT_SUBARCH_LGUEST    1
#define BOOT_KEEP_SEGMENTS  0x40

struct PACKED e820_entry {
  u64 address;
  u64 size;
  u32 type;
};

struct PACKED boot_params {
  u8 unused0[0x1E8];
  u8 e820_entries;          /* 0x1E8: 1 */
  u8 unused1[0x206 - 0x1E9];
  u16 version;              /* 0x206: of the boot protocol, 0x0207 */
  u8 unused2[0x210 - 0x208];
  u8 type_of_loader;        /* 0x210: 0xFF if there is an initrd */
  u8 loadflags;             /* 0x211: BOOT_KEEP_SEGMENTS */
  u8 unused3[0x218 - 0x212];
  u32 ramdisk_image;        /* 0x218: where the initrd is */
  u32 ramdisk_size;         /* 0x21C: its size, rounded up to whole pages; 0 if there is none */
  u8 unused4[0x228 - 0x220];
  u32 cmd_line_ptr;         /* 0x228: 0x1000 */
  u8 unused5[0x230 - 0x22C];
  u32 kernel_alignment;     /* 0x230: 0x1000000 from Linux 3.1 on, else 0 */
  u8 unused6[0x23C - 0x234];
  u32 hardware_subarch;     /* 0x23C: BOOT_SUBARCH_LGUEST */
  u8 unused7[0x2D0 - 0x240];
  struct e820_entry e820[128]; /* 0x2D0: the first is all the RAM there is */
};

_Static_assert(offsetof(struct boot_params, ramdisk_image) == 0x218, "boot_params.ramdisk_image");
_Static_assert(offsetof(struct boot_params, hardware_subarch) == 0x23C, "boot_params.hardware_subarch");
_Static_assert(offsetof(struct boot_params, e820) == 0x2D0, "boot_params.e820");

static inline const struct boot_params *boot_params(void) {
  return (const struct boot_params *)virtual(0);
}

/* Bytes of RAM, from physical 0 up. The page after it is the device page. */
static inline u32 boot_memory_size(void) {
  return (u32)boot_params()->e820[0].size;
}

/* The command line, "" if there is none. */
static inline const char *boot_command_line(void) {
  return (const char *)virtual(boot_params()->cmd_line_ptr);
}

#endif
