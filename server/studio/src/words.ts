// Words for people: costs, times, states. Pure.
import type { Cost, Failure, Status } from "./types";

export const STATES: Record<Status, string> = {
  pending: "Queued",
  processing: "Running",
  completed: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
  unknown: "Unknown",
};

export function costWords(cost?: Cost): string {
  if (!cost) return "";
  if (cost.amount === undefined) return "cost not known";
  if (Number(cost.amount) === 0) return "free";
  const plural = cost.unit === "credit" && Number(cost.amount) !== 1 ? "s" : "";
  return `${cost.amount} ${cost.unit}${plural}`;
}

export const BILLED: Record<string, string> = {
  no: "Nothing was charged.",
  yes: "It was charged.",
  unknown: "It may have been charged.",
};

export const failureWords = (failure: Failure): string => `${failure.message} ${BILLED[failure.billed] ?? ""}`.trim();

export function secondsWords(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function when(iso?: string, time = true): string {
  const at = iso ? new Date(iso) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toLocaleString([], { dateStyle: "medium", ...(time && { timeStyle: "short" }) }) : "";
}

export const cut = (text: string, most: number): string => (text.length > most ? text.slice(0, most - 1) + "…" : text);

/** Add amounts as whole billionths of a unit, as the ledger keeps them: money is no floating point number. */
export const sum = (amounts: string[]): string =>
  String(amounts.reduce((total, amount) => total + Math.round(Number(amount) * 1e9), 0) / 1e9);
