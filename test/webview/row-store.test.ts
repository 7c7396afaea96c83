// The rows a page holds of a long log: fetched by page when in sight, bounded in number, right while the log grows.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import type { TrapLogArguments } from "../../src/dap";
import { RowStore } from "../../src/webview/trap-log/row-store";
import { FakeTrapLog } from "../extension/fake-trap-log";

function storeOn(length: number) {
  const log = new FakeTrapLog(length);
  const asked: TrapLogArguments[] = [];
  const errors: string[] = [];
  const store = new RowStore(
    async (args) => {
      asked.push(args);
      return log.answer(args);
    },
    () => {},
    (error) => errors.push(error.message),
  );
  /** Lets everything that was asked be answered. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
    }
  };
  return { log, asked, errors, store, settle };
}

describe("the rows a page holds", () => {
  it("asks for the page in sight, and only once", async () => {
    const { store, asked, settle } = storeOn(1_000_000);
    await store.poll({ first: 0, count: 0 });
    store.show(500_000, 20);
    await settle();
    store.show(500_005, 20);
    await settle();
    assert.equal(store.rowAt(500_010)?.n, 500_010);
    assert.equal(asked.length, 2);
    assert.deepEqual(asked[1], { start: 500_000, count: 200 });
  });

  it("following asks for the last rows", async () => {
    const { store } = storeOn(1000);
    await store.poll({ last: 10 });
    assert.equal(store.rowAt(1000)?.n, 1000);
    assert.equal(store.rowAt(990), undefined);
    assert.equal(store.figures.matching, 1000);
  });

  it("rows that come later are fetched although their page was asked for before", async () => {
    const { store, log, settle } = storeOn(150);
    await store.poll({ last: 10 });
    store.show(100, 40);
    await settle();
    assert.equal(store.rowAt(149)?.n, 149);
    log.length = 190;
    await store.poll({ first: 0, count: 0 });
    store.show(150, 40);
    await settle();
    assert.equal(store.rowAt(189)?.n, 189);
  });

  it("holds a bounded number of pages", async () => {
    const { store, settle } = storeOn(1_000_000);
    await store.poll({ first: 0, count: 0 });
    for (let first = 1; first < 100_000; first += 1000) {
      store.show(first, 20);
      await settle();
    }
    assert.ok(store.heldPages <= 60, `${store.heldPages} pages`);
    assert.equal(store.rowAt(99_001)?.n, 99_001);
  });

  it("an answer to a filter that was given up is not shown", async () => {
    const { store } = storeOn(1000);
    const late = store.poll({ last: 10 });
    store.reset([{ key: "world", world: "user" }]);
    await late;
    assert.equal(store.figures.matching, 0);
    await store.poll({ last: 5 });
    assert.equal(store.rowAt(store.figures.firstOrdinal + store.figures.matching - 1)?.world, "user");
  });

  it("an error is told and does not stop what follows", async () => {
    let fails = true;
    const errors: string[] = [];
    const log = new FakeTrapLog(10);
    const store = new RowStore(
      async (args) => {
        if (fails) {
          throw new Error("The guest has ended.");
        }
        return log.answer(args);
      },
      () => {},
      (error) => errors.push(error.message),
    );
    await store.poll({ last: 5 });
    fails = false;
    await store.poll({ last: 5 });
    assert.deepEqual(errors, ["The guest has ended."]);
    assert.equal(store.figures.total, 10);
  });
});
