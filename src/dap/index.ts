// The Debug Adapter Protocol side of the debugger: what the views may ask for.

export type * from "./custom-requests";
export type * from "./view-messages";
