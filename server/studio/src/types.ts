// What the server says: the shapes of its answers and resources that the studio reads (CONTRACT.md sections 2 and 3).
// Everything but the names that identify a thing may be missing: a host may cut an answer, an older server know less.

export interface Cost {
  amount?: string;
  unit: string;
  basis: string;
}

export interface Failure {
  code: string;
  message: string;
  fix: string;
  billed: string;
  job_id?: string;
}

export interface Picture {
  ref: string;
  width?: number;
  height?: number;
  media_type?: string;
  bytes?: number;
  seed?: number;
  path?: string;
}

export interface Step {
  id: string;
  status: string;
  images: { ref: string }[];
  cost?: Cost;
  reused?: boolean;
  error?: Failure;
}

export type Status = "pending" | "processing" | "completed" | "failed" | "cancelled" | "unknown";

export interface Job {
  job_id: string;
  status: Status;
  provider?: string;
  images: Picture[];
  cost?: Cost;
  seconds?: number;
  depth?: number;
  change?: { percent: number; where: string; sharpness: number };
  warnings?: string[];
  eta_seconds?: number;
  error?: Failure;
  steps?: Step[];
  outcome?: string;
  tool?: string;
  prompt?: string;
  /** A digest of the call's words and pictures, in the list of jobs. */
  asked?: string;
  keep?: string;
  created_at?: string;
  /** The call's own arguments that shape the picture: what a variant is asked with. */
  arguments?: Record<string, unknown>;
}

/** `kontext://images/…/meta`: a picture with the job that made it. */
export interface Meta extends Picture {
  job: Omit<Job, "images">;
}

export interface Relative {
  ref: string;
  prompt?: string;
  created_at?: string;
  parent?: string;
}

export interface Lineage {
  ref: string;
  ancestors: Relative[];
  descendants: Relative[];
  more?: boolean;
}

export interface Found extends Relative {
  provider: string;
  width: number;
  height: number;
  label?: string;
}

export interface Page {
  images: Found[];
  next_cursor?: string;
  warnings?: string[];
}

export interface Usage {
  days: { day: string; provider: string; amount: string; unit: string; jobs: number }[];
}

/** A tool's answer, as far as the studio reads it. */
export interface Answer {
  content?: { type: string; text?: string; resource?: { mimeType?: string; text?: string; blob?: string } }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

export const ended = ({ status }: { status: string }): boolean => !["pending", "processing"].includes(status);

/** The address of one form of a picture. */
export const uriOf = (ref: string, form = ""): string => `kontext://images/${ref}${form && "/" + form}`;
