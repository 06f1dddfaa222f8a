// One finished picture: compared with what it was made from, its facts, what can be done next, the line it stands in.
import { type App, type Beside, note, say } from "./app";
import { Compare, type Side } from "./compare";
import { button, copy, h, replace } from "./dom";
import { line, tree } from "./line";
import { type Content, json } from "./source";
import { type Lineage, type Meta, type Relative, uriOf } from "./types";
import { canTry, Variant } from "./variant";
import { costWords, cut, secondsWords, when } from "./words";

const context = (ref: string): string =>
  `In the studio the person looks at ${ref}. "This picture" means it: the next edit takes image='${ref}'.`;

export class Viewer {
  readonly #app: App;
  readonly element = h("section", { class: "viewer", "aria-label": "Result" });
  readonly #compare: Compare;
  readonly #head = h("div", { class: "head" });
  readonly #facts = h("p", { class: "facts" });
  readonly #others = h("div", { class: "others" });
  readonly #actions = h("div", { class: "actions" });
  readonly #warnings = note();
  readonly #note = note();
  readonly #another: Variant;
  readonly #history = h("div", { class: "history" });
  readonly #place = h("div");
  readonly #details = h("div", { class: "details", hidden: true });
  #ref = "";
  #meta: Meta | null = null;
  #lineage: Lineage | null = null;
  set: string[] = [];
  #told: string[] | undefined;
  #opened = false;
  #round = 0;

