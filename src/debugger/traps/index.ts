// The trap log: ring (trap-log.ts), filters (trap-filter.ts), pages and figures (trap-queries.ts), words (trap-
// kinds.ts).
export { compileFilter, type PlaceNames, parseFilter, type TrapFilterTerm } from "./trap-filter";
export * from "./trap-kinds";
export { kindOf, REGISTER_NAMES, type TrapEntry, TrapLog } from "./trap-log";
export { type TrapCount, type TrapHistogram, type TrapPage, TrapQueries, type TrapQuery } from "./trap-queries";
