// Pictures on canvases. An `<img>` with a blob: or data: address is what some hosts' policies forbid; a bitmap that was
// decoded here and drawn by us passes under every one (research: also under `img-src 'none'`).
import { h } from "./dom";
import type { Source } from "./source";

const AT_ONCE = 4;
/** Of a host, whose answers no browser keeps. */
const KEPT = 150;

export class Pictures {
  readonly #source: Source;
  readonly #kept = new Map<string, Promise<Blob>>();
  /** Who waits for their turn, the last to come served first: what is on the screen now. */
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Read and decode a picture, if it is still wanted when its turn comes. */
  async bitmap(uri: string, wanted = (): boolean => true): Promise<ImageBitmap> {
    return createImageBitmap(await this.#blob(uri, wanted));
  }

  /** Read a picture's bytes; the newest stay at hand, so that walking to and fro asks for nothing. */
  #blob(uri: string, wanted: () => boolean): Promise<Blob> {
    const known = this.#kept.get(uri);
    const read = known ?? this.#inTurn(uri, wanted);
    this.#kept.delete(uri);
    this.#kept.set(uri, read);
    if (!known) read.catch(() => this.#kept.delete(uri));
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= (this.#source.near ? AT_ONCE : KEPT)) break;
      this.#kept.delete(oldest);
    }
    return read;
  }

  /** A canvas that shows a picture while it is near the screen, and holds no memory when it is not. */
  lazy(uri: string, label: string, props: Record<string, string> = {}): HTMLCanvasElement {
    const canvas = h("canvas", { width: 0, height: 0, ...props, ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) });
    let near = false;
    const paint = async (): Promise<void> => {
      const bitmap = await this.bitmap(uri, () => near).catch(() => null);
      if (near && bitmap) draw(canvas, bitmap);
      canvas.classList.toggle("missing", near && !bitmap);
      bitmap?.close();
    };
    new IntersectionObserver(
      (entries) => {
        near = entries.at(-1)!.isIntersecting;
        if (!near) canvas.width = canvas.height = 0;
        else if (!canvas.width) void paint();
      },
      { rootMargin: "400px" },
    ).observe(canvas);
    return canvas;
  }

  async #inTurn(uri: string, wanted: () => boolean): Promise<Blob> {
    if (this.#busy >= AT_ONCE) await new Promise<void>((go) => this.#waiting.push(go));
    this.#busy++;
    try {
      if (!wanted()) throw new Error("It is not wanted any more.");
      const content = await this.#source.read(uri);
      if (!("blob" in content)) throw new Error("That is no picture.");
      return content.blob;
    } finally {
      this.#busy--;
      this.#waiting.pop()?.();
    }
  }
}

export function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap): void {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
}
