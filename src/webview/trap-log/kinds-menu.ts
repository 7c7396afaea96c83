/*
 * The list behind "Kinds": every event with its count and share, most frequent first, each with a box that puts
 * `event:NAME` into the filter or takes it out. It opens below its button, closes with Escape or a click elsewhere.
 *
 * The counts are those of the filtered log, so they also answer "how many of these are there?".
 */

import { groupDigits, percent } from "../../base";
import type { TrapCount } from "../../dap";
import { h, replaceChildren } from "../page/dom";
import { parseFilter } from "./filter";

export interface KindsMenuEvents {
  /** An event is wanted in the filter, or not any more. */
  onToggle(name: string, wanted: boolean): void;
  onOpen(): void;
}

export class KindsMenu {
  readonly element = h("div", { class: "kinds", role: "group", "aria-label": "Kinds of entries", hidden: true });
  private counts: TrapCount[] = [];
  private filter = "";

  constructor(
    private readonly opener: HTMLButtonElement,
    private readonly events: KindsMenuEvents,
  ) {
    opener.setAttribute("aria-haspopup", "true");
    opener.setAttribute("aria-expanded", "false");
    opener.addEventListener("click", () => this.toggle());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.close();
        opener.focus();
        event.stopPropagation();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        this.moveFocus(event.key === "ArrowDown" ? 1 : -1);
        event.preventDefault();
      }
    });
    document.addEventListener("mousedown", (event) => {
      const target = event.target as Node;
      if (!this.element.contains(target) && !opener.contains(target)) {
        this.close();
      }
    });
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  /** Shows these counts. `filter` is the filter's text, which says what is chosen. */
  show(counts: TrapCount[], filter: string): void {
    this.counts = counts;
    this.filter = filter;
    if (this.isOpen) {
      this.draw();
    }
  }

  private toggle(): void {
    if (this.isOpen) {
      this.close();
      return;
    }
    this.element.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    this.draw();
    this.events.onOpen();
    this.element.querySelector("input")?.focus();
  }

  private close(): void {
    this.element.hidden = true;
    this.opener.setAttribute("aria-expanded", "false");
  }

  private moveFocus(step: number): void {
    const boxes = [...this.element.querySelectorAll("input")];
    const index = boxes.indexOf(document.activeElement as HTMLInputElement);
    boxes[(index + step + boxes.length) % boxes.length]?.focus();
  }

  private draw(): void {
    const chosen = new Set(
      parseFilter(this.filter).terms.flatMap((term) =>
        term.key === "event" && !term.not ? [term.name.toLowerCase()] : [],
      ),
    );
    const focused = (document.activeElement as HTMLInputElement | null)?.value;
    const sum = this.counts.reduce((total, { count }) => total + count, 0);
    const items = this.counts.map(({ name, kind, count }) => {
      const box = h("input", { type: "checkbox", value: name });
      box.checked = chosen.has(name.toLowerCase());
      box.addEventListener("change", () => this.events.onToggle(name, box.checked));
      const bar = h("meter", { min: 0, max: sum || 1, value: count, "aria-hidden": "true" });
      return h(
        "label",
        { class: "kinds-item", "data-kind": kind },
        box,
        h("span", { class: "kinds-name" }, name),
        h("span", { class: "kinds-count" }, groupDigits(count)),
        h("span", { class: "kinds-share" }, percent(count, sum)),
        bar,
      );
    });
    replaceChildren(this.element, ...(items.length > 0 ? items : [h("p", {}, "No entries yet.")]));
    if (focused !== undefined) {
      [...this.element.querySelectorAll("input")].find(({ value }) => value === focused)?.focus();
    }
  }
}
