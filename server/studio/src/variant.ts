// Another try with another seed. It costs money: the first click only asks for the price, the second one buys, and both
// buy at most once, for they go out under one request key.
import type { App } from "./app";
import { button, h, replace } from "./dom";
import type { Answer, Cost, Failure, Job, Meta } from "./types";
import { costWords, failureWords } from "./words";

const TOOLS = ["edit_image", "generate_image"];

/** Whether a picture can be tried again from here. */
export const canTry = (app: App, meta: Meta | null): boolean =>
  Boolean(app.source.call && meta?.job.arguments && TOOLS.includes(meta.job.tool ?? ""));

export async function tryAgain(app: App, meta: Meta, panel: HTMLElement): Promise<void> {
  const tool = meta.job.tool ?? "";
  const seed = 1 + (crypto.getRandomValues(new Uint32Array(1))[0]! % 4_294_967_294);
  const args = { ...meta.job.arguments, num_images: 1, seed };
  const key = `studio-${seed}-${Date.now().toString(36)}`;
  const close = (): void => { panel.hidden = true; };
  const tell = (text: string, ...more: Node[]): void => {
    panel.hidden = false;
    const words = h("p", { tabindex: -1 }, text);
    replace(panel, words, h("div", { class: "actions" }, ...more));
    // Not onto a button: a key that is still held down must not buy anything.
    words.focus({ preventScroll: true });
    app.announce(text);
  };
  const ask = async (more: Record<string, unknown>): Promise<Record<string, unknown> | null> => {
    try {
      const answer: Answer = await app.source.call!(tool, { ...args, ...more });
      const fields = answer.structuredContent ?? {};
      if (!answer.isError) return fields;
      const failure = fields["error"] as Failure | undefined;
      tell(failure ? `${failureWords(failure)} ${failure.fix}` : "The server refused it.", button("close", "Close", close));
    } catch (error) {
      const again = "request_key" in more ? [button("buy", "Ask again; nothing is bought twice", () => void buy())] : [];
      tell(`No answer came: ${(error as Error).message}`, ...again, button("close", "Close", close));
    }
    return null;
  };
  const buy = async (): Promise<void> => {
    tell("Sending …");
    const job = await ask({ request_key: key, wait_seconds: 0 });
    if (!job) return;
    close();
    app.follow(job as unknown as Job);
  };
  tell("Asking for the price …");
  const quote = await ask({ dry_run: true });
  if (!quote) return;
  const price = costWords(quote["cost"] as Cost);
  const warnings = (quote["warnings"] as string[] | undefined)?.join(" ") ?? "";
  tell(
    `The same words with another seed, by ${quote["provider"]}: ${price}. ${warnings}`.trim(),
    button("buy", `Make it: ${price}`, () => void buy(), { class: "main" }),
    button("close", "Not now", close),
  );
}
