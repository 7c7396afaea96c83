// The filter language of the trap log: what is typed, what it means, and what is said about a mistake.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { parseFilter, termText, withoutTerms, withTerm } from "../../src/webview/trap-log/filter";

const terms = (text: string): unknown => {
  const parsed = parseFilter(text);
  assert.equal(parsed.mistake, undefined, parsed.mistake?.message);
  return parsed.terms;
};

const mistake = (text: string): { message: string; at: string } => {
  const found = parseFilter(text).mistake;
  assert.ok(found !== undefined, `"${text}" has a mistake`);
  return { message: found.message, at: text.slice(found.start, found.end) };
};

describe("the trap log's filter", () => {
  it("an empty filter has no terms", () => {
    assert.deepEqual(terms("   "), []);
  });

  it("words must all occur, quotes keep words together", () => {
    assert.deepEqual(terms('page "kernel main"'), [
      { key: "text", text: "page" },
      { key: "text", text: "kernel main" },
    ]);
  });

  it("a vector is a number, a mnemonic, a range or a list", () => {
    const vector = (from: number, to = from): object => ({ key: "vector", from, to });
    assert.deepEqual(terms("vector:14"), [vector(14)]);
    assert.deepEqual(terms("vector:0x0E v:#PF vector:pf"), [vector(14), vector(14), vector(14)]);
    assert.deepEqual(terms("vector:32..47 vector:128.."), [vector(32, 47), vector(128, 255)]);
    assert.deepEqual(terms("vector:13,14"), [vector(13), vector(14)]);
  });

  it("a hypercall is a name, a number, or any", () => {
    assert.deepEqual(terms("hypercall:set_pte hypercall:14 call:*"), [
      { key: "hypercall", name: "set_pte" },
      { key: "hypercall", number: 14 },
      { key: "hypercall", name: "*" },
    ]);
  });

  it("worlds, outcomes and kinds may be shortened while they are clear", () => {
    assert.deepEqual(terms("world:u outcome:refl kind:fault outcome:demand"), [
      { key: "world", world: "user" },
      { key: "outcome", outcome: "reflected" },
      { key: "kind", kind: "pageFault" },
      { key: "outcome", outcome: "demand-paged" },
    ]);
  });

  it("two numbers with two dots are instructions, with open ends", () => {
    assert.deepEqual(terms("48_000_000..49_000_000 5.. ..7"), [
      { key: "instruction", from: 48_000_000, to: 49_000_000 },
      { key: "instruction", from: 5, to: Number.MAX_SAFE_INTEGER },
      { key: "instruction", from: 0, to: 7 },
    ]);
  });

  it("addresses are hexadecimal with and without 0x", () => {
    assert.deepEqual(terms("address:C0100000..0xC01FFFFF"), [{ key: "address", from: 0xc0100000, to: 0xc01fffff }]);
  });

  it("a minus or an exclamation mark negates", () => {
    assert.deepEqual(terms("-event:SET_PTE !world:user"), [
      { not: true, key: "event", name: "SET_PTE" },
      { not: true, key: "world", world: "user" },
    ]);
  });

  it("an unknown key is answered with the keys there are", () => {
    const { message, at } = mistake("world:user vectr:14");
    assert.equal(at, "vectr:14");
    assert.match(message, /no "vectr:".*vector, hypercall/);
  });

  it("each mistake says what to write", () => {
    assert.match(mistake("vector:300").message, /0 to 255/);
    assert.match(mistake("vector:page").message, /no number.*#PF/);
    assert.match(mistake("outcome:re").message, /one of demand-paged, reflected/);
    assert.match(mistake("outcome:").message, /comes demand-paged/);
    assert.match(mistake("9..5").message, /empty/);
    assert.match(mistake("address:XYZ").message, /hexadecimal/);
    assert.match(mistake("n:1..2..3").message, /no range/);
  });

  it("terms before a mistake are still understood", () => {
    assert.deepEqual(parseFilter("world:user vectr:14").terms, [{ key: "world", world: "user" }]);
  });

  it("terms can be put in and taken out by key and value", () => {
    assert.equal(withTerm("", "vector:14"), "vector:14");
    assert.equal(withTerm("world:user ", "vector:14"), "world:user vector:14");
    assert.equal(withoutTerms("a event:#PF -event:SET_PTE 5..9", "event"), "a 5..9");
    assert.equal(withoutTerms("event:#PF event:SET_PTE", "event", "set_pte"), "event:#PF");
    assert.equal(withoutTerms("5..9 icount:7 x", "instruction"), "x");
  });

  it("a value with spaces survives the way into the filter and back", () => {
    assert.equal(termText("event", "IRQ 0", true), '-event:"IRQ 0"');
    assert.deepEqual(terms(termText("event", "IRQ 0")), [{ key: "event", name: "IRQ 0" }]);
    assert.equal(withoutTerms('x event:"IRQ 0"', "event", "IRQ 0"), "x");
  });
});
