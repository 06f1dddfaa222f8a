// The two sources without a host: the gallery, which asks its server, and a file, which holds all it shows.
// Both only read.
import { type Content, decoded, save, type Source } from "./source";

/** What a page says of itself, in its data block. */
export interface PageData {
  kind: "gallery" | "file";
  show?: string;
  title?: string;
  lead?: string[];
  tail?: { heading: string; text: string; code: string };
  resources?: Record<string, { mimeType: string; text?: string; blob?: string }>;
}

export function pageData(): PageData | null {
  const block = document.querySelector("script#kontext");
  return block ? (JSON.parse(block.textContent ?? "") as PageData) : null;
}

export const gallerySource: Source = {
  near: true,
  async read(uri) {
    const answer = await fetch("read?uri=" + encodeURIComponent(uri)).catch(() => {
      throw new Error("The gallery was ended. Start it again: kontext gallery");
    });
    if (answer.status === 401) throw new Error("Open the address that kontext gallery printed.");
    const isPicture = answer.headers.get("content-type")?.startsWith("image/");
    if (answer.ok) return isPicture ? { blob: await answer.blob() } : { text: await answer.text() };
    const told = (await answer.json().catch(() => ({}))) as { error?: string };
    throw new Error(told.error ?? `The gallery answered with ${answer.status}.`);
  },
  download: save,
};

export function fileSource(resources: NonNullable<PageData["resources"]>): Source {
  return {
    whole: true,
    async read(uri): Promise<Content> {
      // A file holds previews alone: they stand for the smaller and the larger forms of the same picture.
      const found = resources[uri] ?? resources[uri.replace(/(\/\d+)(\/thumb)?$/, "$1/preview")];
      if (!found) throw new Error("This file does not hold that.");
      return found.blob === undefined ? { text: found.text ?? "" } : { blob: decoded(found.blob, found.mimeType) };
    },
    download: save,
  };
}
