// Where a picture comes from and what became of it: the line of edits that leads to it, and the tree of all of them.
import type { App } from "./app";
import { button, h, roving } from "./dom";
import { json } from "./source";
import { type Lineage, type Relative, uriOf } from "./types";
import { cut } from "./words";

const LABEL_CHARS = 60;

const nameOf = (one: Relative): string => (one.ref.endsWith("/0") ? "The source" : cut(one.prompt ?? one.ref, LABEL_CHARS));

/** The row of pictures from the source to the one shown, and what was made from that. */
export function line(app: App, lineage: Lineage, shown: Relative, pick: (ref: string) => void): Node | null {
  const children = lineage.descendants.filter((one) => one.parent === shown.ref);
  const row = [...lineage.ancestors, shown, ...children];
  if (row.length < 2) return null;
  const list = h(
    "ol",
    { class: "line", "aria-label": "The line of edits" },
    ...row.map((one, i) => {
      const at = one.ref === shown.ref;
      return h(
        "li",
        { class: i > lineage.ancestors.length ? "next" : null },
        button(`line-${one.ref}`, [app.pictures.lazy(uriOf(one.ref, "thumb"), "")], () => pick(one.ref), {
          "aria-current": at && "true",
          "aria-label": `${i + 1} of ${row.length}: ${nameOf(one)}`,
          tabindex: at ? 0 : -1,
        }),
      );
    }),
  );
  roving(list, "button", ["ArrowLeft", "ArrowUp"], ["ArrowRight", "ArrowDown"]);
  return list;
}

/** Everything that was made from the same source, each under what it was made from. */
export async function tree(app: App, lineage: Lineage, shown: string, pick: (ref: string) => void): Promise<Node> {
  const root = lineage.ancestors[0];
  const whole = root ? await json<Lineage>(app.source, uriOf(root.ref, "lineage")) : lineage;
  const first: Relative = root ?? whole.ancestors[0] ?? { ref: whole.ref };
  const below = new Map<string, Relative[]>();
  for (const one of whole.descendants) below.set(one.parent ?? "", [...(below.get(one.parent ?? "") ?? []), one]);
  const items: Node[] = [];
  const put = (one: Relative, level: number): void => {
    const at = one.ref === shown;
    const shows = [app.pictures.lazy(uriOf(one.ref, "thumb"), "", { class: "thumb small" }), h("span", {}, nameOf(one))];
    const item = button(`tree-${one.ref}`, shows, () => pick(one.ref), {
      role: "treeitem",
      "aria-level": level,
      "aria-selected": String(at),
      tabindex: at ? 0 : -1,
    });
    // As an attribute, a page's policy would refuse it.
    item.style.setProperty("--level", String(Math.min(level - 1, 8)));
    items.push(item);
    for (const child of below.get(one.ref) ?? []) put(child, level + 1);
  };
  put(first, 1);
  const list = h("div", { class: "tree", role: "tree", "aria-label": "All edits of the same source" }, ...items);
  if (!list.querySelector('[tabindex="0"]')) (items[0] as HTMLElement).tabIndex = 0;
  roving(list, "button", ["ArrowUp", "ArrowLeft"], ["ArrowDown", "ArrowRight"]);
  return whole.more ? h("div", {}, list, h("p", { class: "note" }, "There are more.")) : list;
}
