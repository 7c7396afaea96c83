/*
 * The trap-log page: toolbar, strip, grid and details put together, and the clock that keeps them up to date. While the
 * guest runs the page asks at most ten times a second, with one request for figures and visible rows; when it stops,
 * once; when paused, not at all.
 */

import { groupDigits, percent } from "../../base";
import type { ToView, TrapFilterTerm, ViewSession } from "../../dap";
import { button, h, icon } from "../page/dom";
import type { Host } from "../page/host";
import { ActivityStrip } from "./activity-strip";
import { Details } from "./details";
import { type EmptyReason, emptyState } from "./empty-state";
import { KEYS, type ParsedFilter, parseFilter, termText, withoutTerms, withTerm } from "./filter";
import { Grid } from "./grid";
import { KindsMenu } from "./kinds-menu";
import { RowStore } from "./row-store";
import { KINDS } from "./row-text";

const UPDATE_MS = 100;
/** Counts and strip change less often than rows. */
const FIGURES_MS = 500;

interface KeptState {
  filter?: string;
  follow?: boolean;
}

export class TrapLogPage {
  private readonly store: RowStore;
  private readonly grid: Grid;
  private readonly strip = new ActivityStrip((from, to) => this.narrow(from, to));
  private readonly details: Details;
  private readonly kindsButton = h(
    "button",
    { type: "button", title: "Kinds of entries, with counts" },
    h("span", {}, "Kinds"),
    icon("chevron"),
  );
  private readonly kinds: KindsMenu;
  private readonly input: HTMLInputElement;
  private readonly problem = h("p", { class: "problem", id: "filter-problem", role: "status" });
  private readonly summary = h("output", { class: "summary", "aria-live": "off" });
  private readonly followButton = button(
    { icon: "follow", text: "Follow", title: "Keep the newest entries in sight (End)" },
    () => this.setFollow(!this.follow),
  );
  private readonly pauseButton = button(
    { icon: "pause", text: "Pause", title: "Hold the view still while the guest runs" },
    () => this.setPaused(!this.isPaused),
  );
  private readonly empty = h("div", { class: "empty" });
  private readonly body: HTMLElement;
  private session: ViewSession | null = null;
  private parsed: ParsedFilter = { terms: [] };
  private follow = true;
  private isPaused = false;
  private isPolling = false;
  private wantsPoll = false;
  private lastFigures = 0;
  private lastSequence = 0;
  private pausedAt = 0;
  private selectSequence: number | undefined;
  private emptyReason: EmptyReason | undefined;

  constructor(private readonly host: Host) {
    const kept = (host.kept() ?? {}) as KeptState;
    this.follow = kept.follow ?? true;
    this.store = new RowStore(
      (args) => host.request("ring1/trapLog", args),
      () => this.changed(),
      (error) => this.say(error.message),
    );
    this.details = new Details(host, {
      onClose: () => this.closeDetails(),
      onGo: (sequence) => this.goTo(sequence),
    });
    this.grid = new Grid((ordinal) => this.store.rowAt(ordinal), {
      onSelect: (ordinal) => this.selected(ordinal),
      onOpen: (ordinal) => this.open(ordinal),
      onWindow: (first, count) => this.store.show(first, count),
      onFollow: (follow) => this.setFollow(follow, false),
      onType: (character) => this.typeInto(character),
      onCopy: (ordinal) => this.onRow(ordinal, (n) => host.command("ring1.trapLog.copyJson", { n })),
      onCancel: () => this.closeDetails(),
    });
    this.kinds = new KindsMenu(this.kindsButton, {
      onOpen: () => this.poll(true),
      onToggle: (name, wanted) => {
        const text = withoutTerms(this.input.value, "event", name);
        this.setFilter(wanted ? withTerm(text, termText("event", name)) : text);
      },
    });
    this.input = h("input", {
      type: "text",
      class: "filter",
      placeholder: "Filter: words, vector:14, hypercall:*, world:user, outcome:reflected, 48_000_000..",
      "aria-label": "Filter the trap log",
      "aria-describedby": "filter-problem",
      title: helpText(),
      spellcheck: "false",
      autocomplete: "off",
      value: kept.filter ?? "",
      oninput: () => this.filterChanged(),
      onkeydown: (event: KeyboardEvent) => this.filterKey(event),
    });
    this.input.value = kept.filter ?? "";
    this.body = h("div", { class: "body" }, this.grid.element, this.details.element);
    this.setFollow(this.follow);
    this.filterChanged();
  }

