// C expressions: parse (syntax.ts), evaluate (evaluate.ts) to values (values.ts), and write them (format.ts).
export { baseType, convert, evaluate, fixedWidthType, isTrue, resolveType, type Scope, store } from "./evaluate";
export { addressText, type Form, formatValue, hexText, splitForm } from "./format";
export { changesSomething, type Expression, parseExpression, parseType, type TypeSyntax } from "./syntax";
export * from "./values";
