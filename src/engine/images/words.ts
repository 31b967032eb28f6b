// Words of a Dockerfile instruction: split at blanks, quotes and backslashes taken off, $NAME and ${NAME} replaced from the
// environment (unknown ones by nothing). Source: Dockerfile reference, "Environment replacement".

import { EngineError } from "../../base/errors.ts";

/**
 * Splits and expands.
 *
 * @param env "NAME=value" items
 * @throws InvalidParameter a quote or brace that is not closed
 */
export function expandWords(text: string, env: readonly string[]): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const c = text[at] ?? "";
    if (quote === "" && /\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word ??= "";
    if (quote === "'") {
      if (c === "'") quote = "";
      else word += c;
    } else if (c === "\\") {
      const next = text[at + 1] ?? "";
      // In double quotes a backslash is only special before what is.
      if (quote === '"' && !['"', "$", "\\"].includes(next)) word += c;
      word += next;
      at++;
    } else if (c === '"' || (c === "'" && quote === "")) {
      quote = quote === c ? "" : c;
    } else if (c === "$") {
      const { value, end } = expandVariable(text, at + 1, env);
      word += value;
      at = end - 1;
    } else {
      word += c;
    }
  }
  if (quote !== "") {
    const kind = quote === '"' ? "double" : "single";
    throw failure(text, `unexpected end of statement while looking for matching ${kind}-quote`);
  }
  if (word !== undefined) words.push(word);
  return words;
}

function failure(text: string, why: string): EngineError {
  return new EngineError("InvalidParameter", `failed to process ${JSON.stringify(text)}: ${why}`);
}

/** @param start after the "$" */
function expandVariable(
  text: string,
  start: number,
  env: readonly string[],
): { readonly value: string; readonly end: number } {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*/.exec(text.slice(start));
  if (plain !== null) return { value: lookUp(plain[0], env), end: start + plain[0].length };
  if (text[start] !== "{") return { value: "$", end: start };
  const braced = /^\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^{}]*))?\}/.exec(text.slice(start));
  if (braced === null) throw failure(text, "unsupported modifier or missing brace in a variable");
  const [whole, name = "", modifier, word = ""] = braced;
  const value = lookUp(name, env);
  const end = start + whole.length;
  if (modifier === "-") return { value: value === "" ? word : value, end };
  if (modifier === "+") return { value: value === "" ? "" : word, end };
  return { value, end };
}

function lookUp(name: string, env: readonly string[]): string {
  return env.findLast((item) => item.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
}
