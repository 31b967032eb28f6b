// Patterns of paths: `*` and `?` within a component, `[a-z]` a class, `**` any number of components, `\` takes a meaning away.
// Matched without backtracking. Source: Go's filepath.Match and moby/patternmatcher.

type Token =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "one" }
  | { readonly kind: "star" }
  | { readonly kind: "class"; readonly ranges: readonly (readonly [string, string])[]; readonly negated: boolean }
  /** `**` and the "/" behind it: nothing, or anything that ends with "/". */
  | { readonly kind: "directories" }
  /** `**` at the end. */
  | { readonly kind: "rest" };

export interface Glob {
  matches(path: string): boolean;
  /** What every match begins with. */
  readonly prefix: string;
  /** It has no wildcard: `prefix` is all of it. */
  readonly literal: boolean;
}

/** @returns undefined when the pattern is malformed: a class that is not closed, a `\` at the end */
export function compileGlob(pattern: string): Glob | undefined {
  const tokens = tokenize(Array.from(pattern));
  if (tokens === undefined) return undefined;
  const wild = tokens.findIndex((token) => token.kind !== "literal");
  const prefix = textOf(wild < 0 ? tokens : tokens.slice(0, wild));
  if (wild < 0) return { prefix, literal: true, matches: (path) => path === prefix };
  const rest = tokens.slice(wild);
  const tail = rest.slice(rest.findLastIndex((token) => token.kind !== "literal") + 1);
  const suffix = textOf(tail);
  const middle = rest.slice(0, rest.length - tail.length);
  return {
    prefix,
    literal: false,
    matches: (path) =>
      path.length >= prefix.length + suffix.length &&
      path.startsWith(prefix) &&
      path.endsWith(suffix) &&
      matchAll(middle, Array.from(path.slice(prefix.length, path.length - suffix.length))),
  };
}

function textOf(tokens: readonly Token[]): string {
  return tokens.map((token) => (token.kind === "literal" ? token.text : "")).join("");
}

function tokenize(characters: readonly string[]): readonly Token[] | undefined {
  const tokens: Token[] = [];
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? "";
    if (character === "*" && characters[index + 1] === "*") {
      while (characters[index + 1] === "*") index++;
      if (characters[index + 1] === "/") index++;
      tokens.push({ kind: index + 1 >= characters.length ? "rest" : "directories" });
    } else if (character === "*") tokens.push({ kind: "star" });
    else if (character === "?") tokens.push({ kind: "one" });
    else if (character === "[") {
      const parsed = parseClass(characters, index + 1);
      if (parsed === undefined) return undefined;
      tokens.push(parsed.token);
      index = parsed.end;
    } else if (character === "\\") {
      const escaped = characters[++index];
      if (escaped === undefined) return undefined;
      tokens.push({ kind: "literal", text: escaped });
    } else tokens.push({ kind: "literal", text: character });
  }
  return tokens;
}

function parseClass(
  characters: readonly string[],
  from: number,
): { readonly token: Token; readonly end: number } | undefined {
  const negated = characters[from] === "^";
  const ranges: (readonly [string, string])[] = [];
  let index = negated ? from + 1 : from;
  const take = (): string | undefined => {
    const character = characters[index++];
    if (character === "\\") return characters[index++];
    return character === "-" || (character === "]" && ranges.length === 0) ? undefined : character;
  };
  while (characters[index] !== "]" || ranges.length === 0) {
    const low = take();
    if (low === undefined) return undefined;
    if (characters[index] !== "-") {
      ranges.push([low, low]);
      continue;
    }
    index++;
    const high = take();
    if (high === undefined) return undefined;
    ranges.push([low, high]);
  }
  return { token: { kind: "class", ranges, negated }, end: index };
}

function matchAll(tokens: readonly Token[], path: readonly string[]): boolean {
  let reached = new Uint8Array(path.length + 1);
  reached[0] = 1;
  for (const token of tokens) {
    const next = new Uint8Array(path.length + 1);
    let some = false;
    let spreading = false;
    for (let position = 0; position <= path.length; position++) {
      const here = reached[position] === 1;
      const before = path[position - 1];
      if (token.kind === "star" || token.kind === "rest") {
        spreading = here || (spreading && (token.kind === "rest" || before !== "/"));
        if (spreading) next[position] = 1;
      } else if (token.kind === "directories") {
        if (here || (spreading && before === "/")) next[position] = 1;
        spreading ||= here;
      } else if (position > 0 && reached[position - 1] === 1 && accepts(token, before ?? "")) next[position] = 1;
      some ||= next[position] === 1;
    }
    if (!some) return false;
    reached = next;
  }
  return reached[path.length] === 1;
}

function accepts(token: Token, character: string): boolean {
  if (token.kind === "literal") return token.text === character;
  if (character === "/") return false;
  if (token.kind !== "class") return token.kind === "one";
  return token.ranges.some(([low, high]) => low <= character && character <= high) !== token.negated;
}
