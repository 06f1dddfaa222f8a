// Another try with another seed. It costs money: the first click asks for the price, a second one on the price buys, of
// the provider that the price was asked of. What is bought under one price is bought once: it has one request key.
import { type App, say } from "./app";
import { button, h, replace } from "./dom";
import type { Answer, Cost, Failure, Meta } from "./types";
import { costWords, failureWords } from "./words";

/** A second click of a double one is no yes to a price that has just come up under it. */
const READING_MS = 400;
const MAX_SEED = 2 ** 32 - 1;
const PRICE_HOLDS_MS = 300_000;

/** Whether a picture can be tried again from here: its call is known, and its source is kept. */
export function canTry(app: App, meta: Meta | null): boolean {
  const { tool, arguments: args } = meta?.job ?? {};
  return Boolean(app.source.call && args && (tool === "generate_image" || (tool === "edit_image" && args["image"])));
}

export class Variant {
  readonly #app: App;
  readonly #left: () => void;
  readonly element = h("div", { class: "panel", role: "group", "aria-label": "Another try", hidden: true });
  /** Rises with each question and each end: whatever answers an earlier one comes too late. */
  #round = 0;

  constructor(app: App, left: () => void) {
    this.#app = app;
    this.#left = left;
  }

  close(): void {
    this.#round++;
    this.element.hidden = true;
  }

  /** Ask for the price of a picture's words with another seed. */
  async offer(meta: Meta): Promise<void> {
    const round = ++this.#round;
    const seed = Math.ceil(Math.random() * MAX_SEED);
    const tool = meta.job.tool ?? "";
    const args = { ...meta.job.arguments, num_images: 1, seed };
    this.#tell("Asking for the price …");
    const { structuredContent: quote, isError } = await this.#ask(tool, { ...args, dry_run: true });
    if (round !== this.#round) return;
    const cost = quote?.["cost"] as Cost | undefined;
    if (isError || !quote?.["dry_run"] || !cost) return this.#refused(quote, "The client did not tell the price.");
    const price = costWords(cost);
    const provider = quote["provider"];
    const warnings = (quote["warnings"] as string[] | undefined)?.join(" ") ?? "";
    const key = `studio-${seed}-${Date.now().toString(36)}`;
    const at = Date.now();
    const buy = async (): Promise<void> => {
      const age_ms = Date.now() - at;
      if (round !== this.#round || age_ms < READING_MS) return;
      if (age_ms > PRICE_HOLDS_MS) return this.offer(meta);
      const buying = ++this.#round;
      this.#tell("Sending …");
      const answer = await this.#ask(tool, { ...args, provider, request_key: key, wait_seconds: 0 });
      if (buying !== this.#round) return;
      if (answer.isError) return this.#refused(answer.structuredContent, "It was refused.");
      this.element.hidden = true;
      this.#app.answered(answer);
    };
    this.#tell(
      `The same words with another seed, by ${provider}: ${price}. ${warnings}`.trim(),
      button("buy", `Make it: ${price}`, () => void buy(), { class: "main" }),
    );
  }

  async #ask(tool: string, args: Record<string, unknown>): Promise<Answer> {
    try {
      return await this.#app.source.call!(tool, args);
    } catch (error) {
      const told = "request_key" in args ? " What was bought is among all pictures once it is made." : "";
      const message = `No answer came: ${(error as Error).message}${told}`;
      return { isError: true, structuredContent: { error: { message, fix: "", billed: "" } } };
    }
  }

  #refused(fields: Answer["structuredContent"], otherwise: string): void {
    const failure = fields?.["error"] as Failure | undefined;
    this.#tell(failure ? `${failureWords(failure)} ${failure.fix}`.trim() : otherwise);
  }

  #tell(text: string, ...more: Node[]): void {
    this.element.hidden = false;
    const words = h("p", { tabindex: -1 });
    say(words, text);
    const leave = button("leave", "Close", () => { this.close(); this.#left(); });
    replace(this.element, words, h("div", { class: "actions" }, ...more, leave));
    // Not onto a button: a key that is still held down must not buy anything.
    words.focus({ preventScroll: true });
    this.#app.announce(text);
  }
}
