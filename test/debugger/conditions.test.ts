// Conditions, hit counts, logpoint texts; and the matching of traps with their filters.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { compileCondition, compileHitCount } from "../../src/debugger/conditions";
import { checkLaunch } from "../../src/debugger/launch-attributes";
import { SourcePaths } from "../../src/debugger/source-paths";
import { TrapBreakpoints, trapNumbers } from "../../src/debugger/trap-breakpoints";
import type { VirtualMachineInterface } from "../../src/lguest";
import { trapEvent } from "./events";

const vm = {} as VirtualMachineInterface;
const noScope = (): never => {
  throw new Error("the condition should have been decided from numbers");
};

describe("conditions", () => {
  it("decide from the trap's numbers alone where they can", () => {
    const event = trapEvent({ vector: 14, cr2: 0xc0400000, errorCode: 2 });
    const numbers = trapNumbers(event);
    const fast = (text: string): boolean | undefined => compileCondition(text)!.fast?.(numbers);
    assert.equal(fast("vector == 14 && cr2 >= 0xc0000000"), true);
    assert.equal(fast("cr2 < 0x1000 || error & 4"), false);
    assert.equal(fast("(eip & 0xfffff000) == 0xc0100000"), true);
    assert.equal(fast("hypercall == LHCALL_SET_PTE"), false);
    assert.equal(fast("!irq"), true);
    assert.equal(fast("$eax == 1"), true);
    assert.equal(fast("counter == 3"), undefined);
  });

  it("know a hypercall's arguments by number", () => {
    const event = trapEvent({
      vector: 31,
      hypercall: { number: 14, name: "SET_PTE", args: [0x1000, 0xc0000000, 0x63], async: false },
    });
    const numbers = trapNumbers(event);
    assert.equal(compileCondition("hypercall == LHCALL_SET_PTE && arg1 == 0x1000")!.fast!(numbers), true);
    assert.equal(compileCondition("arg2 >= 0xc0000000 && is_async == 0")!.fast!(numbers), true);
  });

  it("count hits in every form", () => {
    const hits = (text: string): number[] => [1, 2, 3, 4, 5, 6].filter(compileHitCount(text)!);
    assert.deepEqual(hits("3"), [3]);
    assert.deepEqual(hits("==3"), [3]);
    assert.deepEqual(hits(">= 5"), [5, 6]);
    assert.deepEqual(hits("<3"), [1, 2]);
    assert.deepEqual(hits("%2"), [2, 4, 6]);
    assert.throws(() => compileHitCount("often"), /no hit count/);
    assert.throws(() => compileHitCount("%0"), /no hit count/);
  });
});

describe("trap breakpoints", () => {
  it("stop before a kill by default and at nothing else", () => {
    const traps = new TrapBreakpoints();
    assert.equal(traps.match(trapEvent({ kind: "kill" }), vm, noScope), "kill");
    assert.equal(traps.match(trapEvent({ kind: "direct", vector: 3 }), vm, noScope), undefined);
  });

  it("apply condition, then hit count", () => {
    const traps = new TrapBreakpoints();
    traps.setFilters([{ filter: "hypercall", condition: "arg1 == 5", hitCondition: "2" }]);
    const call = (arg: number) =>
      trapEvent({ vector: 31, hypercall: { number: 8, name: "TS", args: [arg], async: false } });
    assert.deepEqual(
      [5, 4, 5, 5].map((arg) => traps.match(call(arg), vm, noScope)),
      [undefined, undefined, "hypercall", undefined],
    );
  });

  it("tell a hypercall in the ring, an interrupt and an exit apart", () => {
    const traps = new TrapBreakpoints();
    const ring = trapEvent({
      kind: "async",
      vector: 31,
      hypercall: { number: 14, name: "SET_PTE", args: [1, 2, 3], async: true },
    });
    traps.setFilters([{ filter: "exit" }]);
    assert.equal(traps.match(ring, vm, noScope), undefined);
    assert.equal(traps.match(trapEvent({ vector: 48 }), vm, noScope), "exit");
    traps.setFilters([{ filter: "hypercall" }]);
    assert.equal(traps.match(ring, vm, noScope), "hypercall");
    traps.setFilters([{ filter: "interrupt" }]);
    assert.equal(traps.match(trapEvent({ kind: "interrupt", vector: 32, irq: 0 }), vm, noScope), "interrupt");
  });

  it("take names from launch.json", () => {
    const traps = new TrapBreakpoints();
    for (const what of [14, "#GP", "int 0x80", "SET_PTE", "LHCALL_TS", "exit"]) traps.setByName(what);
    assert.deepEqual(traps.sets.vectors, [13, 14, 128]);
    assert.deepEqual(
      traps.sets.hypercalls.map(({ name }) => name),
      ["TS", "SET_PTE"],
    );
    assert.throws(() => traps.setByName("nonsense"), /no vector .*hypercall.*filter/);
  });
});

describe("launch attributes", () => {
  it("have defaults for everything but the program", () => {
    const plan = checkLaunch({ program: "/k.elf", type: "ring1", name: "x", request: "launch", __sessionId: "1" });
    assert.equal(plan.memoryMegabytes, 64);
    assert.equal(plan.abi, "2.6.32");
    assert.equal(plan.stepThrough, "guest");
    assert.equal(plan.maxInstructions, Number.POSITIVE_INFINITY);
  });

  it("read sizes and disks as people write them", () => {
    assert.equal(checkLaunch({ program: "k", memory: "65536K" }).memoryMegabytes, 64);
    assert.equal(checkLaunch({ program: "k", memory: 128 }).memoryMegabytes, 128);
    assert.deepEqual(checkLaunch({ program: "k", disks: ["a.img", "b.img,ro", { path: "c", readOnly: true }] }).disks, [
      { path: "a.img", isReadOnly: false },
      { path: "b.img", isReadOnly: true },
      { path: "c", isReadOnly: true },
    ]);
  });
});

describe("source paths", () => {
  const oracle = (...paths: string[]) => ({ exists: (path: string) => paths.includes(path) });

  it("follow the longest prefix of sourceMap, both ways", () => {
    const paths = new SourcePaths(
      "/w/k.elf",
      { "/build": "/home/me", "/build/lib": "/opt/lib" },
      oracle("/opt/lib/a.c", "/home/me/b.c"),
    );
    assert.equal(paths.local("/build/lib/a.c"), "/opt/lib/a.c");
    assert.equal(paths.local("/build/b.c"), "/home/me/b.c");
    assert.equal(paths.original("/opt/lib/a.c"), "/build/lib/a.c");
    assert.equal(paths.original("/opt/lib/never-seen.c"), "/build/lib/never-seen.c");
  });

  it("find a tree that was moved by its last parts, beside and above the program", () => {
    const paths = new SourcePaths(
      "/here/guests/hello/hello.elf",
      {},
      oracle("/here/guests/hello/main.c", "/here/guests/lib/start.S"),
    );
    assert.equal(paths.local("/elsewhere/guests/hello/main.c"), "/here/guests/hello/main.c");
    assert.equal(paths.local("/elsewhere/guests/lib/start.S"), "/here/guests/lib/start.S");
    assert.equal(paths.local("/elsewhere/unknown.c"), "/elsewhere/unknown.c");
  });
});
