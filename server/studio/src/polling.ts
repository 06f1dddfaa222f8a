// Asking again how a job stands: at once, then ever less often; not while nobody looks; never after the end.

const FIRST_MS = 700;
const MOST_MS = 3000;
const GROWTH = 1.4;

/** Calls `look` until it gives true or `stop` is called. */
export class Polling {
  readonly #look: () => Promise<boolean>;
  #timer = 0;
  #wait = FIRST_MS;
  #over = false;
  #seen = true;
  #asking = false;
  readonly #watcher: IntersectionObserver;
  readonly #wake = (): void => this.#again(FIRST_MS);

  constructor(look: () => Promise<boolean>) {
    this.#look = look;
    document.addEventListener("visibilitychange", this.#wake);
    this.#watcher = new IntersectionObserver((entries) => {
      const was = this.#seen;
      this.#seen = entries.at(-1)!.isIntersecting;
      if (this.#seen && !was) this.#wake();
    });
    this.#watcher.observe(document.body);
    this.#again(0);
  }

  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#watcher.disconnect();
    document.removeEventListener("visibilitychange", this.#wake);
  }

  #again(in_ms: number): void {
    clearTimeout(this.#timer);
    if (this.#over || this.#asking || document.hidden || !this.#seen) return;
    this.#timer = window.setTimeout(() => void this.#turn(), in_ms);
  }

  async #turn(): Promise<void> {
    this.#asking = true;
    const done = await this.#look();
    this.#asking = false;
    if (done) return this.stop();
    this.#again(this.#wait);
    this.#wait = Math.min(MOST_MS, this.#wait * GROWTH);
  }
}
