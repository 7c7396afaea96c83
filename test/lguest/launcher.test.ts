// The launcher: images that can be used and those that cannot, boot_params, device page, rings, console, disk.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { UnusableInput, VirtualMachine, type VirtualMachineOptions } from "../../src/lguest";
import { LauncherFatal } from "../../src/lguest/launcher/errors";
import { LauncherMemory } from "../../src/lguest/launcher/launcher-memory";
import { type Buffer, ringPages, Virtqueue } from "../../src/lguest/launcher/virtqueue";
import { Machine } from "../../src/machine";
import { elfImage, LOAD_ADDRESS } from "./guest-code";

const SPIN = Uint8Array.of(0xeb, 0xfe);

function boot(options: Partial<VirtualMachineOptions> = {}): VirtualMachine {
  return new VirtualMachine({
    image: elfImage(SPIN),
    imageName: "test.elf",
    memoryMegabytes: 2,
    hostMegabytes: 1,
    engine: "direct",
    ...options,
  });
}
function refuses(options: Partial<VirtualMachineOptions>, message: RegExp): void {
  assert.throws(
    () => boot(options),
    (error) => error instanceof UnusableInput && message.test(error.message),
    String(message),
  );
}
function word(vm: VirtualMachine, address: number): number {
  return new DataView(vm.readGuestPhysical(address, 4).buffer).getUint32(0, true);
}
/** An ELF image with some bytes changed. */
function patched(...changes: [offset: number, ...bytes: number[]][]): Uint8Array {
  const image = elfImage(SPIN);
  for (const [offset, ...bytes] of changes) image.set(bytes, offset);
  return image;
}

describe("launcher: images", () => {
  it("loads an ELF file by its physical addresses and starts at its entry", () => {
    const vm = boot({ image: elfImage(Uint8Array.of(0x90, 0xeb, 0xfe), 0x123000, 0x123001) });
    assert.deepEqual([...vm.readGuestPhysical(0x123000, 3)], [0x90, 0xeb, 0xfe]);
    assert.equal(vm.guestRegisters().eip, 0x123001);
  });
  it("loads a bzImage at 1 MiB and starts where its header says", () => {
    const image = new Uint8Array(0x2000);
    image[0x1f1] = 3;
    image.set(new TextEncoder().encode("HdrS"), 0x202);
    new DataView(image.buffer).setUint32(0x214, 0x100004, true);
    image.set(SPIN, 4 * 512 + 4);
    const vm = boot({ image });
    assert.deepEqual([...vm.readGuestPhysical(0x100004, 2)], [...SPIN]);
    assert.equal(vm.guestRegisters().eip, 0x100004);
  });
  it("refuses what it cannot boot, with what was expected and what was found", () => {
    refuses(
      { image: new Uint8Array(0) },
      /test\.elf cannot be booted: expected an ELF executable .* found an empty file/,
    );
    refuses(
      { image: new Uint8Array(5000).fill(0x23) },
      /expected an ELF executable .* found a file that begins with 23 23 23 23/,
    );
    refuses({ image: patched([4, 2]) }, /expected a 32-bit ELF file, found a 64-bit one/);
    refuses({ image: patched([5, 2]) }, /expected a little-endian ELF file/);
    refuses({ image: patched([18, 40]) }, /expected a program for the Intel 386, found one for/);
    refuses({ image: patched([52, 4]) }, /expected at least one loadable segment \(PT_LOAD\), found none/);
    refuses({ image: patched([16, 3]) }, /expected/);
    refuses({ image: elfImage(SPIN).subarray(0, 60) }, /cannot be booted/);
  });
  it("refuses segments and entry points outside memory, and says how to get further", () => {
    refuses(
      { image: elfImage(SPIN, 0x400000) },
      /does not fit: .* below 0x200000 \(2 MiB of memory\), found one at physical 0x400000 .* Give the guest at least 6 MiB/,
    );
    refuses({ image: elfImage(SPIN, 0xc0100000) }, /physical address looks like a virtual one/);
    refuses({ image: elfImage(SPIN, LOAD_ADDRESS, 0xc0100000) }, /entry point at 0xc0100000, outside/);
    refuses({ image: elfImage(SPIN, 0x1fe800) }, /leaves no room/);
  });
  it("refuses memory sizes that cannot be", () => {
    refuses({ memoryMegabytes: 0 }, /too small: expected at least 1 MiB, found 0/);
    refuses({ memoryMegabytes: 1020 }, /too large: expected at most 1019 MiB .*, found 1020/);
    refuses({ memoryMegabytes: 1.5 }, /whole number of MiB/);
  });
  it("refuses an initrd that is too large, a command line that is too long, and too many disks", () => {
    refuses({ initrd: new Uint8Array(3 << 20) }, /the initrd does not fit: .* found 3145728 bytes/);
    refuses({ commandLine: "x".repeat(2048) }, /the command line is too long: expected at most 2047 bytes, found 2048/);
    refuses({ disks: Array.from({ length: 100 }, () => ({ bytes: new Uint8Array(512) })) }, /too many disks/);
  });
});

