/*
 * A printf for kernels: integers of 32 bits, characters, strings, pointers.
 */
#include <ring1/console.h>

enum { LEFT = 1, ZERO = 2, PLUS = 4, ALTERNATE = 8 };

struct output {
  char *buffer;
  size_t size;
  size_t length; /* what it would be if the buffer were large enough */
};

struct format {
  unsigned flags;
  int width;
  int precision; /* -1: none given */
};

static void put(struct output *out, char c) {
  if (out->length + 1 < out->size) {
    out->buffer[out->length] = c;
  }
  out->length++;
}

static void put_repeated(struct output *out, char c, int count) {
  while (count-- > 0) {
    put(out, c);
  }
}

/* The prefix (sign, 0x), zeros, the text, and blanks on the side where they belong. */
static void put_field(struct output *out, const struct format *format, const char *prefix, int zeros, const char *text,
                      int length) {
  int blanks = format->width - (int)strlen(prefix) - zeros - length;

  if (!(format->flags & LEFT)) {
    put_repeated(out, ' ', blanks);
  }
  while (*prefix) {
    put(out, *prefix++);
  }
  put_repeated(out, '0', zeros);
  for (int i = 0; i < length; i++) {
    put(out, text[i]);
  }
  if (format->flags & LEFT) {
    put_repeated(out, ' ', blanks);
  }
}

static void put_number(struct output *out, const struct format *format, u32 value, u32 base, bool upper,
                       const char *prefix) {
  const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  char text[12];
  int start = sizeof(text);
  int zeros;

  do {
    text[--start] = digits[value % base];
    value /= base;
  } while (value);

  int length = (int)sizeof(text) - start;
  if (format->precision >= 0) {
    zeros = format->precision - length;
  } else {
    zeros = (format->flags & (ZERO | LEFT)) == ZERO ? format->width - (int)strlen(prefix) - length : 0;
  }
  put_field(out, format, prefix, zeros > 0 ? zeros : 0, text + start, length);
}

static void put_string(struct output *out, const struct format *format, const char *text) {
  int length = 0;

  while ((format->precision < 0 || length < format->precision) && text[length]) {
    length++;
  }
  put_field(out, format, "", 0, text, length);
}

static const char *parse_number(const char *p, int *number, va_list *arguments) {
  if (*p == '*') {
    *number = va_arg(*arguments, int);
    return p + 1;
  }
  for (*number = 0; *p >= '0' && *p <= '9'; p++) {
    *number = *number * 10 + (*p - '0');
  }
  return p;
}

static const char *parse_format(const char *p, struct format *format, va_list *arguments) {
  *format = (struct format){ .precision = -1 };
  for (;; p++) {
    if (*p == '-') {
      format->flags |= LEFT;
    } else if (*p == '0') {
      format->flags |= ZERO;
    } else if (*p == '+') {
      format->flags |= PLUS;
    } else if (*p == '#') {
      format->flags |= ALTERNATE;
    } else {
      break;
    }
  }
  p = parse_number(p, &format->width, arguments);
  if (*p == '.') {
    p = parse_number(p + 1, &format->precision, arguments);
  }
  while (*p == 'l' || *p == 'h' || *p == 'z') {
    p++;
  }
  return p;
}

int vsnprintf(char *buffer, size_t size, const char *text, va_list arguments_in) {
  struct output out = { .buffer = buffer, .size = size };
  struct format format;
  va_list arguments;

  va_copy(arguments, arguments_in);
  for (const char *p = text; *p; p++) {
    if (*p != '%') {
      put(&out, *p);
      continue;
    }
    p = parse_format(p + 1, &format, &arguments);
    switch (*p) {
      case 'd':
      case 'i': {
        int value = va_arg(arguments, int);
        const char *sign = value < 0 ? "-" : format.flags & PLUS ? "+" : "";
        put_number(&out, &format, value < 0 ? -(u32)value : (u32)value, 10, false, sign);
        break;
      }
      case 'u':
        put_number(&out, &format, va_arg(arguments, u32), 10, false, "");
        break;
      case 'o':
        put_number(&out, &format, va_arg(arguments, u32), 8, false, format.flags & ALTERNATE ? "0" : "");
        break;
      case 'x':
      case 'X':
        put_number(&out, &format, va_arg(arguments, u32), 16, *p == 'X', format.flags & ALTERNATE ? "0x" : "");
        break;
      case 'p':
        format.precision = 8;
        put_number(&out, &format, (u32)va_arg(arguments, void *), 16, false, "");
        break;
      case 'c':
        put_field(&out, &format, "", 0, (char[]){ (char)va_arg(arguments, int) }, 1);
        break;
      case 's':
        put_string(&out, &format, va_arg(arguments, const char *));
        break;
      case '%':
        put(&out, '%');
        break;
      default: /* an unknown letter, or the end: show what was written */
        put(&out, '%');
        p--;
        if (p[1]) {
          put(&out, *++p);
        }
    }
  }
  va_end(arguments);
  if (size > 0) {
    buffer[out.length < size ? out.length : size - 1] = 0;
  }
  return (int)out.length;
}

int snprintf(char *buffer, size_t size, const char *format, ...) {
  va_list arguments;

  va_start(arguments, format);
  int length = vsnprintf(buffer, size, format, arguments);
  va_end(arguments);
  return length;
}

int printf(const char *format, ...) {
  char buffer[256];
  va_list arguments;

  va_start(arguments, format);
  int length = vsnprintf(buffer, sizeof(buffer), format, arguments);
  va_end(arguments);
  console_write(buffer, (size_t)length < sizeof(buffer) ? (size_t)length : sizeof(buffer) - 1);
  return length;
}
