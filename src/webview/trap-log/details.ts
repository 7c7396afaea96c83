/*
 * The pane beside the table: everything about the selected entry. What it was in a sentence, arguments with their
 * units, the error code taken apart, registers then, and links to the source, the table entry and the translation
 * concerned.
 *
 * What the row says is shown at once, the rest when the adapter has answered.
 */

import { durationText, groupDigits, hex } from "../../base";
import type { BitField, TrapArgument, TrapDetailsResponse, TrapRow } from "../../dap";
import { button, h, replaceChildren } from "../page/dom";
import type { Host } from "../page/host";
import { eventText, sourceText, symbolText, WORLD_WORDS } from "./row-text";

export interface DetailsEvents {
  onClose(): void;
  /** Another entry is wanted. */
  onGo(sequence: number): void;
}

export class Details {
  readonly element = h("aside", { class: "details", "aria-label": "Details of the entry", hidden: true });
  private row: TrapRow | undefined;

  constructor(
    private readonly host: Host,
    private readonly events: DetailsEvents,
  ) {}

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  close(): void {
    this.element.hidden = true;
    this.row = undefined;
  }

  /** Shows an entry: at once what the row says, and the rest when it comes. */
  async show(row: TrapRow): Promise<void> {
    this.element.hidden = false;
    if (this.row?.n === row.n) {
      return;
    }
    this.row = row;
    this.draw(row, undefined);
    try {
      const details = await this.host.request("ring1/trapDetails", { n: row.n });
      if (this.row?.n === row.n) {
        this.draw(details.row, details);
      }
    } catch (error) {
      if (this.row?.n === row.n) {
        this.element.append(h("p", { class: "error" }, error instanceof Error ? error.message : String(error)));
      }
    }
  }

  private draw(row: TrapRow, details: TrapDetailsResponse | undefined): void {
    const close = button({ icon: "close", title: "Close the details (Escape)", class: "quiet" }, () =>
      this.events.onClose(),
    );
    replaceChildren(
      this.element,
      h("header", {}, h("h2", { "data-kind": row.kind }, eventText(row)), close),
      details?.why ? h("p", { class: "why" }, details.why) : undefined,
      h("div", { class: "links" }, ...this.links(row, details)),
      factsOf(row),
      details && argumentsTable(details.arguments),
      details?.errorBits && bitsTable(`Error code ${hex(row.error ?? 0, 4)}`, details.errorBits),
      details && registersTable(details.registers),
      details?.related && this.relatedList(details.related),
    );
  }

  private links(row: TrapRow, details: TrapDetailsResponse | undefined): HTMLElement[] {
    const link = (text: string, title: string, run: () => void): HTMLElement =>
      h("button", { type: "button", class: "link", title, onclick: run }, text);
    const { host } = this;
    const links = [];
    if (row.at.path !== undefined) {
      links.push(
        link(sourceText(row.at), "Go to the source line (Enter)", () =>
          host.command("ring1.trapLog.goToSource", { n: row.n }),
        ),
      );
    }
    links.push(
      link("Disassembly", "Open the instructions there", () =>
        host.command("ring1.trapLog.openDisassembly", { n: row.n }),
      ),
    );
    if (details?.linear !== undefined) {
      const { linear } = details;
      links.push(
        link(`Translate ${hex(linear)}`, "Show the walk in Page Tables", () =>
          host.command("ring1.walkAddress", linear),
        ),
      );
    }
    if (details?.idtVector !== undefined) {
      links.push(
        link(`IDT ${hex(details.idtVector, 2)}`, "Open the IDT as a table", () => host.command("ring1.openIdtTable")),
      );
    }
    if (details?.gdtIndex !== undefined) {
      links.push(link(`GDT ${details.gdtIndex}`, "Open the GDT as a table", () => host.command("ring1.openGdtTable")));
    }
    links.push(
      link("Break on this kind", "Stop when this happens again", () =>
        host.command("ring1.trapLog.breakOnKind", { n: row.n }),
      ),
      link("Copy as JSON", "Copy the entry (Ctrl+C)", () => host.command("ring1.trapLog.copyJson", { n: row.n })),
    );
    return links;
  }

  private relatedList(related: NonNullable<TrapDetailsResponse["related"]>): HTMLElement {
    const items = related.map(({ n, why }) =>
      h(
        "li",
        {},
        h("button", { type: "button", class: "link", onclick: () => this.events.onGo(n) }, `#${groupDigits(n)}`),
        ` ${why}`,
      ),
    );
    return h("section", {}, h("h3", {}, "Belongs to"), h("ul", {}, ...items));
  }
}

function factsOf(row: TrapRow): HTMLElement {
  const facts: [string, string][] = [
    ["entry", `#${groupDigits(row.n)}`],
    ["instruction", groupDigits(row.instructionCount)],
    ["world", `${WORLD_WORDS[row.world]}, ring ${row.cpl}`],
    ["vector", `${row.vector} (${hex(row.vector, 2)})`],
    ["where", `${hex(row.at.address)} ${row.at.symbol === undefined ? "" : symbolText(row.at)}`],
    ...(row.cr2 === undefined ? [] : [["CR2", hex(row.cr2)] as [string, string]]),
    ["outcome", row.outcome ?? "none yet"],
    ["cost", row.cost === null ? "not known yet" : `${groupDigits(row.cost)} instructions until the guest ran again`],
  ];
  return h("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function argumentsTable(list: TrapArgument[]): HTMLElement | undefined {
  return list.length === 0
    ? undefined
    : section(
        "Arguments",
        list.map(({ name, value, format, location, meaning }) => [
          name,
          valueText(value, format),
          [location === undefined ? "" : `${symbolText(location)} ${sourceText(location)}`.trim(), meaning ?? ""]
            .filter((text) => text !== "")
            .join(", "),
        ]),
      );
}

/** A value with its unit. */
export function valueText(value: number, format: TrapArgument["format"]): string {
  switch (format) {
    case "decimal":
      return groupDigits(value);
    case "nanoseconds":
      return durationText(value);
    case "pages":
      return `${groupDigits(value)} ${value === 1 ? "page" : "pages"}`;
    case "selector":
      return hex(value, 4);
    case "guestPhysical":
      return `${hex(value)} physical`;
    default:
      return hex(value);
  }
}

function bitsTable(title: string, bits: BitField[]): HTMLElement {
  return section(
    title,
    bits.map(({ name, value, meaning }) => [name, String(value), meaning ?? ""]),
  );
}

function registersTable(registers: { name: string; value: number }[]): HTMLElement | undefined {
  if (registers.length === 0) {
    return undefined;
  }
  const cells = registers.map(({ name, value }) =>
    h("span", { class: "register" }, h("span", { class: "name" }, name), ` ${hex(value)}`),
  );
  return h("section", {}, h("h3", {}, "Registers then"), h("div", { class: "registers" }, ...cells));
}

function section(title: string, rows: [string, string, string][]): HTMLElement {
  const lines = rows.map(([name, value, meaning]) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "value" }, value), h("td", {}, meaning)),
  );
  return h("section", {}, h("h3", {}, title), h("table", {}, h("tbody", {}, ...lines)));
}
