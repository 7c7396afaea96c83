// C expressions: parse (syntax.ts), evaluate (evaluate.ts) to values (values.ts), and show (format.ts, children.ts).
export { type Child, childrenOf, countChildren } from "./children";
export { baseType, convert, evaluate, findMember, isTrue, resolveType, type Scope } from "./evaluate";
export { addressText, type Form, type FormatContext, formatValue, hexText, splitForm, typeText } from "./format";
export { type Expression, parseExpression, parseType, type TypeSyntax } from "./syntax";
export * from "./values";
