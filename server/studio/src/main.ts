// The studio: chooses its source by the page it stands in, and shows one of its parts at a time: what is under way, a
// result, all pictures, or why there is nothing. All that is known is read from the server: this page may be torn down
// at any moment, and opened twice.
import type { McpUiHostContext } from "@modelcontextprotocol/ext-apps";
import type { App, Beside } from "./app";
import { button, h } from "./dom";
import { Gallery } from "./gallery";
import { Host } from "./host";
import { help, type Keys, listen } from "./keys";
import { fileSource, gallerySource, pageData } from "./page_sources";
import { Pictures } from "./pictures";
import { type Asked, Running, toolOf } from "./running";
import { json, type Source } from "./source";
import { type Answer, ended, type Failure, type Job } from "./types";
import { Viewer } from "./viewer";
import { failureWords, STATES } from "./words";

const root = document.documentElement;
const data = pageData();
const live = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
const place = h("div", { class: "place" });

const hashed = (): string => location.hash.slice(1);

class Studio implements App {
  readonly pictures: Pictures;
  readonly #viewer: Viewer;
  #running: Running | null = null;
  #gallery: Gallery | null = null;
  #tool = "";
  #modes: readonly string[] = [];
  #over = false;
  #scrolled = 0;
  /** What is shown now; nothing where all pictures are. */
  #at = "";
  #before = "";
  /** Whether something was made since all pictures were read. */
  #stale = false;
  /** Whether the host has told how the call ended: what it tells again is no new one. */
  #heard = false;
  /** Rises with all that is shown: a read that comes later than that is of something else. */
  #turns = 0;

  constructor(readonly source: Source) {
    this.pictures = new Pictures(source);
    this.#viewer = new Viewer(this);
  }

  announce(text: string): void {
    // Emptied first: the same words twice are two things that happened.
    live.textContent = "";
    requestAnimationFrame(() => (live.textContent = text));
  }

