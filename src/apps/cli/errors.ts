// What stderr says about a failure. Source: the docker CLI 28.

import { messageOf } from "../../base/errors.ts";
import { DaemonError } from "../../client/client.ts";

/** The message of a failure as the user reads it: the daemon's own get a prefix. */
export function describeError(error: unknown): string {
  if (error instanceof DaemonError) return `Error response from daemon: ${error.message}`;
  return describeFileError(error) ?? messageOf(error);
}

const errnoTexts: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
  EEXIST: "file exists",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
};

/** "open x: no such file or directory" for what node:fs throws; undefined for anything else. */
export function describeFileError(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("syscall" in error) || !("path" in error) || !("code" in error)) return undefined;
  const text = errnoTexts[String(error.code)] ?? String(error.code);
  return `${String(error.syscall)} ${String(error.path)}: ${text}`;
}
