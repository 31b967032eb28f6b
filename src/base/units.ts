// Sizes and durations as Docker's programs read and write them: "64m", "1.5GiB", "4.27MB", "1m30s", "About an hour".
// Source: behaviour of docker/go-units and of Go's time.Duration, seen at the docker CLI 28.

const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"] as const;
const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] as const;
const suffixLetters = "kmgtp";

/** A text that is no size or duration; the message is what Docker says. */
export class UnitError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnitError";
  }
}

function parseSize(text: string, base: number): number {
  const m = /^([\s\S]*[0-9. ])([^0-9. ]*)$/.exec(text);
  if (m?.[1] === undefined || m[2] === undefined) throw new UnitError(`invalid size: '${text}'`);
  const digits = m[1].endsWith(" ") ? m[1].slice(0, -1) : m[1];
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(digits))
    throw new UnitError(`strconv.ParseFloat: parsing ${JSON.stringify(digits)}: invalid syntax`);
  const value = Number(digits);
  if (value < 0) throw new UnitError(`invalid size: '${text}'`);
  const suffix = m[2].toLowerCase();
  if (suffix === "" || suffix === "b") return Math.trunc(value);
  const power = suffixLetters.indexOf(suffix.charAt(0)) + 1;
  if (power === 0 || !["", "b", "ib"].includes(suffix.slice(1))) throw new UnitError(`invalid suffix: '${suffix}'`);
  return Math.trunc(value * base ** power);
}

/**
 * Bytes of a text with 1024-based units: "64m" and "64MiB" are both 67108864.
 *
 * @throws UnitError
 */
export function parseRamBytes(text: string): number {
  return parseSize(text, 1024);
}

/**
 * Bytes of a text with 1000-based units: "64m" is 64000000.
 *
 * @throws UnitError
 */
export function parseHumanSize(text: string): number {
  return parseSize(text, 1000);
}

/** C's `%.<precision>g`. */
export function formatG(value: number, precision: number): string {
  if (value === 0) return "0";
  const [mantissa = "", exponentText = "0"] = value.toExponential(precision - 1).split("e");
  const exponent = Number(exponentText);
  const strip = (digits: string): string =>
    digits.includes(".") ? digits.replace(/0+$/, "").replace(/\.$/, "") : digits;
  if (exponent < -4 || exponent >= precision) {
    const sign = exponent < 0 ? "-" : "+";
    return `${strip(mantissa)}e${sign}${Math.abs(exponent).toString().padStart(2, "0")}`;
  }
  return strip(value.toFixed(precision - 1 - exponent));
}

function renderSize(bytes: number, base: number, units: readonly string[], precision: number): string {
  let value = bytes;
  let index = 0;
  while (value >= base && index < units.length - 1) {
    value /= base;
    index += 1;
  }
  return `${formatG(value, precision)}${units[index]}`;
}

/** "4.27MB": 1000-based with `precision` significant digits. Docker's lists use 3, everything else 4. */
export function renderHumanSize(bytes: number, precision = 4): string {
  return renderSize(bytes, 1000, decimalUnits, precision);
}

/** "23.54GiB": 1024-based with four significant digits. */
export function renderBinarySize(bytes: number): string {
  return renderSize(bytes, 1024, binaryUnits, 4);
}

/** Docker's words for a length of time: "Less than a second", "5 minutes", "About an hour", "3 weeks". */
export function renderHumanDuration(seconds: number): string {
  const whole = Math.trunc(seconds);
  if (whole < 1) return "Less than a second";
  if (whole === 1) return "1 second";
  if (whole < 60) return `${whole} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(seconds / 3600 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  const days = Math.trunc(hours / 24);
  if (hours < 24 * 14) return `${days} days`;
  if (hours < 24 * 60) return `${Math.trunc(days / 7)} weeks`;
  if (hours < 24 * 730) return `${Math.trunc(days / 30)} months`;
  return `${Math.trunc(Math.trunc(seconds / 3600) / 24 / 365)} years`;
}

const nsPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Nanoseconds of a Go duration: "1h15m30.5s", "-1.5h", "300ms", "0".
 *
 * @throws UnitError with Go's text
 */
export function parseGoDuration(text: string): number {
  const invalid = (): UnitError => new UnitError(`time: invalid duration ${JSON.stringify(text)}`);
  const negative = text.startsWith("-");
  let rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === "0") return 0;
  if (rest === "") throw invalid();
  let total = 0;
  while (rest !== "") {
    const m = /^(\d*)(\.\d*)?([^\d.]*)/.exec(rest);
    if (m === null || (m[1] === "" && (m[2] === undefined || m[2] === "."))) throw invalid();
    const unit = m[3] ?? "";
    if (unit === "") throw new UnitError(`time: missing unit in duration ${JSON.stringify(text)}`);
    const scale = nsPerUnit[unit];
    if (scale === undefined)
      throw new UnitError(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    total += Number(m[1]) * scale + Math.round(Number(`0${m[2] ?? ""}`) * scale);
    rest = rest.slice(m[0].length);
  }
  if (total >= 2 ** 63) throw invalid();
  return negative ? -total : total;
}

/** A Go duration's own text: "0s", "1.5s", "2m0s", "300ms", "1h0m0s". */
export function renderGoDuration(ns: number): string {
  if (ns === 0) return "0s";
  const sign = ns < 0 ? "-" : "";
  const n = Math.abs(ns);
  const point = (value: number, digits: number): string => {
    const fraction = (value % 10 ** digits).toString().padStart(digits, "0").replace(/0+$/, "");
    return `${Math.trunc(value / 10 ** digits)}${fraction === "" ? "" : `.${fraction}`}`;
  };
  if (n < 1e3) return `${sign}${n}ns`;
  if (n < 1e6) return `${sign}${point(n, 3)}µs`;
  if (n < 1e9) return `${sign}${point(n, 6)}ms`;
  const minutes = Math.trunc(n / 60e9);
  const seconds = point(n - minutes * 60e9, 9);
  if (minutes === 0) return `${sign}${seconds}s`;
  const hours = Math.trunc(minutes / 60);
  return hours === 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${hours}h${minutes % 60}m${seconds}s`;
}
