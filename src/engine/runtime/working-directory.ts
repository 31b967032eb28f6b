// The working directory of a process. Paths that lead through a process's descriptors or root are refused: a descriptor
// that the runtime holds at that moment may be a directory of the host (CVE-2024-21626).

import { posix } from "node:path";
import { EngineError } from "../../base/errors.ts";

const throughProcess = /^\/proc\/[^/]+\/(?:task\/[^/]+\/)?(?:fd|fdinfo|map_files|cwd|root|exe)(?:\/|$)/;

/** What is wrong with a working directory, in dockerd's words where it has some; undefined is consent. "" is "/". */
export function workingDirectoryError(cwd: string): string | undefined {
  if (cwd !== "" && !cwd.startsWith("/")) {
    return `the working directory '${cwd}' is invalid, it needs to be an absolute path`;
  }
  if (/\p{Cc}/u.test(cwd)) return `the working directory ${JSON.stringify(cwd)} is invalid, it has control characters`;
  // Both as written and as cleaned: "/proc/self/fd/7/../.." does not clean to what the kernel makes of it.
  const leads = [cwd.replaceAll(/\/+(?:\.\/+)*/g, "/"), posix.normalize(cwd)].some(
    (path) => throughProcess.test(path) || /^\/dev\/fd(?:\/|$)/.test(path),
  );
  return leads ? `the working directory '${cwd}' is invalid, it leads through a file descriptor` : undefined;
}

/**
 * The working directory, clean.
 *
 * @throws InvalidParameter as workingDirectoryError says
 */
export function parseWorkingDirectory(cwd: string): string {
  const error = workingDirectoryError(cwd);
  if (error !== undefined) throw new EngineError("InvalidParameter", error);
  const clean = posix.normalize(cwd === "" ? "/" : cwd);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}
