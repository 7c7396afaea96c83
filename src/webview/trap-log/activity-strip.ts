/*
 * The strip above the table: how many entries there were over time, stacked by kind, time being instructions. Dragging
 * narrows the filter to a range. It is a picture beside the table, not instead of it: a screen reader gets one
 * sentence, and the range can be typed into the filter as well.
 */

import { groupDigits, shortCount } from "../../base";
import type { TrapHistogram } from "../../dap";
import { h } from "../page/dom";
import { KINDS } from "./row-text";

/** Pixels a drag needs to count as one. */
const MIN_DRAG = 4;

export class ActivityStrip {
  readonly element: HTMLElement;
  private readonly canvas = h("canvas", { "aria-hidden": "true" });
  private readonly selection = h("div", { class: "strip-selection", hidden: true });
  private readonly from = h("span");
  private readonly to = h("span");
  private readonly hint = h("span", { class: "strip-hint" });
  private histogram: TrapHistogram | undefined;
  private dragStart: number | undefined;

  constructor(private readonly onNarrow: (from: number, to: number) => void) {
    this.element = h(
      "div",
      { class: "strip", role: "img", title: "Entries over time. Drag to narrow the log to a range of instructions." },
      this.canvas,
      this.selection,
      h("div", { class: "strip-axis", "aria-hidden": "true" }, this.from, this.hint, this.to),
    );
    this.element.addEventListener("pointerdown", (event) => this.dragBegin(event));
    this.element.addEventListener("pointermove", (event) => this.dragOn(event));
    this.element.addEventListener("pointerup", (event) => this.dragEnd(event));
    this.element.addEventListener("pointercancel", () => this.dragStop());
    this.element.addEventListener("pointerleave", () => {
      this.hint.textContent = "";
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** Number of buckets worth asking for. */
  get buckets(): number {
    return Math.min(1000, Math.max(20, Math.floor(this.element.clientWidth / 3)));
  }

  /** Shows another histogram; undefined clears the strip. */
  show(histogram: TrapHistogram | undefined): void {
    this.histogram = histogram;
    this.from.textContent = histogram ? shortCount(histogram.fromInstruction) : "";
    this.to.textContent = histogram ? shortCount(histogram.toInstruction) : "";
    this.element.setAttribute("aria-label", spokenHistogram(histogram));
    this.draw();
  }

  /** Draws again, for example in other colours. */
  draw(): void {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    const context = this.canvas.getContext("2d");
    const counts = this.histogram?.counts;
    if (context === null || counts === undefined) {
      return;
    }
    const shown = KINDS.filter(({ kind }) => counts[kind] !== undefined);
    const length = Math.max(0, ...shown.map(({ kind }) => counts[kind]!.length));
    const sums = Array.from({ length }, (_, index) =>
      shown.reduce((sum, { kind }) => sum + (counts[kind]![index] ?? 0), 0),
    );
    const highest = Math.max(1, ...sums);
    const styles = getComputedStyle(this.element);
    const step = this.canvas.width / length;
    for (let index = 0; index < length; index++) {
      // The square root keeps a lonely fault visible beside a burst of hypercalls.
      const bar = Math.sqrt(sums[index]! / highest) * this.canvas.height;
      let bottom = this.canvas.height;
      for (const { kind } of shown) {
        const part = sums[index] === 0 ? 0 : (bar * (counts[kind]![index] ?? 0)) / sums[index]!;
        if (part > 0) {
          const visible = Math.max(part, ratio);
          context.fillStyle = styles.getPropertyValue(`--kind-${kind}`) || styles.color;
          context.fillRect(index * step, bottom - visible, Math.max(1, step - (step > 3 * ratio ? ratio : 0)), visible);
          bottom -= visible;
        }
      }
    }
  }

  private dragBegin(event: PointerEvent): void {
    if (event.button === 0 && this.histogram !== undefined) {
      this.dragStart = this.positionOf(event);
      this.element.setPointerCapture(event.pointerId);
    }
  }

  private dragOn(event: PointerEvent): void {
    const position = this.positionOf(event);
    const start = this.dragStart ?? position;
    const [left, right] = start < position ? [start, position] : [position, start];
    this.hint.textContent =
      this.histogram === undefined
        ? ""
        : left === right
          ? groupDigits(this.instructionAt(position))
          : `${groupDigits(this.instructionAt(left))} – ${groupDigits(this.instructionAt(right))}`;
    if (this.dragStart !== undefined) {
      this.selection.hidden = false;
      this.selection.style.left = `${left}px`;
      this.selection.style.width = `${right - left}px`;
    }
  }

  private dragEnd(event: PointerEvent): void {
    const end = this.positionOf(event);
    const start = this.dragStart;
    this.dragStop();
    if (start !== undefined && Math.abs(end - start) >= MIN_DRAG) {
      this.onNarrow(this.instructionAt(Math.min(start, end)), this.instructionAt(Math.max(start, end)));
    }
  }

  private dragStop(): void {
    this.dragStart = undefined;
    this.selection.hidden = true;
  }

  private positionOf(event: PointerEvent): number {
    const { left, width } = this.element.getBoundingClientRect();
    return Math.min(width, Math.max(0, event.clientX - left));
  }

  private instructionAt(position: number): number {
    const { fromInstruction, toInstruction } = this.histogram!;
    return Math.round(fromInstruction + (position / this.element.clientWidth) * (toInstruction - fromInstruction));
  }
}

/** The strip in one sentence. */
export function spokenHistogram(histogram: TrapHistogram | undefined): string {
  if (histogram === undefined) {
    return "No activity";
  }
  const parts = KINDS.flatMap(({ kind, plural }) => {
    const sum = histogram.counts[kind]?.reduce((total, count) => total + count, 0) ?? 0;
    return sum > 0 ? [`${sum} ${plural}`] : [];
  });
  const range = `instructions ${histogram.fromInstruction} to ${histogram.toInstruction}`;
  return `Activity over ${range}: ${parts.join(", ") || "none"}`;
}
