// WWW-Authenticate: several challenges in one or several fields, parameters as tokens or quoted strings, in any order.
// What cannot be read is left out; nothing here throws. Source: RFC 9110 section 11.6.1.

/** One challenge; scheme and names of parameters in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const maxHeaderLength = 16 << 10;
const maxChallenges = 16;
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const quoted = /"((?:[^"\\]|\\[^])*)"/y;
const separators = /[\s,]*/y;
const equals = /\s*=\s*/y;
// A value without quotes, as some registries send URLs: up to a comma or white space.
const loose = /[^\s,"]+/y;

class Reader {
  readonly #text: string;
  #at = 0;
  #isUnterminated = false;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }

  /** What is between quotes. */
  takeQuoted(): string | undefined {
    if (this.#isUnterminated || this.#text[this.#at] !== '"') return undefined;
    const text = this.take(quoted)?.[1];
    // Where one has no end, none behind it has: looking from each of its quotes would take the square of its length.
    this.#isUnterminated = text === undefined;
    return text;
  }

  skip(): void {
    this.#at += 1;
  }
}

function readValue(reader: Reader): string | undefined {
  const text = reader.takeQuoted();
  return text === undefined ? reader.take(loose)?.[0] : text.replaceAll(/\\([^])/g, "$1");
}

/** The challenges of the field (fields joined by commas), in order. */
export function parseChallenges(header: string): readonly Challenge[] {
  const reader = new Reader(header.slice(0, maxHeaderLength));
  const challenges: { readonly scheme: string; readonly parameters: Record<string, string> }[] = [];
  while (!reader.done) {
    reader.take(separators);
    const name = reader.take(token)?.[0].toLowerCase();
    if (name === undefined) {
      if (reader.takeQuoted() === undefined) reader.skip();
      continue;
    }
    if (reader.take(equals) === undefined) {
      if (challenges.length === maxChallenges) break;
      challenges.push({ scheme: name, parameters: Object.create(null) as Record<string, string> });
      continue;
    }
    const value = readValue(reader);
    const parameters = challenges.at(-1)?.parameters;
    // The first of two equal names counts, whatever comes behind.
    if (value !== undefined && parameters !== undefined && !(name in parameters)) parameters[name] = value;
  }
  return challenges;
}
