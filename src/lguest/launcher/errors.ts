/**
 * Two kinds of wrong that the launcher meets: an image or option that cannot be used (the user's, before anything runs), and a guest
 * that breaks the rules of a device (fatal for the launcher, as in lguest, so it ends the machine with a reason).
 */

/** Something given by the user cannot be used. The message is a sentence that says what was expected, what was found, what to do. */
export class UnusableInput extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnusableInput";
  }
}

/** The guest broke a device's rules; the text is what lguest's launcher prints. */
export class LauncherFatal extends Error {
  constructor(message: string) {
    super(message);
    this.name = "LauncherFatal";
  }
}
