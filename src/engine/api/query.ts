// The query string, as Go's net/url and dockerd's httputils read it: booleans are true unless they are one of a few words,
// integers have strconv's errors, the first of several values counts.

import { EngineError } from "../../base/errors.ts";
import { parseRfc3339 } from "../../base/time.ts";

const falseWords: ReadonlySet<string> = new Set(["", "0", "no", "false", "none"]);
const unitsNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const maxInt64 = 2n ** 63n - 1n;

export class Query {
  readonly #values = new Map<string, string[]>();

  /** @throws InvalidParameter a bad percent escape, or ";" as a separator */
  constructor(text: string) {
    if (text === "") return;
    for (const part of text.split("&")) {
      if (part === "") continue;
      if (part.includes(";")) throw new EngineError("InvalidParameter", "invalid semicolon separator in query");
      const equals = part.indexOf("=");
      const name = unescape(equals < 0 ? part : part.slice(0, equals));
      const value = equals < 0 ? "" : unescape(part.slice(equals + 1));
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [value]);
      else values.push(value);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The first value; empty when there is none. */
  text(name: string): string {
    return this.#values.get(name)?.[0] ?? "";
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** False for "", "0", "no", "false", "none" in any case, true for everything else. */
  bool(name: string): boolean {
    return !falseWords.has(this.text(name).trim().toLowerCase());
  }

  boolOr(name: string, otherwise: boolean): boolean {
    return this.has(name) ? this.bool(name) : otherwise;
  }

  /** Undefined when empty. @throws InvalidParameter with the text of strconv.Atoi */
  int(name: string): number | undefined {
    const text = this.text(name);
    return text === "" ? undefined : Number(parseInt64(text, "strconv.Atoi"));
  }

  /** Nanoseconds since 1970, undefined when empty. @throws InvalidParameter see parseTimestamp */
  timestamp(name: string): bigint | undefined {
    const text = this.text(name);
    return text === "" ? undefined : parseTimestamp(text);
  }
}

function unescape(text: string): string {
  return unescapePath(text.replaceAll("+", " "));
}

/** Decodes percent escapes; those that are no UTF-8 become U+FFFD. @throws InvalidParameter `invalid URL escape "%zz"` */
export function unescapePath(text: string): string {
  if (!text.includes("%")) return text;
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/su.exec(text);
  if (bad !== null) throw new EngineError("InvalidParameter", `invalid URL escape ${JSON.stringify(bad[0])}`);
  try {
    return decodeURIComponent(text);
  } catch {
    return Buffer.from(
      text.replaceAll(/%([0-9a-fA-F]{2})|[\u0080-\uffff]/gu, (match, hex: string | undefined) =>
        hex === undefined ? Buffer.from(match).toString("latin1") : String.fromCharCode(Number.parseInt(hex, 16)),
      ),
      "latin1",
    ).toString();
  }
}

/** @param go name of the Go function in the error. @throws InvalidParameter "strconv.Atoi: parsing \"x\": invalid syntax" */
export function parseInt64(text: string, go: string): bigint {
  if (!/^[+-]?[0-9]+$/.test(text)) throw strconv(text, go, "invalid syntax");
  if (text.length > 40) throw strconv(text, go, "value out of range");
  const value = BigInt(text.replace(/^\+/, ""));
  if (value > maxInt64 || value < -maxInt64 - 1n) throw strconv(text, go, "value out of range");
  return value;
}

function strconv(text: string, go: string, what: string): EngineError {
  return new EngineError("InvalidParameter", `${go}: parsing ${JSON.stringify(text.slice(0, 256))}: ${what}`);
}

/**
 * A point in time: unix seconds with up to nine decimals, RFC 3339, or a Go duration before now ("10m", "1h30m").
 *
 * @returns nanoseconds since 1970
 * @throws InvalidParameter anything else, with the text of strconv.ParseInt
 */
export function parseTimestamp(text: string): bigint {
  const unix = /^(-?[0-9]+)(?:\.([0-9]+))?$/.exec(text);
  if (unix !== null) {
    const seconds = parseInt64(unix[1] ?? "", "strconv.ParseInt");
    const fraction = BigInt((unix[2] ?? "").slice(0, 9).padEnd(9, "0"));
    return seconds * 1_000_000_000n + (text.startsWith("-") ? -fraction : fraction);
  }
  const point = parseRfc3339(text);
  if (point !== undefined) return point;
  const before = parseDuration(text);
  if (before !== undefined) return BigInt(Date.now()) * 1_000_000n - before;
  throw strconv(text, "strconv.ParseInt", "invalid syntax");
}

/** A Go duration in nanoseconds; undefined when it is none. */
function parseDuration(text: string): bigint | undefined {
  const match = /^(-?)((?:[0-9]{1,12}(?:\.[0-9]{1,12})?(?:ns|us|µs|μs|ms|s|m|h)){1,12})$/.exec(text);
  if (match === null) return undefined;
  let ns = 0;
  for (const part of (match[2] ?? "").matchAll(/([0-9.]+)([a-zµμ]+)/g))
    ns += Number(part[1]) * (unitsNs[part[2] ?? ""] ?? 0);
  const whole = BigInt(Math.round(ns));
  return match[1] === "-" ? -whole : whole;
}
