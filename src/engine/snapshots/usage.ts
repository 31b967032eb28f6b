// Disk usage of a writable layer, as `docker ps -s` counts: bytes of files and links, each inode once, directories not at all.

import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../base/errors.ts";

/** Walks `directory` without following links; what vanishes meanwhile counts nothing. */
export async function directoryBytes(directory: string): Promise<number> {
  const seen = new Set<bigint>();
  const pending = [directory];
  let bytes = 0;
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    for (const entry of await readEntries(current)) {
      const path = join(current, entry.name);
      if (entry.isDirectory()) pending.push(path);
      else bytes += await fileBytes(path, seen);
    }
  }
  return bytes;
}

async function readEntries(directory: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    // ENAMETOOLONG: a container can nest deeper than any path reaches; nobody can be charged by name there.
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ENAMETOOLONG") return [];
    throw error;
  }
}

async function fileBytes(path: string, seen: Set<bigint>): Promise<number> {
  try {
    const stat = await lstat(path, { bigint: true });
    if (stat.nlink > 1n) {
      if (seen.has(stat.ino)) return 0;
      seen.add(stat.ino);
    }
    return Number(stat.size);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENAMETOOLONG") return 0;
    throw error;
  }
}
