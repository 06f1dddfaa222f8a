// All pictures: newest first, searched by words, by provider and by time; page after page as one scrolls.
import type { App } from "./app";
import { button, h, roving } from "./dom";
import { json } from "./source";
import { type Found, type Page, type Usage, uriOf } from "./types";
import { costWords, cut, sum, when } from "./words";

const PAGE = 48;
const TYPING_MS = 250;
const TIMES: [string, string][] = [
  ["", "Any time"],
  ["today", "Today"],
  ["7d", "7 days"],
  ["30d", "30 days"],
];

export class Gallery {
  readonly #app: App;
  readonly element = h("section", { class: "gallery", "aria-label": "All pictures" });
  readonly #query = h("input", { type: "search", "aria-label": "Search", placeholder: "Search", "data-key": "query" });
  readonly #since = h("select", { "aria-label": "Made when" }, ...TIMES.map(([value, label]) => h("option", { value }, label)));
  readonly #provider = h("select", { "aria-label": "Made by" }, h("option", { value: "" }, "Any provider"));
  readonly #grid = h("ul", { class: "grid", "aria-label": "Pictures, newest first" });
  readonly #told = h("p", { class: "note", role: "status" });
  readonly #spent = h("p", { class: "facts" });
  readonly #back = button("back", "Back", () => this.#app.back());
  readonly #more = button("more", "Show more", () => void this.#page(!this.#cursor));
  #cursor: string | undefined;
  #round = 0;
  #loading = false;
  #typing = 0;
  readonly #end: IntersectionObserver | undefined;

  /** `endless`: more is loaded as the end comes near; else, where the host gives the height, at a click. */
  constructor(app: App, endless: boolean) {
    this.#app = app;
    this.element.append(
      h("div", { class: "filters", role: "search" }, this.#back, this.#query, this.#since, this.#provider),
      this.#spent, this.#told, this.#grid, this.#more,
    );
    this.#query.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = window.setTimeout(() => this.reload(), TYPING_MS);
    });
    for (const filter of [this.#since, this.#provider]) filter.addEventListener("change", () => this.reload());
    roving(this.#grid, "button", ["ArrowLeft", "ArrowUp"], ["ArrowRight", "ArrowDown"]);
    if (endless)
      this.#end = new IntersectionObserver((seen) => void (seen.at(-1)!.isIntersecting && this.#page()), { rootMargin: "800px" });
    this.reload();
  }

  /** Read the list anew, and what was spent. */
  reload(): void {
    void this.#facts();
    this.#round++;
    this.#cursor = undefined;
    this.#loading = false;
    void this.#page(true);
  }

  /** Take the focus, to where it was; `back`: whether there is a result to go back to. */
  focus(back: boolean): void {
    this.#back.hidden = !back;
    if (back) (this.#grid.querySelector<HTMLElement>('[tabindex="0"]') ?? this.#query).focus({ preventScroll: true });
  }

  async #page(first = false): Promise<void> {
    if (this.#loading || (!first && !this.#cursor)) return;
    this.#loading = true;
    const round = this.#round;
    const asked = { query: this.#query.value.trim(), since: this.#since.value, provider: this.#provider.value, limit: String(PAGE), cursor: this.#cursor ?? "" };
    const given = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
    try {
      const page = await json<Page>(this.#app.source, `kontext://images?${given}`);
      if (round !== this.#round) return;
      if (first) this.#grid.replaceChildren();
      this.#grid.append(...page.images.map((one, i) => this.#card(one, first && i === 0)));
      this.#cursor = page.next_cursor;
      const count = this.#grid.childElementCount;
      this.#told.textContent = [
        ...(page.warnings ?? []),
        count ? `${count}${this.#cursor ? " or more" : ""} picture${count > 1 ? "s" : ""}.` : "No picture found.",
      ].join(" ");
    } catch (error) {
      if (round !== this.#round) return;
      // The page that failed can be asked for once more.
      this.#told.textContent = (error as Error).message;
      this.#more.hidden = false;
      this.#loading = false;
      return;
    }
    this.#more.hidden = !this.#cursor;
    this.#loading = false;
    // An observer tells of crossings alone: an end that stays in sight is looked for anew.
    this.#end?.unobserve(this.#more);
    this.#end?.observe(this.#more);
  }

  #card(one: Found, first: boolean): Node {
    const words = one.label || one.prompt || one.ref;
    const shows = [
      this.#app.pictures.lazy(uriOf(one.ref, "thumb"), ""),
      h("span", { class: "words" }, cut(words, 120)),
      h("span", { class: "facts" }, [one.provider, when(one.created_at, false)].filter(Boolean).join(" · ")),
    ];
    return h("li", {}, button(`card-${one.ref}`, shows, () => this.#app.open(one.ref), { tabindex: first ? 0 : -1 }));
  }

  async #facts(): Promise<void> {
    const [usage, providers] = await Promise.allSettled([
      json<Usage>(this.#app.source, "kontext://usage"),
      json<{ providers: { provider: string }[]; not_configured: Record<string, string> }>(this.#app.source, "kontext://providers"),
    ]);
    if (providers.status === "fulfilled") {
      const names = [...providers.value.providers.map((row) => row.provider), ...Object.keys(providers.value.not_configured)];
      if (this.#provider.options.length < 2) this.#provider.append(...names.map((name) => h("option", { value: name }, name)));
    }
    if (usage.status === "fulfilled") {
      const byUnit = new Map<string, string[]>();
      for (const { unit, amount } of usage.value.days) byUnit.set(unit, [...(byUnit.get(unit) ?? []), amount]);
      const totals = [...byUnit].map(([unit, amounts]) => ({ unit, amount: sum(amounts), basis: "" })).filter((cost) => cost.amount !== "0");
      this.#spent.textContent = `Spent in the last 30 days: ${totals.map(costWords).join(" and ") || "nothing"}.`;
    }
  }
}
