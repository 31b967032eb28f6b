// Errors of the language.

import { EngineError, type ErrorKind } from "../../../base/errors.ts";
import type { LocatedError, Range } from "./index.ts";

export { renderExcerpt } from "../../../base/excerpt.ts";

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
