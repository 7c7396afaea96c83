/**
 * Error codes of the host's interface to its launcher, negative as a kernel returns them. A guest never sees one: it gets killed
 * instead (kill.ts).
 */
export const Errno = {
  EPERM: -1,
  ENOENT: -2,
  EIO: -5,
  ENOMEM: -12,
  EFAULT: -14,
  EBUSY: -16,
  EINVAL: -22,
  ERESTART: -85,
  ERESTARTSYS: -512,
} as const;
