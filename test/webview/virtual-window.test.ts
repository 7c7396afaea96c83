// Which rows of a long list are in sight, with and without the cap on an element's height.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import {
  clampTop,
  lastTop,
  MAX_HEIGHT,
  scaleOf,
  spacerHeight,
  topToShow,
  visibleRows,
} from "../../src/webview/trap-log/virtual-window";

const size = (count: number) => ({ count, rowHeight: 22, viewport: 220 });

describe("the window on a long list", () => {
  it("a short list scrolls pixel by pixel", () => {
    assert.equal(scaleOf(size(1000)), 1);
    assert.equal(spacerHeight(size(1000)), 22_000);
    assert.deepEqual(visibleRows(0, size(1000)), { first: 0, count: 11 });
    assert.deepEqual(visibleRows(33, size(1000)), { first: 1, count: 11 });
  });

  it("a list that fits does not scroll", () => {
    assert.equal(lastTop(size(5)), 0);
    assert.deepEqual(visibleRows(100, size(5)), { first: 0, count: 5 });
    assert.deepEqual(visibleRows(0, size(0)), { first: 0, count: 0 });
  });

  it("three million rows stay under the cap, and both ends can be reached", () => {
    const long = size(3_000_000);
    assert.equal(spacerHeight(long), MAX_HEIGHT);
    const lastScroll = MAX_HEIGHT - long.viewport;
    assert.ok(Math.abs(lastScroll * scaleOf(long) - lastTop(long)) < 1e-3);
    const { first, count } = visibleRows(lastTop(long), long);
    assert.equal(first + count, 3_000_000);
  });

  it("a row comes into sight by the shortest way", () => {
    assert.equal(topToShow(0, 500, size(1000)), 0);
    assert.equal(topToShow(100, 0, size(1000)), 101 * 22 - 220);
    assert.equal(topToShow(5, 22, size(1000)), 22);
    assert.equal(topToShow(999, 0, size(1000)), lastTop(size(1000)));
  });

  it("a place outside the list is the nearest one inside", () => {
    assert.equal(clampTop(-5, size(1000)), 0);
    assert.equal(clampTop(1e9, size(1000)), lastTop(size(1000)));
  });
});
