// Elements made in one expression, and the few things every part of the view needs.

type Child = Node | string | false | null | undefined;
type Handler<E extends Event = Event> = (event: E) => void;
type Props = Record<string, string | number | boolean | null | undefined | Handler<never>>;

/** Make an element: `on…` is a listener, `true` an empty attribute, `false` and `null` none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== false && child != null));
  return element;
}

/** A button; its `key` finds it again after its part of the page was drawn anew. */
export const button = (key: string, label: string | Node[], onclick: () => void, props: Props = {}): HTMLButtonElement =>
  h("button", { type: "button", "data-key": key, onclick, ...props }, ...[label].flat());

/** Replace what an element holds; who had the focus keeps it where that is still there, else it goes to the first. */
export function replace(element: Element, ...children: Child[]): void {
  const held = document.activeElement;
  const key = held && element.contains(held) ? (held.getAttribute("data-key") ?? "") : null;
  element.replaceChildren(...children.filter((child): child is Node | string => child !== false && child != null));
  if (key === null) return;
  const same = element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  (same ?? element.querySelector<HTMLElement>(".prompt, button"))?.focus({ preventScroll: true });
}

/** Copy text; a sandbox has no clipboard permission, so that the older way stands behind it. */
export async function copy(text: string): Promise<boolean> {
  const held = document.activeElement as HTMLElement | null;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    held?.focus({ preventScroll: true });
    return done;
  }
}

/** Let arrow keys walk a list of which one is in the tab order at a time. */
export function roving(list: HTMLElement, selector: string, back: string[], forth: string[]): void {
  list.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll<HTMLElement>(selector)];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    const to = back.includes(event.key)
      ? at - 1
      : forth.includes(event.key)
        ? at + 1
        : event.key === "Home"
          ? 0
          : event.key === "End"
            ? items.length - 1
            : null;
    const next = to === null ? undefined : items[Math.max(0, Math.min(items.length - 1, to))];
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    for (const item of items) item.tabIndex = item === next ? 0 : -1;
    next.focus();
  });
}