  /** The page's elements. */
  get elements(): HTMLElement[] {
    const clear = button({ icon: "clear", title: "Clear: show only what comes from now on" }, () => this.clear());
    const exporter = button({ icon: "export", title: "Export as JSON Lines" }, () =>
      this.host.command("ring1.exportTrapLog"),
    );
    const filter = h("div", { class: "filter-box" }, this.input, this.problem);
    const kinds = h("div", { class: "kinds-box" }, this.kindsButton, this.kinds.element);
    const tools = h("div", { class: "tools" }, kinds, this.followButton, this.pauseButton, clear, exporter);
    const toolbar = h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "Trap log" },
      filter,
      tools,
      this.summary,
    );
    return [toolbar, this.strip.element, this.body, this.empty];
  }

  /** A message of the extension. */
  receive(message: Exclude<ToView, { type: "response" }>): void {
    switch (message.type) {
      case "session":
        this.setSession(message.session, message.follow);
        break;
      case "trapLog":
        this.lastSequence = message.body.lastSequence;
        this.showPause();
        this.poll(false);
        break;
      case "filterTo":
        this.setFilter(
          withTerm(withoutTerms(this.input.value, "event", message.name), termText("event", message.name, message.not)),
        );
        break;
      case "select":
        this.goTo(message.sequence);
        break;
    }
  }

  private setSession(session: ViewSession | null, follow: boolean): void {
    const isOther = session?.id !== this.session?.id;
    this.session = session;
    if (isOther) {
      this.reset();
      this.isPaused = false;
      this.setFollow(follow);
      this.setFilter(withoutTerms(this.input.value, "n"));
    }
    this.showPause();
    if (session !== null) {
      this.poll(true);
    }
    this.showEmpty();
  }

  private reset(): void {
    this.store.reset(this.parsed.terms);
    this.grid.select(undefined);
    this.details.close();
    this.grid.setList(0, 0, false);
    this.strip.show(undefined);
    this.lastFigures = 0;
    this.summary.textContent = "";
  }

  /** Asks for news, soon. With `figures` counts and strip too, whenever they were asked for last. */
  private poll(figures: boolean): void {
    if (figures) {
      this.lastFigures = 0;
    }
    if (this.session === null || (this.isPaused && !figures)) {
      return;
    }
    if (this.isPolling) {
      this.wantsPoll = true;
      return;
    }
    this.isPolling = true;
    this.wantsPoll = false;
    void this.pollNow().then((hadFigures) => {
      setTimeout(() => {
        this.isPolling = false;
        if (this.wantsPoll) {
          this.poll(false);
        } else if (!hadFigures) {
          // Counts and strip catch up after the last change.
          setTimeout(() => this.poll(false), FIGURES_MS);
        }
      }, UPDATE_MS);
    });
  }

  /** @returns whether counts and strip were asked for */
  private async pollNow(): Promise<boolean> {
    const now = performance.now();
    const wantsFigures = now - this.lastFigures >= FIGURES_MS || this.store.figures.total === 0;
    const extra = wantsFigures ? { buckets: this.strip.buckets, withCounts: true } : {};
    if (wantsFigures) {
      this.lastFigures = now;
    }
    const last = this.grid.capacity + 2;
    await this.store.poll(this.follow ? { last } : { first: this.store.figures.firstOrdinal, count: 0 }, extra);
    return wantsFigures;
  }

  /** Rows or figures have come. */
  private changed(): void {
    const { figures } = this.store;
    this.grid.setList(figures.firstOrdinal, figures.matching, this.follow && !this.isPaused);
    this.grid.redraw();
    this.strip.show(figures.histogram);
    this.kinds.show(figures.counts ?? [], this.input.value);
    this.showSummary();
    this.showEmpty();
    this.selectWanted();
  }

  private showSummary(): void {
    const { matching, total, counts = [], dropped } = this.store.figures;
    const all = counts.reduce((sum, { count }) => sum + count, 0);
    const shares = KINDS.map(({ kind, plural }) => {
      const count = counts.filter((entry) => entry.kind === kind).reduce((sum, entry) => sum + entry.count, 0);
      return { text: `${percent(count, all)} ${plural}`, count };
    })
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.count - a.count)
      .slice(0, 2)
      .map(({ text }) => text);
    const amount = matching === total ? groupDigits(total) : `${groupDigits(matching)} of ${groupDigits(total)}`;
    const lost = dropped > 0 ? [`${groupDigits(dropped)} older ones gone`] : [];
    this.summary.textContent = this.session === null ? "" : [amount, ...shares, ...lost].join(" · ");
    this.summary.title = this.summary.textContent;
  }

  private showEmpty(): void {
    const { matching, total } = this.store.figures;
    const reason: EmptyReason | undefined =
      this.session === null ? "no guest" : total === 0 ? "no entries" : matching === 0 ? "no match" : undefined;
    document.body.classList.toggle("is-empty", reason !== undefined);
    document.body.classList.toggle("no-guest", reason === "no guest");
    if (reason !== this.emptyReason) {
      this.emptyReason = reason;
      this.empty.replaceChildren(...emptyState(reason, this.host, () => this.setFilter("")));
    }
  }

  private filterChanged(): void {
    this.parsed = parseFilter(this.input.value);
    const { mistake } = this.parsed;
    this.input.setAttribute("aria-invalid", String(mistake !== undefined));
    this.say(mistake?.message ?? "");
    this.host.keep({ filter: this.input.value, follow: this.follow } satisfies KeptState);
    if (mistake === undefined) {
      this.useFilter(this.parsed.terms);
    }
  }

  private useFilter(terms: TrapFilterTerm[]): void {
    const row = this.grid.selected === undefined ? undefined : this.store.rowAt(this.grid.selected);
    this.store.reset(terms);
    this.grid.select(undefined);
    this.selectSequence = this.follow ? undefined : row?.n;
    this.poll(true);
  }

  private setFilter(text: string): void {
    if (this.input.value !== text) {
      this.input.value = text;
      this.filterChanged();
    }
  }

  private filterKey(event: KeyboardEvent): void {
    if (event.key === "Escape" && this.input.value !== "") {
      this.setFilter("");
    } else if (event.key === "Escape" || event.key === "ArrowDown" || event.key === "Enter") {
      this.grid.element.focus();
    } else {
      return;
    }
    event.preventDefault();
  }

  private typeInto(character: string): void {
    this.input.focus();
    this.input.value = withTerm(this.input.value, character);
    this.filterChanged();
  }

  private narrow(from: number, to: number): void {
    this.setFilter(withTerm(withoutTerms(this.input.value, "instruction"), `${from}..${to}`));
  }

  /** Nothing is lost by clearing: the condition it adds can be deleted from the filter. */
  private clear(): void {
    if (this.session?.state === "ended") {
      this.host.command("ring1.releaseEnded");
    }
    const next = Math.max(this.store.figures.lastSequence, this.lastSequence) + 1;
    this.setFilter(withTerm(withoutTerms(this.input.value, "n"), `n:${next}..`));
  }

  private setFollow(follow: boolean, jump = true): void {
    this.follow = follow;
    this.followButton.setAttribute("aria-pressed", String(follow));
    this.host.keep({ filter: this.input?.value ?? "", follow } satisfies KeptState);
    if (follow && jump) {
      this.grid.toEnd();
      this.poll(false);
    }
  }

  private setPaused(paused: boolean): void {
    this.isPaused = paused;
    this.pausedAt = this.store.figures.lastSequence;
    this.showPause();
    if (!paused) {
      this.poll(true);
    }
  }

  private showPause(): void {
    const news = Math.max(0, this.lastSequence - this.pausedAt);
    const text = !this.isPaused ? "Pause" : news === 0 ? "Paused" : `Paused · ${groupDigits(news)} new`;
    this.pauseButton.setAttribute("aria-pressed", String(this.isPaused));
    this.pauseButton.replaceChildren(icon(this.isPaused ? "play" : "pause"), h("span", {}, text));
    this.pauseButton.disabled = this.session?.state === "ended" || this.session === null;
  }

  private selected(ordinal: number): void {
    this.selectSequence = undefined;
    const row = this.store.rowAt(ordinal);
    if (row !== undefined) {
      void this.details.show(row);
    }
  }

  private closeDetails(): void {
    this.details.close();
    this.grid.element.focus();
  }

  private open(ordinal: number): void {
    this.onRow(ordinal, (n) => this.host.command("ring1.trapLog.goToSource", { n }));
  }

  private onRow(ordinal: number, run: (n: number) => void): void {
    const row = this.store.rowAt(ordinal);
    if (row !== undefined) {
      run(row.n);
    }
  }

  /** Selects an entry by its sequence number; a filter that hides it is taken away. */
  private goTo(sequence: number): void {
    this.setFollow(false);
    this.setFilter("");
    this.selectSequence = sequence;
    this.selectWanted();
    this.poll(true);
  }

  /** Without a filter the ordinal is the sequence number, so the place is known before the row is here. */
  private selectWanted(): void {
    const sequence = this.selectSequence;
    const { firstOrdinal, matching } = this.store.figures;
    if (
      sequence === undefined ||
      this.parsed.terms.length > 0 ||
      sequence < firstOrdinal ||
      sequence >= firstOrdinal + matching
    ) {
      return;
    }
    this.grid.select(sequence);
    const row = this.store.rowAt(sequence);
    if (row !== undefined) {
      this.selectSequence = undefined;
      void this.details.show(row);
    }
  }

  private say(text: string): void {
    this.problem.textContent = text;
  }
}

function helpText(): string {
  const keys = Object.entries(KEYS).map(([key, value]) => `${key}: ${value}`);
  return [
    "Words and key:value terms. A - before a term means not.",
    ...keys,
    "a..b alone: a range of instructions",
  ].join("\n");
}
