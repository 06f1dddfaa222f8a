// Before and after: under a slider, side by side, or as their difference. Pictures of different shapes stand side by
// side, for nothing in one lies where it lies in the other.
import { button, h, replace } from "./dom";
import { draw, type Pictures } from "./pictures";
import { uriOf } from "./types";

export type Mode = "slider" | "side" | "difference";
const MODES: [Mode, string][] = [
  ["slider", "Slider"],
  ["side", "Side by side"],
  ["difference", "Difference"],
];
const SHAPES_DIFFER = 0.02;

export interface Side {
  ref: string;
  name: string;
  alt: string;
}

interface Seen {
  side: Side;
  bitmap: ImageBitmap;
}

/** The picture area of one result. */
export class Compare {
  readonly element = h("div", { class: "compare" }, h("div", { class: "stage" }));
  readonly #pictures: Pictures;
  readonly #form: string;
  #mode: Mode = "slider";
  /** What is shown, the picture before first. */
  #seen: Seen[] = [];
  #round = 0;
  #start = 50;

  /** `form`: of the pictures that are compared; a page with room for them takes them as delivered. */
  constructor(pictures: Pictures, form: string) {
    this.#pictures = pictures;
    this.#form = form;
  }

  /** Show a picture, beside the one before it where there is one; `start` % of that are seen at first. */
  async show(after: Side, before: Side | null, size: [number, number] | undefined, start: number): Promise<void> {
    const round = ++this.#round;
    this.#start = start;
    const sides = before ? [before, after] : [after];
    if (!this.#seen.length || !size) this.element.style.setProperty("--ratio", String((size?.[0] ?? 3) / (size?.[1] ?? 2)));
    const read = await Promise.allSettled(
      sides.map(async (side) => ({ side, bitmap: await this.#pictures.bitmap(uriOf(side.ref, this.#form)) })),
    );
    if (round !== this.#round) return;
    this.#seen = read.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const failed = read.find((one) => one.status === "rejected");
    this.#draw(failed && "reason" in failed ? String((failed.reason as Error).message) : "");
  }

  /** Take the next way to compare. */
  next(): void {
    if (!this.#alike) return;
    const at = MODES.findIndex(([mode]) => mode === this.#mode);
    this.#mode = MODES[(at + 1) % MODES.length]![0];
    this.#draw();
  }

  /** Show the picture before alone, while a key is held. */
  hold(on: boolean): void {
    this.element.classList.toggle("held", on && this.#seen.length > 1);
  }

  get #alike(): boolean {
    const [a, b] = this.#seen;
    return !!a && !!b && Math.abs(ratio(a) / ratio(b) - 1) < SHAPES_DIFFER;
  }

  #draw(trouble = ""): void {
    const mode = this.#seen.length < 2 ? "one" : this.#alike ? this.#mode : "side";
    const last = this.#seen.at(-1);
    this.element.dataset["mode"] = mode;
    this.element.style.setProperty("--ratio", String(last ? ratio(last) : 1.5));
    replace(
      this.element,
      h("div", { class: "stage" }, ...(mode === "difference" ? [this.#difference()] : this.#plain(mode))),
      trouble && h("p", { class: "note" }, trouble),
      mode === "side" && !this.#alike && h("p", { class: "note" }, this.#shapes()),
      mode === "difference" && h("p", { class: "note" }, "Black did not change; the brighter, the more it did."),
      this.#alike && this.#chooser(),
    );
  }

  #plain(mode: Mode | "one"): Node[] {
    const figures = this.#seen.map(({ side, bitmap }, i) => {
      const canvas = h("canvas", { role: "img", "aria-label": `${side.name}: ${side.alt}` });
      draw(canvas, bitmap);
      const two = this.#seen.length > 1;
      return h("figure", { class: two && i === 0 ? "before" : "after" }, canvas, two && h("figcaption", {}, side.name));
    });
    if (mode !== "slider") return figures;
    const range = h("input", { type: "range", min: 0, max: 100, value: this.#start, "data-key": "slider", "aria-label": "Compare before and after" });
    const move = (): void => {
      this.#start = Number(range.value);
      this.element.style.setProperty("--at", `${range.value}%`);
      range.setAttribute("aria-valuetext", `${range.value} % before, ${100 - Number(range.value)} % after`);
    };
    range.addEventListener("input", move);
    move();
    return [...figures.reverse(), range];
  }

  #difference(): Node {
    const [before, after] = this.#seen.map((one) => one.bitmap);
    const canvas = h("canvas", { role: "img", "aria-label": "What differs between before and after" });
    draw(canvas, after!);
    const ctx = canvas.getContext("2d");
    if (ctx) {
      ctx.globalCompositeOperation = "difference";
      ctx.drawImage(before!, 0, 0, canvas.width, canvas.height);
      ctx.globalCompositeOperation = "lighter";
      // Doubled twice: what an edit moved a little would else be black on black.
      ctx.drawImage(canvas, 0, 0);
      ctx.drawImage(canvas, 0, 0);
    }
    return h("figure", {}, canvas);
  }

  #chooser(): Node {
    return h(
      "div",
      { class: "modes", role: "group", "aria-label": "How to compare" },
      ...MODES.map(([mode, label]) =>
        button(`mode-${mode}`, label, () => { this.#mode = mode; this.#draw(); }, { "aria-pressed": String(mode === this.#mode) }),
      ),
    );
  }

  #shapes(): string {
    const [before, after] = this.#seen.map(({ bitmap }) => shape(bitmap.width, bitmap.height));
    return `The pictures have different shapes (${before} and ${after}), so they stand side by side.`;
  }
}

function ratio({ bitmap }: Seen): number {
  return bitmap.width / bitmap.height;
}

/** A shape in words that survive scaling: previews are smaller than what they show. */
function shape(width: number, height: number): string {
  return width >= height ? `${(width / height).toFixed(2)}:1` : `1:${(height / width).toFixed(2)}`;
}
