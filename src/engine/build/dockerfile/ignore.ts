import { EngineError } from "../../../base/errors.ts";
/** Whether a path, relative and with "/", is left out: the last pattern that matches decides. */
export interface IgnoreMatcher {
  ignores(path: string): boolean;
  /** A directory that is ignored and below which nothing can be brought back by a `!` pattern. */
  ignoresAll(directory: string): boolean;
}
/** Lines of a .dockerignore as patterns: comments and blanks gone, cleaned, leading "/" stripped. */
export function parseIgnoreFile(_text: string): readonly string[] {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
/** @throws InvalidParameter a malformed pattern, by name */
export function createIgnoreMatcher(_patterns: readonly string[]): IgnoreMatcher {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
