// Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` any characters, `?` one, neither a line's end; `\` in front of them takes their
// meaning away. Matched without backtracking, with a bound on the work: a pattern comes from whoever wrote the Dockerfile.

type Token = { readonly kind: "any" } | { readonly kind: "one" } | { readonly kind: "literal"; readonly text: string };

interface Patterned {
  readonly text: string;
  readonly error: string | undefined;
}

/** Comparisons that one substitution may need. */
const mostWork = 20_000_000;

class TooMuchWork extends Error {}

/** `value` without its shortest (greedy: longest) part at that end which matches. */
export function trimPattern(value: string, pattern: string, end: "front" | "back", greedy: boolean): Patterned {
  return attempt(pattern, (tokens, budget) => {
    const text = Array.from(value);
    const back = end === "back";
    if (back) text.reverse();
    const length = matchAt(back ? tokens.toReversed() : tokens, text, 0, greedy, budget);
    if (length === undefined) return value;
    const rest = text.slice(length);
    return (back ? rest.toReversed() : rest).join("");
  });
}

/** `value` with the first (all: each) longest part that matches replaced. */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): Patterned {
  return attempt(pattern, (tokens, budget) => {
    const text = Array.from(value);
    const out: string[] = [];
    let position = 0;
    let matchedTo = -1;
    let done = false;
    while (position <= text.length && !done) {
      const length = matchAt(tokens, text, position, true, budget);
      if (length !== undefined && (length > 0 || position !== matchedTo)) {
        out.push(replacement);
        done = !all;
        matchedTo = position + length;
        if (length > 0 || done) {
          position += length;
          continue;
        }
      }
      if (position < text.length) out.push(text[position] ?? "");
      position++;
    }
    return out.join("") + text.slice(position).join("");
  });
}

function attempt(pattern: string, work: (tokens: readonly Token[], budget: { left: number }) => string): Patterned {
  const tokens = parsePattern(pattern);
  if (typeof tokens === "string") return { text: "", error: tokens };
  try {
    return { text: work(tokens, { left: mostWork }), error: undefined };
  } catch (error) {
    if (error instanceof TooMuchWork) return { text: "", error: "too much work for a value of this length" };
    throw error;
  }
}

function parsePattern(pattern: string): readonly Token[] | string {
  const tokens: Token[] = [];
  const characters = Array.from(pattern);
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? "";
    if (character === "*") {
      if (tokens.at(-1)?.kind !== "any") tokens.push({ kind: "any" });
    } else if (character === "?") tokens.push({ kind: "one" });
    else if (character === "\\") {
      const escaped = characters[++index];
      if (escaped === undefined || !"*?\\}/".includes(escaped)) return `invalid escape '\\${escaped ?? "\ufffd"}'`;
      tokens.push({ kind: "literal", text: escaped });
    } else tokens.push({ kind: "literal", text: character });
  }
  return tokens;
}

/** Length of the longest or shortest match that begins at `from`. */
function matchAt(
  tokens: readonly Token[],
  text: readonly string[],
  from: number,
  longest: boolean,
  budget: { left: number },
): number | undefined {
  let ends = [from];
  for (const token of tokens) {
    const next: number[] = [];
    for (const end of ends) {
      if (--budget.left < 0) throw new TooMuchWork();
      const character = text[end];
      if (token.kind === "any") {
        if (end <= (next.at(-1) ?? -1)) continue;
        let position = end;
        next.push(position);
        while (position < text.length && text[position] !== "\n") {
          if (--budget.left < 0) throw new TooMuchWork();
          next.push(++position);
        }
      } else if (character !== undefined && (token.kind === "one" ? character !== "\n" : token.text === character))
        next.push(end + 1);
    }
    ends = next;
    if (ends.length === 0) return undefined;
  }
  const end = longest ? ends.at(-1) : ends[0];
  return end === undefined ? undefined : end - from;
}
