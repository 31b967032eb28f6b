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

const ruler = "-".repeat(20);

/**
 * The lines around `ranges`, marked with `>>>`, as buildx prints them: two more on each side of one line, one more on each side of
 * several. "" when no range is inside of the text.
 */
export function renderExcerpt(source: string, filename: string, ranges: readonly Range[]): string {
  const lines = source.split("\n").map((line) => line.replace(/\r$/, ""));
  const marked = ranges
    .filter(({ start }) => start.line >= 1 && start.line <= lines.length)
    .map(({ start, end }) => ({ first: start.line, last: Math.min(lines.length, Math.max(start.line, end.line)) }));
  if (marked.length === 0) return "";
  const first = Math.min(...marked.map((range) => range.first));
  const last = Math.max(...marked.map((range) => range.last));
  const margin = first === last ? 2 : 1;
  const rows = [`${filename}:${first}`, ruler];
  for (let number = Math.max(1, first - margin); number <= Math.min(lines.length, last + margin); number++) {
    const mark = marked.some((range) => number >= range.first && number <= range.last) ? ">>>" : "   ";
    rows.push(` ${String(number).padStart(3)} | ${mark} ${lines[number - 1] ?? ""}`);
  }
  return [...rows, ruler, ""].join("\n");
}
