// By which a job is known to be that of a call: a digest of the words and pictures it was asked with, the same that the
// list of jobs tells (kontext_tools.asked). FNV-1a, for a sandboxed page has no cryptography; it guards nothing.

interface AskedStep {
  id?: unknown;
  prompt?: unknown;
  image?: unknown;
}

export function digest(args: Record<string, unknown>): string {
  const { steps, prompt, image } = args;
  const text = Array.isArray(steps)
    ? (steps as AskedStep[]).map((step) => [step.id, step.prompt, step.image ?? ""].join("\u0001")).join("\u0000")
    : `${prompt}\u0000${image ?? ""}`;
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
