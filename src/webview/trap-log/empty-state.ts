/*
 * What the page says when there is no row to show: what the panel is for and the way to a sample when no guest runs,
 * that nothing has happened yet, or that the filter matches nothing and how to lift it.
 *
 * Each state has one primary action at most.
 */

import { h } from "../page/dom";
import type { Host } from "../page/host";

export type EmptyReason = "no guest" | "no entries" | "no match";

/** Elements for a reason; none when there are rows. */
export function emptyState(reason: EmptyReason | undefined, host: Host, clearFilter: () => void): HTMLElement[] {
  switch (reason) {
    case "no guest":
      return [
        h("h2", {}, "No guest is running"),
        h(
          "p",
          {},
          "The trap log shows what goes on between a guest kernel and the machine: page faults, hypercalls, system calls and interrupts, each with the source line it came from, what the host did with it, and what it cost.",
        ),
        h(
          "p",
          { class: "actions" },
          h(
            "button",
            { type: "button", class: "primary", onclick: () => host.command("ring1.runSample") },
            "Run Sample Guest",
          ),
          h(
            "button",
            { type: "button", class: "link", onclick: () => host.command("ring1.newGuestKernel") },
            "New guest kernel",
          ),
          h(
            "button",
            { type: "button", class: "link", onclick: () => host.command("ring1.openDocumentation") },
            "Documentation",
          ),
        ),
      ];
    case "no entries":
      return [h("p", {}, "Nothing has happened between the guest and the machine yet.")];
    case "no match":
      return [
        h("p", {}, "No entry matches the filter."),
        h(
          "p",
          { class: "actions" },
          h("button", { type: "button", class: "link", onclick: clearFilter }, "Clear the filter"),
        ),
      ];
    default:
      return [];
  }
}