describe("launcher: what a guest finds", () => {
  it("fills boot_params, command line and initrd", () => {
    const vm = boot({ commandLine: "console=hvc0 quiet", initrd: Uint8Array.of(1, 2, 3) });
    assert.deepEqual([word(vm, 0x1e8), word(vm, 0x2d8), word(vm, 0x2e0)], [1, 0x200000, 1]);
    assert.deepEqual([word(vm, 0x204) >>> 16, word(vm, 0x210)], [0x207, 0x40ff]);
    assert.deepEqual([word(vm, 0x218), word(vm, 0x21c)], [0x1ff000, 0x1000], "rounded up to a page (QUIRK-21)");
    assert.deepEqual([word(vm, 0x228), word(vm, 0x230), word(vm, 0x23c)], [0x1000, 0, 1]);
    assert.deepEqual([...vm.readGuestPhysical(0x1ff000, 4)], [1, 2, 3, 0]);
    assert.equal(new TextDecoder().decode(vm.readGuestPhysical(0x1000, 19)), "console=hvc0 quiet\0");
    assert.equal(word(boot({ abi: "3.x" }), 0x230), 0x1000000, "3.x sets the alignment");
    assert.equal(word(boot(), 0x210), 0x4000, "no initrd, no loader");
  });
  it("describes its devices in the page above RAM, console last, interrupts from 1", () => {
    const vm = boot({ disks: [{ bytes: new Uint8Array(1024), name: "disk" }] });
    const page = vm.readGuestPhysical(0x200000, 64);
    assert.deepEqual([...page.subarray(0, 5)], [2, 1, 1, 16, 0], "block: 1 queue, 1 feature byte, 16 of configuration");
    assert.deepEqual([...page.subarray(5, 13)], [0, 1, 1, 0, 1, 2, 0, 0], "256 entries, irq 1, page 0x201");
    assert.deepEqual([...page.subarray(13, 15)], [5, 0]);
    assert.deepEqual([...page.subarray(15, 31)], [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254, 0, 0, 0]);
    assert.deepEqual([...page.subarray(31, 36)], [3, 2, 0, 0, 0], "console");
    assert.deepEqual([...page.subarray(36, 52)], [0, 1, 2, 0, 4, 2, 0, 0, 0, 1, 3, 0, 7, 2, 0, 0]);
    assert.equal(page[52], 0, "the end");
    assert.equal(vm.guest.pfnLimit, 0x20a);
  });
});

/** A ring in memory, and what a guest does with it. */
class Ring {
  readonly memory = new LauncherMemory(new Machine({ ramSize: 0x400000, engine: "direct" }), 0x1000, 0x100000);
  readonly raised: number[] = [];
  readonly queue: Virtqueue;
  wantsEmpty = false;

