// The lexer behind expansion and heredocs. It never throws: what is wrong with a word is its result's `error`.

import { isSpace } from "./go.ts";
import type { Lookup } from "./index.ts";
import { replacePattern, trimPattern } from "./shell-pattern.ts";

export interface LexMode {
  readonly escape: "\\" | "`";
  /** Quotes have no meaning. */
  readonly ignoreQuotes?: boolean;
  /** Quotes and escapes have their meaning and stay in the text. */
  readonly raw?: boolean;
  /** A variable that is not set stays as it was written. */
  readonly keepUnset?: boolean;
}

export interface LexedWord {
  readonly text: string;
  readonly words: readonly string[];
  /** What is wrong, in BuildKit's words. */
  readonly error: string | undefined;
}

/** `${a:-${b:-…}}` may be this deep. */
const deepest = 200;

class BadWord extends Error {}

/** Reads all of `source` as one word (that may have several words in it). */
export function lexWord(source: string, lookup: Lookup, mode: LexMode): LexedWord {
  const lexer = new Lexer(Array.from(source), lookup, mode);
  try {
    return { ...lexer.until(undefined, mode.raw === true), error: undefined };
  } catch (error) {
    if (error instanceof BadWord) return { text: "", words: [], error: error.message };
    throw error;
  }
}

class Words {
  readonly done: string[] = [];
  #word = "";

  /** Text outside of quotes: spaces separate. */
  split(text: string): void {
    for (const character of text)
      if (isSpace(character)) this.#end();
      else this.#word += character;
  }
  keep(text: string): void {
    this.#word += text;
  }
  #end(): void {
    if (this.#word !== "") this.done.push(this.#word);
    this.#word = "";
  }
  finish(): readonly string[] {
    this.#end();
    return this.done;
  }
}

class Lexer {
  readonly #source: readonly string[];
  readonly #lookup: Lookup;
  readonly #mode: LexMode;
  #position = 0;
  #depth = 0;

  constructor(source: readonly string[], lookup: Lookup, mode: LexMode) {
    this.#source = source;
    this.#lookup = lookup;
    this.#mode = mode;
  }

