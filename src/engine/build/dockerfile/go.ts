// How Go, in which the reference is written, prints and reads what messages and options contain.

/** What Go's unicode.IsSpace accepts. */
const space = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Whether Go counts the character as white space. */
export function isSpace(character: string): boolean {
  return space.test(character);
}

/** strings.TrimSpace. */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && space.test(text[start] ?? "")) start++;
  while (end > start && space.test(text[end - 1] ?? "")) end--;
  return text.slice(start, end);
}

/** strings.TrimLeftFunc with unicode.IsSpace. */
export function trimSpaceLeft(text: string): string {
  let start = 0;
  while (start < text.length && space.test(text[start] ?? "")) start++;
  return text.slice(start);
}

/** The verb %q: the text in double quotes. */
export function quote(text: string): string {
  return JSON.stringify(text).replace(/\\u00([0-9a-f]{2})/g, "\\x$1");
}

/** strconv.ParseBool; undefined when Go would not take it. */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

const nanoseconds: Readonly<Record<string, number>> = {
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
 * time.ParseDuration, in nanoseconds.
 *
 * @returns the number, or the error as Go words it
 */
export function parseDuration(text: string): number | string {
  const invalid = `time: invalid duration ${quote(text)}`;
  const signed = /^([+-]?)(.*)$/s.exec(text);
  let rest = signed?.[2] ?? "";
  if (rest === "0") return 0;
  if (rest === "") return invalid;
  let total = 0;
  while (rest !== "") {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) return invalid;
    rest = rest.slice(number.length);
    const unit = /^[^.\d]+/.exec(rest)?.[0];
    if (unit === undefined) return `time: missing unit in duration ${quote(text)}`;
    const factor = Object.hasOwn(nanoseconds, unit) ? nanoseconds[unit] : undefined;
    if (factor === undefined) return `time: unknown unit ${quote(unit)} in duration ${quote(text)}`;
    total += Number(number) * factor;
    rest = rest.slice(unit.length);
  }
  if (total > 2 ** 63) return invalid;
  return Math.trunc(signed?.[1] === "-" ? -total : total);
}

/** strconv.ParseInt(text, 10, 32). @returns the number, or the error as Go words it */
export function parseInt32(text: string): number | string {
  const failed = (reason: string) => `strconv.ParseInt: parsing ${quote(text)}: ${reason}`;
  if (!/^[+-]?\d+$/.test(text)) return failed("invalid syntax");
  const value = Number(text);
  return value >= -(2 ** 31) && value < 2 ** 31 ? value : failed("value out of range");
}
