// How the rest of an instruction falls into words: at white space, at white space outside of quotes, as a JSON array, as flags.

import { isSpace, quote as quoted } from "./go.ts";
import type { KeyValue } from "./index.ts";

/** Words at blanks, quotes without meaning; none for "". */
export function splitBlanks(text: string): readonly string[] {
  return text === "" ? [] : text.split(/[\t\v\f\r ]+/);
}

/** Words at white space outside of quotes; quotes and escapes stay in them. */
export function splitQuoted(text: string, escape: "\\" | "`"): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? "";
    if (quote === "" && isSpace(character)) {
      if (word !== "") words.push(word);
      word = "";
    } else if (character === escape && quote !== "'") {
      if (index + 1 < text.length) word += character + (text[++index] ?? "");
    } else {
      if (quote === "" && (character === "'" || character === '"')) quote = character;
      else if (character === quote) quote = "";
      word += character;
    }
  }
  return word === "" ? words : [...words, word];
}

/**
 * A JSON array of strings.
 *
 * @returns undefined when it is none: then the text is meant for a shell, or is words; "mixed" when it is an array of other things
 */
export function parseJsonWords(text: string): readonly string[] | "mixed" | undefined {
  if (!text.startsWith("[")) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const words: readonly unknown[] = parsed;
  return words.every((word) => typeof word === "string") ? words : "mixed";
}

/** `key value` instead of `key=value`: what follows the first blank is the value. */
export function isLegacyPair(text: string, escape: "\\" | "`"): boolean {
  const first = splitQuoted(text, escape)[0];
  return first !== undefined && !first.includes("=");
}

/** `key=value …` of ENV and LABEL, or the old form. @returns what is wrong, in BuildKit's words */
export function parsePairs(keyword: string, text: string, escape: "\\" | "`"): readonly KeyValue[] | string {
  if (isLegacyPair(text, escape)) {
    const match = /^([^\t\v\f\r ]+)[\t\v\f\r ]+(.*)$/s.exec(text);
    if (match === null) return `${keyword} must have two arguments`;
    return [{ key: match[1] ?? "", value: match[2] ?? "" }];
  }
  const pairs: KeyValue[] = [];
  for (const word of splitQuoted(text, escape)) {
    const cut = word.indexOf("=");
    if (cut < 0) return `Syntax error - can't find = in ${quoted(word)}. Must be of the form: name=value`;
    pairs.push({ key: word.slice(0, cut), value: word.slice(cut + 1) });
  }
  return pairs;
}

/** The words that begin with "--" in front of a text, their quotes taken away, and the text behind them; "--" ends them. */
export function cutFlags(text: string): { readonly flags: readonly string[]; readonly rest: string } {
  const flags: string[] = [];
  let index = 0;
  for (;;) {
    while (index < text.length && isSpace(text[index] ?? "")) index++;
    if (!text.startsWith("--", index)) return { flags, rest: text.slice(index) };
    let word = "";
    let quote = "";
    for (; index < text.length; index++) {
      const character = text[index] ?? "";
      if (quote === "" && isSpace(character)) break;
      if (character === "\\") word += text[++index] ?? "";
      else if (character === quote) quote = "";
      else if (quote === "" && (character === "'" || character === '"')) quote = character;
      else word += character;
    }
    if (word === "--") return { flags, rest: text.slice(index).trimStart() };
    flags.push(word);
  }
}
