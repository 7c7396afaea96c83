/**
 * Writing WebAssembly modules byte by byte. Knows nothing of processors.
 */
export { ByteWriter } from "./byte-writer";
export { type FunctionType, ModuleWriter } from "./module-writer";
export { EMPTY_BLOCK, Op } from "./opcodes";
