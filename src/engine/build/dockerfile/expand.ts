// Words as the reference expands them: quotes taken away, `$v` and `${v…}` put in. Like a POSIX shell's, but not a shell's: see
// BuildKit's documentation, "Environment replacement". Total: every text gives a result or an EngineError.

import { EngineError } from "../../../base/errors.ts";
import { quote } from "./go.ts";
import type { Lookup } from "./index.ts";
import { type LexMode, lexWord } from "./shell-word.ts";

export interface Expansion {
  readonly text: string;
  /** Names that were looked up and were not set. */
  readonly unset: readonly string[];
  /** Names that were looked up. */
  readonly used: readonly string[];
  /** The text split at spaces that stood outside of quotes. */
  readonly words: readonly string[];
}

/** Quotes taken away, variables put in. @throws InvalidParameter a bad substitution, `${v:?message}` */
export function expandWord(word: string, lookup: Lookup, escape: "\\" | "`"): Expansion {
  return expand(word, lookup, { escape });
}

/** The same, split at spaces outside of quotes. */
export function expandWords(word: string, lookup: Lookup, escape: "\\" | "`"): readonly string[] {
  return expand(word, lookup, { escape }).words;
}

/** The body of a heredoc: variables put in, quotes left alone; `\$` is a dollar sign. @throws as `expandWord` */
export function expandHeredoc(content: string, lookup: Lookup): Expansion {
  return expand(content, lookup, { escape: "\\", ignoreQuotes: true });
}

function expand(word: string, lookup: Lookup, mode: LexMode): Expansion {
  const used = new Set<string>();
  const unset = new Set<string>();
  const looked: Lookup = (name) => {
    const value = lookup(name);
    used.add(name);
    if (value === undefined) unset.add(name);
    return value;
  };
  const lexed = lexWord(word, looked, mode);
  if (lexed.error !== undefined)
    throw new EngineError("InvalidParameter", `failed to process ${quote(word)}: ${lexed.error}`);
  return { text: lexed.text, words: lexed.words, used: [...used], unset: [...unset] };
}
