/*
 * Devices and virtqueues, as lguest has them: legacy virtio, found on the device page and driven by NOTIFY.
 *
 * The device page is the first page above RAM. It holds one record after the other; a type of 0 ends the list:
 *
 *     struct device | num_vq times struct device_queue | features offered | features accepted | configuration
 *
 * A virtqueue is a piece of memory, also above RAM, that holds three things: descriptors of buffers, the ring of
 * buffers that the guest has made available, and the ring of those that the device has used up.
 */
#ifndef RING1_VIRTIO_H
#define RING1_VIRTIO_H

#include <ring1/types.h>

enum device_type {
  DEVICE_NETWORK = 1,
  DEVICE_BLOCK = 2,
  DEVICE_CONSOLE = 3,
  DEVICE_RNG = 4,
};

#define DEVICE_ACKNOWLEDGED 0x01
#define DEVICE_DRIVER       0x02
#define DEVICE_DRIVER_OK    0x04
#define DEVICE_FAILED       0x80

struct PACKED device {
  u8 type;             /* enum device_type, 0 ends the page */
  u8 num_vq;
  u8 feature_len;      /* bytes of feature bits */
  u8 config_len;
  volatile u8 status;  /* DEVICE_*, written by the guest */
};

struct PACKED device_queue {
  u16 num;   /* entries */
  u16 irq;
  u32 pfn;   /* page number of the memory of the queue */
};

#define VRING_NEXT   1  /* flags of a descriptor: goes on with `next` */
#define VRING_WRITE  2  /* for the device to write */
#define VRING_NO_INTERRUPT 1  /* flag of the available ring: no interrupt please */
#define VRING_NO_NOTIFY    1  /* flag of the used ring: no NOTIFY needed */
#define VRING_ALIGN  4096

struct vring_descriptor {
  u64 address;   /* guest-physical */
  u32 length;
  u16 flags;
  u16 next;
};

struct vring_available {
  u16 flags;
  u16 index;     /* free-running; the ring entry is index % num */
  u16 ring[];
};

struct vring_used {
  u16 flags;
  u16 index;
  struct {
    u32 id;      /* the first descriptor of the buffer */
    u32 length;  /* bytes written by the device */
  } ring[];
};

/* A virtqueue as its driver sees it. Buffers are single descriptors; enough for a console. */
struct virtqueue {
  u16 num;
  u16 irq;
  u16 last_used;       /* how far we have read the used ring */
  u32 notify_address;
  volatile struct vring_descriptor *descriptors;
  volatile struct vring_available *available;
  volatile struct vring_used *used;
};

/* The first device of a type, or NULL. */
struct device *device_find(enum device_type type);

/* The device handshake: reset and acknowledge; then, when the queues are ready, finish. */
void device_begin(struct device *device);
void device_finish(struct device *device);

/* Maps queue number `index` of a device. */
void virtqueue_open(struct virtqueue *queue, const struct device *device, unsigned index);

/* Hands a buffer in the linear mapping to the device, as descriptor `id`. `flags`: 0, or VRING_WRITE to receive. */
void virtqueue_add(struct virtqueue *queue, u16 id, const void *buffer, u32 length, u16 flags);

/* Tells the device that there is something new. */
void virtqueue_notify(struct virtqueue *queue);

/* Takes back one buffer that the device has used: true, and how much it wrote. */
bool virtqueue_take(struct virtqueue *queue, u32 *length);

#endif
