/**
 * The assembler: assembler.ts has the instructions, operands.ts the names of registers and memory.
 */
export { type AssembledCode, type AssembledLine, Assembler, type Condition } from "./assembler";
export * from "./operands";
