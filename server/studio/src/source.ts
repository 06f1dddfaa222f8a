// Where the studio reads from and what it may ask for: the seam. One source is made at start, by the page it stands in:
// a host's iframe (host.ts), the gallery or a file that holds all it shows (page_sources.ts).
import type { Answer } from "./types";

export type Content = { text: string } | { blob: Blob };

export interface Source {
  /** The page holds all it shows: there is nothing to browse and nobody to ask. */
  readonly whole?: boolean;
  /** Whole pictures cost little: they come from this machine. */
  readonly near?: boolean;
  /** Read a resource of the server. Rejects with a sentence for people. */
  read(uri: string): Promise<Content>;
  /** Call a tool; absent where nothing may be changed. */
  call?(tool: string, args: Record<string, unknown>): Promise<Answer>;
  /** Say something in the conversation, as the person. */
  say?(text: string): Promise<void>;
  /** Tell the model what the person is looking at; each call replaces the one before. */
  tell?(text: string): void;
  /** Give the person a file. */
  download(name: string, content: Content): Promise<void>;
  /** Take the whole window, where there is more of it to have. */
  enlarge?(): Promise<void>;
}

export async function json<T>(source: Source, uri: string): Promise<T> {
  const content = await source.read(uri);
  if (!("text" in content)) throw new Error("The answer cannot be read.");
  return JSON.parse(content.text) as T;
}

/** Base64 to bytes. `fetch` of a data: address would be shorter, but no host's policy lets it through. */
export const decoded = (base64: string, type: string): Blob =>
  new Blob([Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))], { type });

/** Save by a link, where the page is not in a sandbox. */
export async function save(name: string, content: Content): Promise<void> {
  const blob = "blob" in content ? content.blob : new Blob([content.text]);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