  open(ref: string, beside: Beside = {}): void {
    if (this.#over) return;
    this.#settle();
    this.#at = ref;
    if (data?.kind === "gallery") {
      if (place.firstChild !== this.#viewer.element) this.#scrolled = scrollY;
      if (hashed() !== ref) location.hash = ref;
    }
    this.#show(this.#viewer.element);
    void this.#viewer.show(ref, beside).then(() => { if (this.#at === ref) this.announce(`${ref} is shown.`); });
  }

  /** Follow the address, where it changed by itself: back and forth. */
  turn(): void {
    const ref = data?.show ?? hashed();
    if (!ref) this.browse();
    else if (ref !== this.#at) this.open(ref);
  }

  back(): void {
    this.open(this.#before, { set: this.#viewer.set });
  }

  browse(): void {
    this.#settle();
    this.#before = this.#at || this.#before;
    this.#at = "";
    void this.source.enlarge?.().catch(() => {});
    if (data?.kind === "gallery" && location.hash) history.pushState(null, "", location.pathname);
    if (this.#stale) this.#gallery?.reload();
    this.#stale = false;
    this.#gallery ??= new Gallery(this, data?.kind === "gallery");
    this.#show(this.#gallery.element);
    scrollTo(0, this.#scrolled);
    this.#gallery.focus(Boolean(this.#before));
  }

  // What a host tells, in any order and any of it twice.

  asked(args: Record<string, unknown>): void {
    if (this.#over || this.#heard || this.#running) return;
    const tool = this.#tool || toolOf(args);
    if (tool === "view_images") return;
    if (tool === "get_status") return void this.#read(String(args["job_id"]));
    this.#run({ tool, args }, null);
  }

  answered(answer: Answer): void {
    if (this.#over) return;
    this.#heard = true;
    const fields = answer.structuredContent ?? {};
    const failure = fields["error"] as Failure | undefined;
    const images = (fields["images"] ?? []) as Job["images"];
    if (fields["job_id"]) {
      const job = { ...fields, images } as unknown as Job;
      return this.#follow(job);
    }
    if (images.length) {
      const refs = images.map((one) => one.ref);
      return this.open(refs.at(-1)!, { set: refs, pair: true });
    }
    if (failure) return this.#failed(failure);
    const text = answer.content?.find((block) => block.type === "text")?.text ?? "";
    if (fields["dry_run"]) return this.tell("Nothing was sent: this was a check.", text);
    // A host that cut the answer: its text names the job all the same.
    const named = /\bjob(?:_id=')? ?([a-z0-9]+(?:-[a-z0-9]+)+)/i.exec(text);
    if (named?.[1]) return void this.#read(named[1]);
    this.tell(text || "The answer holds nothing to show.");
  }

  cancelled(): void {
    // The call ended, not the job: one that had begun is followed on.
    this.#heard = true;
    this.#running?.abandon();
    this.announce("The call was cancelled; a job that had begun goes on.");
  }

  context(changed: McpUiHostContext): void {
    if (changed.theme) root.style.colorScheme = changed.theme;
    for (const [name, value] of Object.entries(changed.styles?.variables ?? {})) {
      if (value !== undefined) root.style.setProperty(name, value);
    }
    if (changed.displayMode) root.dataset["display"] = changed.displayMode;
    if (changed.availableDisplayModes) this.#modes = changed.availableDisplayModes;
    if (changed.toolInfo?.tool.name) this.#tool = changed.toolInfo.tool.name;
    const insets = changed.safeAreaInsets;
    if (insets) document.body.style.padding = `${insets.top}px ${insets.right}px ${insets.bottom}px ${insets.left}px`;
    if (this.source instanceof Host) this.source.offers(root.dataset["display"] === "fullscreen" ? [] : this.#modes);
  }

  end(): void {
    this.#over = true;
    this.#settle();
  }

  /** Let go of what a key holds. */
  release(): void {
    this.#viewer.hold(false);
  }

  keys(): Keys {
    const viewer = this.#viewer;
    const once = (act: () => void) => (down: boolean): void => { if (down) act(); };
    const closing: Keys = { Escape: ["Back to all pictures", once(() => !data?.show && this.browse())] };
    const shown: Keys = {
      ArrowLeft: ["The step before", once(() => viewer.step(-1))],
      ArrowRight: ["The step after", once(() => viewer.step(1))],
      B: ["Hold: show before", (down) => viewer.hold(down)],
      C: ["Compare another way", once(() => viewer.nextMode())],
      U: ["Undo: the picture before", once(() => viewer.undo())],
      E: ["Edit this", once(() => void viewer.edit())],
      T: ["Try again, price first", once(() => viewer.variant())],
      D: ["Download", once(() => void viewer.download())],
      P: ["Copy the prompt", once(() => void viewer.copyPrompt())],
      I: ["Details", once(() => viewer.toggleDetails())],
      H: ["Tree", once(() => viewer.toggleTree())],
    };
    const all: Keys = {
      ...(place.firstChild === viewer.element ? { ...shown, ...(this.source.whole ? {} : closing) } : {}),
      ...(place.firstChild === this.#gallery?.element && this.#before ? { Escape: ["Back to the result", once(() => this.back())] } : {}),
      "?": ["These keys", once(() => { const dialog = help(this.keys()); document.body.append(dialog); dialog.showModal(); })],
    };
    if (this.source.whole) delete all["E"];
    return all;
  }

  /** Say why there is nothing to look at. */
  tell(head: string, text = "", ...more: Node[]): void {
    this.#settle();
    this.announce(head);
    this.#show(
      h("section", { class: "told", "aria-label": "Answer" }, h("p", { class: "prompt", tabindex: -1 }, head), text && h("p", { class: "note" }, text), ...more),
    );
  }

  #finished(job: Job): void {
    this.#stale = true;
    const [first, ...others] = job.images;
    if (!first) {
      if (job.error) return this.#failed(job.error, STATES[job.status]);
      return this.tell(STATES[job.status], job.warnings?.join(" "));
    }
    const refs = job.images.map((one) => one.ref);
    const told = job.warnings ? { warnings: job.warnings } : {};
    this.open(job.steps ? refs.at(-1)! : first.ref, { set: others.length ? refs : [], ...told });
  }

  #failed(failure: Failure, state = ""): void {
    const more = this.source.whole ? [] : [h("div", { class: "actions" }, button("browse", "All pictures", () => this.browse()))];
    this.tell(`${state ? state + ": " : ""}${failureWords(failure)}`, failure.fix, ...more);
  }

  async #read(id: string): Promise<void> {
    const turn = this.#turns;
    const job = await json<Job>(this.source, `kontext://jobs/${id}`).catch((error: Error) => error.message);
    if (turn !== this.#turns) return;
    if (typeof job === "string") this.tell(job);
    else this.#follow(job);
  }

  #follow(job: Job): void {
    if (ended(job)) this.#finished(job);
    else this.#run(null, job);
  }

  #run(asked: Asked | null, job: Job | null): void {
    if (this.#over) return;
    this.#settle();
    this.#running = new Running(this, asked, job, (done) =>
      done ? this.#finished(done) : this.tell("The call was cancelled; no job of it was found."),
    );
    this.#show(this.#running.element);
  }

  #settle(): void {
    this.#turns++;
    this.#running?.stop();
    this.#running = null;
  }

  #show(element: HTMLElement): void {
    const old = place.firstChild;
    if (old === element) return;
    const held = old?.contains(document.activeElement);
    place.replaceChildren(element);
    if (data) scrollTo(0, 0);
    // Who was at work in the part that went away goes on in the one that came.
    if (held) element.querySelector<HTMLElement>(".prompt, .stage input")?.focus({ preventScroll: true });
  }
}

async function start(): Promise<void> {
  const main = document.querySelector("main")!;
  const title = h("h1", { class: data?.title ? "" : "unseen" }, data?.title ?? "Studio");
  main.append(title, ...(data?.lead ?? []).map((text) => h("p", { class: "lead" }, text)), place, live);
  if (data?.tail) main.append(h("section", { class: "tail" }, h("h2", {}, data.tail.heading), h("p", {}, data.tail.text), h("pre", {}, data.tail.code)));
  root.dataset["kind"] = data?.kind ?? "host";
  let studio: Studio;
  const heard = () => studio;
  listen(() => heard().keys());
  addEventListener("blur", () => heard().release());
  if (data) {
    root.style.colorScheme = "light dark";
    studio = new Studio(data.kind === "file" ? fileSource(data.resources ?? {}) : gallerySource);
    addEventListener("popstate", () => studio.turn());
    return studio.turn();
  }
  const host = new Host({
    input: (args) => studio.asked(args),
    result: (answer) => studio.answered(answer),
    cancelled: () => studio.cancelled(),
    context: (changed) => studio.context(changed),
    teardown: () => studio.end(),
  });
  studio = new Studio(host);
  place.append(h("div", { class: "skeleton", "aria-hidden": "true" }));
  // A host that does not speak this protocol leaves the page as it is: the text of the answer stands beside it.
  await host.start().catch(() => studio.tell("This client does not let the studio start.", "The answer stands in the conversation."));
}

void start();
