/*
 * Numbers for things that a client asks about later: frames, variables, targets. They hold until the guest moves on; a
 * number of an earlier stop is never given again, so a late question gets an honest answer instead of another frame's
 * variables.
 */
export class Handles<T> {
  private items = new Map<number, T>();
  private next = 1;

  add(item: T): number {
    const id = this.next++;
    this.items.set(id, item);
    return id;
  }
  get(id: number | undefined): T | undefined {
    return id === undefined ? undefined : this.items.get(id);
  }
  /** Forgets everything; numbers go on. */
  clear(): void {
    this.items.clear();
  }
}
