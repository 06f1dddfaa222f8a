// Pictures on canvases. An `<img>` with a blob: or data: address is what some hosts' policies forbid; a bitmap that was
// decoded here and drawn by us passes under every one (research: also under `img-src 'none'`).
import { h } from "./dom";
import type { Source } from "./source";

const AT_ONCE = 4;
const KEPT = 150;

export class Pictures {
  private readonly kept = new Map<string, Promise<Blob>>();
  private readonly waiting: (() => void)[] = [];
  private busy = 0;

  constructor(private readonly source: Source) {}

  /** Read and decode a picture. */
  async bitmap(uri: string): Promise<ImageBitmap> {
    return createImageBitmap(await this.blob(uri));
  }

  /** Read a picture's bytes; the newest stay at hand, so that walking to and fro asks for nothing. */
  blob(uri: string): Promise<Blob> {
    const known = this.kept.get(uri);
    const read = known ?? this.inTurn(uri);
    this.kept.delete(uri);
    this.kept.set(uri, read);
    if (!known) read.catch(() => this.kept.delete(uri));
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= KEPT) break;
      this.kept.delete(oldest);
    }
    return read;
  }

  /** A canvas that shows a picture while it is near the screen, and holds no memory when it is not. */
  lazy(uri: string, label: string, props: Record<string, string> = {}): HTMLCanvasElement {
    const canvas = h("canvas", { width: 0, height: 0, ...props, ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) });
    new IntersectionObserver(
      (entries) => {
        if (entries.at(-1)!.isIntersecting) {
          if (!canvas.width) this.paint(canvas, uri).catch(() => canvas.classList.add("missing"));
        } else if (canvas.width) canvas.width = canvas.height = 0;
      },
      { rootMargin: "400px" },
    ).observe(canvas);
    return canvas;
  }

  async paint(canvas: HTMLCanvasElement, uri: string): Promise<ImageBitmap> {
    const bitmap = await this.bitmap(uri);
    draw(canvas, bitmap);
    return bitmap;
  }

  private async inTurn(uri: string): Promise<Blob> {
    if (this.busy >= AT_ONCE) await new Promise<void>((go) => this.waiting.push(go));
    this.busy++;
    try {
      const content = await this.source.read(uri);
      if (!("blob" in content)) throw new Error("That is no picture.");
      return content.blob;
    } finally {
      this.busy--;
      this.waiting.shift()?.();
    }
  }
}

export function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap): void {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
}
