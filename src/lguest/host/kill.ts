/**
 * How a guest dies: the host writes a reason once, the first one wins, and the main loop notices. A hostile or broken guest gets
 * this and nothing else; there are no error returns to a guest. All texts are in lguest's words (kill-texts below).
 */

/** `text` is what lguest's launcher would print; a restart is a death with a special code there, and here too. */
export type KillReason =
  | { readonly kind: "killed"; readonly text: string }
  | { readonly kind: "powered-off"; readonly text: string; readonly message: string }
  | { readonly kind: "restart"; readonly message: string };
