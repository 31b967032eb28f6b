// Deletes small directories: a container's own hold a dozen entries, and a trip to the thread pool for each costs more than
// all the system calls together.

import { closeSync, constants, lstatSync, opendirSync, openSync, rmdirSync, unlinkSync } from "node:fs";

/** More than this would hold up whoever else waits for the thread. */
const maxEntries = 64;
const maxFileBytes = 1 << 20;

/**
 * Deletes a tree of a few small entries at once, following no link, not even one that is put there meanwhile.
 *
 * @returns false when it is larger, or something cannot be deleted: then a part of it may be gone, and the rest is the
 *          caller's. True also when there is nothing.
 */
export function removeSmallTree(directory: string): boolean {
  let entries = 0;
  const remove = (path: string): boolean => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      // Not by its path: whoever still has it open may have put a link in its place.
      const held = `/proc/self/fd/${fd}`;
      const names: string[] = [];
      const listing = opendirSync(held);
      try {
        for (let entry = listing.readSync(); entry !== null; entry = listing.readSync()) {
          if (++entries > maxEntries) return false;
          names.push(entry.name);
        }
      } finally {
        listing.closeSync();
      }
      for (const name of names) {
        const child = `${held}/${name}`;
        const stat = lstatSync(child);
        if (stat.isDirectory()) {
          if (!remove(child)) return false;
          rmdirSync(child);
        } else if (stat.size > maxFileBytes) return false;
        else unlinkSync(child);
      }
      return true;
    } finally {
      closeSync(fd);
    }
  };
  if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return true;
  try {
    if (!remove(directory)) return false;
    rmdirSync(directory);
    return true;
  } catch {
    // Whatever it is, the thorough way says it.
    return false;
  }
}
