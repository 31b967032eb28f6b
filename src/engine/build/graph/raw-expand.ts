// Variables put into commands as progress shows them: quotes stay. The substitutions themselves are the language's
// (dockerfile/expand); only what surrounds them is read here.

import { expandWord, type Lookup } from "../dockerfile/index.ts";

/** What stays as written. */
interface RawExpansion {
  /** Single quotes hide variables; without it quotes mean nothing at all. */
  readonly quotes: boolean;
  /** A variable that is not set is shown by its name. */
  readonly keepUnset: boolean;
  readonly escape: "\\" | "`";
}

/** The end of the substitution that begins at `start` ("$"); `start + 1` when it is none. */
function substitutionEnd(text: string, start: number, escape: string): number {
  const next = text[start + 1] ?? "";
  if (next === "{") {
    let depth = 0;
    for (let i = start + 1; i < text.length; i++) {
      if (text[i] === escape) i++;
      else if (text[i] === "{") depth++;
      else if (text[i] === "}" && --depth === 0) return i + 1;
    }
    return start + 1;
  }
  const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]|[@*#?$!-])/.exec(text.slice(start + 1));
  return name === null ? start + 1 : start + 1 + name[0].length;
}

/** @throws InvalidParameter a bad substitution */
function expandRaw(text: string, lookup: Lookup, options: RawExpansion): string {
  let out = "";
  let single = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? "";
    if (options.quotes && character === "'") single = !single;
    if (single) {
      out += character;
      continue;
    }
    if (character === options.escape) {
      out += text[++i] ?? "";
      continue;
    }
    if (character !== "$") {
      if (options.quotes && character === '"') {
        const end = closingQuote(text, i, options.escape);
        out += `"${expandRaw(text.slice(i + 1, end), lookup, { ...options, quotes: false })}${end < text.length ? '"' : ""}`;
        i = end;
        continue;
      }
      out += character;
      continue;
    }
    const end = substitutionEnd(text, i, options.escape);
    if (end === i + 1) {
      out += character;
      continue;
    }
    const fragment = text.slice(i, end);
    const plain = /^\$\{?([A-Za-z_][A-Za-z0-9_]*|.)\}?$/.exec(fragment);
    out +=
      options.keepUnset && plain !== null && lookup(plain[1] ?? "") === undefined
        ? fragment
        : expandWord(fragment, lookup, options.escape).text;
    i = end - 1;
  }
  return out;
}

function closingQuote(text: string, start: number, escape: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === escape) i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}

/** A command as progress shows it: what cannot be expanded is shown as written. */
export function showCommand(text: string, lookup: Lookup, escape: "\\" | "`"): string {
  try {
    return expandRaw(text, lookup, { quotes: true, keepUnset: true, escape });
  } catch {
    return text;
  }
}

/** The same with quotes taken away, as COPY, ADD and WORKDIR are shown. */
export function showWords(text: string, lookup: Lookup, escape: "\\" | "`"): string {
  try {
    return expandWord(text, lookup, escape).text;
  } catch {
    return text;
  }
}
