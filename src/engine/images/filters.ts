// What the filters of list and prune mean. Values and texts are the reference daemon's.

import { EngineError } from "../../base/errors.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { Filters } from "../api/ports.ts";
import type { ImageRecord } from "./records.ts";

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/** @throws InvalidParameter "invalid filter 'x'" */
export function checkFilterNames(filters: Filters, known: readonly string[]): void {
  for (const key of filters.keys()) if (!known.includes(key)) throw invalid(`invalid filter '${key}'`);
}

/** Nanoseconds since 1970; images without a date are as old as can be. */
export function createdNs(record: ImageRecord): bigint {
  return parseRfc3339(record.config.created ?? "") ?? 0n;
}

/** The current time. @returns nanoseconds since 1970 */
export function currentNs(): bigint {
  return BigInt(Math.floor(performance.timeOrigin + performance.now())) * 1_000_000n;
}

/** A time, or a Go duration before now. @returns nanoseconds since 1970 */
export function parseUntil(text: string, nowNs: bigint): bigint {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    const ms: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3 };
    const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (ms[unit ?? ""] ?? 0), 0);
    return nowNs - BigInt(Math.round(total)) * 1_000_000n;
  }
  if (/^\d+(\.\d{1,9})?$/.test(text)) {
    const [seconds = "0", fraction = ""] = text.split(".");
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  }
  const exact = parseRfc3339(text);
  if (exact !== undefined) return exact;
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw invalid(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return BigInt(ms) * 1_000_000n;
}

/** @returns undefined where the filter is not given */
export function parseDangling(filters: Filters): boolean | undefined {
  const values = filters.get("dangling");
  if (values === undefined) return undefined;
  if (values.length === 0) throw invalid("invalid filter 'dangling'");
  const yes = values.includes("1") || values.includes("true");
  const no = values.includes("0") || values.includes("false");
  if (yes === no) throw invalid(`invalid filter 'dangling=[${values.join(" ")}]'`);
  return yes;
}

/** Whether the image has a label, "key" or "key=value". */
export function hasLabel(record: ImageRecord, wanted: string): boolean {
  const labels = record.config.config?.Labels ?? {};
  const [key = "", value] = wanted.split(/=(.*)/s);
  return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
}
