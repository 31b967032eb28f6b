// The files of one log on disk: `path` is written to, path.1 is the one before it, … up to maxFiles. The shim rotates by
// renaming while a reader reads, so files are opened newest first and told apart by inode: a rotation in between shows the
// same file twice, never a gap.

import { closeSync, fstatSync, openSync, read, type Stats } from "node:fs";
import { EngineError, errnoOf } from "../../base/errors.ts";

export interface LogFile {
  readonly fd: number;
  readonly inode: number;
}

/** Opens all files of a log, oldest first; none where the container has not written yet. Close them. */
export function openLogFiles(path: string, maxFiles: number): LogFile[] {
  return openNewerThan(path, maxFiles, undefined);
}

/** Opens the files that were begun after `current`, oldest first; `current` itself stays as it is. */
export function openNewerThan(path: string, maxFiles: number, current: LogFile | undefined): LogFile[] {
  const files: LogFile[] = [];
  const seen = new Set<number>();
  for (let n = 0; n < Math.max(1, maxFiles); n++) {
    const file = openIfThere(n === 0 ? path : `${path}.${n}`);
    if (file === undefined) {
      // Between the rename of a rotation and the new file there is no `path` for a moment.
      if (n === 0) continue;
      break;
    }
    if (file.inode === current?.inode) {
      closeSync(file.fd);
      break;
    }
    if (seen.has(file.inode)) {
      closeSync(file.fd);
      continue;
    }
    seen.add(file.inode);
    files.push(file);
  }
  return files.toReversed();
}

function openIfThere(path: string): LogFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw new EngineError("System", `cannot open the log ${path}: ${errnoOf(error) ?? ""}`, { cause: error });
  }
  return { fd, inode: fstatSync(fd).ino };
}

export function sizeOf(file: LogFile): number {
  const stats: Stats = fstatSync(file.fd);
  return stats.size;
}

export function closeAll(files: Iterable<LogFile>): void {
  for (const file of files) closeSync(file.fd);
}

/** Reads into `buffer[offset, offset + length)`; resolves with the number of bytes, 0 at the end of the file. */
export function readAt(
  file: LogFile,
  buffer: Buffer,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(file.fd, buffer, offset, length, position, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(new EngineError("System", `cannot read a log: ${error.message}`, { cause: error }));
    });
  });
}
