/*
 * The console. Until console_init has found the console device, output goes to the early console: a NOTIFY with the
 * address of a text, which the launcher prints at once.
 */
#ifndef RING1_CONSOLE_H
#define RING1_CONSOLE_H

#include <stdarg.h>

#include <ring1/types.h>

/* Prints without device, without lock, without anything. `text` must be in the linear mapping, as literals are. */
void early_print(const char *text);

/* Finds the console device and takes it into use. False if there is none; printing works all the same. */
bool console_init(void);

void console_write(const char *text, size_t length);

/* Turns input on: interrupts fill a buffer from now on. */
void console_input_init(void);

/* The next character, or -1 if nothing has been typed. */
int console_poll_char(void);

/* The next character; sleeps until there is one. */
int console_read_char(void);

/* %d %i %u %x %X %o %c %s %p %%, flags 0 - + and #, width and precision also as *; integers have 32 bits. */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int snprintf(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments);

#endif
