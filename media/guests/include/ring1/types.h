/*
 * Short names for the integers, and the few macros every file wants. Nothing here needs a C library: stdint.h,
 * stddef.h, stdbool.h and stdarg.h belong to the compiler.
 */
#ifndef RING1_TYPES_H
#define RING1_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PACKED __attribute__((packed))

/* Keeps the compiler from moving memory accesses across it. One processor: that is all the barrier there is. */
static inline void barrier(void) {
  __asm__ volatile("" : : : "memory");
}

/* lib/string.c; the compiler may call the first four on its own. */
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *left, const void *right, size_t size);
size_t strlen(const char *text);
int strcmp(const char *left, const char *right);

#endif
