/**
 * The only source of chance in the hypervisor: a generator with a seed (xorshift of 32 bits), so that equal seeds give equal runs.
 * Used for the choice of a shadow slot.
 */
export class Random {
  private state: number;

  constructor(seed: number) {
    // Any seed will do, 0 included; the generator itself must not start at 0.
    this.state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ (seed >>> 15)) >>> 0 || 0x1d872b41;
  }

  /** Next 32 bits, unsigned. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }
}
