/**
 * The contents of an MMX or XMM register as arrays of lanes, and the two that every packed operation works on: destination
 * and source are copied here, the operation changes the destination, and it is copied back. SDM Vol. 1, 9.2 and 10.4.
 */
export class Lanes {
  private readonly buffer = new ArrayBuffer(16);
  readonly u8 = new Uint8Array(this.buffer);
  readonly i8 = new Int8Array(this.buffer);
  readonly u16 = new Uint16Array(this.buffer);
  readonly i16 = new Int16Array(this.buffer);
  readonly u32 = new Uint32Array(this.buffer);
  readonly i32 = new Int32Array(this.buffer);
  readonly u64 = new BigUint64Array(this.buffer);
  readonly f32 = new Float32Array(this.buffer);
}

/**
 * A packed operation: changes `d`.
 * @param bytes 8 for MMX, 16 for XMM
 */
export type PackedOperation = (d: Lanes, s: Lanes, bytes: number, immediate: number) => void;