  constructor(readonly address = 0x100000) {
    this.memory.takePages(16);
    this.queue = new Virtqueue(
      this.memory,
      address,
      256,
      5,
      (irq) => this.raised.push(irq),
      () => this.wantsEmpty,
    );
  }
  descriptor(index: number, at: number, length: number, flags = 0, next = 0, table = this.address): void {
    this.memory.write32(table + index * 16, at);
    this.memory.write32(table + index * 16 + 8, length);
    this.memory.write16(table + index * 16 + 12, flags);
    this.memory.write16(table + index * 16 + 14, next);
  }
  /** Makes heads available. */
  offer(...heads: number[]): void {
    const avail = this.address + 0x1000;
    let index = this.memory.read16(avail + 2);
    for (const head of heads) this.memory.write16(avail + 4 + 2 * (index++ % 256), head);
    this.memory.write16(avail + 2, index & 0xffff);
  }
  setAvailFlags(flags: number): void {
    this.memory.write16(this.address + 0x1000, flags);
  }
  get usedFlags(): number {
    return this.memory.read16(this.address + 0x2000);
  }
  take(): Buffer {
    const buffer = this.queue.next();
    assert.ok(buffer);
    return buffer;
  }
  fails(text: string): void {
    assert.throws(
      () => this.queue.next(),
      (error) => error instanceof LauncherFatal && error.message === text,
      text,
    );
  }
}

describe("launcher: rings", () => {
  it("take three pages for 256 entries", () => {
    assert.equal(ringPages(256), 3);
  });
  it("give chains with what to read before what to write, and used entries with their lengths", () => {
    const ring = new Ring();
    ring.descriptor(3, 0x5000, 16, 1, 7);
    ring.descriptor(7, 0x6000, 512, 3, 9);
    ring.descriptor(9, 0x7000, 1, 2);
    ring.offer(3);
    const buffer = ring.take();
    assert.deepEqual(buffer, {
      head: 3,
      output: [{ address: 0x5000, length: 16 }],
      input: [
        { address: 0x6000, length: 512 },
        { address: 0x7000, length: 1 },
      ],
    });
    assert.equal(ring.usedFlags, 1, "no notifications while there is work");
    ring.queue.complete(buffer, 513);
    assert.deepEqual([ring.memory.read32(0x102004), ring.memory.read32(0x102008), ring.queue.usedIndex], [3, 513, 1]);
    assert.equal(ring.queue.next(), null);
    assert.equal(ring.usedFlags, 0);
    assert.deepEqual(ring.raised, [5]);
    ring.queue.next();
    assert.deepEqual(ring.raised, [5], "only if something was used since");
  });
  it("follow indirect tables, and wrap their indexes at 16 bits", () => {
    const ring = new Ring();
    ring.descriptor(0, 0x8000, 32, 4);
    ring.descriptor(0, 0x5000, 4, 1, 1, 0x8000);
    ring.descriptor(1, 0x6000, 4, 2, 0, 0x8000);
    for (let i = 0; i < 0x10010; i++) {
      ring.offer(0);
      const buffer = ring.take();
      if (i === 0) assert.deepEqual(buffer.input, [{ address: 0x6000, length: 4 }]);
      ring.queue.complete(buffer, 4);
    }
    assert.equal(ring.queue.usedIndex, 0x10);
    ring.descriptor(0, 0x8000, 30, 4);
    ring.offer(0);
    ring.fails("Invalid size for indirect buffer table");
  });
  it("keep quiet when the guest wants no interrupt, unless it wants one for an empty ring", () => {
    const ring = new Ring();
    ring.descriptor(0, 0x5000, 4);
    ring.setAvailFlags(1);
    ring.offer(0);
    ring.queue.complete(ring.take(), 0);
    ring.queue.next();
    assert.deepEqual(ring.raised, []);
    ring.wantsEmpty = true;
    ring.offer(0);
    ring.queue.complete(ring.take(), 0);
    ring.queue.next();
    assert.deepEqual(ring.raised, [5]);
  });
  it("that break the rules are fatal, each with its text", () => {
    const broken = (text: string, prepare: (ring: Ring) => void): void => {
      const ring = new Ring();
      ring.descriptor(0, 0x5000, 4);
      prepare(ring);
      ring.fails(text);
    };
    broken("Guest moved used index from 0 to 257", (ring) => ring.memory.write16(0x101002, 257));
    broken("Guest says index 256 is available", (ring) => ring.offer(256));
    broken("Invalid address 0x7fffffff", (ring) => {
      ring.descriptor(0, 0x7fffffff, 4);
      ring.offer(0);
    });
    broken("Invalid address 0x5000", (ring) => {
      ring.descriptor(0, 0x5000, 0xfffffff0);
      ring.offer(0);
    });
    broken("Descriptor has out after in", (ring) => {
      ring.descriptor(0, 0x5000, 4, 3, 1);
      ring.descriptor(1, 0x5000, 4);
      ring.offer(0);
    });
    broken("Looped descriptor", (ring) => {
      ring.descriptor(0, 0x5000, 4, 1, 0);
      ring.offer(0);
    });
    broken("Desc next is 300", (ring) => {
      ring.descriptor(0, 0x5000, 4, 1, 300);
      ring.offer(0);
    });
  });
});

