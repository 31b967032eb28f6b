// Bytes that a tree takes on the disk: blocks of files, directories and links, each inode once; no link is followed.

import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../../base/errors.ts";

/** What vanishes meanwhile counts nothing. */
export async function directoryBytes(directory: string): Promise<number> {
  const seen = new Set<bigint>();
  const pending = [directory];
  let bytes = 0;
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    try {
      const stat = await lstat(current, { bigint: true });
      if (stat.nlink > 1n && !stat.isDirectory()) {
        if (seen.has(stat.ino)) continue;
        seen.add(stat.ino);
      }
      bytes += Number(stat.blocks) * 512;
      if (!stat.isDirectory()) continue;
      for (const name of await readdir(current)) pending.push(join(current, name));
    } catch (error) {
      // A step may have nested deeper than any path reaches: nobody can be charged by name there.
      if (!["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(errnoOf(error) ?? "")) throw error;
    }
  }
  return bytes;
}
