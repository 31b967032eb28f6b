// .dockerignore: patterns as moby/patternmatcher understands them. The last pattern that matches a path or one of its parents
// decides; `!` brings back.

import { posix } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import { trimSpace } from "./go.ts";
import { compileGlob, type Glob } from "./glob.ts";

/** Whether a path, relative and with "/", is left out: the last pattern that matches decides. */
export interface IgnoreMatcher {
  ignores(path: string): boolean;
  /** A directory that is ignored and below which nothing can be brought back by a `!` pattern. */
  ignoresAll(directory: string): boolean;
}

/** Lines of a .dockerignore as patterns: comments and blanks gone, cleaned, leading "/" stripped. */
export function parseIgnoreFile(text: string): readonly string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    if (line.startsWith("#")) continue;
    const trimmed = trimSpace(line);
    const exclusion = trimmed.startsWith("!");
    const pattern = exclusion ? trimSpace(trimmed.slice(1)) : trimmed;
    if (trimmed === "") continue;
    const cleaned = pattern === "" ? "" : clean(pattern);
    patterns.push(
      (exclusion ? "!" : "") + (cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned),
    );
  }
  return patterns;
}

interface Rule {
  readonly exclusion: boolean;
  readonly glob: Glob;
}

/** What is known of a directory: whether it is ignored, and which rules matched it or a parent. */
interface Verdict {
  readonly ignored: boolean;
  readonly matched: readonly boolean[];
}

/** Directories whose verdicts are kept. */
const mostKept = 4096;

/** @throws InvalidParameter a malformed pattern, by name */
export function createIgnoreMatcher(patterns: readonly string[]): IgnoreMatcher {
  const rules = patterns
    .map((pattern) => trimSpace(pattern))
    .filter((pattern) => pattern !== "")
    .map(parseRule);
  const verdicts = new Map<string, Verdict>();
  const root: Verdict = { ignored: false, matched: rules.map(() => false) };

  function verdictOf(path: string): Verdict {
    if (path === "" || path === ".") return root;
    const known = verdicts.get(path);
    if (known !== undefined) return known;
    let parent = root;
    for (let cut = path.indexOf("/"); cut >= 0; cut = path.indexOf("/", cut + 1)) {
      const directory = path.slice(0, cut);
      const kept = verdicts.get(directory) ?? judge(rules, directory, parent);
      if (verdicts.size >= mostKept) verdicts.clear();
      verdicts.set(directory, kept);
      parent = kept;
    }
    return judge(rules, path, parent);
  }

  return {
    ignores: (path) => verdictOf(path).ignored,
    ignoresAll: (directory) =>
      verdictOf(directory).ignored && !rules.some((rule) => rule.exclusion && mayMatchBelow(rule.glob, directory)),
  };
}

function parseRule(pattern: string): Rule {
  const cleaned = clean(pattern);
  const exclusion = cleaned.startsWith("!");
  if (cleaned === "!") throw new EngineError("InvalidParameter", 'illegal exclusion pattern: "!"');
  const glob = compileGlob(exclusion ? cleaned.slice(1) : cleaned);
  if (glob === undefined)
    throw new EngineError("InvalidParameter", `syntax error in pattern: ${JSON.stringify(pattern)}`);
  return { exclusion, glob };
}

function judge(rules: readonly Rule[], path: string, parent: Verdict): Verdict {
  let ignored = false;
  const matched = rules.map((rule, index) => {
    const match = parent.matched[index] === true || (rule.exclusion === ignored && rule.glob.matches(path));
    if (match) ignored = !rule.exclusion;
    return match;
  });
  return { ignored, matched };
}

function mayMatchBelow(glob: Glob, directory: string): boolean {
  const below = `${directory}/`;
  return glob.prefix.startsWith(below) || (!glob.literal && below.startsWith(glob.prefix));
}

/** filepath.Clean. */
function clean(pattern: string): string {
  const normal = posix.normalize(pattern);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}
