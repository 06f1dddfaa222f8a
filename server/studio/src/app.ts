// What the parts of the view share: where to read, and whom to tell.
import { h } from "./dom";
import type { Pictures } from "./pictures";
import type { Source } from "./source";
import type { Answer } from "./types";

/** What is told with a picture: those that came with it, whether two are a pair, the warnings of their job. */
export interface Beside {
  set?: string[];
  pair?: boolean;
  warnings?: string[];
}

export interface App {
  source: Source;
  pictures: Pictures;
  /** Say something that a screen reader reads out, once. */
  announce(text: string): void;
  /** Show a picture. */
  open(ref: string, beside?: Beside): void;
  /** Take a tool's answer: show its pictures, follow its job. */
  answered(answer: Answer): void;
  /** Show all pictures. */
  browse(): void;
  /** Show again what was shown before them. */
  back(): void;
}

/** A short note under what it is about; empty it says nothing. */
export const note = (): HTMLParagraphElement => h("p", { class: "note", hidden: true });

export function say(element: HTMLElement, text: string): void {
  element.textContent = text;
  element.hidden = !text;
}
