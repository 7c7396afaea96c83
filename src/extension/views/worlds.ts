/*
 * The four worlds in words and colours, once for all views: ring 3, ring 1, the Switcher in ring 0, the host. The
 * colour is never alone: the word or the icon says it too. The colours themselves are contributed in package.json.
 *
 * The trap log's page has its own short words for the same worlds (row-text.ts there).
 */

import type { World } from "../../dap";

interface WorldText {
  /** What it is called in a sentence. */
  name: string;
  /** Theme colour. */
  color: string;
  /** Codicon. */
  icon: string;
}

export const WORLDS: Readonly<Record<World, WorldText>> = {
  user: { name: "guest user", color: "ring1.user", icon: "account" },
  guest: { name: "guest kernel", color: "ring1.guest", icon: "vm" },
  switcher: { name: "Switcher", color: "ring1.switcher", icon: "arrow-swap" },
  host: { name: "host", color: "ring1.host", icon: "server-environment" },
};

/** `guest kernel · ring 1`. */
export function worldText(world: World, ring: number): string {
  return world === "host" ? WORLDS[world].name : `${WORLDS[world].name} · ring ${ring}`;
}
