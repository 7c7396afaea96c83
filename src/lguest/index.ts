/**
 * The hypervisor in lguest's manner: Switcher, host, launcher, and the machine that they run on. Start with virtual-machine.ts; the
 * Switcher's code is in switcher/, what was C in a host kernel in host/, images and devices in launcher/.
 */
export type * from "./api";
export { vectorName } from "./host/events";
export { Hcall, hypercallName } from "./host/hypercalls";
export { type KillReason, killAdvice } from "./host/kill";
export { LauncherFatal, UnusableInput } from "./launcher/errors";
export { openSymbols } from "./launcher/image-symbols";
export { MAX_MEGABYTES, MIN_MEGABYTES } from "./launcher/launcher";
export { NANOSECONDS_PER_INSTRUCTION, TSC_KHZ, VirtualMachine } from "./virtual-machine";
