/*
 * Which rows of a very long list are in sight. Browsers cap the height of an element (Chromium at about 33 million
 * pixels), so above MAX_HEIGHT the scroll bar's pixels stand for more than one pixel of the list each: `virtualTop` is
 * the truth, the scroll bar follows it.
 */

/** Height of the element that makes the scroll bar, at most. */
export const MAX_HEIGHT = 8_000_000;

export interface WindowSize {
  /** Rows in the list. */
  count: number;
  /** Pixels of one row, and of the part that can be seen. */
  rowHeight: number;
  viewport: number;
}

/** Height of the list in pixels if there were no cap. */
export function virtualHeight({ count, rowHeight }: WindowSize): number {
  return count * rowHeight;
}

/** Height of the element that makes the scroll bar. */
export function spacerHeight(size: WindowSize): number {
  return Math.min(virtualHeight(size), MAX_HEIGHT);
}

/** The largest `virtualTop`. */
export function lastTop(size: WindowSize): number {
  return Math.max(0, virtualHeight(size) - size.viewport);
}

/** Pixels of the list for one pixel of the scroll bar: 1 below the cap. */
export function scaleOf(size: WindowSize): number {
  const scrollable = spacerHeight(size) - size.viewport;
  return scrollable <= 0 ? 1 : Math.max(1, lastTop(size) / scrollable);
}

/** Keeps a `virtualTop` inside the list. */
export function clampTop(top: number, size: WindowSize): number {
  return Math.min(Math.max(0, top), lastTop(size));
}

/** First row in sight (it may be cut off) and the number of rows that are at least partly in sight. */
export function visibleRows(top: number, size: WindowSize): { first: number; count: number } {
  const first = Math.floor(clampTop(top, size) / size.rowHeight);
  const count = Math.min(Math.ceil(size.viewport / size.rowHeight) + 1, size.count - first);
  return { first, count: Math.max(0, count) };
}

/** The `virtualTop` nearest to `top` at which row `index` is in sight as a whole. */
export function topToShow(index: number, top: number, size: WindowSize): number {
  const start = index * size.rowHeight;
  const end = start + size.rowHeight - size.viewport;
  return clampTop(start < top ? start : Math.max(end, top), size);
}
