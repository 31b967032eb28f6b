// Patterns of paths: `*`, `?`, `[a-z]`, `\`, `**` for any number of directories, `!` for exceptions; the last one that matches decides,
// and what matches a directory matches all that is below it. Source: docs of .dockerignore; Go's filepath.Match.

import { posix } from "node:path";
import { EngineError } from "../base/errors.ts";

export interface PathMatcher {
  /** A pattern begins with "!". */
  readonly hasExceptions: boolean;
  matches(path: string): boolean;
  /** Something below this directory may match, as far as the patterns' fixed beginnings tell. */
  mayMatchBelow(directory: string): boolean;
}

interface Pattern {
  readonly isException: boolean;
  readonly regex: RegExp;
  /** Directories that every match is below, or "" when that cannot be told. */
  readonly fixed: readonly string[];
}

/** @throws InvalidParameter a pattern is malformed */
export function createPathMatcher(patterns: readonly string[]): PathMatcher {
  const parsed = patterns.flatMap((text) => parsePattern(text));
  const positive = parsed.filter(({ isException }) => !isException);
  // A directory's verdicts serve all of its entries.
  let cached: { readonly directory: string; readonly verdicts: readonly boolean[] } | undefined;

  function verdictsOf(path: string): readonly boolean[] {
    if (path === "") return parsed.map(() => false);
    if (cached?.directory === path) return cached.verdicts;
    const slash = path.lastIndexOf("/");
    const above = verdictsOf(slash === -1 ? "" : path.slice(0, slash));
    return parsed.map(({ regex }, i) => above[i] === true || regex.test(path));
  }
  return {
    hasExceptions: parsed.some(({ isException }) => isException),
    matches(path) {
      const slash = path.lastIndexOf("/");
      const directory = slash === -1 ? "" : path.slice(0, slash);
      if (cached?.directory !== directory) cached = { directory, verdicts: verdictsOf(directory) };
      const { verdicts } = cached;
      let matched = false;
      parsed.forEach(({ isException, regex }, i) => {
        if (isException === matched && (verdicts[i] === true || regex.test(path))) matched = !isException;
      });
      return matched;
    },
    mayMatchBelow(directory) {
      const parts = directory.split("/");
      return positive.some(({ fixed }) => fixed.every((part, i) => i >= parts.length || parts[i] === part));
    },
  };
}

/** A pattern that matches this path and nothing else. */
export function escapePattern(path: string): string {
  return path.replaceAll(/[*?[\]\\!]/g, String.raw`\$&`);
}

function parsePattern(text: string): Pattern[] {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  const isException = trimmed.startsWith("!");
  const cleaned = posix.normalize(isException ? trimmed.slice(1) : trimmed);
  const path = cleaned.replace(/^\/+/, "").replace(/\/+$/, "");
  if (path === "" || path === ".") return [{ isException, regex: /^/, fixed: [] }];
  const parts = path.split("/");
  const magic = parts.findIndex((part) => /[*?[\\]/.test(part));
  return [{ isException, regex: regexOf(path), fixed: magic === -1 ? parts : parts.slice(0, magic) }];
}

/** @throws InvalidParameter */
export function regexOf(pattern: string): RegExp {
  let source = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charAt(i);
    if (c === "*") {
      if (pattern[i + 1] !== "*") source += "[^/]*";
      else {
        i++;
        if (pattern[i + 1] === "/") i++;
        source += i + 1 === pattern.length ? ".*" : "(.*/)?";
      }
    } else if (c === "?") source += "[^/]";
    else if (c === "[") {
      const end = pattern.indexOf("]", i + 2);
      if (end === -1) throw new EngineError("InvalidParameter", `syntax error in pattern ${JSON.stringify(pattern)}`);
      source += pattern.slice(i, end + 1).replaceAll("[", (found, at: number) => (at === 0 ? found : String.raw`\[`));
      i = end;
    } else if (c === "\\") {
      i++;
      if (i === pattern.length)
        throw new EngineError("InvalidParameter", `syntax error in pattern ${JSON.stringify(pattern)}`);
      source += literal(pattern.charAt(i));
    } else source += literal(c);
  }
  try {
    return new RegExp(`^${source}$`, "s");
  } catch (cause) {
    throw new EngineError("InvalidParameter", `syntax error in pattern ${JSON.stringify(pattern)}`, { cause });
  }
}

function literal(c: string): string {
  return c.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}
