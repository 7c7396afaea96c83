/*
 * The GDT or the IDT as a table in an editor: what the guest wrote, what the CPU has, and why they differ. Headers
 * sort, boxes narrow, an address leads to its source. The table is read anew at each stop.
 */

import type { GdtRow, IdtRow, ToView, ViewSession } from "../../dap";
import { h, icon, replaceChildren } from "../page/dom";
import { connect } from "../page/host";
import { type Column, GDT_COLUMNS, IDT_COLUMNS, isEmptyGdt, sortRows } from "./columns";

interface Table<Row> {
  columns: readonly Column<Row>[];
  rows: Row[];
  isDifferent(row: Row): boolean;
  isPresent(row: Row): boolean;
}

interface KeptState {
  sort?: string;
  descending?: boolean;
  onlyDifferences?: boolean;
  onlyPresent?: boolean;
}

const host = connect(receive);
const kind = document.body.dataset["table"] === "idt" ? "idt" : "gdt";
const state: Required<KeptState> = {
  sort: kind === "gdt" ? "index" : "vector",
  descending: false,
  onlyDifferences: false,
  onlyPresent: true,
  ...((host.kept() ?? {}) as KeptState),
};
const status = h("p", { class: "status", role: "status" });
const main = h("div", { class: "table" });
let table: Table<never> | undefined;

document.body.append(
  h(
    "div",
    { class: "tools" },
    choice("onlyDifferences", "Only differences"),
    choice("onlyPresent", kind === "gdt" ? "Only entries that are set" : "Only vectors that are handled or fired"),
    status,
  ),
  main,
);

function choice(key: "onlyDifferences" | "onlyPresent", text: string): HTMLElement {
  const box = h("input", { type: "checkbox" });
  box.checked = state[key];
  box.addEventListener("change", () => {
    state[key] = box.checked;
    draw();
  });
  return h("label", {}, box, text);
}

function receive(message: Exclude<ToView, { type: "response" }>): void {
  if (message.type === "session") {
    void read(message.session);
  }
}

async function read(session: ViewSession | null): Promise<void> {
  document.body.classList.toggle("is-old", session?.state === "running");
  if (session === null) {
    table = undefined;
    replaceChildren(main);
    status.textContent = "No guest is running.";
    return;
  }
  if (session.state === "running" && table !== undefined) {
    status.textContent = "The guest runs; this is its state at the last stop.";
    return;
  }
  try {
    table = (await (kind === "gdt" ? readGdt() : readIdt())) as unknown as Table<never>;
    status.textContent = session.state === "ended" ? (session.reason ?? "The guest has ended.") : "";
    draw();
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
  }
}

async function readGdt(): Promise<Table<GdtRow>> {
  const { entries } = await host.request("ring1/gdt", undefined);
  return {
    columns: GDT_COLUMNS,
    rows: entries,
    isDifferent: (row) => row.state !== "same" && !isEmptyGdt(row),
    isPresent: (row) => !isEmptyGdt(row),
  };
}

async function readIdt(): Promise<Table<IdtRow>> {
  const { entries } = await host.request("ring1/idt", undefined);
  return {
    columns: IDT_COLUMNS,
    rows: entries,
    isDifferent: (row) => row.guest?.present === true && row.delivery !== "direct",
    isPresent: (row) => row.guest?.present === true || row.count > 0 || row.breaks,
  };
}

function draw(): void {
  host.keep(state);
  if (table === undefined) {
    return;
  }
  const { columns, rows, isDifferent, isPresent } = table;
  const shown = rows.filter(
    (row) => !(state.onlyDifferences && !isDifferent(row)) && !(state.onlyPresent && !isPresent(row)),
  );
  const column = columns.find(({ id }) => id === state.sort) ?? columns[0]!;
  const sorted = sortRows(shown, column, state.descending);
  replaceChildren(
    main,
    h(
      "table",
      { "aria-label": kind.toUpperCase(), "aria-rowcount": shown.length + 2 },
      h("thead", {}, sidesRow(columns), h("tr", {}, ...columns.map((each) => header(each)))),
      h("tbody", {}, ...sorted.flatMap((row) => bodyRows(columns, row))),
    ),
    sorted.length === 0 && h("p", { class: "none" }, "Nothing to show with these choices."),
  );
}

/** The line above the titles: which columns are the guest's and which the CPU's. */
function sidesRow(columns: readonly Column<never>[]): HTMLElement {
  const cells: HTMLElement[] = [];
  for (let index = 0; index < columns.length; ) {
    const { side } = columns[index]!;
    const end = columns.findIndex((column, at) => at > index && column.side !== side);
    const span = (end < 0 ? columns.length : end) - index;
    const text = side === "guest" ? "as the guest wrote it" : side === "cpu" ? "as the CPU has it" : "";
    cells.push(
      h(
        text === "" ? "td" : "th",
        { colspan: span, class: `side ${side ?? ""}`, scope: text === "" ? undefined : "colgroup" },
        text,
      ),
    );
    index += span;
  }
  return h("tr", { class: "sides" }, ...cells);
}

function header(column: Column<never>): HTMLElement {
  const isSorted = column.id === state.sort;
  const sorting = isSorted ? (state.descending ? "descending" : "ascending") : "none";
  const sort = (): void => {
    state.descending = isSorted && !state.descending;
    state.sort = column.id;
    draw();
    document.querySelector<HTMLElement>(`th[data-column="${column.id}"] button`)?.focus();
  };
  return h(
    "th",
    { scope: "col", class: column.isWide ? "wide" : column.side, "aria-sort": sorting, "data-column": column.id },
    h(
      "button",
      { type: "button", title: `Sort by ${column.title}`, onclick: sort },
      column.title,
      isSorted && icon(state.descending ? "descending" : "ascending"),
    ),
  );
}

/** A row; where there is no room for the column "why", the stylesheet shows it as a line below instead. */
function bodyRows(columns: readonly Column<never>[], row: never): HTMLElement[] {
  const cells = columns.map((column) => bodyCell(column, row));
  const why = columns.find(({ isWide }) => isWide)?.text(row) ?? "";
  const isDifferent = table?.isDifferent(row) === true;
  const rows = [h("tr", { class: "entry" }, ...cells)];
  if (why !== "" && isDifferent) {
    rows.push(h("tr", { class: "why" }, h("td"), h("td", { colspan: columns.length - 1 }, why)));
  }
  return rows;
}

function bodyCell(column: Column<never>, row: never): HTMLElement {
  const text = column.text(row);
  const address = column.address?.(row);
  const differs = column.differs?.(row) === true;
  const classes = [column.side, column.isNumeric && "numeric", column.isWide && "wide", differs && "differs"];
  const go = (): void => host.command("ring1.showLocation", address);
  return h(
    "td",
    { class: classes.filter(Boolean).join(" "), title: differs ? "Differs from what the guest wrote" : undefined },
    address === undefined ? text : h("button", { type: "button", class: "link", onclick: go }, text),
  );
}
