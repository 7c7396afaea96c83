/*
 * The grid: a header and as many row elements as fit the window, moved over a list that may be a million rows long. The
 * rows lie in a layer that sticks to the window; the scroll bar belongs to an empty element of the list's height.
 *
 * One tab stop with arrow keys inside; `aria-activedescendant` names the selected row, `aria-rowcount` and `aria-
 * rowindex` say where it is, as the ARIA grid pattern asks.
 */

import type { TrapRow } from "../../dap";
import { h, replaceChildren } from "../page/dom";
import { COLUMNS, cellText, sourceText, spokenRow } from "./row-text";
import { clampTop, lastTop, scaleOf, spacerHeight, topToShow, visibleRows, type WindowSize } from "./virtual-window";

export interface GridEvents {
  /** A row was selected by a person. */
  onSelect(ordinal: number): void;
  /** Enter or double click. */
  onOpen(ordinal: number): void;
  /** Other rows are in sight. */
  onWindow(first: number, count: number): void;
  /** A person moved away from the end of the log, or to it. */
  onFollow(follow: boolean): void;
  /** A key that writes a character: filtering begins. */
  onType(character: string): void;
  onCopy(ordinal: number): void;
  onCancel(): void;
}

interface RowElement {
  element: HTMLElement;
  cells: HTMLElement[];
  row: TrapRow | undefined;
  ordinal: number;
}

export class Grid {
  readonly element: HTMLElement;
  private readonly spacer = h("div", { class: "spacer", role: "presentation" });
  private readonly layer = h("div", { class: "layer", role: "rowgroup" });
  private readonly header = headerRow();
  private readonly pool: RowElement[] = [];
  private size: WindowSize = { count: 0, rowHeight: 22, viewport: 0 };
  private firstOrdinal = 0;
  private top = 0;
  private ownScrollTop = -1;
  private selectedOrdinal: number | undefined;
  private isFrameAsked = false;
  private shown = "";

