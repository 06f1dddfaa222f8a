// A job under way: its state in words, the seconds, a plan's steps, and Cancel.
//
// A host tells the arguments when a call begins and the answer when it ends; the job's id lies between. Until then the
// job is looked for among the newest: the one alone that is of this call's tool and words and no older than this view.
import { type App, note, say } from "./app";
import { button, h, replace } from "./dom";
import { Polling } from "./polling";
import { json } from "./source";
import { type Answer, ended, type Job, uriOf } from "./types";
import { costWords, cut, secondsWords, STATES } from "./words";

const PROMPT_CHARS = 500; // as the list of jobs cuts them
const SLACK_S = 3;

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
  readonly element = h("section", { class: "running", "aria-label": "Under way" });
  private readonly clock = h("span", { class: "clock" });
  private readonly note = note();
  private readonly began = Date.now();
  private readonly timer: number;
  private readonly polling: Polling;
  private readAt = Date.now();
  private candidate = "";
  private state = "";
  private cancelling = false;
  private over = false;

  constructor(
    private readonly app: App,
    private readonly asked: Asked | null,
    private job: Job | null,
    private readonly onEnd: (job: Job) => void,
  ) {
    this.draw();
    this.timer = window.setInterval(() => this.tick(), 1000);
    this.polling = new Polling(() => this.look());
  }

  stop(): void {
    this.over = true;
    clearInterval(this.timer);
    this.polling.stop();
  }

  private async look(): Promise<boolean> {
    if (!this.job) await this.find();
    if (!this.job) return false;
    const job = await json<Job>(this.app.source, `kontext://jobs/${this.job.job_id}`);
    if (this.over) return true;
    this.job = job;
    this.readAt = Date.now();
    if (ended(this.job)) {
      clearInterval(this.timer);
      this.onEnd(this.job);
      return true;
    }
    this.draw();
    return false;
  }

  /** Look for our job; seen alone twice, it is ours. */
  private async find(): Promise<void> {
    const { tool, args } = this.asked ?? { tool: "", args: {} };
    const age_s = (Date.now() - this.began) / 1000 + SLACK_S;
    const prompt = typeof args["prompt"] === "string" ? cut(args["prompt"], PROMPT_CHARS) : undefined;
    const { jobs } = await json<{ jobs: Job[] }>(this.app.source, "kontext://jobs");
    const [one, ...others] = jobs.filter(
      (job) =>
        !ended(job) && job.tool === tool && (job.seconds ?? Infinity) <= age_s && (!prompt || job.prompt === prompt),
    );
    const id = one && !others.length ? one.job_id : "";
    if (one && id && id === this.candidate) this.job = one;
    this.candidate = id;
  }

  private draw(): void {
    const { job } = this;
    const word = job ? STATES[job.status] : "Asked for";
    if (word !== this.state) this.app.announce(word);
    this.state = word;
    const prompt = job?.prompt ?? this.asked?.args["prompt"];
    const source = this.source();
    const done = job?.steps?.filter((step) => !["pending", "processing"].includes(step.status)).length ?? 0;
    this.tick();
    replace(
      this.element,
      h(
        "div",
        { class: "head" },
        source && this.app.pictures.lazy(uriOf(source, "thumb"), "The picture that is edited", { class: "thumb" }),
        h(
          "div",
          { class: "grow" },
          typeof prompt === "string" && h("p", { class: "prompt" }, cut(prompt, 300)),
          h("p", { class: "facts" }, h("b", {}, word), " · ", this.clock),
        ),
      ),
      this.bar(done, job?.steps?.length ?? 0),
      job?.steps && this.steps(job.steps),
      job && this.app.source.call && button("cancel", "Cancel", () => void this.cancel(), { disabled: this.cancelling }),
      this.note,
    );
  }

  private source(): string {
    const { job } = this;
    const given = job?.arguments?.["image"] ?? this.asked?.args["image"];
    return typeof given === "string" && /^[a-z0-9-]+\/\d+$/.test(given) ? given : "";
  }

  private bar(done: number, steps: number): Node {
    if (!steps) return h("progress", { "aria-label": "Under way" });
    return h("progress", { "aria-label": `${done} of ${steps} steps done`, max: steps, value: done });
  }

  private steps(steps: NonNullable<Job["steps"]>): Node {
    return h(
      "ol",
      { class: "steps" },
      ...steps.map((step) =>
        h(
          "li",
          {},
          ...step.images.map(({ ref }) => this.app.pictures.lazy(uriOf(ref, "thumb"), ref, { class: "thumb small" })),
          h("span", { class: "grow" }, step.id),
          h("span", { class: "facts" }, STATES[step.status as Job["status"]] ?? step.status),
        ),
      ),
    );
  }

  private tick(): void {
    const { job } = this;
    const passed_s = job?.seconds === undefined ? (Date.now() - this.began) / 1000 : job.seconds + (Date.now() - this.readAt) / 1000;
    const left = job?.eta_seconds ? ` · about ${secondsWords(job.eta_seconds)} to go` : "";
    const cost = job?.cost ? ` · ${costWords(job.cost)}` : "";
    this.clock.textContent = `${secondsWords(passed_s)}${left}${cost}`;
  }

  private async cancel(): Promise<void> {
    const { job } = this;
    if (!job || this.cancelling || !this.app.source.call) return;
    this.cancelling = true;
    this.draw();
    const words: Record<string, string> = {
      cannot_cancel: "It cannot be cancelled any more: it goes on and is charged, and its result is kept.",
      already_ended: "It had ended already.",
      cancelled: "Cancelled.",
    };
    try {
      const answer: Answer = await this.app.source.call("cancel_job", { job_id: job.job_id });
      const told = answer.structuredContent as unknown as Job | undefined;
      say(this.note, words[told?.outcome ?? ""] ?? told?.error?.message ?? "The server did not say what became of it.");
    } catch (error) {
      say(this.note, `It was not cancelled: ${(error as Error).message}`);
    }
    this.cancelling = false;
    this.app.announce(this.note.textContent ?? "");
    this.draw();
  }
}
