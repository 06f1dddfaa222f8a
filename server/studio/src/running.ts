// A job under way: its state in words, the seconds, a plan's steps, and Cancel.
//
// A host tells the arguments when a call begins and the answer when it ends; the job's id lies between. Until then the
// job is looked for among the newest: the one alone that was asked with the same tool, words and pictures and is no
// older than this view.
import { type App, note, say } from "./app";
import { digest } from "./asked";
import { button, h, replace } from "./dom";
import { Polling } from "./polling";
import { json } from "./source";
import { type Answer, ended, type Job, uriOf } from "./types";
import { costWords, cut, secondsWords, STATES } from "./words";

const SLACK_S = 3;
/** So many looks may fail, or find no job of a call that was cancelled, before it is said. */
const PATIENT = 4;

export interface Asked {
  tool: string;
  args: Record<string, unknown>;
}

/** Which tool is called with such arguments, where the host does not say. */
export function toolOf(args: Record<string, unknown>): string {
  if ("steps" in args) return "run_plan";
  if ("refs" in args) return "view_images";
  if ("job_id" in args) return "get_status";
  return "image" in args ? "edit_image" : "generate_image";
}

export class Running {
  readonly #app: App;
  readonly #asked: Asked | null;
  readonly #onEnd: (job: Job | null) => void;
  #job: Job | null;
  readonly element = h("section", { class: "running", "aria-label": "Under way" });
  readonly #clock = h("span", { class: "clock" });
  readonly #note = note();
  readonly #began = Date.now();
  readonly #timer: number;
  readonly #polling: Polling;
  #readAt = Date.now();
  #candidate = "";
  #state = "";
  #cancelling = false;
  #outcome = "";
  #over = false;
  #failed = 0;
  #left = Infinity;
  #drawn = "";

  constructor(app: App, asked: Asked | null, job: Job | null, onEnd: (job: Job | null) => void) {
    this.#app = app;
    this.#asked = asked;
    this.#job = job;
    this.#onEnd = onEnd;
    this.#draw();
    this.#timer = window.setInterval(() => this.#tick(), 1000);
    this.#polling = new Polling(() => this.#look());
  }

  stop(): void {
    this.#over = true;
    clearInterval(this.#timer);
    this.#polling.stop();
  }

  /** The call was cancelled: a job that had begun goes on, and is looked for a little longer. */
  abandon(): void {
    this.#left = PATIENT;
  }

  async #look(): Promise<boolean> {
    try {
      if (!this.#job) await this.#find();
      const job = this.#job && (await json<Job>(this.#app.source, `kontext://jobs/${this.#job.job_id}`));
      if (this.#over) return true;
      this.#failed = 0;
      if (!job) {
        if (--this.#left > 0) return false;
        this.#onEnd(null);
        return true;
      }
      this.#job = job;
      this.#readAt = Date.now();
      if (ended(job)) {
        this.#onEnd(job);
        return true;
      }
      say(this.#note, this.#outcome);
    } catch (error) {
      if (++this.#failed >= PATIENT) say(this.#note, `It cannot be read: ${(error as Error).message}`);
    }
    this.#draw();
    return false;
  }

  /** Look for our job; seen alone twice, it is ours. */
  async #find(): Promise<void> {
    const { tool, args } = this.#asked ?? { tool: "", args: {} };
    const age_s = (Date.now() - this.#began) / 1000 + SLACK_S;
    const mark = digest(args);
    const { jobs } = await json<{ jobs: Job[] }>(this.#app.source, "kontext://jobs");
    const [one, ...others] = jobs.filter(
      (job) => !ended(job) && job.tool === tool && (job.seconds ?? Infinity) <= age_s && job.asked === mark,
    );
    const id = one && !others.length ? one.job_id : "";
    if (one && id && id === this.#candidate) this.#job = one;
    this.#candidate = id;
  }

  #draw(): void {
    const job = this.#job;
    const word = job ? STATES[job.status] : "Asked for";
    if (word !== this.#state) this.#app.announce(word);
    this.#state = word;
    const prompt = job?.prompt ?? this.#asked?.args["prompt"];
    const source = this.#source();
    const done = job?.steps?.filter(ended).length ?? 0;
    this.#tick();
    // Drawn anew each time, its pictures and its bar would flicker.
    const looks = JSON.stringify([word, prompt, source, job?.job_id, job?.steps, this.#cancelling]);
    if (looks === this.#drawn) return;
    this.#drawn = looks;
    replace(
      this.element,
      h(
        "div",
        { class: "head" },
        source && this.#app.pictures.lazy(uriOf(source, "thumb"), "The picture that is edited", { class: "thumb" }),
        h(
          "div",
          { class: "grow" },
          typeof prompt === "string" && h("p", { class: "prompt", tabindex: -1 }, cut(prompt, 300)),
          h("p", { class: "facts" }, h("b", {}, word), " · ", this.#clock),
        ),
      ),
      this.#bar(done, job?.steps?.length ?? 0),
      job?.steps && this.#steps(job.steps),
      job && this.#app.source.call && button("cancel", "Cancel", () => void this.#cancel(), { "aria-disabled": this.#cancelling && "true" }),
      this.#note,
    );
  }

  #source(): string {
    const job = this.#job;
    const given = job?.arguments?.["image"] ?? this.#asked?.args["image"];
    return typeof given === "string" && /^[a-z0-9-]+\/\d+$/.test(given) ? given : "";
  }

  #bar(done: number, steps: number): Node {
    if (!steps) return h("progress", { "aria-label": "Under way" });
    return h("progress", { "aria-label": `${done} of ${steps} steps done`, max: steps, value: done });
  }

  #steps(steps: NonNullable<Job["steps"]>): Node {
    return h(
      "ol",
      { class: "steps" },
      ...steps.map((step) =>
        h(
          "li",
          {},
          ...step.images.map(({ ref }) => this.#app.pictures.lazy(uriOf(ref, "thumb"), ref, { class: "thumb small" })),
          h("span", { class: "grow" }, step.id),
          h("span", { class: "facts" }, STATES[step.status as Job["status"]] ?? step.status),
        ),
      ),
    );
  }

  #tick(): void {
    const job = this.#job;
    const passed_s = job?.seconds === undefined ? (Date.now() - this.#began) / 1000 : job.seconds + (Date.now() - this.#readAt) / 1000;
    const left = job?.eta_seconds ? ` · about ${secondsWords(job.eta_seconds)} to go` : "";
    const cost = job?.cost ? ` · ${costWords(job.cost)}` : "";
    this.#clock.textContent = `${secondsWords(passed_s)}${left}${cost}`;
  }

  async #cancel(): Promise<void> {
    const job = this.#job;
    if (!job || this.#cancelling || !this.#app.source.call) return;
    this.#cancelling = true;
    this.#draw();
    const words: Record<string, string> = {
      cannot_cancel: "It cannot be cancelled: it goes on and is charged, and its result is kept.",
      already_ended: "It had ended already.",
      cancelled: "Cancelled.",
    };
    try {
      const answer: Answer = await this.#app.source.call("cancel_job", { job_id: job.job_id });
      const told = answer.structuredContent as unknown as Job | undefined;
      this.#outcome = words[told?.outcome ?? ""] ?? told?.error?.message ?? "The server did not say what became of it.";
    } catch (error) {
      this.#outcome = `It was not cancelled: ${(error as Error).message}`;
    }
    this.#cancelling = false;
    say(this.#note, this.#outcome);
    this.#app.announce(this.#outcome);
    this.#draw();
  }
}