  constructor(app: App) {
    this.#app = app;
    this.#compare = new Compare(app.pictures, app.source.near ? "" : "preview");
    this.#another = new Variant(app, () => this.#actions.querySelector<HTMLElement>('[data-key="again"]')?.focus());
    const beside = [
      this.#facts, this.#warnings, this.#others, this.#actions, this.#note, this.#another.element, this.#history, this.#details,
    ];
    this.element.append(this.#head, this.#compare.element, h("div", { class: "beside" }, ...beside));
  }

  /** Show a picture, and those that came with it; two of a `pair` are compared with each other. */
  async show(ref: string, { set = [], pair = false, warnings }: Beside): Promise<void> {
    if (ref !== this.#ref) {
      // Until it is read nothing is known of it, and what was begun for the one before is over.
      this.#another.close();
      say(this.#note, "");
      this.#meta = this.#lineage = null;
    }
    const round = ++this.#round;
    this.#ref = ref;
    this.set = set;
    this.#told = warnings;
    const [meta, lineage] = await Promise.allSettled([
      json<Meta>(this.#app.source, uriOf(ref, "meta")),
      json<Lineage>(this.#app.source, uriOf(ref, "lineage")),
    ]);
    if (round !== this.#round) return;
    this.#meta = meta.status === "fulfilled" ? meta.value : null;
    this.#lineage = lineage.status === "fulfilled" ? lineage.value : null;
    if (meta.status === "rejected") say(this.#note, (meta.reason as Error).message);
    const parent = this.#lineage?.ancestors.at(-1)?.ref ?? "";
    const against = pair && set.length === 2 ? (set.find((one) => one !== ref) ?? "") : parent;
    const name = (of: string, word: string): string => (against === parent ? word : of);
    const after: Side = { ref, name: name(ref, "After"), alt: this.#words };
    const before: Side | null = against ? { ref: against, name: name(against, "Before"), alt: against } : null;
    const size: [number, number] | undefined = this.#meta?.width && this.#meta.height ? [this.#meta.width, this.#meta.height] : undefined;
    const drawn = this.#compare.show(after, before, size, this.#meta?.job.change?.where === "everywhere" ? 50 : 10);
    this.#draw();
    await drawn;
  }

  // What the keys do, and the buttons.
  undo(): void {
    const parent = this.#parent;
    if (parent) this.#pick(parent.ref);
  }
  step(by: number): void {
    const all = this.#relatives;
    const next = all[all.findIndex((one) => one.ref === this.#ref) + by];
    if (next) this.#pick(next.ref);
  }
  nextMode(): void {
    this.#compare.next();
  }
  hold(on: boolean): void {
    this.#compare.hold(on);
  }
  toggleDetails(): void {
    this.#details.hidden = !this.#details.hidden;
    this.#draw();
  }
  toggleTree(): void {
    this.#opened = !this.#opened;
    this.#draw();
  }
  variant(): void {
    if (this.#meta && canTry(this.#app, this.#meta)) void this.#another.offer(this.#meta);
  }
  async edit(): Promise<void> {
    const { source } = this.#app;
    const ask = `Edit ${this.#ref}: `;
    source.tell?.(context(this.#ref));
    try {
      if (source.say) {
        await source.say(`The next edit starts from ${this.#ref}.`);
        return this.#tell("Said in the conversation. Now write there what to change.");
      }
    } catch {
      // A client that declines is as one without.
    }
    const copied = await copy(ask);
    this.#tell(`${copied ? "Copied" : "Write this"} for your assistant: ${ask}…`);
  }
  async copyPrompt(): Promise<void> {
    const copied = await copy(this.#words);
    this.#tell(copied ? "The prompt was copied." : `The clipboard cannot be reached; the prompt: ${this.#words}`);
  }
  async download(): Promise<void> {
    const base = this.#ref.replace("/", "-");
    const kind = (content: Content): string => ("blob" in content ? (content.blob.type.split("/")[1] ?? "png").replace("jpeg", "jpg") : "json");
    try {
      let partly = "";
      const content = await this.#app.source.read(uriOf(this.#ref)).catch((error: Error) => {
        partly = error.message;
        return this.#app.source.read(uriOf(this.#ref, "preview"));
      });
      await this.#app.source.download(`${base}.${kind(content)}`, content);
      this.#tell(partly ? `Only the preview could be had: ${partly}` : "Given to be saved.");
    } catch (error) {
      this.#tell(`${(error as Error).message}${this.#meta?.path ? ` The file lies at ${this.#meta.path}` : ""}`);
    }
  }

  get #words(): string {
    return this.#ref.endsWith("/0") ? "the source as it was sent" : (this.#meta?.job.prompt ?? this.#ref);
  }

  get #parent(): Relative | undefined {
    return this.#lineage?.ancestors.at(-1);
  }

  get #self(): Relative {
    const prompt = this.#meta?.job.prompt;
    return prompt ? { ref: this.#ref, prompt } : { ref: this.#ref };
  }

  get #relatives(): Relative[] {
    const made = this.#lineage?.descendants.filter((one) => one.parent === this.#ref) ?? [];
    return [...(this.#lineage?.ancestors ?? []), this.#self, ...made];
  }

  /** Show what the person chose, and have the model know of it. */
  readonly #pick = (ref: string, beside?: Beside): void => {
    this.#app.open(ref, beside);
    this.#app.source.tell?.(context(ref));
  };

  #tell(text: string): void {
    say(this.#note, text);
    this.#app.announce(text);
  }

  #draw(): void {
    const { source } = this.#app;
    const job = this.#meta?.job;
    const isSource = this.#ref.endsWith("/0");
    const change = job?.change && !isSource ? `${job.change.percent} % changed, ${job.change.where}` : "";
    const facts = isSource
      ? [this.#ref, this.#meta?.width && `${this.#meta.width} × ${this.#meta.height}`]
      : [this.#ref, job?.provider, costWords(job?.cost), job?.seconds !== undefined && secondsWords(job.seconds), change];
    replace(this.#head, h("p", { class: "prompt", tabindex: -1 }, isSource ? "The source as it was sent" : cut(this.#words, 400)));
    this.#facts.textContent = facts.filter(Boolean).join(" · ");
    say(this.#warnings, (this.#told ?? job?.warnings ?? []).join(" "));
    replace(this.#others, ...(this.set.length > 1 ? this.set.map((one) => this.#other(one)) : []));
    replace(
      this.#actions,
      !source.whole && button("edit", "Edit this", () => void this.edit(), { class: "main" }),
      this.#parent && button("undo", "Undo", () => this.undo()),
      canTry(this.#app, this.#meta) && !isSource && button("again", "Try again", () => this.variant()),
      button("download", "Download", () => void this.download()),
      !isSource && button("copy", "Copy prompt", () => void this.copyPrompt()),
      button("details", "Details", () => this.toggleDetails(), { "aria-expanded": String(!this.#details.hidden) }),
      !source.whole && button("browse", "All pictures", () => this.#app.browse()),
    );
    this.#drawHistory();
    if (!this.#details.hidden) replace(this.#details, this.#table());
  }

  #other(ref: string): Node {
    return button(`set-${ref}`, [this.#app.pictures.lazy(uriOf(ref, "thumb"), "")], () => this.#pick(ref, { set: this.set }), {
      "aria-label": ref, "aria-current": ref === this.#ref && "true",
    });
  }

  #drawHistory(): void {
    const lineage = this.#lineage;
    if (!lineage) return replace(this.#history);
    const row = line(this.#app, lineage, this.#self, this.#pick);
    const [place, ref] = [this.#place, this.#ref];
    // The tree of another picture stays until this one's is read, and who walks it by keys keeps their place.
    if (!this.#opened) place.replaceChildren();
    replace(
      this.#history,
      row,
      row && button("tree", "Tree", () => this.toggleTree(), { "aria-expanded": String(this.#opened) }),
      place,
    );
    if (this.#opened)
      tree(this.#app, lineage, ref, this.#pick)
        .catch((error: Error) => h("p", { class: "note" }, error.message))
        .then((shown) => void (ref === this.#ref && this.#opened && replace(place, shown)));
  }

  #table(): Node {
    const meta = this.#meta;
    const job = meta?.job;
    const rows: [string, unknown][] = [
      ["Reference", this.#ref],
      ["Size", meta?.width && `${meta.width} × ${meta.height} px`],
      ["Seed", meta?.seed],
      ["Made", when(job?.created_at)],
      ["Edits so far", job?.depth],
      ["Sharpness", job?.change?.sharpness],
      ["Kept the same", job?.keep],
      ["File", meta?.path],
    ];
    return h(
      "dl",
      {},
      ...rows.flatMap(([name, value]) =>
        value === undefined || value === "" || value === false ? [] : [h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))],
      ),
    );
  }
}