  constructor(
    private readonly rowAt: (ordinal: number) => TrapRow | undefined,
    private readonly events: GridEvents,
  ) {
    this.element = h(
      "div",
      {
        class: "grid",
        role: "grid",
        tabindex: 0,
        "aria-label": "Trap log",
        "aria-colcount": COLUMNS.length,
        onscroll: () => this.scrolled(),
        onkeydown: (event: KeyboardEvent) => this.key(event),
        onfocus: () => this.focused(),
      },
      this.header,
      this.spacer,
    );
    this.spacer.append(this.layer);
    this.element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.measure()).observe(this.element);
  }

  get selected(): number | undefined {
    return this.selectedOrdinal;
  }

  /** Number of rows that fit. */
  get capacity(): number {
    return Math.max(1, Math.ceil(this.size.viewport / this.size.rowHeight));
  }

  /** The list is now `count` rows from `firstOrdinal` on. Keeps what is in sight, or the end when following. */
  setList(firstOrdinal: number, count: number, follow: boolean): void {
    const moved = (this.firstOrdinal - firstOrdinal) * this.size.rowHeight;
    this.firstOrdinal = firstOrdinal;
    this.size = { ...this.size, count };
    this.element.setAttribute("aria-rowcount", String(count + 1));
    this.spacer.style.height = `${spacerHeight(this.size)}px`;
    this.moveTo(follow ? lastTop(this.size) : this.top + moved);
  }

  /** Draws the rows anew, because some have arrived. */
  redraw(): void {
    if (!this.isFrameAsked) {
      this.isFrameAsked = true;
      requestAnimationFrame(() => {
        this.isFrameAsked = false;
        this.draw();
      });
    }
  }

  /** Selects a row (or none) and brings it into sight. */
  select(ordinal: number | undefined): void {
    this.selectedOrdinal = ordinal;
    if (ordinal !== undefined) {
      this.moveTo(topToShow(ordinal - this.firstOrdinal, this.top, this.size));
    }
    this.redraw();
  }

  /** To the last row. */
  toEnd(): void {
    this.moveTo(lastTop(this.size));
  }

  private measure(): void {
    const viewport = Math.max(0, this.element.clientHeight - this.header.offsetHeight);
    const wasAtEnd = this.top >= lastTop(this.size) - 1;
    const probe = Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row-height"));
    this.size = { ...this.size, viewport, rowHeight: probe || 22 };
    this.layer.style.height = `${viewport}px`;
    this.spacer.style.height = `${spacerHeight(this.size)}px`;
    this.moveTo(wasAtEnd ? lastTop(this.size) : this.top);
  }

  private moveTo(top: number): void {
    this.top = clampTop(top, this.size);
    this.ownScrollTop = Math.round(this.top / scaleOf(this.size));
    if (Math.abs(this.element.scrollTop - this.ownScrollTop) >= 1) {
      this.element.scrollTop = this.ownScrollTop;
    }
    this.redraw();
  }

  /** The scroll bar moved: by us, or by a person. */
  private scrolled(): void {
    const { scrollTop } = this.element;
    if (Math.abs(scrollTop - this.ownScrollTop) < 2) {
      return;
    }
    const before = this.top;
    this.ownScrollTop = scrollTop;
    const isAtEnd = scrollTop + this.size.viewport >= spacerHeight(this.size) - 1;
    this.top = isAtEnd ? lastTop(this.size) : clampTop(scrollTop * scaleOf(this.size), this.size);
    this.told(before);
    this.redraw();
  }

  /** Above the height cap the wheel moves the list by its own pixels, not by those of the scroll bar. */
  private wheel(event: WheelEvent): void {
    if (scaleOf(this.size) === 1 || event.ctrlKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    const unit = event.deltaMode === 1 ? this.size.rowHeight : event.deltaMode === 2 ? this.size.viewport : 1;
    const before = this.top;
    this.moveTo(this.top + event.deltaY * unit);
    this.told(before);
  }

  private told(before: number): void {
    if (this.top < before) {
      this.events.onFollow(false);
    } else if (this.top >= lastTop(this.size) - 1 && lastTop(this.size) > 0) {
      this.events.onFollow(true);
    }
  }

  private draw(): void {
    const { first, count } = visibleRows(this.top, this.size);
    while (this.pool.length < count) {
      this.pool.push(this.newRow());
    }
    const offset = first * this.size.rowHeight - this.top;
    for (const [index, element] of this.pool.entries()) {
      if (index < count) {
        this.fill(element, this.firstOrdinal + first + index);
        element.element.style.transform = `translateY(${offset + index * this.size.rowHeight}px)`;
      }
      element.element.hidden = index >= count;
    }
    const active = this.pool.findIndex(({ ordinal }, index) => index < count && ordinal === this.selectedOrdinal);
    if (active >= 0) {
      this.element.setAttribute("aria-activedescendant", this.pool[active]!.element.id);
    } else {
      this.element.removeAttribute("aria-activedescendant");
    }
    const shown = `${this.firstOrdinal + first} ${count}`;
    if (shown !== this.shown) {
      this.shown = shown;
      this.events.onWindow(this.firstOrdinal + first, count);
    }
  }

  private newRow(): RowElement {
    const cells = COLUMNS.map(({ id }, index) =>
      h("span", { class: `cell ${id}`, role: "gridcell", "aria-colindex": index + 1 }),
    );
    const element = h("div", { class: "row", role: "row", id: `row-${this.pool.length}` }, ...cells);
    const created: RowElement = { element, cells, row: undefined, ordinal: -1 };
    element.addEventListener("mousedown", () => this.chosen(created.ordinal));
    element.addEventListener("dblclick", () => this.events.onOpen(created.ordinal));
    this.layer.append(element);
    return created;
  }

  private fill(target: RowElement, ordinal: number): void {
    const row = this.rowAt(ordinal);
    const { element, cells } = target;
    const isSelected = ordinal === this.selectedOrdinal;
    element.classList.toggle("selected", isSelected);
    element.setAttribute("aria-selected", String(isSelected));
    if (target.ordinal === ordinal && target.row === row) {
      return;
    }
    target.ordinal = ordinal;
    target.row = row;
    element.setAttribute("aria-rowindex", String(ordinal - this.firstOrdinal + 2));
    element.classList.toggle("odd", ordinal % 2 === 1);
    if (row === undefined) {
      element.removeAttribute("data-vscode-context");
      element.setAttribute("aria-label", "reading");
      for (const [index, cell] of cells.entries()) {
        cell.textContent = index === 0 ? "…" : "";
      }
      return;
    }
    element.dataset["kind"] = row.kind;
    element.dataset["world"] = row.world;
    element.dataset["vscodeContext"] = JSON.stringify({
      webviewSection: "row",
      n: row.n,
      hasSource: row.at.path !== undefined,
      preventDefaultContextMenuItems: true,
    });
    element.setAttribute("aria-label", spokenRow(row));
    for (const [index, { id }] of COLUMNS.entries()) {
      const cell = cells[index]!;
      const text = cellText(row, id);
      if (id === "where") {
        replaceChildren(cell, text, " ", h("span", { class: "source" }, sourceText(row.at)));
      } else {
        cell.textContent = text;
      }
      cell.title = id === "event" || id === "where" ? cell.textContent!.trim() : "";
    }
  }

  private chosen(ordinal: number): void {
    if (this.rowAt(ordinal) !== undefined) {
      this.select(ordinal);
      this.events.onSelect(ordinal);
    }
  }

  /** Focus without a selection takes the last row in sight, so that the keys have something to start from. */
  private focused(): void {
    if (this.selectedOrdinal === undefined && this.size.count > 0 && this.element.matches(":focus-visible")) {
      const { first, count } = visibleRows(this.top, this.size);
      this.chosen(this.firstOrdinal + first + Math.max(0, count - 2));
    }
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey) {
      if (
        event.key.toLowerCase() === "c" &&
        this.selectedOrdinal !== undefined &&
        document.getSelection()?.isCollapsed
      ) {
        this.events.onCopy(this.selectedOrdinal);
        event.preventDefault();
      }
      return;
    }
    const page = Math.max(1, this.capacity - 1);
    const steps: Record<string, number> = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page };
    const last = this.firstOrdinal + this.size.count - 1;
    const current = this.selectedOrdinal ?? this.firstOrdinal + visibleRows(this.top, this.size).first - 1;
    if (event.key in steps) {
      this.step(Math.min(last, Math.max(this.firstOrdinal, current + steps[event.key]!)));
    } else if (event.key === "Home") {
      this.step(this.firstOrdinal);
    } else if (event.key === "End") {
      this.step(last);
    } else if (event.key === "Enter" && this.selectedOrdinal !== undefined) {
      this.events.onOpen(this.selectedOrdinal);
    } else if (event.key === "Escape") {
      this.events.onCancel();
    } else if (event.key.length === 1 && event.key !== " " && !event.altKey) {
      this.events.onType(event.key);
    } else {
      return;
    }
    event.preventDefault();
  }

  private step(ordinal: number): void {
    if (this.size.count === 0) {
      return;
    }
    const before = this.top;
    this.select(ordinal);
    if (this.top !== before) {
      this.told(before);
    }
    this.events.onSelect(ordinal);
  }
}

function headerRow(): HTMLElement {
  const cells = COLUMNS.map(({ id, title, explanation }, index) =>
    h("span", { class: `cell ${id}`, role: "columnheader", "aria-colindex": index + 1, title: explanation }, title),
  );
  return h("div", { class: "row header", role: "row", "aria-rowindex": 1 }, ...cells);
}
