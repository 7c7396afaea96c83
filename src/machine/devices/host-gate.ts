/**
 * The gate: a port that ring-0 code writes to in order to hand control to the host's TypeScript. The processor does not know it; only
 * CPL 0 reaches it, because code with IOPL below its CPL and no I/O bitmap gets #GP as on hardware. The value written says
 * which gate point was reached.
 */
import type { PortDevice } from "../port-bus";

/** The port. Any free one would do. */
export const HOST_GATE_PORT = 0x1f0e;

export class HostGate implements PortDevice {
  readonly name = "host gate";
  /** @param onEnter called with the value written; it should make the machine leave its run. */
  constructor(private readonly onEnter: (value: number) => void) {}

  readPort(): number {
    return 0;
  }
  writePort(_port: number, _size: number, value: number): void {
    this.onEnter(value);
  }
}
