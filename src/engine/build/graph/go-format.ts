// Values as Go's fmt writes them, because history lines of images are made of it and are compared with those of docker's.

const escapes: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

function escapeCharacter(character: string, quote: string): string {
  if (character === quote) return `\\${quote}`;
  const known = escapes[character];
  if (known !== undefined) return known;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (/\p{C}|\p{Z}/u.test(character) && character !== " ")
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  return character;
}

/** %q of a string. */
export function goQuote(text: string): string {
  return `"${Array.from(text, (character) => escapeCharacter(character, '"')).join("")}"`;
}

/** %q of a list of strings: `["a" "b"]`. */
export function goQuoteList(words: readonly string[]): string {
  return `[${words.map(goQuote).join(" ")}]`;
}

/** %v of a list: `[a b]`. */
export function goList(words: readonly string[]): string {
  return `[${words.join(" ")}]`;
}

/** %q of a number: the character with that code point. */
export function goQuoteRune(code: number): string {
  return `'${escapeCharacter(String.fromCodePoint(code), "'")}'`;
}

/** A time.Duration, from nanoseconds: "1m30s", "1.5s", "0s". */
export function goDuration(ns: number): string {
  if (ns === 0) return "0s";
  const sign = ns < 0 ? "-" : "";
  const value = Math.abs(ns);
  if (value < 1e3) return `${sign}${value}ns`;
  if (value < 1e6) return `${sign}${value / 1e3}µs`;
  if (value < 1e9) return `${sign}${value / 1e6}ms`;
  const seconds = Math.floor(value / 1e9);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const fraction = String(value % 1e9)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const rest = `${seconds % 60}${fraction === "" ? "" : `.${fraction}`}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${sign}${minutes}m${rest}` : `${sign}${rest}`;
}
