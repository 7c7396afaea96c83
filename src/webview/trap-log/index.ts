/*
 * Entry of the trap-log bundle: connects to the extension and puts the page into the document. Everything else is in
 * page.ts.
 */

import type { ToView } from "../../dap";
import { connect } from "../page/host";
import { TrapLogPage } from "./page";

type Message = Exclude<ToView, { type: "response" }>;

const early: Message[] = [];
let receive = (message: Message): void => void early.push(message);
const page = new TrapLogPage(connect((message) => receive(message)));
document.body.append(...page.elements);
receive = (message) => page.receive(message);
early.forEach(receive);
