// --since and --until: a point in time, or a duration before now, as the API wants it: unix seconds with nine digits.
// Source: the docker CLI 28.

import { parseGoDuration } from "../../base/units.ts";

const shapes = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d\d:\d\d)?$/;

/** @throws Error the text is no time and no duration */
export function renderTimestamp(text: string, nowMs: number): string {
  try {
    const ns = BigInt(nowMs) * 1_000_000n - BigInt(Math.trunc(parseGoDuration(text)));
    return `${ns / 1_000_000_000n}`;
  } catch {
    // Not a duration: a point in time, then.
  }
  const m = shapes.exec(text);
  if (m !== null) {
    const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone] = m;
    const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
    const ms = zone === undefined ? new Date(iso).getTime() : Date.parse(`${iso}${zone}`);
    if (!Number.isNaN(ms)) return `${Math.trunc(ms / 1000)}.${fraction.padEnd(9, "0")}`;
  }
  if (/^\d+(?:\.\d{1,9})?$/.test(text)) return text;
  throw new Error(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
}
