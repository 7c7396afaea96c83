/*
 * What is inside a value, for a tree: members of a structure, elements of an array (in pages of a hundred when there are
 * many), what a pointer points at.
 *
 * Each child has an expression that names it again (`evaluateName`), so that it can be watched and set.
 */
import { type Member, sizeOf, stripped, type Type } from "../../dwarf";
import * as v from "./values";
import type { Value, ValueMemory } from "./values";

export interface Child {
  readonly name: string;
  readonly value: Value;
  readonly evaluateName?: string;
}

/** How many children there are: named ones (members) and indexed ones (elements). */
export function countChildren(value: Value): { named: number; indexed: number } {
  if (value.place.kind === "absent") return { named: 0, indexed: 0 };
  const type = stripped(value.type);
  if (type.kind === "struct") return { named: type.members.length, indexed: 0 };
  if (type.kind === "array") return { named: 0, indexed: type.count ?? 0 };
  if (type.kind === "pointer" && isWorthOpening(type.target)) return { named: 1, indexed: 0 };
  return { named: 0, indexed: 0 };
}

/** Children from `start`, at most `count`. */
export function childrenOf(value: Value, memory: ValueMemory, expression: string | undefined, start = 0, count = Number.POSITIVE_INFINITY): Child[] {
  const type = stripped(value.type);
  const outer = expression === undefined ? undefined : simpleName(expression);
  if (type.kind === "struct") return members(value, type.members, memory, outer).slice(start, start + count);
  if (type.kind === "array") {
    const size = type.stride ?? sizeOf(type.element) ?? 1;
    const end = Math.min(type.count ?? 0, start + count);
    const children: Child[] = [];
    for (let i = start; i < end; i++) {
      const place =
        value.place.kind === "memory"
          ? { ...value.place, address: (value.place.address + i * size) >>> 0 }
          : { kind: "none" as const, bytes: v.bytesOf(value, memory).subarray(i * size) };
      const index = i + type.lowerBound;
      children.push({ name: `[${index}]`, value: { type: type.element, place }, evaluateName: outer && `${outer}[${index}]` });
    }
    return children;
  }
  if (type.kind === "pointer") {
    const address = Number(BigInt.asUintN(32, v.integerOf(value, memory)));
    const target = v.inMemory(type.target, address);
    // A pointer to a structure opens to the members at once: the level between tells nothing.
    const inner = stripped(type.target);
    if (inner.kind === "struct") return members(target, inner.members, memory, outer && `(*${outer})`).slice(start, start + count);
    return [{ name: `*${expression ?? ""}`, value: target, evaluateName: outer && `*${outer}` }];
  }
  return [];
}

function members(value: Value, list: readonly Member[], memory: ValueMemory, outer: string | undefined): Child[] {
  return list.map((member) => {
    const inner = v.memberOf(value, member, memory);
    if (member.name === undefined) return { name: "(anonymous)", value: inner, evaluateName: outer };
    const plain = outer?.startsWith("(*") ? `${outer.slice(2, -1)}->${member.name}` : outer && `${outer}.${member.name}`;
    return { name: member.name, value: inner, evaluateName: plain };
  });
}

function isWorthOpening(target: Type): boolean {
  const kind = stripped(target).kind;
  return kind !== "void" && kind !== "function" && kind !== "unknown";
}

/** Parentheses around what would otherwise bind differently. */
function simpleName(expression: string): string {
  return /^[\w$.[\]]+$|^[\w$]+(?:(?:->|\.)\w+|\[\w+\])*$|^\(.*\)$/.test(expression) ? expression : `(${expression})`;
}
