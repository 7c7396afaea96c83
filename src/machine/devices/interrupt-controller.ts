/**
 * The board's interrupt controller: 256 request lines, one per vector, lowest vector first; acknowledging clears the request. A hypervisor
 * host needs no more than that (no 8259 programming, no end-of-interrupt).
 */
import type { Cpu } from "../../x86";

export class InterruptController {
  private readonly requests = new Set<number>();

  constructor(private readonly cpu: Cpu) {
    cpu.acknowledgeInterrupt = () => this.acknowledge();
  }

  /** Requests an interrupt with this vector; stays until acknowledged. */
  raise(vector: number): void {
    this.requests.add(vector);
    this.cpu.interruptLine = true;
    this.cpu.requestExit();
  }
  /** Withdraws a request. */
  lower(vector: number): void {
    this.requests.delete(vector);
    this.cpu.interruptLine = this.requests.size > 0;
  }
  get pending(): readonly number[] {
    return [...this.requests].sort((a, b) => a - b);
  }

  private acknowledge(): number {
    const vector = Math.min(...this.requests);
    this.lower(vector);
    return vector;
  }
}
