/**
 * All helpers, for the instruction rows and the engines. Argument order is in each helper's comment.
 * Start with helper.ts (what a helper is), then segmentation.ts, transfer.ts, interrupts.ts.
 */
export * from "./far-transfer";
export { type Helper, helper } from "./helper";
export { deliverException, deliverInterrupt, InterruptKind, interruptReturn, softwareInterrupt } from "./interrupts";
export {
  checkSegment,
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
