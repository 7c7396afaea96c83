// Types spelled as C spells them.
//
// The name grows from the inside out, so that `pointer to array of 3 int` comes out as
// `int (*)[3]`, and a declaration is the same spelling around a name. C11, section 6.7.7.

import { type BaseEncoding, BaseType, type QualifiedType, type StructType, sizeOf, type Type } from "./types";

const MAX_DEPTH = 32;
const MAX_STEPS = 300;
const MARKS = { pointer: "*", reference: "&", "rvalue-reference": "&&", "member-pointer": "::*" } as const;

/** `char *[4]`, `int (*)(void)`, `const struct page *`. */
export function typeName(type: Type): string {
  return new Speller().spell(type, "", 0);
}

/** A declaration of `name`: `int (*handler)(struct registers *)`. */
export function declarationOf(type: Type, name: string): string {
  return new Speller().spell(type, name, 0);
}

/** One spelling; the steps are counted because types may refer to each other in circles, and fan out on the way. */
class Speller {
  private left = MAX_STEPS;

  spell(type: Type, inner: string, depth: number): string {
    if (depth > MAX_DEPTH || --this.left < 0) return joined("...", inner);
    switch (type.kind) {
      case "base":
      case "typedef":
      case "void":
        return joined(type.name, inner);
      case "unknown":
        return joined(type.name ?? "<unknown type>", inner);
      case "struct":
      case "enum": {
        const keyword = type.kind === "struct" ? type.keyword : "enum";
        return joined(type.name === undefined ? `${keyword} {...}` : `${keyword} ${type.name}`, inner);
      }
      case "pointer": {
        if (type.name !== undefined) return joined(type.name, inner);
        const mark = MARKS[type.flavour];
        const { target } = type;
        const needsParentheses = target.kind === "array" || target.kind === "function";
        return this.spell(target, needsParentheses ? `(${mark}${inner})` : `${mark}${inner}`, depth + 1);
      }
      case "qualified":
        return this.spellQualified(type, inner, depth);
      case "array": {
        const bound = type.count ?? "";
        return this.spell(type.element, `${inner}[${bound}]`, depth + 1);
      }
      case "function": {
        const parameters = type.parameters.map((p) => this.spell(p, "", depth + 1));
        if (type.isVariadic) parameters.push("...");
        const list = parameters.length > 0 ? parameters.join(", ") : type.isPrototyped ? "void" : "";
        return this.spell(type.returnType, `${inner}(${list})`, depth + 1);
      }
    }
  }

  /** Qualifiers of a pointer stand behind its star, those of any other type in front of it. */
  private spellQualified(type: QualifiedType, inner: string, depth: number): string {
    const qualifiers = new Set<string>();
    let target: Type = type;
    for (let i = 0; i < MAX_DEPTH && target.kind === "qualified"; i++) {
      if (target.qualifier !== "") qualifiers.add(target.qualifier);
      target = target.target;
    }
    if (target.kind === "qualified") return joined("...", inner);
    const list = [...qualifiers].sort().join(" ");
    if (list === "") return this.spell(target, inner, depth + 1);
    if (target.kind === "pointer" && target.name === undefined) {
      const behindStar = inner === "" || inner.startsWith("*") ? ` ${list}${inner}` : ` ${list} ${inner}`;
      return this.spell(target, behindStar, depth + 1);
    }
    return `${list} ${this.spell(target, inner, depth + 1)}`;
  }
}

function joined(name: string, inner: string): string {
  if (inner === "") return name;
  return `${name} ${inner}`;
}

/** A structure as its definition reads, with offsets: for hovers and for `ptype`. */
export function structDefinition(type: StructType): string {
  const lines = type.members.map((m) => {
    const width = m.bitSize === undefined ? "" : ` : ${m.bitSize}`;
    const place = `/* ${m.byteOffset}${m.bitSize === undefined ? "" : `:${m.bitOffset}`}, ${sizeOf(m.type) ?? "?"} */`;
    return `  ${declarationOf(m.type, m.name ?? "")}${width};  ${place}`;
  });
  const head = type.name === undefined ? type.keyword : `${type.keyword} ${type.name}`;
  return `${head} {\n${lines.join("\n")}${lines.length > 0 ? "\n" : ""}}`;
}

/** The base types of C on the i386, by their shortest spelling: size, and whether signed. */
const BUILT_IN: Readonly<Record<string, readonly [number, BaseEncoding, boolean]>> = {
  char: [1, "char", true],
  "signed char": [1, "char", true],
  "unsigned char": [1, "char", false],
  short: [2, "signed", true],
  "unsigned short": [2, "unsigned", false],
  int: [4, "signed", true],
  "unsigned int": [4, "unsigned", false],
  long: [4, "signed", true],
  "unsigned long": [4, "unsigned", false],
  "long long": [8, "signed", true],
  "unsigned long long": [8, "unsigned", false],
  float: [4, "float", true],
  double: [8, "float", true],
  "long double": [12, "float", true],
  _Bool: [1, "boolean", false],
  bool: [1, "boolean", false],
};

/** Brings a base type's words into one order: `long unsigned int`, `unsigned long int` and `unsigned long` are one type. */
function canonicalBaseName(name: string): string {
  const words = name.trim().split(/\s+/);
  const known = new Set(["signed", "unsigned", "short", "long", "int", "char", "double", "float"]);
  if (!words.every((w) => known.has(w))) return words.join(" ");
  const count = (word: string) => words.filter((w) => w === word).length;
  const core = count("char") ? "char" : count("double") ? "double" : count("float") ? "float" : "";
  const size = count("short")
    ? "short"
    : Array(Math.min(2, count("long")))
        .fill("long")
        .join(" ");
  const sign = count("unsigned") ? "unsigned" : core === "char" && count("signed") ? "signed" : "";
  const parts = [sign, size, core].filter((p) => p !== "");
  return size === "" && core === "" ? [...parts, "int"].join(" ") : parts.join(" ");
}

/** The spellings that compilers use for a base type; the name itself first. */
export function baseTypeSpellings(name: string): readonly string[] {
  const canonical = canonicalBaseName(name);
  const unsigned = canonical.startsWith("unsigned ") ? "unsigned " : "";
  const rest = canonical.slice(unsigned.length);
  const isInteger = rest === "short" || rest === "long" || rest === "long long";
  return [...new Set([name.trim(), canonical, ...(isInteger ? [`${rest} ${unsigned}int`, `${canonical} int`] : [])])];
}

/** A base type of C that a program need not use to be known. */
export function builtInType(name: string): BaseType | undefined {
  const canonical = canonicalBaseName(name);
  const known = Object.hasOwn(BUILT_IN, canonical) ? BUILT_IN[canonical] : undefined;
  return known && new BaseType(canonical, ...known);
}
