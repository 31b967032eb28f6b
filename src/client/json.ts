// JSON as Docker's client handles it: integers keep all their digits (event times have nineteen), and raw text can be
// indented without being interpreted, so that unknown fields and number spellings survive. Source: Go's json.Indent.

const manyDigits = /\d{16}/;

/** Parses JSON; integers that a double cannot hold become bigints. @throws SyntaxError */
export function parseJson(text: string): unknown {
  if (!manyDigits.test(text)) return JSON.parse(text);
  return JSON.parse(
    text,
    function exact(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }) {
      const source = context?.source;
      if (typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source))
        return BigInt(source);
      return value;
    },
  );
}

/** Puts members and elements on lines of their own; empty objects and arrays stay closed. `text` must be valid JSON. */
export function indentJson(text: string, prefix: string, indent: string): string {
  let out = "";
  let depth = 0;
  let index = 0;
  const newLine = (): string => `\n${prefix}${indent.repeat(depth)}`;
  const skipSpace = (): void => {
    while (/[ \t\r\n]/.test(text.charAt(index))) index += 1;
  };
  while (index < text.length) {
    const c = text.charAt(index);
    if (c === '"') {
      let end = index + 1;
      while (end < text.length && text.charAt(end) !== '"') end += text.charAt(end) === "\\" ? 2 : 1;
      out += text.slice(index, end + 1);
      index = end + 1;
      continue;
    }
    index += 1;
    if (c === "{" || c === "[") {
      skipSpace();
      if (text.charAt(index) === "}" || text.charAt(index) === "]") {
        out += c + text.charAt(index);
        index += 1;
      } else {
        depth += 1;
        out += c + newLine();
      }
    } else if (c === "}" || c === "]") {
      depth -= 1;
      out += newLine() + c;
    } else if (c === ",") out += c + newLine();
    else if (c === ":") out += ": ";
    else if (!/[ \t\r\n]/.test(c)) out += c;
  }
  return out;
}
