/*
 * The functions of string.h that the compiler may call on its own, and two more.
 */
#include <ring1/types.h>

void *memcpy(void *to, const void *from, size_t size) {
  void *result = to;

  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
  return result;
}

void *memmove(void *to, const void *from, size_t size) {
  u8 *target = to;
  const u8 *source = from;

  if (target <= source || target >= source + size) {
    return memcpy(to, from, size);
  }
  while (size-- > 0) {
    target[size] = source[size];
    barrier(); /* or the compiler makes a call of memmove out of this */
  }
  return to;
}

void *memset(void *to, int value, size_t size) {
  void *result = to;

  __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
  return result;
}

int memcmp(const void *left, const void *right, size_t size) {
  const u8 *a = left;
  const u8 *b = right;

  for (size_t i = 0; i < size; i++) {
    if (a[i] != b[i]) {
      return a[i] - b[i];
    }
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;

  while (text[length]) {
    length++;
    barrier();
  }
  return length;
}

int strcmp(const char *left, const char *right) {
  while (*left && *left == *right) {
    left++;
    right++;
  }
  return (u8)*left - (u8)*right;
}
