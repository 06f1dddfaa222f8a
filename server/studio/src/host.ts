// An MCP host's iframe as a source: JSON-RPC over postMessage, by the MCP Apps specification of 2026-01-26.
// The types are the official package's, so that a change of the specification is a type error; the code is ours, for
// the package's own would be fifteen times as large as the whole studio.
import type {
  McpUiHostCapabilities,
  McpUiHostContext,
  McpUiInitializeResult,
} from "@modelcontextprotocol/ext-apps";
import { type Content, decoded, type Source } from "./source";
import type { Answer } from "./types";

const VERSION = "2026-01-26";
/** A host that never answers a request: so long a person looks at nothing. Tools may wait up to 50 s by themselves. */
const PATIENCE_MS = 90_000;

/** What happens in the host, as the studio hears of it; in any order, and any of it twice. */
export interface Ears {
  input(args: Record<string, unknown>): void;
  result(answer: Answer): void;
  cancelled(): void;
  context(changed: McpUiHostContext): void;
  /** The view is to go: nothing may be asked any more. */
  teardown(): void;
}

interface Message {
  jsonrpc: "2.0";
  id?: number | string;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { message?: string };
}

interface ReadResult {
  contents: { mimeType?: string; text?: string; blob?: string }[];
}

export class Host implements Source {
  call?: NonNullable<Source["call"]>;
  say?: NonNullable<Source["say"]>;
  tell?: NonNullable<Source["tell"]>;
  enlarge?: NonNullable<Source["enlarge"]>;
  readonly #ears: Ears;
  #can: McpUiHostCapabilities = {};
  readonly #open = new Map<number | string, (message: Message) => void>();
  #last = 0;
  /** What was told before the handshake's end, when it is not known yet what may be asked for. */
  #early: (() => void)[] | null = [];

  constructor(ears: Ears) {
    this.#ears = ears;
    addEventListener("message", (event) => {
      if (event.source === parent && event.data?.jsonrpc === "2.0") this.#hear(event.data as Message);
    });
  }

  /** Shake hands; afterwards the host tells what it has for us. */
  async start(): Promise<void> {
    const met = (await this.#ask("ui/initialize", {
      appInfo: { name: "kontext-studio", version: "1" },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
      protocolVersion: VERSION,
    })) as McpUiInitializeResult;
    this.#can = met.hostCapabilities ?? {};
    if (this.#can.serverTools) this.call = (name, args) => this.#ask("tools/call", { name, arguments: args }) as Promise<Answer>;
    if (this.#can.message)
      this.say = async (text) => refused(await this.#ask("ui/message", { role: "user", content: [{ type: "text", text }] }));
    if (this.#can.updateModelContext)
      this.tell = (text) => void this.#ask("ui/update-model-context", { content: [{ type: "text", text }] }).catch(() => {});
    this.#ears.context(met.hostContext ?? {});
    this.#note("ui/notifications/initialized", {});
    this.#watchSize();
    const early = this.#early;
    this.#early = null;
    for (const told of early ?? []) told();
  }

  /** Whether there is a larger way to be shown. */
  offers(modes: readonly string[]): void {
    delete this.enlarge;
    if (modes.includes("fullscreen"))
      this.enlarge = async () => void (await this.#ask("ui/request-display-mode", { mode: "fullscreen" }));
  }

  async read(uri: string): Promise<Content> {
    if (this.#can.serverResources) return content(((await this.#ask("resources/read", { uri })) as ReadResult).contents[0]);
    if (!this.call) throw new Error("This client lets the studio read nothing.");
    const answer = await this.call("studio_read", { uri });
    const failure = answer.structuredContent?.["error"] as { message?: string } | undefined;
    if (answer.isError) throw new Error(failure?.message ?? "The server refused it.");
    return content(answer.content?.find((block) => block.type === "resource")?.resource);
  }

  async download(name: string, file: Content): Promise<void> {
    if (!this.#can.downloadFile) throw new Error("This client has no download.");
    // A host names the file by the last part of its address.
    const uri = `file:///${name}`;
    const resource =
      "blob" in file ? { uri, mimeType: file.blob.type, blob: await encoded(file.blob) } : { uri, text: file.text };
    refused(await this.#ask("ui/download-file", { contents: [{ type: "resource", resource }] }));
  }

  #ask(method: string, params: object): Promise<unknown> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => settle({ jsonrpc: "2.0", error: { message: "No answer." } }), PATIENCE_MS);
      const settle = (message: Message): void => {
        clearTimeout(late);
        this.#open.delete(id);
        if (message.error) reject(new Error(message.error.message || "The client refused it."));
        else resolve(message.result);
      };
      this.#open.set(id, settle);
      this.#post({ jsonrpc: "2.0", id, method, params: params as Record<string, unknown> });
    });
  }

  #note(method: string, params: Record<string, unknown>): void {
    this.#post({ jsonrpc: "2.0", method, params });
  }

  #post(message: Message): void {
    // A sandboxed page cannot know its host's origin; what is said here is the person's own.
    parent.postMessage(message, "*");
  }

  #hear(message: Message): void {
    if (message.method === undefined) {
      if (message.id !== undefined) this.#open.get(message.id)?.(message);
      return;
    }
    const params = message.params ?? {};
    if (message.id !== undefined) {
      const known = message.method === "ui/resource-teardown" || message.method === "ping";
      if (message.method === "ui/resource-teardown") this.#ears.teardown();
      const answer = known ? { result: {} } : { error: { code: -32601, message: "Method not found" } };
      this.#post({ jsonrpc: "2.0", id: message.id, ...answer });
      return;
    }
    if (this.#early) return void this.#early.push(() => this.#hear(message));
    const about = message.method.replace("ui/notifications/", "");
    if (about === "tool-input") this.#ears.input((params["arguments"] ?? {}) as Record<string, unknown>);
    else if (about === "tool-result") this.#ears.result(params as Answer);
    else if (about === "tool-cancelled") this.#ears.cancelled();
    else if (about === "host-context-changed") this.#ears.context(params as McpUiHostContext);
  }

  /** Tell our height as it changes, once a frame at most; the width is the host's to give. */
  #watchSize(): void {
    let told = 0;
    let asked = false;
    new ResizeObserver(() => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        const height = Math.ceil(document.body.getBoundingClientRect().height);
        if (height !== told) this.#note("ui/notifications/size-changed", { height: (told = height) });
      });
    }).observe(document.body);
  }
}

function content(found?: { mimeType?: string; text?: string; blob?: string }): Content {
  if (found?.blob !== undefined) return { blob: decoded(found.blob, found.mimeType ?? "") };
  if (found?.text !== undefined) return { text: found.text };
  throw new Error("The answer is empty.");
}

function refused(result: unknown): void {
  if ((result as { isError?: boolean } | null)?.isError) throw new Error("The client refused it.");
}

async function encoded(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  // Spread at once, a large picture would not fit the stack.
  for (let i = 0; i < bytes.length; i += 32_768) text += String.fromCharCode(...bytes.subarray(i, i + 32_768));
  return btoa(text);
}
