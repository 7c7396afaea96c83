/*
 * Finding devices and driving virtqueues. The layouts are in ring1/virtio.h.
 */
#include <ring1/boot.h>
#include <ring1/lguest.h>
#include <ring1/paging.h>
#include <ring1/virtio.h>

static u8 *device_page;

static u32 device_size(const struct device *device) {
  return sizeof(*device) + device->num_vq * sizeof(struct device_queue) + 2u * device->feature_len + device->config_len;
}

/* What the host calls this device: the guest-physical address of its record. */
static u32 device_address(const struct device *device) {
  return boot_memory_size() + (u32)((const u8 *)device - device_page);
}

struct device *device_find(enum device_type type) {
  if (!device_page) {
    device_page = device_map(boot_memory_size(), 1);
  }
  for (u32 offset = 0; offset + sizeof(struct device) < PAGE_SIZE;) {
    struct device *device = (struct device *)(device_page + offset);
    if (device->type == 0) {
      break;
    }
    if (device->type == type) {
      return device;
    }
    offset += device_size(device);
  }
  return NULL;
}

/* Up to Linux 3.0 the host wants to hear of every change; later of the reset and of the features only. */
static void set_status(struct device *device, u8 status, bool always_tell) {
  device->status = status;
  if (always_tell || lguest_abi == LGUEST_ABI_2_6_32) {
    hcall1(LHCALL_NOTIFY, device_address(device));
  }
}

void device_begin(struct device *device) {
  set_status(device, 0, true);
  set_status(device, DEVICE_ACKNOWLEDGED, false);
  set_status(device, DEVICE_ACKNOWLEDGED | DEVICE_DRIVER, false);
}

void device_finish(struct device *device) {
  /* We want none of the features: what we accept stays zero. */
  if (lguest_abi != LGUEST_ABI_2_6_32) {
    hcall1(LHCALL_NOTIFY, device_address(device));
  }
  set_status(device, DEVICE_ACKNOWLEDGED | DEVICE_DRIVER | DEVICE_DRIVER_OK, false);
}

void virtqueue_open(struct virtqueue *queue, const struct device *device, unsigned index) {
  const struct device_queue *record = (const struct device_queue *)(device + 1) + index;
  u32 num = record->num;
  u32 used_offset = (num * sizeof(struct vring_descriptor) + 2u * (num + 2) + VRING_ALIGN - 1) & ~(VRING_ALIGN - 1u);
  u32 size = used_offset + sizeof(struct vring_used) + num * 8;
  u8 *memory = device_map(record->pfn * PAGE_SIZE, (size + PAGE_SIZE - 1) / PAGE_SIZE);

  *queue = (struct virtqueue){
    .num = record->num,
    .irq = record->irq,
    .notify_address = record->pfn * PAGE_SIZE,
    .descriptors = (void *)memory,
    .available = (void *)(memory + num * sizeof(struct vring_descriptor)),
    .used = (void *)(memory + used_offset),
  };
}

void virtqueue_add(struct virtqueue *queue, u16 id, const void *buffer, u32 length, u16 flags) {
  volatile struct vring_descriptor *descriptor = &queue->descriptors[id];

  descriptor->address = physical(buffer);
  descriptor->length = length;
  descriptor->flags = flags;
  queue->available->ring[queue->available->index % queue->num] = id;
  barrier(); /* the buffer first, then the word that makes it count */
  queue->available->index++;
}

void virtqueue_notify(struct virtqueue *queue) {
  if (!(queue->used->flags & VRING_NO_NOTIFY)) {
    hcall1(LHCALL_NOTIFY, queue->notify_address);
  }
}

bool virtqueue_take(struct virtqueue *queue, u32 *length) {
  if (queue->last_used == queue->used->index) {
    return false;
  }
  barrier();
  *length = queue->used->ring[queue->last_used % queue->num].length;
  queue->last_used++;
  return true;
}
