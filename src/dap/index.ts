// The Debug Adapter Protocol side of the debugger: a session (session.ts), its wire (protocol-connection.ts, message-
// framing.ts), and the types of what the views may ask for (custom-requests.ts, view-messages.ts).

export type * from "./custom-requests";
export { frameMessage, MessageReader } from "./message-framing";
export { Session, type SessionHost } from "./session";
export type * from "./view-messages";
