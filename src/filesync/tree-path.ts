// Names of entries: which ones a tree can have.

import { EngineError } from "../base/errors.ts";

/** NAME_MAX of every file system in use. Source: limits.h. */
const maxNameBytes = 255;

/**
 * A name below the root of a tree: relative, no empty, "." or ".." component, no NUL.
 *
 * @param maxBytes of the whole path
 * @throws InvalidParameter it is none
 */
export function checkTreePath(path: string, maxBytes: number): void {
  if (path === "" || path.includes("\0")) throw refused(path);
  if (path.length * 3 > maxBytes && Buffer.byteLength(path) > maxBytes)
    throw new EngineError("InvalidParameter", `file name too long: ${shown(path)}`);
  let start = 0;
  for (;;) {
    const slash = path.indexOf("/", start);
    const end = slash === -1 ? path.length : slash;
    const length = end - start;
    if (length === 0) throw refused(path);
    if (length <= 2 && path.charCodeAt(start) === 46 && path.charCodeAt(end - 1) === 46) throw refused(path);
    if (length * 3 > maxNameBytes && Buffer.byteLength(path.slice(start, end)) > maxNameBytes)
      throw new EngineError("InvalidParameter", `file name too long: ${shown(path)}`);
    if (slash === -1) return;
    start = slash + 1;
  }
}

function refused(path: string): EngineError {
  return new EngineError("InvalidParameter", `invalid path in the build context: ${shown(path)}`);
}

function shown(path: string): string {
  return JSON.stringify(path.length <= 100 ? path : `${path.slice(0, 100)}…`);
}

/** "" for a name at the top. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}
