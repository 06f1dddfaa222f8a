// One key for each thing that can be done; none while somebody writes, and each is listed under `?`.
import { button, h } from "./dom";

export interface Keys {
  [key: string]: [words: string, act: (down: boolean) => void];
}

export function listen(keys: () => Keys): void {
  const heard = (event: KeyboardEvent, down: boolean): void => {
    if (document.querySelector("dialog")) return;
    const at = event.target as HTMLElement;
    const writes = at.matches("input:not([type=range]), select, textarea");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || (writes && event.key !== "Escape")) return;
    // Arrows move the slider where that has the focus.
    if (event.key.startsWith("Arrow") && at.matches("input")) return;
    const name = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const known = Object.hasOwn(keys(), name) ? keys()[name] : undefined;
    if (!known || (down && event.repeat && !name.startsWith("Arrow"))) return;
    if (down) event.preventDefault();
    known[1](down);
  };
  addEventListener("keydown", (event) => heard(event, true));
  addEventListener("keyup", (event) => heard(event, false));
}

const NAMES: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };

export function help(keys: Keys): HTMLDialogElement {
  const dialog = h(
    "dialog",
    { "aria-label": "Keys", onclose: () => dialog.remove() },
    h("h2", {}, "Keys"),
    h("dl", {}, ...Object.entries(keys).map(([key, [words]]) => h("div", {}, h("dt", {}, h("kbd", {}, NAMES[key] ?? key)), h("dd", {}, words)))),
    button("close", "Close", () => dialog.close()),
  );
  return dialog;
}
