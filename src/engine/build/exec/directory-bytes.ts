// Bytes that a tree takes on the disk: blocks of files, directories and links, each inode once. Steps may change the tree meanwhile:
// every directory is opened below its parent's descriptor and not through a link, so that none is counted that lies elsewhere.

import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir } from "node:fs/promises";
import { errnoOf } from "../../../base/errors.ts";

const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A descriptor is held for each level; what a step nested deeper is not charged. */
const maxDepth = 512;

/** What vanishes meanwhile counts nothing. */
export async function directoryBytes(directory: string): Promise<number> {
  const seen = new Set<bigint>();
  return (await entryBytes(directory, seen)) + (await childrenBytes(directory, seen, 1));
}

async function entryBytes(path: string, seen: Set<bigint>): Promise<number> {
  const stat = await ifThere(lstat(path, { bigint: true }));
  if (stat === undefined) return 0;
  if (stat.nlink > 1n && !stat.isDirectory()) {
    if (seen.has(stat.ino)) return 0;
    seen.add(stat.ino);
  }
  return Number(stat.blocks) * 512;
}

/** Without the directory's own. */
async function childrenBytes(path: string, seen: Set<bigint>, depth: number): Promise<number> {
  if (depth > maxDepth) return 0;
  await using handle: FileHandle | undefined = await ifThere(open(path, flags));
  if (handle === undefined) return 0;
  const here = `/proc/self/fd/${handle.fd}`;
  let bytes = 0;
  for (const entry of await readdir(here, { withFileTypes: true })) {
    const child = `${here}/${entry.name}`;
    bytes += await entryBytes(child, seen);
    if (entry.isDirectory()) bytes += await childrenBytes(child, seen, depth + 1);
  }
  return bytes;
}

/** ELOOP, ENOTDIR: it was replaced. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}
