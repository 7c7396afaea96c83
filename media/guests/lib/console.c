/*
 * The console: early console, then a virtio console device with one queue for each direction.
 */
#include <ring1/console.h>
#include <ring1/lguest.h>
#include <ring1/traps.h>
#include <ring1/virtio.h>

#define INPUT_QUEUE  0
#define OUTPUT_QUEUE 1

static struct virtqueue input, output;
static bool ready;

/* What the device fills, and what has been typed but not read. */
static u8 input_buffer[64];
static u8 typed[256];
static volatile u32 typed_head, typed_tail;
static bool input_posted;

void early_print(const char *text) {
  hcall1(LHCALL_NOTIFY, physical(text));
}

bool console_init(void) {
  struct device *device = device_find(DEVICE_CONSOLE);

  if (!device) {
    return false;
  }
  device_begin(device);
  virtqueue_open(&input, device, INPUT_QUEUE);
  virtqueue_open(&output, device, OUTPUT_QUEUE);
  output.available->flags = VRING_NO_INTERRUPT; /* console_write waits by itself */
  device_finish(device);
  ready = true;
  return true;
}

/* The early console wants a text that ends with a zero byte. */
static void early_write(const char *text, size_t length) {
  static char line[80];

  while (length > 0) {
    size_t part = length < sizeof(line) ? length : sizeof(line) - 1;
    memcpy(line, text, part);
    line[part] = 0;
    early_print(line);
    text += part;
    length -= part;
  }
}

void console_write(const char *text, size_t length) {
  u32 saved = irq_save();
  u32 written;

  if (!ready) {
    early_write(text, length);
  } else if (length > 0) {
    virtqueue_add(&output, 0, text, length, 0);
    virtqueue_notify(&output);
    while (!virtqueue_take(&output, &written)) {
      /* The host may print while we go on; the text must not change before it has. */
    }
  }
  irq_restore(saved);
}

/* Gives the buffer to the device, once there is room for all that it can bring. Interrupts are off. */
static void post_input(void) {
  if (ready && !input_posted && sizeof(typed) - (typed_head - typed_tail) >= sizeof(input_buffer)) {
    input_posted = true;
    virtqueue_add(&input, 0, input_buffer, sizeof(input_buffer), VRING_WRITE);
    virtqueue_notify(&input);
  }
}

static void on_input(struct trap_frame *frame) {
  u32 length;

  (void)frame;
  while (virtqueue_take(&input, &length)) {
    input_posted = false;
    for (u32 i = 0; i < length; i++) {
      typed[typed_head++ % sizeof(typed)] = input_buffer[i];
    }
    post_input();
  }
}

void console_input_init(void) {
  if (ready) {
    irq_install(input.irq, on_input);
    post_input();
  }
}

int console_poll_char(void) {
  u32 saved = irq_save();
  int c = -1;

  if (typed_tail != typed_head) {
    c = typed[typed_tail++ % sizeof(typed)];
    post_input();
  }
  irq_restore(saved);
  return c;
}

/*
 * How to wait for something that an interrupt brings: interrupts off, look, and sleep if it is not there yet. An
 * interrupt that comes in between stays pending and ends the sleep at once: HALT also wakes with interrupts off.
 */
int console_read_char(void) {
  u32 saved = irq_save();
  int c;

  while ((c = console_poll_char()) < 0) {
    halt();
    irq_disable(); /* the handler has returned with interrupts on */
  }
  irq_restore(saved);
  return c;
}
