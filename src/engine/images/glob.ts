// Patterns of the reference filter, as Go's path.Match has them: "*" and "?" stop at "/", "[a-z]" and "[^a-z]", "\" quotes.
// Source: Go's package path, Match.

import { EngineError } from "../../base/errors.ts";

/** One step of a pattern: how many characters of a text it may take at `at`; for "*" any number. */
type Step = { readonly star: true } | { readonly star: false; readonly matches: (character: string) => boolean };

function malformed(): EngineError {
  return new EngineError("InvalidParameter", "syntax error in pattern");
}

/** @throws InvalidParameter "syntax error in pattern" */
export function parseGlob(pattern: string): (text: string) => boolean {
  const steps: Step[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] as string;
    if (character === "*") {
      if (steps.at(-1)?.star !== true) steps.push({ star: true });
    } else if (character === "?") {
      steps.push({ star: false, matches: (found) => found !== "/" });
    } else if (character === "[") {
      const parsed = parseClass(characters, at + 1);
      steps.push({ star: false, matches: parsed.matches });
      at = parsed.end;
    } else {
      const literal = character === "\\" ? characters[++at] : character;
      if (literal === undefined) throw malformed();
      steps.push({ star: false, matches: (found) => found === literal });
    }
  }
  return (text) => matches(steps, Array.from(text));
}

/** @returns `end`, where the closing bracket is */
function parseClass(
  characters: readonly string[],
  start: number,
): { readonly matches: (character: string) => boolean; readonly end: number } {
  let at = start;
  const negated = characters[at] === "^";
  if (negated) at++;
  const bound = (): number => {
    let character = characters[at++];
    if (character === undefined || character === "-" || character === "]") throw malformed();
    if (character === "\\") character = characters[at++];
    // A class is never the end of a pattern by itself: its bracket must follow.
    if (character === undefined || at >= characters.length) throw malformed();
    return character.codePointAt(0) as number;
  };
  const ranges: (readonly [number, number])[] = [];
  while (characters[at] !== "]" || ranges.length === 0) {
    const low = bound();
    if (characters[at] !== "-") {
      ranges.push([low, low]);
      continue;
    }
    at++;
    ranges.push([low, bound()]);
  }
  return {
    matches: (character) => {
      const code = character.codePointAt(0) as number;
      return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
    },
    end: at,
  };
}

/** Steps × characters at most: what a "*" took is given back to the last one only. */
function matches(steps: readonly Step[], text: readonly string[]): boolean {
  let step = 0;
  let at = 0;
  let star = -1;
  let taken = 0;
  while (at < text.length) {
    const current = steps[step];
    if (current?.star === true) {
      star = step++;
      taken = at;
    } else if (current !== undefined && current.matches(text[at] as string)) {
      step++;
      at++;
    } else if (star >= 0 && text[taken] !== "/") {
      step = star + 1;
      at = ++taken;
    } else {
      return false;
    }
  }
  while (steps[step]?.star === true) step++;
  return step === steps.length;
}
