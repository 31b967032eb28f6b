// JSON from clients: bounded in depth and counts while it is read, numbers kept as text so that ranges can be checked, objects
// as Maps so that no key can reach a prototype. Error texts follow Go's encoding/json, which Docker clients show.
// Source: RFC 8259.

import { EngineError } from "../../base/errors.ts";

/** A number as written; whoever needs it checks its range. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | JsonObject;

/** Deepest nesting, most keys of an object, most elements of an array. */
export const jsonLimits = { depth: 64, keys: 10_000, elements: 100_000 } as const;

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * @throws InvalidParameter with Go's text ("invalid character '}' looking for beginning of value", "unexpected EOF",
 * "exceeded max depth"); `prefix` goes before it
 */
export function parseJson(text: string, prefix = ""): JsonValue {
  const reader = new Reader(text, prefix);
  const value = reader.value(0);
  reader.space();
  if (!reader.atEnd) throw new EngineError("InvalidParameter", "unexpected content after JSON");
  return value;
}

class Reader {
  readonly #text: string;
  readonly #prefix: string;
  #at = 0;

  constructor(text: string, prefix: string) {
    this.#text = text;
    this.#prefix = prefix;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  value(depth: number): JsonValue {
    this.space();
    switch (this.#text.charAt(this.#at)) {
      case "{":
        return this.#object(depth + 1);
      case "[":
        return this.#array(depth + 1);
      case '"':
        return this.#string();
      case "t":
        return this.#literal("true", true);
      case "f":
        return this.#literal("false", false);
      case "n":
        return this.#literal("null", null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    if (depth > jsonLimits.depth) this.#fail("exceeded max depth");
    const object = new Map<string, JsonValue>();
    this.#at++;
    this.space();
    if (this.#take("}")) return object;
    for (;;) {
      this.space();
      if (this.#text[this.#at] !== '"') this.#unexpected("looking for beginning of object key string");
      const key = this.#string();
      this.space();
      if (!this.#take(":")) this.#unexpected("after object key");
      object.set(key, this.value(depth));
      if (object.size > jsonLimits.keys) this.#fail(`an object has more than ${jsonLimits.keys} keys`);
      this.space();
      if (this.#take("}")) return object;
      if (!this.#take(",")) this.#unexpected("after object key:value pair");
    }
  }

  #array(depth: number): JsonValue[] {
    if (depth > jsonLimits.depth) this.#fail("exceeded max depth");
    const array: JsonValue[] = [];
    this.#at++;
    this.space();
    if (this.#take("]")) return array;
    for (;;) {
      array.push(this.value(depth));
      if (array.length > jsonLimits.elements) this.#fail(`an array has more than ${jsonLimits.elements} elements`);
      this.space();
      if (this.#take("]")) return array;
      if (!this.#take(",")) this.#unexpected("after array element");
    }
  }

  #string(): string {
    const text = this.#text;
    let result = "";
    let start = ++this.#at;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (Number.isNaN(code)) this.#fail("unexpected EOF");
      if (code === 0x22) {
        result += text.slice(start, this.#at++);
        return result.isWellFormed() ? result : result.toWellFormed();
      }
      if (code < 0x20) this.#unexpected("in string");
      if (code !== 0x5c) {
        this.#at++;
        continue;
      }
      result += text.slice(start, this.#at) + this.#escape();
      start = this.#at;
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1];
    if (letter === undefined) this.#fail("unexpected EOF");
    if (letter === "u") {
      const digits = this.#text.slice(this.#at + 2, this.#at + 6);
      if (digits.length < 4) this.#fail("unexpected EOF");
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail(`invalid escape sequence \`\\u${digits}\` in string`);
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const char = Object.hasOwn(escapes, letter) ? escapes[letter] : undefined;
    if (char === undefined) this.#fail(`invalid escape sequence \`\\${letter}\` in string`);
    this.#at += 2;
    return char;
  }

  #literal<T>(word: string, value: T): T {
    for (const letter of word) {
      if (!this.#take(letter)) this.#unexpected(`in literal ${word} (expecting '${letter}')`);
    }
    return value;
  }

  #number(): JsonNumber {
    numberPattern.lastIndex = this.#at;
    const match = numberPattern.exec(this.#text);
    if (match === null) this.#unexpected("looking for beginning of value");
    this.#at = numberPattern.lastIndex;
    return new JsonNumber(match[0]);
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #unexpected(where: string): never {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) this.#fail("unexpected EOF");
    this.#fail(`invalid character ${quoteChar(String.fromCodePoint(code))} ${where}`);
  }

  #fail(message: string): never {
    throw new EngineError("InvalidParameter", `${this.#prefix}${message}`);
  }
}

/** A character between single quotes, escaped as Go does it. */
function quoteChar(char: string): string {
  if (char === "'") return String.raw`'\''`;
  if (char === '"') return `'"'`;
  if (/^[\p{L}\p{N}\p{P}\p{S} ]$/u.test(char)) return `'${char}'`;
  const named = JSON.stringify(char).slice(1, -1);
  if (named !== char) return `'${named}'`;
  return `'\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}'`;
}
