/**
 * All helpers, for the instruction rows and the engines. Argument order is in each helper's comment.
 * Start with helper.ts (what a helper is), then segmentation.ts, transfer.ts, interrupts.ts.
 */
export * from "./control";
export { cpuid } from "./cpuid";
export * from "./far-transfer";
export { type Helper, helper } from "./helper";
export { deliverException, deliverInterrupt, InterruptKind, interruptReturn, softwareInterrupt } from "./interrupts";
export {
  Msr,
  readMsr,
  readPerformanceCounter,
  readTimeStamp,
  sysenter,
  sysexit,
  writeMsr,
} from "./model-specific";
export { checkPort, checkPortAccess, readPort, writePort } from "./ports";
export {
  isLarValid,
  isLslValid,
  larValue,
  linearForAccess,
  loadDescriptorTable,
  loadLdt,
  loadSegment,
  loadSegmentOfPointer,
  loadTask,
  lslValue,
  requirePrivilege,
  requireProtectedMode,
  storeDescriptorTable,
  verifyRead,
  verifyWrite,
} from "./segmentation";
export { BULK_WORTH_IT, bulkString, ELEMENTS_PER_INSTRUCTION, StringKind } from "./strings";
