// Deletes small directories: a container's own hold a dozen entries, and a trip to the thread pool for each costs more than
// all the system calls together.

import { lstatSync, opendirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";

/** More than this would hold up whoever else waits for the thread. */
const maxEntries = 64;
const maxFileBytes = 1 << 20;

/**
 * Deletes a tree of a few small entries at once, following no link.
 *
 * @returns false when it is larger, or something cannot be deleted: then a part of it may be gone, and the rest is the
 *          caller's. True also when there is nothing.
 */
export function removeSmallTree(directory: string): boolean {
  let entries = 0;
  const remove = (parent: string): boolean => {
    const names: string[] = [];
    const listing = opendirSync(parent);
    try {
      for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
        if (++entries > maxEntries) return false;
        names.push(entry.name);
      }
    } finally {
      listing.closeSync();
    }
    for (const name of names) {
      const path = join(parent, name);
      const stat = lstatSync(path);
      if (stat.isDirectory()) {
        if (!remove(path)) return false;
      } else if (stat.size > maxFileBytes) return false;
      else unlinkSync(path);
    }
    rmdirSync(parent);
    return true;
  };
  if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return true;
  try {
    return remove(directory);
  } catch {
    // Whatever it is, the thorough way says it.
    return false;
  }
}
