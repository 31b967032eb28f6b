// Parser directives: `# name=value` in front of everything else. Source: Dockerfile reference, "Parser directives".

import { DockerfileError } from "./error.ts";
import { parseBool, quote, trimSpaceLeft } from "./go.ts";
import type { Directives, Range } from "./index.ts";
import type { PhysicalLine } from "./lines.ts";

const pattern = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const known = new Set(["syntax", "escape", "check"]);

export interface ParsedDirectives {
  readonly directives: Directives;
  /** Numbers of the lines that they stand on: those are no comments. */
  readonly lines: ReadonlySet<number>;
}

/** @throws DockerfileError a directive given twice, an escape that is neither \ nor `, options of check that do not exist */
export function parseDirectives(lines: readonly PhysicalLine[]): ParsedDirectives {
  const found = new Map<string, { readonly value: string; readonly range: Range }>();
  const numbers = new Set<number>();
  const shebang = lines[0]?.text.startsWith("#!") === true;
  for (const line of shebang ? lines.slice(1) : lines) {
    const text = trimSpaceLeft(line.text);
    const match = text.startsWith("#") ? pattern.exec(trimSpaceLeft(text.slice(1))) : null;
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined || !known.has(name)) break;
    const range = {
      start: { line: line.number, column: 0 },
      end: { line: line.number, column: line.text.length },
    };
    if (found.has(name)) throw new DockerfileError(`only one ${name} parser directive can be used`, [range]);
    found.set(name, { value: match[2] ?? "", range });
    numbers.add(line.number);
  }
  const escape = found.get("escape");
  if (escape !== undefined && escape.value !== "\\" && escape.value !== "`")
    throw new DockerfileError(`invalid escape token '${escape.value}' does not match \` or \\`, [escape.range]);
  const check = found.get("check");
  return {
    directives: {
      syntax: found.get("syntax"),
      escape: escape?.value === "`" ? "`" : "\\",
      check: parseCheckOptions(check?.value ?? "", check === undefined ? [] : [check.range]),
    },
    lines: numbers,
  };
}

/**
 * `skip=A,B;error=true;experimental=all`, of the directive and of the build argument BUILDKIT_DOCKERFILE_CHECK.
 *
 * @throws DockerfileError an option that does not exist
 */
export function parseCheckOptions(text: string, ranges: readonly Range[]): Directives["check"] {
  const failed = (reason: string) => new DockerfileError(`failed to parse check options: ${reason}`, ranges);
  let skip: readonly string[] = [];
  let experimental: readonly string[] = [];
  let error = false;
  if (text.trim() === "") return { skip, experimental, error };
  for (const part of text.trim().split(";")) {
    const cut = part.indexOf("=");
    if (cut < 0) throw failed(`invalid check option ${quote(part)}`);
    const key = part.slice(0, cut).trim();
    const value = part.slice(cut + 1).trim();
    const names = value.split(",").map((name) => name.trim());
    if (key === "skip") skip = names;
    else if (key === "experimental") experimental = names;
    else if (key === "error") {
      const parsed = parseBool(value);
      if (parsed === undefined)
        throw failed(
          `failed to parse check option ${quote(part)}: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`,
        );
      error = parsed;
    } else throw failed(`invalid check option ${quote(key)}`);
  }
  return { skip, experimental, error };
}
