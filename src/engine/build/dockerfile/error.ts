// Errors of the language and the excerpt of the Dockerfile that goes with them.

import { EngineError, type ErrorKind } from "../../../base/errors.ts";
import type { LocatedError, Range } from "./index.ts";

/** Something is wrong at these lines. */
export class DockerfileError extends EngineError implements LocatedError {
  readonly ranges: readonly Range[];
  constructor(
    message: string,
    ranges: readonly Range[],
    options?: { readonly cause?: unknown; readonly kind?: ErrorKind },
  ) {
    super(options?.kind ?? "InvalidParameter", message, options);
    this.ranges = ranges;
  }
}

export function isDockerfileError(error: unknown): error is DockerfileError {
  return error instanceof DockerfileError;
}

/** An error of one instruction, in BuildKit's words: "dockerfile parse error on line 3: …". */
export function instructionError(message: string, range: Range): DockerfileError {
  return new DockerfileError(`dockerfile parse error on line ${range.start.line}: ${message}`, [range]);
}

/** Lines shown in front of and behind those that are marked. */
const padding = 2;
const ruler = "-".repeat(20);

/**
 * The lines around `ranges`, marked with `>>>`, as buildx prints them; "" when no range is inside of the text. At least five lines
 * are shown where the text has them.
 */
export function renderExcerpt(source: string, filename: string, ranges: readonly Range[]): string {
  const lines = source.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.length > 1 && lines.at(-1) === "") lines.pop();
  const marked = ranges.filter((range) => range.start.line >= 1 && range.start.line <= lines.length);
  if (marked.length === 0) return "";
  let first = Math.min(...marked.map((range) => range.start.line));
  let last = Math.min(lines.length, Math.max(...marked.map((range) => Math.max(range.start.line, range.end.line))));
  const heading = `${filename}:${first}`;
  const wanted = last - first + 1 + 2 * padding;
  for (let shown = last - first + 1, before = true; shown < wanted; before = !before) {
    const extended = (before ? first > 1 : last < lines.length) ? before : !before;
    if (extended ? first <= 1 : last >= lines.length) break;
    if (extended) first--;
    else last++;
    shown++;
  }
  const rows = [heading, ruler];
  for (let number = first; number <= last; number++) {
    const mark = marked.some(
      (range) => number >= range.start.line && number <= Math.max(range.start.line, range.end.line),
    );
    rows.push(`${String(number).padStart(4)} | ${mark ? ">>>" : "   "} ${lines[number - 1] ?? ""}`);
  }
  return [...rows, ruler, ""].join("\n");
}