/** A disk request in the guest's memory of a machine that does not run; the host's part is called as a NOTIFY would. */
class DiskGuest {
  readonly vm: VirtualMachine;
  readonly written: [number, number][] = [];

  constructor(
    readonly disk: Uint8Array,
    isReadOnly = false,
    abi: "2.6.32" | "3.x" = "2.6.32",
  ) {
    this.vm = boot({
      abi,
      disks: [{ bytes: disk, isReadOnly, name: "disk", onWrite: (at, length) => this.written.push([at, length]) }],
    });
  }
  private put(address: number, ...words: number[]): void {
    this.vm.writeGuestPhysical(address, new Uint8Array(Uint32Array.from(words).buffer));
  }
  /** One request with 512 bytes of data; its status byte, or why the launcher gave up. */
  request(type: number, sector: number, headerLength = 16): number | string {
    const ring = 0x201000;
    const isWrite = (type & 1) !== 0;
    this.put(0x8000, type, 0, sector, 0);
    this.put(
      ring,
      0x8000,
      0,
      headerLength,
      1 | (1 << 16),
      0x9000,
      0,
      512,
      (isWrite ? 1 : 3) | (2 << 16),
      0xa000,
      0,
      1,
      2,
    );
    const index = (word(this.vm, ring + 0x1000) >>> 16) + 1;
    this.put(ring + 0x1000, index << 16);
    this.vm.writeGuestPhysical(0xa000, Uint8Array.of(0xee));
    const { launcher } = this.vm as unknown as {
      launcher: {
        devices: { isRunning: boolean; queues: unknown[]; service(queue: unknown): void }[];
        fatal: string | null;
      };
    };
    const device = launcher.devices[0];
    device.isRunning = true;
    try {
      device.service(device.queues[0]);
    } catch (error) {
      return (error as Error).message;
    }
    return this.vm.readGuestPhysical(0xa000, 1)[0];
  }
}

describe("launcher: disk", () => {
  it("reads and writes sectors, and tells what changed", () => {
    const guest = new DiskGuest(Uint8Array.from({ length: 2048 }, (_, i) => i >>> 9));
    assert.equal(guest.request(0, 2), 0);
    assert.deepEqual([...guest.vm.readGuestPhysical(0x9000, 2)], [2, 2]);
    guest.vm.writeGuestPhysical(0x9000, Uint8Array.of(0x77));
    assert.equal(guest.request(1, 3), 0);
    assert.deepEqual([guest.disk[3 * 512], guest.disk[3 * 512 + 1]], [0x77, 2]);
    assert.deepEqual(guest.written, [[1536, 512]]);
  });
  it("answers SCSI with unsupported, writes to a read-only disk with an error, FLUSH from 3.1 on", () => {
    const disk = new Uint8Array(1024);
    assert.equal(new DiskGuest(disk).request(2, 0), 2);
    assert.equal(new DiskGuest(disk, true).request(1, 0), 1);
    assert.equal(new DiskGuest(disk, false, "3.x").request(4, 0), 0);
    assert.equal(new DiskGuest(disk).request(0, 500), 1, "beyond the end");
  });
  it("gives up on a write beyond the end and on a bad header", () => {
    const disk = new Uint8Array(1024);
    assert.equal(new DiskGuest(disk).request(1, 2), "Write past end 1024+512");
    assert.equal(new DiskGuest(disk).request(0, 0, 15), "Bad iovec size 15 for block disk");
  });
});
