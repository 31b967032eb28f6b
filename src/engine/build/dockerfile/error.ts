import { EngineError } from "../../../base/errors.ts";
import type { LocatedError, Range } from "./index.ts";
/** Something is wrong at these lines. */
export class DockerfileError extends EngineError implements LocatedError {
  readonly ranges: readonly Range[];
  constructor(message: string, ranges: readonly Range[], options?: { readonly cause?: unknown }) {
    super("InvalidParameter", message, options);
    this.ranges = ranges;
  }
}
export function isDockerfileError(error: unknown): error is DockerfileError {
  return error instanceof DockerfileError;
}
/** The lines around `ranges`, marked with `>>>`, as buildx prints them. */
export function renderExcerpt(_source: string, _filename: string, _ranges: readonly Range[]): string {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