  #peek(): string | undefined {
    return this.#source[this.#position];
  }
  #next(): string | undefined {
    return this.#source[this.#position++];
  }

  /** Up to `stop`, which is taken, or to the end. */
  until(stop: string | undefined, raw: boolean): { readonly text: string; readonly words: readonly string[] } {
    if (++this.#depth > deepest) throw new BadWord("substitutions are nested too deeply");
    const text: string[] = [];
    const words = new Words();
    for (let character = this.#peek(); character !== undefined; character = this.#peek()) {
      if (character === stop) {
        this.#position++;
        this.#depth--;
        return { text: text.join(""), words: words.finish() };
      }
      if (character === "$") {
        const value = this.#dollar();
        text.push(value);
        words.split(value);
      } else if ((character === "'" || character === '"') && this.#mode.ignoreQuotes !== true) {
        const value = character === "'" ? this.#singleQuoted() : this.#doubleQuoted(raw);
        text.push(value);
        words.keep(value);
      } else if (character === this.#mode.escape) {
        this.#position++;
        const escaped = this.#next();
        const value = (raw ? character : "") + (escaped ?? "");
        text.push(value);
        words.keep(value);
      } else {
        this.#position++;
        text.push(character);
        words.split(character);
      }
    }
    if (stop !== undefined) throw new BadWord(`unexpected end of statement while looking for matching ${stop}`);
    this.#depth--;
    return { text: text.join(""), words: words.finish() };
  }

  #singleQuoted(): string {
    const from = this.#position++;
    const end = this.#source.indexOf("'", this.#position);
    if (end < 0) throw new BadWord("unexpected end of statement while looking for matching single-quote");
    this.#position = end + 1;
    return this.#source
      .slice(this.#mode.raw === true ? from : from + 1, this.#mode.raw === true ? end + 1 : end)
      .join("");
  }

  #doubleQuoted(raw: boolean): string {
    const quotes = this.#mode.raw === true ? '"' : "";
    const text: string[] = [quotes];
    this.#position++;
    for (let character = this.#peek(); character !== undefined; character = this.#peek()) {
      if (character === "$") {
        text.push(this.#dollar());
        continue;
      }
      this.#position++;
      if (character === '"') return text.join("") + quotes;
      const following = this.#peek();
      if (character === this.#mode.escape && (following === '"' || following === "$" || following === character)) {
        this.#position++;
        text.push(raw ? character : "", following);
      } else text.push(character);
    }
    throw new BadWord("unexpected end of statement while looking for matching double-quote");
  }

  #dollar(): string {
    this.#position++;
    if (this.#peek() !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      return this.#lookup(name) ?? (this.#mode.keepUnset === true ? `$${name}` : "");
    }
    this.#position++;
    const first = this.#peek();
    if (first === undefined) throw new BadWord("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") throw new BadWord("syntax error: bad substitution");
    const name = this.#name();
    let modifier = this.#next();
    if (modifier === "}") return this.#lookup(name) ?? (this.#mode.keepUnset === true ? `\${${name}}` : "");
    if (modifier === "/") return this.#replacement(name);
    const colon = modifier === ":";
    if (colon) modifier = this.#next();
    const written = (colon ? ":" : "") + (modifier ?? "\ufffd");
    if (!colon && (modifier === undefined || !"+-?#%".includes(modifier)))
      throw new BadWord(`unsupported modifier (${written}) in substitution`);
    const word = this.#inner("}", modifier === "#" || modifier === "%", "syntax error: missing '}'");
    return this.#modified(name, modifier ?? "", colon, written, word);
  }

  #modified(name: string, modifier: string, colon: boolean, written: string, word: string): string {
    const value = this.#lookup(name);
    if (value === undefined && this.#mode.keepUnset === true) return `\${${name}${written}${word}}`;
    const missing = value === undefined || (colon && value === "");
    if (modifier === "-") return missing ? word : value;
    if (modifier === "+") return missing ? "" : word;
    if (modifier === "?") {
      if (!missing) return value;
      const reason = value === undefined ? "is not allowed to be unset" : "is not allowed to be empty";
      throw new BadWord(`${name}: ${word === "" ? reason : word}`);
    }
    if (modifier !== "#" && modifier !== "%") throw new BadWord(`unsupported modifier (${written}) in substitution`);
    const greedy = word.startsWith(modifier);
    const pattern = greedy ? word.slice(1) : word;
    return patterned(pattern, trimPattern(value ?? "", pattern, modifier === "#" ? "front" : "back", greedy));
  }

  #replacement(name: string): string {
    const all = this.#peek() === "/";
    if (all) this.#position++;
    const pattern = this.#inner("/", true, "syntax error: missing '/' in ${}");
    const replacement = this.#inner("}", true, "syntax error: missing '}'");
    const value = this.#lookup(name);
    if (value === undefined && this.#mode.keepUnset === true)
      return `\${${name}/${all ? "/" : ""}${pattern}/${replacement}}`;
    return patterned(pattern, replacePattern(value ?? "", pattern, replacement, all));
  }

  /** Up to `stop`; at the end of the source the error is `missing`. */
  #inner(stop: string, raw: boolean, missing: string): string {
    try {
      return this.until(stop, raw).text;
    } catch (error) {
      if (error instanceof BadWord && this.#peek() === undefined) throw new BadWord(missing);
      throw error;
    }
  }

  /** A name, digits, or one special character; "" where none begins. */
  #name(): string {
    const first = this.#peek();
    if (first === undefined) return "";
    const more = /\p{Nd}/u.test(first) ? /\p{Nd}/u : /[\p{L}\p{Nd}_]/u;
    if ("@*#?-$!".includes(first)) {
      this.#position++;
      return first;
    }
    const from = this.#position;
    while (more.test(this.#peek() ?? "")) this.#position++;
    return this.#source.slice(from, this.#position).join("");
  }
}

function patterned(pattern: string, result: { readonly text: string; readonly error: string | undefined }): string {
  if (result.error === undefined) return result.text;
  throw new BadWord(`invalid pattern (${pattern}) in substitution: ${result.error}`);
}
